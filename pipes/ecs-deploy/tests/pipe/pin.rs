//! PIN_DIGEST: what ECR says of an image before the definition is registered with its digest.

use serde_json::{Value, json};
use shared::testing::{Call, Reply, Timeline};

use crate::script::{changes, done, pipe, rollout, timeline};

const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const DIGEST: &str = "sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1";

/// What BatchGetImage answers for an image with this manifest.
fn image(manifest: &Value) -> Reply {
    Reply::json(
        &json!({"images": [{"registryId": "123456789012", "repositoryName": "team/web",
        "imageId": {"imageDigest": DIGEST, "imageTag": "7"}, "imageManifest": manifest.to_string()}], "failures": []}),
    )
}

fn index(architectures: &[&str]) -> Value {
    let manifests: Vec<Value> = architectures
        .iter()
        .map(|architecture| json!({"digest": DIGEST, "platform": {"os": "linux", "architecture": architecture}}))
        .collect();
    json!({"schemaVersion": 2, "manifests": manifests})
}

/// The definition of tasks on Fargate, as a file of this test.
fn fargate(directory: &tempfile::TempDir) -> String {
    let path = directory.path().join("task.json");
    let text = json!({"family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256",
        "memory": "512", "containerDefinitions": [{"name": "web", "image": "web"}, {"name": "proxy", "image": "nginx:1"}]});
    std::fs::write(&path, text.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_digest_behind_the_tag_is_registered() {
    let directory = tempfile::tempdir().unwrap();
    let aws = rollout(timeline(), [done()])
        .on("BatchGetImage", [image(&index(&["amd64", "arm64"]))])
        .start();
    let output = pipe(&aws)
        .env("IMAGE", "")
        .env("IMAGES", format!("web={ECR}/team/web:7"))
        .env("TASK_DEFINITION", fargate(&directory))
        .env("PIN_DIGEST", "true")
        .run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(0), "{text}");
    let asked = &aws.bodies("BatchGetImage")[0];
    assert_eq!(
        (
            &asked["registryId"],
            &asked["repositoryName"],
            &asked["imageIds"]
        ),
        (
            &json!("123456789012"),
            &json!("team/web"),
            &json!([{"imageTag": "7"}])
        )
    );
    let registered = &aws.bodies("RegisterTaskDefinition")[0]["containerDefinitions"];
    assert_eq!(registered[0]["image"], format!("{ECR}/team/web@{DIGEST}"));
    assert_eq!(registered[1]["image"], "nginx:1");
    assert!(
        text.contains(&format!("image of web: {ECR}/team/web:7 is {DIGEST}")),
        "{text}"
    );
    assert!(
        text.contains("image of proxy: nginx:1 is not in ECR and stays as it is"),
        "{text}"
    );
}

#[test]
fn an_image_for_another_processor_is_refused_before_the_first_change() {
    let directory = tempfile::tempdir().unwrap();
    // A single image says its platform in its configuration, which ECR gives out by a URL of its own.
    let layers = Timeline::new()
        .on(
            "GET /layers/c",
            [Reply::body(
                "application/json",
                br#"{"os": "linux", "architecture": "arm64"}"#.to_vec(),
            )],
        )
        .start();
    let url = format!("{}/layers/c?X-Amz-Signature=0a", layers.endpoint());
    let aws = timeline()
        .on(
            "BatchGetImage",
            [image(&json!({"config": {"digest": "sha256:c"}}))],
        )
        .on(
            "GetDownloadUrlForLayer",
            [Reply::json(&json!({"downloadUrl": url}))],
        )
        .start();
    let output = pipe(&aws)
        .env("IMAGE", "")
        .env("IMAGES", format!("web={ECR}/team/web:7"))
        .env("TASK_DEFINITION", fargate(&directory))
        .env("PIN_DIGEST", "true")
        .run();
    let text = output.without_debug();
    assert_eq!(output.code, Some(1), "{text}");
    assert!(
        text.contains(&format!(
            "✖ the image `{ECR}/team/web:7` is made for `linux/arm64`, and the tasks run on `linux/amd64`\n  hint: "
        )),
        "{text}"
    );
    assert!(text.trim_end().ends_with("nothing was changed"), "{text}");
    assert_eq!(changes(&aws), ["BatchGetImage"]);
    assert_eq!(layers.operations(), ["GET /layers/c"]);
    assert!(
        !output.plain().contains("X-Amz-Signature"),
        "{}",
        output.plain()
    );
}

#[test]
fn an_image_that_was_never_pushed_is_refused_before_the_first_change() {
    let failure = json!({"images": [], "failures": [{"imageId": {"imageTag": "7"}, "failureCode": "ImageNotFound",
        "failureReason": "Requested image not found"}]});
    for (reply, why) in [
        (Reply::json(&failure), "Requested image not found"),
        (
            Reply::error(
                400,
                "RepositoryNotFoundException",
                "The repository does not exist",
            ),
            "RepositoryNotFoundException: The repository does not exist",
        ),
        (
            Reply::error(400, "AccessDeniedException", "not allowed"),
            "AccessDeniedException: not allowed",
        ),
    ] {
        let aws = timeline().on(Call::to("BatchGetImage"), [reply]).start();
        let output = pipe(&aws)
            .env("IMAGE", format!("{ECR}/team/web:7"))
            .env("PIN_DIGEST", "true")
            .run();
        let text = output.without_debug();
        assert_eq!(output.code, Some(1), "{text}");
        assert!(
            text.contains(&format!(
                "✖ could not look for the image `{ECR}/team/web:7` in ECR: {why}"
            )),
            "{text}"
        );
        assert!(text.contains("\n  hint: "), "{text}");
        assert_eq!(changes(&aws), ["BatchGetImage"]);
    }
}
