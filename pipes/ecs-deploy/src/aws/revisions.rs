//! The revisions of a family and what uses them, in all clusters of the account and region: ListTaskDefinitions,
//! ListClusters, ListServices, ListTasks and their DescribeX; DeregisterTaskDefinition.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::{Failure, Journal};

use super::services::settle;
use super::{Ecs, ask, list};
use crate::family::family_of;

/// The most services that one DescribeServices takes.
const SERVICES: usize = 10;
/// The most tasks that one DescribeTasks takes.
const TASKS: usize = 100;

impl Ecs {
    /// The ARNs of the active revisions of a family.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn active_revisions(&self, family: &str) -> Result<Vec<String>, Failure> {
        let doing = format!("could not list the revisions of the task definition `{family}`");
        let mut body = json!({"familyPrefix": family, "status": "ACTIVE"});
        let mut arns = Vec::new();
        loop {
            let answer = ask!(self.client, list_task_definitions, body)
                .map_err(|refusal| self.refused(&refusal, &doing, "ecs:ListTaskDefinitions"))?;
            let token = next(answer.json()?, "taskDefinitionArns", &mut arns);
            let Some(token) = token else { break };
            body["nextToken"] = token;
        }
        arns.retain(|arn| family_of(arn) == family);
        Ok(arns)
    }

    /// The ARNs of all clusters.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn clusters(&self) -> Result<Vec<String>, Failure> {
        let (mut body, mut arns) = (json!({}), Vec::new());
        loop {
            let answer = ask!(self.client, list_clusters, body).map_err(|refusal| {
                self.refused(&refusal, "could not list the clusters", "ecs:ListClusters")
            })?;
            let Some(token) = next(answer.json()?, "clusterArns", &mut arns) else {
                return Ok(arns);
            };
            body["nextToken"] = token;
        }
    }

    /// The ARN of the cluster of the run.
    ///
    /// # Errors
    /// When it does not exist, or may not be read.
    pub async fn cluster_arn(&self) -> Result<String, Failure> {
        let doing = format!("could not describe the cluster `{}`", self.cluster);
        let body = json!({"clusters": [self.cluster]});
        let answer = ask!(self.client, describe_clusters, body)
            .map_err(|refusal| self.refused(&refusal, &doing, "ecs:DescribeClusters"))?;
        let answer: Value = answer.json()?;
        let arn = answer["clusters"][0]["clusterArn"].as_str();
        arn.map(str::to_owned)
            .ok_or_else(|| Failure::new(format!("{doing}: there is no such cluster")))
    }

    /// The revisions of a family that services or tasks of a cluster use.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn revisions_in_use(
        &self,
        cluster: &str,
        family: &str,
    ) -> Result<BTreeSet<String>, Failure> {
        let mut in_use = BTreeSet::new();
        let mut note = |value: &Value| {
            if let Some(arn) = value.as_str().filter(|arn| family_of(arn) == family) {
                in_use.insert(arn.to_owned());
            }
        };
        let doing = format!("could not look at the services of the cluster `{cluster}`");
        let (mut body, mut services) = (json!({"cluster": cluster, "maxResults": 100}), Vec::new());
        loop {
            let answer = ask!(self.client, list_services, body)
                .map_err(|refusal| self.refused(&refusal, &doing, "ecs:ListServices"))?;
            let Some(token) = next(answer.json()?, "serviceArns", &mut services) else {
                break;
            };
            body["nextToken"] = token;
        }
        for batch in services.chunks(SERVICES) {
            let body = json!({"cluster": cluster, "services": batch});
            let answer = ask!(self.client, describe_services, body)
                .map_err(|refusal| self.refused(&refusal, &doing, "ecs:DescribeServices"))?;
            for service in list(answer.json()?, "services") {
                note(&service["taskDefinition"]);
                for name in ["deployments", "taskSets"] {
                    let users = service[name].as_array().into_iter().flatten();
                    users.for_each(|user| note(&user["taskDefinition"]));
                }
            }
        }
        let doing = format!("could not look at the tasks of the cluster `{cluster}`");
        let (mut body, mut tasks) = (json!({"cluster": cluster, "family": family}), Vec::new());
        loop {
            let answer = ask!(self.client, list_tasks, body)
                .map_err(|refusal| self.refused(&refusal, &doing, "ecs:ListTasks"))?;
            let Some(token) = next(answer.json()?, "taskArns", &mut tasks) else {
                break;
            };
            body["nextToken"] = token;
        }
        for batch in tasks.chunks(TASKS) {
            let body = json!({"cluster": cluster, "tasks": batch});
            let answer = ask!(self.client, describe_tasks, body)
                .map_err(|refusal| self.refused(&refusal, &doing, "ecs:DescribeTasks"))?;
            for task in list(answer.json()?, "tasks") {
                note(&task["taskDefinitionArn"]);
            }
        }
        Ok(in_use)
    }

    /// Takes a revision out of use: it stays readable, and nothing new can run it.
    ///
    /// # Errors
    /// When ECS refuses, or there is no answer.
    pub async fn deregister(&self, arn: &str, journal: &Journal) -> Result<(), Failure> {
        let name = crate::service::short(arn);
        let pending = journal.begin("deregister", name);
        match ask!(
            self.client,
            deregister_task_definition,
            json!({"taskDefinition": arn})
        ) {
            Ok(_) => {
                pending.done("deregistered", name);
                Ok(())
            }
            Err(refusal) => {
                settle(pending, &refusal);
                let doing = format!("could not deregister the task definition `{name}`");
                Err(self.refused(&refusal, &doing, "ecs:DeregisterTaskDefinition"))
            }
        }
    }
}

/// Adds the ARNs of a page, and gives the token of the next one.
fn next(answer: Value, name: &str, arns: &mut Vec<String>) -> Option<Value> {
    let token = answer["nextToken"].clone();
    let page = list(answer, name);
    arns.extend(page.iter().filter_map(Value::as_str).map(str::to_owned));
    (!token.is_null()).then_some(token)
}
