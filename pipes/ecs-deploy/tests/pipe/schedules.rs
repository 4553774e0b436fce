//! SCHEDULES: rules and schedules of the family follow the service to its new revision, and go back when it does.

use serde_json::{Value, json};
use shared::testing::{Proxy, Reply, Timeline};

use crate::script::{
    NEW, definition_arn, deployment, done, pipe, revision_arn, rollout, service,
    service_deployment_arn, timeline,
};

const CLUSTER: &str = "arn:aws:ecs:eu-west-1:123456789012:cluster/main";

fn target(id: &str, arn: &str) -> Value {
    json!({"Id": id, "Arn": CLUSTER, "RoleArn": "arn:aws:iam::123456789012:role/events", "Input": "{\"key\":\"secret-input\"}",
        "EcsParameters": {"TaskDefinitionArn": arn, "TaskCount": 1, "LaunchType": "FARGATE", "Lane": "fast"}})
}

fn schedule(arn: &str) -> Value {
    json!({"Arn": "arn:aws:scheduler:eu-west-1:123456789012:schedule/default/report", "GroupName": "default", "Name": "report",
        "State": "ENABLED", "ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "NONE", "CreationDate": 1.5, "LastModificationDate": 2.5,
        "Target": {"Arn": CLUSTER, "RoleArn": "arn:aws:iam::123456789012:role/scheduler",
            "EcsParameters": {"TaskDefinitionArn": arn, "LaunchType": "FARGATE", "Lane": "fast"}}})
}

/// A rule `nightly` with a target of the family and one of another, and a schedule `report`.
fn with_schedules(timeline: Timeline, revision: u32) -> Timeline {
    let arn = definition_arn(revision);
    let other = "arn:aws:ecs:eu-west-1:123456789012:task-definition/worker:3";
    timeline
        .on("ListRuleNamesByTarget", [Reply::json(&json!({"RuleNames": ["nightly"]}))])
        .on(
            "ListTargetsByRule",
            [Reply::json(&json!({"Targets": [target("1", &arn), target("2", other)]}))],
        )
        .on("PutTargets", [Reply::json(&json!({"FailedEntryCount": 0, "FailedEntries": []}))])
        .on(
            "GET /schedules",
            [Reply::json(&json!({"Schedules": [
                {"GroupName": "default", "Name": "report", "Target": {"Arn": CLUSTER}},
                {"GroupName": "default", "Name": "other", "Target": {"Arn": "arn:aws:lambda:eu-west-1:123456789012:function:f"}},
            ]}))],
        )
        .on("GET /schedules/report", [Reply::json(&schedule(&arn))])
        .on("PUT /schedules/report", [Reply::json(&json!({"ScheduleArn": "arn"}))])
}

/// What was changed of ECS and of the schedules, in order.
fn changes(aws: &Proxy) -> Vec<String> {
    let mut operations = aws.operations();
    operations.retain(|operation| {
        !["Describe", "List", "GET "]
            .iter()
            .any(|verb| operation.starts_with(verb))
    });
    operations
}

fn rule_revisions(aws: &Proxy) -> Vec<String> {
    let arns = aws.bodies("PutTargets");
    let arns = arns
        .iter()
        .map(|body| &body["Targets"][0]["EcsParameters"]["TaskDefinitionArn"]);
    arns.map(|arn| arn.as_str().unwrap().to_owned()).collect()
}

#[test]
fn they_move_when_the_service_has() {
    let aws = with_schedules(rollout(timeline(), [done()]), 6).start();
    let output = pipe(&aws).env("SCHEDULES", "true").run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(0), "{text}");
    assert_eq!(
        changes(&aws),
        [
            "RegisterTaskDefinition",
            "UpdateService",
            "PUT /schedules/report",
            "PutTargets"
        ]
    );
    assert_eq!(
        aws.bodies("PutTargets"),
        [json!({"Rule": "nightly", "Targets": [target("1", &definition_arn(7))]})]
    );
    let mut expected = schedule(&definition_arn(7));
    for name in ["Arn", "Name", "CreationDate", "LastModificationDate"] {
        expected.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(aws.bodies("PUT /schedules/report"), [expected]);
    assert!(
        text.contains("move      rule `nightly`  (web:6 is not the new revision)"),
        "{text}"
    );
    assert!(
        text.contains("move      schedule `default/report`  (web:6 is not the new revision)"),
        "{text}"
    );
    assert!(!output.plain().contains("secret-input"));
}

#[test]
fn a_dry_run_names_them_and_moves_nothing() {
    let aws = with_schedules(timeline(), 6).start();
    let output = pipe(&aws)
        .env("SCHEDULES", "true")
        .env("DRY_RUN", "true")
        .run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(0), "{text}");
    assert!(text.contains("move      rule `nightly`"), "{text}");
    assert_eq!(changes(&aws), [""; 0]);
}

#[test]
fn a_service_that_is_up_to_date_takes_its_schedules_along() {
    let aws = with_schedules(timeline(), 5).start();
    let output = pipe(&aws)
        .env("IMAGE", "example/web:6")
        .env("SCHEDULES", "true")
        .run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(0), "{text}");
    assert_eq!(changes(&aws), ["PUT /schedules/report", "PutTargets"]);
    assert_eq!(rule_revisions(&aws), [definition_arn(6)]);
    let aws = with_schedules(timeline(), 6).start();
    let output = pipe(&aws)
        .env("IMAGE", "example/web:6")
        .env("SCHEDULES", "true")
        .run();
    assert_eq!(output.code, Some(0), "{}", output.without_debug());
    assert!(
        output.without_debug().contains("✔ unchanged"),
        "{}",
        output.without_debug()
    );
    assert_eq!(changes(&aws), [""; 0]);
}

#[test]
fn the_command_rollback_takes_them_back() {
    let back = service(&[deployment(NEW, "PRIMARY", 5, "COMPLETED", 2)], &[]);
    let earlier = json!({"serviceDeploymentArn": service_deployment_arn("5"), "status": "SUCCESSFUL", "createdAt": 5.0,
        "targetServiceRevisionArn": revision_arn("ecs-svc/5")});
    let revision = json!({"serviceRevisionArn": revision_arn("ecs-svc/5"), "taskDefinition": definition_arn(5)});
    let aws = with_schedules(rollout(timeline(), [back]), 6)
        .on(
            "ListServiceDeployments",
            [Reply::json(&json!({"serviceDeployments": [earlier]}))],
        )
        .on(
            "DescribeServiceRevisions",
            [Reply::json(&json!({"serviceRevisions": [revision]}))],
        )
        .start();
    let output = pipe(&aws)
        .env("IMAGE", "")
        .env("COMMAND", "rollback")
        .env("SCHEDULES", "true")
        .run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(0), "{text}");
    assert_eq!(
        changes(&aws),
        ["UpdateService", "PUT /schedules/report", "PutTargets"]
    );
    assert_eq!(rule_revisions(&aws), [definition_arn(5)]);
}

#[test]
fn one_that_cannot_move_takes_the_others_back() {
    let refused = json!({"FailedEntryCount": 1, "FailedEntries": [{"TargetId": "1", "ErrorCode": "X", "ErrorMessage": "the rule is managed"}]});
    let aws = with_schedules(rollout(timeline(), [done()]), 6)
        .on("PutTargets", [Reply::json(&refused)])
        .start();
    let output = pipe(&aws).env("SCHEDULES", "true").run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(1), "{text}");
    assert!(
        text.contains("✖ could not move the rule `nightly` to web:7: the rule is managed"),
        "{text}"
    );
    assert!(
        text.contains("all schedules run the revision again that they ran before"),
        "{text}"
    );
    assert_eq!(
        changes(&aws),
        [
            "RegisterTaskDefinition",
            "UpdateService",
            "PUT /schedules/report",
            "PutTargets",
            "PUT /schedules/report"
        ]
    );
    let back = &aws.bodies("PUT /schedules/report")[1];
    assert_eq!(
        back["Target"]["EcsParameters"]["TaskDefinitionArn"],
        definition_arn(6)
    );
}

#[test]
fn without_permission_nothing_is_changed() {
    let aws = timeline()
        .on("GET /schedules", [Reply::json(&json!({"Schedules": []}))])
        .on(
            "ListRuleNamesByTarget",
            [Reply::error(400, "AccessDeniedException", "no")],
        )
        .start();
    let output = pipe(&aws).env("SCHEDULES", "true").run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(1), "{text}");
    assert!(
        text.contains("allow `events:ListRuleNamesByTarget`"),
        "{text}"
    );
    assert_eq!(changes(&aws), [""; 0]);
}
