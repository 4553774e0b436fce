//! Rollouts that the local AWS does not show, played by a script: what is printed while they go on, and how they end well.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::testing::{Call, Reply, Timeline};

use crate::script::*;
use crate::step::{ending, verdict};

#[test]
fn a_rolling_deployment_is_done_when_ours_completed() {
    let aws = rollout(
        timeline(),
        [
            rolling(0, 2, &[]),
            rolling(1, 2, &["has started 1 tasks: (task a)."]),
            rolling(
                2,
                1,
                &[
                    "has stopped 1 running tasks: (task z).",
                    "has started 1 tasks: (task a).",
                ],
            ),
            rolling(
                2,
                0,
                &[
                    "has stopped 1 running tasks: (task z).",
                    "has started 1 tasks: (task a).",
                ],
            ),
            done(),
        ],
    )
    .start();
    let output = pipe(&aws).run();
    let plain = output.without_debug();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(changes(&aws), ["RegisterTaskDefinition", "UpdateService"]);
    // Each event once, and in their order.
    for event in [
        "web: has started 1 tasks: (task a).",
        "web: has stopped 1 running tasks: (task z).",
    ] {
        assert_eq!(plain.matches(event).count(), 1, "{event}: {plain}");
    }
    assert!(plain.find("has started 1").unwrap() < plain.find("has stopped 1").unwrap());
    assert!(
        !plain.contains("has reached a steady state"),
        "that was before: {plain}"
    );
    assert!(
        verdict(&plain).starts_with("✔ Successfully updated the web service."),
        "{plain}"
    );
}

#[test]
fn without_wait_the_end_is_not_looked_for() {
    let aws = timeline().start();
    let output = pipe(&aws).env("WAIT", "").run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert_eq!(
        aws.operations(),
        [
            "DescribeServices",
            "DescribeTaskDefinition",
            "DescribeTaskDefinition",
            "RegisterTaskDefinition",
            "UpdateService"
        ]
    );
}

#[test]
fn looks_that_are_throttled_or_cut_off_are_repeated() {
    let aws = timeline()
        .on(
            Call::to("DescribeServices").after("UpdateService"),
            [
                Reply::error(400, "ThrottlingException", "Rate exceeded").times(3),
                look(&rolling(1, 2, &[])),
                Reply::reset().times(2),
                Reply::error(500, "ServerException", "Service Unavailable").times(2),
                look(&done()),
            ],
        )
        .start();
    let output = pipe(&aws).env("AWS_MAX_ATTEMPTS", "1").run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert!(
        plain.contains("ThrottlingException: Rate exceeded"),
        "{plain}"
    );
    assert!(plain.contains("; looking again"), "{plain}");
}

#[test]
fn a_deployment_that_takes_too_long_ends_with_what_was_seen_last() {
    let aws = rollout(
        timeline(),
        [rolling(1, 2, &["has started 1 tasks: (task a)."])],
    )
    .start();
    let start = Instant::now();
    let output = pipe(&aws).env("WAIT_TIMEOUT", "2").run();
    let plain = output.without_debug();
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(output.code, Some(1));
    insta::assert_snapshot!(ending(&plain), @r"
    ✖ Error waiting for service to become stable: gave up waiting for `web` after 2 s, the limit that WAIT_TIMEOUT sets: IN_PROGRESS, 1 of 2 running
      no task of it has stopped; the last events:
        (service web) has reached a steady state.
        (service web) has started 1 tasks: (task a).
      hint: ECS goes on with the deployment; raise WAIT_TIMEOUT if it needs longer
      changed before that: registered 1 (`arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7`), updated services 1 (`web`)
    ");
}

#[test]
fn a_signal_while_waiting_says_what_was_changed() {
    for signal in ["TERM", "INT"] {
        let aws = rollout(
            timeline(),
            [rolling(1, 2, &["has started 1 tasks: (task a)."])],
        )
        .start();
        let running = pipe(&aws).spawn();
        running.until_printed("has started 1 tasks");
        let start = Instant::now();
        running.signal(signal);
        let output = running.wait();
        assert!(start.elapsed() < Duration::from_secs(3));
        assert_eq!(output.code, Some(1));
        assert_eq!(
            ending(&output.plain()),
            format!(
                "✖ interrupted by SIG{signal}\n  changed before that: registered 1 (`{}`), updated services 1 (`web`)",
                definition_arn(7)
            )
        );
    }
}

#[test]
fn a_session_that_nearly_ends_is_renewed_while_waiting() {
    let session = |seconds: u64| {
        let end =
            shared::diagnosis::utc(std::time::SystemTime::now() + Duration::from_secs(seconds));
        Reply::xml(&format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <AccessKeyId>ASIASAMPLE</AccessKeyId><SecretAccessKey>played-secret-key</SecretAccessKey>\
             <SessionToken>played-session-token</SessionToken><Expiration>{end}</Expiration></Credentials>\
             <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/deploy/s</Arn><AssumedRoleId>A:s</AssumedRoleId>\
             </AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        ))
    };
    let aws = rollout(timeline(), [rolling(1, 2, &[]), rolling(2, 1, &[]), done()])
        .on("AssumeRoleWithWebIdentity", [session(3600)])
        // The first session ends within the pause that is kept before a renewal.
        .on("AssumeRoleWithWebIdentity", [session(120), session(3600)])
        .start();
    let issuer = shared::testing::Issuer::new("acme", &shared::testing::uuid());
    let token = issuer.step(&shared::testing::uuid()).sign();
    let output = pipe(&aws)
        .env("AWS_ACCESS_KEY_ID", "")
        .env("AWS_SECRET_ACCESS_KEY", "")
        .env("AWS_OIDC_ROLE_ARN", "arn:aws:iam::123456789012:role/deploy")
        .env("BITBUCKET_STEP_OIDC_TOKEN", token)
        .run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert!(
        plain.contains("Renewed the session of arn:aws:sts::123456789012:assumed-role/deploy/s"),
        "{plain}"
    );
}

#[test]
fn credentials_that_end_during_the_wait_are_said_with_what_goes_on() {
    let aws = timeline()
        .on(
            Call::to("DescribeServices").after("UpdateService"),
            [
                look(&rolling(1, 2, &[])),
                Reply::error(
                    400,
                    "ExpiredTokenException",
                    "The security token included in the request is expired",
                ),
            ],
        )
        .start();
    let output = pipe(&aws).run();
    assert_eq!(output.code, Some(1));
    insta::assert_snapshot!(ending(&output.without_debug()), @r"
    ✖ could not describe the services of `main`: ExpiredTokenException: The security token included in the request is expired (request scripted)
      the deployments go on without this run; COMMAND status shows how they end
      hint: the session ended before the work did; ask for a longer one with AWS_OIDC_SESSION_DURATION
      changed before that: registered 1 (`arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7`), updated services 1 (`web`)
    ");
}

/// A look at a service with traffic that moves in stages.
fn staged(strategy: &str, deployments: &[Value]) -> Value {
    with(
        service(deployments, &[]),
        "deploymentConfiguration",
        json!({"strategy": strategy, "bakeTimeInMinutes": 1}),
    )
}

fn stage(status: &str, stage: &str, weight: f64, hooks: &Value) -> Reply {
    Reply::json(&json!({"serviceDeployments": [{
        "serviceDeploymentArn": service_deployment_arn("new"), "status": status, "lifecycleStage": stage,
        "lifecycleHookDetails": hooks,
        "targetServiceRevision": {"arn": revision_arn(NEW), "requestedTaskCount": 2, "runningTaskCount": 2,
            "requestedProductionTrafficWeight": weight}}]}))
}

/// A blue/green deployment through its stages, with a pause hook before production traffic shifts.
fn blue_green(stages: impl IntoIterator<Item = Reply>) -> Timeline {
    by_stages("BLUE_GREEN", stages)
}

/// A deployment of this strategy through its stages.
fn by_stages(strategy: &str, stages: impl IntoIterator<Item = Reply>) -> Timeline {
    let staged = |deployments: &[Value]| staged(strategy, deployments);
    let live = staged(&[deployment(OLD, "PRIMARY", 6, "COMPLETED", 2)]);
    let both = staged(&[
        deployment(NEW, "PRIMARY", 7, "IN_PROGRESS", 2),
        deployment(OLD, "ACTIVE", 6, "COMPLETED", 2),
    ]);
    let brief = |name: &str, id: &str, status: &str, at: f64| {
        json!({"serviceDeploymentArn": service_deployment_arn(name), "targetServiceRevisionArn": revision_arn(id),
            "status": status, "createdAt": at})
    };
    timeline()
        .on("DescribeServices", [look(&live)])
        .on("UpdateService", [Reply::json(&json!({"service": both}))])
        .on(
            Call::to("DescribeServices").after("UpdateService"),
            [look(&both)],
        )
        .on(
            "ListServiceDeployments",
            [Reply::json(
                &json!({"serviceDeployments": [brief("old", OLD, "SUCCESSFUL", 1.0)]}),
            )],
        )
        .on(
            Call::to("ListServiceDeployments").after("UpdateService"),
            [Reply::json(&json!({"serviceDeployments": [
                brief("new", NEW, "IN_PROGRESS", 2.0), brief("old", OLD, "SUCCESSFUL", 1.0)]}))],
        )
        .on("DescribeServiceDeployments", stages)
}

fn paused() -> Value {
    json!([{"hookId": "ecs-pause-1", "targetType": "PAUSE", "status": "AWAITING_ACTION",
        "expiresAt": 2.0, "timeoutAction": "ROLLBACK"}])
}

#[test]
fn blue_green_goes_through_its_stages_and_a_pause_hook_is_continued() {
    let aws = blue_green([
        stage("IN_PROGRESS", "SCALE_UP", 0.0, &json!([])),
        stage("IN_PROGRESS", "TEST_TRAFFIC_SHIFT", 0.0, &json!([])),
        stage("IN_PROGRESS", "POST_TEST_TRAFFIC_SHIFT", 0.0, &paused()).times(2),
    ])
    .on(
        "ContinueServiceDeployment",
        [Reply::json(
            &json!({"serviceDeploymentArn": service_deployment_arn("new")}),
        )],
    )
    .on(
        Call::to("DescribeServiceDeployments").after("ContinueServiceDeployment"),
        [
            stage("IN_PROGRESS", "PRODUCTION_TRAFFIC_SHIFT", 100.0, &json!([])),
            stage("IN_PROGRESS", "BAKE_TIME", 100.0, &json!([])),
            stage("SUCCESSFUL", "CLEAN_UP", 100.0, &json!([])),
        ],
    )
    .start();
    let output = pipe(&aws).env("PAUSE_HOOK", "continue").run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(
        changes(&aws),
        [
            "RegisterTaskDefinition",
            "UpdateService",
            "ContinueServiceDeployment"
        ]
    );
    assert_eq!(
        aws.bodies("ContinueServiceDeployment"),
        [
            json!({"serviceDeploymentArn": service_deployment_arn("new"), "hookId": "ecs-pause-1", "action": "CONTINUE"})
        ]
    );
    let mut rest = plain.as_str();
    for stage in [
        "web: stage SCALE_UP, 0 % of the traffic",
        "web: stage TEST_TRAFFIC_SHIFT",
        "web: stage POST_TEST_TRAFFIC_SHIFT",
        "web: continued the deployment that a pause hook held at POST_TEST_TRAFFIC_SHIFT",
        "web: stage PRODUCTION_TRAFFIC_SHIFT, 100 % of the traffic",
        "web: stage BAKE_TIME",
    ] {
        let at = rest
            .find(stage)
            .unwrap_or_else(|| panic!("{stage}: {plain}"));
        rest = &rest[at..];
    }
}

#[test]
fn a_pause_hook_is_waited_for_and_said_how_to_continue() {
    let aws = blue_green([
        stage("IN_PROGRESS", "POST_TEST_TRAFFIC_SHIFT", 0.0, &paused()).times(3),
        stage("SUCCESSFUL", "CLEAN_UP", 100.0, &json!([])),
    ])
    .start();
    let output = pipe(&aws).run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(changes(&aws), ["RegisterTaskDefinition", "UpdateService"]);
    let hint = format!(
        "`aws ecs continue-service-deployment --service-deployment-arn {} --hook-id ecs-pause-1`",
        service_deployment_arn("new")
    );
    assert_eq!(plain.matches(&hint).count(), 1, "{plain}");
}

/// Each step moves a share of the traffic and bakes, which ECS shows as one stage with another weight.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-linear.html>
#[test]
fn a_linear_deployment_is_followed_step_by_step_and_done_when_it_is_successful() {
    let shift = |weight| {
        stage(
            "IN_PROGRESS",
            "PRODUCTION_TRAFFIC_SHIFT",
            weight,
            &json!([]),
        )
    };
    let aws = by_stages(
        "LINEAR",
        [
            stage("IN_PROGRESS", "SCALE_UP", 0.0, &json!([])),
            shift(10.0),
            shift(40.0),
            shift(100.0),
            stage("IN_PROGRESS", "BAKE_TIME", 100.0, &json!([])),
            stage("SUCCESSFUL", "CLEAN_UP", 100.0, &json!([])),
        ],
    )
    .start();
    let output = pipe(&aws).run();
    let plain = output.without_debug();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(changes(&aws), ["RegisterTaskDefinition", "UpdateService"]);
    let mut rest = plain.as_str();
    for line in [
        "web: stage SCALE_UP, 0 % of the traffic",
        "web: stage PRODUCTION_TRAFFIC_SHIFT, 10 % of the traffic",
        "web: stage BAKE_TIME, 100 % of the traffic",
        "Service web has become stable",
    ] {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line}: {plain}"));
        rest = &rest[at..];
    }
    // It was looked at until it said so, not until the tasks ran.
    assert_eq!(aws.bodies("DescribeServiceDeployments").len(), 6);
}

#[test]
fn a_linear_deployment_that_an_alarm_stops_is_a_failure() {
    let aws = by_stages("LINEAR", [
        stage("IN_PROGRESS", "PRODUCTION_TRAFFIC_SHIFT", 10.0, &json!([])),
        stage("ROLLBACK_IN_PROGRESS", "PRODUCTION_TRAFFIC_SHIFT", 0.0, &json!([])),
        Reply::json(&json!({"serviceDeployments": [{"serviceDeploymentArn": service_deployment_arn("new"),
            "status": "ROLLBACK_SUCCESSFUL", "statusReason": "Service deployment rolled back because of an alarm.",
            "alarms": {"status": "TRIGGERED", "triggeredAlarmNames": ["web-5xx"]}}]})),
    ])
    .start();
    let output = pipe(&aws).run();
    let plain = output.without_debug();
    assert_eq!(output.code, Some(1), "{plain}");
    assert!(
        plain.contains("ECS rolled it back: Service deployment rolled back because of an alarm. (alarms: web-5xx)"),
        "{plain}"
    );
}

#[test]
fn blue_green_that_is_rolled_back_is_a_failure() {
    let aws = blue_green([
        stage("IN_PROGRESS", "BAKE_TIME", 100.0, &json!([])),
        stage("ROLLBACK_IN_PROGRESS", "PRODUCTION_TRAFFIC_SHIFT", 0.0, &json!([])),
        Reply::json(&json!({"serviceDeployments": [{"serviceDeploymentArn": service_deployment_arn("new"),
            "status": "ROLLBACK_SUCCESSFUL", "statusReason": "Service deployment rolled back because of an alarm.",
            "alarms": {"status": "TRIGGERED", "triggeredAlarmNames": ["web-5xx"]}}]})),
    ])
    .start();
    let output = pipe(&aws).run();
    assert_eq!(output.code, Some(1));
    insta::assert_snapshot!(ending(&output.without_debug()), @r"
    ✖ Error waiting for service to become stable: the deployment `ecs-svc/1000000000000000007` of `web` failed and ECS rolled it back: Service deployment rolled back because of an alarm. (alarms: web-5xx)
      changed before that: registered 1 (`arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7`), updated services 1 (`web`)
    ");
}

#[test]
fn a_registration_without_an_answer_is_looked_for_and_not_made_twice() {
    let with_new_image = with(
        described(7),
        "taskDefinition",
        with(
            described(7)["taskDefinition"].clone(),
            "status",
            json!("ACTIVE"),
        ),
    );
    let aws = rollout(timeline(), [done()])
        .on("RegisterTaskDefinition", [Reply::reset()])
        .on(
            Call::to("DescribeTaskDefinition").after("RegisterTaskDefinition"),
            [Reply::json(&with_new_image)],
        )
        .start();
    let output = pipe(&aws).run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert_eq!(changes(&aws), ["RegisterTaskDefinition", "UpdateService"]);
    assert_eq!(
        aws.bodies("UpdateService")[0]["taskDefinition"],
        definition_arn(7)
    );

    // Throttled, it was not made, and is asked for again.
    let aws = rollout(timeline(), [done()])
        .on(
            "RegisterTaskDefinition",
            [
                Reply::error(400, "ThrottlingException", "Rate exceeded"),
                Reply::json(&described(7)),
            ],
        )
        .start();
    assert_eq!(pipe(&aws).run().code, Some(0));
    assert_eq!(
        changes(&aws),
        [
            "RegisterTaskDefinition",
            "RegisterTaskDefinition",
            "UpdateService"
        ]
    );
}

#[test]
fn what_an_earlier_run_began_is_waited_for_by_the_next() {
    let rolling_already = service(
        &[
            deployment(NEW, "PRIMARY", 6, "IN_PROGRESS", 1),
            deployment(OLD, "ACTIVE", 5, "COMPLETED", 1),
        ],
        &[],
    );
    let finished = service(&[deployment(NEW, "PRIMARY", 6, "COMPLETED", 2)], &[]);
    let aws = timeline()
        .on(
            "DescribeServices",
            [look(&rolling_already).times(2), look(&finished)],
        )
        .start();
    let output = pipe(&aws).env("IMAGE", "").run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(changes(&aws), [""; 0]);
    assert!(
        plain.contains("an earlier deployment is still under way"),
        "{plain}"
    );
    assert!(plain.contains("Service web has become stable"), "{plain}");
}

#[test]
fn after_a_deployment_that_failed_the_same_definition_is_deployed_again() {
    let failed = with(
        before(),
        "deployments",
        json!([deployment(OLD, "PRIMARY", 6, "FAILED", 0)]),
    );
    let aws = rollout(timeline(), [done()])
        .on("DescribeServices", [look(&failed)])
        .start();
    let output = pipe(&aws).env("IMAGE", "").run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(
        aws.bodies("UpdateService"),
        [json!({"cluster": "main", "service": "web", "forceNewDeployment": true})]
    );
    assert!(
        plain.contains("update    web  (its last deployment failed)"),
        "{plain}"
    );
}
