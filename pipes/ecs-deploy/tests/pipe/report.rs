//! The failure report that the README shows is the one that the pipe prints.

use serde_json::json;
use shared::testing::{Call, Reply};

use crate::script::*;

#[test]
fn the_readme_shows_what_the_pipe_prints() {
    let killed = |id: &str| {
        let reason = "OutOfMemoryError: Container killed due to memory usage";
        stopped(
            id,
            "EssentialContainerExited",
            "Essential container in task exited",
            json!({"exitCode": 137, "reason": reason}),
        )
    };
    let back = |state: &str, running: i64| {
        let deployments = [
            deployment(BACK, "PRIMARY", 5, state, running),
            deployment(NEW, "ACTIVE", 7, "IN_PROGRESS", 0),
        ];
        Reply::json(&json!({"service": service(&deployments, &[])}))
    };
    let earlier = json!({"serviceDeploymentArn": service_deployment_arn("5"), "status": "SUCCESSFUL", "createdAt": 5.0,
        "targetServiceRevisionArn": revision_arn("ecs-svc/5")});
    let revision = json!({"serviceRevisionArn": revision_arn("ecs-svc/5"), "taskDefinition": definition_arn(5)});
    let looks = [
        rolling(0, 2, &[]),
        rolling(0, 2, &["(task t3) failed to start."]),
    ];
    let tasks = [killed("t1"), killed("t2"), killed("t3")];
    let done = service(&[deployment(BACK, "PRIMARY", 5, "COMPLETED", 2)], &[]);
    let aws = stops(rollout(timeline(), looks), &tasks)
        .on("ListServiceDeployments", [Reply::json(&json!({"serviceDeployments": [earlier]}))])
        .on("DescribeServiceRevisions", [Reply::json(&json!({"serviceRevisions": [revision]}))])
        .on("GetLogEvents", [Reply::json(&json!({"events": [
            {"message": "loading 48 GB of prices into memory", "timestamp": 1}], "nextForwardToken": "f/1"}))])
        .on(
            "UpdateService",
            [Reply::json(&json!({"service": rolling(0, 2, &[])})), back("IN_PROGRESS", 0)],
        )
        .on(Call::to("DescribeServices").after_nth(2, "UpdateService"), [look(&done)])
        .start();
    let output = pipe(&aws).env("ROLLBACK", "true").run();
    assert_eq!(output.code, Some(1));
    let text = output.without_debug();
    let ending = text.find('✖').map_or("", |at| &text[at..]);
    assert!(
        include_str!("../../README.md").contains(ending.trim_end()),
        "the README's failure report is not this:\n{ending}"
    );
}
