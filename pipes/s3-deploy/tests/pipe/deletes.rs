//! DELETE_SCOPE: in a bucket that others use too, only what earlier deploys have put there is deleted.

use crate::step::{Step, last_line};

#[test]
fn only_what_a_deploy_has_put_there_is_deleted() {
    let step = Step::new();
    for file in ["index.html", "a.js", "b.js"] {
        step.file(file, file);
    }
    step.aws
        .put_object(&step.bucket, "theirs.pdf", b"theirs", &[]);
    let deploy = |delete: &str| {
        let output = step
            .pipe()
            .env("DELETE_FLAG", delete)
            .env("DELETE_SCOPE", "deployed")
            .run();
        assert_eq!(output.code, Some(0), "{}", output.plain());
        output.plain()
    };
    deploy("true");
    step.remove("a.js");
    // What stays for now is not forgotten.
    let plain = deploy("false");
    assert!(
        plain.contains("left alone 2 (DELETE_FLAG is not true)"),
        "{plain}"
    );
    step.remove("b.js");
    let plain = deploy("true");
    assert!(
        plain.contains("left alone 1 (no deploy has put them there)"),
        "{plain}"
    );
    assert!(
        last_line(&plain).contains("uploaded 0, deleted 2, unchanged 1"),
        "{plain}"
    );
    assert_eq!(step.keys(), ["index.html", "theirs.pdf"]);
}

#[test]
fn a_build_that_made_nothing_empties_no_site() {
    let step = Step::new();
    step.file("index.html", "page");
    assert_eq!(step.pipe().run().code, Some(0));
    for (arguments, file) in [("", None), ("--exclude '*'", Some("index.html"))] {
        let _ = std::fs::remove_file(step.site.path().join("index.html"));
        if let Some(file) = file {
            step.file(file, "page");
        }
        let output = step
            .pipe()
            .env("DELETE_FLAG", "true")
            .env("DELETE_LIMIT", "100%")
            .env("EXTRA_ARGS", arguments)
            .run();
        assert_eq!(output.code, Some(1));
        assert!(
            output.plain().contains("holds no files"),
            "{}",
            output.plain()
        );
        assert_eq!(step.keys(), ["index.html"]);
    }
}
