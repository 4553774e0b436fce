//! ROLLBACK: the entry points of an earlier release are copied back from beside the site, and only they are invalidated.
//! Nothing is built and nothing is uploaded, so it takes seconds; refused when assets of that release are gone.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::{Access, Failure, Journal, Outcome};

use crate::aws::Bucket;
use crate::cloudfront::Cdn;
use crate::compare::RemoteObject;
use crate::config::Config;
use crate::entries::Entries;
use crate::live::{Build, Live};
use crate::manifest::Entry;
use crate::phase::Phase;
use crate::proof::{self, Expected};
use crate::releases::{self, Kept, Target};

/// Copies under way at once.
const COPIES: usize = 32;
/// Missing objects that are named.
const NAMED: usize = 10;

/// What puts a release back. Pure data.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Restoration {
    /// Entry points that are other ones now, or absent.
    pub entry_points: Vec<(String, Entry)>,
    /// Entry points that are the same already.
    pub unchanged: usize,
    /// Assets that the release needs and that are gone.
    pub missing: Vec<String>,
    /// Assets that have the same name and another content by now.
    pub changed: Vec<String>,
}

impl Restoration {
    /// Compares the objects of a release with the listing.
    pub fn new(release: &Entries, listing: &[RemoteObject]) -> Self {
        let live: BTreeMap<&str, &RemoteObject> = listing
            .iter()
            .map(|object| (object.name.as_str(), object))
            .collect();
        let mut restoration = Self::default();
        for (name, entry) in release.iter() {
            let same = live
                .get(name.as_str())
                .map(|live| live.size == entry.size && live.etag == entry.etag);
            match (entry.phase, same) {
                (Phase::EntryPoint, Some(true)) => restoration.unchanged += 1,
                (Phase::EntryPoint, _) => {
                    restoration.entry_points.push((name, entry));
                }
                (_, None) => restoration.missing.push(name),
                (_, Some(false)) => restoration.changed.push(name),
                (_, Some(true)) => {}
            }
        }
        restoration
    }

    fn lines(&self, prefix: &str, id: &str) -> String {
        let mut out = String::new();
        for (name, _) in &self.entry_points {
            let _ = writeln!(out, "restore {prefix}{name}  (release {id})");
        }
        let _ = write!(
            out,
            "plan: restore {}, unchanged {}",
            self.entry_points.len(),
            self.unchanged
        );
        out
    }
}

/// Puts `target` back.
///
/// # Errors
/// When there is no such release, or assets of it are gone, before anything is changed.
pub async fn roll_back(
    config: &Config,
    target: &Target,
    build: &Build,
    access: Access,
    journal: &Journal,
) -> Result<Outcome, Failure> {
    let web = access.web()?;
    let sdk = access.open().await?;
    let bucket = Bucket::new(&sdk, &config.destination);
    let cdn = Cdn::new(&sdk);
    let distributions = cdn
        .observe(&config.distributions, &config.destination.bucket)
        .await?;
    let listing = bucket.list(vec![(None, None)]).try_concat().await?;
    let live = Live::read(&bucket, config, build).await?;
    live.check_lease()?;
    let release = target.of(live.manifest())?.clone();
    let kept = kept(&bucket, &release.id).await?;
    let restoration = Restoration::new(&kept.objects, &listing);
    shared::log::line(restoration.lines(config.destination.prefix.as_str(), &release.id));
    if !restoration.changed.is_empty() {
        tracing::warn!(
            "{} assets have the same name and another content by now, so the restored pages get the new ones: {}",
            restoration.changed.len(),
            some(&restoration.changed)
        );
    }
    if !restoration.missing.is_empty() && !config.force {
        return Err(Failure::new(format!(
            "release `{}` cannot be put back: {} of its assets are gone, {}",
            release.id,
            restoration.missing.len(),
            some(&restoration.missing)
        ))
        .hint("deploy that build again; a longer RETAIN keeps assets longer; FORCE restores the pages all the same"));
    }
    if config.dry_run {
        return Ok(crate::nothing_changed(config));
    }
    let prefix = config.destination.prefix.as_str();
    let keys = restoration
        .entry_points
        .iter()
        .map(|(name, _)| [prefix, name.as_str()].concat());
    let keys: Vec<String> = keys.chain(live.stale_keys(prefix)).collect();
    let told: &[String] = if distributions.is_empty() && config.site_url.is_none() {
        &[]
    } else {
        &keys
    };
    let taken = live.take(&bucket, told, journal).await?;
    live.confirm(&bucket, &taken, journal).await?;
    let bucket = Arc::new(bucket);
    let copies = restoration.entry_points.iter().map(|(name, entry)| {
        let bucket = Arc::clone(&bucket);
        async move {
            let etag = bucket
                .copy(&releases::copy_name(entry), name, entry, journal, "restore")
                .await?;
            Ok::<_, Failure>((
                name.clone(),
                Entry {
                    etag,
                    ..entry.clone()
                },
            ))
        }
    });
    let restored: Vec<(String, Entry)> = stream::iter(copies)
        .buffer_unordered(COPIES)
        .try_collect()
        .await?;
    let restored: Entries = restored.into_iter().collect();
    cdn.invalidate(&distributions, &keys, build.run(), config.timeout, journal)
        .await?;
    if let Some(site_url) = &config.site_url {
        // With those of which an earlier run could not say that visitors get them.
        let again = kept.objects.iter().filter(|(name, _)| {
            let is_told = |key: &String| key.strip_prefix(prefix) == Some(name.as_str());
            !restored.has(name) && keys.iter().any(is_told)
        });
        let pages = restored.iter().chain(again);
        let pages = pages.filter_map(|(name, entry)| Expected::new(&name, &entry, None));
        proof::check(&web, site_url, pages.collect(), config.site_timeout).await?;
    }
    let count = restored.len();
    live.finish_rollback(&bucket, taken, release.clone(), &restored, journal)
        .await?;
    Ok(Outcome {
        summary: format!(
            "Rollback successful: release `{}` (build {}) is live again, restored {count}, unchanged {} in `{}`",
            release.id, release.build, restoration.unchanged, config.destination
        ),
        variables: BTreeMap::from([("S3_DEPLOY_RELEASE", release.id)]),
    })
}

async fn kept(bucket: &Bucket, id: &str) -> Result<Kept, Failure> {
    let Ok(Some(content)) = bucket.read(&releases::list_name(id)).await? else {
        return Err(Failure::new(format!("the list of release `{id}` is gone")));
    };
    content.map(|(kept, _)| kept).map_err(|error| {
        Failure::new(format!(
            "could not read the list of release `{id}`: {error}"
        ))
    })
}

fn some(names: &[String]) -> String {
    let mut text: Vec<String> = names
        .iter()
        .take(NAMED)
        .map(|name| format!("`{name}`"))
        .collect();
    if names.len() > NAMED {
        text.push(format!("and {} more", names.len() - NAMED));
    }
    text.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_points_are_restored_and_assets_have_to_be_there() {
        let entry = |etag: &str, phase| Entry {
            size: 1,
            etag: etag.to_owned(),
            content: String::new(),
            headers: String::new(),
            phase,
        };
        let release = Entries::from(
            [
                ("same.html", entry("a", Phase::EntryPoint)),
                ("edited.html", entry("b", Phase::EntryPoint)),
                ("deleted.html", entry("c", Phase::EntryPoint)),
                ("app.1.js", entry("d", Phase::Immutable)),
                ("gone.1.js", entry("e", Phase::Immutable)),
                ("style.css", entry("f", Phase::Ordinary)),
            ]
            .map(|(name, entry)| (name.to_owned(), entry)),
        );
        let object = |name: &str, etag: &str| RemoteObject {
            name: name.to_owned(),
            size: 1,
            etag: etag.to_owned(),
        };
        let listing = [
            object("same.html", "a"),
            object("edited.html", "x"),
            object("app.1.js", "d"),
            object("style.css", "y"),
            object("new.html", "z"),
        ];
        let restoration = Restoration::new(&release, &listing);
        let names: Vec<_> = restoration
            .entry_points
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["deleted.html", "edited.html"]);
        assert_eq!(restoration.unchanged, 1);
        assert_eq!(restoration.missing, ["gone.1.js"]);
        assert_eq!(restoration.changed, ["style.css"]);
    }
}
