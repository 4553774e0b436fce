//! The functions of a run: each name in each region.

use std::fmt;

use futures_util::StreamExt;
use shared::wait::Pace;
use shared::{Failure, SdkConfig};

use crate::aws::Lambda;
use crate::bracket::Bracket;
use crate::config::Config;

/// Functions that are worked on at the same time.
const AT_ONCE: usize = 8;

/// One function in one region.
#[derive(Clone)]
pub struct Target {
    /// Its name or ARN.
    pub function: String,
    /// Lambda there.
    pub lambda: Lambda,
    /// Whether messages have to say the region.
    names_region: bool,
    pace: Pace,
}

impl Target {
    /// All targets of a run whose own region is `region`.
    pub fn all(config: &Config, sdk: &SdkConfig, region: &str) -> Vec<Self> {
        let own = [region.to_owned()];
        let regions = if config.regions.is_empty() {
            &own[..]
        } else {
            &config.regions[..]
        };
        let lambdas: Vec<Lambda> = regions
            .iter()
            .map(|region| Lambda::new(sdk, region))
            .collect();
        let targets = lambdas.iter().flat_map(|lambda| {
            config.functions.iter().map(|function| Self {
                function: function.clone(),
                lambda: lambda.clone(),
                names_region: lambdas.len() > 1,
                pace: config.pace,
            })
        });
        targets.collect()
    }

    /// How it is waited for.
    pub fn bracket(&self) -> Bracket<'_> {
        Bracket {
            lambda: &self.lambda,
            function: &self.function,
            pace: self.pace,
        }
    }

    /// How updates are waited for.
    pub const fn pace(&self) -> Pace {
        self.pace
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.function)?;
        if self.names_region {
            write!(out, " in {}", self.lambda.region())?;
        }
        Ok(())
    }
}

/// Does `work` for all, some at a time, and lets those that are under way come to their end when one fails: what was
/// asked for is known then.
///
/// # Errors
/// The first failure, with all others below it.
pub async fn for_all<I, T, W: Future<Output = Result<T, Failure>>>(
    items: impl IntoIterator<Item = I>,
    work: impl Fn(I) -> W,
) -> Result<Vec<T>, Failure> {
    let ended: Vec<Result<T, Failure>> = futures_util::stream::iter(items)
        .map(work)
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut done = Vec::new();
    let mut failed: Option<Failure> = None;
    for each in ended {
        match (each, failed.take()) {
            (Ok(value), before) => {
                done.push(value);
                failed = before;
            }
            (Err(failure), None) => failed = Some(failure),
            (Err(failure), Some(first)) => failed = Some(first.fact(format!("and {failure}"))),
        }
    }
    match failed {
        None => Ok(done),
        Some(failure) => Err(failure),
    }
}
