//! `ecs-deploy`: a task definition goes to ECS services, by the step's OIDC token, and the verdict is that of the very
//! deployment that this run started. Observe, plan, refuse, apply, follow, report; each stage is a file beside this one.

#![expect(
    clippy::struct_field_names,
    reason = "fields that serde reads have the names of the API's members"
)]

mod apply;
mod aws;
mod causes;
mod change;
mod code_deploy;
mod commands;
mod config;
mod definition;
mod family;
mod findings;
mod follow;
mod observe;
mod one_off;
mod outcome;
mod pace;
mod pin;
mod plan;
mod progress;
#[cfg(feature = "properties")]
pub mod properties;
mod prune;
mod rollback;
mod rollout;
mod schedules;
mod service;
mod tags;
mod task;

use std::process::ExitCode;

use shared::{Access, Environment, Failure, Journal, Outcome, Settings, wait};

use crate::apply::Deploy;
use crate::aws::{Ecs, Evidence, Neighbours};
use crate::change::Wish;
use crate::config::{CommandName, Config};
use crate::observe::observe;
use crate::one_off::Run;
use crate::plan::Plan;

const PIPE: (&str, &str) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));

/// The whole program, from the environment of the process to its exit code.
#[must_use]
pub fn main() -> ExitCode {
    shared::run(PIPE.0, PIPE.1, include_str!("../README.md"), run)
}

async fn run(environment: &Environment, journal: &Journal) -> Result<Outcome, Failure> {
    let (config, access) = shared::configure::<Config>(environment, PIPE)?;
    check_region(&config, access.region())?;
    let work = Box::pin(work(&config, environment, access, journal));
    wait::within(config.deadline(), "WAIT_TIMEOUT", work).await
}

async fn work(
    config: &Config,
    environment: &Environment,
    access: Access,
    journal: &Journal,
) -> Result<Outcome, Failure> {
    // What the files and the variables say needs no AWS to be refused.
    let wish = Wish::new(&config.service, environment)?;
    let sdk = access.open().await?;
    let ecs = Ecs::new(&sdk, &config.cluster.0);
    let evidence = Evidence::new(&sdk);
    let neighbours = Neighbours::new(&sdk);
    let run = Run::new(environment);
    let deploy = Deploy {
        config,
        ecs: &ecs,
        evidence: &evidence,
        neighbours: &neighbours,
        journal,
        run: &run,
    };
    match config.command {
        CommandName::Status => return commands::status(&deploy).await,
        CommandName::Rollback => return commands::roll_back(&deploy, environment).await,
        CommandName::Deploy | CommandName::Diff | CommandName::RunTask => {}
    }
    let observed = observe(config, environment, &ecs, &neighbours).await?;
    let plan = Plan::new(config, observed, &wish)?;
    journal.plan(plan.to_json());
    if config.command == CommandName::RunTask {
        return commands::run_task(&deploy, &plan, &wish).await;
    }
    shared::log::line(plan.lines());
    if config.command == CommandName::Diff {
        return commands::diff(&deploy, &plan);
    }
    if config.dry_run {
        return Ok(commands::dry_run());
    }
    deploy.apply(&plan).await
}

/// A cluster of another region is simply not found there, which helps nobody.
fn check_region(config: &Config, region: &str) -> Result<(), Failure> {
    match config.cluster.region() {
        Some(other) if other != region => Err(Failure::new(format!(
            "CLUSTER_NAME is in `{other}`, and this run is for `{region}`"
        ))
        .hint(format!("set AWS_DEFAULT_REGION to `{other}`"))),
        _ => Ok(()),
    }
}
