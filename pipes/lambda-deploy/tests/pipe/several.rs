//! Several functions and regions: all are changed and published, all are tested, and only then all aliases move.

use serde_json::json;
use shared::testing::{Pipe, Proxy, Reply, Timeline, unique};

use crate::step::{Step, failed, last_line, succeeded};

struct Two {
    step: Step,
    other: String,
}

impl Two {
    fn new(script: impl FnOnce(Timeline, &str, &str) -> Timeline) -> Self {
        let other = unique("payments");
        let step = Step::scripted(|timeline, function| script(timeline, function, &other));
        step.create(&other);
        Self { step, other }
    }

    fn deploy(&self, word: &str) -> Pipe<'_> {
        let names = format!("{} {}", self.step.function, self.other);
        self.step.deploy(word).env("FUNCTION_NAME", names)
    }

    /// Method and last part of each change, in their order.
    fn changes(proxy: &Proxy) -> Vec<String> {
        let operations = proxy.operations();
        let changes = operations
            .iter()
            .filter(|operation| operation.contains("/functions/") && !operation.starts_with("GET"));
        changes
            .map(|operation| {
                let method = operation.split(' ').next().unwrap();
                let path = operation.split_once("/functions/").unwrap().1;
                format!(
                    "{method} {}",
                    path.split_once('/').map_or("", |(_, rest)| rest)
                )
            })
            .collect()
    }

    fn alias_of(&self, name: &str) -> serde_json::Value {
        self.step.call(
            "GET",
            &format!("/2015-03-31/functions/{name}/aliases/live"),
            &serde_json::Value::Null,
        )
    }
}

#[test]
fn no_alias_moves_before_all_are_tested() {
    let two = Two::new(|timeline, _, _| timeline);
    two.step.file("event.json", "{}");
    let output = two
        .deploy("second")
        .env("SMOKE_TEST", "event.json")
        .env("SMOKE_STATUS", "200")
        .run();
    succeeded(&output);
    let changes = Two::changes(&two.step.proxy);
    let place = |what: &str, from_end: bool| {
        if from_end {
            changes.iter().rposition(|each| each.starts_with(what))
        } else {
            changes.iter().position(|each| each.starts_with(what))
        }
        .unwrap()
    };
    assert_eq!(changes.len(), 8, "{changes:?}");
    assert!(
        place("POST versions", true) < place("POST invocations", false),
        "{changes:?}"
    );
    assert!(
        place("POST invocations", true) < place("POST aliases", false),
        "{changes:?}"
    );
    assert_eq!(
        last_line(&output),
        format!(
            "✔ Deployment successful: `{}` alias `live` is at version 1, `{}` alias `live` is at version 1",
            two.step.function, two.other
        )
    );
    two.step.proxy.clear();
    let output = two.deploy("second").run();
    succeeded(&output);
    assert!(
        last_line(&output).starts_with("✔ Unchanged: "),
        "{}",
        output.plain()
    );
    assert_eq!(Two::changes(&two.step.proxy), [] as [&str; 0]);
}

#[test]
fn a_failure_before_the_flip_moves_no_traffic() {
    let two = Two::new(|timeline, _, other| {
        timeline.on(
            &*format!("POST /2015-03-31/functions/{other}/versions"),
            [
                Reply::forward(),
                Reply::error(
                    400,
                    "CodeStorageExceededException",
                    "Code storage limit exceeded.",
                ),
            ],
        )
    });
    succeeded(&two.deploy("first of all").run());
    let output = two.deploy("second").run();
    let plain = failed(&output);
    assert!(
        plain.contains(&format!(
            "✖ could not publish a version of `{}`: CodeStorageExceededException",
            two.other
        )),
        "{plain}"
    );
    for name in [&two.step.function, &two.other] {
        assert_eq!(two.alias_of(name)["FunctionVersion"], "1");
    }
}

#[test]
fn a_flip_that_fails_takes_the_others_back() {
    let two = Two::new(|timeline, _, other| {
        timeline.on(
            &*format!("PUT /2015-03-31/functions/{other}/aliases/live"),
            [Reply::error(403, "AccessDeniedException", "no")],
        )
    });
    succeeded(&two.deploy("first of all").run());
    let output = two.deploy("second").run();
    let plain = failed(&output);
    assert!(
        plain.contains("hint: allow `lambda:UpdateAlias`"),
        "{plain}"
    );
    assert!(
        plain.contains(&format!(
            "alias `live` of `{}` is back at version 1",
            two.step.function
        )),
        "{plain}"
    );
    for name in [&two.step.function, &two.other] {
        assert_eq!(two.alias_of(name)["FunctionVersion"], "1");
    }
    assert_eq!(
        two.alias_of(&two.step.function)["Description"],
        json!("[lambda-deploy: rolled back from 2]")
    );
}

#[test]
fn regions_are_named() {
    let step = Step::new();
    let output = step
        .deploy("second")
        .env("REGIONS", "us-east-1 eu-west-1")
        .run();
    let plain = failed(&output);
    assert!(
        plain.contains(&format!(
            "✖ there is no function `{}` in eu-west-1",
            step.function
        )),
        "{plain}"
    );
    assert_eq!(last_line(&output), "  nothing was changed");
}

/// One region has the function and one does not: both end at the same code, and no alias moves before both are published.
#[test]
fn two_regions_end_at_the_same_code() {
    let step = Step::new();
    let deploy = || {
        step.deploy("second")
            .env("REGIONS", "us-east-1 eu-west-1")
            .env("CREATE", "true")
            .env("RUNTIME", "python3.12")
            .env("HANDLER", "app.handler")
            .env("ROLE", step.execution_role())
    };
    let output = deploy().run();
    let plain = succeeded(&output);
    for region in ["us-east-1", "eu-west-1"] {
        let name = format!("`{} in {region}`", step.function);
        assert!(last_line(&output).contains(&name), "{plain}");
    }
    let changes = step.changes();
    let first_alias = changes.iter().position(|each| each == "POST /aliases");
    let last_version = changes.iter().rposition(|each| each == "POST /versions");
    assert!(last_version < first_alias, "{changes:?}");
    let of = |what: &str| changes.iter().filter(|each| *each == what).count();
    assert_eq!(
        [
            "PUT /code",
            "POST /2015-03-31/functions",
            "POST /versions",
            "POST /aliases"
        ]
        .map(of),
        [1, 1, 2, 2],
        "{changes:?}"
    );
    step.proxy.clear();
    let output = deploy().run();
    succeeded(&output);
    assert!(
        last_line(&output).starts_with("✔ Unchanged: "),
        "{}",
        output.plain()
    );
    assert_eq!(step.changes(), [] as [&str; 0]);
}
