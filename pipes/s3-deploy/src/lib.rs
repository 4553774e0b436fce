//! `s3-deploy`: a directory becomes the content of an S3 bucket, by the step's OIDC token.
//! Prepare, observe, plan, refuse, apply, remember; each stage is a file beside this one.

mod apply;
mod aws;
mod cloudfront;
mod compare;
mod compress;
mod config;
mod content_type;
mod destination;
mod digest;
mod entries;
mod extra_args;
mod filters;
mod guard;
mod headers;
mod invalidation;
mod links;
mod live;
mod manifest;
mod names;
mod netlify;
mod objects;
mod observe;
mod phase;
mod pieces;
mod plan;
mod prepare;
mod proof;
#[cfg(feature = "properties")]
pub mod properties;
mod releases;
mod rollback;
mod rules;
mod shards;
mod site_url;
mod threads;
mod tree;
mod wishes;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use shared::{Access, Environment, Failure, Journal, Outcome, Web, wait};

use crate::apply::Keep;
use crate::aws::Bucket;
use crate::cloudfront::{Cdn, Distribution};
use crate::config::{Command, Config, Deletes, Share};
use crate::entries::Noted;
use crate::live::{Build, Live};
use crate::objects::{Objects, Site};
use crate::observe::observe;
use crate::plan::Plan;
use crate::proof::Expected;
use crate::shards::Shard;

const PIPE: (&str, &str) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));

/// The whole program, from the environment of the process to its exit code.
#[must_use]
pub fn main() -> ExitCode {
    shared::run(PIPE.0, PIPE.1, include_str!("../README.md"), run)
}

async fn run(environment: &Environment, journal: &Journal) -> Result<Outcome, Failure> {
    let (config, access) = shared::configure::<Config>(environment, PIPE)?;
    let config = Arc::new(config);
    let build = Build::new(environment);
    match &config.command {
        Command::RollBack(target) => {
            let work = Box::pin(rollback::roll_back(
                &config, target, &build, access, journal,
            ));
            wait::within(config.timeout, "TIMEOUT", work).await
        }
        Command::Deploy(root, share) => {
            let shard = (*share == Share::One)
                .then(|| Shard::new(environment))
                .transpose()?;
            let job = Job {
                config: &config,
                root,
                share: *share,
                shard,
                build: &build,
            };
            wait::within(
                config.timeout,
                "TIMEOUT",
                Box::pin(deploy(job, access, journal)),
            )
            .await
        }
    }
}

/// What one run deploys.
struct Job<'a> {
    config: &'a Arc<Config>,
    root: &'a Path,
    share: Share,
    shard: Option<Shard>,
    build: &'a Build,
}

async fn deploy(job: Job<'_>, access: Access, journal: &Journal) -> Result<Outcome, Failure> {
    let Job {
        config,
        root,
        share,
        shard,
        build,
    } = job;
    tracing::info!("Starting deployment to S3...");
    let mut site = prepare::site_beside(config, root).await?;
    let part_of = shards::site_id_if(share != Share::All, &site);
    if let Some(shard) = shard {
        let objects = site.objects.numbered().map(|(_, object)| object);
        let own = objects.filter(|object| shard.has(&site, *object)).collect();
        site.objects = Objects::Listed(own);
    }
    let site = Arc::new(site);
    let web = access.web()?;
    let sdk = access.open().await?;
    let bucket = Bucket::new(&sdk, &config.destination);
    let cdn = Cdn::new(&sdk);
    let distributions = cdn
        .observe(&config.distributions, &config.destination.bucket)
        .await?;

    // The listing is fetched while the manifest is, which must not wait until all of it is read.
    let listing = Box::pin(bucket.list(observe::ranges(&site)));
    let reading = {
        let (bucket, config, build) = (bucket.clone(), Arc::clone(config), build.clone());
        let reading = async move { Live::read(&bucket, &config, &build).await };
        threads::apart("read the manifest", Box::pin(reading))
    };
    let (listing, mut live) = live::beside(listing, reading).await?;
    let mut parts = Vec::new();
    if share == Share::Merge {
        let (names, objects) = shards::collect(&bucket, build.number(), &part_of).await?;
        live.learn(&objects);
        parts = names;
    }
    let admits = |name: &str| config.filters.admits(name);
    let rules = observe::Rules {
        admits: &admits,
        size_only: config.size_only,
        headers: live.is_kept(),
        leftovers: live.leftovers(Deletes {
            asked: config.deletes.asked && shard.is_none(),
            ..config.deletes
        }),
    };
    let mut plan = observe(&site, &bucket, listing, &rules).await?;
    if shard.is_some() {
        // The objects of the other shares are not left over.
        plan.left = 0;
    }
    if journal.is_reported() {
        journal.plan(plan.to_json(&site, config.dry_run));
    }
    if !config.quiet {
        shared::log::line(plan.lines(&site, config.dry_run));
    }
    let limit = config.deletes.limit;
    limit.check(plan.deletes.len(), plan.listed)?;
    if shard.is_none() {
        // What this share does not hold may be in another one.
        links::check(config, &site, &plan, &bucket).await?;
    }
    live.check()?;
    if config.dry_run {
        return Ok(nothing_changed(config));
    }
    let noted = std::mem::take(&mut plan.noted);
    let plan = Arc::new(plan);
    if let Some(shard) = shard {
        let keeping = (Keep::All, noted);
        let at_once = config.concurrency;
        let noted = apply::write(&site, &bucket, &plan, at_once, keeping, journal).await?;
        let objects = noted.into_entries(|number| site.name(site.object(number)));
        shards::leave(&bucket, shard, build.number(), part_of, &objects).await?;
        return Ok(outcome(config, &plan));
    }
    let ready = Ready {
        site,
        bucket,
        web,
        cdn,
        distributions,
        live,
        parts,
        plan,
        noted,
    };
    change(config, ready, build, journal).await
}

/// All that a change needs, when everything that can be refused has been looked at.
struct Ready {
    site: Arc<Site>,
    bucket: Bucket,
    web: Web,
    cdn: Cdn,
    distributions: Vec<Distribution>,
    live: Live,
    parts: Vec<String>,
    plan: Arc<Plan>,
    /// What is known of the objects that are there already.
    noted: Noted,
}

async fn change(
    config: &Config,
    ready: Ready,
    build: &Build,
    journal: &Journal,
) -> Result<Outcome, Failure> {
    let Ready {
        site,
        bucket,
        web,
        cdn,
        distributions,
        live,
        parts,
        plan,
        noted,
    } = ready;
    // What an earlier run changed and could not tell the caches is told now.
    let untold = live.stale_keys(&site.prefix);
    let mut told = Vec::new();
    if !distributions.is_empty() || config.site_url.is_some() {
        let changed = plan
            .actions
            .iter()
            .map(|action| site.key(site.object(action.number)));
        let deleted = plan
            .deletes
            .iter()
            .map(|object| [&site.prefix, object.name.as_str()].concat());
        told.extend(changed.chain(deleted).chain(untold.clone()));
    }
    let lease = live.begin(&bucket, &plan, &told, journal).await?;
    live.confirm(&bucket, &lease, journal).await?;
    let bucket = bucket.with_lease(lease.is_held());
    let keep = if plan.remembers() {
        Keep::All
    } else if config.site_url.is_some() {
        Keep::EntryPoints
    } else {
        Keep::Nothing
    };
    let (at_once, keeping) = (config.concurrency, (keep, noted));
    let noted = apply::write(&site, &bucket, &plan, at_once, keeping, journal).await?;
    // Edges that still have an old page would ask for what is deleted next.
    cdn.invalidate(&distributions, &told, build.run(), config.timeout, journal)
        .await?;
    if let Some(site_url) = &config.site_url {
        let again = untold
            .iter()
            .filter_map(|key| key.strip_prefix(&site.prefix));
        let pages = Expected::of_site(&site, &plan, &noted, again);
        proof::check(&web, site_url, pages, config.site_timeout).await?;
    }
    bucket
        .delete(&plan.deletes, live.is_kept(), journal)
        .await?;
    bucket.delete_own(&parts, journal).await?;
    let retain = config.deletes.retain;
    live.finish(&bucket, lease, &site, (&plan, noted), retain, journal)
        .await?;
    Ok(outcome(config, &plan))
}

/// The end of a DRY_RUN.
fn nothing_changed(config: &Config) -> Outcome {
    Outcome {
        summary: format!("DRY_RUN: nothing was changed in `{}`", config.destination),
        ..Outcome::default()
    }
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
