//! KEEP_VERSIONS: old versions are deleted when all else is done, since the code of an account's functions has a limit.
//! Whatever anything names is kept, and nothing that goes wrong here fails the deploy. The choice is pure.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use shared::{Failure, FromText, Journal, Timestamp};

use crate::aws::Lambda;
use crate::live::{Alias, Configuration};
use crate::mark::{Description, Mark};
use crate::target::Target;

/// KEEP_VERSIONS: a number of versions, and perhaps an age up to which all stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// So many of the newest.
    pub newest: usize,
    /// All that are younger.
    pub younger_than: Duration,
}

impl FromText for Keep {
    fn from_text(text: &str) -> Result<Self, String> {
        let fault = || {
            format!(
                "unallowed value {text} (it is a number of versions such as `5`, or with an age such as `5, 7d` or `5, 12h`)"
            )
        };
        let (newest, age) = match text.split_once([',', ' ']) {
            Some((newest, age)) => (newest, Some(age)),
            None => (text, None),
        };
        let newest = newest.trim().parse().ok().filter(|number| *number > 0);
        let hours = |age: &str| {
            let age = age.trim();
            let (number, unit) = age.split_at_checked(age.len().checked_sub(1)?)?;
            let number: u64 = number.trim().parse().ok()?;
            match unit {
                "h" => Some(number),
                "d" => number.checked_mul(24),
                _ => None,
            }
        };
        let hours = match age {
            Some(age) => hours(age).ok_or_else(fault)?,
            None => 0,
        };
        Ok(Self {
            newest: newest.ok_or_else(fault)?,
            younger_than: Duration::from_secs(hours.saturating_mul(3600)),
        })
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the newest {} versions", self.newest)?;
        match self.younger_than.as_secs() / 3600 {
            0 => Ok(()),
            hours if hours % 24 == 0 => write!(out, ", those younger than {} days", hours / 24),
            hours => write!(out, ", those younger than {hours} hours"),
        }
    }
}

/// A version of a function or a layer, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub number: u64,
    /// When it was made; nothing if that could not be read, and then it stays.
    pub made: Option<SystemTime>,
}

impl Version {
    /// Of a number and of what AWS says of its time: `2026-11-24T15:00:00.000+0000`.
    pub fn new(number: &str, made: &str) -> Option<Self> {
        let number = number.parse().ok()?;
        let made = made.replace("+0000", "Z");
        let made = Timestamp::from_text(&made).ok().map(|time| time.0);
        Some(Self { number, made })
    }
}

/// The versions to be deleted, the oldest first: all but those that are to be kept and those that are `used`.
pub fn superfluous(
    mut versions: Vec<Version>,
    keep: Keep,
    used: &BTreeSet<u64>,
    now: SystemTime,
) -> Vec<u64> {
    versions.sort_unstable_by_key(|version| version.number);
    let old = versions.len().saturating_sub(keep.newest);
    let is_young = |version: &Version| {
        let age = version.made.and_then(|made| now.duration_since(made).ok());
        age.is_none_or(|age| age < keep.younger_than)
    };
    versions
        .into_iter()
        .take(old)
        .filter(|version| !is_young(version) && !used.contains(&version.number))
        .map(|version| version.number)
        .collect()
}

/// The versions that an alias names: those that have its traffic, and the one that it would go back to.
pub fn named_by(alias: &Alias) -> Vec<String> {
    let mut versions = vec![alias.function_version.clone()];
    if let Some(routing) = &alias.routing_config {
        versions.extend(routing.additional_version_weights.keys().cloned());
    }
    match Description::parse(&alias.description).mark {
        Some(Mark::Previous { version, .. } | Mark::RolledBack(version)) => versions.push(version),
        Some(Mark::Canary(canary)) => versions.extend([canary.from, canary.to]),
        None => {}
    }
    versions
}

/// Deletes what is superfluous of one function, and says what it could not.
pub async fn prune(target: &Target, keep: Keep, released: &str, journal: &Journal) {
    let doomed = match choose(&target.lambda, &target.function, keep, released).await {
        Ok(doomed) => doomed,
        Err(failure) => {
            tracing::warn!("no old version of `{target}` was deleted: {failure}");
            return;
        }
    };
    delete(&doomed, &target.to_string(), journal, async |number| {
        target
            .lambda
            .delete_version(&target.function, &number.to_string())
            .await
    })
    .await;
}

/// The same for a layer: its versions that are on `$LATEST` or on a version of one of `targets` stay. A function that has
/// another one goes on with it, which Lambda promises.
pub async fn prune_layer(
    lambda: &Lambda,
    name: &str,
    targets: &[&Target],
    keep: Keep,
    journal: &Journal,
) {
    let doomed = match choose_of_layer(lambda, name, targets, keep).await {
        Ok(doomed) => doomed,
        Err(failure) => {
            tracing::warn!("no old version of layer `{name}` was deleted: {failure}");
            return;
        }
    };
    delete(&doomed, &format!("layer {name}"), journal, async |number| {
        lambda.delete_layer_version(name, number).await
    })
    .await;
}

async fn delete(
    doomed: &[u64],
    of: &str,
    journal: &Journal,
    ask: impl AsyncFn(u64) -> Result<(), shared::Refusal>,
) {
    let mut deleted = 0;
    for number in doomed {
        let shown = format!("version {number} of {of}");
        let pending = journal.begin("delete", &shown);
        match ask(*number).await {
            Ok(()) => {
                pending.done("deleted", shown);
                deleted += 1;
            }
            Err(refusal) => {
                if refusal.changed_nothing() {
                    pending.refused();
                }
                tracing::warn!("could not delete {shown}: {refusal}");
                // What is denied for one is denied for all.
                if refusal.is_denied() {
                    break;
                }
            }
        }
    }
    if deleted > 0 {
        tracing::info!("Deleted {deleted} old versions of {of}");
    }
}

async fn choose(
    lambda: &Lambda,
    function: &str,
    keep: Keep,
    released: &str,
) -> Result<Vec<u64>, Failure> {
    let versions = lambda.versions(function).await?;
    let all: Vec<Version> = versions.iter().filter_map(version_of).collect();
    let now = SystemTime::now();
    if superfluous(all.clone(), keep, &BTreeSet::new(), now).is_empty() {
        return Ok(Vec::new());
    }
    let mut used = BTreeSet::from([released.to_owned()]);
    for alias in lambda.aliases(function).await? {
        used.extend(named_by(&alias));
    }
    used.extend(lambda.provisioned_versions(function).await?);
    used.extend(lambda.versions_with_events(function).await?);
    let used = used.iter().filter_map(|version| version.parse().ok());
    Ok(superfluous(all, keep, &used.collect(), now))
}

fn version_of(configuration: &Configuration) -> Option<Version> {
    let made = configuration
        .members()
        .get("LastModified")
        .and_then(Value::as_str);
    Version::new(configuration.version(), made.unwrap_or_default())
}

async fn choose_of_layer(
    lambda: &Lambda,
    name: &str,
    targets: &[&Target],
    keep: Keep,
) -> Result<Vec<u64>, Failure> {
    let versions = lambda.layer_versions(name).await?;
    let now = SystemTime::now();
    if superfluous(versions.clone(), keep, &BTreeSet::new(), now).is_empty() {
        return Ok(Vec::new());
    }
    let mut used = BTreeSet::new();
    for target in targets {
        let latest = lambda.configuration(&target.function, None).await?;
        let published = lambda.versions(&target.function).await?;
        for configuration in latest.iter().chain(&published) {
            used.extend(on(configuration, name));
        }
    }
    Ok(superfluous(versions, keep, &used, now))
}

/// The versions of the layer `name` that a configuration has.
fn on(configuration: &Configuration, name: &str) -> Vec<u64> {
    let layers = configuration
        .members()
        .get("Layers")
        .and_then(Value::as_array);
    let number = |layer: &Value| {
        let (layer, number) = layer["Arn"].as_str()?.rsplit_once(':')?;
        layer
            .ends_with(&format!(":layer:{name}"))
            .then(|| number.parse().ok())?
    };
    layers.into_iter().flatten().filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Routing;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_number_and_perhaps_an_age() {
        for (text, newest, hours) in [
            ("5", 5, 0),
            ("5, 7d", 5, 168),
            ("1 12h", 1, 12),
            (" 3,2d ", 3, 48),
        ] {
            let keep = Keep {
                newest,
                younger_than: HOUR * hours,
            };
            assert_eq!(Keep::from_text(text.trim()), Ok(keep), "{text}");
        }
        for text in ["0", "many", "7d", "5, 7", "5, d", "5, 7w", "-1"] {
            assert!(Keep::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_newest_the_young_and_the_used_are_kept() {
        let now = SystemTime::UNIX_EPOCH + HOUR * 1000;
        // Version 1 was made 10 hours ago, 2 nine hours ago, and so on.
        let versions = |numbers: &[u64]| -> Vec<Version> {
            let made = |number: u64| Some(now - HOUR * u32::try_from(11 - number.min(10)).unwrap());
            let version = |&number: &u64| Version {
                number,
                made: made(number),
            };
            numbers.iter().map(version).collect()
        };
        for (numbers, newest, hours, used, expected) in [
            (&[1, 2, 3][..], 2, 0, &[][..], &[1][..]),
            (&[1, 2, 3], 3, 0, &[], &[]),
            (&[1, 2, 3], 9, 0, &[], &[]),
            (&[1, 2, 3, 4], 1, 0, &[2], &[1, 3]),
            (&[10, 9, 8, 7], 2, 0, &[], &[7, 8]),
            (&[1, 2, 3, 4], 1, 9, &[], &[1, 2]),
        ] {
            let keep = Keep {
                newest,
                younger_than: HOUR * hours,
            };
            let used = used.iter().copied().collect();
            assert_eq!(
                superfluous(versions(numbers), keep, &used, now),
                expected,
                "{numbers:?} {hours}"
            );
        }
        let unknown = vec![
            Version::new("1", "long ago").unwrap(),
            Version::new("2", "").unwrap(),
        ];
        let keep = Keep {
            newest: 1,
            younger_than: Duration::ZERO,
        };
        assert!(superfluous(unknown, keep, &BTreeSet::new(), now).is_empty());
        let known = Version::new("1", "1970-01-01T00:00:01.000+0000").unwrap();
        assert_eq!(
            known.made,
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1))
        );
    }

    #[test]
    fn an_alias_names_its_versions_its_weights_and_the_way_back() {
        let alias = Alias {
            function_version: "7".to_owned(),
            routing_config: Some(Routing {
                additional_version_weights: [("8".to_owned(), 0.1)].into(),
            }),
            description: Description {
                text: "live".to_owned(),
                mark: Some(Mark::Previous {
                    of: "6".to_owned(),
                    version: "5".to_owned(),
                }),
            }
            .to_string(),
            ..Alias::default()
        };
        assert_eq!(named_by(&alias), ["7", "8", "5"]);
    }
}
