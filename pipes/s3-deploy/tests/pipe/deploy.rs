//! What a deploy puts into the bucket, asks for, prints and leaves for later steps.

use shared::testing::{Fault, Recorded};

use crate::step::{Step, is_own, last_line, text};

fn site() -> Step {
    let step = Step::new();
    step.file("index.html", "<h1>hello</h1>");
    step.file("assets/app.js", "alert(1)");
    step.file("assets/logo.svg", "<svg/>");
    step
}

#[test]
fn a_directory_becomes_the_content_of_the_bucket() {
    let step = site();
    let output = step.pipe().run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let plan: Vec<_> = output
        .plain()
        .lines()
        .skip_while(|line| !line.starts_with("upload"))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        plan.into_iter()
            .filter(|line| !line.starts_with("DEBUG"))
            .collect::<Vec<_>>(),
        [
            "upload  assets/app.js  (new)".to_owned(),
            "upload  assets/logo.svg  (new)".to_owned(),
            "upload  index.html  (new)".to_owned(),
            "plan: upload 3, delete 0, unchanged 0".to_owned(),
            format!(
                "✔ Deployment successful: uploaded 3, deleted 0, unchanged 0 in `s3://{}/`",
                step.bucket
            ),
        ]
    );
    assert_eq!(
        step.keys(),
        ["assets/app.js", "assets/logo.svg", "index.html"]
    );
    let (_, body) = step.aws.get_object(&step.bucket, "index.html");
    assert_eq!(body, "<h1>hello</h1>");
    assert_eq!(
        step.header("index.html", "content-type").unwrap(),
        "text/html; charset=utf-8"
    );
    assert_eq!(
        step.header("assets/app.js", "content-type").unwrap(),
        "text/javascript; charset=utf-8"
    );
    assert_eq!(
        step.header("assets/logo.svg", "content-type").unwrap(),
        "image/svg+xml"
    );
}

#[test]
fn a_fresh_checkout_uploads_nothing_and_a_same_size_edit_is_found() {
    let step = site();
    assert_eq!(step.pipe().run().code, Some(0));
    // New times, as a fresh clone gives them.
    for (path, content) in [
        ("index.html", "<h1>hello</h1>"),
        ("assets/app.js", "alert(1)"),
    ] {
        std::fs::remove_file(step.site.path().join(path)).unwrap();
        step.file(path, content);
    }
    step.proxy.clear();
    let output = step.pipe().run();
    assert!(
        output
            .plain()
            .contains("uploaded 0, deleted 0, unchanged 3"),
        "{}",
        output.plain()
    );
    assert_eq!(step.s3_requests(), ["GET /"]);

    step.file("assets/app.js", "alert(2)");
    step.proxy.clear();
    let output = step.pipe().run();
    assert!(
        output
            .plain()
            .contains("upload  assets/app.js  (content differs)"),
        "{}",
        output.plain()
    );
    assert_eq!(step.s3_requests(), ["GET /", "PUT /assets/app.js"]);

    step.file("assets/app.js", "alert(22)");
    assert!(
        step.pipe()
            .run()
            .plain()
            .contains("upload  assets/app.js  (size differs)")
    );
}

#[test]
fn an_object_that_was_uploaded_in_parts_is_uploaded_again() {
    let step = Step::with(|request: &Recorded| {
        let list = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>big.bin</Key><Size>3</Size>\
                    <ETag>&quot;0123456789abcdef0123456789abcdef-2&quot;</ETag></Contents></ListBucketResult>";
        (request.method == "GET" && !is_own(request)).then(|| Fault::Status(200, list.to_owned()))
    });
    step.file("big.bin", "abc");
    let output = step.pipe().run();
    assert!(
        output.plain().contains("upload  big.bin  (cannot compare)"),
        "{}",
        output.plain()
    );
}

#[test]
fn deletes_come_last_and_only_under_the_prefix() {
    let step = site();
    for key in [
        "docs/old.html",
        "docs/assets/old.js",
        "docs-old/keep.html",
        "keep.html",
    ] {
        step.aws.put_object(&step.bucket, key, b"old", &[]);
    }
    step.aws.put_object(&step.bucket, "docs/folder/", b"", &[]);
    let docs = format!("{}/docs", step.bucket);
    let output = step.pipe().env("S3_BUCKET", &docs).run();
    assert!(
        output
            .plain()
            .contains("left alone 2 (DELETE_FLAG is not true)"),
        "{}",
        output.plain()
    );
    step.file("index.html", "<h1>bye</h1>");
    step.proxy.clear();
    let output = step
        .pipe()
        .env("S3_BUCKET", &docs)
        .env("DELETE_FLAG", "yes")
        .run();
    assert!(
        last_line(&output.plain()).contains("uploaded 1, deleted 2, unchanged 2"),
        "{}",
        output.plain()
    );
    assert_eq!(
        step.s3_requests(),
        ["GET /", "PUT /docs/index.html", "POST /?delete"]
    );
    assert_eq!(
        step.keys(),
        [
            "docs-old/keep.html",
            "docs/assets/app.js",
            "docs/assets/logo.svg",
            "docs/folder/",
            "docs/index.html",
            "keep.html"
        ]
    );
}

#[test]
fn after_a_failed_upload_nothing_is_deleted() {
    let step = Step::with(|request: &Recorded| {
        let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        (request.path.ends_with("/b.js")).then(|| Fault::Status(403, denied.to_owned()))
    });
    step.file("a.js", "a");
    step.file("b.js", "b");
    step.aws.put_object(&step.bucket, "old.js", b"old", &[]);
    let output = step.pipe().env("DELETE_FLAG", "true").run();
    assert_eq!(output.code, Some(1));
    let ending: Vec<_> = output
        .plain()
        .lines()
        .skip_while(|line| !line.starts_with('✖'))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        ending,
        [
            "✖ could not upload `b.js`: AccessDenied: Access Denied",
            "  hint: allow `s3:PutObject` in the policy of the role or user that the run authenticated as",
            "  changed before that: uploaded 1 (`a.js`)",
        ]
    );
    assert_eq!(step.keys(), ["a.js", "old.js"]);
}

#[test]
fn an_error_for_one_key_of_a_bulk_delete_is_a_failure() {
    let step = Step::with(|request: &Recorded| {
        let partly = "<DeleteResult><Error><Key>old-2.js</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error></DeleteResult>";
        (request.method == "POST" && request.query.starts_with("delete"))
            .then(|| Fault::Status(200, partly.to_owned()))
    });
    step.file("a.js", "a");
    for key in ["old-1.js", "old-2.js"] {
        step.aws.put_object(&step.bucket, key, b"old", &[]);
    }
    let output = step.pipe().env("DELETE_FLAG", "true").run();
    assert_eq!(output.code, Some(1));
    let plain = output.plain();
    assert!(plain.contains("✖ could not delete 1 objects"), "{plain}");
    assert!(
        plain.contains("AccessDenied: Access Denied (`old-2.js`)"),
        "{plain}"
    );
    assert_eq!(
        last_line(&plain),
        "  changed before that: deleted 1 (`old-1.js`), uploaded 1 (`a.js`)"
    );
}

#[test]
fn an_upload_without_an_answer_is_said_to_be_perhaps_done() {
    let step = Step::with(|request: &Recorded| {
        (request.method == "PUT" && !is_own(request)).then_some(Fault::Reset)
    });
    step.file("a.js", "a");
    let output = step.pipe().env("AWS_MAX_ATTEMPTS", "2").run();
    assert_eq!(output.code, Some(1));
    let plain = output.plain();
    assert!(
        plain.contains("✖ could not upload `a.js`: no connection: "),
        "{plain}"
    );
    assert!(
        plain.contains("changed before that: nothing for certain"),
        "{plain}"
    );
    assert_eq!(
        last_line(&plain),
        "  perhaps changed, no answer came: 1 (`upload a.js`)"
    );
    assert_eq!(step.s3_requests(), ["GET /", "PUT /a.js", "PUT /a.js"]);
}

#[test]
fn a_listing_that_fails_half_way_changes_nothing() {
    let step = Step::with(|request: &Recorded| {
        let first = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>next</NextContinuationToken>\
                     <Contents><Key>old.js</Key><Size>3</Size><ETag>&quot;00&quot;</ETag></Contents></ListBucketResult>";
        let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        if is_own(request) {
            return None;
        }
        match (
            request.method.as_str(),
            request.query.contains("continuation-token"),
        ) {
            ("GET", false) => Some(Fault::Status(200, first.to_owned())),
            ("GET", true) => Some(Fault::Status(403, denied.to_owned())),
            _ => None,
        }
    });
    step.file("a.js", "a");
    let output = step.pipe().env("DELETE_FLAG", "true").run();
    assert_eq!(output.code, Some(1));
    assert!(
        output.plain().contains("✖ could not list"),
        "{}",
        output.plain()
    );
    assert!(
        output.plain().contains("hint: allow `s3:ListBucket`"),
        "{}",
        output.plain()
    );
    assert_eq!(last_line(&output.plain()), "  nothing was changed");
}

#[test]
fn a_dry_run_prints_the_plan_and_changes_nothing() {
    let step = site();
    step.aws.put_object(&step.bucket, "old.js", b"old", &[]);
    let output = step
        .pipe()
        .env("DELETE_FLAG", "true")
        .env("DRY_RUN", "true")
        .run();
    assert_eq!(output.code, Some(0));
    let plain = output.plain();
    assert!(
        plain.contains("upload  index.html  (new)") && plain.contains("delete  old.js"),
        "{plain}"
    );
    assert!(
        last_line(&plain).starts_with("✔ DRY_RUN: nothing was changed"),
        "{plain}"
    );
    assert_eq!(step.s3_requests(), ["GET /"]);
    assert_eq!(step.keys(), ["old.js"]);
}

#[test]
fn the_given_headers_are_on_every_object() {
    let step = site();
    step.allow_acls();
    let output = step
        .pipe()
        .env("ACL", "public-read")
        .env("CACHE_CONTROL", "max-age=60")
        .env("CONTENT_ENCODING", "identity")
        .env("EXPIRES", "2030-01-02T03:04:05Z")
        .env("STORAGE_CLASS", "STANDARD_IA")
        .run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    for key in ["index.html", "assets/app.js"] {
        for (name, value) in [
            ("cache-control", "max-age=60"),
            ("content-encoding", "identity"),
            ("expires", "Wed, 02 Jan 2030 03:04:05 GMT"),
            ("x-amz-storage-class", "STANDARD_IA"),
        ] {
            assert_eq!(
                step.header(key, name).as_deref(),
                Some(value),
                "{name} of {key}"
            );
        }
        let acl = step
            .aws
            .call(
                "s3",
                "GET",
                &format!("/{}/{key}?acl=", step.bucket),
                &[],
                b"",
            )
            .text();
        assert!(acl.contains("AllUsers") && acl.contains("READ"), "{acl}");
    }
}

#[test]
fn large_files_and_odd_names_arrive_whole() {
    let step = Step::new();
    let large = "0123456789abcdef".repeat(200_000);
    step.file("large.bin", &large);
    step.file("empty.txt", "");
    step.file("with space & ümläut+(1)%20.html", "odd");
    assert_eq!(step.pipe().run().code, Some(0));
    let (_, body) = step.aws.get_object(&step.bucket, "large.bin");
    assert!(body == large, "{} bytes", body.len());
    assert_eq!(
        step.keys(),
        ["empty.txt", "large.bin", "with space & ümläut+(1)%20.html"]
    );
    let output = step.pipe().run();
    assert!(
        output
            .plain()
            .contains("uploaded 0, deleted 0, unchanged 3"),
        "{}",
        output.plain()
    );
}

/// More than there is memory for at the same time: what is under way has to go on meanwhile.
#[test]
fn files_of_many_parts_arrive_whole() {
    let step = Step::new();
    let files = [("six.bin", 2_700_000), ("three.bin", 1_300_000)]
        .map(|(name, lines)| (name, "0123456789abcdef".repeat(lines)));
    for (name, content) in &files {
        step.file(name, content);
    }
    let output = step.pipe().run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    for (name, content) in &files {
        let (_, body) = step.aws.get_object(&step.bucket, name);
        assert!(body == content, "{name}: {} bytes", body.len());
    }
}

#[test]
fn later_steps_get_variables_and_a_report() {
    let step = site();
    let results = tempfile::tempdir().unwrap();
    let variables = results.path().join("variables");
    let pipe = || {
        let pipe = step
            .pipe()
            .env("BITBUCKET_PIPELINES_VARIABLES_PATH", text(&variables));
        pipe.env("BITBUCKET_PIPE_STORAGE_DIR", text(results.path()))
    };
    assert_eq!(pipe().run().code, Some(0));
    assert_eq!(
        std::fs::read_to_string(&variables).unwrap(),
        "S3_DEPLOY_DELETED=0\nS3_DEPLOY_HEADERS=0\nS3_DEPLOY_UNCHANGED=0\nS3_DEPLOY_UPLOADED=3\n"
    );
    let report = || -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(results.path().join("report.json")).unwrap()).unwrap()
    };
    assert_eq!(report()["result"], "success");
    let mut uploaded: Vec<_> = report()["changed"]["uploaded"].as_array().unwrap().clone();
    uploaded.sort_by_key(ToString::to_string);
    assert_eq!(uploaded, ["assets/app.js", "assets/logo.svg", "index.html"]);
    assert_eq!(report()["plan"]["actions"][0]["reason"], "new");
    // A failure is reported too, and adds no variables.
    assert_eq!(
        pipe().env("S3_BUCKET", "no-such-bucket-here").run().code,
        Some(1)
    );
    assert_eq!(report()["result"], "failure");
    assert_eq!(
        std::fs::read_to_string(&variables).unwrap().lines().count(),
        4
    );
}

#[test]
fn five_thousand_files_are_five_thousand_requests_and_then_none() {
    let step = Step::new();
    for index in 0..5000 {
        step.file(
            &format!("{}/{index}.html", index % 50),
            &format!("page {index}"),
        );
    }
    let puts = || {
        step.all_s3_requests()
            .iter()
            .filter(|request| request.starts_with("PUT "))
            .count()
    };
    let deploy = || step.pipe().env("MANIFEST", "false").run();
    assert_eq!(deploy().code, Some(0));
    assert_eq!(puts(), 5000);
    assert_eq!(step.keys().len(), 5000);
    step.proxy.clear();
    let output = deploy();
    assert!(
        output
            .plain()
            .contains("uploaded 0, deleted 0, unchanged 5000"),
        "{}",
        last_line(&output.plain())
    );
    assert_eq!(puts(), 0);
    assert_eq!(
        step.s3_requests(),
        vec!["GET /"; 6],
        "one LIST for each 950 objects, all at the same time"
    );
}
