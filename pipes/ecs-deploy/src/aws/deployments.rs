//! Service deployments, which exist beside a service's own list of deployments since October 2024: ListServiceDeployments,
//! DescribeServiceDeployments, DescribeServiceRevisions, ContinueServiceDeployment, StopServiceDeployment.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use shared::{Failure, Journal};

use super::services::settle;
use super::{Ecs, ask, list};

/// One line of the history of a service, the newest first in the list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Brief {
    /// Its ARN.
    pub service_deployment_arn: String,
    /// What it deployed.
    pub target_service_revision_arn: String,
    /// `SUCCESSFUL`, `ROLLBACK_SUCCESSFUL`, …
    pub status: String,
    /// Why.
    pub status_reason: Option<String>,
    /// When it was asked for, in seconds since 1970.
    pub created_at: Option<f64>,
    /// When it began.
    pub started_at: Option<f64>,
    /// When it ended.
    pub finished_at: Option<f64>,
}

impl Brief {
    /// How long it took.
    pub fn duration(&self) -> Option<Duration> {
        let seconds = self.finished_at? - self.started_at.or(self.created_at)?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

impl From<Brief> for ServiceDeployment {
    fn from(brief: Brief) -> Self {
        Self {
            service_deployment_arn: brief.service_deployment_arn,
            status: brief.status,
            status_reason: brief.status_reason,
            ..Self::default()
        }
    }
}

/// One service deployment.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceDeployment.html>
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceDeployment {
    /// Its ARN.
    pub service_deployment_arn: String,
    /// `PENDING`, `IN_PROGRESS`, `SUCCESSFUL`, `STOPPED`, `STOP_REQUESTED`, `ROLLBACK_REQUESTED`,
    /// `ROLLBACK_IN_PROGRESS`, `ROLLBACK_SUCCESSFUL` or `ROLLBACK_FAILED`.
    pub status: String,
    /// Why.
    pub status_reason: Option<String>,
    /// The stage, such as `TEST_TRAFFIC_SHIFT`; only with traffic that moves in stages.
    pub lifecycle_stage: Option<String>,
    /// Hooks that run or wait.
    pub lifecycle_hook_details: Vec<Hook>,
    /// What is deployed.
    pub target_service_revision: Option<Revision>,
    /// What it went back to.
    pub rollback: Option<Rollback>,
    /// The alarms that can end it.
    pub alarms: Option<Alarms>,
}

/// A hook of a service deployment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hook {
    /// By which it is continued.
    pub hook_id: String,
    /// `PAUSE` or `AWS_LAMBDA`.
    pub target_type: String,
    /// `AWAITING_ACTION`, `IN_PROGRESS`, `SUCCEEDED`, `FAILED` or `TIMED_OUT`.
    pub status: String,
    /// When ECS decides itself; seconds since 1970, or a text.
    pub expires_at: Option<Value>,
    /// What it decides then: `ROLLBACK` or `CONTINUE`.
    pub timeout_action: Option<String>,
}

/// A revision of a service and its share of the traffic.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Revision {
    /// Its ARN.
    pub arn: String,
    /// Tasks wished.
    pub requested_task_count: i64,
    /// Tasks that run.
    pub running_task_count: i64,
    /// Tasks on their way.
    pub pending_task_count: i64,
    /// Per cent of the traffic.
    pub requested_production_traffic_weight: Option<f64>,
}

/// The way back of a service deployment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rollback {
    /// Such as that the circuit breaker was triggered.
    pub reason: Option<String>,
    /// What runs now.
    pub service_revision_arn: Option<String>,
}

/// Alarms of a service deployment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Alarms {
    /// Those that ended it.
    pub triggered_alarm_names: Vec<String>,
}

impl Ecs {
    /// The newest service deployments of a service, those with one of these states only if any is given. Nothing where
    /// the API has none, as for services of CodeDeploy.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn service_deployments(
        &self,
        service: &str,
        states: &[&str],
    ) -> Result<Vec<Brief>, Failure> {
        let mut body = json!({"cluster": self.cluster, "service": service});
        if !states.is_empty() {
            body["status"] = json!(states);
        }
        let answer = match ask!(self.client, list_service_deployments, body) {
            Ok(answer) => answer,
            // An ECS that does not know the operation has no service deployments.
            Err(refusal) if refusal.code == "UnsupportedFeatureException" => return Ok(Vec::new()),
            Err(refusal) => {
                let doing = format!("could not list the deployments of the service `{service}`");
                return Err(self.refused(&refusal, &doing, "ecs:ListServiceDeployments"));
            }
        };
        let mut briefs: Vec<Brief> = list(answer.json()?, "serviceDeployments")
            .into_iter()
            .filter_map(|brief| serde_json::from_value(brief).ok())
            .collect();
        briefs.sort_by(|one, other| {
            let created = |brief: &Brief| brief.created_at.unwrap_or_default();
            created(other).total_cmp(&created(one))
        });
        Ok(briefs)
    }

    /// One service deployment; none if it is gone.
    ///
    /// # Errors
    /// When it may not be read.
    pub async fn service_deployment(
        &self,
        arn: &str,
    ) -> Result<Option<ServiceDeployment>, Failure> {
        let body = json!({"serviceDeploymentArns": [arn]});
        let answer = ask!(self.client, describe_service_deployments, body).map_err(|refusal| {
            let doing = format!("could not describe the service deployment `{arn}`");
            self.refused(&refusal, &doing, "ecs:DescribeServiceDeployments")
        })?;
        let found = list(answer.json()?, "serviceDeployments")
            .into_iter()
            .next();
        found
            .map(serde_json::from_value)
            .transpose()
            .map_err(|error| Failure::new(format!("could not read ECS's answer: {error}")))
    }

    /// Revisions of a service as ECS keeps them, each with its `taskDefinition`, in the order of the ARNs; those that
    /// are gone are left out.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn service_revisions(&self, arns: &[&str]) -> Result<Vec<Value>, Failure> {
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        // Twenty is what one request takes.
        let body = json!({"serviceRevisionArns": &arns[..arns.len().min(20)]});
        let answer = ask!(self.client, describe_service_revisions, body).map_err(|refusal| {
            let doing = "could not describe the revisions of the service";
            self.refused(&refusal, doing, "ecs:DescribeServiceRevisions")
        })?;
        let found = list(answer.json()?, "serviceRevisions");
        let of_arn = |arn: &&str| {
            let is_it = |revision: &&Value| revision["serviceRevisionArn"] == **arn;
            found.iter().find(is_it).cloned()
        };
        Ok(arns.iter().filter_map(of_arn).collect())
    }

    /// Lets a deployment that a pause hook holds go on.
    ///
    /// # Errors
    /// When ECS refuses, or there is no answer.
    pub async fn continue_deployment(
        &self,
        arn: &str,
        hook: &str,
        journal: &Journal,
    ) -> Result<(), Failure> {
        let body = json!({"serviceDeploymentArn": arn, "hookId": hook, "action": "CONTINUE"});
        let pending = journal.begin("continue deployment", arn);
        if let Err(refusal) = ask!(self.client, continue_service_deployment, body) {
            settle(pending, &refusal);
            let doing = format!("could not continue the service deployment `{arn}`");
            return Err(self.refused(&refusal, &doing, "ecs:ContinueServiceDeployment"));
        }
        pending.done("continued deployments", arn);
        Ok(())
    }

    /// Makes a deployment that is under way go back.
    ///
    /// # Errors
    /// When ECS refuses, or there is no answer.
    pub async fn roll_back_deployment(&self, arn: &str, journal: &Journal) -> Result<(), Failure> {
        let body = json!({"serviceDeploymentArn": arn, "stopType": "ROLLBACK"});
        let pending = journal.begin("roll back deployment", arn);
        if let Err(refusal) = ask!(self.client, stop_service_deployment, body) {
            settle(pending, &refusal);
            let doing = format!("could not roll back the service deployment `{arn}`");
            return Err(self.refused(&refusal, &doing, "ecs:StopServiceDeployment"));
        }
        pending.done("rolled back deployments", arn);
        Ok(())
    }
}
