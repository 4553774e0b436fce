//! A service as DescribeServices shows it, in small structs of our own, and what makes it one that this pipe deploys to.
//! The answer is kept as it came too: its members are what a change is compared with and what a rollback gives back.

use serde::Deserialize;
use serde_json::Value;
use shared::Failure;

/// One service of the cluster.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Service.html>
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    /// Its ARN.
    pub service_arn: String,
    /// Its name.
    pub service_name: String,
    /// `ACTIVE`, `DRAINING` or `INACTIVE`.
    pub status: String,
    /// Tasks wished.
    pub desired_count: i64,
    /// Tasks that run.
    pub running_count: i64,
    /// Tasks on their way.
    pub pending_count: i64,
    /// ARN of the task definition of its newest deployment.
    pub task_definition: String,
    /// The deployments that have tasks, the newest with status `PRIMARY`.
    pub deployments: Vec<Deployment>,
    /// The last hundred events, the newest first.
    pub events: Vec<Event>,
    /// Who deploys.
    pub deployment_controller: Controller,
    /// How it is deployed.
    pub deployment_configuration: Configuration,
    /// Where its traffic comes from.
    pub load_balancers: Vec<LoadBalancer>,
    /// `REPLICA` or `DAEMON`.
    pub scheduling_strategy: String,
    /// The whole answer.
    #[serde(skip)]
    pub raw: Value,
}

/// One deployment of a service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Deployment {
    /// Such as `ecs-svc/1234567890123456789`.
    pub id: String,
    /// `PRIMARY`, `ACTIVE` or `INACTIVE`.
    pub status: String,
    /// ARN of its task definition.
    pub task_definition: String,
    /// Tasks wished.
    pub desired_count: i64,
    /// Tasks that run.
    pub running_count: i64,
    /// Tasks on their way.
    pub pending_count: i64,
    /// Tasks that failed one after another.
    pub failed_tasks: i64,
    /// `IN_PROGRESS`, `COMPLETED` or `FAILED`; only with the controller ECS.
    pub rollout_state: Option<String>,
    /// Why.
    pub rollout_state_reason: Option<String>,
}

/// One line of a service's history.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// Unique.
    pub id: String,
    /// Such as `(service web) has reached a steady state.`
    pub message: String,
}

/// Who deploys a service.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Controller {
    /// `ECS`, `CODE_DEPLOY` or `EXTERNAL`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Default for Controller {
    /// A service that says nothing is deployed by ECS.
    fn default() -> Self {
        Self {
            kind: "ECS".to_owned(),
        }
    }
}

/// How a service is deployed; only what decides something here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Configuration {
    /// `ROLLING`, `BLUE_GREEN`, `LINEAR` or `CANARY`.
    pub strategy: Option<String>,
    /// ECS's own brake.
    pub deployment_circuit_breaker: Option<CircuitBreaker>,
}

/// ECS's own brake.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CircuitBreaker {
    /// Whether it ends a deployment that fails.
    pub enable: bool,
    /// Whether it rolls back then.
    pub rollback: bool,
}

/// A load balancer in front of a service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadBalancer {
    /// The target group whose health checks decide.
    pub target_group_arn: Option<String>,
    /// The container that takes the traffic.
    pub container_name: Option<String>,
    /// And its port.
    pub container_port: Option<i64>,
}

impl Service {
    /// Reads one service of an answer.
    ///
    /// # Errors
    /// When it has another shape than the API promises.
    pub fn from_answer(raw: Value) -> Result<Self, Failure> {
        let service = Self::deserialize(&raw)
            .map_err(|error| Failure::new(format!("could not read ECS's answer: {error}")))?;
        Ok(Self { raw, ..service })
    }

    /// The newest deployment.
    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments
            .iter()
            .find(|deployment| deployment.status == "PRIMARY")
    }

    /// The deployment with this id.
    pub fn deployment(&self, id: &str) -> Option<&Deployment> {
        self.deployments
            .iter()
            .find(|deployment| deployment.id == id)
    }

    /// Whether CodeDeploy deploys it.
    pub fn is_code_deploy(&self) -> bool {
        self.deployment_controller.kind == "CODE_DEPLOY"
    }

    /// Whether traffic moves in stages, between two sets of tasks, by ECS itself.
    pub fn is_staged(&self) -> bool {
        self.deployment_configuration
            .strategy
            .as_deref()
            .is_some_and(|strategy| strategy != "ROLLING")
    }

    /// Whether all is as the newest deployment wishes.
    pub fn is_settled(&self) -> bool {
        let is_completed = |deployment: &Deployment| {
            deployment
                .rollout_state
                .as_deref()
                .is_none_or(|state| state == "COMPLETED")
        };
        // Those of CodeDeploy have task sets in the place of deployments.
        let is_at_its_end = self.is_code_deploy() || self.primary().is_some_and(is_completed);
        self.running_count == self.desired_count && is_at_its_end
    }

    /// # Errors
    /// When nothing can be deployed to it: refused before the first change.
    pub fn check(&self) -> Result<(), Failure> {
        let name = &self.service_name;
        if self.status != "ACTIVE" {
            return Err(Failure::new(format!(
                "the ECS service `{name}` is {}: it was deleted and takes no deployment",
                self.status
            ))
            .hint(
                "check SERVICE_NAME, or create it anew with CREATE_SERVICE and SERVICE_DEFINITION",
            ));
        }
        match self.deployment_controller.kind.as_str() {
            "ECS" | "CODE_DEPLOY" => Ok(()),
            kind => Err(Failure::new(format!(
                "the ECS service `{name}` has the deployment controller {kind}: its task sets are another program's, and an update of the service would be refused"
            ))
            .hint("deploy with that program, or give the service the controller ECS")),
        }
    }
}

/// The last part of an ARN, or a name as it is: `web:7` of `arn:aws:ecs:…:task-definition/web:7`.
pub fn short(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(raw: Value) -> Service {
        Service::from_answer(raw).unwrap()
    }

    #[test]
    fn only_services_that_take_a_deployment_pass() {
        let active = json!({"serviceName": "web", "status": "ACTIVE"});
        assert!(service(active).check().is_ok());
        let by_code_deploy =
            json!({"status": "ACTIVE", "deploymentController": {"type": "CODE_DEPLOY"}});
        assert!(service(by_code_deploy).check().is_ok());
        for (raw, why) in [
            (
                json!({"serviceName": "web", "status": "INACTIVE"}),
                "is INACTIVE",
            ),
            (
                json!({"serviceName": "web", "status": "DRAINING"}),
                "is DRAINING",
            ),
            (
                json!({"serviceName": "web", "status": "ACTIVE", "deploymentController": {"type": "EXTERNAL"}}),
                "controller EXTERNAL",
            ),
        ] {
            let failure = service(raw).check().unwrap_err().to_string();
            assert!(
                failure.contains(why) && failure.contains("hint: "),
                "{failure}"
            );
        }
    }

    #[test]
    fn unknown_members_are_kept_and_missing_ones_have_their_default() {
        let service = service(json!({"serviceName": "web", "newMember": {"a": 1}}));
        assert_eq!(service.raw["newMember"]["a"], 1);
        assert_eq!(service.deployment_controller.kind, "ECS");
        assert!(!service.is_staged());
    }
}
