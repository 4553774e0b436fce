//! KEEP_VERSIONS: old versions are deleted when all else is done, since the code of an account's functions has a limit.
//! Whatever anything names is kept, and nothing that goes wrong here fails the deploy. The choice is pure.

use std::collections::BTreeSet;

use shared::{Failure, Journal};

use crate::aws::Lambda;
use crate::live::Alias;
use crate::mark::{Description, Mark};
use crate::target::Target;

/// The versions to be deleted, the oldest first: all but the newest `keep` and those that are `used`.
pub fn superfluous<'a>(
    versions: impl IntoIterator<Item = &'a str>,
    keep: usize,
    used: &BTreeSet<String>,
) -> Vec<String> {
    let mut numbers: Vec<u64> = versions
        .into_iter()
        .filter_map(|version| version.parse().ok())
        .collect();
    numbers.sort_unstable();
    let old = numbers.len().saturating_sub(keep);
    numbers
        .into_iter()
        .take(old)
        .map(|number| number.to_string())
        .filter(|version| !used.contains(version))
        .collect()
}

/// The versions that an alias names: those that have its traffic, and the one that it would go back to.
pub fn named_by(alias: &Alias) -> Vec<String> {
    let mut versions = vec![alias.function_version.clone()];
    if let Some(routing) = &alias.routing_config {
        versions.extend(routing.additional_version_weights.keys().cloned());
    }
    match Description::parse(&alias.description).mark {
        Some(Mark::Previous(version) | Mark::RolledBack(version)) => versions.push(version),
        Some(Mark::Canary(canary)) => versions.extend([canary.from, canary.to]),
        None => {}
    }
    versions
}

/// Deletes what is superfluous of one function, and says what it could not.
pub async fn prune(target: &Target, keep: usize, released: &str, journal: &Journal) {
    let doomed = match choose(&target.lambda, &target.function, keep, released).await {
        Ok(doomed) => doomed,
        Err(failure) => {
            tracing::warn!("no old version of `{target}` was deleted: {failure}");
            return;
        }
    };
    let mut deleted = 0;
    for version in &doomed {
        let shown = format!("version {version} of {target}");
        let pending = journal.begin("delete", &shown);
        match target
            .lambda
            .delete_version(&target.function, version)
            .await
        {
            Ok(()) => {
                pending.done("deleted", shown);
                deleted += 1;
            }
            Err(refusal) => {
                if refusal.changed_nothing() {
                    pending.refused();
                }
                tracing::warn!("could not delete version {version} of `{target}`: {refusal}");
                // What is denied for one is denied for all.
                if refusal.is_denied() {
                    break;
                }
            }
        }
    }
    if deleted > 0 {
        tracing::info!(
            "Deleted {deleted} old versions of `{target}`, kept the newest {keep} and all in use"
        );
    }
}

async fn choose(
    lambda: &Lambda,
    function: &str,
    keep: usize,
    released: &str,
) -> Result<Vec<String>, Failure> {
    let versions = lambda.versions(function).await?;
    if versions.len() <= keep {
        return Ok(Vec::new());
    }
    let mut used = BTreeSet::from([released.to_owned()]);
    for alias in lambda.aliases(function).await? {
        used.extend(named_by(&alias));
    }
    used.extend(lambda.provisioned_versions(function).await?);
    used.extend(lambda.versions_with_events(function).await?);
    let numbers = versions.iter().map(|version| version.version());
    Ok(superfluous(numbers, keep, &used))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Routing;

    #[test]
    fn the_newest_and_the_used_are_kept() {
        let used = |versions: &[&str]| versions.iter().map(|&version| version.to_owned()).collect();
        for (versions, keep, used, expected) in [
            (&["1", "2", "3"][..], 2, used(&[]), &["1"][..]),
            (&["1", "2", "3"], 3, used(&[]), &[]),
            (&["1", "2", "3"], 9, used(&[]), &[]),
            (&["1", "2", "3", "4"], 1, used(&["2"]), &["1", "3"]),
            (&["10", "9", "8", "100"], 2, used(&[]), &["8", "9"]),
            (&["$LATEST", "1", "2"], 1, used(&[]), &["1"]),
        ] {
            assert_eq!(
                superfluous(versions.iter().copied(), keep, &used),
                expected,
                "{versions:?}"
            );
        }
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
                mark: Some(Mark::Previous("5".to_owned())),
            }
            .to_string(),
            ..Alias::default()
        };
        assert_eq!(named_by(&alias), ["7", "8", "5"]);
    }
}
