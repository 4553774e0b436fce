//! The step of a service that CodeDeploy deploys: what ECS itself changes goes into an UpdateService, the revision into a
//! deployment of CodeDeploy, since ECS refuses it from us.

use serde_json::Value;
use shared::Failure;

use super::{Deploy, Step};
use crate::code_deploy::Release;
use crate::follow::Track;
use crate::plan::{Action, ServicePlan};
use crate::rollback::Way;
use crate::service::Service;

impl Deploy<'_> {
    /// Updates one service and creates its deployment.
    pub(super) async fn start_by_code_deploy(
        &self,
        plan: &ServicePlan,
        release: &Release,
        definition: &str,
    ) -> Result<Option<Step>, Failure> {
        let name = &plan.name;
        let Action::Update {
            members,
            definition: is_other,
            ..
        } = &plan.action
        else {
            return Ok(None);
        };
        let mut members = members.clone();
        // ECS takes it for its own deployments only; a new one of CodeDeploy replaces all tasks in any case.
        members.shift_remove("forceNewDeployment");
        // The way back has a revision for each service.
        let own = members.shift_remove("taskDefinition");
        let definition = own.as_ref().and_then(Value::as_str).unwrap_or(definition);
        let live = plan.live.clone().unwrap_or_default();
        self.ecs
            .tag_service(&live, &plan.tags, self.journal)
            .await?;
        if !members.is_empty() {
            tracing::info!("Update the {name} service.");
            let members = Value::Object(members);
            self.ecs
                .update_service(name, &members, self.journal)
                .await?;
        }
        if own.is_none() && !is_other && !self.config.force {
            return Ok(None);
        }
        let track = self
            .deploy_by_code_deploy(&live, release, definition)
            .await?;
        let way = Way::of(plan);
        Ok(Some(Step { track, way }))
    }

    /// Creates a deployment of CodeDeploy that brings the service to a revision.
    ///
    /// # Errors
    /// When CodeDeploy refuses, or there is no answer.
    pub async fn deploy_by_code_deploy(
        &self,
        live: &Service,
        release: &Release,
        definition: &str,
    ) -> Result<Track, Failure> {
        let name = &live.service_name;
        let spec = release.app_spec(definition)?;
        let description = format!("{} by ecs-deploy", crate::service::short(definition));
        let code_deploy = &self.neighbours.code_deploy;
        let id = code_deploy
            .create(&release.group, &spec, &description, self.journal)
            .await?;
        tracing::info!("{name}: created the deployment `{id}` of CodeDeploy");
        let mut track = Track::new(Some(live), live.clone(), None);
        track.ours.deployment.clear();
        definition.clone_into(&mut track.ours.task_definition);
        track.ours.is_new = true;
        track.ours.code_deploy = Some(id);
        Ok(track)
    }
}
