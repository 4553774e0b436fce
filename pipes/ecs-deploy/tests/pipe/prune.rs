//! KEEP_REVISIONS: old revisions go when the deploy is done, but none that anything uses, and never at its cost.

use serde_json::json;
use shared::testing::{Call, Proxy, Reply, Timeline};

use crate::script::{definition_arn, done, look, pipe, rollout, timeline};

const CLUSTERS: [&str; 2] = [
    "arn:aws:ecs:eu-west-1:123456789012:cluster/main",
    "arn:aws:ecs:eu-west-1:123456789012:cluster/staging",
];

/// Revisions 1 to 7, of which a service in another cluster runs 2, a task 3 and a schedule 4.
fn family(timeline: Timeline) -> Timeline {
    let arns: Vec<String> = (1..=7).map(definition_arn).collect();
    let staging = json!({"serviceName": "web", "taskDefinition": definition_arn(2),
        "deployments": [{"taskDefinition": definition_arn(2)}]});
    let empty = |name: &str| Reply::json(&json!({name: []}));
    timeline
        .on("ListTaskDefinitions", [
            Reply::json(&json!({"taskDefinitionArns": arns[..4], "nextToken": "more"})),
            Reply::json(&json!({"taskDefinitionArns": arns[4..]})),
        ])
        .on("ListClusters", [Reply::json(&json!({"clusterArns": CLUSTERS}))])
        .on("ListServices", [empty("serviceArns")])
        .on(
            Call::to("ListServices").holding("staging"),
            [Reply::json(&json!({"serviceArns": ["staging/web"]}))],
        )
        .on(Call::to("DescribeServices")
                .after("UpdateService")
                .holding("staging/web"), [look(&staging)])
        .on(
            Call::to("ListTasks").holding("\"family\":\"web\""),
            [Reply::json(&json!({"taskArns": ["task"]}))],
        )
        .on(
            Call::to("DescribeTasks").holding("\"tasks\":[\"task\"]"),
            [Reply::json(&json!({"tasks": [{"taskDefinitionArn": definition_arn(3)}]}))],
        )
        .on("ListRuleNamesByTarget", [Reply::json(&json!({"RuleNames": ["nightly"]}))])
        .on(
            "ListTargetsByRule",
            [Reply::json(&json!({"Targets": [{"Id": "1", "Arn": CLUSTERS[1], "EcsParameters": {"TaskDefinitionArn": definition_arn(4)}}]}))],
        )
        .on("GET /schedules", [empty("Schedules")])
        .on("DeregisterTaskDefinition", [Reply::json(&json!({}))])
}

fn deregistered(aws: &Proxy) -> Vec<String> {
    let bodies = aws.bodies("DeregisterTaskDefinition");
    let arns = bodies
        .iter()
        .map(|body| body["taskDefinition"].as_str().unwrap());
    arns.map(str::to_owned).collect()
}

#[test]
fn only_what_nothing_uses_goes() {
    let aws = family(rollout(timeline(), [done()])).start();
    let output = pipe(&aws).env("KEEP_REVISIONS", "1").run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(0), "{text}");
    // 7 is the newest, 6 is what a rollback would need.
    assert_eq!(deregistered(&aws), [1, 5].map(definition_arn));
    assert!(
        text.contains("Deregistered 2 old revisions of web that nothing uses"),
        "{text}"
    );
    let last = aws.operations().pop();
    assert_eq!(last.as_deref(), Some("DeregisterTaskDefinition"));
}

#[test]
fn with_enough_room_nothing_is_asked() {
    let aws = family(rollout(timeline(), [done()])).start();
    let output = pipe(&aws).env("KEEP_REVISIONS", "7").run();
    assert_eq!(output.code, Some(0), "{}", output.without_debug());
    assert_eq!(deregistered(&aws), [""; 0]);
    assert!(!aws.operations().contains(&"ListClusters".to_owned()));
}

#[test]
fn what_cannot_be_seen_or_done_is_a_warning() {
    for (operation, warning) in [
        (
            "ListTaskDefinitions",
            "no old revision of web was deregistered: could not list the revisions",
        ),
        (
            "ListClusters",
            "no old revision of web was deregistered: could not list the clusters",
        ),
        (
            "ListRuleNamesByTarget",
            "no old revision of web was deregistered: could not look for the rules",
        ),
        (
            "DeregisterTaskDefinition",
            "could not deregister the task definition `web:1`: AccessDeniedException",
        ),
    ] {
        let aws = family(rollout(timeline(), [done()]))
            .on(
                operation,
                [Reply::error(400, "AccessDeniedException", "no")],
            )
            .start();
        let output = pipe(&aws).env("KEEP_REVISIONS", "1").run();
        let text = output.without_debug();
        assert_eq!(output.code, Some(0), "{text}");
        assert!(text.contains(&format!("WARNING: {warning}")), "{text}");
        let tries = usize::from(operation == "DeregisterTaskDefinition");
        assert_eq!(deregistered(&aws).len(), tries);
    }
}
