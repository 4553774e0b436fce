//! What users of the pipe that people come from have in their files: `update`, then `alias` with the version that jq read.

use std::process::Command;

use serde_json::Value;

use crate::step::{Step, last_line, succeeded, text};

#[test]
fn update_then_jq_then_alias() {
    let step = Step::new();
    let shared = step.directory.path().join("shared");
    let zip = step.zip("build/orders.zip", "second");
    let configuration = step.file(
        "configuration.json",
        r#"{"MemorySize": 256, "Environment": {"Variables": {"STAGE": "prod", "DATABASE_URL": "postgres://second-secret@db"}}}"#,
    );
    let update = step
        .pipe()
        .env("COMMAND", "update")
        .env("ZIP_FILE", &zip)
        .env("FUNCTION_CONFIGURATION", text(&configuration))
        .env("WAIT", "true")
        .env("BITBUCKET_PIPE_SHARED_STORAGE_DIR", text(&shared))
        .run();
    println!("{}", update.plain());
    succeeded(&update);
    assert_eq!(
        last_line(&update),
        format!(
            "✔ Deployment successful: `{}` is at version 1",
            step.function
        )
    );
    let file = shared.join("aws-lambda-deploy-env");
    let jq = Command::new("jq")
        .args(["--raw-output", ".Version"])
        .arg(&file)
        .output()
        .unwrap();
    let version = String::from_utf8(jq.stdout).unwrap().trim().to_owned();
    assert_eq!(version, "1");
    let answer: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    for member in [
        "FunctionName",
        "FunctionArn",
        "CodeSha256",
        "CodeSize",
        "RevisionId",
        "Runtime",
    ] {
        assert!(answer.get(member).is_some(), "{member} is not in {answer}");
    }

    let alias = step
        .pipe()
        .env("COMMAND", "alias")
        .env("ALIAS", "production")
        .env("VERSION", &version)
        .env("DESCRIPTION", "Live")
        .run();
    succeeded(&alias);
    assert_eq!(
        last_line(&alias),
        format!(
            "✔ Alias updated: `{}` alias `production` is at version 1",
            step.function
        )
    );
    let alias = step.alias("production");
    assert_eq!(
        (
            alias["FunctionVersion"].as_str(),
            alias["Description"].as_str()
        ),
        (Some("1"), Some("Live"))
    );
    let live = step.configuration(&format!("{}:1", step.function));
    assert_eq!(live["MemorySize"], 256);
    assert_eq!(live["Environment"]["Variables"]["STAGE"], "prod");
}
