//! `ecs-deploy`: a task definition goes to ECS services, by the step's OIDC token, and the verdict is that of the very
//! deployment that this run started. Observe, plan, refuse, apply, follow, report; each stage is a file beside this one.

mod apply;
mod aws;
mod causes;
mod change;
mod config;
mod definition;
mod findings;
mod follow;
mod observe;
mod one_off;
mod outcome;
mod pace;
mod pin;
mod plan;
mod progress;
mod prune;
mod rollback;
mod rollout;
mod schedules;
mod service;
mod task;

use std::process::ExitCode;

use shared::{Access, Environment, Failure, Journal, Outcome, Settings, wait};

use crate::apply::Deploy;
use crate::aws::{Ecs, Evidence};
use crate::change::Wish;
use crate::config::Config;
use crate::observe::observe;
use crate::one_off::Run;
use crate::plan::Plan;

const PIPE: (&str, &str) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));

fn main() -> ExitCode {
    shared::run(PIPE.0, PIPE.1, run)
}

async fn run(environment: &Environment, journal: &Journal) -> Result<Outcome, Failure> {
    let (config, access) = shared::configure::<Config>(environment, PIPE)?;
    let work = Box::pin(deploy(&config, environment, access, journal));
    wait::within(config.deadline(), "WAIT_TIMEOUT", work).await
}

async fn deploy(
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
    let run = Run::new(environment);
    let observed = observe(config, environment, &ecs).await?;
    let plan = Plan::new(config, observed, &wish)?;
    journal.plan(plan.to_json());
    shared::log::line(plan.lines());
    if config.dry_run {
        return Ok(Outcome {
            summary: "DRY_RUN: nothing was changed".to_owned(),
            ..Outcome::default()
        });
    }
    let deploy = Deploy {
        config,
        ecs: &ecs,
        evidence: &evidence,
        journal,
        run: &run,
    };
    deploy.apply(&plan).await
}
