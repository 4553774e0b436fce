//! The printed texts, given to the tools that they are for.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::place::Place;

/// aws-cli of `ci/aws-cli.sh`, as an administrator of the local account.
fn aws(place: &Place) -> Command {
    let mut command = Command::new(cli());
    command.env_clear().envs(environment(place));
    command
}

fn environment(place: &Place) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ("AWS_ENDPOINT_URL", place.aws.endpoint().to_owned()),
        (
            "PATH",
            format!("{}:/usr/bin:/bin", cli().parent().unwrap().display()),
        ),
        ("HOME", place.path().display().to_string()),
    ]
}

fn cli() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/aws-cli.sh");
    let output = Command::new(&script)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{} failed; its reasons are above",
        script.display()
    );
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

fn succeed(mut command: Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(status.success(), "{command:?}: {stdout}{stderr}");
    stdout.into_owned()
}

/// What is printed without telling any UUID: the tool gets them as parameters.
fn printed(place: &Place, format: &str) -> String {
    let arguments = [
        "iam",
        "--format",
        format,
        "--workspace",
        place.issuer.slug(),
        "--repository-slug",
        &place.slug,
    ];
    let output = place.program(&arguments).env("DEBUG", "").run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    output.stdout
}

fn bare(uuid: &str) -> String {
    uuid.trim_matches(['{', '}']).to_owned()
}

#[test]
fn the_script_of_aws_cli_creates_it_and_can_be_run_again() {
    let place = Place::new();
    let script = place.path().join("create.sh");
    std::fs::write(&script, printed(&place, "aws-cli")).unwrap();
    for _ in 0..2 {
        let mut command = Command::new("bash");
        command
            .arg(&script)
            .env_clear()
            .envs(environment(&place))
            .envs([
                ("WORKSPACE_UUID", place.issuer.workspace().to_owned()),
                ("REPOSITORY_UUID", place.repository.clone()),
                ("PRODUCTION_ENVIRONMENT_UUID", bare(&place.production)),
                ("STAGING_ENVIRONMENT_UUID", place.staging.clone()),
                ("PRODUCTION_SITE_BUCKET", place.bucket.clone()),
                ("STAGING_SITE_BUCKET", place.bucket.clone()),
            ]);
        let printed = succeed(command);
        assert!(printed.contains(&place.role("production")), "{printed}");
    }
    place.assert_only_production_gets_in();
    // What it made is what --apply would make.
    let output = place.as_administrator(&["iam", "--apply"]).run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert!(output.plain().contains("Unchanged"), "{}", output.plain());
}

/// The local AWS has no identity providers in templates: the provider is one that the account has already, as it is for
/// the second repository of a workspace.
#[test]
fn the_template_of_cloudformation_creates_the_roles() {
    let place = Place::new();
    place.aws.create_provider(&place.issuer);
    let template = place.path().join("template.yml");
    std::fs::write(&template, printed(&place, "cloudformation")).unwrap();
    let mut command = aws(&place);
    command
        .args([
            "cloudformation",
            "create-stack",
            "--capabilities",
            "CAPABILITY_NAMED_IAM",
            "--stack-name",
            &place.slug,
        ])
        .arg("--template-body")
        .arg(format!("file://{}", template.display()))
        .arg("--parameters");
    for (name, value) in [
        ("CreateProvider", "false".to_owned()),
        ("WorkspaceUuid", bare(place.issuer.workspace())),
        ("RepositoryUuid", bare(&place.repository)),
        ("ProductionEnvironmentUuid", bare(&place.production)),
        ("StagingEnvironmentUuid", bare(&place.staging)),
        ("ProductionSiteBucket", place.bucket.clone()),
        ("StagingSiteBucket", place.bucket.clone()),
    ] {
        command.arg(format!("ParameterKey={name},ParameterValue={value}"));
    }
    succeed(command);
    let mut command = aws(&place);
    command.args([
        "cloudformation",
        "wait",
        "stack-create-complete",
        "--stack-name",
        &place.slug,
    ]);
    succeed(command);
    place.assert_only_production_gets_in();
    let output = place.as_administrator(&["iam", "--apply"]).run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert!(output.plain().contains("Unchanged"), "{}", output.plain());
}

#[test]
fn a_wrong_workspace_is_told_without_a_document() {
    let place = Place::new();
    let output = place.program(&["iam"]).env("DEBUG", "").run();
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    assert!(output.stderr.contains("--workspace"), "{}", output.stderr);
}
