//! One alias while it moves: each change depends on the revision that this run saw, and what it has begun goes back by
//! itself when the run ends early.

use std::time::{Duration, SystemTime};

use shared::{Failure, Journal, Refusal, explained};
use tokio::time::{Instant, sleep};

use super::back::Back;
use super::{Arrived, Journey};
use crate::aws::{self, Wanted};
use crate::canary::{self, Run, Share, Start, Step};
use crate::config::Traffic;
use crate::live::{Alias, percent};
use crate::mark::{Canary, Description, Mark};
use crate::plan::needs_description;
use crate::target::Target;

/// How much longer than its step a run may take until it has written the next.
const GRACE: Duration = Duration::from_mins(2);

/// One alias while it moves.
pub(super) struct Moving<'a> {
    pub(super) target: &'a Target,
    pub(super) name: &'a str,
    pub(super) journal: &'a Journal,
    run: Option<&'a Run>,
    text: String,
    pub(super) to: String,
    pub(super) start: Option<Start>,
    alias: Option<Alias>,
    /// Whether people asked for another description.
    redescribed: bool,
    /// The work that puts it back when the run ends early.
    pub(super) cleanup: Option<u64>,
}

impl<'a> Moving<'a> {
    pub(super) fn new(
        journey: &Journey<'a>,
        traffic: &'a Traffic,
        run: &'a Run,
        journal: &'a Journal,
    ) -> Result<Self, Failure> {
        let start = match &journey.alias {
            Some(alias) => Some(canary::start(alias, &journey.to, run)?),
            None => None,
        };
        let written = journey
            .alias
            .as_ref()
            .map(|alias| Description::parse(&alias.description).text);
        let wished = traffic.description.as_deref();
        Ok(Self {
            redescribed: journey
                .alias
                .as_ref()
                .is_some_and(|alias| needs_description(alias, wished)),
            text: wished.map_or_else(|| written.unwrap_or_default(), str::to_owned),
            target: journey.target,
            name: &traffic.alias,
            journal,
            run: Some(run),
            to: journey.to.clone(),
            start,
            alias: journey.alias.clone(),
            cleanup: None,
        })
    }

    /// One that is moved with a single request.
    pub(super) fn of_alias(
        (target, name): (&'a Target, &'a str),
        alias: Alias,
        version: &str,
        description: &Description,
        journal: &'a Journal,
    ) -> Self {
        Self {
            target,
            name,
            journal,
            text: description.text.clone(),
            to: version.to_owned(),
            run: None,
            start: None,
            alias: Some(alias),
            redescribed: false,
            cleanup: None,
        }
    }

    pub(super) fn from(&self) -> Option<&str> {
        self.start.as_ref().map(|start| start.from.as_str())
    }

    /// Whether there is an old version and a new one.
    pub(super) fn is_between_versions(&self) -> bool {
        self.from().is_some_and(|from| from != self.to)
    }

    /// Lets it go back by itself when the run ends early.
    pub(super) fn arm(&mut self) {
        let (Some(from), None) = (self.from(), self.cleanup) else {
            return;
        };
        if from == self.to {
            return;
        }
        let back = self.back(from);
        let name = format!("alias `{}` of `{}`", self.name, self.target);
        let shown = format!("alias {}:{}", self.target, self.name);
        let journal = self.journal.clone();
        let work = async move {
            let pending = journal.begin("put back", &shown);
            match back.go().await {
                Ok(Some(version)) => {
                    pending.done("put back", format!("{shown} to version {version}"));
                    tracing::warn!(
                        "alias `{}` of `{}` is back at version {version}",
                        back.name,
                        back.shown
                    );
                }
                Ok(None) => pending.refused(),
                Err(failure) => tracing::error!("{failure}"),
            }
        };
        self.cleanup = Some(self.journal.clean_up_unless_settled(name, work));
    }

    pub(super) fn disarm(&mut self) {
        if let Some(number) = self.cleanup.take() {
            self.journal.settle(number);
        }
    }

    pub(super) fn back(&self, from: &str) -> Back {
        Back {
            lambda: self.target.lambda.clone(),
            function: self.target.function.clone(),
            shown: self.target.to_string(),
            name: self.name.to_owned(),
            text: self.text.clone(),
            from: from.to_owned(),
            to: self.to.clone(),
        }
    }

    /// Gives the new version `step.share` of the traffic.
    pub(super) async fn step(&mut self, step: Step) -> Result<(), Failure> {
        let Some(from) = self.from().map(str::to_owned) else {
            return Ok(());
        };
        if from == self.to {
            return Ok(());
        }
        self.arm();
        let is_all = step.share >= Share(1.0);
        let mark = Mark::Canary(Canary {
            to: self.to.clone(),
            from: from.clone(),
            run: self.run.map_or_else(String::new, |run| run.name.clone()),
            until: SystemTime::now() + step.time + GRACE,
        });
        let wanted = Wanted {
            version: if is_all { self.to.clone() } else { from },
            split: (!is_all).then(|| (self.to.clone(), step.share.0)),
            description: self.described(mark),
        };
        let alias = self.set(&wanted).await?;
        tracing::info!(
            "Alias `{}` of `{}` is at {alias}, for {}",
            self.name,
            self.target,
            step.to_string().split_once(" for ").unwrap_or_default().1
        );
        self.alias = Some(alias);
        Ok(())
    }

    /// Gives the new version all traffic, for good.
    pub(super) async fn arrive(&mut self) -> Result<Arrived, Failure> {
        let from = self.from().map(str::to_owned);
        let is_there = self.alias.as_ref().is_some_and(|alias| {
            alias.function_version == self.to && alias.split().is_none() && !self.redescribed
        });
        if let Some(alias) = self.alias.as_ref().filter(|_| is_there)
            && from.as_ref() == Some(&self.to)
        {
            return Ok(Arrived {
                alias: alias.clone(),
                from: Some(self.to.clone()),
                is_moved: false,
            });
        }
        let wanted = Wanted {
            version: self.to.clone(),
            split: None,
            description: match &from {
                Some(from) if *from != self.to => self.described(Mark::Previous {
                    of: self.to.clone(),
                    version: from.clone(),
                }),
                // Only the description is another one.
                Some(_) => self.described_as_before(),
                None => self.text.clone(),
            },
        };
        let alias = self.set(&wanted).await?;
        if alias.function_version != self.to || alias.split().is_some() {
            return Err(self.another_won(&alias));
        }
        let (name, target, to) = (self.name, self.target, &self.to);
        if let Some(from) = &from {
            tracing::info!("Alias `{name}` of `{target}` is at version {to} (before: {from})");
        } else {
            tracing::info!("Created alias `{name}` of `{target}` at version {to}");
        }
        self.alias = Some(alias.clone());
        Ok(Arrived {
            alias,
            from,
            is_moved: true,
        })
    }

    fn described(&self, mark: Mark) -> String {
        Description {
            text: self.text.clone(),
            mark: Some(mark),
        }
        .to_string()
    }

    fn described_as_before(&self) -> String {
        let mark = self
            .alias
            .as_ref()
            .and_then(|alias| Description::parse(&alias.description).mark);
        Description {
            text: self.text.clone(),
            mark,
        }
        .to_string()
    }

    /// Makes or changes the alias, if it still is what this run saw.
    pub(super) async fn set(&self, wanted: &Wanted) -> Result<Alias, Failure> {
        let pace = self.target.pace();
        let start = Instant::now();
        let mut pause = pace.first;
        let mut seen = self.alias.clone();
        loop {
            let refusal = match self.ask(wanted, seen.as_ref()).await {
                Ok(alias) => return Ok(alias),
                Err(refusal) => refusal,
            };
            let may_pass = aws::is_conflict(&refusal) || aws::is_other_revision(&refusal);
            if !may_pass || start.elapsed() + pause > pace.deadline {
                let action = match seen {
                    Some(_) => "lambda:UpdateAlias",
                    None => "lambda:CreateAlias",
                };
                let doing = format!("could not move alias `{}` of `{}`", self.name, self.target);
                return Err(explained(&refusal, doing, action));
            }
            sleep(pause).await;
            pause = pace.longest.min(pause * 2);
            let now = self
                .target
                .lambda
                .alias(&self.target.function, self.name)
                .await?;
            match (now, &seen) {
                // The answer to an earlier attempt was lost on the way, and the SDK has asked again.
                (Some(now), _) if wanted.is(&now) => return Ok(now),
                (Some(now), Some(before)) if is_same(&now, before) => seen = Some(now),
                (None, None) => {}
                (now, _) => return Err(self.another_won(&now.unwrap_or_default())),
            }
        }
    }

    async fn ask(&self, wanted: &Wanted, seen: Option<&Alias>) -> Result<Alias, Refusal> {
        let (lambda, function) = (&self.target.lambda, &self.target.function);
        let shown = format!("alias {}:{}", self.target, self.name);
        let pending = self.journal.begin("move", &shown);
        let made = match seen {
            Some(alias) => {
                lambda
                    .update_alias(function, self.name, wanted, &alias.revision_id)
                    .await
            }
            None => lambda.create_alias(function, self.name, wanted).await,
        };
        match &made {
            Ok(_) => {
                let share = wanted.split.as_ref();
                let to = share.map_or_else(
                    || format!("version {}", wanted.version),
                    |(version, share)| format!("{} on version {version}", percent(*share)),
                );
                pending.done("moved", format!("{shown} to {to}"));
            }
            Err(refusal) if refusal.changed_nothing() => pending.refused(),
            Err(_) => {}
        }
        made
    }

    fn another_won(&self, now: &Alias) -> Failure {
        let saw = self
            .alias
            .as_ref()
            .map_or_else(|| "none".to_owned(), ToString::to_string);
        let now = if now.function_version.is_empty() {
            "gone".to_owned()
        } else {
            format!("at {now}")
        };
        Failure::new(format!(
            "another deploy won: alias `{}` of `{}` is {now}, and this run saw {saw}",
            self.name, self.target
        ))
        .hint(format!(
            "this run did not move it; version {} stays published; let one pipeline at a time deploy this function, and run again",
            self.to
        ))
    }
}

fn is_same(one: &Alias, other: &Alias) -> bool {
    one.function_version == other.function_version
        && one.split() == other.split()
        && one.description == other.description
}
