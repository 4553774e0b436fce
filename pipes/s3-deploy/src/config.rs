//! From the pipe's variables to valid settings: pure, and all faults at once.
//! Names and meanings are those of the pipe that people come from, which handed them to `aws s3 sync`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use shared::{Faults, Field, List, Settings};

use crate::compress::Encoding;
use crate::destination::Destination;
use crate::extra_args::{ExtraArgs, Quiet};
use crate::filters::Filters;
use crate::guard::DeleteLimit;
use crate::headers::{Headers, values};
use crate::links::BrokenLinks;
use crate::plan::{DeleteScope, Retain};
use crate::releases::Target;
use crate::site_url::SiteUrl;

/// Bitbucket stops a step after two hours unless told otherwise; a site that takes one is stuck.
const DEFAULT_TIMEOUT: u32 = 3600;
/// Enough for what S3 takes under one prefix, 3,500 writes a second, at 70 ms each.
const DEFAULT_CONCURRENCY: u32 = 256;
/// What a cache that was told needs, and a little more.
const DEFAULT_SITE_TIMEOUT: u32 = 120;

/// What envy fills from the environment.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Variables {
    s3_bucket: Field<Destination>,
    local_path: Field<String>,
    acl: Field<String>,
    cache_control: Field<String>,
    content_encoding: Field<String>,
    expires: Field<String>,
    storage_class: Field<String>,
    delete_flag: Field<bool>,
    delete_scope: Field<DeleteScope>,
    delete_limit: Field<DeleteLimit>,
    retain: Field<Retain>,
    rules_file: Field<String>,
    netlify_files: Field<bool>,
    compress: Field<List<Encoding>>,
    cloudfront_distribution_id: Field<List<String>>,
    site_url: Field<SiteUrl>,
    site_timeout: Field<u32>,
    broken_links: Field<BrokenLinks>,
    manifest: Field<bool>,
    force: Field<bool>,
    rollback: Field<Target>,
    shard: Field<bool>,
    shard_merge: Field<bool>,
    concurrency: Field<u32>,
    dry_run: Field<bool>,
    timeout: Field<u32>,
    extra_args: Field<ExtraArgs>,
    pre_execution_script: Field<String>,
}

/// The settings of one deploy.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the user's, and all combinations are valid"
)]
pub struct Config {
    /// Where the site goes.
    pub destination: Destination,
    /// What the run does.
    pub command: Command,
    /// What every uploaded object gets, from the variables and EXTRA_ARGS.
    pub headers: Headers,
    /// The file with rules for headers and phases.
    pub rules_file: Option<PathBuf>,
    /// Whether `_headers` and `_redirects` are followed.
    pub netlify_files: bool,
    /// How text is compressed; the first is for the object itself.
    pub compress: Vec<Encoding>,
    /// Which names belong to the site.
    pub filters: Filters,
    /// Whether links are followed.
    pub follow_links: bool,
    /// Whether only sizes are compared.
    pub size_only: bool,
    /// Whether the lines of the plan are left out.
    pub quiet: bool,
    /// What becomes of objects that no file stands for.
    pub deletes: Deletes,
    /// Distributions whose caches are told of changes.
    pub distributions: Vec<String>,
    /// Where visitors get the site.
    pub site_url: Option<SiteUrl>,
    /// How long it may take until they get what was deployed.
    pub site_timeout: Duration,
    /// What is done about pages that load what is not there.
    pub broken_links: BrokenLinks,
    /// Whether a manifest is kept in the bucket.
    pub manifest: bool,
    /// Whether an older build, or one beside another, may deploy.
    pub force: bool,
    /// Requests under way at once, at most.
    pub concurrency: usize,
    /// Whether to stop after the plan.
    pub dry_run: bool,
    /// How long the run may take.
    pub timeout: Duration,
}

/// What becomes of objects that no file stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletes {
    /// Whether they are deleted.
    pub asked: bool,
    /// Which of them.
    pub scope: DeleteScope,
    /// How many at most.
    pub limit: DeleteLimit,
    /// How long they stay.
    pub retain: Option<Retain>,
}

/// What a run does.
#[derive(Debug)]
pub enum Command {
    /// Deploys this directory, or a share of it.
    Deploy(PathBuf, Share),
    /// Puts an earlier release back.
    RollBack(Target),
}

/// How much of a site one step deploys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All of it.
    All,
    /// The assets that fall to this step of a parallel group.
    One,
    /// What the steps of the parallel group have left.
    Merge,
}

impl Settings for Config {
    type Variables = Variables;

    fn new(variables: Variables, faults: &mut Faults) -> Option<Self> {
        if !variables.pre_execution_script.is_absent() {
            faults.add(
                "PRE_EXECUTION_SCRIPT",
                "is not supported, since the image has no shell; put its commands into the script of the step, before the pipe",
            );
        }
        let extra = faults
            .optional("EXTRA_ARGS", variables.extra_args)
            .unwrap_or_default();
        let mut headers = headers(
            [
                ("ACL", "acl", variables.acl),
                ("CACHE_CONTROL", "cache-control", variables.cache_control),
                (
                    "CONTENT_ENCODING",
                    "content-encoding",
                    variables.content_encoding,
                ),
                ("EXPIRES", "expires", variables.expires),
                ("STORAGE_CLASS", "storage-class", variables.storage_class),
            ],
            faults,
        );
        // The existing pipe puts EXTRA_ARGS behind its own flags, so they win.
        headers.overlay(&extra.headers);
        let mut flag = |name, field| faults.optional(name, field).unwrap_or(false);
        let delete = flag("DELETE_FLAG", variables.delete_flag);
        let dry_run = flag("DRY_RUN", variables.dry_run);
        let force = flag("FORCE", variables.force);
        let netlify_files = flag("NETLIFY_FILES", variables.netlify_files);
        let manifest = faults
            .optional("MANIFEST", variables.manifest)
            .unwrap_or(true);
        let site_url = faults.optional("SITE_URL", variables.site_url);
        let site_timeout = at_least_one(
            faults,
            "SITE_TIMEOUT",
            variables.site_timeout,
            DEFAULT_SITE_TIMEOUT,
        );
        let broken_links = faults
            .optional("BROKEN_LINKS", variables.broken_links)
            .unwrap_or_default();
        let deletes = deletes(
            delete || extra.delete,
            (
                variables.delete_scope,
                variables.delete_limit,
                variables.retain,
            ),
            manifest,
            faults,
        );
        let timeout = at_least_one(faults, "TIMEOUT", variables.timeout, DEFAULT_TIMEOUT);
        let concurrency = at_least_one(
            faults,
            "CONCURRENCY",
            variables.concurrency,
            DEFAULT_CONCURRENCY,
        );
        let list = |list: Option<List<String>>| list.map_or_else(Vec::new, |list| list.0);
        let distributions = list(faults.optional(
            "CLOUDFRONT_DISTRIBUTION_ID",
            variables.cloudfront_distribution_id,
        ));
        let compress = faults
            .optional("COMPRESS", variables.compress)
            .map_or_else(Vec::new, |list| list.0);
        let rules_file = faults
            .optional("RULES_FILE", variables.rules_file)
            .map(PathBuf::from);
        let destination = faults.required("S3_BUCKET", variables.s3_bucket);
        let asked = (
            variables.rollback,
            variables.shard,
            variables.shard_merge,
            variables.local_path,
        );
        let command = command(asked, manifest, faults);
        Some(Self {
            destination: destination?,
            command: command?,
            headers,
            rules_file,
            netlify_files,
            compress,
            filters: extra.filters,
            follow_links: extra.follow_links.unwrap_or(true),
            size_only: extra.size_only,
            quiet: extra.quiet >= Quiet::OnlyErrors,
            deletes,
            distributions,
            site_url,
            site_timeout: Duration::from_secs(site_timeout.into()),
            broken_links,
            manifest,
            force,
            concurrency: concurrency as usize,
            dry_run: dry_run || extra.dry_run,
            timeout: Duration::from_secs(timeout.into()),
        })
    }

    fn deadline(&self) -> Duration {
        self.timeout
    }
}

/// What the variables of the existing pipe give every object: name of the variable, of the header, and the value.
fn headers(variables: [(&str, &str, Field<String>); 5], faults: &mut Faults) -> Headers {
    let mut headers = Headers::default();
    for (name, header, field) in variables {
        if let Some(value) = faults.optional(name, field)
            && let Err(fault) = values::set(&mut headers, header, &value)
        {
            faults.add(name, fault);
        }
    }
    headers
}

fn deletes(
    asked: bool,
    (scope, limit, retain): (Field<DeleteScope>, Field<DeleteLimit>, Field<Retain>),
    manifest: bool,
    faults: &mut Faults,
) -> Deletes {
    let deletes = Deletes {
        asked,
        scope: faults.optional("DELETE_SCOPE", scope).unwrap_or_default(),
        limit: faults.optional("DELETE_LIMIT", limit).unwrap_or_default(),
        retain: faults.optional("RETAIN", retain),
    };
    let no_manifest = "needs the manifest, which MANIFEST switches off";
    if deletes.retain.is_some() && !manifest {
        faults.add("RETAIN", no_manifest);
    }
    if deletes.scope == DeleteScope::Deployed && !manifest {
        faults.add("DELETE_SCOPE", no_manifest);
    }
    deletes
}

type Asked = (Field<Target>, Field<bool>, Field<bool>, Field<String>);

/// What the run does, from ROLLBACK, SHARD, SHARD_MERGE and LOCAL_PATH.
fn command(
    (rollback, shard, shard_merge, local_path): Asked,
    manifest: bool,
    faults: &mut Faults,
) -> Option<Command> {
    let shard = faults.optional("SHARD", shard).unwrap_or(false);
    let shard_merge = faults.optional("SHARD_MERGE", shard_merge).unwrap_or(false);
    let rollback = faults.optional("ROLLBACK", rollback);
    if (rollback.is_some() || shard || shard_merge) && !manifest {
        faults.add(
            "MANIFEST",
            "unallowed value false (ROLLBACK, SHARD and SHARD_MERGE need the manifest)",
        );
    }
    let share = match (shard, shard_merge) {
        (true, false) => Share::One,
        (false, true) => Share::Merge,
        (false, false) => Share::All,
        (true, true) => {
            faults.add(
                "SHARD",
                "unallowed value true (SHARD_MERGE is true: that is for the step behind)",
            );
            Share::All
        }
    };
    match rollback {
        Some(_) if share != Share::All => {
            faults.add(
                "ROLLBACK",
                "cannot be given together with SHARD or SHARD_MERGE",
            );
            None
        }
        Some(target) => Some(Command::RollBack(target)),
        None => faults
            .required("LOCAL_PATH", local_path)
            .map(|path| Command::Deploy(PathBuf::from(path), share)),
    }
}

fn at_least_one(faults: &mut Faults, name: &str, field: Field<u32>, default: u32) -> u32 {
    let value = faults.optional(name, field).unwrap_or(default);
    if value == 0 {
        faults.add(name, "unallowed value 0 (it is at least 1)");
    }
    value
}

#[cfg(test)]
mod tests;
