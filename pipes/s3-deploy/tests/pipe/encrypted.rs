//! Buckets whose ETags say nothing of the content, as with SSE-KMS: the local AWS gives MD5s all the same, so the listing
//! is played with other ETags. What proves that an object is unchanged then is the manifest, and for the rest a HEAD.

use std::sync::{Arc, Mutex};

use shared::testing::{Fault, Recorded};

use crate::step::{Step, is_own, last_line};

fn listing(objects: &[(&str, usize, &str)]) -> String {
    let contents = objects.iter().fold(String::new(), |contents, (key, size, etag)| {
        contents
            + &format!("<Contents><Key>{key}</Key><Size>{size}</Size><ETag>&quot;{etag}&quot;</ETag></Contents>")
    });
    format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>")
}

/// A step whose listing is what `played` holds.
fn step(played: &Arc<Mutex<String>>) -> Step {
    let answer = Arc::clone(played);
    Step::with(move |request: &Recorded| {
        let is_listing = request.method == "GET" && !is_own(request);
        is_listing.then(|| Fault::Status(200, answer.lock().unwrap().clone()))
    })
}

#[test]
fn an_object_whose_etag_is_no_md5_is_compared_by_its_checksum_once() {
    let played = Arc::new(Mutex::new(listing(&[])));
    let step = step(&played);
    step.file("a.css", "same");
    step.file("b.css", "older");
    assert_eq!(step.pipe().env("MANIFEST", "false").run().code, Some(0));
    // Both are there, with the checksums that their upload carried; `b.css` is edited, with the same length.
    let kms = "0123456789abcdef0123456789abcdef";
    *played.lock().unwrap() = listing(&[("a.css", 4, kms), ("b.css", 5, kms)]);
    step.file("b.css", "newer");
    step.proxy.clear();
    let output = step.pipe().run();
    assert!(
        last_line(&output.plain()).contains("uploaded 1, deleted 0, unchanged 1"),
        "{}",
        output.plain()
    );
    assert!(
        output.plain().contains("upload  b.css  (content differs)"),
        "{}",
        output.plain()
    );
    let heads = |step: &Step| {
        step.s3_requests()
            .iter()
            .filter(|request| request.starts_with("HEAD "))
            .count()
    };
    assert_eq!(heads(&step), 2);
    // The manifest knows `a.css` by this ETag now: nothing more has to be asked.
    *played.lock().unwrap() = listing(&[
        ("a.css", 4, kms),
        ("b.css", 5, "9e46e3f0e4e9cd8bb0c5f4a3ce4c6f4f"),
    ]);
    step.proxy.clear();
    let _ = step.pipe().run();
    assert!(
        !step
            .s3_requests()
            .iter()
            .any(|request| request == "HEAD /a.css"),
        "{:?}",
        step.s3_requests()
    );
}
