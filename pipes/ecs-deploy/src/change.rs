//! What is to change about a service: wished members and the live service in, the members of one UpdateService out. Pure.
//! A wish says only what it names: what ECS fills in and what others have set stays as it is.

use serde_json::{Map, Value, json};
use shared::edits::Edits;
use shared::{Environment, Failure, document};

use crate::config::ServiceWishes;
use crate::service::Service;
use crate::tags::{TagChange, of_pairs, pairs};

/// Members that only ECS sets, dropped from a file that is a printed DescribeServices.
const READ_ONLY: [&str; 16] = [
    "clusterArn",
    "createdAt",
    "createdBy",
    "currentServiceDeployment",
    "currentServiceRevisions",
    "deployments",
    "events",
    "failures",
    "pendingCount",
    "platformFamily",
    "roleArn",
    "runningCount",
    "serviceArn",
    "status",
    "taskDefinition",
    "taskSets",
];

/// Members that say which service it is, or that variables of their own set.
const NAMING: [&str; 5] = [
    "cluster",
    "clientToken",
    "forceNewDeployment",
    "service",
    "serviceName",
];

/// Members that CreateService takes and UpdateService does not: they stay as they were made.
const FIXED: [&str; 4] = [
    "launchType",
    "resourceManagementType",
    "role",
    "schedulingStrategy",
];

/// Members that DescribeServices shows with the newest deployment, not with the service.
const OF_DEPLOYMENT: [&str; 3] = [
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

/// What is wished of a service, in CreateService's members; and of its tags, which UpdateService does not take.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    members: Map<String, Value>,
    file_tags: Vec<(String, String)>,
    tags: Edits,
}

/// What to change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Members of UpdateService that are not as wished; with what they say already, so that nothing else is lost.
    pub members: Map<String, Value>,
    /// The same members as they are now.
    pub live: Map<String, Value>,
}

impl Wish {
    /// From the file and the variables.
    ///
    /// # Errors
    /// When the file cannot be read, is broken, or holds no service.
    pub fn new(wishes: &ServiceWishes, environment: &Environment) -> Result<Self, Failure> {
        let mut wish = match &wishes.file {
            None => Self::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    Failure::new(format!(
                        "could not read SERVICE_DEFINITION `{path}`: {error}"
                    ))
                    .hint("it is a file of the clone, by its path from the directory of the step")
                })?;
                Self::from_file(document::read(path, &text, environment)?, path)?
            }
        };
        for (name, value) in &wishes.members {
            wish.set(name, value.clone());
        }
        if let Some(count) = wishes.desired_count {
            wish.set("desiredCount", json!(count));
        }
        wish.tags = wishes.tags.clone();
        Ok(wish)
    }

    /// The members of a file, which is a CreateService, an UpdateService or a printed DescribeServices.
    ///
    /// # Errors
    /// When it is no object.
    pub fn from_file(value: Value, path: &str) -> Result<Self, Failure> {
        let service = match value {
            Value::Object(mut printed) => match printed.shift_remove("services") {
                Some(Value::Array(mut services)) if services.len() == 1 => services.remove(0),
                Some(services) => {
                    return Err(Failure::new(format!(
                        "`{path}` holds {} services: it has to hold one",
                        services.as_array().map_or(0, Vec::len)
                    )));
                }
                None => match printed.shift_remove("service") {
                    Some(service @ Value::Object(_)) => service,
                    Some(name) => {
                        printed.insert("service".to_owned(), name);
                        Value::Object(printed)
                    }
                    None => Value::Object(printed),
                },
            },
            other => other,
        };
        let Value::Object(mut members) = service else {
            return Err(Failure::new(format!(
                "`{path}` is no service: it has to hold the members of CreateService, such as `desiredCount`"
            )));
        };
        members.retain(|name, value| {
            !value.is_null()
                && !READ_ONLY.contains(&name.as_str())
                && !NAMING.contains(&name.as_str())
        });
        let tags = members.shift_remove("tags").unwrap_or_default();
        Ok(Self {
            file_tags: pairs(&tags),
            members,
            tags: Edits::default(),
        })
    }

    /// Sets a member, whatever the file says.
    pub fn set(&mut self, name: &str, value: Value) {
        self.members.insert(name.to_owned(), value);
    }

    /// What of the tags the live service does not have.
    pub fn tags(&self, live: &Service) -> TagChange {
        if self.file_tags.is_empty() && self.tags.is_empty() {
            return TagChange::default();
        }
        let live = pairs(&live.raw["tags"]);
        let mut wished = live.clone();
        for (key, value) in &self.file_tags {
            wished.retain(|(other, _)| other != key);
            wished.push((key.clone(), value.clone()));
        }
        TagChange::between(&live, self.tags.apply(wished))
    }

    /// For CreateService.
    pub fn for_create(&self) -> Map<String, Value> {
        let mut members = self.members.clone();
        let tags = self.tags.apply(self.file_tags.iter().cloned());
        if !tags.is_empty() {
            members.insert("tags".to_owned(), of_pairs(&tags));
        }
        members
    }

    /// What of it the live service is not.
    ///
    /// # Errors
    /// When it cannot be changed: refused before the first change.
    pub fn change(&self, live: &Service) -> Result<Change, Failure> {
        let mut change = Change::default();
        for (name, wished) in &self.members {
            let now = live_member(live, name);
            let merged = overlaid(now, wished);
            if Some(&merged) == now || (now.is_none() && is_nothing(&merged)) {
                continue;
            }
            if FIXED.contains(&name.as_str()) {
                return Err(Failure::new(format!(
                    "`{name}` of the service `{}` is {} and cannot become {wished}: ECS sets it when a service is created",
                    live.service_name,
                    now.map_or_else(|| "not set".to_owned(), Value::to_string),
                ))
                .hint("take it out of SERVICE_DEFINITION, or create another service"));
            }
            change.members.insert(name.clone(), merged);
            if let Some(now) = now {
                change.live.insert(name.clone(), now.clone());
            }
        }
        Ok(change)
    }
}

impl Change {
    /// What gives the service its members back; what it did not have cannot be taken away, and is emptied.
    pub fn back(&self) -> Map<String, Value> {
        self.members
            .iter()
            .filter_map(|(name, value)| {
                let empty = match value {
                    Value::Array(_) => Some(Value::Array(Vec::new())),
                    _ => None,
                };
                let was = self.live.get(name).cloned().or(empty)?;
                Some((name.clone(), was))
            })
            .collect()
    }
}

fn live_member<'a>(live: &'a Service, name: &str) -> Option<&'a Value> {
    let of_service = live.raw.get(name);
    if of_service.is_some() || !OF_DEPLOYMENT.contains(&name) {
        return of_service;
    }
    let deployments = live.raw.get("deployments")?.as_array()?;
    deployments
        .iter()
        .find(|deployment| deployment["status"] == "PRIMARY")?
        .get(name)
}

/// The live value with the wish laid over it: members of objects one by one; a list as a whole, unless it holds the same
/// elements in another order, which for ECS's lists means nothing.
fn overlaid(live: Option<&Value>, wish: &Value) -> Value {
    match (live, wish) {
        (Some(Value::Object(live)), Value::Object(wish)) => {
            let mut merged = live.clone();
            for (name, wished) in wish {
                let value = overlaid(live.get(name), wished);
                if !(live.get(name).is_none() && is_nothing(&value)) {
                    merged.insert(name.clone(), value);
                }
            }
            Value::Object(merged)
        }
        (Some(live @ Value::Array(elements)), Value::Array(wished))
            if holds_the_same(elements, wished) =>
        {
            live.clone()
        }
        (Some(live), wish) if is_nothing(live) && is_nothing(wish) => live.clone(),
        (_, wish) => wish.clone(),
    }
}

fn holds_the_same(live: &[Value], wished: &[Value]) -> bool {
    let mut left: Vec<&Value> = live.iter().collect();
    live.len() == wished.len()
        && wished.iter().all(|wish| {
            let found = left
                .iter()
                .position(|live| overlaid(Some(live), wish) == **live);
            found.map(|place| left.swap_remove(place)).is_some()
        })
}

/// What ECS leaves out, and what says the same.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.values().all(is_nothing),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live() -> Service {
        Service::from_answer(json!({
            "serviceName": "web", "desiredCount": 2, "launchType": "FARGATE", "schedulingStrategy": "REPLICA",
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["a", "b"], "securityGroups": ["s"], "assignPublicIp": "DISABLED"}},
            "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100, "deploymentCircuitBreaker": {"enable": false, "rollback": false}},
            "capacityProviderStrategy": [],
            "enableExecuteCommand": false,
            "deployments": [{"status": "PRIMARY", "serviceConnectConfiguration": {"enabled": true, "namespace": "prod"}}],
        }))
        .unwrap()
    }

    fn change(wish: &Value) -> Change {
        Wish::from_file(wish.clone(), "service.json")
            .unwrap()
            .change(&live())
            .unwrap()
    }

    #[test]
    fn what_is_as_wished_changes_nothing() {
        for wish in [
            json!({"desiredCount": 2, "launchType": "FARGATE"}),
            json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["b", "a"]}}}),
            json!({"deploymentConfiguration": {"minimumHealthyPercent": 100}}),
            json!({"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": false, "rollback": false}}}),
            json!({"serviceConnectConfiguration": {"enabled": true}}),
            json!({"capacityProviderStrategy": [], "placementStrategy": [], "propagateTags": null, "enableExecuteCommand": false}),
            json!({"services": [{"serviceArn": "arn", "status": "ACTIVE", "taskDefinition": "web:1", "desiredCount": 2, "events": []}]}),
            json!({"service": {"runningCount": 1, "desiredCount": 2}}),
            json!({"service": "web", "cluster": "main", "desiredCount": 2}),
        ] {
            let found = change(&wish).members;
            assert!(found.is_empty(), "{wish}: {found:?}");
        }
    }

    #[test]
    fn what_differs_keeps_what_the_wish_does_not_name() {
        let found = change(
            &json!({"desiredCount": 3, "deploymentConfiguration": {"minimumHealthyPercent": 50},
            "newMember": {"a": 1}}),
        );
        assert_eq!(
            Value::Object(found.members.clone()),
            json!({"desiredCount": 3, "newMember": {"a": 1},
                "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 50,
                    "deploymentCircuitBreaker": {"enable": false, "rollback": false}}})
        );
        assert_eq!(
            Value::Object(found.back()),
            json!({"desiredCount": 2, "deploymentConfiguration": live().raw["deploymentConfiguration"]})
        );
    }

    #[test]
    fn another_list_replaces_the_whole_list() {
        let found = change(
            &json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["a", "c"]}}}),
        );
        assert_eq!(
            found.members["networkConfiguration"]["awsvpcConfiguration"],
            json!({"subnets": ["a", "c"], "securityGroups": ["s"], "assignPublicIp": "DISABLED"})
        );
        let found = change(
            &json!({"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]}),
        );
        assert_eq!(found.back()["capacityProviderStrategy"], json!([]));
    }

    #[test]
    fn what_ecs_sets_only_once_cannot_be_changed() {
        let wish =
            Wish::from_file(json!({"schedulingStrategy": "DAEMON"}), "service.json").unwrap();
        insta::assert_snapshot!(wish.change(&live()).unwrap_err(), @r#"
        `schedulingStrategy` of the service `web` is "REPLICA" and cannot become "DAEMON": ECS sets it when a service is created
          hint: take it out of SERVICE_DEFINITION, or create another service
        "#);
    }
}
