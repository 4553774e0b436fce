//! The binary as people run it: on a laptop with arguments, in a pipe with variables, on checkouts of all kinds.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a failed test")]

mod bad_input;
mod inspect;
mod rewrite;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use shared::testing::Pipe;
use tempfile::TempDir;

const KEYS: &str = "\
pipelines:
  branches:
    main:
      - step:
          name: Deploy
          deployment: production
          script:
            - pipe: atlassian/aws-s3-deploy:1.1.0
              variables:
                AWS_ACCESS_KEY_ID: $AWS_ACCESS_KEY_ID
                AWS_SECRET_ACCESS_KEY: $AWS_SECRET_ACCESS_KEY
                S3_BUCKET: site
                LOCAL_PATH: dist
";

/// The binary in pipe mode.
fn pipe() -> Pipe<'static> {
    Pipe::new(env!("CARGO_BIN_EXE_oidc-migrate")).env("DEBUG", "")
}

/// The binary with arguments, as on a laptop; git in the tests has no configuration of the machine.
fn command(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_oidc-migrate"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .output()
        .unwrap();
    let Output {
        stdout,
        stderr,
        status,
    } = output;
    (
        status.code(),
        String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap(),
    )
}

/// A folder with these files.
fn checkout(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// Runs git in the folder.
fn git(folder: &Path, arguments: &[&str]) {
    let status = Command::new("git")
        .args([
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@example.com",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "git {arguments:?}");
}
