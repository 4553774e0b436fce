//! Deploys that go well: what is asked of ECS, in order, what is printed, and what runs afterwards.

use crate::step::{Step, verdict};

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
