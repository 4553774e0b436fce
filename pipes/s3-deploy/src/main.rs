//! `s3-deploy`: a directory becomes the content of an S3 bucket, by the step's OIDC token.
//! Walk, list, compare, print the plan, upload, delete; each stage is a file beside this one.

mod aws;
mod config;
mod content_type;
mod files;
mod headers;
mod plan;

use std::collections::BTreeMap;
use std::process::ExitCode;

use shared::{Access, Environment, Failure, Journal, Outcome, wait};

use crate::config::Config;
use crate::plan::Plan;

const PIPE: (&str, &str) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));

fn main() -> ExitCode {
    shared::run(PIPE.0, PIPE.1, run)
}

async fn run(environment: &Environment, journal: &Journal) -> Result<Outcome, Failure> {
    let (config, access) = shared::configure::<Config>(environment, PIPE)?;
    let work = Box::pin(deploy(&config, access, journal));
    wait::within(config.timeout, "TIMEOUT", work).await
}

async fn deploy(config: &Config, access: Access, journal: &Journal) -> Result<Outcome, Failure> {
    tracing::info!("Starting deployment to S3...");
    let local = files::walk(&config.local_path, &config.destination.prefix)?;
    let site = aws::Site::new(&access.open().await?, config);
    let remote = site.observe().await?;
    let digests = files::digests(plan::undecided(&local, &remote)).await?;
    let plan = Plan::new(&local, &remote, &digests, config.delete);
    journal.plan(plan.to_json());
    shared::log::line(&plan);
    if config.dry_run {
        let summary = format!("DRY_RUN: nothing was changed in `{}`", config.destination);
        return Ok(Outcome {
            summary,
            ..Outcome::default()
        });
    }
    site.apply(&plan, journal).await?;
    Ok(outcome(config, &plan))
}

/// Only after `apply`: S3 has confirmed every action by then.
fn outcome(config: &Config, plan: &Plan) -> Outcome {
    let (uploaded, deleted, unchanged) = (plan.uploads.len(), plan.deletes.len(), plan.unchanged);
    Outcome {
        summary: format!(
            "Deployment successful: uploaded {uploaded}, deleted {deleted}, unchanged {unchanged} in `{}`",
            config.destination
        ),
        variables: BTreeMap::from([
            ("S3_DEPLOY_UPLOADED", uploaded.to_string()),
            ("S3_DEPLOY_DELETED", deleted.to_string()),
            ("S3_DEPLOY_UNCHANGED", unchanged.to_string()),
        ]),
    }
}
