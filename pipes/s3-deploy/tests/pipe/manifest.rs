//! What the manifest beside the site is for: headers that drift, contents whose ETag says nothing, and no request more
//! than needed. Each test looks at the requests of a second run.

use crate::step::{Step, last_line};

fn site() -> Step {
    let step = Step::new();
    step.file("index.html", "<h1>hello</h1>");
    step.file("style.css", "h1 { color: red }");
    step
}

fn second_run(step: &Step, variables: &[(&str, &str)]) -> (String, Vec<String>) {
    step.proxy.clear();
    let output = step.pipe().envs(variables.iter().copied()).run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    (last_line(&output.plain()).to_owned(), step.s3_requests())
}

#[test]
fn an_unchanged_site_costs_a_listing_and_the_manifest() {
    let step = site();
    assert_eq!(step.pipe().run().code, Some(0));
    let (summary, _) = second_run(&step, &[]);
    assert!(
        summary.contains("uploaded 0, deleted 0, unchanged 2"),
        "{summary}"
    );
    let mut requests = step.all_s3_requests();
    requests.sort();
    assert_eq!(requests, ["GET /", "GET /.s3-deploy/manifest.json"]);
}

#[test]
fn what_is_no_manifest_stops_the_run_before_the_first_change() {
    let step = site();
    step.aws
        .put_object(&step.bucket, ".s3-deploy/manifest.json", b"<html>", &[]);
    let output = step.pipe().run();
    assert_eq!(output.code, Some(1), "{}", output.plain());
    for words in [
        "could not use the manifest `s3://",
        "it is not a manifest: expected value at line 1 column 1",
        "nothing was changed",
    ] {
        assert!(output.plain().contains(words), "{}", output.plain());
    }
    assert_eq!(step.aws.keys(&step.bucket), [".s3-deploy/manifest.json"]);
}

#[test]
fn a_changed_header_is_repaired_by_a_copy() {
    let step = site();
    assert_eq!(
        step.pipe().env("CACHE_CONTROL", "max-age=60").run().code,
        Some(0)
    );
    step.proxy.clear();
    let output = step.pipe().env("CACHE_CONTROL", "no-cache").run();
    assert!(
        output
            .plain()
            .contains("headers index.html  (headers differ)"),
        "{}",
        output.plain()
    );
    assert!(
        last_line(&output.plain()).contains("uploaded 0, deleted 0, unchanged 0, headers 2"),
        "{}",
        output.plain()
    );
    for key in ["index.html", "style.css"] {
        assert_eq!(
            step.header(key, "cache-control").as_deref(),
            Some("no-cache")
        );
        assert!(
            step.header(key, "content-type")
                .unwrap()
                .starts_with("text/")
        );
        let (_, body) = step.aws.get_object(&step.bucket, key);
        assert!(!body.is_empty());
    }
    let (summary, _) = second_run(&step, &[("CACHE_CONTROL", "no-cache")]);
    assert!(
        summary.contains("uploaded 0, deleted 0, unchanged 2"),
        "{summary}"
    );
}

#[test]
fn objects_of_another_tool_are_looked_at_once() {
    let step = site();
    step.aws.put_object(
        &step.bucket,
        "index.html",
        b"<h1>hello</h1>",
        &[("content-type", "text/html; charset=utf-8")],
    );
    step.aws.put_object(
        &step.bucket,
        "style.css",
        b"h1 { color: red }",
        &[("content-type", "binary/octet-stream")],
    );
    let (summary, requests) = second_run(&step, &[]);
    // The one with the wrong type is repaired, the other one is right: a HEAD each tells.
    assert!(
        summary.contains("uploaded 0, deleted 0, unchanged 1, headers 1"),
        "{summary}"
    );
    assert_eq!(
        requests
            .iter()
            .filter(|request| request.starts_with("HEAD "))
            .count(),
        2,
        "{requests:?}"
    );
    let (summary, requests) = second_run(&step, &[]);
    assert!(summary.contains("unchanged 2"), "{summary}");
    assert_eq!(requests, ["GET /"]);
}

#[test]
fn a_foreign_overwrite_of_the_same_size_is_found() {
    let step = site();
    assert_eq!(step.pipe().run().code, Some(0));
    step.aws
        .put_object(&step.bucket, "style.css", b"h1 { color: BAD }", &[]);
    let (summary, requests) = second_run(&step, &[]);
    assert!(summary.contains("uploaded 1"), "{summary}");
    assert!(
        requests.contains(&"PUT /style.css".to_owned()),
        "{requests:?}"
    );
    let (_, body) = step.aws.get_object(&step.bucket, "style.css");
    assert_eq!(body, "h1 { color: red }");
}

#[test]
fn a_large_object_in_parts_is_proven_with_and_without_a_manifest() {
    let step = Step::new();
    step.file("large.bin", &"0123456789abcdef".repeat(1_300_000));
    let output = step.pipe().run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let (summary, requests) = second_run(&step, &[]);
    assert!(
        summary.contains("uploaded 0, deleted 0, unchanged 1"),
        "{summary}"
    );
    assert_eq!(requests, ["GET /"]);
    // Another machine, another tool: the ETag of the parts is computed again from the file.
    step.aws
        .delete_object(&step.bucket, ".s3-deploy/manifest.json");
    let (summary, _) = second_run(&step, &[]);
    assert!(
        summary.contains("uploaded 0, deleted 0, unchanged 1"),
        "{summary}"
    );
    let (summary, requests) = second_run(&step, &[("MANIFEST", "false")]);
    assert!(
        summary.contains("uploaded 0, deleted 0, unchanged 1"),
        "{summary}"
    );
    assert_eq!(requests, ["GET /"]);
}

#[test]
fn without_a_manifest_nothing_is_left_beside_the_site() {
    let step = site();
    assert_eq!(step.pipe().env("MANIFEST", "false").run().code, Some(0));
    assert_eq!(step.aws.keys(&step.bucket), ["index.html", "style.css"]);
    let (summary, requests) = second_run(&step, &[("MANIFEST", "false")]);
    assert!(summary.contains("unchanged 2"), "{summary}");
    assert_eq!(requests, ["GET /"]);
}

#[test]
fn a_manifest_that_cannot_be_read_stops_the_run() {
    let step = site();
    step.aws
        .put_object(&step.bucket, ".s3-deploy/manifest.json", b"{", &[]);
    let output = step.pipe().run();
    assert_eq!(output.code, Some(1));
    assert!(
        output.plain().contains("✖ could not use the manifest"),
        "{}",
        output.plain()
    );
    assert_eq!(last_line(&output.plain()), "  nothing was changed");
}
