//! Stores that speak S3 and are not AWS: the bucket in the path, no checksum that they do not know, no condition that they
//! may not keep, and what they add to answers.

use std::time::Duration;

use shared::testing::{Fault, LocalAws, Recorded};

use crate::step::{Step, is_own, last_line};

/// Refuses, as some stores do, every checksum that is younger than Content-MD5.
fn old_store() -> Step {
    Step::with(|request: &Recorded| {
        let is_s3 = request.action.is_empty();
        let has = |name: &str| request.headers.contains_key(name);
        let new = [
            "x-amz-trailer",
            "x-amz-sdk-checksum-algorithm",
            "x-amz-checksum-crc64nvme",
            "x-amz-checksum-type",
        ];
        let is_chunked = request
            .headers
            .get("content-encoding")
            .is_some_and(|coding| coding.contains("aws-chunked"));
        let is_delete = request.method == "POST" && request.query.starts_with("delete");
        let refused = is_s3
            && (is_chunked
                || new.into_iter().any(has) && !is_delete
                || is_delete && !has("content-md5"));
        let answer = "<Error><Code>InvalidRequest</Code><Message>The checksum is not supported</Message></Error>";
        refused.then(|| Fault::Status(400, answer.to_owned()))
    })
}

#[test]
fn a_store_that_refuses_checksums_gets_the_md5_it_knows() {
    let step = old_store();
    step.file("index.html", "page");
    step.file("large.bin", &"0123456789abcdef".repeat(1_300_000));
    step.aws.put_object(&step.bucket, "old.js", b"old", &[]);
    let output = step.pipe().env("DELETE_FLAG", "true").run();
    assert_eq!(output.code, Some(1));
    assert!(
        output.plain().contains("The checksum is not supported"),
        "{}",
        output.plain()
    );
    let deploy = || {
        step.pipe()
            .env("DELETE_FLAG", "true")
            .env("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
            .run()
    };
    let output = deploy();
    assert!(
        last_line(&output.plain()).contains("uploaded 2, deleted 1, unchanged 0"),
        "{}",
        output.plain()
    );
    assert_eq!(step.keys(), ["index.html", "large.bin"]);
    let output = deploy();
    assert!(
        last_line(&output.plain()).contains("uploaded 0, deleted 0, unchanged 2"),
        "{}",
        output.plain()
    );
}

#[test]
fn a_lease_is_read_back_where_conditions_may_be_passed_over() {
    let (step, trap) = Step::with_trap();
    step.file("style.css", "style");
    step.file("index.html", "page");
    // Another run writes its lease over ours, as on a store that passes over If-None-Match.
    let (aws, bucket) = (
        LocalAws::running_at(step.aws.endpoint()),
        step.bucket.clone(),
    );
    let theirs = r#"{"format":1,"lease":{"build":8,"run":"8-1","ends":99999999999},"objects":{}}"#;
    trap.set(move |request: &Recorded| {
        let is_manifest = request.path.ends_with("/.s3-deploy/manifest.json");
        if is_manifest && request.method == "HEAD" {
            aws.put_object(&bucket, ".s3-deploy/manifest.json", theirs.as_bytes(), &[]);
        }
        let is_style = request.path.ends_with("/style.css");
        is_style.then_some(Fault::Delay(Duration::from_secs(5)))
    });
    let output = step.pipe().run();
    assert_eq!(output.code, Some(1));
    let plain = output.plain();
    assert!(
        plain.contains("✖ another deploy of this site began or ended in the meantime"),
        "{plain}"
    );
    // The other run keeps its lease, and no page of this one is live.
    let (_, manifest) = step
        .aws
        .get_object(&step.bucket, ".s3-deploy/manifest.json");
    assert_eq!(manifest, theirs);
    assert_eq!(step.keys(), Vec::<String>::new());
}

#[test]
fn the_bucket_is_in_the_path_and_no_condition_is_relied_on() {
    let step = Step::new();
    step.file("index.html", "page");
    step.aws.put_object(&step.bucket, "old.js", b"old", &[]);
    let deploy = |cache: &str| {
        step.pipe()
            .env("DELETE_FLAG", "true")
            .env("CACHE_CONTROL", cache)
            .run()
    };
    assert_eq!(deploy("no-cache").code, Some(0));
    assert_eq!(deploy("max-age=60").code, Some(0));
    let requests = step.proxy.requests();
    let of_site = requests
        .iter()
        .filter(|each| each.action.is_empty() && !is_own(each));
    for request in of_site {
        let bucket = format!("/{}", step.bucket);
        assert!(request.path.starts_with(&bucket), "{request:?}");
        assert!(!request.headers.contains_key("if-match"), "{request:?}");
        assert!(!request.body.contains("ETag"), "{request:?}");
    }
}
