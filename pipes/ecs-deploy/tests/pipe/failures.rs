//! Deployments that fail, played by a script: that they are failures, and that the report says why.

use serde_json::json;
use shared::testing::{Call, Reply};

use crate::script::*;
use crate::step::ending;

fn crashed(id: &str) -> serde_json::Value {
    stopped(
        id,
        "EssentialContainerExited",
        "Essential container in task exited",
        json!({"exitCode": 1}),
    )
}

/// The service after ECS's circuit breaker took it back to this revision.
fn taken_back(revision: u32) -> Vec<serde_json::Value> {
    let failed = with(
        deployment(NEW, "ACTIVE", 7, "FAILED", 0),
        "rolloutStateReason",
        json!("ECS deployment circuit breaker: tasks failed to start."),
    );
    let back = |state: &str, running: i64| {
        with(
            deployment(BACK, "PRIMARY", revision, state, running),
            "rolloutStateReason",
            json!(format!(
                "ECS deployment circuit breaker: rolling back to deploymentId {OLD}."
            )),
        )
    };
    vec![
        service(
            &[back("IN_PROGRESS", 1), failed],
            &["(deployment ecs-svc/7) deployment failed: tasks failed to start."],
        ),
        service(&[back("COMPLETED", 2)], &[]),
    ]
}

#[test]
fn a_rollback_by_the_circuit_breaker_is_a_failure_with_its_causes() {
    let looks = [vec![rolling(0, 2, &[]), rolling(1, 2, &[])], taken_back(6)].concat();
    let aws = stops(rollout(timeline(), looks), &[crashed("t1"), crashed("t2")])
        .on("GetLogEvents", [Reply::json(&json!({"events": [
            {"message": "connecting to the database", "timestamp": 1},
            {"message": "Error: DATABASE_URL is not set", "timestamp": 2}], "nextForwardToken": "f/1"}))])
        .start();
    let storage = tempfile::tempdir().unwrap();
    let output = pipe(&aws)
        .env(
            "BITBUCKET_PIPE_STORAGE_DIR",
            storage.path().to_str().unwrap(),
        )
        .run();
    assert_eq!(output.code, Some(1));
    insta::assert_snapshot!(ending(&output.without_debug()), @r"
    ✖ Error waiting for service to become stable: the deployment `ecs-svc/1000000000000000007` of `web` failed and ECS rolled it back, to `web:6`: ECS deployment circuit breaker: tasks failed to start.
      why tasks stopped:
        2 × `web` exited with code 1: an error of the program
            ECS says: Essential container in task exited
            last lines of /ecs/web web/web/t1:
              connecting to the database
              Error: DATABASE_URL is not set
      changed before that: registered 1 (`arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7`), updated services 1 (`web`)
    ");
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(storage.path().join("report.json")).unwrap())
            .unwrap();
    assert_eq!(report["result"], "failure");
    let cause = &report["failures"][0]["causes"][0];
    assert_eq!(cause["exitCode"], 1);
    assert_eq!(cause["stopCode"], "EssentialContainerExited");
    assert_eq!(cause["tasks"], json!(["t1", "t2"]));
    assert_eq!(cause["log"]["lines"][1], "Error: DATABASE_URL is not set");
}

#[test]
fn a_rollback_to_the_same_revision_is_a_failure_too() {
    // Nothing but the id of the deployment tells it from a success.
    let looks = [vec![rolling(0, 2, &[])], taken_back(7)].concat();
    let aws = rollout(timeline(), looks).start();
    let output = pipe(&aws).env("FORCE_NEW_DEPLOYMENT", "true").run();
    assert_eq!(output.code, Some(1));
    let ending = ending(&output.without_debug());
    assert!(
        ending.contains("ECS rolled it back, to the same revision `web:7` as it ran before"),
        "{ending}"
    );
}

#[test]
fn a_crash_loop_is_stopped_by_the_brake() {
    let looping = with(
        rolling(0, 2, &["has started 1 tasks: (task t3)."]),
        "deployments",
        json!([
            with(
                deployment(NEW, "PRIMARY", 7, "IN_PROGRESS", 0),
                "failedTasks",
                json!(3)
            ),
            deployment(OLD, "ACTIVE", 6, "COMPLETED", 2)
        ]),
    );
    let aws = stops(
        rollout(timeline(), [rolling(0, 2, &[]), looping]),
        &[crashed("t1"), crashed("t2"), crashed("t3")],
    )
    .start();
    let output = pipe(&aws).run();
    assert_eq!(output.code, Some(1));
    insta::assert_snapshot!(ending(&output.without_debug()), @r"
    ✖ Error waiting for service to become stable: the deployment `ecs-svc/1000000000000000007` of `web` is in a crash loop: 3 of its tasks stopped for the same cause, `web` exited with code 1: an error of the program
      why tasks stopped:
        3 × `web` exited with code 1: an error of the program
            ECS says: Essential container in task exited
      hint: ECS goes on trying; with ROLLBACK: true the pipe would go back to the last successful deployment now
      changed before that: registered 1 (`arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7`), updated services 1 (`web`)
    ");
    // Without ROLLBACK the service is left as ECS has it.
    assert_eq!(changes(&aws), ["RegisterTaskDefinition", "UpdateService"]);
}

#[test]
fn the_brake_can_be_taken_off() {
    let aws = stops(
        rollout(
            timeline(),
            [
                rolling(0, 2, &["(task t1) failed container health checks."]),
                rolling(1, 1, &[]),
                done(),
            ],
        ),
        &[crashed("t1"), crashed("t2"), crashed("t3")],
    )
    .start();
    let output = pipe(&aws).env("CRASH_LOOP_LIMIT", "0").run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
}

#[test]
fn an_image_that_cannot_be_pulled_is_named_with_what_to_do() {
    let missing = |id: &str| {
        stopped(
            id,
            "TaskFailedToStart",
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref example/web:7: example/web:7: not found",
            json!({"reason": "CannotPullContainerError: failed to resolve ref example/web:7: not found"}),
        )
    };
    let failing = rolling(0, 2, &["was unable to place a task."]);
    let aws = stops(
        rollout(timeline(), [failing]),
        &[missing("t1"), missing("t2"), missing("t3")],
    )
    .start();
    let output = pipe(&aws).run();
    assert_eq!(output.code, Some(1));
    insta::assert_snapshot!(ending(&output.without_debug()), @r"
    ✖ Error waiting for service to become stable: the deployment `ecs-svc/1000000000000000007` of `web` is in a crash loop: 3 of its tasks stopped for the same cause, the image of `web` could not be pulled
      why tasks stopped:
        3 × the image of `web` could not be pulled
            ECS says: CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref example/web:7: example/web:7: not found
            ECS says: CannotPullContainerError: failed to resolve ref example/web:7: not found
            what to do: there is no such thing by this name: check the repository and the tag of the image, or the name of the secret or log group
      hint: ECS goes on trying; with ROLLBACK: true the pipe would go back to the last successful deployment now
      changed before that: registered 1 (`arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7`), updated services 1 (`web`)
    ");
}

#[test]
fn failed_health_checks_come_with_the_view_of_the_target_group() {
    let group =
        "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef";
    let unhealthy = |id: &str| {
        stopped(
            id,
            "ServiceSchedulerInitiated",
            &format!("Task failed ELB health checks in (target-group {group})"),
            json!({"exitCode": 143}),
        )
    };
    let failing = with(
        rolling(
            1,
            2,
            &[
                "(port 80) is unhealthy in (target-group web) due to (reason Health checks failed with these codes: [502]).",
            ],
        ),
        "loadBalancers",
        json!([{"targetGroupArn": group, "containerName": "web", "containerPort": 80}]),
    );
    let aws = stops(
        rollout(timeline(), [failing]),
        &[unhealthy("t1"), unhealthy("t2"), unhealthy("t3")],
    )
    .on("DescribeTargetHealth", [Reply::xml(
        "<DescribeTargetHealthResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><DescribeTargetHealthResult><TargetHealthDescriptions>\
         <member><Target><Id>10.0.0.1</Id><Port>80</Port></Target><TargetHealth><State>unhealthy</State><Reason>Target.ResponseCodeMismatch</Reason>\
         <Description>Health checks failed with these codes: [502]</Description></TargetHealth></member>\
         <member><Target><Id>10.0.0.2</Id><Port>80</Port></Target><TargetHealth><State>healthy</State></TargetHealth></member>\
         </TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>",
    )])
    .start();
    let output = pipe(&aws).run();
    assert_eq!(output.code, Some(1));
    insta::assert_snapshot!(ending(&output.without_debug()), @r"
    ✖ Error waiting for service to become stable: the deployment `ecs-svc/1000000000000000007` of `web` is in a crash loop: 3 of its tasks stopped for the same cause, the health check of the load balancer failed
      why tasks stopped:
        3 × the health check of the load balancer failed
            ECS says: Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef)
            what to do: the target group does not get the answer that it expects in time: check the path, the port and the security group, and healthCheckGracePeriodSeconds for a slow start
      targets of targetgroup/web/0123456789abcdef without traffic:
        1 × unhealthy, Target.ResponseCodeMismatch: Health checks failed with these codes: [502]
      hint: ECS goes on trying; with ROLLBACK: true the pipe would go back to the last successful deployment now
      changed before that: registered 1 (`arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7`), updated services 1 (`web`)
    ");
}

#[test]
fn another_deploy_that_takes_over_is_said_as_such() {
    let another = service(
        &[
            deployment("ecs-svc/9", "PRIMARY", 8, "IN_PROGRESS", 1),
            deployment(NEW, "ACTIVE", 7, "IN_PROGRESS", 1),
        ],
        &[],
    );
    let aws = rollout(timeline(), [rolling(1, 2, &[]), another]).start();
    let output = pipe(&aws).env("ROLLBACK", "true").run();
    assert_eq!(output.code, Some(1));
    insta::assert_snapshot!(ending(&output.without_debug()), @r"
    ✖ Error waiting for service to become stable: the deployment `ecs-svc/1000000000000000007` of `web` was superseded by `ecs-svc/9` before it completed: another deploy took over the service
      `web` was not rolled back: another deploy took it over
      hint: the service runs what the other deploy says; let deploys of one environment follow each other, with `deployment` on the step
      changed before that: registered 1 (`arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7`), updated services 1 (`web`)
    ");
    // What the other deploy did is not undone.
    assert_eq!(changes(&aws), ["RegisterTaskDefinition", "UpdateService"]);
}

#[test]
fn an_update_that_is_denied_names_the_action_and_changes_nothing_more() {
    let aws = timeline()
        .on("UpdateService", [Reply::error(400, "AccessDeniedException",
            "User: arn:aws:sts::1:assumed-role/deploy/s is not authorized to perform: ecs:UpdateService on resource: web")])
        .start();
    let output = pipe(&aws).run();
    assert_eq!(output.code, Some(1));
    insta::assert_snapshot!(ending(&output.without_debug()), @r"
    ✖ Failed to update the stack. Could not update the service `web`: AccessDeniedException: User: arn:aws:sts::1:assumed-role/deploy/s is not authorized to perform: ecs:UpdateService on resource: web (request scripted)
      hint: allow `ecs:UpdateService` in the policy of the role or user that the run authenticated as
      changed before that: registered 1 (`arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7`)
    ");
}

#[test]
fn evidence_that_may_not_be_read_is_named_and_the_failure_stays_the_news() {
    let denied = |action: &str| {
        Reply::error(
            400,
            "AccessDeniedException",
            &format!("User: deploy is not authorized to perform: {action} on resource: *"),
        )
    };
    let aws = rollout(timeline(), taken_back(6))
        .on(
            Call::to("ListTasks").after("UpdateService"),
            [denied("ecs:ListTasks")],
        )
        .start();
    let output = pipe(&aws).run();
    assert_eq!(output.code, Some(1));
    insta::assert_snapshot!(ending(&output.without_debug()), @r"
    ✖ Error waiting for service to become stable: the deployment `ecs-svc/1000000000000000007` of `web` failed and ECS rolled it back, to `web:6`: ECS deployment circuit breaker: tasks failed to start.
      could not list the stopped tasks of the service `web`: AccessDeniedException: User: deploy is not authorized to perform: ecs:ListTasks on resource: * (request scripted)
        hint: allow `ecs:ListTasks` in the policy of the role or user that the run authenticated as
      changed before that: registered 1 (`arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7`), updated services 1 (`web`)
    ");
}
