//! The verdict: what our own update started, and how the service looks now, in; waiting, done, or why not, out. Pure.
//! It follows one deployment by its identity. "The service is stable" proves nothing: after a rollback it is stable too,
//! with the old version, and when the same revision was deployed again not even the version differs.

use crate::aws::ServiceDeployment;
use crate::service::{Deployment, Service, short};

/// What our own update of one service started, and what was seen of it so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ours {
    /// Id of the deployment, such as `ecs-svc/1234567890123456789`.
    pub deployment: String,
    /// Whether the update started it; one that only changed the number of tasks starts none.
    pub is_new: bool,
    /// ARN of its task definition.
    pub task_definition: String,
    /// ARN of the service deployment, where ECS has them.
    pub service_deployment: Option<String>,
    /// Id of the deployment of CodeDeploy, if that deploys the service.
    pub code_deploy: Option<String>,
    /// Why ECS gave it up, once that was seen: the deployment itself can be gone by the next look.
    pub given_up: Option<String>,
}

/// What one look says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not yet; what is seen instead.
    Waiting(String),
    /// Our deployment completed.
    Done,
    /// Our deployment failed, and nothing took its place.
    Failed(String),
    /// ECS went back to an earlier one.
    RolledBack {
        /// Why.
        why: String,
        /// What runs now, such as `web:6`; empty if that is not known.
        to: String,
    },
    /// The way back failed too.
    RollbackFailed(String),
    /// Another deployment took the place of ours before it completed.
    Superseded(String),
    /// Somebody stopped it.
    Stopped(String),
}

impl Ours {
    /// The id by which people know the deployment.
    pub fn id(&self) -> &str {
        self.code_deploy.as_deref().unwrap_or(&self.deployment)
    }

    /// The service of AWS that does it.
    pub fn who(&self) -> &'static str {
        if self.code_deploy.is_some() {
            "CodeDeploy"
        } else {
            "ECS"
        }
    }

    /// The deployment that the answer to an update shows, where `before` is the service as it was.
    pub fn of_update(before: Option<&Service>, after: &Service) -> Self {
        let primary = after.primary().cloned().unwrap_or_default();
        let is_known = before.is_some_and(|before| before.deployment(&primary.id).is_some());
        Self {
            is_new: !is_known,
            deployment: primary.id,
            task_definition: primary.task_definition,
            ..Self::default()
        }
    }

    /// Judges one look. With `detail` the service deployment decides, else the list of the service.
    pub fn judge(&mut self, service: &Service, detail: Option<&ServiceDeployment>) -> Verdict {
        match detail {
            Some(detail) => self.by_service_deployment(service, detail),
            None => self.by_deployment_id(service),
        }
    }

    fn by_service_deployment(&self, service: &Service, detail: &ServiceDeployment) -> Verdict {
        let reason = detail.status_reason.clone().unwrap_or_default();
        match detail.status.as_str() {
            "SUCCESSFUL" => Verdict::Done,
            "STOPPED" => match self.successor(service) {
                Some(other) => Verdict::Superseded(other.id.clone()),
                None => Verdict::Stopped(or(&reason, "ECS gave no reason")),
            },
            "ROLLBACK_SUCCESSFUL" => Verdict::RolledBack {
                why: why_rolled_back(detail),
                // The list of the service may be a moment older.
                to: self.successor(service).map_or_else(String::new, |primary| {
                    short(&primary.task_definition).to_owned()
                }),
            },
            "ROLLBACK_FAILED" => Verdict::RollbackFailed(why_rolled_back(detail)),
            "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" => {
                Verdict::Waiting(format!("ECS is rolling back: {}", why_rolled_back(detail)))
            }
            "STOP_REQUESTED" => Verdict::Waiting("it is being stopped".to_owned()),
            // A state that ECS has invented since is waited through, until the deadline.
            state => Verdict::Waiting(match &detail.lifecycle_stage {
                Some(stage) => format!("{state}, stage {stage}"),
                None => state.to_owned(),
            }),
        }
    }

    fn by_deployment_id(&mut self, service: &Service) -> Verdict {
        let Some(primary) = service.primary() else {
            return Verdict::Waiting("the service shows no deployment".to_owned());
        };
        let ours = service.deployment(&self.deployment);
        if let Some(ours) = ours
            && ours.rollout_state.as_deref() == Some("FAILED")
        {
            let reason = ours.rollout_state_reason.clone().unwrap_or_default();
            self.given_up = Some(or(&reason, "ECS gave no reason"));
        }
        if primary.id == self.deployment {
            return self.as_primary(service, primary);
        }
        // Another is the newest: ECS's own way back, or somebody else's deployment.
        let reason = primary.rollout_state_reason.as_deref().unwrap_or_default();
        if self.given_up.is_none() && is_way_back(reason) {
            self.given_up = Some(reason.to_owned());
        }
        let Some(why) = self.given_up.clone() else {
            return Verdict::Superseded(primary.id.clone());
        };
        let to = short(&primary.task_definition).to_owned();
        match primary.rollout_state.as_deref() {
            Some("COMPLETED") | None => Verdict::RolledBack { why, to },
            Some("FAILED") => Verdict::RollbackFailed(why),
            _ => Verdict::Waiting(format!("ECS is rolling back to `{to}`: {why}")),
        }
    }

    fn as_primary(&self, service: &Service, primary: &Deployment) -> Verdict {
        let counts = format!(
            "{} of {} running",
            primary.running_count, primary.desired_count
        );
        let is_running =
            primary.running_count == primary.desired_count && primary.pending_count == 0;
        match primary.rollout_state.as_deref() {
            // Of a deployment that completed long ago only the number of tasks can still be on its way.
            Some("COMPLETED") if self.is_new || is_running => Verdict::Done,
            Some("FAILED") => match &service.deployment_configuration.deployment_circuit_breaker {
                // The way back shows in the next look or the one after.
                Some(breaker) if breaker.enable && breaker.rollback => {
                    Verdict::Waiting("it failed; ECS begins to roll back".to_owned())
                }
                _ => Verdict::Failed(self.given_up.clone().unwrap_or_default()),
            },
            None if is_running && service.deployments.len() == 1 => Verdict::Done,
            state => Verdict::Waiting(match state {
                Some(state) => format!("{state}, {counts}"),
                None => counts,
            }),
        }
    }

    /// The newest deployment, if it is not ours.
    fn successor<'a>(&self, service: &'a Service) -> Option<&'a Deployment> {
        service
            .primary()
            .filter(|primary| primary.id != self.deployment)
    }

    /// How much of the way is done, from 0 to 1: our tasks that run, and those of other deployments that are gone, of
    /// which there were `old` at the start.
    #[expect(
        clippy::cast_precision_loss,
        reason = "numbers of tasks are small, and this is an estimate"
    )]
    pub fn progress(&self, service: &Service, old: i64) -> f64 {
        let Some(ours) = service.deployment(&self.deployment) else {
            return 1.0;
        };
        let others: i64 = self.others(service);
        let whole = ours.desired_count + old;
        if whole == 0 {
            return 1.0;
        }
        let done = ours.running_count.min(ours.desired_count) + (old - others).max(0);
        done as f64 / whole as f64
    }

    /// Tasks of other deployments that still run.
    pub fn others(&self, service: &Service) -> i64 {
        service
            .deployments
            .iter()
            .filter(|deployment| deployment.id != self.deployment)
            .map(|deployment| deployment.running_count)
            .sum()
    }
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise } else { text }.to_owned()
}

/// The words of ECS's circuit breaker and alarms: "ECS deployment circuit breaker: rolling back to deploymentId …",
/// "… rolled back to …".
fn is_way_back(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    reason.contains("rolling back") || reason.contains("rolled back") || reason.contains("rollback")
}

fn why_rolled_back(detail: &ServiceDeployment) -> String {
    let reason = detail
        .rollback
        .as_ref()
        .and_then(|rollback| rollback.reason.clone())
        .or_else(|| detail.status_reason.clone())
        .unwrap_or_default();
    let alarms = detail
        .alarms
        .as_ref()
        .map(|alarms| alarms.triggered_alarm_names.join(", "))
        .filter(|names| !names.is_empty());
    match alarms {
        Some(names) => format!(
            "{} (alarms: {names})",
            or(&reason, "an alarm was triggered")
        ),
        None => or(&reason, "ECS gave no reason"),
    }
}

#[cfg(test)]
mod tests;
