//! Releases that can be put back: with RETAIN every deploy keeps a list of its objects and, once for each content, a copy
//! of its entry points beside the site. Assets need no copy: retention keeps them where they are. Pure but for the copies.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use shared::{Failure, FromText, Journal};

use crate::aws::Bucket;
use crate::entries::Entries;
use crate::manifest::{Entry, FOLDER, Manifest, Release};
use crate::phase::Phase;
use crate::pieces::Pieces;
use crate::plan::Retain;

/// Copies under way at once.
const COPIES: usize = 32;

/// Which release to put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The one before the live one.
    Previous,
    /// The one of this name.
    Named(String),
}

impl FromText for Target {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "previous" => Ok(Self::Previous),
            id if id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => {
                Ok(Self::Named(id.to_owned()))
            }
            id => Err(format!(
                "unallowed value {id} (it is `previous`, or the id of a release such as `12-1764000000000`)"
            )),
        }
    }
}

impl Target {
    /// The release that is meant.
    ///
    /// # Errors
    /// With those that there are.
    pub fn of<'a>(&self, manifest: &'a Manifest) -> Result<&'a Release, Failure> {
        let live = manifest.release.as_ref().map(|release| release.id.as_str());
        let mut kept = manifest.releases.iter().rev();
        let found = match self {
            Self::Named(id) => kept.find(|release| release.id == *id),
            Self::Previous => {
                // Behind the live one in the list; if that is not in it, the newest.
                let position = manifest
                    .releases
                    .iter()
                    .position(|release| Some(release.id.as_str()) == live);
                let before = position.unwrap_or(manifest.releases.len());
                manifest.releases[..before].last()
            }
        };
        found.ok_or_else(|| {
            let ids: Vec<String> = manifest
                .releases
                .iter()
                .map(|release| format!("`{}`", release.id))
                .collect();
            let there = if ids.is_empty() {
                "none is kept".to_owned()
            } else {
                format!("there are {}", ids.join(", "))
            };
            Failure::new(format!("there is no such release to put back: {there}"))
                .hint("RETAIN keeps releases, from the first deploy on that has it")
        })
    }
}

/// What a release is put back from.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// Its objects, by name.
    pub objects: Entries,
}

/// The name of the list of a release's objects.
pub fn list_name(id: &str) -> String {
    format!("{FOLDER}releases/{id}.json")
}

/// The name of the copy of an entry point: one for each content with its headers.
pub fn copy_name(entry: &Entry) -> String {
    format!("{FOLDER}entry-points/{}-{}", entry.content, entry.headers)
}

/// The releases that are no longer kept, given all of them, oldest first.
pub fn outdated(releases: &[Release], retain: Retain, now: u64) -> usize {
    match retain {
        // The live one and as many before it.
        Retain::Releases(count) => releases.len().saturating_sub(count as usize + 1),
        Retain::Age(age) => {
            let old = |release: &&Release| now.saturating_sub(release.finished) > age.as_secs();
            // The live one and the one before stay, however old.
            releases
                .iter()
                .take(releases.len().saturating_sub(2))
                .take_while(old)
                .count()
        }
    }
}

/// Keeps the release that `manifest` describes, and forgets those that are outdated.
///
/// # Errors
/// When a copy or a list cannot be written.
pub async fn keep(
    bucket: &Bucket,
    manifest: &mut Manifest,
    retain: Retain,
    now: u64,
    journal: &Journal,
) -> Result<(), Failure> {
    let Some(release) = manifest.release.clone() else {
        return Ok(());
    };
    let objects = manifest.objects.clone();
    let entry_points = || {
        let all = objects.iter();
        all.filter(|(_, entry)| entry.phase == Phase::EntryPoint)
    };
    let missing: Vec<_> = entry_points()
        .filter(|(_, entry)| !manifest.copies.contains_key(&copy_name(entry)))
        .collect();
    let copies = stream::iter(missing.iter().map(|(name, entry)| async move {
        bucket
            .copy(name, &copy_name(entry), entry, journal, "keep")
            .await
    }));
    copies
        .buffer_unordered(COPIES)
        .try_collect::<Vec<_>>()
        .await?;

    let list = Pieces::new(&Kept::default(), &objects).map_err(|error| {
        Failure::new(format!("could not write the list of the release: {error}"))
    })?;
    bucket.write(&list_name(&release.id), list, None).await?;
    for (_, entry) in entry_points() {
        let name = copy_name(&entry);
        manifest.copies.insert(name, release.id.clone());
    }
    manifest.releases.retain(|kept| kept.id != release.id);
    manifest.releases.push(release);
    forget(bucket, manifest, retain, now, journal).await
}

async fn forget(
    bucket: &Bucket,
    manifest: &mut Manifest,
    retain: Retain,
    now: u64,
    journal: &Journal,
) -> Result<(), Failure> {
    let count = outdated(&manifest.releases, retain, now);
    let gone: BTreeSet<String> = manifest
        .releases
        .drain(..count)
        .map(|release| release.id)
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    // A copy that a later release has too is noted as of that one.
    let copies: Vec<String> = manifest
        .copies
        .iter()
        .filter(|(_, id)| gone.contains(*id))
        .map(|(name, _)| name.clone())
        .collect();
    manifest.copies.retain(|_, id| !gone.contains(id));
    let names: Vec<String> = gone.iter().map(|id| list_name(id)).chain(copies).collect();
    bucket.delete_own(&names, journal).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn manifest(ids: &[&str], live: &str) -> Manifest {
        let release = |id: &&str| Release {
            id: (*id).to_owned(),
            ..Release::default()
        };
        Manifest {
            release: Some(release(&live)),
            releases: ids.iter().map(release).collect(),
            ..Manifest::default()
        }
    }

    #[test]
    fn previous_is_the_one_before_the_live_one() {
        let manifest = manifest(&["1-1", "2-2", "3-3"], "3-3");
        assert_eq!(Target::Previous.of(&manifest).unwrap().id, "2-2");
        let rolled_back = Manifest {
            release: manifest.releases.get(1).cloned(),
            ..manifest.clone()
        };
        assert_eq!(Target::Previous.of(&rolled_back).unwrap().id, "1-1");
        assert_eq!(
            Target::Named("1-1".to_owned()).of(&manifest).unwrap().id,
            "1-1"
        );
    }

    #[test]
    fn an_unknown_release_lists_those_that_there_are() {
        let one = manifest(&["3-3"], "3-3");
        assert!(
            Target::Previous
                .of(&one)
                .unwrap_err()
                .to_string()
                .contains("there are `3-3`")
        );
        let none = manifest(&[], "3-3");
        assert!(
            Target::Previous
                .of(&none)
                .unwrap_err()
                .to_string()
                .contains("none is kept")
        );
    }

    #[test]
    fn targets_are_ids_or_previous() {
        assert_eq!(Target::from_text(" previous "), Ok(Target::Previous));
        assert_eq!(
            Target::from_text("12-1764"),
            Ok(Target::Named("12-1764".to_owned()))
        );
        assert!(Target::from_text("../x").is_err());
    }

    #[test]
    fn releases_are_forgotten_by_number_or_age() {
        let release = |finished| Release {
            finished,
            ..Release::default()
        };
        let releases = [release(0), release(100), release(200), release(300)];
        assert_eq!(outdated(&releases, Retain::Releases(1), 0), 2);
        assert_eq!(outdated(&releases, Retain::Releases(9), 0), 0);
        assert_eq!(
            outdated(&releases, Retain::Age(Duration::from_secs(250)), 300),
            1
        );
        assert_eq!(
            outdated(&releases, Retain::Age(Duration::from_secs(1)), 9999),
            2,
            "two always stay"
        );
    }
}
