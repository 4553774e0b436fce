//! A shift in steps, decided: how far traffic is at which moment, when a version's figures are too bad, and what is to be
//! done with a shift that another run has left behind. Pure.

use std::fmt;
use std::time::{Duration, SystemTime};

use shared::{Failure, FromText};

use crate::live::{Alias, percent};
use crate::mark::{self, Canary, Description, Mark};

/// A share of the traffic or of the invocations, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(pub f64);

impl Share {
    /// 1 %.
    pub const ONE_PERCENT: Self = Self(0.01);
}

impl FromText for Share {
    fn from_text(text: &str) -> Result<Self, String> {
        let number = text
            .trim()
            .strip_suffix('%')
            .and_then(|number| number.trim().parse::<f64>().ok())
            .filter(|number| (0.0..=100.0).contains(number));
        number
            .map(|number| Self(number / 100.0))
            .ok_or_else(|| format!("unallowed value {} (a share looks like `10%`)", text.trim()))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&percent(self.0))
    }
}

/// One step of a shift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// How much the new version gets.
    pub share: Share,
    /// How long it is watched.
    pub time: Duration,
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs();
        write!(out, "{} for ", self.share)?;
        match (seconds / 60, seconds % 60) {
            (minutes, 0) if minutes > 0 => write!(out, "{minutes}m"),
            _ => write!(out, "{seconds}s"),
        }
    }
}

/// CANARY: shares that grow, each with its time. A last one of 100% watches the version with all traffic on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps(pub Vec<Step>);

impl Steps {
    /// How long they take together.
    pub fn time(&self) -> Duration {
        self.0.iter().map(|step| step.time).sum()
    }

    /// The steps that are left when the new version already has `share`: from the one that it is in, which starts again.
    pub fn from(&self, share: Share) -> &[Step] {
        let place = self.0.iter().position(|step| step.share >= share);
        &self.0[place.unwrap_or(self.0.len())..]
    }
}

impl FromText for Steps {
    fn from_text(text: &str) -> Result<Self, String> {
        let fault = |why: &str| {
            Err(format!(
                "unallowed value {} ({why}; it looks like `10% 5m, 50% 10m`)",
                text.trim()
            ))
        };
        let mut steps: Vec<Step> = Vec::new();
        for part in text.trim().trim_end_matches(',').split(',') {
            let mut words = part.split_whitespace();
            let (Some(share), Some(time), None) = (words.next(), words.next(), words.next()) else {
                return fault("a step is a share and a time");
            };
            let share = Share::from_text(share)?;
            let Some(time) = time_of(time) else {
                return fault("a time is a number with `s`, `m` or `h`");
            };
            if share.0 <= 0.0 || steps.last().is_some_and(|last| last.share >= share) {
                return fault("shares grow, from more than 0%");
            }
            steps.push(Step { share, time });
        }
        Ok(Self(steps))
    }
}

fn time_of(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|each: char| !each.is_ascii_digit())?);
    let number: u32 = number.parse().ok().filter(|number| *number > 0)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    Some(Duration::from_secs(u64::from(number) * seconds))
}

/// What the new version's figures may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Of its invocations.
    pub errors: Share,
    /// Of the requests to it.
    pub throttles: Share,
    /// Of its 95th percentile.
    pub duration: Option<Duration>,
}

/// The new version's figures since the shift began, from CloudWatch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Invocations, throttled ones not counted.
    pub invocations: f64,
    /// Invocations that ended in an error of the function.
    pub errors: f64,
    /// Requests that got no instance.
    pub throttles: f64,
    /// The worst minute's 95th percentile, in milliseconds.
    pub duration: Option<f64>,
}

impl Figures {
    /// Why the figures are too bad, if they are.
    pub fn breach(&self, limits: &Thresholds) -> Option<String> {
        let of = |part: f64, whole: f64| {
            if part > 0.0 {
                part / whole.max(part)
            } else {
                0.0
            }
        };
        let errors = of(self.errors, self.invocations);
        let throttles = of(self.throttles, self.invocations + self.throttles);
        if errors > limits.errors.0 {
            return Some(format!(
                "{} of {} invocations ended in an error, {}, and CANARY_ERRORS is {}",
                self.errors,
                self.invocations,
                percent(errors),
                limits.errors
            ));
        }
        if throttles > limits.throttles.0 {
            return Some(format!(
                "{} of {} requests were throttled, {}, and CANARY_THROTTLES is {}",
                self.throttles,
                self.invocations + self.throttles,
                percent(throttles),
                limits.throttles
            ));
        }
        match (self.duration, limits.duration) {
            (Some(measured), Some(limit)) if measured > limit.as_secs_f64() * 1000.0 => {
                Some(format!(
                    "the 95th percentile of its duration was {measured:.0} ms in a minute, and CANARY_DURATION is {} ms",
                    limit.as_millis()
                ))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            invocations,
            errors,
            throttles,
            duration,
        } = self;
        write!(
            out,
            "{invocations} invocations, {errors} errors, {throttles} throttles"
        )?;
        match duration {
            Some(duration) => write!(out, ", p95 {duration:.0} ms"),
            None => Ok(()),
        }
    }
}

/// The run that asks, as an alias names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// `orders#123`: repository and build; a step that is run again has the same.
    pub name: String,
    /// Now.
    pub now: SystemTime,
    /// Whether a shift of another run may be taken over while it is alive.
    pub force: bool,
}

/// Where a shift starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The version that all goes back to.
    pub from: String,
    /// How much the target has already.
    pub share: Share,
}

/// Where a move of `alias` to version `to` starts, whatever state an earlier run has left it in.
///
/// # Errors
/// When another run is shifting it, or when something else than this pipe has split its traffic.
pub fn start(alias: &Alias, to: &str, run: &Run) -> Result<Start, Failure> {
    let plain = |from: &str| {
        Ok(Start {
            from: from.to_owned(),
            share: Share(if from == to { 1.0 } else { 0.0 }),
        })
    };
    match Description::parse(&alias.description).mark {
        Some(Mark::Canary(canary)) if is_under_way(alias, &canary) => {
            if canary.run != run.name && canary.until > run.now && !run.force {
                return Err(Failure::new(format!(
                    "another deploy is shifting alias `{}`: run {} from version {} to {}, in a step that ends at {}",
                    alias.name, canary.run, canary.from, canary.to, mark::time(canary.until)
                ))
                .hint("wait for it; if that run was killed, its shift can be picked up after that time, or now with FORCE, or undone with COMMAND `rollback`"));
            }
            if canary.to != to {
                return plain(&canary.from);
            }
            let share = match alias.split() {
                Some((version, share)) if version == to => Share(share),
                _ => Share(1.0),
            };
            Ok(Start {
                from: canary.from,
                share,
            })
        }
        _ => match alias.split() {
            None => plain(&alias.function_version),
            Some(_) => Err(Failure::new(format!(
                "alias `{}` is split already, and not by this pipe: {alias}",
                alias.name
            ))
            .hint(format!(
                "end that shift first; COMMAND `rollback` puts all traffic on version {}",
                alias.function_version
            ))),
        },
    }
}

/// Whether the alias still is what the mark says; somebody may have moved it by hand and left the description.
fn is_under_way(alias: &Alias, canary: &Canary) -> bool {
    match alias.split() {
        Some((version, _)) => version == canary.to && alias.function_version == canary.from,
        None => alias.function_version == canary.to || alias.function_version == canary.from,
    }
}

#[cfg(test)]
mod tests;
