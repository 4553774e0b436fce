//! Several releases of one site: assets that open tabs still need, a release that is put back, and a site that several
//! machines upload.

use shared::testing::{Output, Pipe};

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
