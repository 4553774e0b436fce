//! Several releases of one site: assets that open tabs still need, a release that is put back, a cache that is told,
//! and a site that several machines upload.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shared::testing::{Fault, Output, Pipe, Recorded};

use crate::step::{Step, last_line};

fn build<'a>(step: &'a Step, number: &str) -> Pipe<'a> {
    step.pipe()
        .env("BITBUCKET_BUILD_NUMBER", number)
        .env("DELETE_FLAG", "true")
        .env("RETAIN", "1")
}

fn release(step: &Step, number: &str, hash: &str) {
    let _ = std::fs::remove_dir_all(step.site.path().join("assets"));
    step.file(
        "index.html",
        &format!("<script src=assets/app.{hash}.js></script>"),
    );
    step.file(&format!("assets/app.{hash}.js"), hash);
    let output = build(step, number).run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
}

#[test]
fn assets_stay_for_a_release_and_pages_go_at_once() {
    let step = Step::new();
    step.file("about.html", "about");
    release(&step, "1", "0a1b2c3d");
    std::fs::remove_file(step.site.path().join("about.html")).unwrap();
    release(&step, "2", "1a2b3c4d");
    assert_eq!(
        step.keys(),
        [
            "assets/app.0a1b2c3d.js",
            "assets/app.1a2b3c4d.js",
            "index.html"
        ]
    );
    release(&step, "3", "2a3b4c5d");
    assert_eq!(
        step.keys(),
        [
            "assets/app.1a2b3c4d.js",
            "assets/app.2a3b4c5d.js",
            "index.html"
        ]
    );
}

#[test]
fn a_rollback_restores_the_pages_of_the_release_before() {
    let step = Step::new();
    step.file("about.html", "about");
    release(&step, "1", "0a1b2c3d");
    release(&step, "2", "1a2b3c4d");
    step.proxy.clear();
    let roll_back = |target: &str| step.pipe_without_site().env("ROLLBACK", target).run();
    let output = roll_back("previous");
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert!(
        last_line(&output.plain()).contains("(build 1) is live again, restored 1, unchanged 1"),
        "{}",
        output.plain()
    );
    let page =
        || String::from_utf8(step.aws.get_object(&step.bucket, "index.html").1.to_vec()).unwrap();
    assert_eq!(page(), "<script src=assets/app.0a1b2c3d.js></script>");
    assert_eq!(
        step.header("index.html", "content-type").unwrap(),
        "text/html; charset=utf-8"
    );
    // Nothing but the page was written.
    let written: Vec<_> = step
        .s3_requests()
        .into_iter()
        .filter(|request| request.starts_with("PUT "))
        .collect();
    assert_eq!(written, ["PUT /index.html"]);
    // A newer build goes live as always, and the one that was bad can be put back by its name.
    release(&step, "3", "2a3b4c5d");
    assert_eq!(page(), "<script src=assets/app.2a3b4c5d.js></script>");
    let unknown = roll_back("99-99");
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown
            .plain()
            .contains("✖ there is no such release to put back: there are `"),
        "{}",
        unknown.plain()
    );
}

#[test]
fn a_rollback_whose_assets_are_gone_is_refused() {
    let step = Step::new();
    release(&step, "1", "0a1b2c3d");
    release(&step, "2", "1a2b3c4d");
    step.aws
        .delete_object(&step.bucket, "assets/app.0a1b2c3d.js");
    let output = step.pipe_without_site().env("ROLLBACK", "previous").run();
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .plain()
            .contains("1 of its assets are gone, `assets/app.0a1b2c3d.js`"),
        "{}",
        output.plain()
    );
    assert_eq!(last_line(&output.plain()), "  nothing was changed");
}

fn share(step: &Step, index: &str) -> Output {
    let group = [
        ("BITBUCKET_PARALLEL_STEP", index),
        ("BITBUCKET_PARALLEL_STEP_COUNT", "3"),
    ];
    step.pipe()
        .env("SHARD", "true")
        .env("DELETE_FLAG", "true")
        .envs(group)
        .run()
}

#[test]
fn parallel_steps_upload_the_assets_and_the_next_one_the_rest() {
    let step = Step::new();
    step.file("index.html", "page");
    for index in 0..30 {
        step.file(&format!("assets/{index}.css"), &index.to_string());
    }
    step.aws.put_object(&step.bucket, "old.css", b"old", &[]);
    let merge = || {
        step.pipe()
            .env("SHARD_MERGE", "true")
            .env("DELETE_FLAG", "true")
            .run()
    };
    let mut uploaded = 0;
    for index in ["0", "2"] {
        let output = share(&step, index);
        assert_eq!(output.code, Some(0), "{}", output.plain());
        uploaded += output
            .plain()
            .lines()
            .filter(|line| line.starts_with("upload "))
            .count();
    }
    let output = merge();
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .plain()
            .contains("✖ the shares of 1 of 3 parallel steps are missing: step 1"),
        "{}",
        output.plain()
    );
    assert!(!step.keys().contains(&"index.html".to_owned()));
    let output = share(&step, "1");
    uploaded += output
        .plain()
        .lines()
        .filter(|line| line.starts_with("upload "))
        .count();
    assert_eq!(uploaded, 30, "each asset is in exactly one share");
    assert!(
        step.keys().contains(&"old.css".to_owned()),
        "no share deletes"
    );

    step.proxy.clear();
    let output = merge();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert!(
        last_line(&output.plain()).contains("uploaded 1, deleted 1, unchanged 30"),
        "{}",
        output.plain()
    );
    assert_eq!(step.keys().len(), 31);
    let heads = step
        .s3_requests()
        .iter()
        .filter(|request| request.starts_with("HEAD "))
        .count();
    assert_eq!(heads, 0, "the shares have said what they uploaded");
    let left: Vec<_> = step
        .aws
        .keys(&step.bucket)
        .into_iter()
        .filter(|key| key.contains("/parts/"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_share_outside_of_a_parallel_group_is_refused() {
    let step = Step::new();
    step.file("index.html", "page");
    let output = step.pipe().env("SHARD", "true").run();
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .plain()
            .contains("✖ SHARD is true, but this step is not in a `parallel` group"),
        "{}",
        output.plain()
    );
}

fn distribution(step: &Step) -> String {
    let config = format!(
        "<DistributionConfig xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><CallerReference>{0}</CallerReference>\
         <Comment></Comment><Enabled>true</Enabled><Origins><Quantity>1</Quantity><Items><Origin><Id>site</Id>\
         <DomainName>{0}.s3.us-east-1.amazonaws.com</DomainName><OriginPath></OriginPath><S3OriginConfig>\
         <OriginAccessIdentity></OriginAccessIdentity></S3OriginConfig></Origin></Items></Origins><DefaultCacheBehavior>\
         <TargetOriginId>site</TargetOriginId><ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy>\
         </DefaultCacheBehavior></DistributionConfig>",
        step.bucket
    );
    let answer = step.aws.call(
        "cloudfront",
        "POST",
        "/2020-05-31/distribution",
        &[("content-type", "text/xml")],
        config.as_bytes(),
    );
    assert_eq!(answer.status, 201, "{}", answer.text());
    let text = answer.text();
    text.split("<Id>")
        .nth(1)
        .and_then(|rest| rest.split('<').next())
        .unwrap()
        .to_owned()
}

#[test]
fn the_cache_is_told_of_changes_before_anything_is_deleted() {
    let step = Step::new();
    step.file("index.html", "page");
    step.file("style.css", "style");
    step.aws.put_object(&step.bucket, "old.css", b"old", &[]);
    let id = distribution(&step);
    let role = step.role.rsplit('/').next().unwrap();
    step.aws.put_role_policy(
        role,
        &serde_json::json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:*", "cloudfront:*"], "Resource": "*"},
        ]}),
    );
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
    let fails = Arc::new(AtomicBool::new(true));
    let failing = Arc::clone(&fails);
    let step = Step::with(move |request: &Recorded| {
        let denied = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
        let asked = request.method == "POST" && request.path.ends_with("/invalidation");
        (asked && failing.load(Ordering::Relaxed)).then(|| Fault::Status(403, denied.to_owned()))
    });
    step.file("index.html", "page");
    let id = distribution(&step);
    let role = step.role.rsplit('/').next().unwrap();
    step.aws.put_role_policy(
        role,
        &serde_json::json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:*", "cloudfront:*"], "Resource": "*"},
        ]}),
    );
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
    fails.store(false, Ordering::Relaxed);
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
