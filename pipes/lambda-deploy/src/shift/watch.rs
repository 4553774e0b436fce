//! The steps of a canary and what is watched in each: the new version's figures and the alarms that were named. What
//! nobody can see is not safe, so it counts as bad.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use shared::Failure;
use shared::cloudwatch::CloudWatch;
use tokio::time::{Instant, sleep};

use super::moving::Moving;
use crate::aws::{self, CodeDeploy};
use crate::canary::{Figures, Share, Step, Steps, Thresholds};
use crate::config::{Shift, Traffic};
use crate::target::Target;

/// Longest pause between two looks at the figures.
const LOOK: Duration = Duration::from_secs(15);

/// Takes all through the steps, and watches each for its time.
pub(super) async fn watch(
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
