//! Moves aliases, which is what users feel: at once or in watched steps, each change depending on the revision that this
//! run saw. What it has begun it ends, one way or the other: on a breach, an error, a signal or the deadline all traffic
//! goes back to the version that had it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use shared::cloudwatch::CloudWatch;
use shared::{Failure, Journal, Refusal, explained};
use tokio::time::{Instant, sleep};

use crate::aws::{self, CodeDeploy, Lambda, Wanted};
use crate::canary::{self, Figures, Run, Share, Start, Step, Steps, Thresholds};
use crate::code_deploy::{self, Group, Order};
use crate::config::{Shift, Traffic};
use crate::live::{Alias, percent};
use crate::mark::{Canary, Description, Mark};
use crate::plan::needs_description;
use crate::target::{Target, for_all};

/// Tries to put an alias back, each on the revision that it has then.
const TRIES_TO_GO_BACK: usize = 5;
/// Longest pause between two looks at the figures.
const LOOK: Duration = Duration::from_secs(15);
/// How much longer than its step a run may take until it has written the next.
const GRACE: Duration = Duration::from_mins(2);

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
    let moving = Moving {
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
    };
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

/// One alias while it moves.
struct Moving<'a> {
    target: &'a Target,
    name: &'a str,
    journal: &'a Journal,
    run: Option<&'a Run>,
    text: String,
    to: String,
    start: Option<Start>,
    alias: Option<Alias>,
    /// Whether people asked for another description.
    redescribed: bool,
    /// The work that puts it back when the run ends early.
    cleanup: Option<u64>,
}

impl<'a> Moving<'a> {
    fn new(
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

    fn from(&self) -> Option<&str> {
        self.start.as_ref().map(|start| start.from.as_str())
    }

    /// Whether there is an old version and a new one.
    fn is_between_versions(&self) -> bool {
        self.from().is_some_and(|from| from != self.to)
    }

    /// Lets it go back by itself when the run ends early.
    fn arm(&mut self) {
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

    fn disarm(&mut self) {
        if let Some(number) = self.cleanup.take() {
            self.journal.settle(number);
        }
    }

    fn back(&self, from: &str) -> Back {
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
    async fn step(&mut self, step: Step) -> Result<(), Failure> {
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
    async fn arrive(&mut self) -> Result<Arrived, Failure> {
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
                Some(from) if *from != self.to => self.described(Mark::Previous(from.clone())),
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
    async fn set(&self, wanted: &Wanted) -> Result<Alias, Failure> {
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

/// Puts an alias back, without anything that belongs to the run: it may be over by then.
struct Back {
    lambda: Lambda,
    function: String,
    shown: String,
    name: String,
    text: String,
    from: String,
    to: String,
}

impl Back {
    /// Gives all traffic back to the old version, unless the alias no longer is this run's; gives the version that has
    /// the traffic if it was put back.
    async fn go(&self) -> Result<Option<String>, Failure> {
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
async fn all_back(moves: &[Moving<'_>], failure: Failure) -> Failure {
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

/// Takes all through the steps, and watches each for its time.
async fn watch(
    moves: &mut [Moving<'_>],
    steps: &Steps,
    limits: &Thresholds,
    traffic: &Traffic,
) -> Result<(), Failure> {
    let shifting = |each: &Moving<'_>| each.is_between_versions();
    let shares = moves.iter().filter(|each| shifting(each));
    let Some(share) = shares
        .filter_map(|each| each.start.as_ref())
        .map(|start| start.share)
        .reduce(|one, other| if one < other { one } else { other })
    else {
        return Ok(());
    };
    if share > Share(0.0) {
        tracing::info!("Picking up the shift of an earlier run at {share}");
    }
    let began = SystemTime::now();
    let watched: Vec<Watched> = moves
        .iter()
        .filter(|each| shifting(each))
        .map(Watched::new)
        .collect();
    for step in steps.from(share) {
        for each in moves.iter_mut() {
            each.step(*step).await?;
        }
        let end = Instant::now() + step.time;
        let is_all = step.share >= Share(1.0);
        let since = if is_all { SystemTime::now() } else { began };
        let look = LOOK.min(step.time / 4).max(Duration::from_millis(200));
        loop {
            sleep(look.min(end.saturating_duration_since(Instant::now()))).await;
            let is_over = Instant::now() >= end;
            for each in &watched {
                let looked = each
                    .look(*step, since, limits, &traffic.alarms, is_over)
                    .await;
                match looked {
                    // One look may fail; a step is over only when it was seen to be good.
                    Err(failure) if failure.may_pass() && !is_over => {
                        tracing::warn!("{failure}");
                    }
                    looked => looked?,
                }
            }
            if is_over {
                break;
            }
        }
    }
    Ok(())
}

/// A version whose figures are watched.
struct Watched {
    cloudwatch: CloudWatch,
    function: String,
    shown: String,
    alias: String,
    version: String,
    last: Arc<Mutex<Option<Figures>>>,
}

impl Watched {
    fn new(moving: &Moving<'_>) -> Self {
        let function = &moving.target.function;
        let own = function.rsplit(':').next().unwrap_or(function);
        Self {
            cloudwatch: CloudWatch::new(moving.target.lambda.sdk()),
            function: own.to_owned(),
            shown: moving.target.to_string(),
            alias: moving.name.to_owned(),
            version: moving.to.clone(),
            last: Arc::default(),
        }
    }

    /// # Errors
    /// When the figures or an alarm are too bad, or cannot be seen: what nobody watches is not safe.
    async fn look(
        &self,
        step: Step,
        since: SystemTime,
        limits: &Thresholds,
        alarms: &[String],
        is_over: bool,
    ) -> Result<(), Failure> {
        check_alarms(&self.cloudwatch, alarms).await?;
        let split = step.share < Share(1.0);
        let version = split.then_some(self.version.as_str());
        let figures = aws::figures(
            &self.cloudwatch,
            &self.function,
            &self.alias,
            version,
            since,
        )
        .await?;
        if let Some(why) = figures.breach(limits) {
            return Err(Failure::new(format!(
                "version {} of `{}` did badly with {} of the traffic: {why}",
                self.version, self.shown, step.share
            ))
            .hint("the version stays published for a look at its logs"));
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != Some(figures) {
            tracing::info!("version {} of `{}`: {figures}", self.version, self.shown);
            *last = Some(figures);
        }
        if is_over && figures.invocations == 0.0 {
            tracing::warn!(
                "CloudWatch shows no invocation of version {} of `{}` in this step, so the step proves nothing; figures come about a minute late",
                self.version,
                self.shown
            );
        }
        Ok(())
    }
}

/// # Errors
/// When one of them is in alarm, does not exist, or may not be read.
pub async fn check_alarms(cloudwatch: &CloudWatch, alarms: &[String]) -> Result<(), Failure> {
    if alarms.is_empty() {
        return Ok(());
    }
    let states = cloudwatch.alarms(alarms).await?;
    for name in alarms {
        match states.get(name) {
            None => {
                return Err(
                    Failure::new(format!("there is no CloudWatch alarm `{name}`"))
                        .hint("ALARMS names alarms of the function's account and region"),
                );
            }
            Some(state) if state.is_in_alarm() => {
                return Err(Failure::new(format!(
                    "CloudWatch alarm `{name}` is in alarm: {}",
                    state.reason
                )));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Whether all that will be watched can be seen, before anything is changed.
///
/// # Errors
/// When it cannot, or when an alarm has gone off already.
pub async fn check_sight(target: &Target, traffic: &Traffic) -> Result<(), Failure> {
    match &traffic.shift {
        Shift::AtOnce => return Ok(()),
        Shift::CodeDeploy(group) => {
            return CodeDeploy::new(target.lambda.sdk()).check(group).await;
        }
        Shift::Canary(..) => {}
    }
    let cloudwatch = CloudWatch::new(target.lambda.sdk());
    check_alarms(&cloudwatch, &traffic.alarms).await?;
    let own = target.function.rsplit(':').next().unwrap_or_default();
    let since = SystemTime::now() - Duration::from_mins(1);
    aws::figures(&cloudwatch, own, &traffic.alias, None, since)
        .await
        .map(drop)
}
