//! CodeDeploy: the deployment group, and one deployment from its start to its end.

use aws_sdk_codedeploy::Client;
use aws_sdk_codedeploy::config::Builder;
use aws_sdk_codedeploy::types::{AppSpecContent, RevisionLocation, RevisionLocationType};
use serde_json::Value;
use shared::raw::Answer;
use shared::{Explain, Failure, Journal, Refusal, SdkConfig, explained};

use crate::code_deploy::{Deployment, Group};

/// CodeDeploy in one region.
#[derive(Clone)]
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

    /// Refuses a deployment group that does not exist or is not one for Lambda.
    ///
    /// # Errors
    /// Then, and when it may not be read.
    pub async fn check(&self, group: &Group) -> Result<(), Failure> {
        let answer = self
            .client
            .get_deployment_group()
            .application_name(&group.application)
            .deployment_group_name(&group.name)
            .send()
            .await;
        let answer = answer.map_err(|error| {
            let refusal = Refusal::from(&error);
            let doing = format!("could not look at the deployment group {group} of CodeDeploy");
            let failure = explained(&refusal, doing, "codedeploy:GetDeploymentGroup");
            if refusal.code.ends_with("DoesNotExistException") {
                failure.hint("check CODEDEPLOY_APPLICATION, CODEDEPLOY_GROUP and the region")
            } else {
                failure
            }
        })?;
        let info = answer.deployment_group_info;
        let platform = info.as_ref().and_then(|info| info.compute_platform());
        match platform {
            Some(platform) if platform.as_str() != "Lambda" => Err(Failure::new(format!(
                "the deployment group {group} of CodeDeploy is for {}, not for Lambda",
                platform.as_str()
            ))
            .hint("name one whose compute platform is Lambda")),
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
        journal: &Journal,
    ) -> Result<String, Failure> {
        let content = AppSpecContent::builder()
            .content(app_spec.to_string())
            .build();
        let revision = RevisionLocation::builder()
            .revision_type(RevisionLocationType::AppSpecContent)
            .app_spec_content(content)
            .build();
        let pending = journal.begin("create", &format!("a deployment in {group}"));
        let answer = self
            .client
            .create_deployment()
            .application_name(&group.application)
            .deployment_group_name(&group.name)
            .set_deployment_config_name(group.config.clone())
            .revision(revision)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let id = answer.deployment_id.unwrap_or_default();
                pending.done("created", format!("deployment {id}"));
                Ok(id)
            }
            Err(error) => {
                let refusal = Refusal::from(&error);
                if refusal.changed_nothing() {
                    pending.refused();
                }
                let doing = format!("could not create a deployment in {group} of CodeDeploy");
                let failure = explained(&refusal, doing, "codedeploy:CreateDeployment");
                Err(if refusal.code == "DeploymentLimitExceededException" {
                    failure.hint("another deployment of this group is under way: wait for its end, or stop it")
                } else {
                    failure
                })
            }
        }
    }

    /// The state of a deployment.
    ///
    /// # Errors
    /// When it may not be read.
    pub async fn deployment(&self, id: &str) -> Result<Deployment, Failure> {
        let answer = Answer::default();
        self.client
            .get_deployment()
            .deployment_id(id)
            .customize()
            .interceptor(answer.clone())
            .send()
            .await
            .explain(
                format!("could not look at deployment `{id}` of CodeDeploy"),
                "codedeploy:GetDeployment",
            )?;
        let mut answer: Value = answer.json()?;
        serde_json::from_value(answer["deploymentInfo"].take()).map_err(|error| {
            Failure::new(format!(
                "could not read deployment `{id}` of CodeDeploy: {error}"
            ))
        })
    }

    /// Stops a deployment, and lets CodeDeploy give all traffic back to the old version.
    ///
    /// # Errors
    /// What CodeDeploy refused.
    pub async fn stop(&self, id: &str) -> Result<(), Refusal> {
        self.client
            .stop_deployment()
            .deployment_id(id)
            .auto_rollback_enabled(true)
            .send()
            .await
            .map(drop)
            .map_err(|error| Refusal::from(&error))
    }
}
