//! Wait, act, wait: around each change of a function. "The operation cannot be performed at this time. An update is in
//! progress" is tried again until a deadline; a function that somebody else has changed in between is left to them.
//!
//! RevisionId changes once more when an update has come to its end, so it is read again after each wait.

use std::time::Duration;

use shared::wait::{self, Observation, Pace};
use shared::{Failure, Refusal, explained};
use tokio::time::{Instant, sleep};

use crate::aws::{self, Lambda};
use crate::live::Configuration;

/// Between tries of a change that met another one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// One function and how it is waited for.
#[derive(Clone, Copy)]
pub struct Bracket<'a> {
    /// Lambda in the function's region.
    pub lambda: &'a Lambda,
    /// The function.
    pub function: &'a str,
    /// How often to look, and how long one wait may take.
    pub pace: Pace,
}

/// Whether a configuration shows that a change was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It shows it.
    Made,
    /// It shows that it was not, or no longer is.
    NotMade,
    /// It cannot show it.
    Unknown,
}

/// A change that was asked for and how it is told.
pub struct Act<'a> {
    /// A clause such as ``could not change the code of `f` ``.
    pub doing: String,
    /// The IAM action that it needs.
    pub action: &'a str,
}

impl Bracket<'_> {
    /// Waits until no update is in progress; one that has failed is no reason not to make the next.
    ///
    /// # Errors
    /// At the deadline, or when the function is gone.
    pub async fn quiet(&self) -> Result<Configuration, Failure> {
        let what = format!("the update in progress of `{}`", self.function);
        wait::until(&what, self.pace, async || {
            let configuration = self.read(None).await?;
            Ok(if configuration.is_in_progress() {
                Observation::Waiting(configuration.status())
            } else {
                Observation::Done(configuration)
            })
        })
        .await
    }

    /// Waits until the update that was asked for has come to its end.
    ///
    /// # Errors
    /// With AWS's reason as soon as it has failed; at the deadline.
    pub async fn settled(&self) -> Result<Configuration, Failure> {
        let configuration = self.quiet().await?;
        let failed = configuration
            .failed_update()
            .or_else(|| configuration.failed_state());
        match failed {
            None => Ok(configuration),
            Some(reason) => Err(Failure::new(format!(
                "the update of `{}` failed: {reason}",
                self.function
            ))
            .hint("no version was published and no traffic was moved; published versions go on as they are")),
        }
    }

    /// Waits until the published `version` can take traffic.
    ///
    /// # Errors
    /// With AWS's reason as soon as it has failed; at the deadline.
    pub async fn active(&self, version: &str) -> Result<Configuration, Failure> {
        let what = format!("version {version} of `{}` to become active", self.function);
        let look = async || {
            let configuration = self.read(Some(version)).await?;
            if let Some(reason) = configuration.failed_state() {
                return Err(Failure::new(format!(
                    "version {version} of `{}` cannot become active: {reason}",
                    self.function
                ))
                .hint("no traffic was moved to it"));
            }
            Ok(if configuration.is_in_progress() {
                Observation::Waiting(configuration.status())
            } else {
                Observation::Done(configuration)
            })
        };
        wait::until(&what, self.pace, look)
            .await
            .map_err(|failure| {
                failure.hint("no traffic was moved; WAIT_TIMEOUT sets how long one wait may take")
            })
    }

    async fn read(&self, qualifier: Option<&str>) -> Result<Configuration, Failure> {
        let found = self.lambda.configuration(self.function, qualifier).await?;
        found.ok_or_else(|| {
            let of = qualifier.map_or_else(String::new, |name| format!("version {name} of "));
            Failure::new(format!(
                "{of}`{}` is gone: somebody has deleted it while it was deployed",
                self.function
            ))
        })
    }

    /// Makes a change that depends on the revision of `live`, and waits until it has come to its end. What `proof` says
    /// of the outcome decides, not that a request was answered.
    ///
    /// # Errors
    /// What Lambda refused; "another deploy won" when the function is no longer what `live` was and the change is not
    /// in it; with AWS's reason when the update failed; at the deadline.
    pub async fn change(
        &self,
        mut live: Configuration,
        act: Act<'_>,
        mut attempt: impl AsyncFnMut(&str) -> Result<(), Refusal>,
        proof: impl Fn(&Configuration) -> Proof,
    ) -> Result<Configuration, Failure> {
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let refusal = match attempt(live.revision()).await {
                Ok(()) => break,
                Err(refusal) => refusal,
            };
            if !(aws::is_conflict(&refusal) || aws::is_other_revision(&refusal)) {
                return Err(explained(&refusal, act.doing, act.action));
            }
            if start.elapsed() + pause > self.pace.deadline {
                return Err(explained(
                    &refusal,
                    format!(
                        "{}, tried again for {} s",
                        act.doing,
                        start.elapsed().as_secs()
                    ),
                    act.action,
                )
                .hint("another change of this function is still under way; WAIT_TIMEOUT sets how long to try"));
            }
            sleep(pause).await;
            pause = self.pace.longest.min(pause * 2);
            let now = self.quiet().await?;
            // The answer to an earlier attempt may have been lost on the way, and the SDK has asked again.
            if proof(&now) == Proof::Made {
                break;
            }
            if !now.does_the_same_as(&live) {
                return Err(self.another_won(&live, &now));
            }
            live = now;
        }
        let after = self.settled().await?;
        if proof(&after) == Proof::NotMade {
            return Err(self.another_won(&live, &after));
        }
        Ok(after)
    }

    /// The failure for a function that somebody else has changed while this run was changing it.
    pub fn another_won(&self, before: &Configuration, now: &Configuration) -> Failure {
        let what = if before.code_sha256() == now.code_sha256() {
            "its configuration is no longer the one that this run saw".to_owned()
        } else {
            format!(
                "its code is now `{}`, which is not this run's",
                now.code_sha256()
            )
        };
        Failure::new(format!(
            "another deploy won: `{}` was changed while this run deployed it; {what}",
            self.function
        ))
        .hint("nothing was flipped; let one pipeline at a time deploy this function (a `deployment` environment does), and run again")
    }
}
