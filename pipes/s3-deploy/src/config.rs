//! From the pipe's variables to valid settings: pure, and all faults at once.
//! Names and meanings are those of the pipe that people come from, which handed them to `aws s3 sync`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use shared::{Faults, Field, FromText, List, Settings};

use crate::compress::Encoding;
use crate::extra_args::{ExtraArgs, Quiet};
use crate::filters::Filters;
use crate::guard::DeleteLimit;
use crate::headers::{Headers, values};
use crate::plan::Retain;
use crate::releases::Target;

/// Bitbucket stops a step after two hours unless told otherwise; a site that takes one is stuck.
const DEFAULT_TIMEOUT: u32 = 3600;
/// Enough for what S3 takes under one prefix, 3,500 writes a second, at 70 ms each.
const DEFAULT_CONCURRENCY: u32 = 256;

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
    delete_limit: Field<DeleteLimit>,
    retain: Field<Retain>,
    rules_file: Field<String>,
    netlify_files: Field<bool>,
    compress: Field<List<Encoding>>,
    cloudfront_distribution_id: Field<List<String>>,
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
    /// Whether objects that no file stands for are deleted.
    pub delete: bool,
    /// How many at most.
    pub delete_limit: DeleteLimit,
    /// How long they stay.
    pub retain: Option<Retain>,
    /// Distributions whose caches are told of changes.
    pub distributions: Vec<String>,
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

/// `bucket` or `bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The bucket's name.
    pub bucket: String,
    /// Before every key.
    pub prefix: Prefix,
}

/// Empty, or ending in `/`: without the slash `site` would also mean `site-old/…`, and delete it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// The prefix as it stands before keys.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn new(text: &str) -> Self {
        let text = text.trim_matches('/');
        Self(if text.is_empty() {
            String::new()
        } else {
            format!("{text}/")
        })
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "s3://{}/{}", self.bucket, self.prefix.0)
    }
}

impl FromText for Destination {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let fault = |why: &str| Err(format!("unallowed value {text} ({why})"));
        if text.starts_with("arn:") {
            return fault("an access point is named by its alias, not by its ARN");
        }
        let path = text.strip_prefix("s3://").unwrap_or(text);
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        // The rules for names of today and of old buckets in us-east-1 together.
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if !(3..=255).contains(&bucket.len()) || !bucket.bytes().all(is_legal) {
            return fault(
                "it is `bucket` or `bucket/prefix`, and a bucket's name has letters, digits, `.`, `-`, `_`",
            );
        }
        if prefix.chars().any(char::is_control) {
            return fault("the prefix has a control character");
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: Prefix::new(prefix),
        })
    }
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
        // The existing pipe puts EXTRA_ARGS behind its own flags, so they win.
        let mut headers = Headers::default();
        let mut header = |name: &str, header: &str, field: Field<String>| {
            if let Some(value) = faults.optional(name, field)
                && let Err(fault) = values::set(&mut headers, header, &value)
            {
                faults.add(name, fault);
            }
        };
        header("ACL", "acl", variables.acl);
        header("CACHE_CONTROL", "cache-control", variables.cache_control);
        header(
            "CONTENT_ENCODING",
            "content-encoding",
            variables.content_encoding,
        );
        header("EXPIRES", "expires", variables.expires);
        header("STORAGE_CLASS", "storage-class", variables.storage_class);
        headers.overlay(&extra.headers);
        let mut flag = |name, field| faults.optional(name, field).unwrap_or(false);
        let delete = flag("DELETE_FLAG", variables.delete_flag);
        let dry_run = flag("DRY_RUN", variables.dry_run);
        let force = flag("FORCE", variables.force);
        let netlify_files = flag("NETLIFY_FILES", variables.netlify_files);
        let manifest = faults
            .optional("MANIFEST", variables.manifest)
            .unwrap_or(true);
        let retain = faults.optional("RETAIN", variables.retain);
        if retain.is_some() && !manifest {
            faults.add("RETAIN", "needs the manifest, which MANIFEST switches off");
        }
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
        let delete_limit = faults
            .optional("DELETE_LIMIT", variables.delete_limit)
            .unwrap_or_default();
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
            delete: delete || extra.delete,
            delete_limit,
            retain,
            distributions,
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
mod tests {
    use shared::Environment;

    use super::*;

    fn config<const N: usize>(pairs: [(&str, &str); N]) -> Result<Config, String> {
        let mut faults = Faults::default();
        let config = Config::new(Environment::from(pairs).read(), &mut faults);
        if faults.is_empty() {
            Ok(config.unwrap())
        } else {
            Err(faults.to_string())
        }
    }

    #[test]
    fn a_prefix_always_ends_in_a_slash() {
        for (text, bucket, prefix) in [
            ("site", "site", ""),
            ("site/", "site", ""),
            ("site/docs", "site", "docs/"),
            ("site/docs/v1/", "site", "docs/v1/"),
            ("s3://site/docs", "site", "docs/"),
            (" site//docs// ", "site", "docs/"),
        ] {
            let destination = Destination::from_text(text).unwrap();
            assert_eq!(
                (destination.bucket.as_str(), destination.prefix.as_str()),
                (bucket, prefix),
                "{text}"
            );
        }
    }

    #[test]
    fn the_defaults_upload_and_delete_nothing() {
        let config = config([("S3_BUCKET", "site"), ("LOCAL_PATH", "dist")]).unwrap();
        assert!(!config.delete && !config.dry_run);
        assert_eq!(config.headers, Headers::default());
        assert_eq!(config.timeout, Duration::from_hours(1));
    }

    #[test]
    fn the_documents_are_in_step() {
        shared::testing::assert_documented(
            include_str!("../README.md"),
            include_str!("../pipe.yml"),
            &shared::known_variables::<Config>(),
            env!("CARGO_PKG_VERSION"),
        );
    }

    #[test]
    fn every_fault_is_named() {
        insta::assert_snapshot!(
            config([
                ("S3_BUCKET", "s!"),
                ("LOCAL_PATH", "$LOCAL_PATH"),
                ("ACL", "public"),
                ("CACHE_CONTROL", "max-age=1\nx: y"),
                ("EXPIRES", "soon"),
                ("STORAGE_CLASS", "standard"),
                ("DELETE_FLAG", "1"),
                ("DRY_RUN", "maybe"),
                ("TIMEOUT", "0"),
                ("EXTRA_ARGS", "--delete"),
                ("PRE_EXECUTION_SCRIPT", "build.sh"),
            ])
            .unwrap_err(),
            @r"
        Validation errors:
        ACL:
        - unallowed value public (allowed: private, public-read, public-read-write, authenticated-read, aws-exec-read, bucket-owner-read, bucket-owner-full-control, log-delivery-write)
        CACHE_CONTROL:
        - has a line break or a character that no header may have
        DELETE_FLAG:
        - must be of boolean type
        DRY_RUN:
        - must be of boolean type
        EXPIRES:
        - unallowed value soon (a timestamp looks like `2026-12-01T00:00:00Z`)
        LOCAL_PATH:
        - required field (its value is the literal `$LOCAL_PATH`, so that variable is not defined for this step)
        PRE_EXECUTION_SCRIPT:
        - is not supported, since the image has no shell; put its commands into the script of the step, before the pipe
        S3_BUCKET:
        - unallowed value s! (it is `bucket` or `bucket/prefix`, and a bucket's name has letters, digits, `.`, `-`, `_`)
        STORAGE_CLASS:
        - unallowed value standard (allowed: STANDARD, REDUCED_REDUNDANCY, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER, DEEP_ARCHIVE, OUTPOSTS, GLACIER_IR, SNOW, EXPRESS_ONEZONE)
        TIMEOUT:
        - unallowed value 0 (it is at least 1)
        "
        );
    }
}
