//! Services: DescribeServices, UpdateService, CreateService, TagResource, UntagResource.

use futures_util::future;
use serde_json::{Value, json};
use shared::{Failure, Journal, Pending};

use super::{Ecs, ask, list};
use crate::service::Service;
use crate::tags::{TagChange, of_pairs};

/// The most services that one DescribeServices takes.
const DESCRIBE_BATCH: usize = 10;

impl Ecs {
    /// The services with these names or ARNs, in their order; none where there is no such service.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn services(&self, names: &[String]) -> Result<Vec<Option<Service>>, Failure> {
        let batches = names
            .chunks(DESCRIBE_BATCH)
            .map(|batch| self.describe_services(batch));
        let found: Vec<Service> = future::try_join_all(batches).await?.concat();
        let of_name = |name: &String| {
            found
                .iter()
                .find(|service| service.service_name == *name || service.service_arn == *name)
        };
        Ok(names.iter().map(|name| of_name(name).cloned()).collect())
    }

    async fn describe_services(&self, names: &[String]) -> Result<Vec<Service>, Failure> {
        let body = json!({"cluster": self.cluster, "services": names, "include": ["TAGS"]});
        let doing = format!("could not describe the services of `{}`", self.cluster);
        let answer = ask!(self.client, describe_services, body)
            .map_err(|refusal| self.refused(&refusal, &doing, "ecs:DescribeServices"))?;
        list(answer.json()?, "services")
            .into_iter()
            .map(Service::from_answer)
            .collect()
    }

    /// Changes a service, all at once: two updates would be two deployments. `members` are those of UpdateService but
    /// for cluster and service. Gives the service as it is after the update.
    ///
    /// # Errors
    /// When ECS refuses, or there is no answer.
    pub async fn update_service(
        &self,
        name: &str,
        members: &Value,
        journal: &Journal,
    ) -> Result<Service, Failure> {
        let mut body = json!({"cluster": self.cluster, "service": name});
        merge(&mut body, members);
        let pending = journal.begin("update service", name);
        let answer = match ask!(self.client, update_service, body) {
            Ok(answer) => answer,
            Err(refusal) => {
                settle(pending, &refusal);
                // The existing pipe's own words stand first.
                let doing =
                    format!("Failed to update the stack. Could not update the service `{name}`");
                return Err(self.refused(&refusal, &doing, "ecs:UpdateService"));
            }
        };
        pending.done("updated services", name);
        Service::from_answer(answer.json::<Value>()?["service"].take())
    }

    /// Creates a service. `members` are those of CreateService but for the cluster.
    ///
    /// # Errors
    /// When ECS refuses, or there is no answer.
    pub async fn create_service(
        &self,
        name: &str,
        members: &Value,
        journal: &Journal,
    ) -> Result<Service, Failure> {
        let mut body = json!({"cluster": self.cluster, "serviceName": name});
        merge(&mut body, members);
        let pending = journal.begin("create service", name);
        let answer = match ask!(self.client, create_service, body) {
            Ok(answer) => answer,
            Err(refusal) => {
                settle(pending, &refusal);
                let doing = format!("could not create the service `{name}`");
                return Err(self.refused(&refusal, &doing, "ecs:CreateService"));
            }
        };
        pending.done("created services", name);
        Service::from_answer(answer.json::<Value>()?["service"].take())
    }

    /// Sets and removes tags of a service.
    ///
    /// # Errors
    /// When ECS refuses, or there is no answer.
    pub async fn tag_service(
        &self,
        service: &Service,
        change: &TagChange,
        journal: &Journal,
    ) -> Result<(), Failure> {
        let (arn, name) = (&service.service_arn, &service.service_name);
        let TagChange { set, unset } = change;
        if !set.is_empty() {
            let body = json!({"resourceArn": arn, "tags": of_pairs(set)});
            let pending = journal.begin("tag service", name);
            if let Err(refusal) = ask!(self.client, tag_resource, body) {
                settle(pending, &refusal);
                let doing = format!("could not tag the service `{name}`");
                return Err(self.refused(&refusal, &doing, "ecs:TagResource"));
            }
            pending.done("tagged services", name);
        }
        if !unset.is_empty() {
            let body = json!({"resourceArn": arn, "tagKeys": unset});
            let pending = journal.begin("untag service", name);
            if let Err(refusal) = ask!(self.client, untag_resource, body) {
                settle(pending, &refusal);
                let doing = format!("could not remove tags of the service `{name}`");
                return Err(self.refused(&refusal, &doing, "ecs:UntagResource"));
            }
            pending.done("untagged services", name);
        }
        Ok(())
    }
}

/// Without an answer, or with a 5xx, the change may have been made; it stays in the journal as perhaps made.
pub(super) fn settle(pending: Pending<'_>, refusal: &shared::Refusal) {
    if refusal.changed_nothing() {
        pending.refused();
    }
}

/// Adds the members of `from` to `into`.
pub(super) fn merge(into: &mut Value, from: &Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(
            from.iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }
}
