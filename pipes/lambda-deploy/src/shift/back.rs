//! The way back of aliases that have begun to move: all traffic to the version that had it.

use shared::Failure;

use super::moving::Moving;
use crate::aws::{Lambda, Wanted};
use crate::mark::{Description, Mark};

/// Tries to put an alias back, each on the revision that it has then.
const TRIES_TO_GO_BACK: usize = 5;

/// Puts an alias back, without anything that belongs to the run: it may be over by then.
pub(super) struct Back {
    pub(super) lambda: Lambda,
    pub(super) function: String,
    pub(super) shown: String,
    pub(super) name: String,
    pub(super) text: String,
    pub(super) from: String,
    pub(super) to: String,
}

impl Back {
    /// Gives all traffic back to the old version, unless the alias no longer is this run's; gives the version that has
    /// the traffic if it was put back.
    pub(super) async fn go(&self) -> Result<Option<String>, Failure> {
        let wanted = Wanted {
            version: self.from.clone(),
            split: None,
            description: Description {
                text: self.text.clone(),
                mark: Some(Mark::RolledBack(self.to.clone())),
            }
            .to_string(),
        };
        let mut last = String::new();
        for _ in 0..TRIES_TO_GO_BACK {
            let Some(alias) = self.lambda.alias(&self.function, &self.name).await? else {
                return Ok(None);
            };
            let is_ours = alias.function_version == self.to
                || alias.split().is_some_and(|(version, _)| version == self.to);
            if !is_ours {
                return Ok(None);
            }
            let asked = self
                .lambda
                .update_alias(&self.function, &self.name, &wanted, &alias.revision_id)
                .await;
            match asked {
                Ok(_) => return Ok(Some(self.from.clone())),
                Err(refusal) => last = refusal.to_string(),
            }
        }
        Err(Failure::new(format!(
            "could not put alias `{}` of `{}` back to version {}: {last}",
            self.name, self.shown, self.from
        ))
        .hint("do it with COMMAND `rollback`"))
    }
}

/// Puts all that have begun to move back, and says so below the failure.
pub(super) async fn all_back(moves: &[Moving<'_>], failure: Failure) -> Failure {
    let mut failure = failure;
    for each in moves {
        let (Some(from), Some(number)) = (each.from(), each.cleanup) else {
            continue;
        };
        let shown = format!("alias `{}` of `{}`", each.name, each.target);
        let pending = each
            .journal
            .begin("put back", &format!("alias {}:{}", each.target, each.name));
        match each.back(from).go().await {
            Ok(Some(version)) => {
                let moved = format!("alias {}:{} to version {version}", each.target, each.name);
                pending.done("put back", moved);
                failure = failure.fact(format!("{shown} is back at version {version}"));
            }
            Ok(None) => {
                pending.refused();
                failure =
                    failure.fact(format!("{shown} was not moved, or is no longer this run's"));
            }
            Err(back) => failure = failure.fact(back.to_string()),
        }
        each.journal.settle(number);
    }
    failure
}
