//! What bad input gets: refused in one line with a hint, before the first change.

use serde_json::json;
use shared::testing::{Fault, Recorded};

use crate::step::Step;

/// The line behind the `✖`, and those below it.
fn refusal(output: &str) -> String {
    let lines: Vec<&str> = output
        .lines()
        .skip_while(|line| !line.starts_with('✖'))
        .collect();
    lines.join("\n")
}

#[test]
fn broken_definitions_are_refused_with_their_place() {
    let (step, _) = Step::with_service();
    step.file(
        "comma.json",
        "{\n  \"family\": \"web\",\n  \"containerDefinitions\": [,]\n}",
    );
    step.file(
        "indent.yml",
        "family: web\ncontainerDefinitions:\n - name: web\n   image: [web\n",
    );
    step.file(
        "empty.json",
        "{\"family\": \"web\", \"containerDefinitions\": []}",
    );
    step.file("undefined.json", "{\"family\": \"web\",\n \"containerDefinitions\": [{\"name\": \"web\", \"image\": \"web:${TAG}\"}]}");
    let mut told = Vec::new();
    for name in [
        "comma.json",
        "indent.yml",
        "empty.json",
        "undefined.json",
        "missing.json",
    ] {
        let output = step.pipe().env("TASK_DEFINITION", name).run();
        assert_eq!(output.code, Some(1), "{name}");
        let here = step.clone.path().canonicalize().unwrap();
        told.push(refusal(&output.without_debug()).replace(here.to_str().unwrap(), "<clone>"));
    }
    insta::assert_snapshot!(told.join("\n"), @"");
    assert_eq!(step.changes(), [""; 0]);
}

#[test]
fn what_the_live_state_does_not_allow_is_refused() {
    let (step, arn) = Step::with_service();
    step.service("gone", &arn);
    step.ecs(
        "DeleteService",
        &json!({"cluster": step.cluster, "service": "gone", "force": true}),
    );
    step.ecs(
        "CreateService",
        &json!({"cluster": step.cluster, "serviceName": "external", "taskDefinition": arn,
        "deploymentController": {"type": "EXTERNAL"}}),
    );
    let other = step.register(&json!({"family": format!("{}-other", step.family), "containerDefinitions": [{"name": "job", "image": "job:1"}]}));
    step.service("other", &other);
    let mut told = Vec::new();
    for variables in [
        vec![("SERVICE_NAME", "nowhere")],
        vec![("SERVICE_NAME", "gone")],
        vec![("SERVICE_NAME", "external")],
        vec![("SERVICE_NAME", "web other")],
        vec![("CLUSTER_NAME", "no-such-cluster")],
        vec![(
            "CLUSTER_NAME",
            "arn:aws:ecs:eu-west-1:000000000000:cluster/main",
        )],
        vec![("IMAGES", "proxy=nginx:1")],
        vec![("TASK_DEFINITION", "no-such-family")],
        vec![
            ("RUN_TASK_BEFORE", "migrate"),
            ("RUN_TASK_BEFORE_CONTAINER", "job"),
            ("IMAGE", "web:2"),
        ],
        vec![("SERVICE_DEFINITION", "missing.json")],
    ] {
        let output = step.pipe().envs(variables.iter().copied()).run();
        assert_eq!(output.code, Some(1), "{variables:?}");
        let text = refusal(&output.without_debug());
        assert!(
            text.ends_with("\n  nothing was changed"),
            "{variables:?}: {text}"
        );
        let text = text.replace("\n  nothing was changed", "");
        told.push(
            text.replace(&step.cluster, "<cluster>")
                .replace(&step.family, "<family>"),
        );
    }
    insta::assert_snapshot!(told.join("\n"), @"");
    assert_eq!(step.changes(), [""; 0]);
}

#[test]
fn every_refusal_of_aws_names_the_action() {
    for (operation, variables, action) in [
        ("DescribeServices", vec![], "ecs:DescribeServices"),
        (
            "DescribeTaskDefinition",
            vec![],
            "ecs:DescribeTaskDefinition",
        ),
        (
            "RegisterTaskDefinition",
            vec![("IMAGE", "web:2")],
            "ecs:RegisterTaskDefinition",
        ),
        (
            "UpdateService",
            vec![("DESIRED_COUNT", "2")],
            "ecs:UpdateService",
        ),
        (
            "TagResource",
            vec![("SERVICE_TAGS", "a=b")],
            "ecs:TagResource",
        ),
        ("RunTask", vec![("COMMAND", "run-task")], "ecs:RunTask"),
        (
            "CreateService",
            vec![
                ("SERVICE_NAME", "new"),
                ("CREATE_SERVICE", "true"),
                ("SERVICE_DEFINITION", "service.json"),
                ("TASK_DEFINITION", "task.json"),
            ],
            "ecs:CreateService",
        ),
    ] {
        let denied = r#"{"__type": "AccessDeniedException", "Message": "not allowed"}"#;
        let target = format!(".{operation}");
        let step = Step::with(move |request: &Recorded| {
            request
                .action
                .ends_with(&target)
                .then(|| Fault::Status(400, denied.to_owned()))
        });
        let arn = step.register(&step.definition("web:1"));
        step.service("web", &arn);
        step.file("service.json", "{\"desiredCount\": 1}");
        step.file("task.json", &step.definition("web:1").to_string());
        let output = step.pipe().envs(variables.iter().copied()).run();
        let plain = output.plain();
        assert_eq!(output.code, Some(1), "{operation}: {plain}");
        let hint = format!("hint: allow `{action}` in the policy");
        assert!(plain.contains(&hint), "{operation}: {plain}");
    }
}
