//! Pages that load what is not there: a build that forgot a file is seen before it is live.

use crate::step::{Step, last_line};

fn site() -> Step {
    let step = Step::new();
    step.file(
        "blog/index.html",
        "<link rel=stylesheet href=/style.css><script src=../assets/app.js></script><img srcset='/a.png, b.png 2x'>\
         <img src=https://cdn.example.com/c.png><a href=/gone.html>gone</a>",
    );
    step.file("style.css", "");
    step.file("assets/app.js", "");
    step.file("a.png", "");
    step
}

const BROKEN: &str = "`blog/index.html` loads `blog/b.png`";

#[test]
fn what_a_page_loads_and_nothing_has_is_named_in_a_warning() {
    let step = site();
    let output = step.pipe().run();
    assert_eq!(output.code, Some(0));
    let plain = output.without_debug();
    let warning = format!(
        "WARNING: 1 files that pages load will be neither in the site nor in the bucket:\n  {BROKEN}\n"
    );
    assert!(plain.contains(&warning), "{plain}");
    // Nothing is uploaded, so nobody is told again.
    let plain = step.pipe().run().plain();
    assert!(!plain.contains("pages load"), "{plain}");
}

#[test]
fn it_is_a_refusal_before_any_change_if_the_user_wants_so() {
    let step = site();
    let output = step.pipe().env("BROKEN_LINKS", "refuse").run();
    assert_eq!(output.code, Some(1));
    let plain = output.plain();
    assert!(
        plain.contains("✖ refused, since 1 files that pages load will be neither")
            && plain.contains(BROKEN),
        "{plain}"
    );
    assert_eq!(last_line(&plain), "  nothing was changed");
    assert_eq!(step.keys(), Vec::<String>::new());
    step.file("blog/b.png", "");
    let output = step.pipe().env("BROKEN_LINKS", "refuse").run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
}

#[test]
fn what_stays_in_the_bucket_is_there_and_what_is_deleted_is_not() {
    let step = site();
    step.aws.put_object(&step.bucket, "blog/b.png", b"old", &[]);
    let deploy = |variables: &[(&str, &str)]| {
        let refuse = [("BROKEN_LINKS", "refuse")];
        let pipe = step.pipe().envs(refuse).envs(variables.iter().copied());
        pipe.run().plain()
    };
    let delete = ("DELETE_FLAG", "true");
    let plain = deploy(&[delete]);
    assert!(plain.contains(BROKEN), "{plain}");
    for there in [
        vec![],
        vec![delete, ("EXTRA_ARGS", "--exclude '*/b.png'")],
        vec![delete, ("DELETE_SCOPE", "deployed")],
        vec![delete, ("RETAIN", "1")],
    ] {
        let plain = deploy(&there);
        assert!(last_line(&plain).starts_with('✔'), "{there:?}: {plain}");
    }
}

#[test]
fn nobody_looks_if_the_user_wants_so() {
    let step = site();
    let plain = step.pipe().env("BROKEN_LINKS", "ignore").run().plain();
    assert!(!plain.contains("pages load"), "{plain}");
}

#[test]
fn under_a_prefix_it_takes_the_url_to_know_what_a_path_means() {
    let step = Step::new();
    step.file("index.html", "<img src=/gone.png><img src=/docs/gone.png>");
    let deploy = |variables: &[(&str, &str)]| {
        let docs = format!("{}/docs", step.bucket);
        let pipe = step.pipe().env("S3_BUCKET", docs).env("DRY_RUN", "true");
        pipe.envs(variables.iter().copied()).run().plain()
    };
    let page = "`docs/index.html` loads";
    let plain = deploy(&[]);
    assert!(plain.contains("1 files that pages load"), "{plain}");
    assert!(
        plain.contains(&format!("{page} `docs/gone.png`")),
        "{plain}"
    );
    let plain = deploy(&[("SITE_URL", "https://docs.example.com/")]);
    assert!(plain.contains("2 files that pages load"), "{plain}");
    assert!(
        plain.contains(&format!("{page} `docs/docs/gone.png`")),
        "{plain}"
    );
}
