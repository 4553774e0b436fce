//! `alias` and `rollback`: an alias gets to a version that exists. Nothing of the function is touched.

use std::collections::BTreeMap;

use serde_json::json;
use shared::{Failure, Journal, Outcome};

use crate::canary::Run;
use crate::config::{Config, Point, Shift, Traffic};
use crate::deploy::{absent, names};
use crate::live::{Alias, Configuration};
use crate::mark::{Description, Mark};
use crate::rollback::{self, Choice};
use crate::shift::{self, Arrived, Journey};
use crate::target::{Target, for_all};

/// Lets the alias of all `targets` point to `point.version`.
///
/// # Errors
/// When there is no such version, or the alias could not be moved.
pub async fn point(
    config: &Config,
    point: &Point,
    targets: &[Target],
    run: &Run,
    journal: &Journal,
) -> Result<Outcome, Failure> {
    let seen = for_all(targets, |target| look(target, &point.alias)).await?;
    let mut journeys = Vec::new();
    for (target, (versions, alias)) in targets.iter().zip(seen) {
        check(target, &versions, &point.version)?;
        journeys.push(Journey {
            target,
            alias,
            to: point.version.clone(),
        });
    }
    let traffic = Traffic {
        alias: point.alias.clone(),
        description: point.description.clone(),
        shift: Shift::AtOnce,
        alarms: Vec::new(),
    };
    let lines = journeys.iter().map(|journey| {
        let from = journey
            .alias
            .as_ref()
            .map_or_else(|| "new".to_owned(), |alias| format!("from {alias}"));
        format!(
            "alias      {}:{}  (to version {}, {from})",
            journey.target, point.alias, point.version
        )
    });
    announce(&lines.collect::<Vec<_>>(), journal);
    if config.dry_run {
        return Ok(nothing(targets));
    }
    let arrived = shift::all(journeys, &traffic, run, journal).await?;
    Ok(outcome(targets, &arrived, "Alias updated"))
}

/// Puts the alias of all `targets` back.
///
/// # Errors
/// When there is nothing to go back to, or the alias could not be moved.
pub async fn roll_back(
    config: &Config,
    alias: &str,
    target: &rollback::Target,
    targets: &[Target],
    journal: &Journal,
) -> Result<Outcome, Failure> {
    let seen = for_all(targets, |target| look(target, alias)).await?;
    let mut choices: Vec<(&Target, Alias, Choice)> = Vec::new();
    for (each, (versions, found)) in targets.iter().zip(seen) {
        let Some(found) = found else {
            return Err(Failure::new(format!("`{each}` has no alias `{alias}`"))
                .hint("check ALIAS; there is nothing to put back"));
        };
        let choice = rollback::choose(&found, target, &versions)?;
        choices.push((each, found, choice));
    }
    let lines = choices.iter().map(|(each, found, choice)| {
        format!(
            "rollback   {each}:{alias}  (from {found} to version {}: {})",
            choice.version, choice.reason
        )
    });
    announce(&lines.collect::<Vec<_>>(), journal);
    if config.dry_run {
        return Ok(nothing(targets));
    }
    let arrived = for_all(choices, |(each, found, choice)| async move {
        let description = Description {
            text: Description::parse(&found.description).text,
            mark: Some(Mark::RolledBack(choice.from.clone())),
        };
        shift::to(each, alias, found, &choice.version, &description, journal).await
    })
    .await?;
    Ok(outcome(targets, &arrived, "Rolled back"))
}

async fn look(
    target: &Target,
    alias: &str,
) -> Result<(Vec<Configuration>, Option<Alias>), Failure> {
    let (lambda, name) = (&target.lambda, &target.function);
    if lambda.configuration(name, None).await?.is_none() {
        return Err(absent(lambda, name).await);
    }
    let versions = lambda.versions(name).await?;
    Ok((versions, lambda.alias(name, alias).await?))
}

fn check(target: &Target, versions: &[Configuration], version: &str) -> Result<(), Failure> {
    let found = versions.iter().find(|each| each.version() == version);
    let Some(found) = found else {
        let newest: Vec<&str> = versions
            .iter()
            .rev()
            .take(10)
            .map(Configuration::version)
            .collect();
        let hint = if newest.is_empty() {
            "no version has been published yet; COMMAND `update` publishes one".to_owned()
        } else {
            format!("the newest versions are {}", newest.join(", "))
        };
        return Err(Failure::new(format!("`{target}` has no version {version}")).hint(hint));
    };
    match found.failed_state() {
        Some(reason) => Err(Failure::new(format!(
            "version {version} of `{target}` cannot take traffic: {reason}"
        ))),
        None => Ok(()),
    }
}

fn announce(lines: &[String], journal: &Journal) {
    shared::log::line(lines.join("\n"));
    journal.plan(json!({"steps": lines}));
}

fn nothing(targets: &[Target]) -> Outcome {
    Outcome {
        summary: format!("DRY_RUN: nothing was changed in {}", names(targets)),
        ..Outcome::default()
    }
}

fn outcome(targets: &[Target], arrived: &[Arrived], done: &str) -> Outcome {
    let each = targets.iter().zip(arrived).map(|(target, arrived)| {
        let before = arrived
            .from
            .as_ref()
            .filter(|from| **from != arrived.alias.function_version)
            .map_or_else(String::new, |from| format!(" (before: {from})"));
        format!(
            "`{target}` alias `{}` is at version {}{before}",
            arrived.alias.name, arrived.alias.function_version
        )
    });
    let what = each.collect::<Vec<_>>().join(", ");
    let is_moved = arrived.iter().any(|each| each.is_moved);
    let joined = |value: fn(&Arrived) -> String| {
        let values: Vec<String> = arrived.iter().map(value).collect();
        values.join(" ")
    };
    Outcome {
        summary: if is_moved {
            format!("{done}: {what}")
        } else {
            format!("Unchanged: {what}")
        },
        variables: BTreeMap::from([
            (
                "LAMBDA_DEPLOY_VERSION",
                joined(|each| each.alias.function_version.clone()),
            ),
            (
                "LAMBDA_DEPLOY_ALIAS_ARN",
                joined(|each| each.alias.arn.clone()),
            ),
            (
                "LAMBDA_DEPLOY_PREVIOUS_VERSION",
                joined(|each| each.from.clone().unwrap_or_else(|| "none".to_owned())),
            ),
            ("LAMBDA_DEPLOY_CHANGED", is_moved.to_string()),
        ]),
    }
}
