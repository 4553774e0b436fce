//! `s3-deploy`: a directory becomes the content of an S3 bucket, by the step's OIDC token.
//! Prepare, observe, plan, refuse, apply, remember; each stage is a file beside this one.

mod apply;
mod aws;
mod cloudfront;
mod compare;
mod compress;
mod config;
mod content_type;
mod digest;
mod extra_args;
mod filters;
mod guard;
mod headers;
mod invalidation;
mod live;
mod manifest;
mod netlify;
mod objects;
mod observe;
mod phase;
mod plan;
mod prepare;
mod rules;
mod tree;
mod wishes;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use shared::{Access, Environment, Failure, Journal, Outcome, wait};

use crate::aws::Bucket;
use crate::cloudfront::Cdn;
use crate::config::Config;
use crate::live::Live;
use crate::observe::observe;
use crate::plan::Plan;

const PIPE: (&str, &str) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));

/// Small allocations in great numbers are what an SDK request costs besides its signature.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    shared::run(PIPE.0, PIPE.1, run)
}

async fn run(environment: &Environment, journal: &Journal) -> Result<Outcome, Failure> {
    let (config, access) = shared::configure::<Config>(environment, PIPE)?;
    let build = live::Build::new(environment);
    let work = Box::pin(deploy(&config, &build, access, journal));
    wait::within(config.timeout, "TIMEOUT", work).await
}

async fn deploy(
    config: &Config,
    build: &live::Build,
    access: Access,
    journal: &Journal,
) -> Result<Outcome, Failure> {
    tracing::info!("Starting deployment to S3...");
    let site = Arc::new(prepare::site(config)?);
    let sdk = access.open().await?;
    let bucket = Bucket::new(&sdk, &config.destination);
    let cdn = Cdn::new(&sdk);
    let distributions = cdn
        .observe(&config.distributions, &config.destination.bucket)
        .await?;

    // The listing is fetched while the manifest is.
    let listing = Box::pin(bucket.list(observe::ranges(&site)));
    let (listing, live) = live::beside(listing, Live::read(&bucket, config, build)).await?;
    let admits = |name: &str| config.filters.admits(name);
    let rules = observe::Rules {
        admits: &admits,
        size_only: config.size_only,
        headers: live.is_kept(),
        leftovers: live.leftovers(config),
    };
    let plan = observe(&site, &bucket, listing, &rules).await?;
    journal.plan(plan.to_json(&site));
    if !config.quiet {
        shared::log::line(plan.lines(&site, config.dry_run));
    }
    config.delete_limit.check(plan.deletes.len(), plan.listed)?;
    live.check()?;
    if config.dry_run {
        let summary = format!("DRY_RUN: nothing was changed in `{}`", config.destination);
        return Ok(Outcome {
            summary,
            ..Outcome::default()
        });
    }

    let lease = live.begin(&bucket, &plan, journal).await?;
    let written = apply::write(&site, &bucket, &plan.actions, config.concurrency, journal).await?;
    let changed: Vec<String> = plan
        .actions
        .iter()
        .map(|action| site.key(action.object))
        .collect();
    let deleted = plan
        .deletes
        .iter()
        .map(|name| [&site.prefix, name.as_str()].concat());
    let changed: Vec<String> = changed.into_iter().chain(deleted).collect();
    // Edges that still have an old page would ask for what is deleted next.
    cdn.invalidate(
        &distributions,
        &changed,
        build.run(),
        config.timeout,
        journal,
    )
    .await?;
    bucket.delete(&plan.deletes, journal).await?;
    live.finish(&bucket, lease, &plan, written, journal).await?;
    Ok(outcome(config, &plan))
}

/// Only at the end: S3 has confirmed every action by then.
fn outcome(config: &Config, plan: &Plan) -> Outcome {
    let (uploaded, headers) = plan.counts();
    let (deleted, unchanged) = (plan.deletes.len(), plan.unchanged);
    let headers_too = if headers > 0 {
        format!(", headers {headers}")
    } else {
        String::new()
    };
    Outcome {
        summary: format!(
            "Deployment successful: uploaded {uploaded}, deleted {deleted}, unchanged {unchanged}{headers_too} in `{}`",
            config.destination
        ),
        variables: BTreeMap::from([
            ("S3_DEPLOY_UPLOADED", uploaded.to_string()),
            ("S3_DEPLOY_DELETED", deleted.to_string()),
            ("S3_DEPLOY_UNCHANGED", unchanged.to_string()),
            ("S3_DEPLOY_HEADERS", headers.to_string()),
        ]),
    }
}
