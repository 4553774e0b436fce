//! The way back after a failure, and COMMAND rollback: to the last successful deployment of the history, and with a
//! verdict of its own.

use serde_json::{Value, json};
use shared::testing::{Call, Proxy, Reply, Timeline};

use crate::script::*;
use crate::step::ending;

fn brief(name: &str, status: &str, at: f64) -> Value {
    json!({"serviceDeploymentArn": service_deployment_arn(name), "status": status, "createdAt": at,
        "targetServiceRevisionArn": revision_arn(&format!("ecs-svc/{name}"))})
}

/// A history in which `web:5` was successful, and `web:6`, which runs now, was not.
fn history(timeline: Timeline) -> Timeline {
    timeline
        .on("ListServiceDeployments", [Reply::json(&json!({"serviceDeployments": [
            brief("1000000000000000006", "STOPPED", 6.0), brief("5", "SUCCESSFUL", 5.0), brief("4", "SUCCESSFUL", 4.0)]}))])
        .on("DescribeServiceRevisions", [Reply::json(&json!({"serviceRevisions": [
            {"serviceRevisionArn": revision_arn("ecs-svc/5"), "taskDefinition": definition_arn(5)},
            {"serviceRevisionArn": revision_arn("ecs-svc/4"), "taskDefinition": definition_arn(4)}]}))])
}

fn crashed(id: &str) -> Value {
    stopped(
        id,
        "EssentialContainerExited",
        "Essential container in task exited",
        json!({"exitCode": 1}),
    )
}

fn back(state: &str, running: i64) -> Value {
    service(
        &[
            deployment(BACK, "PRIMARY", 5, state, running),
            deployment(NEW, "ACTIVE", 7, "IN_PROGRESS", 0),
        ],
        &[],
    )
}

fn crash_loop() -> Timeline {
    let looping = rolling(0, 2, &["(task t3) failed to start."]);
    history(stops(
        rollout(timeline(), [rolling(0, 2, &[]), looping]),
        &[crashed("t1"), crashed("t2"), crashed("t3")],
    ))
}

#[test]
fn it_goes_back_to_the_last_successful_deployment_and_says_how_that_ended() {
    let aws = crash_loop()
        .on(
            "UpdateService",
            [
                Reply::json(&json!({"service": rolling(0, 2, &[])})),
                Reply::json(&json!({"service": back("IN_PROGRESS", 0)})),
            ],
        )
        .on(
            Call::to("DescribeServices").after_nth(2, "UpdateService"),
            [look(&back("IN_PROGRESS", 1)), look(&back("COMPLETED", 2))],
        )
        .start();
    let output = pipe(&aws).env("ROLLBACK", "true").run();
    assert_eq!(output.code, Some(1));
    insta::assert_snapshot!(ending(&output.without_debug()), @r"
    ✖ Error waiting for service to become stable: the deployment `ecs-svc/1000000000000000007` of `web` is in a crash loop: 3 of its tasks stopped for the same cause, `web` exited with code 1: an error of the program
      why tasks stopped:
        3 × `web` exited with code 1: an error of the program
            ECS says: Essential container in task exited
      `web` was rolled back to `web:5`, and that deployment completed
      changed before that: registered 1 (`arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7`), updated services 2 (`web`, `web`)
    ");
    assert_eq!(
        changes(&aws),
        ["RegisterTaskDefinition", "UpdateService", "UpdateService"]
    );
    assert_eq!(
        aws.bodies("UpdateService")[1]["taskDefinition"],
        definition_arn(5)
    );
}

#[test]
fn a_way_back_that_fails_is_said_too() {
    let failed = with(
        deployment(BACK, "PRIMARY", 5, "FAILED", 0),
        "rolloutStateReason",
        json!("tasks failed to start."),
    );
    let aws = crash_loop()
        .on(
            "UpdateService",
            [
                Reply::json(&json!({"service": rolling(0, 2, &[])})),
                Reply::json(&json!({"service": back("IN_PROGRESS", 0)})),
            ],
        )
        .on(
            Call::to("DescribeServices").after_nth(2, "UpdateService"),
            [look(&service(&[failed], &[]))],
        )
        .start();
    let output = pipe(&aws).env("ROLLBACK", "true").run();
    assert_eq!(output.code, Some(1));
    let ending = ending(&output.without_debug());
    assert!(
        ending.contains("`web` was told to go back to `web:5`, but the deployment `ecs-svc/1000000000000000008` of `web` failed: tasks failed to start."),
        "{ending}"
    );
}

#[test]
fn what_the_deploy_changed_beside_the_definition_goes_back_too() {
    let aws = crash_loop()
        .on(
            "UpdateService",
            [
                Reply::json(&json!({"service": rolling(0, 2, &[])})),
                Reply::json(&json!({"service": back("IN_PROGRESS", 0)})),
            ],
        )
        .on(
            Call::to("DescribeServices").after_nth(2, "UpdateService"),
            [look(&back("COMPLETED", 2))],
        )
        .start();
    let output = pipe(&aws)
        .env("ROLLBACK", "true")
        .env("DESIRED_COUNT", "4")
        .run();
    assert_eq!(output.code, Some(1), "{}", output.plain());
    let bodies = aws.bodies("UpdateService");
    assert_eq!(bodies[0]["desiredCount"], 4);
    assert_eq!(bodies[1]["desiredCount"], 2);
}

#[test]
fn the_tags_of_the_service_go_back_too() {
    let tagged = with(
        before(),
        "tags",
        json!([{"key": "team", "value": "web"}, {"key": "kept", "value": "yes"}]),
    );
    let went_back = |untag: Reply| {
        crash_loop()
            .on("DescribeServices", [look(&tagged)])
            .on("TagResource", [Reply::json(&json!({}))])
            .on("UntagResource", [untag])
            .on(
                "UpdateService",
                [
                    Reply::json(&json!({"service": rolling(0, 2, &[])})),
                    Reply::json(&json!({"service": back("IN_PROGRESS", 0)})),
                ],
            )
            .on(
                Call::to("DescribeServices").after_nth(2, "UpdateService"),
                [look(&back("COMPLETED", 2))],
            )
            .start()
    };
    let run = |aws: &Proxy| {
        pipe(aws)
            .env("ROLLBACK", "true")
            .env("SERVICE_TAGS", "team=shop version=7")
            .run()
    };
    let aws = went_back(Reply::json(&json!({})));
    let output = run(&aws);
    assert_eq!(output.code, Some(1), "{}", output.plain());
    assert_eq!(
        changes(&aws),
        [
            "RegisterTaskDefinition",
            "TagResource",
            "UpdateService",
            "UpdateService",
            "TagResource",
            "UntagResource"
        ]
    );
    assert_eq!(
        aws.bodies("TagResource")[1]["tags"],
        json!([{"key": "team", "value": "web"}])
    );
    assert_eq!(
        aws.bodies("UntagResource")[0]["tagKeys"],
        json!(["version"])
    );

    // The service goes back all the same, and what did not is said.
    let refused = Reply::error(400, "AccessDeniedException", "not authorized");
    let output = run(&went_back(refused));
    let plain = output.without_debug();
    assert_eq!(output.code, Some(1), "{plain}");
    for words in [
        "`web` was rolled back to `web:5`, and that deployment completed",
        "`web` has the new tags still: could not remove tags of the service `web`",
    ] {
        assert!(plain.contains(words), "{words}: {plain}");
    }
}

#[test]
fn the_command_goes_to_the_last_success_that_is_not_what_runs() {
    let aws = history(timeline())
        .on("DescribeTaskDefinition", [Reply::json(&described(5))])
        .on(
            "UpdateService",
            [Reply::json(&json!({"service": back("IN_PROGRESS", 0)}))],
        )
        .on(
            Call::to("DescribeServices").after("UpdateService"),
            [look(&back("IN_PROGRESS", 1)), look(&back("COMPLETED", 2))],
        )
        .start();
    let run = |dry: &str| {
        pipe(&aws)
            .env("IMAGE", "")
            .env("COMMAND", "rollback")
            .env("DRY_RUN", dry)
            .run()
    };
    let output = run("true");
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert_eq!(changes(&aws), [""; 0]);
    let output = run("");
    let plain = output.without_debug();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(changes(&aws), ["UpdateService"]);
    assert_eq!(
        aws.bodies("UpdateService"),
        [json!({"cluster": "main", "service": "web", "taskDefinition": definition_arn(5)})]
    );
    assert!(
        plain.contains("✔ rolled back to web:5. Successfully updated the web service."),
        "{plain}"
    );
}

#[test]
fn without_an_earlier_success_there_is_nothing_to_go_back_to() {
    let aws = timeline().start();
    let output = pipe(&aws).env("IMAGE", "").env("COMMAND", "rollback").run();
    assert_eq!(output.code, Some(1));
    insta::assert_snapshot!(ending(&output.without_debug()), @r"
    ✖ the history of `web` has no successful deployment but that of `web:6`, which runs now
      hint: deploy an earlier revision by its name: TASK_DEFINITION: family:revision
      nothing was changed
    ");
}

#[test]
fn a_staged_deployment_is_taken_back_by_ecs_itself() {
    let staged = |deployments: &[Value]| {
        with(
            service(deployments, &[]),
            "deploymentConfiguration",
            json!({"strategy": "CANARY"}),
        )
    };
    let live = staged(&[deployment(OLD, "PRIMARY", 6, "COMPLETED", 2)]);
    let both = staged(&[
        with(
            deployment(NEW, "PRIMARY", 7, "IN_PROGRESS", 0),
            "failedTasks",
            json!(3),
        ),
        deployment(OLD, "ACTIVE", 6, "COMPLETED", 2),
    ]);
    let new = |status: &str| {
        Reply::json(
            &json!({"serviceDeployments": [{"serviceDeploymentArn": service_deployment_arn("new"),
            "status": status, "lifecycleStage": "SCALE_UP", "statusReason": "by request"}]}),
        )
    };
    let ours = json!({"serviceDeploymentArn": service_deployment_arn("new"), "targetServiceRevisionArn": revision_arn(NEW),
        "status": "IN_PROGRESS", "createdAt": 9.0});
    let aws = stops(timeline(), &[crashed("t1"), crashed("t2"), crashed("t3")])
        .on("DescribeServices", [look(&live)])
        .on("UpdateService", [Reply::json(&json!({"service": both}))])
        .on(
            Call::to("DescribeServices").after("UpdateService"),
            [look(&both)],
        )
        .on(
            Call::to("ListServiceDeployments").after("UpdateService"),
            [Reply::json(&json!({"serviceDeployments": [ours]}))],
        )
        .on("DescribeServiceDeployments", [new("IN_PROGRESS")])
        .on(
            "StopServiceDeployment",
            [Reply::json(
                &json!({"serviceDeploymentArn": service_deployment_arn("new")}),
            )],
        )
        .on(
            Call::to("DescribeServiceDeployments").after("StopServiceDeployment"),
            [
                new("ROLLBACK_REQUESTED"),
                new("ROLLBACK_IN_PROGRESS"),
                new("ROLLBACK_SUCCESSFUL"),
            ],
        )
        .on(
            Call::to("DescribeServices").after("StopServiceDeployment"),
            [look(&both), look(&both), look(&live)],
        )
        .start();
    let output = pipe(&aws).env("ROLLBACK", "true").run();
    let plain = output.without_debug();
    assert_eq!(output.code, Some(1), "{plain}");
    assert_eq!(
        changes(&aws),
        [
            "RegisterTaskDefinition",
            "UpdateService",
            "StopServiceDeployment"
        ]
    );
    assert_eq!(
        aws.bodies("StopServiceDeployment"),
        [json!({"serviceDeploymentArn": service_deployment_arn("new"), "stopType": "ROLLBACK"})]
    );
    assert!(
        plain.contains("`web` was rolled back to `web:6`, and that deployment completed"),
        "{plain}"
    );
}

/// The service `worker` beside `web`.
fn worker(mut service: Value) -> Value {
    service["serviceName"] = json!("worker");
    service["serviceArn"] = json!("arn:aws:ecs:eu-west-1:123456789012:service/main/worker");
    service
}

#[test]
fn the_siblings_of_a_service_that_failed_go_back_too_if_asked() {
    let both = |web: &Value, other: &Value| {
        Reply::json(&json!({"services": [web, worker(other.clone())], "failures": []}))
    };
    let looping = rolling(0, 2, &["(task t3) failed to start."]);
    let back = service(&[deployment(BACK, "PRIMARY", 6, "COMPLETED", 2)], &[]);
    let aws = stops(timeline(), &[crashed("t1"), crashed("t2"), crashed("t3")])
        .on("DescribeServices", [both(&before(), &before())])
        .on(
            "UpdateService",
            [
                Reply::json(&json!({"service": rolling(0, 2, &[])})),
                Reply::json(&json!({"service": worker(rolling(0, 2, &[]))})),
                Reply::json(&json!({"service": back})),
                Reply::json(&json!({"service": worker(back.clone())})),
            ],
        )
        .on(
            Call::to("DescribeServices").after("UpdateService"),
            [
                both(&rolling(1, 2, &[]), &rolling(1, 2, &[])),
                both(&looping, &done()),
                look(&looping),
            ],
        )
        .on(
            Call::to("DescribeServices").after_nth(3, "UpdateService"),
            [both(&back, &back)],
        )
        .start();
    let output = pipe(&aws)
        .env("SERVICE_NAME", "web worker")
        .env("ROLLBACK", "true")
        .env("ROLLBACK_SIBLINGS", "true")
        .run();
    let plain = output.without_debug();
    assert_eq!(output.code, Some(1), "{plain}");
    assert_eq!(
        changes(&aws),
        [
            "RegisterTaskDefinition",
            "UpdateService",
            "UpdateService",
            "UpdateService",
            "UpdateService"
        ]
    );
    for name in ["web", "worker"] {
        assert!(
            plain.contains(&format!(
                "`{name}` was rolled back to `web:6`, and that deployment completed"
            )),
            "{plain}"
        );
    }
}

#[test]
fn a_service_that_ecs_does_not_update_takes_those_before_it_back() {
    let both = |service: &Value| {
        Reply::json(&json!({"services": [service, worker(service.clone())], "failures": []}))
    };
    let back = service(&[deployment(BACK, "PRIMARY", 6, "COMPLETED", 2)], &[]);
    let aws = timeline()
        .on("DescribeServices", [both(&before())])
        .on(
            "UpdateService",
            [
                Reply::json(&json!({"service": rolling(0, 2, &[])})),
                Reply::error(
                    400,
                    "InvalidParameterException",
                    "The container web does not exist in the task definition.",
                ),
                Reply::json(&json!({"service": back})),
            ],
        )
        .on(
            Call::to("DescribeServices").after_nth(3, "UpdateService"),
            [look(&back)],
        )
        .start();
    let output = pipe(&aws)
        .env("SERVICE_NAME", "web worker")
        .env("ROLLBACK", "true")
        .env("ROLLBACK_SIBLINGS", "true")
        .run();
    assert_eq!(output.code, Some(1));
    insta::assert_snapshot!(ending(&output.without_debug()), @r"
    ✖ Failed to update the stack. Could not update the service `worker`: InvalidParameterException: The container web does not exist in the task definition. (request scripted)
      `web` was rolled back to `web:6`, and that deployment completed
      changed before that: registered 1 (`arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7`), updated services 2 (`web`, `web`)
    ");
}
