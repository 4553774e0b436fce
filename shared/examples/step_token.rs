//! Prints a token as Bitbucket signs it for a deployment step, for trials against a local AWS:
//! `step_token SLUG WORKSPACE_UUID REPOSITORY_UUID ENVIRONMENT_UUID`. The key is made anew, so no other AWS takes it.

use std::process::ExitCode;

use shared::log;
use shared::testing::Issuer;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [slug, workspace, repository, environment] = arguments.as_slice() else {
        log::line("step_token takes SLUG WORKSPACE_UUID REPOSITORY_UUID ENVIRONMENT_UUID");
        return ExitCode::FAILURE;
    };
    let issuer = Issuer::new(slug, workspace);
    log::line(issuer.step(repository).environment(environment).sign());
    ExitCode::SUCCESS
}
