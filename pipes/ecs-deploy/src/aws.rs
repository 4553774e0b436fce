//! All that talks to AWS, a file for each kind of thing. Requests to ECS are built, signed and retried by the SDK, but
//! their documents are JSON of our own in both directions: ECS gains members faster than an SDK of some months ago
//! knows them, and what a file or a service holds has to come back as it was.

mod code_deploy;
mod definitions;
mod deployments;
mod ecr;
mod evidence;
mod revisions;
mod schedules;
mod services;
mod tasks;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::Builder;
use serde_json::Value;
use shared::{Failure, Refusal, SdkConfig, explained};

pub use self::code_deploy::CodeDeploy;
pub use self::deployments::{Brief, ServiceDeployment};
pub use self::ecr::Registries;
pub use self::evidence::Evidence;
pub use self::schedules::Schedules;
pub use self::tasks::RunTask;

/// Sends `$operation` of `$client` with `$body` as its document, and gives its answer as it came, or the refusal.
macro_rules! ask {
    ($client:expr, $operation:ident, $body:expr) => {{
        let answer = shared::raw::Answer::default();
        let sent = $client
            .$operation()
            .customize()
            .mutate_request(shared::raw::body(&$body))
            .interceptor(answer.clone())
            .send()
            .await;
        match sent {
            Ok(_) => Ok(answer),
            Err(error) => Err(shared::Refusal::from(&error)),
        }
    }};
}
use ask;

/// The services of AWS beside ECS that a deploy may have to do with.
pub struct Neighbours {
    /// Where images come from.
    pub registries: Registries,
    /// What runs tasks at its time.
    pub schedules: Schedules,
    /// What deploys services with the controller CODE_DEPLOY.
    pub code_deploy: CodeDeploy,
}

impl Neighbours {
    /// Reached by `sdk`.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            registries: Registries::new(sdk),
            schedules: Schedules::new(sdk),
            code_deploy: CodeDeploy::new(sdk),
        }
    }
}

/// One cluster of one region.
#[derive(Clone)]
pub struct Ecs {
    client: Client,
    cluster: String,
    region: String,
}

impl Ecs {
    /// The cluster with this name or ARN, reached by `sdk`.
    pub fn new(sdk: &SdkConfig, cluster: &str) -> Self {
        let settings = shared::watched!(Builder::from(sdk));
        Self {
            client: Client::from_conf(settings.build()),
            cluster: cluster.to_owned(),
            region: sdk
                .region()
                .map_or_else(String::new, |region| region.as_ref().to_owned()),
        }
    }

    /// The region of the run.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The failure for a refusal; those that users of the existing pipe know begin with its words.
    fn refused(&self, refusal: &Refusal, doing: &str, action: &str) -> Failure {
        let region = &self.region;
        match refusal.code.as_str() {
            "ClusterNotFoundException" => Failure::new(format!(
                "ECS cluster not found. Check your CLUSTER_NAME. There is no cluster `{}` in `{region}` that the account of this run may see",
                self.cluster
            ))
            .hint("a cluster is in one region and one account: AWS_DEFAULT_REGION has to be that region, and the role or the keys have to be of that account"),
            "ServiceNotFoundException" => Failure::new(format!(
                "ECS service not found. Check your SERVICE_NAME. {doing}: {refusal}"
            )),
            _ => explained(refusal, doing, action),
        }
    }
}

/// The list in the member `name` of an answer; empty if there is none.
fn list(mut answer: Value, name: &str) -> Vec<Value> {
    match answer.get_mut(name).map(Value::take) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}
