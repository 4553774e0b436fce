//! What bad input gets: a sentence that names it, exit code 1, and an untouched bucket.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use shared::testing::{Fault, Output, Pipe, Recorded, unique};

use crate::step::{Step, last_line, text};

/// Refused before any request at all.
fn assert_refused(step: &Step, output: &Output, texts: &[&str]) {
    let plain = output.plain();
    assert_eq!(output.code, Some(1), "{plain}");
    for text in texts {
        assert!(plain.contains(text), "{text:?} is missing in:\n{plain}");
    }
    assert_eq!(last_line(&plain), "  nothing was changed");
    assert!(
        step.proxy.requests().is_empty(),
        "{:?}",
        step.proxy.requests()
    );
}

#[test]
fn every_wrong_variable_is_named_in_one_block() {
    let step = Step::new();
    let wrong = [
        ("S3_BUCKET", " "),
        ("LOCAL_PATH", "$DIST"),
        ("DELETE_FLAG", "1"),
        ("ACL", "public"),
        ("DEBUG", "perhaps"),
    ];
    let output = step
        .pipe()
        .envs(wrong)
        .env("AWS_DEFAULT_REGION", "")
        .env("DELETE_FLG", "true")
        .run();
    assert_refused(
        &step,
        &output,
        &[
            "WARNING: the variable `DELETE_FLG` is not known to this pipe and is ignored; did you mean `DELETE_FLAG`?",
            "✖ Validation errors:\n\
             ACL:\n- unallowed value public (allowed: private, public-read, public-read-write, authenticated-read, \
             aws-exec-read, bucket-owner-read, bucket-owner-full-control, log-delivery-write)\n\
             AWS_DEFAULT_REGION:\n- required field (it is set, but blank)\n\
             DEBUG:\n- must be of boolean type\n\
             DELETE_FLAG:\n- must be of boolean type\n\
             LOCAL_PATH:\n- required field (its value is the literal `$DIST`, so that variable is not defined for this step)\n\
             S3_BUCKET:\n- required field (it is set, but blank)\n",
        ],
    );
}

#[test]
fn local_path_has_to_be_a_directory_with_files() {
    let step = Step::new();
    step.aws.put_object(&step.bucket, "old.html", b"old", &[]);
    std::fs::create_dir_all(step.site.path().join("empty/inside")).unwrap();
    step.file("file", "x");
    for (path, text) in [
        (
            "absent",
            "could not read LOCAL_PATH `absent`: no such file or directory",
        ),
        ("file", "LOCAL_PATH `file` is not a directory"),
        ("empty", "LOCAL_PATH `empty` holds no files"),
        // What `$BUILD/` is when the variable is empty.
        ("/", "LOCAL_PATH `/` is the whole machine, not a site"),
        (
            "/usr/..",
            "LOCAL_PATH `/usr/..` is the whole machine, not a site",
        ),
    ] {
        let output = step
            .pipe()
            .env("LOCAL_PATH", path)
            .env("DELETE_FLAG", "true")
            .run();
        assert_refused(&step, &output, &[text, "hint: "]);
    }
    assert_eq!(step.keys(), ["old.html"]);
}

#[test]
fn files_that_cannot_become_objects_are_all_named() {
    let step = Step::new();
    step.file("good.html", "good");
    let root = step.site.path();
    std::fs::write(root.join(OsStr::from_bytes(b"bad-\xff.html")), "x").unwrap();
    std::fs::write(root.join("line\nbreak.html"), "x").unwrap();
    symlink("/etc/hostname", root.join("outside")).unwrap();
    symlink("nowhere", root.join("broken")).unwrap();
    symlink("..", root.join("parent")).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(root.join("pipe"))
            .status()
            .unwrap()
            .success()
    );
    let deep = format!(
        "{}/{}",
        "d".repeat(250),
        format!("{}/", "e".repeat(250)).repeat(3)
    );
    std::fs::create_dir_all(root.join(&deep)).unwrap();
    std::fs::write(root.join(&deep).join("f".repeat(100)), "x").unwrap();
    assert_refused(
        &step,
        &step.pipe().run(),
        &[
            "✖ could not use 7 files under LOCAL_PATH",
            "bad-\u{fffd}.html` has a name that is not UTF-8",
            "`line\\nbreak.html` has a control character in its name",
            "outside` is a link that leaves LOCAL_PATH, to `/etc/hostname`",
            "broken` is a link to nothing",
            "parent` is a link that leaves LOCAL_PATH, to `/",
            "pipe` is neither a file nor a directory",
            "has a key of 1104 bytes, more than the 1024 that S3 takes",
        ],
    );
}

#[test]
fn links_inside_the_directory_are_followed() {
    let step = Step::new();
    step.file("releases/2/app.js", "two");
    symlink("releases/2", step.site.path().join("current")).unwrap();
    symlink("releases/2/app.js", step.site.path().join("app.js")).unwrap();
    let output = step.pipe().run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert_eq!(
        step.keys(),
        ["app.js", "current/app.js", "releases/2/app.js"]
    );
}

#[test]
fn a_link_to_a_directory_that_it_is_in_is_refused() {
    let step = Step::new();
    step.file("a/index.html", "x");
    symlink("../a", step.site.path().join("a/again")).unwrap();
    assert_refused(
        &step,
        &step.pipe().run(),
        &["a/again` is a link to a directory that it is in"],
    );
}

/// Root reads everything, so the pipe runs as nobody, from a place that nobody can reach.
#[test]
fn a_file_that_may_not_be_read_is_found_before_any_change() {
    let step = Step::new();
    step.file("a.html", "a");
    step.file("secret.html", "x");
    std::fs::set_permissions(
        step.site.path().join("secret.html"),
        PermissionsExt::from_mode(0o000),
    )
    .unwrap();
    std::fs::set_permissions(step.site.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let place = tempfile::tempdir().unwrap();
    let binary = place.path().join("s3-deploy");
    std::fs::copy(env!("CARGO_BIN_EXE_s3-deploy"), &binary).unwrap();
    std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let am_root = std::fs::File::open(step.site.path().join("secret.html")).is_ok();
    let pipe = Pipe::new(&binary)
        .through(&step.proxy)
        .current_dir(place.path())
        .env("NO_COLOR", "1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("S3_BUCKET", &step.bucket)
        .env("LOCAL_PATH", text(step.site.path()))
        .env("AWS_OIDC_ROLE_ARN", &step.role)
        .env("BITBUCKET_STEP_OIDC_TOKEN", step.token());
    let output = if am_root {
        pipe.uid(65534).run()
    } else {
        pipe.run()
    };
    assert_refused(
        &step,
        &output,
        &[
            "✖ could not use a file",
            "secret.html` could not be read: permission denied",
        ],
    );
}

/// The listing is held up while a file is edited: after the walk, before it is read.
#[test]
fn a_file_that_changes_while_it_is_read_is_not_uploaded() {
    let step = Step::with(|request: &Recorded| {
        (request.method == "GET").then_some(Fault::Delay(Duration::from_secs(2)))
    });
    step.file("small.html", "before");
    let running = step.pipe().spawn();
    running.until_printed("Authenticated as");
    step.file("small.html", "after!");
    let output = running.wait();
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .plain()
            .contains("small.html`: it changed while it was read"),
        "{}",
        output.plain()
    );
    assert_eq!(last_line(&output.plain()), "  nothing was changed");
    assert_eq!(step.keys(), Vec::<String>::new());
}

/// A large file goes up in parts, and is edited while its first part is under way: no object appears, and the parts
/// are taken back.
#[test]
fn a_large_file_that_changes_while_it_is_read_is_not_uploaded() {
    let site = tempfile::tempdir().unwrap();
    let path = site.path().join("large.bin");
    let edited = path.clone();
    let step = Step::with(move |request: &Recorded| {
        if request.query.contains("partNumber=1") {
            std::fs::write(&edited, "b".repeat(20_000_000)).unwrap();
        }
        None
    });
    std::fs::write(&path, "a".repeat(20_000_000)).unwrap();
    let output = step.pipe().env("LOCAL_PATH", text(site.path())).run();
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .plain()
            .contains("large.bin`: it changed while it was read"),
        "{}",
        output.plain()
    );
    assert_eq!(last_line(&output.plain()), "  nothing was changed");
    assert_eq!(step.keys(), Vec::<String>::new());
    assert_eq!(step.unfinished_uploads(), 0);
}

fn answering_list(status: u16, body: &'static str) -> Step {
    let step = Step::with(move |request: &Recorded| {
        (request.method == "GET").then(|| Fault::Status(status, body.to_owned()))
    });
    step.file("index.html", "x");
    step
}

#[test]
fn an_absent_bucket_is_one_line() {
    let step = Step::new();
    step.file("index.html", "x");
    let bucket = unique("nobody-made-this");
    let pipe = step
        .pipe_without_credentials()
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    let output = pipe.env("S3_BUCKET", &bucket).run();
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .plain()
            .contains(&format!("✖ the bucket `{bucket}` does not exist\n")),
        "{}",
        output.plain()
    );
}

/// Played: the local AWS serves every bucket in every region. The region stands in the text of the first
/// answer, and in a header of the second.
#[test]
fn a_bucket_in_another_region_is_one_line() {
    let wrong = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; \
                 the region 'us-east-1' is wrong; expecting 'eu-west-1'</Message><Region>eu-west-1</Region></Error>";
    let step = answering_list(400, wrong);
    let output = step.pipe().run();
    let line = format!(
        "✖ the bucket `{}` is in region `eu-west-1`\n  hint: set AWS_DEFAULT_REGION to `eu-west-1`\n",
        step.bucket
    );
    assert!(output.plain().contains(&line), "{}", output.plain());
}

#[test]
fn an_answer_that_is_no_listing_is_no_empty_bucket() {
    let step = answering_list(200, "<html>proxy login</html>");
    let output = step.pipe().env("DELETE_FLAG", "true").run();
    assert_eq!(output.code, Some(1), "{}", output.plain());
    assert_eq!(last_line(&output.plain()), "  nothing was changed");
}

#[test]
fn arguments_are_refused_and_version_and_variables_are_told() {
    let run = |argument: &str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_s3-deploy"))
            .arg(argument)
            .env_clear()
            .output();
        let output = output.unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    assert_eq!(
        run("--version"),
        (
            Some(0),
            format!("s3-deploy {}\n", env!("CARGO_PKG_VERSION"))
        )
    );
    let (code, text) = run("--help");
    assert_eq!(code, Some(0));
    let entry = "\n  DELETE_LIMIT  [25%, at least 10]\n      more deletes, ";
    assert!(text.contains(entry), "{text}");
    let (code, text) = run("deploy");
    assert_eq!(code, Some(1));
    assert!(
        text.starts_with(
            "✖ s3-deploy takes no arguments but `--help` and `--version`, and was given `deploy`"
        ),
        "{text}"
    );
}

#[test]
fn a_private_endpoint_that_is_down_is_said_without_a_change() {
    let step = Step::new();
    step.file("index.html", "x");
    let pipe = step
        .pipe()
        .env("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        .env("AWS_MAX_ATTEMPTS", "1");
    let output = pipe.run();
    assert!(
        output.plain().contains("no connection: Connection refused"),
        "{}",
        output.plain()
    );
    assert_eq!(last_line(&output.plain()), "  nothing was changed");
}

#[test]
fn the_pipes_own_folder_in_the_site_is_refused() {
    let step = Step::new();
    step.file("index.html", "x");
    step.file(".s3-deploy/manifest.json", "{}");
    assert_refused(
        &step,
        &step.pipe().run(),
        &["✖ LOCAL_PATH holds `.s3-deploy/`, the folder that the pipe keeps for itself"],
    );
}
