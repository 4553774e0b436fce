//! CodeDeploy: GetDeploymentGroup, CreateDeployment, GetDeployment, its target, ContinueDeployment, StopDeployment.

use aws_sdk_codedeploy::Client;
use aws_sdk_codedeploy::config::Builder;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{Failure, Journal, SdkConfig, explained};

use super::services::settle;
use super::{ask, list};
use crate::code_deploy::{Deployment, Group, Target, revision_of};

/// Deployments that are looked at for an earlier one.
const HISTORY: usize = 20;

/// CodeDeploy in the region of the run.
pub struct CodeDeploy {
    client: Client,
}

impl CodeDeploy {
    /// Reached by `sdk`.
    pub fn new(sdk: &SdkConfig) -> Self {
        let settings = shared::watched!(Builder::from(sdk));
        Self {
            client: Client::from_conf(settings.build()),
        }
    }

    /// Refuses a deployment group that does not exist or does not deploy this service.
    ///
    /// # Errors
    /// Then, and when it may not be read.
    pub async fn check(&self, group: &Group, service: &str) -> Result<(), Failure> {
        let doing = format!("could not look at the deployment group {group} of CodeDeploy");
        let body = json!({"applicationName": group.application, "deploymentGroupName": group.name});
        let answer = ask!(self.client, get_deployment_group, body).map_err(|refusal| {
            let failure = explained(&refusal, &doing, "codedeploy:GetDeploymentGroup");
            if refusal.code.ends_with("DoesNotExistException") {
                failure.hint("name them with CODEDEPLOY_APPLICATION and CODEDEPLOY_GROUP")
            } else {
                failure
            }
        })?;
        let answer: Value = answer.json()?;
        let services = answer["deploymentGroupInfo"]["ecsServices"].as_array();
        let is_of = |entry: &Value| entry["serviceName"] == service;
        match services {
            Some(services) if !services.iter().any(is_of) => Err(Failure::new(format!(
                "the deployment group {group} of CodeDeploy does not deploy the service `{service}`"
            ))
            .hint("name the right one with CODEDEPLOY_APPLICATION and CODEDEPLOY_GROUP")),
            _ => Ok(()),
        }
    }

    /// Starts a deployment, and gives its id.
    ///
    /// # Errors
    /// When CodeDeploy refuses, or there is no answer.
    pub async fn create(
        &self,
        group: &Group,
        app_spec: &Value,
        description: &str,
        journal: &Journal,
    ) -> Result<String, Failure> {
        let doing = format!("could not create a deployment of CodeDeploy in {group}");
        let body = json!({
            "applicationName": group.application,
            "deploymentGroupName": group.name,
            "description": description,
            "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": app_spec.to_string()}},
        });
        let pending = journal.begin("create deployment in", &group.to_string());
        let answer = match ask!(self.client, create_deployment, body) {
            Ok(answer) => answer,
            Err(refusal) => {
                settle(pending, &refusal);
                let failure = explained(&refusal, doing, "codedeploy:CreateDeployment");
                return Err(if refusal.code == "DeploymentLimitExceededException" {
                    failure.hint("another deployment of this group is under way: wait for its end, or stop it")
                } else {
                    failure
                });
            }
        };
        let answer: Value = answer.json()?;
        let id = answer["deploymentId"].as_str().unwrap_or_default();
        pending.done("created deployments", id);
        Ok(id.to_owned())
    }

    /// The state of a deployment.
    ///
    /// # Errors
    /// When it may not be read.
    pub async fn deployment(&self, id: &str) -> Result<Deployment, Failure> {
        let doing = format!("could not look at the deployment `{id}` of CodeDeploy");
        let body = json!({"deploymentId": id});
        let answer = ask!(self.client, get_deployment, body)
            .map_err(|refusal| explained(&refusal, &doing, "codedeploy:GetDeployment"))?;
        let mut answer: Value = answer.json()?;
        Deployment::deserialize(answer["deploymentInfo"].take())
            .map_err(|error| Failure::new(format!("{doing}: {error}")))
    }

    /// Events and tasks of a deployment; empty before there are any.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn target(&self, id: &str) -> Result<Target, Failure> {
        let doing = format!("could not look at the target of the deployment `{id}` of CodeDeploy");
        let body = json!({"deploymentId": id});
        let answer = match ask!(self.client, list_deployment_targets, body) {
            Ok(answer) => answer,
            Err(refusal) if refusal.code == "DeploymentNotStartedException" => {
                return Ok(Target::default());
            }
            Err(refusal) => {
                return Err(explained(
                    &refusal,
                    doing,
                    "codedeploy:ListDeploymentTargets",
                ));
            }
        };
        let targets = list(answer.json()?, "targetIds");
        if targets.is_empty() {
            return Ok(Target::default());
        }
        let body = json!({"deploymentId": id, "targetIds": targets});
        let answer = ask!(self.client, batch_get_deployment_targets, body).map_err(|refusal| {
            explained(&refusal, &doing, "codedeploy:BatchGetDeploymentTargets")
        })?;
        let mut answer: Value = answer.json()?;
        let target = answer["deploymentTargets"][0]["ecsTarget"].take();
        if target.is_null() {
            return Ok(Target::default());
        }
        Target::deserialize(target).map_err(|error| Failure::new(format!("{doing}: {error}")))
    }

    /// The revision of the last successful deployment of a group that is another than the one that runs now.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn earlier_success(
        &self,
        group: &Group,
        now: &str,
    ) -> Result<Option<String>, Failure> {
        let doing = format!("could not look at the deployments of {group} of CodeDeploy");
        let body = json!({"applicationName": group.application, "deploymentGroupName": group.name,
            "includeOnlyStatuses": ["Succeeded"]});
        let answer = ask!(self.client, list_deployments, body)
            .map_err(|refusal| explained(&refusal, &doing, "codedeploy:ListDeployments"))?;
        let ids = list(answer.json()?, "deployments");
        let mut found: Vec<(f64, String)> = Vec::new();
        for id in ids.iter().take(HISTORY) {
            let answer = ask!(self.client, get_deployment, json!({"deploymentId": id}))
                .map_err(|refusal| explained(&refusal, &doing, "codedeploy:GetDeployment"))?;
            let answer: Value = answer.json()?;
            let info = &answer["deploymentInfo"];
            // "The content property of the appSpecContent object in the returned revision is always null" (API reference
            // of GetDeployment): the revision is looked up by its hash.
            let body = json!({"applicationName": group.application, "revision": info["revision"]});
            let answer = ask!(self.client, get_application_revision, body).map_err(|refusal| {
                explained(&refusal, &doing, "codedeploy:GetApplicationRevision")
            })?;
            let answer: Value = answer.json()?;
            if let Some(arn) = revision_of(&answer["revision"]).filter(|arn| arn != now) {
                found.push((info["createTime"].as_f64().unwrap_or_default(), arn));
            }
        }
        found.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        Ok(found.pop().map(|(_, arn)| arn))
    }

    /// Lets a deployment that waits for it move the traffic.
    ///
    /// # Errors
    /// When CodeDeploy refuses, or there is no answer.
    pub async fn proceed(&self, id: &str, journal: &Journal) -> Result<(), Failure> {
        let pending = journal.begin("continue deployment", id);
        let body = json!({"deploymentId": id, "deploymentWaitType": "READY_WAIT"});
        match ask!(self.client, continue_deployment, body) {
            Ok(_) => {
                pending.done("continued deployments", id);
                Ok(())
            }
            Err(refusal) => {
                settle(pending, &refusal);
                let doing = format!("could not continue the deployment `{id}` of CodeDeploy");
                Err(explained(&refusal, doing, "codedeploy:ContinueDeployment"))
            }
        }
    }

    /// Stops a deployment, and lets CodeDeploy give all traffic back to the old tasks.
    ///
    /// # Errors
    /// When CodeDeploy refuses, or there is no answer.
    pub async fn stop(&self, id: &str, journal: &Journal) -> Result<(), Failure> {
        let pending = journal.begin("stop deployment", id);
        let body = json!({"deploymentId": id, "autoRollbackEnabled": true});
        match ask!(self.client, stop_deployment, body) {
            Ok(_) => {
                pending.done("stopped deployments", id);
                Ok(())
            }
            Err(refusal) => {
                settle(pending, &refusal);
                let doing = format!("could not stop the deployment `{id}` of CodeDeploy");
                Err(explained(&refusal, doing, "codedeploy:StopDeployment"))
            }
        }
    }
}
