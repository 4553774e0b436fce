//! Wrong arguments, wrong variables, wrong files: one clear line, exit code 1, and nothing written.

use super::{checkout, command, pipe};

#[test]
fn wrong_arguments_are_told() {
    let folder = checkout(&[]);
    for (arguments, expected) in [
        (&["inpect"][..], "unrecognized subcommand 'inpect'"),
        (&["inspect", "--format", "xml"], "invalid value 'xml'"),
        (&["rewrite", "--wirte"], "unexpected argument '--wirte'"),
        (&["inspect"], "there is no `bitbucket-pipelines.yml` in `.`"),
        (
            &["inspect", "--repository", "gone"],
            "could not look for pipeline files in `gone`",
        ),
        (
            &["plan", "--all-repositories", "gone"],
            "could not read `gone`",
        ),
    ] {
        let (code, output) = command(folder.path(), arguments);
        assert_eq!(code, Some(1), "{arguments:?}");
        assert!(
            output.starts_with("✖ ") && output.contains(expected),
            "{arguments:?}: {output}"
        );
    }
}

#[test]
fn wrong_variables_are_told_all_at_once() {
    let folder = checkout(&[]);
    let output = pipe()
        .current_dir(folder.path())
        .envs([("COMMAND", "rewrit"), ("TO", "theirs"), ("WRITE", "maybe")])
        .run();
    assert_eq!(output.code, Some(1));
    for expected in [
        "COMMAND",
        "unallowed value rewrit",
        "unallowed value theirs (one of `keep`, `ours`)",
        "WRITE",
        "nothing was changed",
    ] {
        assert!(
            output.stdout.contains(expected),
            "{expected}: {}",
            output.stdout
        );
    }
}

#[test]
fn help_and_version_are_no_failures() {
    let folder = checkout(&[]);
    let (code, output) = command(folder.path(), &["--help"]);
    assert!(
        code == Some(0) && output.contains("inspect") && output.contains("rewrite"),
        "{output}"
    );
    let (code, output) = command(folder.path(), &["--version"]);
    assert!(
        code == Some(0) && output.starts_with("oidc-migrate "),
        "{output}"
    );
}

#[test]
fn a_broken_file_is_a_line_and_holds_up_no_other() {
    let folder = checkout(&[
        ("bitbucket-pipelines.yml", "pipelines:\n\tdefault: x\n"),
        ("sub/bitbucket-pipelines.yml", super::KEYS),
    ]);
    let (code, output) = command(folder.path(), &["rewrite", "--write"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("bitbucket-pipelines.yml:2: left as it is: no YAML"),
        "{output}"
    );
    assert!(output.contains("✔ rewrote 1 of 2 files"), "{output}");
}
