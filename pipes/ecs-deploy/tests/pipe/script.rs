//! What AWS answers in the scripted timelines: a service `web` of two tasks that runs `web:6`, its looks and its tasks.

use serde_json::{Value, json};
use shared::testing::{Call, Pipe, Proxy, Reply, Timeline};

/// The deployment that ran before.
pub const OLD: &str = "ecs-svc/1000000000000000006";
/// The deployment that our update starts.
pub const NEW: &str = "ecs-svc/1000000000000000007";
/// The deployment that ECS or we start to go back.
pub const BACK: &str = "ecs-svc/1000000000000000008";

/// ARN of a revision of `web`.
pub fn definition_arn(revision: u32) -> String {
    format!("arn:aws:ecs:eu-west-1:123456789012:task-definition/web:{revision}")
}

/// ARN of a service deployment.
pub fn service_deployment_arn(name: &str) -> String {
    format!("arn:aws:ecs:eu-west-1:123456789012:service-deployment/main/web/{name}")
}

/// ARN of the service revision of a deployment such as [`NEW`].
pub fn revision_arn(deployment: &str) -> String {
    let number = deployment.rsplit('/').next().unwrap();
    format!("arn:aws:ecs:eu-west-1:123456789012:service-revision/main/web/{number}")
}

/// A deployment with this many of two tasks running.
pub fn deployment(id: &str, status: &str, revision: u32, state: &str, running: i64) -> Value {
    json!({"id": id, "status": status, "taskDefinition": definition_arn(revision), "desiredCount": 2,
        "runningCount": running, "pendingCount": 0, "failedTasks": 0, "rolloutState": state, "rolloutStateReason": ""})
}

/// A member of a deployment changed.
pub fn with(mut value: Value, name: &str, member: Value) -> Value {
    value[name] = member;
    value
}

/// The service with these deployments, the newest first, and these events, the newest first.
pub fn service(deployments: &[Value], events: &[&str]) -> Value {
    let running: i64 = deployments
        .iter()
        .filter_map(|each| each["runningCount"].as_i64())
        .sum();
    // An event keeps its id from look to look.
    let events: Vec<Value> = events
        .iter()
        .map(|message| json!({"id": message, "message": format!("(service web) {message}"), "createdAt": 1.0}))
        .collect();
    json!({"serviceArn": "arn:aws:ecs:eu-west-1:123456789012:service/main/web", "serviceName": "web", "status": "ACTIVE",
        "clusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/main", "desiredCount": 2, "runningCount": running,
        "pendingCount": 0, "launchType": "FARGATE", "schedulingStrategy": "REPLICA",
        "taskDefinition": deployments[0]["taskDefinition"], "deployments": deployments, "events": events,
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}})
}

/// An answer of DescribeServices.
pub fn look(service: &Value) -> Reply {
    Reply::json(&json!({"services": [service], "failures": []}))
}

/// The service before the update.
pub fn before() -> Value {
    service(
        &[deployment(OLD, "PRIMARY", 6, "COMPLETED", 2)],
        &["has reached a steady state."],
    )
}

/// The service while it rolls, with so many new and old tasks.
pub fn rolling(new: i64, old: i64, events: &[&str]) -> Value {
    let events = [events, &["has reached a steady state."]].concat();
    service(
        &[
            deployment(NEW, "PRIMARY", 7, "IN_PROGRESS", new),
            deployment(OLD, "ACTIVE", 6, "COMPLETED", old),
        ],
        &events,
    )
}

/// The service when our deployment completed.
pub fn done() -> Value {
    service(&[deployment(NEW, "PRIMARY", 7, "COMPLETED", 2)], &[])
}

/// A stopped task of our deployment.
pub fn stopped(id: &str, stop_code: &str, reason: &str, container: Value) -> Value {
    let mut container = container;
    container["name"] = json!("web");
    json!({"taskArn": format!("arn:aws:ecs:eu-west-1:123456789012:task/main/{id}"), "taskDefinitionArn": definition_arn(7),
        "startedBy": NEW, "lastStatus": "STOPPED", "desiredStatus": "STOPPED", "stopCode": stop_code,
        "stoppedReason": reason, "stoppedAt": 1.0, "containers": [container]})
}

/// A task definition with the image of this revision, as DescribeTaskDefinition answers.
pub fn described(revision: u32) -> Value {
    json!({"taskDefinition": {"taskDefinitionArn": definition_arn(revision), "family": "web", "revision": revision,
        "status": "ACTIVE", "networkMode": "awsvpc", "containerDefinitions": [
            {"name": "web", "image": format!("example/web:{revision}"), "essential": true, "memory": 512,
             "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/web", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "web"}}}]},
        "tags": []})
}

/// All that goes before the rollout: the service runs `web:6`, an update makes it roll to `web:7`; no service
/// deployments, no stopped tasks.
pub fn timeline() -> Timeline {
    let list = |name: &str| Reply::json(&json!({name: []}));
    Timeline::new()
        .on("DescribeServices", [look(&before())])
        .on("DescribeTaskDefinition", [Reply::json(&described(6))])
        .on("RegisterTaskDefinition", [Reply::json(&described(7))])
        .on(
            "UpdateService",
            [Reply::json(&json!({"service": rolling(0, 2, &[])}))],
        )
        .on("ListServiceDeployments", [list("serviceDeployments")])
        .on("ListTasks", [list("taskArns")])
        .on("DescribeTasks", [list("tasks")])
        .on("GetLogEvents", [Reply::json(&json!({"events": []}))])
}

/// How the looks after the update go.
pub fn rollout(timeline: Timeline, looks: impl IntoIterator<Item = Value>) -> Timeline {
    let looks: Vec<Reply> = looks.into_iter().map(|service| look(&service)).collect();
    timeline.on(Call::to("DescribeServices").after("UpdateService"), looks)
}

/// Stopped tasks, from the update on.
pub fn stops(timeline: Timeline, tasks: &[Value]) -> Timeline {
    let arns: Vec<&Value> = tasks.iter().map(|task| &task["taskArn"]).collect();
    timeline
        .on(
            Call::to("ListTasks").after("UpdateService"),
            [Reply::json(&json!({"taskArns": arns}))],
        )
        .on(
            Call::to("DescribeTasks").after("UpdateService"),
            [Reply::json(&json!({"tasks": tasks, "failures": []}))],
        )
}

/// The pipe that deploys the image `example/web:7` with access keys, and waits with looks of a fraction of a second.
pub fn pipe(aws: &Proxy) -> Pipe<'_> {
    Pipe::new(env!("CARGO_BIN_EXE_ecs-deploy"))
        .through(aws)
        .env("AWS_DEFAULT_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE000000000")
        .env("AWS_SECRET_ACCESS_KEY", "played-secret-access-key")
        .env("CLUSTER_NAME", "main")
        .env("SERVICE_NAME", "web")
        .env("IMAGE", "example/web:7")
        .env("WAIT", "true")
        .env("WAIT_INTERVAL", "1")
        .env("WAIT_TIMEOUT", "20")
        .env("NO_COLOR", "1")
}

/// What ECS was asked for that changes something, in order.
pub fn changes(aws: &Proxy) -> Vec<String> {
    let mut operations = aws.operations();
    operations.retain(|operation| {
        !["Describe", "List", "Get"]
            .iter()
            .any(|verb| operation.starts_with(verb))
    });
    operations
}
