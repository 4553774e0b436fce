//! Container images: a tag is pinned to its digest before anything else, and a digest that is live is not sent again.

use serde_json::{Value, json};
use shared::testing::{Pipe, Reply};

use crate::step::{Step, failed, last_line, succeeded};
use crate::waiting::{Script, live};

const REPOSITORY: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com/orders";

fn digest(letter: &str) -> String {
    format!("sha256:{}", letter.repeat(64))
}

fn function(name: &str, letter: &str, members: &Value) -> Value {
    let mut configuration = live(name, &json!({"PackageType": "Image", "CodeSha256": letter}));
    for (name, value) in members.as_object().unwrap() {
        configuration[name] = value.clone();
    }
    json!({"Configuration": configuration,
        "Code": {"ImageUri": format!("{REPOSITORY}:v1"), "ResolvedImageUri": format!("{REPOSITORY}@{}", digest(letter))}})
}

/// A function that runs image `a`; the registry says that the tag `v2` is image `b`.
fn step(script: impl FnOnce(Script, &str) -> Script) -> Step {
    Step::unmade(|timeline, name| {
        let images = json!({"imageDetails": [{"imageDigest": digest("b")}]});
        let timeline = timeline.on("DescribeImages", [Reply::json(&images)]);
        let ordinary = Script::new(timeline, name)
            .on("GET", "", [Reply::json(&function(name, "a", &json!({})))])
            .on(
                "PUT",
                "/code",
                [Reply::json(&live(name, &json!({"PackageType": "Image"})))],
            )
            .after(
                ("PUT", "/code"),
                "GET",
                "",
                [Reply::json(&function(name, "b", &json!({})))],
            )
            .on(
                "GET",
                "/configuration",
                [Reply::json(&live(
                    name,
                    &json!({"PackageType": "Image", "CodeSha256": "b"}),
                ))],
            );
        script(ordinary, name).timeline
    })
}

fn update<'a>(step: &'a Step, tag: &str) -> Pipe<'a> {
    step.pipe()
        .env("COMMAND", "update")
        .env("IMAGE_URI", format!("{REPOSITORY}{tag}"))
        .env("PUBLISH_FLAG", "false")
}

fn sent(step: &Step) -> Vec<Value> {
    step.proxy
        .bodies(&format!("PUT /2015-03-31/functions/{}/code", step.function))
}

#[test]
fn a_tag_is_sent_by_its_digest() {
    let step = step(|script, _| script);
    succeeded(&update(&step, ":v2").run());
    assert_eq!(
        sent(&step),
        [json!({"ImageUri": format!("{REPOSITORY}@{}", digest("b")), "RevisionId": "r1"})]
    );
}

#[test]
fn a_digest_that_is_live_is_not_sent_again() {
    let step = step(|script, _| script);
    let output = update(&step, &format!("@{}", digest("a"))).run();
    succeeded(&output);
    assert!(
        last_line(&output).starts_with("✔ Unchanged"),
        "{}",
        output.plain()
    );
    assert_eq!(step.requests(), ["GET"]);
}

#[test]
fn an_image_of_another_deploy_is_noticed() {
    let step = step(|script, name| {
        let theirs = function(name, "c", &json!({}));
        script.after(("PUT", "/code"), "GET", "", [Reply::json(&theirs)])
    });
    let output = update(&step, ":v2").run();
    let plain = failed(&output);
    assert!(
        plain.contains("✖ another deploy won") && plain.contains(&digest("c")),
        "{plain}"
    );
}

#[test]
fn an_image_that_does_not_exist_or_is_no_image_of_lambda_changes_nothing() {
    let step = Step::unmade(|timeline, name| {
        let absent = "The image with imageId {imageDigest:'null', imageTag:'v9'} does not exist";
        let timeline = timeline.on(
            "DescribeImages",
            [Reply::error(400, "ImageNotFoundException", absent)],
        );
        Script::new(timeline, name).timeline
    });
    for (tag, expected) in [
        (":v9", "does not exist: ImageNotFoundException"),
        (
            ":v1@sha256:short",
            "is not an image of a private registry of AWS",
        ),
    ] {
        let output = update(&step, tag).run();
        let plain = failed(&output);
        assert!(plain.contains(expected), "{plain}");
        assert_eq!(last_line(&output), "  nothing was changed");
    }
    // The function's code is a zip.
    let output = update(&step, &format!("@{}", digest("a"))).run();
    let plain = failed(&output);
    assert!(
        plain.contains(&format!(
            "✖ the code of `{}` is a zip, and what is given is a container image",
            step.function
        )),
        "{plain}"
    );
}

#[test]
fn a_registry_that_may_not_be_asked_is_only_a_warning() {
    let step = step(|script, _| Script {
        timeline: script.timeline.on(
            "DescribeImages",
            [Reply::error(400, "AccessDeniedException", "not authorized")],
        ),
        ..script
    });
    let output = update(&step, ":v2").run();
    let plain = succeeded(&output);
    assert!(
        plain.contains("WARNING: `") && plain.contains("allow `ecr:DescribeImages`"),
        "{plain}"
    );
    assert_eq!(
        sent(&step)[0]["ImageUri"],
        json!(format!("{REPOSITORY}:v2"))
    );
}
