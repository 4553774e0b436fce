//! Deploys that go well: what is asked of ECS, in order, what is printed, and what runs afterwards.

use crate::step::{Step, text, verdict};

#[test]
fn a_file_is_registered_and_the_service_updated() {
    let (step, before) = Step::with_service();
    step.file("task.json", &step.definition("web:2").to_string());
    let output = step
        .pipe()
        .env("TASK_DEFINITION", "task.json")
        .env("WAIT", "true")
        .run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(
        step.changes(),
        ["RegisterTaskDefinition", "UpdateService"],
        "{plain}"
    );
    assert_eq!(
        step.live_definition("web")["containerDefinitions"][0]["image"],
        "web:2"
    );
    assert_ne!(step.live("web")["taskDefinition"], before.as_str());
    for words in [
        "INFO: Updating the task definition...",
        "INFO: Using task definition: ",
        "INFO: Update the web service.",
        "INFO: Waiting for service to become Stable...",
        "INFO: Service web has become stable",
    ] {
        assert!(plain.contains(words), "{words}: {plain}");
    }
    assert_eq!(
        verdict(&plain),
        "✔ Successfully updated the web service. You can check you service here: "
    );
    assert!(plain.contains(&format!(
        "https://console.aws.amazon.com/ecs/home?region=us-east-1#/clusters/{}/services/web/details",
        step.cluster
    )));
    assert!(
        !plain.contains("test-stage-value"),
        "values of environment variables are masked: {plain}"
    );
}

#[test]
fn only_the_image_of_what_runs_is_changed() {
    let (step, _) = Step::with_service();
    let output = step.pipe().env("IMAGE", "web:2").env("WAIT", "true").run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(step.changes(), ["RegisterTaskDefinition", "UpdateService"]);
    assert!(
        plain.contains("~ containerDefinitions[web].image: \"web:1\" → \"web:2\""),
        "{plain}"
    );
    let container = &step.live_definition("web")["containerDefinitions"][0];
    assert_eq!(container["image"], "web:2");
    assert_eq!(
        container["environment"][0]["value"], "test-stage-value",
        "all else stays"
    );
    assert!(!plain.contains("test-stage-value"), "{plain}");
}

#[test]
fn what_runs_already_is_neither_registered_nor_deployed_again() {
    let (step, before) = Step::with_service();
    step.file("task.json", &step.definition("web:1").to_string());
    for (name, value) in [
        ("TASK_DEFINITION", "task.json"),
        ("IMAGE", "web:1"),
        ("TASK_DEFINITION", before.as_str()),
        ("DESIRED_COUNT", "1"),
    ] {
        step.proxy.clear();
        let output = step.pipe().env(name, value).env("WAIT", "true").run();
        let plain = output.plain();
        assert_eq!(output.code, Some(0), "{name}={value}: {plain}");
        assert_eq!(step.changes(), [""; 0], "{name}={value}: {plain}");
        assert!(
            verdict(&plain).starts_with("✔ unchanged: the service web runs "),
            "{plain}"
        );
    }
    assert_eq!(step.live("web")["taskDefinition"], before.as_str());
    // A revision that was registered and never deployed is taken, not copied.
    let registered = step.register(&step.definition("web:2"));
    step.proxy.clear();
    let output = step.pipe().env("IMAGE", "web:2").env("WAIT", "true").run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert_eq!(step.changes(), ["UpdateService"]);
    assert_eq!(step.live("web")["taskDefinition"], registered.as_str());
}

#[test]
fn a_forced_deployment_replaces_the_tasks_without_a_new_revision() {
    let (step, before) = Step::with_service();
    let output = step
        .pipe()
        .env("FORCE_NEW_DEPLOYMENT", "True")
        .env("WAIT", "true")
        .run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(step.changes(), ["UpdateService"]);
    assert_eq!(step.bodies("UpdateService")[0]["forceNewDeployment"], true);
    assert!(plain.contains("update    web  (forced)"), "{plain}");
    assert_eq!(step.live("web")["taskDefinition"], before.as_str());
}

#[test]
fn several_services_get_one_definition_and_are_waited_for_together() {
    let (step, before) = Step::with_service();
    step.service("worker", &before);
    let output = step
        .pipe()
        .env("SERVICE_NAME", "web worker")
        .env("IMAGE", "web:2")
        .env("WAIT", "true")
        .run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(
        step.changes(),
        ["RegisterTaskDefinition", "UpdateService", "UpdateService"]
    );
    assert_eq!(
        step.live("web")["taskDefinition"],
        step.live("worker")["taskDefinition"]
    );
    assert!(
        plain.contains("✔ Successfully updated the web, worker services."),
        "{plain}"
    );
}

#[test]
fn all_that_changes_about_a_service_is_one_update() {
    let (step, _) = Step::with_service();
    step.file(
        "service.yml",
        "healthCheckGracePeriodSeconds: 60\nnetworkConfiguration:\n  awsvpcConfiguration:\n    subnets: [subnet-1, subnet-2]\ntags:\n- {key: team, value: web}\n",
    );
    let pipe = || {
        step.pipe()
            .env("SERVICE_DEFINITION", "service.yml")
            .env("DESIRED_COUNT", "2")
            .env("DEPLOYMENT_CONFIGURATION", "{minimumHealthyPercent: 50}")
            .env("WAIT", "true")
    };
    let output = pipe().run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(step.changes(), ["TagResource", "UpdateService"], "{plain}");
    for line in [
        "~ desiredCount: 1 → 2",
        "~ deploymentConfiguration.minimumHealthyPercent: 100 → 50",
        "+ tags[team]: \"web\"",
    ] {
        assert!(plain.contains(line), "{line}: {plain}");
    }
    let live = step.live("web");
    assert_eq!(live["desiredCount"], 2);
    assert_eq!(
        live["deploymentConfiguration"]["maximumPercent"], 200,
        "what was not named stays"
    );
    step.proxy.clear();
    let output = pipe().run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert_eq!(step.changes(), [""; 0], "{}", output.plain());
}

#[test]
fn a_service_that_does_not_exist_is_created_from_its_file() {
    let step = Step::new();
    step.file("task.json", &step.definition("web:1").to_string());
    step.file(
        "service.json",
        r#"{"serviceName": "ignored", "desiredCount": 1, "launchType": "FARGATE", "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}}"#,
    );
    let output = step
        .pipe()
        .env("TASK_DEFINITION", "task.json")
        .env("SERVICE_DEFINITION", "service.json")
        .env("CREATE_SERVICE", "true")
        .env("WAIT", "true")
        .run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(step.changes(), ["RegisterTaskDefinition", "CreateService"]);
    assert_eq!(step.live("web")["launchType"], "FARGATE");
}

#[test]
fn a_dry_run_prints_the_plan_and_the_difference_and_changes_nothing() {
    let (step, before) = Step::with_service();
    let pipe = || {
        step.pipe()
            .env("IMAGE", "web:2")
            .env("DESIRED_COUNT", "3")
            .env("ENVIRONMENT", "STAGE=another-value")
            .env("RUN_TASK_BEFORE", "./migrate --all")
            .secret("another-value")
    };
    for (name, value) in [("DRY_RUN", "true"), ("COMMAND", "diff")] {
        step.proxy.clear();
        let output = pipe().env(name, value).run();
        let plain = output.without_debug();
        assert_eq!(output.code, Some(0), "{plain}");
        assert_eq!(step.changes(), [""; 0]);
        for line in [
            "~ containerDefinitions[web].image: \"web:1\" → \"web:2\"",
            "~ containerDefinitions[web].environment[STAGE].value: ",
            "run       ./migrate --all in web  (RUN_TASK_BEFORE)",
            "update    web  (task definition, desiredCount)",
            "~ desiredCount: 1 → 3",
            "plan: register 1, create 0, update 1, unchanged 0",
        ] {
            assert!(plain.contains(line), "{line}: {plain}");
        }
    }
    let output = pipe()
        .env("COMMAND", "diff")
        .env("FAIL_ON_DIFFERENCE", "true")
        .run();
    assert_eq!(output.code, Some(1));
    assert_eq!(step.live("web")["taskDefinition"], before.as_str());
}

#[test]
fn later_steps_get_variables_and_a_report() {
    let (step, before) = Step::with_service();
    let results = tempfile::tempdir().unwrap();
    let variables = results.path().join("variables");
    let output = step
        .pipe()
        .env("IMAGE", "web:2")
        .env("WAIT", "true")
        .env("BITBUCKET_PIPELINES_VARIABLES_PATH", text(&variables))
        .env("BITBUCKET_PIPE_STORAGE_DIR", text(results.path()))
        .run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let live = step.live("web");
    let written = std::fs::read_to_string(&variables).unwrap();
    let lines: Vec<&str> = written.lines().collect();
    let arn = live["taskDefinition"].as_str().unwrap();
    let id = live["deployments"][0]["id"].as_str().unwrap();
    assert_eq!(
        lines,
        [
            format!(
                "ECS_DEPLOY_CONSOLE_URL=https://console.aws.amazon.com/ecs/home?region=us-east-1#/clusters/{}/services/web/details",
                step.cluster
            ),
            format!("ECS_DEPLOY_DEPLOYMENT_ID={id}"),
            format!("ECS_DEPLOY_PREVIOUS_TASK_DEFINITION_ARN={before}"),
            format!("ECS_DEPLOY_TASK_DEFINITION_ARN={arn}"),
        ]
    );
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(results.path().join("report.json")).unwrap())
            .unwrap();
    assert_eq!(report["result"], "success");
    assert_eq!(report["plan"]["services"][0]["action"], "update");
    assert_eq!(report["changed"]["registered"][0], arn);
}

#[test]
fn the_status_is_shown_and_nothing_is_changed() {
    let (step, _) = Step::with_service();
    let output = step.pipe().env("COMMAND", "status").run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(step.changes(), [""; 0]);
    assert!(
        plain.contains("web: 1 of 1 running, 0 pending\n  PRIMARY  "),
        "{plain}"
    );
    assert_eq!(verdict(&plain), "✔ 1 of 1 services are settled");
}
