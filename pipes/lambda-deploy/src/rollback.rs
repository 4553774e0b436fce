//! Puts an alias back: out of a shift that is under way or was left behind, to the version that it had before, or to one
//! that is named. Nothing of the function itself is touched, so it takes one request. The choice is pure.

use shared::{Failure, FromText};

use crate::live::{Alias, Configuration};
use crate::mark::{Description, Mark};

/// ROLLBACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To what was there before.
    Previous,
    /// To this version.
    Version(String),
}

impl FromText for Target {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "previous" => Ok(Self::Previous),
            number if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(Self::Version(number.to_owned()))
            }
            other => Err(format!(
                "unallowed value {other} (it is `previous` or the number of a version)"
            )),
        }
    }
}

/// Where an alias is put back to, and why there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The version.
    pub version: String,
    /// How it was found.
    pub reason: String,
    /// What the alias is to remember: the version that it came from.
    pub from: String,
}

/// Chooses.
///
/// # Errors
/// When there is no such version.
pub fn choose(
    alias: &Alias,
    target: &Target,
    versions: &[Configuration],
) -> Result<Choice, Failure> {
    let exists = |number: &str| versions.iter().any(|each| each.version() == number);
    let numbers = || {
        let newest = versions.iter().rev().take(10);
        let numbers: Vec<&str> = newest.map(Configuration::version).collect();
        format!("the newest versions are {}", numbers.join(", "))
    };
    let mark = Description::parse(&alias.description).mark;
    let current = match alias.split() {
        Some((version, _)) => version.to_owned(),
        None => alias.function_version.clone(),
    };
    let chosen = |version: &str, reason: &str| Choice {
        version: version.to_owned(),
        reason: reason.to_owned(),
        from: current.clone(),
    };
    match target {
        Target::Version(number) if exists(number) => Ok(chosen(number, "ROLLBACK names it")),
        Target::Version(number) => {
            Err(Failure::new(format!("there is no version {number}")).hint(numbers()))
        }
        Target::Previous => {
            // In a shift the old version still has its share, or is what the mark remembers.
            if alias.split().is_some() {
                let version = &alias.function_version;
                return Ok(chosen(version, "it had all traffic before the shift"));
            }
            let remembered = match &mark {
                Some(Mark::Previous { of, version }) if *of == alias.function_version => {
                    Some(version)
                }
                Some(Mark::Canary(canary)) if canary.to == alias.function_version => {
                    Some(&canary.from)
                }
                _ => None,
            };
            if let Some(version) = remembered {
                return if exists(version) {
                    Ok(chosen(version, "the alias had it before"))
                } else {
                    Err(Failure::new(format!(
                        "version {version}, which the alias had before, does not exist any more"
                    ))
                    .hint(format!("name one with ROLLBACK; {}", numbers())))
                };
            }
            let number = |version: &str| version.parse::<u64>().ok();
            let now = number(&alias.function_version).unwrap_or(u64::MAX);
            let lower = versions
                .iter()
                .map(Configuration::version)
                .filter(|version| number(version).is_some_and(|version| version < now))
                .max_by_key(|version| number(version));
            match lower {
                Some(version) => Ok(chosen(
                    version,
                    "the alias does not say what it had before, and this is the next lower number",
                )),
                None => Err(Failure::new(format!(
                    "there is no version before {}",
                    alias.function_version
                ))
                .hint("deploy an older build instead")),
            }
        }
    }
}

#[cfg(test)]
mod tests;
