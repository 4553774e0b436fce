//! What keeps a site whole: phases with barriers, limits before the first delete, one deploy at a time, and never an
//! older build over a newer one. Asserted by the order of requests and by what the bucket holds afterwards.

use std::time::Duration;

use shared::testing::{Fault, Recorded};

use crate::step::{Step, is_own, last_line};

/// A site of all three phases.
fn fill(step: &Step) {
    for path in [
        "index.html",
        "sw.js",
        "style.css",
        "assets/app.3f2a9c1b.js",
        "assets/vendor.0a1b2c3d.css",
    ] {
        step.file(path, path);
    }
}

fn position(requests: &[String], request: &str) -> usize {
    requests
        .iter()
        .position(|each| each == request)
        .unwrap_or_else(|| panic!("{request} is not in {requests:?}"))
}

#[test]
fn assets_come_before_styles_before_pages_before_deletes() {
    // Every asset takes a while: without a barrier the pages would overtake them.
    let step = Step::with(|request: &Recorded| {
        let page = request.path.ends_with("/index.html");
        let slow = request.method == "PUT" && !is_own(request) && !page;
        slow.then_some(Fault::Delay(Duration::from_millis(300)))
    });
    fill(&step);
    step.aws.put_object(&step.bucket, "old.html", b"old", &[]);
    let output = step.pipe().env("DELETE_FLAG", "true").run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let requests = step.s3_requests();
    let of = |request| position(&requests, request);
    for asset in [
        "PUT /assets/app.3f2a9c1b.js",
        "PUT /assets/vendor.0a1b2c3d.css",
    ] {
        assert!(of(asset) < of("PUT /style.css"), "{requests:?}");
    }
    for page in ["PUT /index.html", "PUT /sw.js"] {
        assert!(of("PUT /style.css") < of(page), "{requests:?}");
        assert!(of(page) < of("POST /?delete"), "{requests:?}");
    }
}

#[test]
fn a_failure_stops_before_the_next_phase() {
    for (fails, live) in [
        (
            "/assets/app.3f2a9c1b.js",
            vec!["assets/vendor.0a1b2c3d.css", "old.html"],
        ),
        (
            "/style.css",
            vec![
                "assets/app.3f2a9c1b.js",
                "assets/vendor.0a1b2c3d.css",
                "old.html",
            ],
        ),
        (
            "/index.html",
            vec![
                "assets/app.3f2a9c1b.js",
                "assets/vendor.0a1b2c3d.css",
                "old.html",
                "style.css",
                "sw.js",
            ],
        ),
    ] {
        let step = Step::with(move |request: &Recorded| {
            let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
            (request.method == "PUT" && request.path.ends_with(fails))
                .then(|| Fault::Status(403, denied.to_owned()))
        });
        fill(&step);
        step.aws.put_object(&step.bucket, "old.html", b"old", &[]);
        let output = step.pipe().env("DELETE_FLAG", "true").run();
        assert_eq!(output.code, Some(1));
        assert_eq!(step.keys(), live, "{fails}: {}", output.plain());
        assert!(
            last_line(&output.plain()).contains(&format!("uploaded {}", live.len() - 1)),
            "{}",
            output.plain()
        );
    }
}

#[test]
fn too_many_deletes_are_refused_before_the_first_change() {
    let step = Step::new();
    fill(&step);
    for index in 0..12 {
        step.aws
            .put_object(&step.bucket, &format!("old/{index}.html"), b"old", &[]);
    }
    let delete = || step.pipe().env("DELETE_FLAG", "true");
    let output = delete().run();
    assert_eq!(output.code, Some(1));
    let refusal = "✖ refused to delete 12 of the 12 objects: DELETE_LIMIT allows 10";
    assert!(output.plain().contains(refusal), "{}", output.plain());
    assert_eq!(last_line(&output.plain()), "  nothing was changed");
    assert_eq!(step.keys().len(), 12);
    assert_eq!(delete().env("DELETE_LIMIT", "11").run().code, Some(1));
    let output = delete().env("DELETE_LIMIT", "100%").run();
    assert!(
        last_line(&output.plain()).contains("uploaded 5, deleted 12"),
        "{}",
        output.plain()
    );
}

#[test]
fn an_older_build_never_replaces_a_newer_one() {
    let step = Step::new();
    fill(&step);
    assert_eq!(
        step.pipe().env("BITBUCKET_BUILD_NUMBER", "8").run().code,
        Some(0)
    );
    step.file("index.html", "an older page");
    let old = || step.pipe().env("BITBUCKET_BUILD_NUMBER", "7");
    let output = old().run();
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .plain()
            .contains("✖ build 7 is older than build 8, which is live"),
        "{}",
        output.plain()
    );
    assert_eq!(last_line(&output.plain()), "  nothing was changed");
    let (_, page) = step.aws.get_object(&step.bucket, "index.html");
    assert_eq!(page, "index.html");
    assert_eq!(old().env("FORCE", "true").run().code, Some(0));
}

#[test]
fn two_deploys_never_interleave() {
    let step = Step::with(|request: &Recorded| {
        request
            .path
            .ends_with("/style.css")
            .then_some(Fault::Delay(Duration::from_secs(20)))
    });
    fill(&step);
    let first = step.pipe().spawn();
    first.until_printed("/assets/app.3f2a9c1b.js: 200");
    let second = step.pipe().env("BITBUCKET_BUILD_NUMBER", "8").run();
    assert_eq!(second.code, Some(1));
    assert!(
        second
            .plain()
            .contains("✖ another deploy of this site is under way: build 7"),
        "{}",
        second.plain()
    );
    assert_eq!(last_line(&second.plain()), "  nothing was changed");
    // The one that is stopped gives its right back, so that nobody has to wait for its end.
    first.signal("TERM");
    assert_eq!(first.wait().code, Some(1));
    std::fs::remove_file(step.site.path().join("style.css")).unwrap();
    let third = step.pipe().env("BITBUCKET_BUILD_NUMBER", "9").run();
    assert_eq!(third.code, Some(0), "{}", third.plain());
}

#[test]
fn a_signal_in_the_middle_of_parts_leaves_none_behind() {
    let step = Step::with(|request: &Recorded| {
        request
            .query
            .contains("partNumber=3")
            .then_some(Fault::Delay(Duration::from_secs(20)))
    });
    step.file("large.bin", &"0123456789abcdef".repeat(2_000_000));
    let running = step.pipe().spawn();
    running.until_printed("/large.bin: 200");
    std::thread::sleep(Duration::from_millis(500));
    running.signal("TERM");
    let output = running.wait();
    assert_eq!(output.code, Some(1), "{}", output.plain());
    assert_eq!(step.keys(), Vec::<String>::new());
    assert_eq!(step.unfinished_uploads(), 0, "{}", output.plain());
}

/// A run that is killed cannot abort what it began: the next one that uploads the file does, if it may, and leaves alone
/// what is of another key.
#[test]
fn the_parts_of_a_killed_run_are_aborted_by_the_next_one() {
    let (step, trap) = Step::with_trap();
    let is_last = |request: &Recorded| request.query.contains("partNumber=3");
    trap.set(move |request| is_last(request).then_some(Fault::Delay(Duration::from_secs(20))));
    step.file("large.bin", &"0123456789abcdef".repeat(17 << 16));
    let running = step.pipe().spawn();
    step.until_requested(is_last);
    // Which kills it.
    drop(running);
    trap.clear();
    let longer = format!("/{}/large.bin.old?uploads=", step.bucket);
    let begun = step.aws.call("s3", "POST", &longer, &[], b"");
    assert_eq!(begun.status, 200, "{}", begun.text());
    assert_eq!(step.unfinished_uploads(), 2);

    let (role, bucket) = (step.role.rsplit('/').next().unwrap(), &step.bucket);
    let allow = |listing: &[&str]| {
        let statements = serde_json::json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": listing, "Resource": format!("arn:aws:s3:::{bucket}")},
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
             "Resource": format!("arn:aws:s3:::{bucket}/*")},
        ]});
        step.aws.put_role_policy(role, &statements);
    };
    let deploys_and_says = |words: &str| {
        let output = step.pipe().run();
        assert_eq!(output.code, Some(0), "{}", output.plain());
        assert!(output.plain().contains(words), "{}", output.plain());
    };
    allow(&["s3:ListBucket"]);
    deploys_and_says("DEBUG: could not look for unfinished uploads of `large.bin`");
    assert_eq!(step.unfinished_uploads(), 2);

    allow(&["s3:ListBucket", "s3:ListBucketMultipartUploads"]);
    step.file("large.bin", &"fedcba9876543210".repeat(17 << 16));
    deploys_and_says("INFO: Aborted an unfinished upload of `large.bin`\n");
    assert_eq!(step.unfinished_uploads(), 1);
}

#[test]
fn without_the_right_to_read_it_still_deploys() {
    let step = Step::new();
    fill(&step);
    let role = step.role.rsplit('/').next().unwrap();
    let bucket = &step.bucket;
    step.aws.put_role_policy(
        role,
        &serde_json::json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": format!("arn:aws:s3:::{bucket}")},
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{bucket}/*")},
        ]}),
    );
    let output = step.pipe().run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert!(
        output
            .plain()
            .contains("WARNING: no manifest is kept, since it may not be read"),
        "{}",
        output.plain()
    );
    let output = step.pipe().run();
    assert!(
        last_line(&output.plain()).contains("uploaded 0, deleted 0, unchanged 5"),
        "{}",
        output.plain()
    );
}
