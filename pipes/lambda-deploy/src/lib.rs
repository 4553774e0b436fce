//! `lambda-deploy`: code and configuration become a version of a Lambda function, and an alias gets to it, by the step's
//! OIDC token. Prepare, look, plan, refuse; then change, publish, test, shift; each stage is a file beside this one.

mod aftermath;
mod artifact;
mod aws;
mod bracket;
mod canary;
mod code_deploy;
mod config;
mod configuration;
mod deploy;
mod function_url;
mod image;
mod layer;
mod live;
mod mark;
mod output;
mod package;
mod package_only;
mod plan;
mod point;
#[cfg(feature = "properties")]
pub mod properties;
mod provisioned;
mod prune;
mod release;
mod rollback;
mod shift;
mod smoke;
mod source;
mod target;

use std::process::ExitCode;
use std::time::SystemTime;

use shared::{Access, Environment, Failure, Journal, Outcome, wait};

use crate::canary::Run;
use crate::config::{Command, Config};
use crate::deploy::Deploy;
use crate::package_only::PackageOnly;
use crate::target::Target;

const PIPE: (&str, &str) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));

/// The whole program, from the environment of the process to its exit code.
#[must_use]
pub fn main() -> ExitCode {
    shared::run(PIPE.0, PIPE.1, include_str!("../README.md"), run)
}

async fn run(environment: &Environment, journal: &Journal) -> Result<Outcome, Failure> {
    if let Some(only) = PackageOnly::new(environment)? {
        return only.run().await;
    }
    let (config, access) = shared::configure::<Config>(environment, PIPE)?;
    let work = Box::pin(command(&config, access, environment, journal));
    wait::within(config.timeout, "DEPLOY_TIMEOUT", work).await
}

async fn command(
    config: &Config,
    access: Access,
    environment: &Environment,
    journal: &Journal,
) -> Result<Outcome, Failure> {
    let region = access.region().to_owned();
    let run = this_run(config, environment);
    let sdk = access.open().await?;
    let targets = Target::all(config, &sdk, &region);
    match &config.command {
        Command::Change(change) => {
            let deploy = Deploy {
                config,
                change,
                targets: &targets,
                run: &run,
                environment,
                journal,
            };
            deploy.run().await
        }
        Command::Alias(point) => point::point(config, point, &targets, &run, journal).await,
        Command::RollBack { alias, target } => {
            point::roll_back(config, alias, target, &targets, journal).await
        }
    }
}

/// Repository and build; a step that is run again has the same.
fn this_run(config: &Config, environment: &Environment) -> Run {
    let word = |name: &str| {
        let text = environment.get(name)?.trim().to_owned();
        let is_plain = |each: char| each.is_ascii_alphanumeric() || "-_.".contains(each);
        Some(text.replace(|each| !is_plain(each), "-"))
    };
    let repository = word("BITBUCKET_REPO_SLUG").unwrap_or_else(|| "local".to_owned());
    let build = word("BITBUCKET_BUILD_NUMBER").unwrap_or_else(|| "0".to_owned());
    Run {
        name: format!("{repository}#{build}"),
        now: SystemTime::now(),
        force: config.force,
    }
}
