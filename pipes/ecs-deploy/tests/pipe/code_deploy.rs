//! Services that CodeDeploy deploys: the AppSpec, the way through the stages, and what a deployment that ends otherwise
//! means.

use serde_json::{Value, json};
use shared::testing::{Call, Reply, Timeline};

use crate::script::{NEW, changes, definition_arn, look, pipe, stopped, timeline};

const ID: &str = "d-A1B2C3D4E";

/// The service of CodeDeploy, which runs this revision in its only task set.
fn service(revision: u32) -> Value {
    json!({"serviceArn": "arn:aws:ecs:eu-west-1:123456789012:service/main/web", "serviceName": "web", "status": "ACTIVE",
        "clusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/main", "desiredCount": 2, "runningCount": 2,
        "pendingCount": 0, "schedulingStrategy": "REPLICA", "deploymentController": {"type": "CODE_DEPLOY"},
        "taskDefinition": definition_arn(revision), "deployments": [], "events": [],
        "loadBalancers": [{"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/1",
            "containerName": "web", "containerPort": 8080}],
        "taskSets": [{"id": "ecs-svc/6", "status": "PRIMARY", "taskDefinition": definition_arn(revision), "stabilityStatus": "STEADY_STATE",
            "computedDesiredCount": 2, "runningCount": 2, "externalId": "d-BEFORE"}],
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}})
}

fn state(status: &str) -> Reply {
    Reply::json(&json!({"deploymentInfo": {"deploymentId": ID, "status": status}}))
}

fn target(event: &str, green: (i64, f64)) -> Reply {
    Reply::json(
        &json!({"deploymentTargets": [{"deploymentTargetType": "ECSTarget", "ecsTarget": {
        "lifecycleEvents": [{"lifecycleEventName": event, "status": "InProgress"}],
        "taskSetsInfo": [
            {"taskSetLabel": "Blue", "desiredCount": 2, "runningCount": 2, "trafficWeight": 100.0 - green.1},
            {"taskSetLabel": "Green", "desiredCount": 2, "runningCount": green.0, "trafficWeight": green.1},
        ]}}]}),
    )
}

/// All before the deployment, which then has these states.
fn script(states: impl IntoIterator<Item = Reply>) -> Timeline {
    timeline()
        .on("DescribeServices", [look(&service(6))])
        .on(
            "GetDeploymentGroup",
            [Reply::json(&json!({"deploymentGroupInfo": {"ecsServices": [{"clusterName": "main", "serviceName": "web"}]}}))],
        )
        .on("CreateDeployment", [Reply::json(&json!({"deploymentId": ID}))])
        .on("GetDeployment", states)
        .on("ListDeploymentTargets", [Reply::json(&json!({"targetIds": ["main:web"]}))])
        .on(
            "BatchGetDeploymentTargets",
            [target("Install", (1, 0.0)), target("AllowTraffic", (2, 10.0))],
        )
        .on(
            "DescribeTargetHealth",
            [Reply::xml("<DescribeTargetHealthResponse><DescribeTargetHealthResult><TargetHealthDescriptions/></DescribeTargetHealthResult></DescribeTargetHealthResponse>")],
        )
        .on("ContinueDeployment", [Reply::json(&json!({}))])
        .on("StopDeployment", [Reply::json(&json!({"status": "Pending"}))])
}

fn content(body: &Value) -> Value {
    let content = body["revision"]["appSpecContent"]["content"]
        .as_str()
        .unwrap();
    serde_json::from_str(content).unwrap()
}

#[test]
fn an_app_spec_is_made_and_the_deployment_followed_to_its_end() {
    let aws = script([
        state("Created"),
        state("InProgress"),
        state("InProgress"),
        state("Succeeded"),
    ])
    .start();
    let output = pipe(&aws).run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(0), "{text}");
    let mut asked = changes(&aws);
    asked.retain(|operation| operation != "BatchGetDeploymentTargets");
    assert_eq!(asked, ["RegisterTaskDefinition", "CreateDeployment"]);
    let body = &aws.bodies("CreateDeployment")[0];
    assert_eq!(
        (&body["applicationName"], &body["deploymentGroupName"]),
        (&json!("AppECS-main-web"), &json!("DgpECS-main-web"))
    );
    assert_eq!(
        content(body)["Resources"][0]["TargetService"]["Properties"],
        json!({"TaskDefinition": definition_arn(7), "LoadBalancerInfo": {"ContainerName": "web", "ContainerPort": 8080}})
    );
    assert!(
        text.contains("web: Install; new 1 of 2 running with 0 % of the traffic, old 2 running"),
        "{text}"
    );
    assert!(
        text.contains("✔ Successfully updated the web service."),
        "{text}"
    );
}

#[test]
fn a_given_app_spec_and_given_names_are_used() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("appspec.yaml");
    let spec = "version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n      Properties:\n        \
                TaskDefinition: <TASK_DEFINITION>\n        PlatformVersion: 1.4.0\nHooks:\n  - AfterAllowTestTraffic: check\n";
    std::fs::write(&path, spec).unwrap();
    let aws = script([state("Succeeded")]).start();
    let output = pipe(&aws)
        .env("CODEDEPLOY_APPSPEC", path.to_str().unwrap())
        .env("CODEDEPLOY_APPLICATION", "shop")
        .env("CODEDEPLOY_GROUP", "blue-green")
        .run();
    assert_eq!(output.code, Some(0), "{}", output.without_debug());
    let body = &aws.bodies("CreateDeployment")[0];
    assert_eq!(
        (&body["applicationName"], &body["deploymentGroupName"]),
        (&json!("shop"), &json!("blue-green"))
    );
    let properties = &content(body)["Resources"][0]["TargetService"]["Properties"];
    assert_eq!(
        properties,
        &json!({"TaskDefinition": definition_arn(7), "PlatformVersion": "1.4.0"})
    );
    assert_eq!(content(body)["Hooks"][0]["AfterAllowTestTraffic"], "check");
}

#[test]
fn a_deployment_that_is_taken_back_is_a_failure() {
    let stopped = json!({"deploymentInfo": {"deploymentId": ID, "status": "Stopped",
        "errorInformation": {"code": "ALARM_ACTIVE", "message": "One or more alarms have been activated"},
        "rollbackInfo": {"rollbackDeploymentId": "d-BACK", "rollbackMessage": "Deployment failed, rolling back"}}});
    let back = json!({"deploymentInfo": {"deploymentId": "d-BACK", "status": "Succeeded"}});
    let aws = script([state("InProgress"), Reply::json(&stopped)])
        .on(
            Call::to("GetDeployment").holding("d-BACK"),
            [Reply::json(&back)],
        )
        .start();
    let output = pipe(&aws).run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(1), "{text}");
    assert!(
        text.contains("ALARM_ACTIVE: One or more alarms have been activated"),
        "{text}"
    );
    assert!(text.contains("rolled"), "{text}");
}

/// The new tasks are those of the task set that the deployment made.
#[test]
fn a_crash_loop_of_the_new_tasks_is_stopped_and_taken_back_by_code_deploy() {
    let mut looping = service(6);
    looping["taskSets"].as_array_mut().unwrap().push(json!({
        "id": NEW, "status": "ACTIVE", "taskDefinition": definition_arn(7), "stabilityStatus": "STABILIZING",
        "computedDesiredCount": 2, "runningCount": 0, "externalId": ID}));
    let tasks = ["t1", "t2", "t3"].map(|id| {
        stopped(
            id,
            "EssentialContainerExited",
            "Essential container in task exited",
            json!({"exitCode": 137}),
        )
    });
    let arns: Vec<&Value> = tasks.iter().map(|task| &task["taskArn"]).collect();
    let crash_loop = || {
        let created = |name: &'static str| Call::to(name).after("CreateDeployment");
        script([state("InProgress")])
            .on(created("DescribeServices"), [look(&looping)])
            .on(
                created("ListTasks"),
                [Reply::json(&json!({"taskArns": arns}))],
            )
            .on(
                created("DescribeTasks"),
                [Reply::json(&json!({"tasks": tasks, "failures": []}))],
            )
    };
    let aws = crash_loop().start();
    let output = pipe(&aws).run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(1), "{text}");
    for words in [
        "the deployment `d-A1B2C3D4E` of `web` is in a crash loop: 3 of its tasks stopped for the same cause",
        "hint: CodeDeploy goes on trying",
        "3 × `web` exited with code 137",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(aws.bodies("StopDeployment").is_empty());

    let taken_back = json!({"deploymentInfo": {"deploymentId": ID, "status": "Stopped",
        "errorInformation": {"code": "MANUAL_STOP", "message": "stopped"},
        "rollbackInfo": {"rollbackDeploymentId": "d-BACK"}}});
    let back = json!({"deploymentInfo": {"deploymentId": "d-BACK", "status": "Succeeded"}});
    let aws = crash_loop()
        .on(
            Call::to("GetDeployment").after("StopDeployment"),
            [Reply::json(&taken_back)],
        )
        .on(
            Call::to("GetDeployment")
                .after("StopDeployment")
                .holding("d-BACK"),
            [Reply::json(&back)],
        )
        .start();
    let output = pipe(&aws).env("ROLLBACK", "true").run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(1), "{text}");
    assert_eq!(
        aws.bodies("StopDeployment"),
        [json!({"deploymentId": ID, "autoRollbackEnabled": true})]
    );
    assert!(
        text.contains("`web` was rolled back to `web:6`, and that deployment completed"),
        "{text}"
    );
}

#[test]
fn the_limit_of_the_wait_names_who_goes_on() {
    let aws = script([state("InProgress")]).start();
    let output = pipe(&aws).env("WAIT_TIMEOUT", "2").run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(1), "{text}");
    assert!(
        text.contains(
            "hint: CodeDeploy goes on with the deployment; raise WAIT_TIMEOUT if it needs longer"
        ),
        "{text}"
    );
}

#[test]
fn one_that_waits_for_its_traffic_is_continued_if_asked() {
    let states = || {
        script([state("InProgress"), state("Ready")]).on(
            Call::to("GetDeployment").after("ContinueDeployment"),
            [state("Succeeded")],
        )
    };
    let aws = states().start();
    let output = pipe(&aws).env("PAUSE_HOOK", "continue").run();
    assert_eq!(output.code, Some(0), "{}", output.without_debug());
    assert_eq!(
        aws.bodies("ContinueDeployment"),
        [json!({"deploymentId": ID, "deploymentWaitType": "READY_WAIT"})]
    );
    let aws = states().start();
    let output = pipe(&aws).env("WAIT_TIMEOUT", "2").run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(1), "{text}");
    assert_eq!(
        text.matches("aws deploy continue-deployment --deployment-id d-A1B2C3D4E")
            .count(),
        1,
        "{text}"
    );
    assert!(aws.bodies("ContinueDeployment").is_empty());
}

#[test]
fn at_the_deadline_it_is_stopped_if_rollback_says_so() {
    let stopped = json!({"deploymentInfo": {"deploymentId": ID, "status": "Stopped",
        "errorInformation": {"code": "MANUAL_STOP", "message": "stopped by the user"},
        "rollbackInfo": {"rollbackDeploymentId": "d-BACK"}}});
    let back = json!({"deploymentInfo": {"deploymentId": "d-BACK", "status": "Succeeded"}});
    let aws = script([state("InProgress")])
        .on(
            Call::to("GetDeployment").after("StopDeployment"),
            [Reply::json(&stopped)],
        )
        .on(
            Call::to("GetDeployment")
                .after("StopDeployment")
                .holding("d-BACK"),
            [Reply::json(&back)],
        )
        .start();
    let output = pipe(&aws)
        .env("WAIT_TIMEOUT", "2")
        .env("ROLLBACK", "true")
        .run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(1), "{text}");
    assert_eq!(
        aws.bodies("StopDeployment"),
        [json!({"deploymentId": ID, "autoRollbackEnabled": true})]
    );
    assert!(text.contains("`web` was rolled back"), "{text}");
}

#[test]
fn what_code_deploy_does_not_have_is_refused_before_the_first_change() {
    let other = json!({"deploymentGroupInfo": {"ecsServices": [{"clusterName": "main", "serviceName": "api"}]}});
    for (reply, why) in [
        (
            Reply::error(
                400,
                "ApplicationDoesNotExistException",
                "No application found",
            ),
            "ApplicationDoesNotExistException: No application found",
        ),
        (Reply::json(&other), "does not deploy the service `web`"),
    ] {
        let aws = script([state("Created")])
            .on("GetDeploymentGroup", [reply])
            .start();
        let output = pipe(&aws).run();
        let text = output.without_debug();
        assert_eq!(output.code, Some(1), "{text}");
        assert!(
            text.contains(why) && text.contains("CODEDEPLOY_APPLICATION"),
            "{text}"
        );
        assert!(text.trim_end().ends_with("nothing was changed"), "{text}");
        assert_eq!(changes(&aws), [""; 0]);
    }
}

#[test]
fn the_command_rollback_goes_to_the_last_success_that_is_another() {
    let deployment = |hash: &str, at: f64| {
        Reply::json(
            &json!({"deploymentInfo": {"status": "Succeeded", "createTime": at,
            "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"sha256": hash}}}}),
        )
    };
    let spec = |revision: u32| {
        let content = json!({"Resources": [{"TargetService": {"Type": "AWS::ECS::Service",
            "Properties": {"TaskDefinition": definition_arn(revision)}}}]});
        Reply::json(&json!({"revision": {"revisionType": "AppSpecContent",
            "appSpecContent": {"content": content.to_string()}}}))
    };
    let ids = json!({"deployments": ["d-NOW", "d-FOUR", "d-FIVE"]});
    let mut aws = script([state("Succeeded")]).on("ListDeployments", [Reply::json(&ids)]);
    for (id, revision, at) in [("d-NOW", 6, 6.0), ("d-FOUR", 4, 4.0), ("d-FIVE", 5, 5.0)] {
        let hash = format!("hash of {id}");
        aws = aws
            .on(
                Call::to("GetDeployment").holding(id),
                [deployment(&hash, at)],
            )
            .on(
                Call::to("GetApplicationRevision").holding(&hash),
                [spec(revision)],
            );
    }
    let aws = aws.start();
    let output = pipe(&aws).env("IMAGE", "").env("COMMAND", "rollback").run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(0), "{text}");
    let properties =
        &content(&aws.bodies("CreateDeployment")[0])["Resources"][0]["TargetService"]["Properties"];
    assert_eq!(properties["TaskDefinition"], definition_arn(5));
    assert!(text.contains("rolled back to web:5"), "{text}");
}
