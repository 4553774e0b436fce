//! CodeDeploy as the second way: it moves the alias, the pipe follows and stops it when the run ends early.

use serde_json::{Value, json};
use shared::testing::{Call, Pipe, Reply, Timeline};

use crate::step::{Step, answering, failed, last_line, succeeded};

fn deployment(status: &str, more: &Value) -> Reply {
    let mut info = json!({"deploymentId": "d-1", "status": status});
    for (name, value) in more.as_object().unwrap() {
        info[name] = value.clone();
    }
    Reply::json(&json!({"deploymentInfo": info}))
}

fn group(timeline: Timeline) -> Timeline {
    timeline
        .on(
            "GetDeploymentGroup",
            [Reply::json(
                &json!({"deploymentGroupInfo": {"computePlatform": "Lambda"}}),
            )],
        )
        .on(
            "CreateDeployment",
            [Reply::json(&json!({"deploymentId": "d-1"}))],
        )
        .on(
            "StopDeployment",
            [Reply::json(&json!({"status": "Pending"}))],
        )
}

/// A step with version 1 live, and CodeDeploy as this script says.
fn step(script: impl FnOnce(Timeline, &str) -> Timeline) -> Step {
    let step = Step::scripted(|timeline, function| script(group(timeline), function));
    succeeded(&step.deploy("one").run());
    step.proxy.clear();
    step
}

fn deploy(step: &Step) -> Pipe<'_> {
    step.deploy("two")
        .env("CODEDEPLOY_APPLICATION", "shop")
        .env("CODEDEPLOY_GROUP", "live")
}

#[test]
fn codedeploy_gets_both_versions_and_is_followed_to_the_end() {
    let step = step(|timeline, function| {
        let alias = json!({"AliasArn": "arn:x", "Name": "live", "FunctionVersion": "2", "RevisionId": "r9"});
        timeline
            .on(
                "GetDeployment",
                [
                    deployment("Created", &json!({})),
                    deployment("InProgress", &json!({})).times(2),
                    deployment("Succeeded", &json!({})),
                ],
            )
            .on(
                Call::to(&format!(
                    "GET /2015-03-31/functions/{function}/aliases/live"
                ))
                .after("GetDeployment"),
                [Reply::json(&alias)],
            )
    });
    let output = deploy(&step).run();
    let plain = succeeded(&output);
    let function = &step.function;
    assert_eq!(
        last_line(&output),
        format!("✔ Deployment successful: `{function}` alias `live` is at version 2 (before: 1)")
    );
    assert!(plain.contains("by CodeDeploy, `live` of `shop`"), "{plain}");
    assert!(
        plain.contains("INFO: deployment `d-1`: InProgress"),
        "{plain}"
    );
    let created = &step.proxy.bodies("CreateDeployment")[0];
    let content = created["revision"]["appSpecContent"]["content"]
        .as_str()
        .unwrap();
    let spec: Value = serde_json::from_str(content).unwrap();
    assert_eq!(
        spec["Resources"][0]["function"]["Properties"],
        json!({"Name": function, "Alias": "live", "CurrentVersion": "1", "TargetVersion": "2"})
    );
    let changes = step.changes();
    assert!(
        !changes.iter().any(|each| each.contains("/aliases")),
        "{changes:?}"
    );
}

/// CodeDeploy moves the alias and leaves its description, which remembers an earlier deploy.
#[test]
fn rollback_after_codedeploy_goes_to_the_version_before_it() {
    let step = Step::new();
    for code in ["one", "two", "three"] {
        succeeded(&step.deploy(code).run());
    }
    let published = step.pipe().env("COMMAND", "update").env("ZIP_FILE", {
        step.file("dist/app.py", answering("four"));
        "dist"
    });
    succeeded(&published.run());
    let path = format!("/2015-03-31/functions/{}/aliases/live", step.function);
    assert_eq!(
        step.alias("live")["Description"],
        "[lambda-deploy: 3, previous 2]"
    );
    step.call("PUT", &path, &json!({"FunctionVersion": "4"}));
    let output = step
        .pipe()
        .env("COMMAND", "rollback")
        .env("ALIAS", "live")
        .run();
    let plain = succeeded(&output);
    assert!(plain.contains("(from version 4 to version 3: "), "{plain}");
    assert_eq!(step.alias("live")["FunctionVersion"], "3");
}

#[test]
fn a_deployment_that_codedeploy_takes_back_is_a_failure() {
    let step = step(|timeline, _| {
        let why = json!({"errorInformation": {"code": "ALARM_ACTIVE", "message": "errors are up"}});
        timeline.on(
            "GetDeployment",
            [
                deployment("InProgress", &json!({})),
                deployment("Stopped", &why),
            ],
        )
    });
    let plain = failed(&deploy(&step).run());
    assert!(
        plain.contains("stopped: ALARM_ACTIVE: errors are up"),
        "{plain}"
    );
    assert!(plain.contains("created 1 (`deployment d-1`)"), "{plain}");
    assert!(step.proxy.bodies("StopDeployment").is_empty());
}

#[test]
fn a_signal_stops_the_deployment_and_has_it_taken_back() {
    let step =
        step(|timeline, _| timeline.on("GetDeployment", [deployment("InProgress", &json!({}))]));
    let running = deploy(&step).spawn();
    running.until_printed("deployment `d-1`: InProgress");
    running.signal("TERM");
    let plain = failed(&running.wait());
    assert!(plain.contains("interrupted by SIGTERM"), "{plain}");
    assert!(
        plain.contains("CodeDeploy stops deployment `d-1` and takes it back"),
        "{plain}"
    );
    assert_eq!(
        step.proxy.bodies("StopDeployment"),
        [json!({"deploymentId": "d-1", "autoRollbackEnabled": true})]
    );
}

#[test]
fn a_group_that_is_not_for_lambda_is_refused_before_anything_is_changed() {
    let step = Step::scripted(|timeline, _| {
        timeline.on(
            "GetDeploymentGroup",
            [Reply::json(
                &json!({"deploymentGroupInfo": {"computePlatform": "ECS"}}),
            )],
        )
    });
    let plain = failed(&deploy(&step).run());
    assert!(plain.contains("is for ECS, not for Lambda"), "{plain}");
    assert_eq!(step.changes(), ["GetDeploymentGroup"]);
}
