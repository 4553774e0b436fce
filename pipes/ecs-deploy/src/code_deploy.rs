//! Services whose deployment controller is CODE_DEPLOY: CodeDeploy starts the new tasks and moves the traffic, from an
//! AppSpec that is given or made. Pure: the AppSpec, and what the state of a deployment means.
//! <https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html>

use std::fmt;

use serde::Deserialize;
use serde_json::{Value, json};
use shared::{Environment, Failure, document};

use crate::service::Service;

/// Where CodeDeploy knows the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The application.
    pub application: String,
    /// Its deployment group.
    pub name: String,
}

impl Group {
    /// The names that were given, else those that the console of ECS gives to what it creates.
    #[must_use]
    pub fn new(
        (application, name): (Option<&str>, Option<&str>),
        cluster: &str,
        service: &str,
    ) -> Self {
        let cluster = cluster.rsplit('/').next().unwrap_or(cluster);
        let or = |given: Option<&str>, prefix: &str| {
            given.map_or_else(|| format!("{prefix}-{cluster}-{service}"), str::to_owned)
        };
        Self {
            application: or(application, "AppECS"),
            name: or(name, "DgpECS"),
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}` of `{}`", self.name, self.application)
    }
}

/// How CodeDeploy deploys one service.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// Where CodeDeploy knows it.
    pub group: Group,
    spec: Spec,
}

#[derive(Clone, Debug, PartialEq)]
enum Spec {
    /// A file of this path.
    Given(String, Value),
    /// Made for the container and its port that take the traffic.
    Made(String, i64),
}

impl Release {
    /// By the AppSpec of a file, else by one that is made from the service's load balancer.
    ///
    /// # Errors
    /// When there is neither.
    pub fn new(
        group: Group,
        file: Option<(&str, &Value)>,
        service: &Service,
    ) -> Result<Self, Failure> {
        let mut balancers = service.load_balancers.iter();
        let made =
            balancers.find_map(|each| Some((each.container_name.clone()?, each.container_port?)));
        let spec = match (file, made) {
            (Some((path, document)), _) => Spec::Given(path.to_owned(), document.clone()),
            (None, Some((container, port))) => Spec::Made(container, port),
            (None, None) => {
                return Err(Failure::new(format!(
                    "could not make an AppSpec for `{}`: the service has no load balancer",
                    service.service_name
                ))
                .hint("give one with CODEDEPLOY_APPSPEC"));
            }
        };
        Ok(Self { group, spec })
    }

    /// The AppSpec for a revision.
    ///
    /// # Errors
    /// Those of [`app_spec_of_file`].
    pub fn app_spec(&self, task_definition: &str) -> Result<Value, Failure> {
        match &self.spec {
            Spec::Given(path, document) => {
                app_spec_of_file(document.clone(), path, task_definition)
            }
            Spec::Made(container, port) => Ok(app_spec(task_definition, (container, *port))),
        }
    }
}

/// An AppSpec for this revision, where the container `name:port` takes the traffic.
#[must_use]
pub fn app_spec(task_definition: &str, (container, port): (&str, i64)) -> Value {
    json!({
        "version": 0.0,
        "Resources": [{"TargetService": {
            "Type": "AWS::ECS::Service",
            "Properties": {
                "TaskDefinition": task_definition,
                "LoadBalancerInfo": {"ContainerName": container, "ContainerPort": port},
            },
        }}],
    })
}

/// The AppSpec of a file with this revision in it, whatever it had there.
///
/// # Errors
/// When it is not the AppSpec of one ECS service.
pub fn app_spec_of_file(
    mut document: Value,
    path: &str,
    task_definition: &str,
) -> Result<Value, Failure> {
    let refused = |why: &str| {
        Failure::new(format!("could not use the AppSpec `{path}`: {why}")).hint(
            "it has `Resources` with one entry, such as `- TargetService: {Type: AWS::ECS::Service, Properties: …}`",
        )
    };
    let resources =
        member(&mut document, "Resources").ok_or_else(|| refused("it has no `Resources`"))?;
    let services = match resources {
        Value::Array(entries) => entries.as_mut_slice(),
        _ => return Err(refused("`Resources` is no list")),
    };
    let [entry] = services else {
        return Err(refused(&format!("it has {} resources", services.len())));
    };
    let mut targets = entry
        .as_object_mut()
        .into_iter()
        .flat_map(|entry| entry.values_mut());
    let target = targets
        .next()
        .ok_or_else(|| refused("its resource is no object"))?;
    if member(target, "Type").is_some_and(|kind| kind != "AWS::ECS::Service") {
        return Err(refused("its resource is no `AWS::ECS::Service`"));
    }
    let properties = member(target, "Properties");
    let Some(Value::Object(properties)) = properties else {
        return Err(refused("its resource has no `Properties`"));
    };
    let name = properties
        .keys()
        .find(|name| name.eq_ignore_ascii_case("TaskDefinition"))
        .cloned();
    properties.insert(
        name.unwrap_or_else(|| "TaskDefinition".to_owned()),
        Value::from(task_definition),
    );
    drop(targets);
    Ok(document)
}

/// The task definition in the AppSpec of a deployment that was.
#[must_use]
pub fn revision_of(revision: &Value) -> Option<String> {
    let content = ["appSpecContent", "string"]
        .iter()
        .find_map(|name| revision[*name]["content"].as_str())?;
    let mut document = document::read("AppSpec", content, &Environment::default()).ok()?;
    let resources = member(&mut document, "Resources")?.as_array_mut()?;
    let target = resources
        .first_mut()?
        .as_object_mut()?
        .values_mut()
        .next()?;
    let properties = member(target, "Properties")?;
    let arn = member(properties, "TaskDefinition")?.as_str()?;
    Some(arn.to_owned())
}

/// CodeDeploy takes these names with small letters too.
fn member<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let mut entries = value.as_object_mut()?.iter_mut();
    entries
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// What GetDeployment says; only what decides something here.
/// <https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_DeploymentInfo.html>
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Deployment {
    /// Such as `d-A1B2C3D4E`.
    pub deployment_id: String,
    /// `Created`, `Queued`, `InProgress`, `Baking`, `Ready`, `Succeeded`, `Failed`, `Stopped`.
    pub status: String,
    /// Why it failed or was stopped.
    pub error_information: Option<ErrorInformation>,
    /// The deployment that takes it back, or that it takes back.
    pub rollback_info: Option<RollbackInfo>,
}

/// Why a deployment ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ErrorInformation {
    /// Such as `ALARM_ACTIVE`.
    pub code: String,
    /// In words.
    pub message: String,
}

/// What takes a deployment back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollbackInfo {
    /// The deployment that does it.
    pub rollback_deployment_id: Option<String>,
    /// In words.
    pub rollback_message: Option<String>,
}

/// What BatchGetDeploymentTargets says of the one service.
/// <https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_ECSTarget.html>
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Target {
    /// The events of the deployment, in their order.
    pub lifecycle_events: Vec<Event>,
    /// The old and the new tasks.
    pub task_sets_info: Vec<TaskSet>,
}

/// One event of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// `BeforeInstall`, `Install`, `AfterInstall`, `AllowTestTraffic`, …
    pub lifecycle_event_name: String,
    /// `Pending`, `InProgress`, `Succeeded`, `Failed`, `Skipped`, `Unknown`.
    pub status: String,
    /// Why it failed.
    pub diagnostics: Option<Diagnostics>,
}

/// Why an event failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Diagnostics {
    /// In words.
    pub message: Option<String>,
    /// The last lines of a hook.
    pub log_tail: Option<String>,
}

/// The old or the new tasks.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskSet {
    /// `Blue` for the old, `Green` for the new ones.
    pub task_set_label: String,
    /// Tasks wished.
    pub desired_count: i64,
    /// Tasks that run.
    pub running_count: i64,
    /// The share of the traffic in per cent.
    pub traffic_weight: f64,
}

/// What the state of a deployment means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Waiting,
    /// The new tasks stand, and the traffic is moved when somebody says so.
    Ready,
    /// It is done.
    Done,
    /// It ended otherwise; why, and the deployment that takes it back if one does.
    Failed(String, Option<String>),
}

impl Deployment {
    /// What its state means. That a deployment is taken back is a failure whatever became of that.
    #[must_use]
    pub fn judge(&self) -> Verdict {
        match self.status.as_str() {
            "Succeeded" => Verdict::Done,
            "Ready" => Verdict::Ready,
            "Failed" | "Stopped" => {
                let status = self.status.to_ascii_lowercase();
                let why = match &self.error_information {
                    Some(error) => format!("{status}: {}: {}", error.code, error.message),
                    None => status,
                };
                let rollback = self.rollback_info.as_ref();
                let by = rollback.and_then(|info| info.rollback_deployment_id.clone());
                Verdict::Failed(why, by.filter(|id| *id != self.deployment_id))
            }
            _ => Verdict::Waiting,
        }
    }
}

impl Target {
    /// Such as `Install; new 1 of 2 running with 10 % of the traffic, old 2 running`.
    #[must_use]
    pub fn seen(&self) -> String {
        let mut parts = Vec::new();
        let under_way = self
            .lifecycle_events
            .iter()
            .find(|event| event.status == "InProgress");
        if let Some(event) = under_way {
            parts.push(event.lifecycle_event_name.clone());
        }
        let set = |label: &str| {
            let mut sets = self.task_sets_info.iter();
            sets.find(|set| set.task_set_label == label)
        };
        if let Some(green) = set("Green") {
            let mut text = format!(
                "new {} of {} running with {} % of the traffic",
                green.running_count, green.desired_count, green.traffic_weight
            );
            if let Some(blue) = set("Blue") {
                text = format!("{text}, old {} running", blue.running_count);
            }
            parts.push(text);
        }
        parts.join("; ")
    }

    /// The events that failed, with their reasons and the last lines of their hooks.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let failed = self
            .lifecycle_events
            .iter()
            .filter(|event| event.status == "Failed");
        failed
            .map(|event| {
                let diagnostics = event.diagnostics.clone().unwrap_or_default();
                let mut text = format!("{} failed", event.lifecycle_event_name);
                if let Some(message) = diagnostics.message.filter(|text| !text.is_empty()) {
                    text = format!("{text}: {message}");
                }
                for line in diagnostics.log_tail.unwrap_or_default().lines() {
                    text = format!("{text}\n  | {line}");
                }
                text
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "arn:aws:ecs:eu-west-1:000000000000:task-definition/web:8";

    #[test]
    fn groups_have_the_names_of_the_console_unless_given() {
        let group = Group::new((None, None), "arn:aws:ecs:eu-west-1:0:cluster/live", "web");
        assert_eq!(group.to_string(), "`DgpECS-live-web` of `AppECS-live-web`");
        let group = Group::new((Some("shop"), Some("blue-green")), "live", "web");
        assert_eq!(group.to_string(), "`blue-green` of `shop`");
    }

    #[test]
    fn a_given_app_spec_keeps_all_but_its_revision() {
        let given = json!({"version": 0.0, "resources": [{"TargetService": {"type": "AWS::ECS::Service", "properties": {
            "taskDefinition": "<TASK_DEFINITION>", "PlatformVersion": "1.4.0"}}}], "Hooks": [{"AfterInstall": "check"}]});
        let spec = app_spec_of_file(given, "appspec.yaml", NEW).unwrap();
        assert_eq!(
            spec,
            json!({"version": 0.0, "resources": [{"TargetService": {"type": "AWS::ECS::Service", "properties": {
                "taskDefinition": NEW, "PlatformVersion": "1.4.0"}}}], "Hooks": [{"AfterInstall": "check"}]})
        );
        let made = app_spec(NEW, ("web", 8080));
        assert_eq!(app_spec_of_file(made.clone(), "made", NEW).unwrap(), made);
    }

    #[test]
    fn the_revision_of_an_earlier_deployment_is_found() {
        let content = app_spec(NEW, ("web", 8080)).to_string();
        for revision in [
            json!({"revisionType": "AppSpecContent", "appSpecContent": {"content": content}}),
            json!({"revisionType": "String", "string": {"content": format!(
                "version: 0.0\nresources:\n- TargetService:\n    properties: {{taskDefinition: '{NEW}'}}\n")}}),
        ] {
            assert_eq!(revision_of(&revision).as_deref(), Some(NEW), "{revision}");
        }
        assert_eq!(revision_of(&json!({"revisionType": "S3"})), None);
    }

    #[test]
    fn another_app_spec_is_refused_in_one_line() {
        let lambda =
            json!({"Resources": [{"F": {"Type": "AWS::Lambda::Function", "Properties": {}}}]});
        for (document, why) in [
            (json!({}), "it has no `Resources`"),
            (json!({"Resources": {}}), "`Resources` is no list"),
            (json!({"Resources": []}), "it has 0 resources"),
            (json!({"Resources": [1]}), "its resource is no object"),
            (
                json!({"Resources": [{"T": {}}]}),
                "its resource has no `Properties`",
            ),
            (lambda, "its resource is no `AWS::ECS::Service`"),
        ] {
            let failure = app_spec_of_file(document, "appspec.yaml", NEW)
                .unwrap_err()
                .to_string();
            assert!(
                failure.starts_with(&format!(
                    "could not use the AppSpec `appspec.yaml`: {why}\n  hint: "
                )),
                "{failure}"
            );
        }
    }

    #[test]
    fn states_mean_what_they_say_and_a_rollback_is_a_failure() {
        let judged = |document: Value| Deployment::deserialize(document).unwrap().judge();
        for status in ["Created", "Queued", "InProgress", "Baking"] {
            assert_eq!(
                judged(json!({"status": status})),
                Verdict::Waiting,
                "{status}"
            );
        }
        assert_eq!(judged(json!({"status": "Ready"})), Verdict::Ready);
        assert_eq!(judged(json!({"status": "Succeeded"})), Verdict::Done);
        assert_eq!(
            judged(json!({"deploymentId": "d-1", "status": "Stopped",
                "errorInformation": {"code": "ALARM_ACTIVE", "message": "one or more alarms"},
                "rollbackInfo": {"rollbackDeploymentId": "d-2"}})),
            Verdict::Failed(
                "stopped: ALARM_ACTIVE: one or more alarms".to_owned(),
                Some("d-2".to_owned())
            )
        );
        assert_eq!(
            judged(json!({"status": "Failed"})),
            Verdict::Failed("failed".to_owned(), None)
        );
    }

    #[test]
    fn the_state_of_the_tasks_is_one_line() {
        let target = Target::deserialize(json!({
            "lifecycleEvents": [
                {"lifecycleEventName": "BeforeInstall", "status": "Succeeded"},
                {"lifecycleEventName": "Install", "status": "InProgress"},
                {"lifecycleEventName": "AfterInstall", "status": "Failed",
                    "diagnostics": {"message": "the hook said no", "logTail": "one\ntwo"}},
            ],
            "taskSetsInfo": [
                {"taskSetLabel": "Blue", "desiredCount": 2, "runningCount": 2, "trafficWeight": 90.0},
                {"taskSetLabel": "Green", "desiredCount": 2, "runningCount": 1, "trafficWeight": 10.0},
            ],
        }))
        .unwrap();
        assert_eq!(
            target.seen(),
            "Install; new 1 of 2 running with 10 % of the traffic, old 2 running"
        );
        assert_eq!(
            target.failures(),
            ["AfterInstall failed: the hook said no\n  | one\n  | two"]
        );
        assert_eq!(Target::default().seen(), "");
    }
}
