//! The gate: the version answers before any alias moves, and a wrong answer moves none.

use crate::step::{Step, failed, last_line, succeeded};

#[test]
fn the_version_is_invoked_by_its_number_before_the_alias_moves() {
    let step = Step::new();
    step.file("event.json", r#"{"path": "/health"}"#);
    let output = step
        .deploy("second")
        .env("SMOKE_TEST", "event.json")
        .env("SMOKE_STATUS", "200")
        .env("SMOKE_EXPECT", "$.body.word=second")
        .run();
    let plain = succeeded(&output);
    assert!(
        plain.contains("Smoke test `event.json` of version 1"),
        "{plain}"
    );
    assert_eq!(
        step.changes(),
        [
            "PUT /code",
            "POST /versions",
            "POST /invocations?Qualifier=1",
            "POST /aliases"
        ]
    );
    let sent = step.proxy.bodies(&format!(
        "POST /2015-03-31/functions/{}/invocations",
        step.function
    ));
    assert_eq!(sent[0]["path"], "/health");
    // What is live was tested when it was new.
    step.proxy.clear();
    succeeded(&step.deploy("second").env("SMOKE_TEST", "event.json").run());
    assert_eq!(step.changes(), [] as [&str; 0]);
}

#[test]
fn a_wrong_answer_moves_no_traffic() {
    let step = Step::new();
    succeeded(&step.deploy("second").run());
    step.file("event.json", "{}");
    for (name, value, why) in [
        ("SMOKE_STATUS", "204", "`statusCode` is 200, not 204"),
        (
            "SMOKE_EXPECT",
            "$.body.word=other",
            "the answer has another value than `$.body.word=other`",
        ),
    ] {
        step.proxy.clear();
        let output = step
            .deploy("third")
            .env("SMOKE_TEST", "event.json")
            .env(name, value)
            .run();
        let plain = failed(&output);
        assert!(
            plain.contains("✖ the smoke test `event.json` of version 2") && plain.contains(why),
            "{plain}"
        );
        assert!(plain.contains("hint: no traffic was moved"), "{plain}");
        assert_eq!(step.alias("live")["FunctionVersion"], "1");
    }
}

#[test]
fn a_function_that_fails_or_is_slow_moves_no_traffic() {
    let step = Step::new();
    succeeded(&step.deploy("second").run());
    step.file("event.json", "{}");
    for (code, seconds, why) in [
        (
            "def handler(event, context):\n    raise KeyError('id')\n",
            "30",
            "the function failed (Unhandled): ",
        ),
        (
            "import time\ndef handler(event, context):\n    time.sleep(2.5)\n",
            "1",
            "no answer within 1 s",
        ),
    ] {
        step.file("broken/app.py", code);
        let output = step
            .pipe()
            .env("COMMAND", "deploy")
            .env("ZIP_FILE", "broken")
            .env("ALIAS", "live")
            .env("SMOKE_TEST", "event.json")
            .env("SMOKE_TIMEOUT", seconds)
            .run();
        let plain = failed(&output);
        assert!(plain.contains(why), "{plain}");
        assert_eq!(step.alias("live")["FunctionVersion"], "1");
        assert!(
            last_line(&output).starts_with("  changed before that: "),
            "{plain}"
        );
    }
}
