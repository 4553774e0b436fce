use serde_json::{Value, json};

use super::*;

fn task(raw: Value) -> Task {
    serde_json::from_value(raw).unwrap()
}

fn exited(id: &str, at: f64, code: i64) -> Task {
    task(
        json!({"taskArn": format!("arn:aws:ecs:r:a:task/c/{id}"), "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited", "stoppedAt": at,
        "containers": [{"name": "sidecar", "exitCode": 143}, {"name": "web", "exitCode": code}]}),
    )
}

#[test]
fn the_container_to_blame_is_the_one_that_was_not_told_to_stop() {
    for (containers, blamed, code) in [
        (
            json!([{"name": "proxy", "exitCode": 137}, {"name": "web", "exitCode": 1}]),
            Some("web"),
            Some(1),
        ),
        (
            json!([{"name": "proxy", "exitCode": 0}, {"name": "web", "exitCode": 139}]),
            Some("web"),
            Some(139),
        ),
        (
            json!([{"name": "proxy", "exitCode": 143}, {"name": "web", "exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"}]),
            Some("web"),
            Some(137),
        ),
        (
            json!([{"name": "proxy"}, {"name": "web", "reason": "CannotPullContainerError: not found"}]),
            Some("web"),
            None,
        ),
        (
            json!([{"name": "proxy", "exitCode": 143}, {"name": "web", "exitCode": 137, "healthStatus": "UNHEALTHY"}]),
            Some("web"),
            Some(137),
        ),
        (json!([{"name": "proxy"}, {"name": "web"}]), None, None),
    ] {
        let cause = Cause::of(&task(json!({ "containers": containers })));
        assert_eq!(
            (cause.container.as_deref(), cause.exit_code),
            (blamed, code),
            "{containers}"
        );
    }
}

#[test]
fn tasks_of_the_same_cause_are_one_group_and_the_commonest_is_first() {
    let health = |id: &str, address: &str| {
        task(
            json!({"taskArn": format!("t/{id}"), "stopCode": "ServiceSchedulerInitiated",
            "stoppedReason": format!("Task failed ELB health checks in (target {address}:80)"), "stoppedAt": 1}),
        )
    };
    let scaled = task(json!({"stopCode": "ServiceSchedulerInitiated",
        "stoppedReason": "Scaling activity initiated by (deployment ecs-svc/1)"}));
    let groups = group(&[
        health("h1", "10.0.0.1"),
        exited("a", 1.0, 1),
        exited("b", 3.0, 1),
        exited("c", 2.0, 1),
        health("h2", "10.0.0.2"),
        scaled,
    ]);
    let tasks: Vec<&[String]> = groups.iter().map(|group| group.tasks.as_slice()).collect();
    assert_eq!(tasks, [&["b", "c", "a"][..], &["h1", "h2"]]);
}

#[test]
fn the_brake_counts_faults_only() {
    let groups = group(&[
        exited("a", 1.0, 1),
        exited("b", 2.0, 1),
        exited("c", 3.0, 1),
    ]);
    assert!(crash_loop(&groups, 3).is_some());
    assert!(crash_loop(&groups, 4).is_none());
    assert!(crash_loop(&groups, 0).is_none(), "0 switches it off");
    let by_hand = |id: &str| {
        task(json!({"taskArn": id, "stopCode": "UserInitiated", "stoppedReason": "by hand"}))
    };
    assert!(crash_loop(&group(&[by_hand("a"), by_hand("b"), by_hand("c")]), 3).is_none());
}

#[test]
fn causes_are_told_in_words() {
    let headline = |raw: Value| Cause::of(&task(raw)).headline();
    for (raw, expected) in [
        (
            json!({"stopCode": "TaskFailedToStart", "stoppedReason": "CannotPullContainerError: pull image manifest has been retried 1 time(s)", "containers": [{"name": "web", "reason": "CannotPullContainerError"}]}),
            "the image of `web` could not be pulled",
        ),
        (
            json!({"containers": [{"name": "web", "exitCode": 137}]}),
            "`web` exited with code 137: it was killed (SIGKILL): more memory than it may use, or it did not end within stopTimeout after SIGTERM",
        ),
        (
            json!({"containers": [{"name": "web", "exitCode": 42}]}),
            "`web` exited with code 42",
        ),
        (
            json!({"stopCode": "ServiceSchedulerInitiated", "stoppedReason": "Task failed container health checks", "containers": [{"name": "web", "exitCode": 143, "healthStatus": "UNHEALTHY"}]}),
            "the health check of `web` failed",
        ),
        (
            json!({"stopCode": "ServiceSchedulerInitiated", "stoppedReason": "Task failed ELB health checks in (target-group arn)"}),
            "the health check of the load balancer failed",
        ),
        (
            json!({"stopCode": "TaskFailedToStart", "containers": [{"name": "web", "reason": "ResourceInitializationError"}]}),
            "`web` never started",
        ),
    ] {
        assert_eq!(headline(raw.clone()), expected, "{raw}");
    }
}

#[test]
fn ids_and_addresses_are_taken_out_and_nothing_else() {
    assert_eq!(
        general("(task 0123456789abcdef0123) (port 80) on 10.0.1.2:8080 in app-1.2.3: timed out"),
        "(task …) (port 80) on … in app-1.2.3: timed out"
    );
}
