//! What is done once the alias is where it is to be: warm instances, the URL, old versions away.

use serde_json::{Value, json};
use shared::testing::{Call, Recorded, Reply};

use crate::step::{Step, failed, last_line, succeeded};

#[test]
fn old_versions_go_and_the_way_back_stays() {
    let step = Step::new();
    for word in ["one", "two", "three"] {
        succeeded(&step.deploy(word).run());
    }
    assert_eq!(step.versions(), ["1", "2", "3"]);
    let output = step.deploy("four").env("KEEP_VERSIONS", "1").run();
    let plain = succeeded(&output);
    // 4 is live, and 3 is what `rollback` goes to.
    assert_eq!(step.versions(), ["3", "4"], "{plain}");
    assert!(plain.contains("INFO: Deleted 2 old versions"), "{plain}");
    succeeded(
        &step
            .pipe()
            .env("COMMAND", "rollback")
            .env("ALIAS", "live")
            .run(),
    );
    assert_eq!(step.alias("live")["FunctionVersion"], "3");
}

#[test]
fn what_cannot_be_pruned_is_a_warning() {
    let step = Step::scripted(|timeline, function| {
        let path = format!("GET /2015-03-31/functions/{function}/aliases");
        timeline.on(
            path.as_str(),
            [Reply::error(
                403,
                "AccessDeniedException",
                "no lambda:ListAliases",
            )],
        )
    });
    succeeded(&step.deploy("one").run());
    let output = step.deploy("two").env("KEEP_VERSIONS", "1").run();
    let plain = succeeded(&output);
    assert!(plain.contains("WARNING: no old version of "), "{plain}");
    assert!(plain.contains("lambda:ListAliases"), "{plain}");
    assert_eq!(step.versions(), ["1", "2"]);
    assert!(last_line(&output).starts_with("✔ Deployment successful: "));
}

#[test]
fn the_url_is_open_to_everyone_only_when_it_is_said() {
    let step = Step::new();
    let deploy = |auth: &str| step.deploy("one").env("FUNCTION_URL", auth).run();
    let plain = succeeded(&deploy("AWS_IAM"));
    assert!(plain.contains("has the URL http"), "{plain}");
    let url = |changes: Vec<String>| {
        let mut changes = changes;
        changes.retain(|each| each.contains("/url") || each.contains("/policy"));
        changes
    };
    assert_eq!(url(step.changes()).len(), 1, "{:?}", step.changes());
    step.proxy.clear();
    succeeded(&deploy("AWS_IAM"));
    assert_eq!(step.changes(), [] as [&str; 0]);

    succeeded(&deploy("NONE"));
    let bodies: Vec<Value> = step
        .proxy
        .requests()
        .iter()
        .filter(|request| {
            request.operation().starts_with("POST ") && request.path.ends_with("/policy")
        })
        .map(Recorded::json)
        .collect();
    let actions: Vec<&Value> = bodies.iter().map(|body| &body["Action"]).collect();
    assert_eq!(
        actions,
        ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"]
    );
    assert_eq!(bodies[0]["FunctionUrlAuthType"], "NONE");
    assert_eq!(bodies[1]["InvokedViaFunctionUrl"], true);

    let output = step.deploy("one").env("FUNCTION_URL", "public").run();
    assert!(failed(&output).contains("FUNCTION_URL:\n- unallowed value public"));
}

/// A step whose alias has so many warm instances after PROVISIONED_CONCURRENCY was set.
fn provisioning(then: Vec<Reply>) -> Step {
    Step::scripted(|timeline, function| {
        let path = format!("2019-09-30/functions/{function}/provisioned-concurrency");
        let put = format!("PUT /{path}");
        timeline
            .on(
                format!("GET /{path}").as_str(),
                [Reply::error(
                    404,
                    "ProvisionedConcurrencyConfigNotFoundException",
                    "none",
                )],
            )
            .on(
                put.as_str(),
                [Reply::json(&state("IN_PROGRESS", 0)).status(202)],
            )
            .on(Call::to(&format!("GET /{path}")).after(&put), then)
    })
}

fn state(status: &str, allocated: u32) -> Value {
    json!({"RequestedProvisionedConcurrentExecutions": 5, "AllocatedProvisionedConcurrentExecutions": allocated,
        "Status": status, "StatusReason": if status == "FAILED" { json!("the account has no more") } else { json!(null) }})
}

#[test]
fn warm_instances_are_waited_for() {
    let step = provisioning(vec![
        Reply::json(&state("IN_PROGRESS", 2)).times(2),
        Reply::json(&state("READY", 5)),
    ]);
    let output = step.deploy("one").env("PROVISIONED_CONCURRENCY", "5").run();
    let plain = succeeded(&output);
    let function = &step.function;
    assert!(
        plain.contains(&format!("provision  {function}:live  (5 warm instances)")),
        "{plain}"
    );
    assert!(
        plain.contains(&format!("INFO: `{function}:live` has 5 warm instances")),
        "{plain}"
    );
    let requests = step.requests();
    let alias = requests
        .iter()
        .position(|each| each == "POST /aliases")
        .unwrap();
    let looks = requests[alias..]
        .iter()
        .filter(|each| each.starts_with("GET /provisioned"));
    assert_eq!(looks.count(), 4, "{requests:?}");
}

#[test]
fn warm_instances_that_cannot_be_made_fail_the_run_and_say_where_the_alias_is() {
    let step = provisioning(vec![Reply::json(&state("FAILED", 0))]);
    let output = step.deploy("one").env("PROVISIONED_CONCURRENCY", "5").run();
    let plain = failed(&output);
    assert!(
        plain.contains("could not get 5 warm instances: the account has no more"),
        "{plain}"
    );
    assert!(plain.contains("the alias is where it is to be"), "{plain}");
    assert_eq!(step.alias("live")["FunctionVersion"], "1");
}
