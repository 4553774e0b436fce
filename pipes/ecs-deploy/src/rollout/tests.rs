use serde_json::{Value, json};

use super::*;

fn service(raw: Value) -> Service {
    Service::from_answer(raw).unwrap()
}

fn deployment(id: &str, status: &str, state: &str, running: i64) -> Value {
    json!({"id": id, "status": status, "taskDefinition": format!("arn:aws:ecs:r:a:task-definition/web:{}", if id == "new" { 7 } else { 6 }),
        "desiredCount": 2, "runningCount": running, "pendingCount": 0, "rolloutState": state})
}

fn ours() -> Ours {
    Ours {
        deployment: "new".to_owned(),
        is_new: true,
        ..Ours::default()
    }
}

#[test]
fn ours_is_what_the_answer_shows_and_the_state_before_did_not() {
    let before = service(json!({"deployments": [deployment("old", "PRIMARY", "COMPLETED", 2)]}));
    let after = service(json!({"deployments": [
        deployment("new", "PRIMARY", "IN_PROGRESS", 0), deployment("old", "ACTIVE", "COMPLETED", 2)]}));
    let ours = Ours::of_update(Some(&before), &after);
    assert_eq!((ours.deployment.as_str(), ours.is_new), ("new", true));
    let ours = Ours::of_update(Some(&before), &before);
    assert_eq!((ours.deployment.as_str(), ours.is_new), ("old", false));
    assert!(Ours::of_update(None, &before).is_new);
}

#[test]
fn it_is_done_when_our_deployment_completed() {
    let looks = [
        (("PRIMARY", "IN_PROGRESS", 0), false),
        (("PRIMARY", "IN_PROGRESS", 2), false),
        (("PRIMARY", "COMPLETED", 2), true),
    ];
    for ((status, state, running), done) in looks {
        let verdict = ours().judge(
            &service(json!({"deployments": [deployment("new", status, state, running)]})),
            None,
        );
        assert_eq!(verdict == Verdict::Done, done, "{state}: {verdict:?}");
    }
}

#[test]
fn a_change_of_the_number_alone_is_done_when_the_tasks_run() {
    let mut ours = Ours {
        is_new: false,
        ..ours()
    };
    let verdict = ours.judge(
        &service(json!({"deployments": [deployment("new", "PRIMARY", "COMPLETED", 1)]})),
        None,
    );
    assert_eq!(
        verdict,
        Verdict::Waiting("COMPLETED, 1 of 2 running".to_owned())
    );
    let verdict = ours.judge(
        &service(json!({"deployments": [deployment("new", "PRIMARY", "COMPLETED", 2)]})),
        None,
    );
    assert_eq!(verdict, Verdict::Done);
}

#[test]
fn a_rollback_is_a_failure_also_to_the_same_revision() {
    let mut ours = ours();
    let mut failed = deployment("new", "ACTIVE", "FAILED", 0);
    failed["rolloutStateReason"] = json!("tasks failed to start.");
    let mut back = deployment("back", "PRIMARY", "IN_PROGRESS", 1);
    back["taskDefinition"] = failed["taskDefinition"].clone();
    let verdict = ours.judge(&service(json!({"deployments": [back, failed]})), None);
    assert_eq!(
        verdict,
        Verdict::Waiting("ECS is rolling back to `web:7`: tasks failed to start.".to_owned())
    );
    // Ours is gone by the next look, but what was seen is not forgotten.
    back["rolloutState"] = json!("COMPLETED");
    let verdict = ours.judge(&service(json!({"deployments": [back]})), None);
    assert_eq!(
        verdict,
        Verdict::RolledBack {
            why: "tasks failed to start.".to_owned(),
            to: "web:7".to_owned()
        }
    );
}

#[test]
fn a_rollback_between_two_looks_is_known_by_its_reason() {
    let mut back = deployment("back", "PRIMARY", "COMPLETED", 2);
    back["rolloutStateReason"] =
        json!("ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1.");
    let verdict = ours().judge(&service(json!({"deployments": [back]})), None);
    assert!(matches!(verdict, Verdict::RolledBack { .. }), "{verdict:?}");
}

#[test]
fn another_deployment_is_no_rollback() {
    let another = deployment("another", "PRIMARY", "IN_PROGRESS", 1);
    let verdict = ours().judge(
        &service(json!({"deployments": [another, deployment("new", "ACTIVE", "IN_PROGRESS", 1)]})),
        None,
    );
    assert_eq!(verdict, Verdict::Superseded("another".to_owned()));
}

#[test]
fn a_failure_without_a_way_back_is_said_at_once() {
    let mut failed = deployment("new", "PRIMARY", "FAILED", 0);
    failed["rolloutStateReason"] = json!("tasks failed to start.");
    let verdict = ours().judge(&service(json!({"deployments": [failed]})), None);
    assert_eq!(
        verdict,
        Verdict::Failed("tasks failed to start.".to_owned())
    );
    let with_breaker = service(json!({"deployments": [failed],
        "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true, "rollback": true}}}));
    assert!(matches!(
        ours().judge(&with_breaker, None),
        Verdict::Waiting(_)
    ));
}

#[test]
fn the_service_deployment_decides_where_there_is_one() {
    let of = |raw: Value| -> ServiceDeployment { serde_json::from_value(raw).unwrap() };
    let live = service(json!({"deployments": [deployment("new", "PRIMARY", "COMPLETED", 2)]}));
    let superseded =
        service(json!({"deployments": [deployment("another", "PRIMARY", "COMPLETED", 2)]}));
    for (detail, live, expected) in [
        (json!({"status": "SUCCESSFUL"}), &live, Verdict::Done),
        (json!({"status": "SUCCESSFUL"}), &superseded, Verdict::Done),
        (
            json!({"status": "IN_PROGRESS", "lifecycleStage": "BAKE_TIME"}),
            &live,
            Verdict::Waiting("IN_PROGRESS, stage BAKE_TIME".to_owned()),
        ),
        (
            json!({"status": "ROLLBACK_SUCCESSFUL", "statusReason": "Service deployment rolled back.",
                "rollback": {"reason": "the circuit breaker was triggered"}}),
            &live,
            Verdict::RolledBack {
                why: "the circuit breaker was triggered".to_owned(),
                to: String::new(),
            },
        ),
        (
            json!({"status": "ROLLBACK_FAILED", "alarms": {"triggeredAlarmNames": ["5xx"]}}),
            &live,
            Verdict::RollbackFailed("an alarm was triggered (alarms: 5xx)".to_owned()),
        ),
        (
            json!({"status": "STOPPED", "statusReason": "by hand"}),
            &live,
            Verdict::Stopped("by hand".to_owned()),
        ),
        (
            json!({"status": "STOPPED"}),
            &superseded,
            Verdict::Superseded("another".to_owned()),
        ),
        (
            json!({"status": "SOMETHING_NEW"}),
            &live,
            Verdict::Waiting("SOMETHING_NEW".to_owned()),
        ),
    ] {
        let text = detail.to_string();
        assert_eq!(ours().judge(live, Some(&of(detail))), expected, "{text}");
    }
}

#[test]
fn progress_counts_new_tasks_and_old_ones_that_are_gone() {
    let at = |new: i64, old: i64| {
        let look = service(json!({"deployments": [
            deployment("new", "PRIMARY", "IN_PROGRESS", new), deployment("old", "ACTIVE", "COMPLETED", old)]}));
        ours().progress(&look, 2)
    };
    assert!((at(0, 2) - 0.0).abs() < f64::EPSILON);
    assert!((at(1, 2) - 0.25).abs() < f64::EPSILON);
    assert!((at(2, 1) - 0.75).abs() < f64::EPSILON);
    assert!((at(2, 0) - 1.0).abs() < f64::EPSILON);
}
