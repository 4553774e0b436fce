//! A site that one machine is too slow for: in a `parallel` group each step uploads its share of the assets, and the
//! step after the group does the rest. Bitbucket runs the steps; a small object for each says that its share is done.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use shared::{Environment, Failure};

use crate::aws::Bucket;
use crate::digest::{fingerprint, hex};
use crate::entries::Entries;
use crate::manifest::FOLDER;
use crate::objects::{Object, Site};
use crate::phase::Phase;
use crate::pieces::Pieces;

/// One share of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

/// What a step says of its share.
#[derive(Debug, Serialize, Deserialize)]
pub struct Part {
    /// The site that it is a share of, see [`site_id`].
    pub site: String,
    /// Into how many shares the work was split.
    pub count: u32,
    /// The objects of the share, by name.
    pub objects: Entries,
}

impl Shard {
    /// The share of this step, by `BITBUCKET_PARALLEL_STEP` (from 0) and `BITBUCKET_PARALLEL_STEP_COUNT`.
    ///
    /// # Errors
    /// When the step is not in a parallel group.
    pub fn new(environment: &Environment) -> Result<Self, Failure> {
        let number = |name| {
            environment
                .get(name)
                .and_then(|text| text.trim().parse().ok())
        };
        match (
            number("BITBUCKET_PARALLEL_STEP"),
            number("BITBUCKET_PARALLEL_STEP_COUNT"),
        ) {
            (Some(index), Some(count)) if index < count => Ok(Self { index, count }),
            _ => Err(
                Failure::new("SHARD is true, but this step is not in a `parallel` group").hint(
                    "put the steps with SHARD into `parallel`, and one with SHARD_MERGE behind it",
                ),
            ),
        }
    }

    /// Whether an object is in this share: pages are in none, since they go live together.
    pub fn has(self, site: &Site, object: Object) -> bool {
        let (_, phase, _) = site.wish(object);
        phase != Phase::EntryPoint && self.has_name(&site.name(object))
    }

    /// By a hash of the name, not by directory: one directory may hold nearly everything.
    fn has_name(self, name: &str) -> bool {
        let hash = fingerprint(name.as_bytes());
        let number = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        number % self.count == self.index
    }

    /// The name of what this share leaves for the merging step.
    pub fn part_name(self, build: u64) -> String {
        format!("{}{}-of-{}.json", folder(build), self.index, self.count)
    }
}

/// Where the parts of a build are.
pub fn folder(build: u64) -> String {
    format!("{FOLDER}parts/{build}/")
}

/// Tells whether two steps see the same site: names and sizes, since a checkout has new times.
pub fn site_id(site: &Site) -> String {
    let mut hasher = blake3::Hasher::new();
    for (_, object) in site.objects.numbered() {
        hasher.update(site.name(object).as_bytes());
        hasher.update(&[0]);
        let size = site.file(object).map_or(0, |file| file.size);
        hasher.update(&size.to_be_bytes());
    }
    hex(crate::digest::short(&hasher.finalize()))
}

/// The same, if anybody asks for it: it reads every name.
pub fn site_id_if(wanted: bool, site: &Site) -> String {
    if wanted { site_id(site) } else { String::new() }
}

/// Leaves for the merging step what a share holds.
///
/// # Errors
/// When it cannot be written.
pub async fn leave(
    bucket: &Bucket,
    shard: Shard,
    build: u64,
    site: String,
    objects: &Entries,
) -> Result<(), Failure> {
    let part = Part {
        site,
        count: shard.count,
        objects: Entries::default(),
    };
    let pieces = Pieces::new(&part, objects)
        .map_err(|error| Failure::new(format!("could not write what this share holds: {error}")))?;
    bucket
        .write(&shard.part_name(build), pieces, None)
        .await
        .map(|_| ())
}

/// Reads and joins what the parallel steps of this build have left: the names of the parts, and their objects.
///
/// # Errors
/// See [`merge`].
pub async fn collect(
    bucket: &Bucket,
    build: u64,
    site: &str,
) -> Result<(Vec<String>, Entries), Failure> {
    let folder = folder(build);
    let names = bucket.own_names(&folder).await?;
    let mut parts = BTreeMap::new();
    for name in &names {
        let unreadable = |why: String| {
            Failure::new(format!(
                "could not read what a parallel step left, `{name}`: {why}"
            ))
        };
        let (part, _) = match bucket.read::<Part>(name).await? {
            Ok(Some(found)) => found.map_err(unreadable)?,
            Ok(None) => return Err(unreadable("it is gone".to_owned())),
            Err(refusal) => return Err(unreadable(refusal.to_string())),
        };
        parts.insert(name[folder.len()..].to_owned(), part);
    }
    Ok((names, merge(site, parts)?))
}

/// Joins the parts of a build, given by their names in its folder.
///
/// # Errors
/// When one is missing, or is of another site than the merging step has.
pub fn merge(site: &str, parts: BTreeMap<String, Part>) -> Result<Entries, Failure> {
    let again = "run all steps of the `parallel` group of this build again, then this one";
    let Some(count) = parts.values().map(|part| part.count).max() else {
        return Err(Failure::new("SHARD_MERGE is true, but no step with SHARD has uploaded its share")
            .hint("the steps of the `parallel` group in front of this one need SHARD, and have to succeed"));
    };
    let there: BTreeSet<&str> = parts.keys().map(String::as_str).collect();
    let missing: Vec<String> = (0..count)
        .filter(|index| !there.contains(format!("{index}-of-{count}.json").as_str()))
        .map(|index| index.to_string())
        .collect();
    if !missing.is_empty() {
        return Err(Failure::new(format!(
            "the shares of {} of {count} parallel steps are missing: step {}",
            missing.len(),
            missing.join(", ")
        ))
        .hint(again));
    }
    if parts.values().any(|part| part.site != site) {
        return Err(
            Failure::new("the parallel steps uploaded another site than this step has")
                .hint("give all of them the same artifact of one build step"),
        );
    }
    let join = |all: Entries, part: Part| all.with(&part.objects);
    Ok(parts.into_values().fold(Entries::default(), join))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_in_exactly_one_share() {
        for count in 1..6 {
            for index in 0..500 {
                let name = format!("assets/{index}.js");
                let shares = (0..count)
                    .filter(|share| {
                        Shard {
                            index: *share,
                            count,
                        }
                        .has_name(&name)
                    })
                    .count();
                assert_eq!(shares, 1);
            }
        }
    }

    #[test]
    fn the_shares_are_of_about_the_same_size() {
        let shard = Shard { index: 1, count: 4 };
        let own = (0..10_000)
            .filter(|index| shard.has_name(&format!("{index}.html")))
            .count();
        assert!((2300..2700).contains(&own), "{own}");
    }

    #[test]
    fn a_share_needs_a_parallel_step() {
        let shard = |index, count| {
            Shard::new(&Environment::from([
                ("BITBUCKET_PARALLEL_STEP", index),
                ("BITBUCKET_PARALLEL_STEP_COUNT", count),
            ]))
        };
        assert_eq!(shard("1", "3").unwrap(), Shard { index: 1, count: 3 });
        for (index, count) in [("", ""), ("3", "3"), ("0", ""), ("x", "2")] {
            assert!(shard(index, count).is_err(), "{index} of {count}");
        }
    }

    fn part(site: &str, count: u32) -> Part {
        Part {
            site: site.to_owned(),
            count,
            objects: Entries::default(),
        }
    }

    #[test]
    fn a_merge_needs_all_parts_of_the_same_site() {
        let parts = |list: &[(&str, Part)]| -> Result<_, String> {
            let parts = list.iter().map(|(name, part)| {
                (
                    (*name).to_owned(),
                    Part {
                        objects: Entries::default(),
                        site: part.site.clone(),
                        count: part.count,
                    },
                )
            });
            merge("a", parts.collect()).map_err(|failure| failure.to_string())
        };
        assert!(parts(&[("0-of-2.json", part("a", 2)), ("1-of-2.json", part("a", 2))]).is_ok());
        assert!(
            parts(&[])
                .unwrap_err()
                .starts_with("SHARD_MERGE is true, but no step")
        );
        assert!(
            parts(&[("1-of-3.json", part("a", 3))])
                .unwrap_err()
                .starts_with("the shares of 2 of 3 parallel steps are missing: step 0, 2")
        );
        assert!(
            parts(&[("0-of-1.json", part("b", 1))])
                .unwrap_err()
                .starts_with("the parallel steps uploaded another site")
        );
    }
}
