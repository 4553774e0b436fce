//! Moves aliases, which is what users feel: at once or in watched steps, each change depending on the revision that this
//! run saw. What it has begun it ends, one way or the other: on a breach, an error, a signal or the deadline all traffic
//! goes back to the version that had it.

mod back;
mod moving;
mod watch;

use shared::{Failure, Journal};

use self::back::all_back;
use self::moving::Moving;
pub use self::watch::check_sight;
use self::watch::watch;
use crate::aws::Wanted;
use crate::canary::Run;
use crate::code_deploy::{self, Group, Order};
use crate::config::{Shift, Traffic};
use crate::live::Alias;
use crate::mark::Description;
use crate::target::{Target, for_all};

/// One alias and where it is to point.
pub struct Journey<'a> {
    /// Its function.
    pub target: &'a Target,
    /// The alias as the plan saw it.
    pub alias: Option<Alias>,
    /// The version that is to have all traffic.
    pub to: String,
}

/// What became of an alias.
pub struct Arrived {
    /// It.
    pub alias: Alias,
    /// The version that had the traffic before; none if the alias is new.
    pub from: Option<String>,
    /// Whether it was moved.
    pub is_moved: bool,
}

/// Moves all of `journeys` as `traffic` says.
///
/// # Errors
/// When one of them could not be moved, or when the new versions did badly: all are back where they were then, as far
/// as the failure does not say otherwise.
pub async fn all(
    journeys: Vec<Journey<'_>>,
    traffic: &Traffic,
    run: &Run,
    journal: &Journal,
) -> Result<Vec<Arrived>, Failure> {
    if let Shift::CodeDeploy(group) = &traffic.shift {
        return by_code_deploy(journeys, group, traffic, run, journal).await;
    }
    let several = journeys.len() > 1;
    let mut moves = Vec::new();
    for journey in &journeys {
        moves.push(Moving::new(journey, traffic, run, journal)?);
    }
    if let Shift::Canary(steps, limits) = &traffic.shift {
        let ended = watch(&mut moves, steps, limits, traffic).await;
        if let Err(failure) = ended {
            return Err(all_back(&moves, failure).await);
        }
    }
    // One alias moves or does not; of several, the ones that have moved go back when another cannot.
    if several {
        moves.iter_mut().for_each(Moving::arm);
    }
    match for_all(&mut moves, Moving::arrive).await {
        Ok(arrived) => {
            moves.iter_mut().for_each(Moving::disarm);
            Ok(arrived)
        }
        Err(failure) => Err(all_back(&moves, failure).await),
    }
}

/// Lets CodeDeploy move those that have an old version and a new one; the others have nothing to be shifted.
async fn by_code_deploy(
    journeys: Vec<Journey<'_>>,
    group: &Group,
    traffic: &Traffic,
    run: &Run,
    journal: &Journal,
) -> Result<Vec<Arrived>, Failure> {
    let shifted: Vec<Option<Order<'_>>> = journeys.iter().map(Order::of).collect();
    code_deploy::all(shifted.iter().flatten(), group, journal).await?;
    let mut arrived = Vec::new();
    for (journey, order) in journeys.iter().zip(&shifted) {
        arrived.push(match order {
            Some(order) => order.arrived().await?,
            None => {
                Moving::new(journey, traffic, run, journal)?
                    .arrive()
                    .await?
            }
        });
    }
    Ok(arrived)
}

/// Moves one alias to `version` with one request, whatever it is in the middle of.
///
/// # Errors
/// When it could not be moved, or somebody else has moved it.
pub async fn to(
    target: &Target,
    name: &str,
    alias: Alias,
    version: &str,
    description: &Description,
    journal: &Journal,
) -> Result<Arrived, Failure> {
    let from = match alias.split() {
        Some((version, _)) => version.to_owned(),
        None => alias.function_version.clone(),
    };
    if alias.split().is_none() && alias.function_version == version {
        return Ok(Arrived {
            alias,
            from: Some(from),
            is_moved: false,
        });
    }
    let moving = Moving::of_alias((target, name), alias, version, description, journal);
    let wanted = Wanted {
        version: version.to_owned(),
        split: None,
        description: description.to_string(),
    };
    let alias = moving.set(&wanted).await?;
    tracing::info!("Alias `{name}` of `{target}` is at version {version} (before: {from})");
    Ok(Arrived {
        alias,
        from: Some(from),
        is_moved: true,
    })
}
