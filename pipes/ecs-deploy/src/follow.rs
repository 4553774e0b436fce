//! Follows our deployments to their ends: looks, prints what is new, continues pause hooks if asked, counts the tasks
//! that stop, and gives each service its ending. One DescribeServices looks at all services of the run.

mod code_deploy;
mod track;

use std::time::Duration;

use shared::{Failure, Journal};
use tokio::time::{Instant, sleep, timeout};

pub use self::track::{Ending, Known, Track};
use self::track::{SEARCHES, find};
use crate::aws::{CodeDeploy, Ecs, ServiceDeployment};
use crate::causes;
use crate::config::{PauseHook, Wait};
use crate::pace::{self, Moment};
use crate::rollout::Verdict;
use crate::service::Service;

/// How long looks may fail one after another before the run gives up.
const PATIENCE: Duration = Duration::from_mins(2);

/// What follows them.
pub struct Follower<'a> {
    /// Where they are.
    pub ecs: &'a Ecs,
    /// What deploys some of them.
    pub code_deploy: &'a CodeDeploy,
    /// How long, and what to do meanwhile.
    pub wait: Wait,
    /// What is changed on the way.
    pub journal: &'a Journal,
    /// Whether the failure of one ends the waiting for the others.
    pub stop_at_first: bool,
}

impl Follower<'_> {
    /// Follows all of them until each has its ending.
    ///
    /// # Errors
    /// When they can no longer be looked at.
    pub async fn follow(&self, tracks: &mut [Track]) -> Result<(), Failure> {
        let start = Instant::now();
        let interval = self.wait.interval;
        let (mut calls, mut looks) = (0, 0_u32);
        let mut failing_since = None;
        sleep(pace::first(interval).min(self.wait.timeout)).await;
        loop {
            let left = self.wait.timeout.saturating_sub(start.elapsed());
            let look = self.look(tracks, start.elapsed(), &mut calls);
            match timeout(left, look).await {
                Ok(Ok(())) => failing_since = None,
                Ok(Err(failure)) if failure.may_pass() => {
                    if failing_since.is_none() {
                        tracing::warn!("{}; looking again", failure.message());
                    }
                    let since: Instant = *failing_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > PATIENCE {
                        return Err(failure);
                    }
                    calls += 1;
                }
                Ok(Err(failure)) => return Err(failure),
                Err(_) => {}
            }
            looks += 1;
            let is_over = tracks.iter().all(|track| track.ending.is_some())
                || (self.stop_at_first && tracks.iter().any(Track::is_failed));
            if is_over {
                return Ok(());
            }
            let open = || tracks.iter().filter(|track| track.ending.is_none());
            let progress = open()
                .map(|track| track.ours.progress(&track.service, track.old))
                .fold(1.0, f64::min);
            let moment = Moment {
                elapsed: start.elapsed(),
                calls,
                per_look: (calls / looks).max(1),
                progress,
                // The slowest decides; without all of them known it is not known.
                expected: open()
                    .map(Track::expected)
                    .collect::<Option<Vec<_>>>()
                    .and_then(|all| all.into_iter().max()),
            };
            let mut pause = pace::jittered(pace::pause(interval, moment), dice());
            if failing_since.is_some() {
                // Asked to slow down, or nobody there.
                pause = pause.max(interval / 2);
            }
            let left = self.wait.timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                for track in tracks.iter_mut().filter(|track| track.ending.is_none()) {
                    track.ending = Some(Ending::Timeout(track.last.clone()));
                }
                return Ok(());
            }
            sleep(pause.min(left)).await;
        }
    }

    async fn look(
        &self,
        tracks: &mut [Track],
        at: Duration,
        calls: &mut u32,
    ) -> Result<(), Failure> {
        let names: Vec<String> = tracks
            .iter()
            .filter(|track| track.ending.is_none())
            .map(|track| track.name.clone())
            .collect();
        *calls += u32::try_from(names.len().div_ceil(10)).unwrap_or(1);
        let services = self.ecs.services(&names).await?;
        let open = tracks.iter_mut().filter(|track| track.ending.is_none());
        for (track, service) in open.zip(services) {
            let Some(service) = service else {
                return Err(Failure::new(format!(
                    "ECS service not found. Check your SERVICE_NAME. `{}` was deleted while it was waited for",
                    track.name
                )));
            };
            self.look_at(track, service, at, calls).await?;
        }
        Ok(())
    }

    async fn look_at(
        &self,
        track: &mut Track,
        service: Service,
        at: Duration,
        calls: &mut u32,
    ) -> Result<(), Failure> {
        if let Some(id) = track.ours.code_deploy.clone() {
            return self
                .look_at_code_deploy(track, &id, service, at, calls)
                .await;
        }
        let mut verdict = track.ours.judge(&service, None);
        track.detail = None;
        // Of a rolling deployment the service itself shows all that there is on the way; its end is asked for.
        let is_asked_for = service.is_staged()
            || track.ours.given_up.is_some()
            || !matches!(verdict, Verdict::Waiting(_));
        if is_asked_for && track.ours.is_new {
            track.detail = self.detail(track, &service, calls).await?;
            if let Some(detail) = &track.detail {
                verdict = track.ours.judge(&service, Some(detail));
            }
        }
        for line in track
            .progress
            .lines(&service, &track.ours, track.detail.as_ref(), at)
        {
            tracing::info!("{line}");
        }
        let bad_news = track.has_bad_news(&service);
        track.service = service;
        match verdict {
            Verdict::Waiting(seen) => track.last = seen,
            verdict => {
                track.ending = Some(Ending::Verdict(verdict));
                return Ok(());
            }
        }
        self.answer_hooks(track, calls).await?;
        if self.is_worth_counting(track, bad_news, at) {
            track.looked_for_stops = at;
            *calls += 2;
            self.count_stops(track).await?;
        }
        Ok(())
    }

    /// Whether to look for stopped tasks: when there was bad news, and now and then while tasks are missing.
    fn is_worth_counting(&self, track: &Track, bad_news: bool, at: Duration) -> bool {
        let is_missing_tasks = track
            .service
            .deployment(&track.ours.deployment)
            .is_some_and(|ours| ours.running_count < ours.desired_count);
        let long_ago = at.saturating_sub(track.looked_for_stops) >= self.wait.interval * 4;
        track.ours.is_new
            && self.wait.crash_loop_limit > 0
            && !track.stops_are_hidden
            && (bad_news || (long_ago && is_missing_tasks))
    }

    /// The service deployment that our update started, as it is now; none where there are none.
    async fn detail(
        &self,
        track: &mut Track,
        service: &Service,
        calls: &mut u32,
    ) -> Result<Option<ServiceDeployment>, Failure> {
        if let Some(arn) = &track.ours.service_deployment {
            *calls += 1;
            return self.ecs.service_deployment(arn).await;
        }
        if track.searches >= SEARCHES {
            return Ok(None);
        }
        track.searches += 1;
        *calls += 1;
        let briefs = match self
            .ecs
            .service_deployments(&service.service_name, &[])
            .await
        {
            Ok(briefs) => briefs,
            Err(failure) if failure.may_pass() => return Err(failure),
            Err(failure) => {
                tracing::warn!(
                    "{failure}\n  the verdict is taken from the deployments that the service lists"
                );
                track.searches = SEARCHES;
                return Ok(None);
            }
        };
        let found = find(&track.ours, track.known.as_ref(), briefs);
        track.ours.service_deployment = found
            .as_ref()
            .map(|brief| brief.service_deployment_arn.clone());
        Ok(found.map(ServiceDeployment::from))
    }

    async fn answer_hooks(&self, track: &mut Track, calls: &mut u32) -> Result<(), Failure> {
        let Some(detail) = track.detail.clone() else {
            return Ok(());
        };
        let (arn, name) = (&detail.service_deployment_arn, &track.name);
        let waiting = detail
            .lifecycle_hook_details
            .iter()
            .filter(|hook| hook.target_type == "PAUSE" && hook.status == "AWAITING_ACTION");
        for hook in waiting {
            if !track.continued.insert(hook.hook_id.clone()) {
                continue;
            }
            let stage = detail.lifecycle_stage.as_deref().unwrap_or("?");
            match self.wait.pause_hook {
                PauseHook::Continue => {
                    *calls += 1;
                    self.ecs
                        .continue_deployment(arn, &hook.hook_id, self.journal)
                        .await?;
                    tracing::info!(
                        "{name}: continued the deployment that a pause hook held at {stage}"
                    );
                }
                PauseHook::Wait => tracing::warn!(
                    "{name}: a pause hook holds the deployment at {stage}; continue it with `aws ecs continue-service-deployment --service-deployment-arn {arn} --hook-id {}`, or else ECS does `{}` by itself later",
                    hook.hook_id,
                    hook.timeout_action.as_deref().unwrap_or("ROLLBACK")
                ),
            }
        }
        Ok(())
    }

    /// Counts the tasks of our deployment that stopped, and ends it when the same fault ended too many.
    async fn count_stops(&self, track: &mut Track) -> Result<(), Failure> {
        let tasks = match self.ecs.stopped_tasks(&track.name).await {
            Ok(tasks) => tasks,
            Err(failure) if failure.may_pass() => return Err(failure),
            Err(failure) => {
                // Without them the deployment can still be followed.
                tracing::warn!("{failure}\n  the crash-loop brake is off");
                track.stops_are_hidden = true;
                return Ok(());
            }
        };
        track.stopped = tasks
            .into_iter()
            .filter(|task| task.started_by == track.ours.deployment)
            .collect();
        let groups = causes::group(&track.stopped);
        if let Some(group) = causes::crash_loop(&groups, self.wait.crash_loop_limit) {
            track.ending = Some(Ending::CrashLoop(group.clone()));
        }
        Ok(())
    }
}

/// A number from 0 to 1 by the keys of a hasher, which the standard library draws at random.
fn dice() -> f64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let bits = RandomState::new().build_hasher().finish() >> 40;
    f64::from(u32::try_from(bits).unwrap_or_default()) / f64::from(1_u32 << 24)
}
