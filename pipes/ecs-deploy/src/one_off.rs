//! One-off tasks, such as migrations: what RunTask is asked for, and whether a task did its work; pure. The service gives
//! the network and the place; the run of the pipeline gives the client token, so that a request that is repeated starts no
//! second task.

mod run;

use serde_json::{Map, Value, json};
use shared::{Environment, Failure};

pub use self::run::Runner;
use crate::aws::RunTask;
use crate::config::OneOff;
use crate::definition::Container;
use crate::task::Task;

/// The longest `startedBy` that ECS took from the beginning.
const STARTED_BY: usize = 36;

/// The step that a task belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Unique to this step of this pipeline run and all of its variables that name it; empty outside of a pipeline.
    pub id: String,
    /// For people: `bitbucket-7`.
    pub started_by: String,
}

impl Run {
    /// From the variables that Bitbucket sets.
    pub fn new(environment: &Environment) -> Self {
        let part = |name: &str| environment.get(name).unwrap_or_default().trim().to_owned();
        let step = part("BITBUCKET_STEP_UUID");
        let id = if step.is_empty() {
            String::new()
        } else {
            // A step that is run again is another run.
            format!(
                "{}{step}{}",
                part("BITBUCKET_PIPELINE_UUID"),
                part("BITBUCKET_STEP_RUN_NUMBER")
            )
        };
        let build = part("BITBUCKET_BUILD_NUMBER");
        let started_by = if build.is_empty() {
            "ecs-deploy".to_owned()
        } else {
            format!("bitbucket-{build}")
        };
        Self {
            id,
            started_by: started_by.chars().take(STARTED_BY).collect(),
        }
    }

    /// The same for the same task of the same run, and another for every other; none outside of a pipeline.
    fn client_token(&self, parts: &[&str]) -> Option<String> {
        if self.id.is_empty() {
            return None;
        }
        let text = [&[self.id.as_str()], parts].concat().join("\n");
        // At most 64 characters may be given.
        Some(blake3::hash(text.as_bytes()).to_hex()[..32].to_owned())
    }
}

/// The container that runs the command.
///
/// # Errors
/// When there is no such container, or several and none is named: refused before the first change.
pub fn container<'a>(
    one_off: &OneOff,
    variable: &str,
    containers: &'a [Container],
) -> Result<&'a str, Failure> {
    let names = || {
        let names: Vec<String> = containers
            .iter()
            .map(|container| format!("`{}`", container.name))
            .collect();
        names.join(", ")
    };
    match (&one_off.container, containers) {
        (Some(name), _) => containers
            .iter()
            .map(|container| container.name.as_str())
            .find(|each| each == name)
            .ok_or_else(|| {
                Failure::new(format!(
                    "{variable}_CONTAINER names `{name}`, which the task definition does not have: it has {}",
                    names()
                ))
                .hint(format!("write one of these names in {variable}_CONTAINER"))
            }),
        (None, [only]) => Ok(&only.name),
        (None, _) => Err(Failure::new(format!(
            "{variable} does not say in which container it runs: the task definition has {}",
            names()
        ))
        .hint(format!("set {variable}_CONTAINER"))),
    }
}

/// What RunTask is asked for. `service` are the members of the service, none of which is needed; `role` is `before`,
/// `after` or the like, so that two tasks of one run are two.
pub fn request(
    one_off: &OneOff,
    container: &str,
    task_definition: &str,
    service: &Value,
    run: &Run,
    role: &str,
) -> RunTask {
    let mut members = Map::new();
    let has = |value: &Value| match value {
        Value::Null => false,
        Value::Array(elements) => !elements.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    };
    for name in [
        "networkConfiguration",
        "capacityProviderStrategy",
        "platformVersion",
    ] {
        if has(&service[name]) {
            members.insert(name.to_owned(), service[name].clone());
        }
    }
    // Both together are refused.
    if !members.contains_key("capacityProviderStrategy") && has(&service["launchType"]) {
        members.insert("launchType".to_owned(), service["launchType"].clone());
    }
    if let Some(command) = &one_off.command {
        members.insert(
            "overrides".to_owned(),
            json!({"containerOverrides": [{"name": container, "command": command}]}),
        );
    }
    members.insert("startedBy".to_owned(), json!(run.started_by));
    let command = one_off.command.as_deref().unwrap_or_default().join("\n");
    let arn = service["serviceArn"].as_str().unwrap_or_default();
    if let Some(token) = run.client_token(&[role, arn, task_definition, container, &command]) {
        members.insert("clientToken".to_owned(), json!(token));
    }
    RunTask {
        task_definition: task_definition.to_owned(),
        members: Value::Object(members),
    }
}

/// Why a task that stopped did not do its work; none if it did. Every container counts, but for those that ECS itself
/// told to end (143, 137) because an essential one had.
pub fn fault(task: &Task, container: &str) -> Option<String> {
    let stop_code = task.stop_code.as_deref().unwrap_or_default();
    if !["", "EssentialContainerExited", "TaskFailedToStart"].contains(&stop_code) {
        // Whoever ends at once when told to stop exits with 0, and has not done its work.
        let reason = task.stopped_reason.as_deref().unwrap_or_default();
        return Some(format!("it was stopped ({stop_code}): {reason}"));
    }
    let is_told_to_end =
        |code: i64| [137, 143].contains(&code) && stop_code == "EssentialContainerExited";
    for each in &task.containers {
        let name = &each.name;
        match each.exit_code {
            Some(0) => {}
            Some(code) if *name != container && is_told_to_end(code) => {}
            Some(code) => {
                let reason = each.reason.as_deref().unwrap_or_default();
                let meaning = crate::causes::of_exit_code(code, reason)
                    .map_or_else(String::new, |meaning| format!(": {meaning}"));
                return Some(format!("`{name}` exited with code {code}{meaning}"));
            }
            None => {
                let reason = each
                    .reason
                    .as_deref()
                    .or(task.stopped_reason.as_deref())
                    .unwrap_or("ECS gave no reason");
                return Some(format!("`{name}` never ran: {reason}"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn containers(names: &[&str]) -> Vec<Container> {
        let container = |name: &&str| Container {
            name: (*name).to_owned(),
            image: String::new(),
            essential: true,
            logs: None,
            ports: Vec::new(),
        };
        names.iter().map(container).collect()
    }

    #[test]
    fn the_container_is_the_only_one_or_the_named_one() {
        let named = |name: Option<&str>| OneOff {
            container: name.map(str::to_owned),
            ..OneOff::default()
        };
        let one = containers(&["web"]);
        let two = containers(&["web", "proxy"]);
        assert_eq!(container(&named(None), "RUN_TASK", &one).unwrap(), "web");
        assert_eq!(
            container(&named(Some("proxy")), "RUN_TASK", &two).unwrap(),
            "proxy"
        );
        insta::assert_snapshot!(container(&named(None), "RUN_TASK_BEFORE", &two).unwrap_err(), @r"
        RUN_TASK_BEFORE does not say in which container it runs: the task definition has `web`, `proxy`
          hint: set RUN_TASK_BEFORE_CONTAINER
        ");
        insta::assert_snapshot!(container(&named(Some("job")), "RUN_TASK_BEFORE", &two).unwrap_err(), @r"
        RUN_TASK_BEFORE_CONTAINER names `job`, which the task definition does not have: it has `web`, `proxy`
          hint: write one of these names in RUN_TASK_BEFORE_CONTAINER
        ");
    }

    #[test]
    fn the_task_runs_where_the_service_does_and_once_for_a_run() {
        let one_off = OneOff {
            command: Some(vec!["migrate".to_owned()]),
            ..OneOff::default()
        };
        let service = json!({"serviceArn": "arn:web", "launchType": "FARGATE", "platformVersion": "LATEST",
            "capacityProviderStrategy": [], "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["a"]}}});
        let run = Run::new(&Environment::from([
            ("BITBUCKET_STEP_UUID", "{s}"),
            ("BITBUCKET_BUILD_NUMBER", "7"),
        ]));
        let made =
            |role: &str, run: &Run| request(&one_off, "web", "web:7", &service, run, role).members;
        let mut members = made("before", &run);
        assert_eq!(made("before", &run), members);
        assert_ne!(made("after", &run)["clientToken"], members["clientToken"]);
        let token = members["clientToken"].take();
        assert!(token.as_str().unwrap().len() <= 64);
        insta::assert_snapshot!(members, @r#"{"networkConfiguration":{"awsvpcConfiguration":{"subnets":["a"]}},"platformVersion":"LATEST","launchType":"FARGATE","overrides":{"containerOverrides":[{"name":"web","command":["migrate"]}]},"startedBy":"bitbucket-7","clientToken":null}"#);
        let outside = made("before", &Run::new(&Environment::default()));
        assert_eq!(outside.get("clientToken"), None);
    }

    #[test]
    fn a_task_did_its_work_when_all_containers_did() {
        let of = |stop_code: &str, containers: Value| -> Option<String> {
            let task = serde_json::from_value(
                json!({"stopCode": stop_code, "stoppedReason": "why", "containers": containers}),
            );
            fault(&task.unwrap(), "job")
        };
        let exited = "EssentialContainerExited";
        assert_eq!(
            of(
                exited,
                json!([{"name": "job", "exitCode": 0}, {"name": "proxy", "exitCode": 143}])
            ),
            None
        );
        for (containers, expected) in [
            (
                json!([{"name": "job", "exitCode": 2}]),
                "`job` exited with code 2",
            ),
            (
                json!([{"name": "job", "exitCode": 0}, {"name": "proxy", "exitCode": 1}]),
                "`proxy` exited with code 1: an error of the program",
            ),
            (
                json!([{"name": "job", "exitCode": 143}]),
                "`job` exited with code 143: it was told to stop (SIGTERM) and did",
            ),
            (json!([{"name": "job"}]), "`job` never ran: why"),
        ] {
            assert_eq!(of(exited, containers).as_deref(), Some(expected));
        }
        assert!(
            of(
                "UserInitiated",
                json!([{"name": "job", "exitCode": 0}, {"name": "proxy", "exitCode": 137}])
            )
            .is_some()
        );
    }
}
