//! One-off tasks: on the local AWS, where a test stops them, and by a script, where they exit as it says.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::testing::{Call, Proxy, Reply, Timeline};

use crate::script::*;
use crate::step::{Step, ending};

/// A one-off task at this point of its life.
fn task(status: &str, containers: &Value) -> Value {
    json!({"taskArn": "arn:aws:ecs:eu-west-1:123456789012:task/main/t1", "taskDefinitionArn": definition_arn(7),
        "lastStatus": status, "desiredStatus": status, "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited", "containers": containers})
}

/// Runs a task that ends with this exit code, and a rollout that completes.
fn with_task(exit_code: i64) -> Timeline {
    let web = |code: Value| json!([{"name": "web", "exitCode": code}]);
    let pending = json!([{"name": "web"}]);
    let answer = |task: Value| Reply::json(&json!({"tasks": [task], "failures": []}));
    rollout(timeline(), [rolling(1, 1, &[]), done()])
        .on("RunTask", [answer(task("PROVISIONING", &pending))])
        .on(
            "DescribeTasks",
            [
                answer(task("PENDING", &pending)),
                answer(task("RUNNING", &pending)),
                answer(task("STOPPED", &web(json!(exit_code)))),
            ],
        )
        .on("GetLogEvents", [
            Reply::json(&json!({"events": [{"message": "migrating 1 of 2", "timestamp": 1}], "nextForwardToken": "f/1"})),
            Reply::json(&json!({"events": [], "nextForwardToken": "f/1"})).times(3),
            Reply::json(&json!({"events": [{"message": "migrating 2 of 2", "timestamp": 2}], "nextForwardToken": "f/2"})),
            Reply::json(&json!({"events": [], "nextForwardToken": "f/2"})),
        ])
}

fn before(aws: &Proxy) -> shared::testing::Pipe<'_> {
    pipe(aws)
        .env("RUN_TASK_BEFORE", "./manage.py migrate")
        .env("BITBUCKET_STEP_UUID", "{5eed}")
        .env("BITBUCKET_BUILD_NUMBER", "7")
}

#[test]
fn a_task_before_is_done_before_the_service_is_touched() {
    let aws = with_task(0).start();
    let output = before(&aws).run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(
        changes(&aws),
        ["RegisterTaskDefinition", "RunTask", "UpdateService"]
    );
    let body = &aws.bodies("RunTask")[0];
    assert_eq!(
        body["taskDefinition"],
        definition_arn(7),
        "with the new definition"
    );
    assert_eq!(
        body["networkConfiguration"]["awsvpcConfiguration"]["subnets"],
        json!(["subnet-1"])
    );
    assert_eq!(body["launchType"], "FARGATE");
    assert_eq!(
        body["overrides"]["containerOverrides"],
        json!([{"name": "web", "command": ["./manage.py", "migrate"]}])
    );
    assert_eq!(body["startedBy"], "bitbucket-7");
    let token = body["clientToken"].as_str().unwrap().to_owned();
    // Its log is printed as it is written, each line once.
    for line in ["migrating 1 of 2", "migrating 2 of 2"] {
        assert_eq!(plain.matches(line).count(), 1, "{plain}");
    }
    // The same step that is run again asks for the same task, another step for another.
    let again = with_task(0).start();
    assert_eq!(before(&again).run().code, Some(0));
    assert_eq!(again.bodies("RunTask")[0]["clientToken"], token.as_str());
    let other = with_task(0).start();
    assert_eq!(
        before(&other)
            .env("BITBUCKET_STEP_UUID", "{other}")
            .run()
            .code,
        Some(0)
    );
    assert_ne!(other.bodies("RunTask")[0]["clientToken"], token.as_str());
}

#[test]
fn a_task_before_that_fails_leaves_the_service_untouched() {
    let aws = with_task(2).start();
    let output = before(&aws).run();
    assert_eq!(output.code, Some(1));
    assert_eq!(changes(&aws), ["RegisterTaskDefinition", "RunTask"]);
    insta::assert_snapshot!(ending(&output.without_debug()), @r"
    ✖ RUN_TASK_BEFORE: the task `t1` failed: `web` exited with code 2
      why tasks stopped:
        1 × `web` exited with code 2
            ECS says: Essential container in task exited
      changed before that: ran tasks 1 (`t1`), registered 1 (`arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7`)
    ");
}

#[test]
fn a_task_after_that_fails_takes_the_services_back() {
    let back = service(&[deployment(BACK, "PRIMARY", 6, "COMPLETED", 2)], &[]);
    let aws = with_task(1)
        .on(
            "UpdateService",
            [
                Reply::json(&json!({"service": rolling(0, 2, &[])})),
                Reply::json(&json!({"service": back})),
            ],
        )
        .on(
            Call::to("DescribeServices").after_nth(2, "UpdateService"),
            [look(&back)],
        )
        .start();
    let output = pipe(&aws)
        .env("RUN_TASK_AFTER", "./smoke-test")
        .env("ROLLBACK", "true")
        .run();
    let plain = output.without_debug();
    assert_eq!(output.code, Some(1), "{plain}");
    assert_eq!(
        changes(&aws),
        [
            "RegisterTaskDefinition",
            "UpdateService",
            "RunTask",
            "UpdateService"
        ]
    );
    assert!(
        plain.contains("`web` was rolled back to `web:6`, and that deployment completed"),
        "{plain}"
    );
}

#[test]
fn a_task_that_finds_no_place_or_takes_too_long_is_a_failure() {
    let aws = timeline()
        .on(
            "RunTask",
            [Reply::json(
                &json!({"tasks": [], "failures": [{"reason": "RESOURCE:MEMORY"}]}),
            )],
        )
        .start();
    let output = before(&aws).run();
    assert_eq!(output.code, Some(1));
    let plain = output.plain();
    assert!(
        plain.contains("✖ could not run a task of `web:7`: RESOURCE:MEMORY"),
        "{plain}"
    );

    let running = || Reply::json(&json!({"tasks": [task("RUNNING", &json!([{"name": "web"}]))]}));
    let aws = timeline()
        .on("RunTask", [running()])
        .on("DescribeTasks", [running()])
        .on(
            "StopTask",
            [Reply::json(&json!({"task": task("RUNNING", &json!([]))}))],
        )
        .start();
    let start = Instant::now();
    let output = before(&aws).env("RUN_TASK_BEFORE_TIMEOUT", "2").run();
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(output.code, Some(1));
    assert_eq!(
        changes(&aws),
        ["RegisterTaskDefinition", "RunTask", "StopTask"]
    );
    let plain = output.plain();
    assert!(
        plain.contains("✖ RUN_TASK_BEFORE: the task `t1` was stopped after 2 s, the limit that RUN_TASK_BEFORE_TIMEOUT sets"),
        "{plain}"
    );
}

#[test]
fn the_command_runs_one_task_and_no_deploy() {
    let aws = with_task(0).start();
    let run = || {
        pipe(&aws)
            .env("COMMAND", "run-task")
            .env("RUN_TASK", r#"["sh", "-c", "echo done"]"#)
            .env("IMAGE", "")
    };
    let output = run().env("DRY_RUN", "true").run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert_eq!(changes(&aws), [""; 0]);
    let output = run().run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(changes(&aws), ["RunTask"]);
    assert_eq!(
        aws.bodies("RunTask")[0]["taskDefinition"],
        definition_arn(6)
    );
    assert!(
        plain.contains("✔ the task `t1` of `web:6` did its work"),
        "{plain}"
    );
}

#[test]
fn a_task_needs_no_service_when_it_is_told_its_network() {
    let aws = with_task(0).start();
    let run = || {
        pipe(&aws)
            .env("COMMAND", "run-task")
            .env("RUN_TASK", "./manage.py migrate")
            .env("SERVICE_NAME", "")
            .env("IMAGE", "")
    };
    let output = run()
        .env("TASK_DEFINITION", "web:6")
        .env(
            "NETWORK_CONFIGURATION",
            r#"{"awsvpcConfiguration": {"subnets": ["subnet-7", "subnet-8"], "securityGroups": ["sg-7"]}}"#,
        )
        .run();
    let plain = output.without_debug();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(changes(&aws), ["RunTask"]);
    assert!(aws.bodies("DescribeServices").is_empty());
    let body = &aws.bodies("RunTask")[0];
    assert_eq!(body["taskDefinition"], definition_arn(6));
    assert_eq!(
        body["networkConfiguration"]["awsvpcConfiguration"],
        json!({"subnets": ["subnet-7", "subnet-8"], "securityGroups": ["sg-7"]})
    );

    // Without a service there is no definition that "runs now".
    let output = run().run();
    let plain = output.without_debug();
    assert_eq!(output.code, Some(1), "{plain}");
    assert!(plain.contains("TASK_DEFINITION"), "{plain}");
    assert!(plain.trim_end().ends_with("nothing was changed"), "{plain}");
}

#[test]
fn the_local_aws_runs_a_task_where_the_service_is() {
    let (step, before) = Step::with_service();
    let running = step
        .pipe()
        .env("COMMAND", "run-task")
        .env("RUN_TASK", "./manage.py migrate")
        .spawn();
    running.until_printed("RUN_TASK: started task `");
    let tasks = step.ecs(
        "ListTasks",
        &json!({"cluster": step.cluster, "startedBy": "bitbucket-7"}),
    );
    let arn = tasks["taskArns"][0].as_str().unwrap();
    let task = step.ecs(
        "DescribeTasks",
        &json!({"cluster": step.cluster, "tasks": [arn]}),
    );
    assert_eq!(task["tasks"][0]["taskDefinitionArn"], before.as_str());
    assert_eq!(
        task["tasks"][0]["overrides"]["containerOverrides"][0]["command"],
        json!(["./manage.py", "migrate"])
    );
    // The local AWS runs no containers, so the test ends what the pipe waits for.
    step.ecs(
        "StopTask",
        &json!({"cluster": step.cluster, "task": arn, "reason": "the end of the test"}),
    );
    let output = running.wait();
    assert_eq!(step.changes(), ["RunTask"]);
    assert!(
        output.plain().contains("the end of the test"),
        "{}",
        output.plain()
    );
}
