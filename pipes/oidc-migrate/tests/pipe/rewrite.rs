//! `plan` shows, `rewrite --write` does, and neither does more than it says.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{KEYS, checkout, command, git, pipe};

const FILE: &str = "bitbucket-pipelines.yml";

#[test]
fn a_plan_is_a_diff_and_changes_nothing() {
    let folder = checkout(&[(FILE, KEYS)]);
    let (code, output) = command(folder.path(), &["plan"]);
    assert_eq!(code, Some(0), "{output}");
    let (diff, order) = output.split_once("Work order").unwrap();
    insta::assert_snapshot!(diff, @r"
    --- a/bitbucket-pipelines.yml
    +++ b/bitbucket-pipelines.yml
    @@ -3,11 +3,11 @@
         main:
           - step:
               name: Deploy
    +          oidc: true
               deployment: production
               script:
                 - pipe: atlassian/aws-s3-deploy:1.1.0
                   variables:
    -                AWS_ACCESS_KEY_ID: $AWS_ACCESS_KEY_ID
    -                AWS_SECRET_ACCESS_KEY: $AWS_SECRET_ACCESS_KEY
    +                AWS_OIDC_ROLE_ARN: $AWS_OIDC_ROLE_ARN
                     S3_BUCKET: site
                     LOCAL_PATH: dist
    ");
    let verdict =
        "✔ would rewrite 1 of 1 files with 4 edits, 0 things left; `rewrite --write` does it";
    assert_eq!(order.lines().last(), Some(verdict));
    assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), KEYS);
}

#[test]
fn a_rewrite_is_written_once_and_the_second_run_does_nothing() {
    let folder = checkout(&[(FILE, KEYS)]);
    let path = folder.path().join(FILE);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    let (_, output) = command(folder.path(), &["rewrite"]);
    assert!(output.contains("would rewrite 1 of 1 files"), "{output}");
    assert_eq!(fs::read_to_string(&path).unwrap(), KEYS);
    let (code, output) = command(folder.path(), &["rewrite", "--write"]);
    assert!(
        code == Some(0) && output.contains("✔ rewrote 1 of 1 files"),
        "{output}"
    );
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("oidc: true") && !text.contains("ACCESS_KEY"),
        "{text}"
    );
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o664
    );
    let (code, output) = command(folder.path(), &["rewrite", "--write"]);
    assert!(
        code == Some(0) && output.contains("✔ nothing to change"),
        "{output}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn the_pipe_does_the_same_by_its_variables() {
    let folder = checkout(&[(FILE, KEYS)]);
    let run = pipe().current_dir(folder.path());
    let output = run
        .envs([("COMMAND", "rewrite"), ("TO", "ours"), ("WRITE", "true")])
        .run();
    assert_eq!(output.code, Some(0), "{}", output.stdout);
    let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
    assert!(text.contains("pipe: keylesspipes/s3-deploy:"), "{text}");
}

#[test]
fn a_dirty_work_tree_is_refused_unless_forced() {
    let folder = checkout(&[(FILE, KEYS)]);
    git(folder.path(), &["init", "-q"]);
    git(folder.path(), &["add", "."]);
    let (code, output) = command(folder.path(), &["rewrite", "--write"]);
    assert_eq!(code, Some(1));
    assert!(
        output.contains("not committed")
            && output.contains("--force")
            && output.contains("nothing was changed"),
        "{output}"
    );
    assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), KEYS);
    git(folder.path(), &["commit", "-qm", "x"]);
    fs::write(folder.path().join("other"), "x").unwrap();
    let (code, _) = command(folder.path(), &["rewrite", "--write"]);
    assert_eq!(code, Some(1));
    let (code, output) = command(folder.path(), &["rewrite", "--write", "--force"]);
    assert_eq!(code, Some(0), "{output}");
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-qm", "y"]);
    fs::write(folder.path().join(FILE), KEYS).unwrap();
    git(folder.path(), &["commit", "-qam", "z"]);
    let (code, output) = command(folder.path(), &["rewrite", "--write"]);
    assert_eq!(code, Some(0), "{output}");
}

#[test]
fn the_git_that_it_asks_inherits_no_secret() {
    let folder = checkout(&[
        (FILE, KEYS),
        (
            "bin/git",
            "#!/bin/sh\n/usr/bin/env >> \"${0%/*}/inherited\"\nexec /usr/bin/env PATH=/usr/local/bin:/usr/bin:/bin git \"$@\"\n",
        ),
    ]);
    let program = folder.path().join("bin/git");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    git(folder.path(), &["init", "-q"]);
    let path = program.parent().unwrap().to_str().unwrap().to_owned();
    let output = pipe()
        .current_dir(folder.path())
        .envs([
            ("COMMAND", "rewrite"),
            ("WRITE", "true"),
            ("PATH", &path),
            ("BITBUCKET_STEP_OIDC_TOKEN", "eyJ0b2tlbg.secret.token"),
            ("AWS_SECRET_ACCESS_KEY", "secret-key"),
            ("AWS_ACCESS_KEY_ID", "AKIASECRET"),
            ("AWS_SESSION_TOKEN", "secret-session"),
        ])
        .run();
    assert_eq!(output.code, Some(1), "{}", output.stdout);
    let inherited = fs::read_to_string(folder.path().join("bin/inherited")).unwrap();
    assert!(inherited.contains("COMMAND=rewrite"), "{inherited}");
    assert!(!inherited.to_lowercase().contains("secret"), "{inherited}");
}

#[test]
fn without_git_the_user_is_told() {
    let folder = checkout(&[(FILE, KEYS), (".git/HEAD", "ref: refs/heads/main\n")]);
    let output = pipe()
        .current_dir(folder.path())
        .envs([
            ("COMMAND", "rewrite"),
            ("WRITE", "true"),
            ("PATH", "/nonexistent"),
        ])
        .run();
    assert_eq!(output.code, Some(0), "{}", output.stdout);
    assert!(
        output.stdout.contains("WARNING: there is no `git` here"),
        "{}",
        output.stdout
    );
}

#[test]
fn a_read_only_file_stops_all_before_the_first_write() {
    let folder = checkout(&[(".bitbucket/shared-pipelines.yml", KEYS), (FILE, KEYS)]);
    let path = folder.path().join(FILE);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let (code, output) = command(folder.path(), &["rewrite", "--write"]);
    assert_eq!(code, Some(1));
    assert!(
        output.contains("is read-only") && output.contains("nothing was changed"),
        "{output}"
    );
    assert_eq!(
        fs::read_to_string(folder.path().join(".bitbucket/shared-pipelines.yml")).unwrap(),
        KEYS
    );
}

#[test]
fn literal_keys_are_in_no_output() {
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let text = KEYS
        .replace("$AWS_SECRET_ACCESS_KEY", secret)
        .replace("$AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
    let folder = checkout(&[(FILE, &text)]);
    for (name, value) in [
        ("COMMAND", "plan"),
        ("FORMAT", "json"),
        ("FORMAT", "sarif"),
        ("FORMAT", "text"),
    ] {
        let run = pipe()
            .env("COMMAND", "inspect")
            .env(name, value)
            .current_dir(folder.path());
        let output = run.secret(secret).secret("AKIAIOSFODNN7EXAMPLE").run();
        assert_eq!(output.code, Some(0), "{}", output.stdout);
    }
}

#[test]
fn a_folder_of_clones_ends_with_one_table() {
    let folder = checkout(&[
        ("shop/bitbucket-pipelines.yml", KEYS),
        (
            "site/bitbucket-pipelines.yml",
            "pipelines:\n  default:\n    - step:\n        script:\n          - make\n",
        ),
        ("notes/README.md", "x"),
        ("broken/bitbucket-pipelines.yml", "pipelines: ["),
    ]);
    let (code, output) = command(
        folder.path(),
        &["rewrite", "--write", "--all-repositories", "."],
    );
    assert_eq!(code, Some(0), "{output}");
    let table = output.split_once("\nrepository").unwrap().1;
    insta::assert_snapshot!(format!("repository{table}"), @r"
    repository  files  changed  edits  left  result
    broken          1        0      0     1  nothing to change
    notes           0        0      0     0  no pipeline file
    shop            1        1      4     0  rewritten
    site            1        0      0     0  nothing to change
    ✔ rewrote 1 files in 4 repositories, 1 things left
    ");
    assert!(
        !fs::read_to_string(folder.path().join("shop").join(FILE))
            .unwrap()
            .contains("ACCESS_KEY")
    );
}
