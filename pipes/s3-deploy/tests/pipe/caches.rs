//! CloudFront in front of the bucket: what it is told, when, and that nothing is deleted before it has forgotten.

use std::sync::atomic::{AtomicUsize, Ordering};

use shared::testing::{Fault, Recorded};

use crate::step::{Step, last_line};

#[test]
fn the_cache_is_told_of_changes_before_anything_is_deleted() {
    let step = Step::new();
    step.file("index.html", "page");
    step.file("style.css", "style");
    step.aws.put_object(&step.bucket, "old.css", b"old", &[]);
    let id = step.distribution("");
    let deploy = || {
        step.pipe()
            .env("DELETE_FLAG", "true")
            .env("CLOUDFRONT_DISTRIBUTION_ID", &id)
            .run()
    };
    let output = deploy();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let requests: Vec<String> = step
        .proxy
        .requests()
        .iter()
        .map(|request| format!("{} {}", request.method, request.path))
        .collect();
    let of = |end: &str| {
        requests
            .iter()
            .position(|request| request.ends_with(end))
            .unwrap_or_else(|| panic!("{end}: {requests:?}"))
    };
    assert!(of("/index.html") < of("/invalidation"), "{requests:?}");
    let delete = step
        .proxy
        .requests()
        .iter()
        .position(|request| request.query.starts_with("delete"))
        .unwrap();
    assert!(of("/invalidation") < delete, "{requests:?}");
    // Nothing changed, nothing to tell.
    step.proxy.clear();
    assert_eq!(deploy().code, Some(0));
    assert!(
        !step
            .proxy
            .requests()
            .iter()
            .any(|request| request.path.ends_with("/invalidation"))
    );
    // An unknown one is refused before the first change.
    step.file("index.html", "edited");
    let output = step
        .pipe()
        .env("CLOUDFRONT_DISTRIBUTION_ID", "E00000000000XX")
        .run();
    assert_eq!(output.code, Some(1));
    assert_eq!(last_line(&output.plain()), "  nothing was changed");
}

#[test]
fn a_cache_that_was_not_told_is_told_by_the_next_run() {
    let (step, trap) = Step::with_trap();
    trap.set(|request: &Recorded| {
        let denied = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
        let asked = request.method == "POST" && request.path.ends_with("/invalidation");
        asked.then(|| Fault::Status(403, denied.to_owned()))
    });
    step.file("index.html", "page");
    let id = step.distribution("");
    let deploy = || step.pipe().env("CLOUDFRONT_DISTRIBUTION_ID", &id).run();
    let output = deploy();
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .plain()
            .contains("hint: allow `cloudfront:CreateInvalidation`"),
        "{}",
        output.plain()
    );
    trap.clear();
    step.proxy.clear();
    let output = deploy();
    assert!(
        last_line(&output.plain()).contains("uploaded 0, deleted 0, unchanged 1"),
        "{}",
        output.plain()
    );
    let told =
        |request: &Recorded| request.method == "POST" && request.path.ends_with("/invalidation");
    assert_eq!(
        step.proxy
            .requests()
            .iter()
            .filter(|request| told(request))
            .count(),
        1
    );
    step.proxy.clear();
    assert_eq!(deploy().code, Some(0));
    assert!(!step.proxy.requests().iter().any(told), "once is enough");
}

#[test]
fn every_distribution_is_told_the_paths_that_it_serves() {
    let step = Step::new();
    for path in ["docs/index.html", "docs/a.css", "blog/index.html"] {
        step.file(path, path);
    }
    let ids = [step.distribution(""), step.distribution("/docs")];
    let deploy = || {
        step.proxy.clear();
        let output = step
            .pipe()
            .env("CLOUDFRONT_DISTRIBUTION_ID", ids.join(" "))
            .run();
        assert_eq!(output.code, Some(0), "{}", output.plain());
        let requests = step.proxy.requests();
        let paths_of = |id: &String| -> Vec<String> {
            let end = format!("/distribution/{id}/invalidation");
            let is_told = |each: &&Recorded| each.method == "POST" && each.path.ends_with(&end);
            let told = requests.iter().filter(is_told);
            let texts: Vec<String> = told.map(|each| each.body.to_string()).collect();
            let paths = texts.iter().flat_map(|body| body.split("<Path>").skip(1));
            paths
                .map(|rest| rest.split('<').next().unwrap().to_owned())
                .collect()
        };
        ids.each_ref().map(paths_of)
    };
    assert_eq!(deploy().map(|paths| paths.is_empty()), [false, false]);
    step.file("docs/a.css", "edited");
    assert_eq!(deploy(), [vec!["/docs/a.css"], vec!["/a.css"]]);
    step.file("blog/index.html", "edited");
    assert_eq!(
        deploy(),
        [vec!["/blog", "/blog/", "/blog/index.html"], vec![]]
    );
}

#[test]
fn nothing_is_deleted_while_an_invalidation_is_in_progress() {
    let invalidation = |status: &str| {
        format!(
            "<Invalidation xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Id>I1</Id><Status>{status}</Status>\
             <CreateTime>2026-01-01T00:00:00Z</CreateTime><InvalidationBatch><Paths><Quantity>0</Quantity></Paths>\
             <CallerReference>x</CallerReference></InvalidationBatch></Invalidation>"
        )
    };
    let (step, trap) = Step::with_trap();
    let looks = AtomicUsize::new(0);
    trap.set(move |request: &Recorded| {
        if request.path.ends_with("/invalidation") {
            return Some(Fault::Status(201, invalidation("InProgress")));
        }
        let is_look = request.path.ends_with("/invalidation/I1");
        is_look.then(|| {
            let look = looks.fetch_add(1, Ordering::Relaxed);
            let status = if look == 0 { "InProgress" } else { "Completed" };
            Fault::Status(200, invalidation(status))
        })
    });
    step.file("index.html", "page");
    step.aws.put_object(&step.bucket, "old.js", b"old", &[]);
    let id = step.distribution("");
    let output = step
        .pipe()
        .env("CLOUDFRONT_DISTRIBUTION_ID", id)
        .env("DELETE_FLAG", "true")
        .run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let requests = step.proxy.requests();
    let looks: Vec<usize> = (0..requests.len())
        .filter(|index| requests[*index].path.ends_with("/I1"))
        .collect();
    let delete = requests
        .iter()
        .position(|each| each.query.starts_with("delete"));
    assert_eq!(looks.len(), 2);
    assert!(Some(looks[1]) < delete, "{looks:?} {delete:?}");
}
