//! What bad input gets: refused in one line with a hint, before the first change.

use serde_json::json;
use shared::testing::{Fault, Recorded};

use crate::step::{Step, ending};

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
        told.push(ending(&output.without_debug()).replace(here.to_str().unwrap(), "<clone>"));
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    ✖ Failed to parse the task definition file: invalid JSON provided. Could not read `comma.json`: line 3, column 28: expected value
      hint: correct it at that place; with DRY_RUN: true the pipe reads it and changes nothing
      nothing was changed
    ✖ Failed to parse the task definition file: invalid JSON provided. Could not read `indent.yml`: line 5, column 1: while parsing a flow sequence, expected ',' or ']'
      hint: correct it at that place; with DRY_RUN: true the pipe reads it and changes nothing
      nothing was changed
    ✖ could not use `empty.json`: it has no containers
      hint: a task definition has at least one in `containerDefinitions`
      nothing was changed
    ✖ could not read `undefined.json`: line 2, column 57: `${TAG}` is not defined
      hint: set what is named under `variables` of this pipe; `$${NAME}` stands for the text `${NAME}` itself
      nothing was changed
    ✖ Not able to find missing.json in your repository. No such file or directory (os error 2)
      hint: TASK_DEFINITION is a path from `<clone>`, a family, `family:revision` or an ARN
      nothing was changed
    ");
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
        let text = ending(&output.without_debug());
        assert!(
            text.ends_with("\n  nothing was changed"),
            "{variables:?}: {text}"
        );
        let mut text = text.replace("\n  nothing was changed", "");
        // Another one each time.
        if let Some((before, after)) = text.split_once(" (request ") {
            let after = after.split_once(')').map_or("", |(_id, after)| after);
            text = format!("{before}{after}");
        }
        told.push(
            text.replace(&step.cluster, "<cluster>")
                .replace(&step.family, "<family>"),
        );
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    ✖ ECS service not found. Check your SERVICE_NAME. There is no service `nowhere` in the cluster `<cluster>` of `us-east-1`
      hint: set CREATE_SERVICE to true and SERVICE_DEFINITION to a file, and it is created
    ✖ the ECS service `gone` is INACTIVE: it was deleted and takes no deployment
      hint: check SERVICE_NAME, or create it anew with CREATE_SERVICE and SERVICE_DEFINITION
    ✖ the ECS service `external` has the deployment controller EXTERNAL: its task sets are another program's, and an update of the service would be refused
      hint: deploy with that program, or give the service the controller ECS
    ✖ without TASK_DEFINITION all services have to run the same family: `web` runs `<family>:1`, `other` runs `<family>-other:1`
      hint: set TASK_DEFINITION, or deploy each family in a step of its own
    ✖ ECS cluster not found. Check your CLUSTER_NAME. There is no cluster `no-such-cluster` in `us-east-1` that the account of this run may see
      hint: a cluster is in one region and one account: AWS_DEFAULT_REGION has to be that region, and the role or the keys have to be of that account
    ✖ CLUSTER_NAME is in `eu-west-1`, and this run is for `us-east-1`
      hint: set AWS_DEFAULT_REGION to `eu-west-1`
    ✖ could not use the task definition `<family>`: IMAGES names the container `proxy`, which it does not have; it has `web`
      hint: write one of these names in IMAGES
    ✖ could not describe the task definition `no-such-family`: ClientException: Unable to describe task definition: no-such-family
      hint: TASK_DEFINITION is a file of the clone, a family, `family:revision` or an ARN; a family has to have an active revision in this region
    ✖ RUN_TASK_BEFORE_CONTAINER names `job`, which the task definition does not have: it has `web`
      hint: write one of these names in RUN_TASK_BEFORE_CONTAINER
    ✖ could not read SERVICE_DEFINITION `missing.json`: No such file or directory (os error 2)
      hint: it is a file of the clone, by its path from the directory of the step
    ");
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
