//! PROVISIONED_CONCURRENCY on the alias: instances that are kept warm. When an alias moves, Lambda makes them anew for the
//! version that it moves to, so they are waited for after each move.
//! <https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html>

use serde::Deserialize;
use shared::wait::{self, Observation};
use shared::{Failure, Journal, explained};

use crate::config::Reserved;
use crate::target::Target;

/// What GetProvisionedConcurrencyConfig says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Provisioned {
    /// How many are wished.
    pub requested_provisioned_concurrent_executions: u32,
    /// How many are warm.
    pub allocated_provisioned_concurrent_executions: u32,
    /// `IN_PROGRESS`, `READY` or `FAILED`.
    pub status: String,
    /// Why it failed.
    pub status_reason: Option<String>,
}

impl Provisioned {
    /// What it means for one who waits for `wished` instances.
    fn judge(&self, wished: u32) -> Result<Observation<()>, String> {
        match self.status.as_str() {
            "FAILED" => Err(self
                .status_reason
                .clone()
                .unwrap_or_else(|| "AWS gives no reason".to_owned())),
            "READY" if self.requested_provisioned_concurrent_executions == wished => {
                Ok(Observation::Done(()))
            }
            status => Ok(Observation::Waiting(format!(
                "{} of {wished} are warm ({status})",
                self.allocated_provisioned_concurrent_executions
            ))),
        }
    }
}

/// Lets the alias have as many warm instances as wished, and waits until they are there.
///
/// # Errors
/// When Lambda refuses or cannot make them. Traffic has been moved by then, and stays.
pub async fn apply(
    target: &Target,
    alias: &str,
    wished: Reserved,
    journal: &Journal,
) -> Result<(), Failure> {
    let (lambda, name) = (&target.lambda, &target.function);
    let live = lambda.provisioned(name, alias).await?;
    let requested = live
        .as_ref()
        .map(|live| live.requested_provisioned_concurrent_executions);
    let shown = format!("the provisioned concurrency of {target}:{alias}");
    let (made, action) = match wished {
        Reserved::Instances(count) if requested != Some(count) => {
            let pending = journal.begin("change", &shown);
            let made = lambda.provision(name, alias, Some(count)).await;
            (
                Some((pending, made)),
                "lambda:PutProvisionedConcurrencyConfig",
            )
        }
        Reserved::None if requested.is_some() => {
            let pending = journal.begin("change", &shown);
            let made = lambda.provision(name, alias, None).await;
            (
                Some((pending, made)),
                "lambda:DeleteProvisionedConcurrencyConfig",
            )
        }
        _ => (None, ""),
    };
    if let Some((pending, made)) = made {
        match made {
            Ok(()) => pending.done("changed", &shown),
            Err(refusal) => {
                if refusal.changed_nothing() {
                    pending.refused();
                }
                return Err(
                    explained(&refusal, format!("could not change {shown}"), action)
                        .fact("the alias is where it is to be; its instances are not warm"),
                );
            }
        }
    }
    let Reserved::Instances(count) = wished else {
        return Ok(());
    };
    let what = format!("{count} warm instances of `{target}:{alias}`");
    let look = async || {
        let live = lambda.provisioned(name, alias).await?.unwrap_or_default();
        live.judge(count).map_err(|reason| {
            Failure::new(format!("`{target}:{alias}` could not get {count} warm instances: {reason}"))
                .hint("the alias is where it is to be and takes calls, with cold starts; a smaller PROVISIONED_CONCURRENCY, or a larger quota of the account, helps")
        })
    };
    wait::until(&what, target.pace(), look)
        .await
        .map_err(|failure| {
            failure.fact("the alias is where it is to be and takes calls, with cold starts")
        })?;
    tracing::info!("`{target}:{alias}` has {count} warm instances");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_only_with_as_many_as_wished() {
        let seen = |status: &str, requested, reason: Option<&str>| Provisioned {
            requested_provisioned_concurrent_executions: requested,
            allocated_provisioned_concurrent_executions: 1,
            status: status.to_owned(),
            status_reason: reason.map(str::to_owned),
        };
        assert_eq!(seen("READY", 5, None).judge(5), Ok(Observation::Done(())));
        let waiting = |text: &str| Ok(Observation::Waiting(text.to_owned()));
        assert_eq!(
            seen("READY", 4, None).judge(5),
            waiting("1 of 5 are warm (READY)")
        );
        assert_eq!(
            seen("IN_PROGRESS", 5, None).judge(5),
            waiting("1 of 5 are warm (IN_PROGRESS)")
        );
        assert_eq!(
            seen("FAILED", 5, Some("quota")).judge(5),
            Err("quota".to_owned())
        );
    }
}
