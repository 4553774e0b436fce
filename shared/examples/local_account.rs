//! Prepares the local AWS as an owner of a site would prepare an account: a bucket, the identity provider of the workspace
//! and a role for one repository's production environment. Prints the variables of a step that may deploy there, and
//! those of a step that may not. `ci/demo.sh` calls it; calling it again changes nothing but the tokens.
#![expect(
    clippy::print_stdout,
    reason = "its output is a list of variables for a shell"
)]

use std::process::ExitCode;

use shared::testing::{Issuer, LocalAws};

const WORKSPACE: &str = "{11111111-1111-4111-8111-111111111111}";
const REPOSITORY: &str = "{22222222-2222-4222-8222-222222222222}";
const ENVIRONMENT: &str = "{33333333-3333-4333-8333-333333333333}";
const OTHER_REPOSITORY: &str = "{44444444-4444-4444-8444-444444444444}";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, bucket] = arguments.as_slice() else {
        println!("usage: local_account ENDPOINT BUCKET");
        return ExitCode::FAILURE;
    };
    let aws = LocalAws::running_at(endpoint);
    let issuer = Issuer::new("acme", WORKSPACE);
    aws.create_bucket(bucket);
    let subjects = format!("{REPOSITORY}:{ENVIRONMENT}:*");
    let role = aws.site_role(&issuer, "site-deploy", bucket, &subjects);
    let step = issuer.step(REPOSITORY).environment(ENVIRONMENT);
    let other = issuer.step(OTHER_REPOSITORY).environment(ENVIRONMENT);
    for (name, value) in [
        ("AWS_OIDC_ROLE_ARN", role.as_str()),
        ("S3_BUCKET", bucket),
        ("BITBUCKET_STEP_OIDC_TOKEN", &step.sign()),
        ("BITBUCKET_WORKSPACE", issuer.slug()),
        ("BITBUCKET_REPO_SLUG", "site"),
        ("BITBUCKET_REPO_UUID", REPOSITORY),
        ("BITBUCKET_DEPLOYMENT_ENVIRONMENT", "production"),
        ("BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID", ENVIRONMENT),
        ("BITBUCKET_BUILD_NUMBER", "7"),
        ("OTHER_TOKEN", &other.sign()),
        ("OTHER_REPO_UUID", OTHER_REPOSITORY),
    ] {
        // Letters, digits and `-._:/{}` mean themselves in an assignment of any shell.
        println!("{name}={value}");
    }
    ExitCode::SUCCESS
}
