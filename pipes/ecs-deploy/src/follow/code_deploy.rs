//! A look at a service that CodeDeploy deploys: the verdict is that of the deployment that we created there, and a way
//! back by CodeDeploy is followed to its end before it is told. The pace counts the calls to ECS, not those to CodeDeploy.

use std::time::Duration;

use shared::Failure;

use super::{Ending, Follower, Track};
use crate::code_deploy::Verdict as Judged;
use crate::config::PauseHook;
use crate::rollout::Verdict;
use crate::service::{Service, short};

/// Between two lines about tasks and traffic.
const LINES: Duration = Duration::from_secs(10);

impl Follower<'_> {
    pub(super) async fn look_at_code_deploy(
        &self,
        track: &mut Track,
        id: &str,
        service: Service,
        at: Duration,
        calls: &mut u32,
    ) -> Result<(), Failure> {
        let deployment = self.code_deploy.deployment(id).await?;
        // Its tasks are started by the task set that the deployment made.
        let mut sets = service.raw["taskSets"].as_array().into_iter().flatten();
        let ours = sets.find(|set| set["externalId"] == id);
        if let Some(set) = ours.and_then(|set| set["id"].as_str()) {
            set.clone_into(&mut track.ours.deployment);
        }
        for line in track.progress.lines(&service, &track.ours, None, at) {
            tracing::info!("{line}");
        }
        track.service = service;
        match deployment.judge() {
            Judged::Done => {
                track.ending = Some(Ending::Verdict(Verdict::Done));
                return Ok(());
            }
            Judged::Failed(why, by) => return self.judge_failure(track, id, why, by).await,
            Judged::Ready => self.answer_ready(track, id).await?,
            Judged::Waiting => {}
        }
        let seen = self.code_deploy.target(id).await?.seen();
        let is_due = track
            .said
            .is_none_or(|said| at.saturating_sub(said) >= LINES);
        if !seen.is_empty() && seen != track.seen && is_due {
            tracing::info!("{}: {seen}", track.name);
            track.seen.clone_from(&seen);
            track.said = Some(at);
        }
        track.last = if seen.is_empty() {
            format!(
                "the deployment `{id}` of CodeDeploy is {}",
                deployment.status
            )
        } else {
            seen
        };
        let long_ago = at.saturating_sub(track.looked_for_stops) >= self.wait.interval * 4;
        let is_known = !track.ours.deployment.is_empty() && !track.stops_are_hidden;
        if self.wait.crash_loop_limit > 0 && is_known && long_ago {
            track.looked_for_stops = at;
            *calls += 2;
            self.count_stops(track).await?;
        }
        Ok(())
    }

    async fn judge_failure(
        &self,
        track: &mut Track,
        id: &str,
        why: String,
        by: Option<String>,
    ) -> Result<(), Failure> {
        let mut why = why;
        // What cannot be read is no reason to forget the verdict.
        if let Ok(target) = self.code_deploy.target(id).await {
            for failure in target.failures() {
                why = format!("{why}; {failure}");
            }
        }
        let Some(by) = by else {
            track.ending = Some(Ending::Verdict(Verdict::Failed(why)));
            return Ok(());
        };
        let back = self.code_deploy.deployment(&by).await?;
        match back.judge() {
            Judged::Done => {
                let to = short(&track.service.task_definition).to_owned();
                track.ending = Some(Ending::Verdict(Verdict::RolledBack { why, to }));
            }
            Judged::Failed(..) => {
                track.ending = Some(Ending::Verdict(Verdict::RollbackFailed(why)));
            }
            Judged::Ready | Judged::Waiting => {
                track.last = format!("CodeDeploy is rolling back by `{by}`: {why}");
            }
        }
        Ok(())
    }

    async fn answer_ready(&self, track: &mut Track, id: &str) -> Result<(), Failure> {
        let name = &track.name;
        if !track.continued.insert(id.to_owned()) {
            return Ok(());
        }
        match self.wait.pause_hook {
            PauseHook::Continue => {
                self.code_deploy.proceed(id, self.journal).await?;
                tracing::info!(
                    "{name}: continued the deployment `{id}` that waited to move its traffic"
                );
            }
            PauseHook::Wait => tracing::warn!(
                "{name}: the deployment `{id}` waits to move its traffic; continue it with `aws deploy continue-deployment --deployment-id {id} --deployment-wait-type READY_WAIT`, or set PAUSE_HOOK to `continue`"
            ),
        }
        Ok(())
    }
}
