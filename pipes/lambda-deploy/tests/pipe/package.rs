//! COMMAND `package`, and directories as ZIP_FILE of a deploy: equal trees are equal code.

use std::fs;

use serde_json::json;
use shared::testing::{Output, Pipe, Reply};

use crate::step::{Step, answering, failed, last_line, succeeded};

fn package(directory: &std::path::Path) -> Pipe<'static> {
    Pipe::new(env!("CARGO_BIN_EXE_lambda-deploy"))
        .current_dir(directory)
        .env("COMMAND", "package")
        .env("NO_COLOR", "1")
}

fn sha256_of(output: &Output) -> String {
    let line = last_line(output);
    line.rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn an_archive_is_made_without_credentials_and_python_agrees_on_its_sha256() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("dist")).unwrap();
    fs::write(root.path().join("dist/app.py"), answering("first")).unwrap();
    let output = package(root.path())
        .env("ZIP_FILE", "dist")
        .env("PACKAGE_FILE", "code.zip")
        .run();
    succeeded(&output);
    let script = "import base64, hashlib, zipfile
assert zipfile.ZipFile('code.zip').namelist() == ['app.py']
print(base64.b64encode(hashlib.sha256(open('code.zip', 'rb').read()).digest()).decode())";
    let python = std::process::Command::new("python3")
        .args(["-I", "-c", script])
        .current_dir(root.path())
        .output()
        .unwrap();
    assert!(python.status.success(), "{python:?}");
    assert_eq!(
        String::from_utf8(python.stdout).unwrap().trim(),
        sha256_of(&output)
    );
    // The archive is taken as it is, so it has the same sum.
    let again = package(root.path()).env("ZIP_FILE", "code.zip").run();
    succeeded(&again);
    assert_eq!(sha256_of(&again), sha256_of(&output));
}

/// 260 MB of nothing are a small archive: only the limit of what is unpacked is in the way.
#[test]
fn an_account_with_other_limits_is_asked_for_them_only_then() {
    let limits = |unzipped: u64| {
        Step::scripted(|timeline, function| {
            // The local AWS has the usual limits, and would refuse it.
            let taken = Reply::json(&json!({"FunctionName": function, "CodeSha256": "dry"}));
            let code = format!("PUT /2015-03-31/functions/{function}/code");
            let timeline = if unzipped > 250 << 20 {
                timeline.on(code.as_str(), [taken])
            } else {
                timeline
            };
            timeline.on(
                "GET /2016-08-19/account-settings",
                [Reply::json(&json!({"AccountLimit": {"CodeSizeUnzipped": unzipped, "CodeSizeZipped": 50 << 20,
                    "TotalCodeSize": 75_u64 << 30, "ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000}}))],
            )
        })
    };
    let large = |step: &Step| {
        step.file("dist/app.py", answering("large"));
        fs::File::create(step.directory.path().join("dist/model.bin"))
            .and_then(|file| file.set_len(260 << 20))
            .unwrap();
    };
    let update = |step: &Step| {
        step.pipe()
            .env("COMMAND", "update")
            .env("ZIP_FILE", "dist")
            .run()
    };
    let asked = |step: &Step| {
        let all = step.proxy.operations();
        all.iter()
            .filter(|each| each.contains("account-settings"))
            .count()
    };

    let step = limits(300 << 20);
    large(&step);
    let output = step
        .pipe()
        .env("COMMAND", "update")
        .env("ZIP_FILE", "dist")
        .env("DRY_RUN", "true")
        .run();
    let plain = succeeded(&output);
    assert!(plain.contains("(content differs, "), "{plain}");
    assert_eq!(asked(&step), 1);

    let step = limits(250 << 20);
    large(&step);
    let plain = failed(&update(&step));
    assert!(plain.contains("250 MB"), "{plain}");
    assert!(plain.trim_end().ends_with("nothing was changed"), "{plain}");

    let step = limits(250 << 20);
    step.file("dist/app.py", answering("small"));
    succeeded(&update(&step));
    assert_eq!(asked(&step), 0);
}

#[test]
fn what_is_wrong_is_one_block_or_one_line() {
    let root = tempfile::tempdir().unwrap();
    let output = package(root.path()).env("SYMLINKS", "copy").run();
    let plain = failed(&output);
    assert!(
        plain.contains("SYMLINKS:\n- unallowed value copy"),
        "{plain}"
    );
    assert!(plain.contains("ZIP_FILE:\n- required field"), "{plain}");
    let output = package(root.path())
        .env("ZIP_FILE", ".")
        .env("PACKAGE_FILE", "nowhere/code.zip")
        .run();
    assert!(failed(&output).contains("✖ ZIP_FILE `.` holds no file to be packed"));
}

#[test]
fn the_same_tree_from_a_fresh_checkout_is_no_change() {
    let step = Step::new();
    let deploy = |directory: &str| {
        step.file(&format!("{directory}/app.py"), answering("second"));
        step.file(&format!("{directory}/.lambdaignore"), "*.md\n");
        step.file(&format!("{directory}/notes.md"), directory);
        step.pipe()
            .env("COMMAND", "deploy")
            .env("ZIP_FILE", directory)
            .env("ALIAS", "live")
            .run()
    };
    succeeded(&deploy("one"));
    assert_eq!(
        step.changes(),
        ["PUT /code", "POST /versions", "POST /aliases"]
    );
    step.proxy.clear();
    let output = deploy("another/place");
    succeeded(&output);
    assert!(last_line(&output).starts_with("✔ Unchanged: "));
    assert_eq!(step.changes(), [] as [&str; 0]);
}
