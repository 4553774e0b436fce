//! One-off tasks, such as migrations: what RunTask is asked for (pure), and the way to the task's end, with its log as it
//! is written. The service gives the network and the place; the run of the pipeline gives the client token, so that a
//! request that is repeated starts no second task.

use std::time::Duration;

use serde_json::{Map, Value, json};
use shared::{Environment, Failure, Journal};
use tokio::time::{Instant, sleep};

use crate::aws::{Ecs, Evidence, RunTask};
use crate::config::OneOff;
use crate::definition::{Container, Definition};
use crate::findings::Search;
use crate::service::short;
use crate::task::Task;

/// Pauses between two looks.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(6);
/// Log lines that one look takes.
const LINES: i32 = 1000;
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

/// Where and for what one-off tasks are run.
pub struct Runner<'a> {
    /// The cluster.
    pub ecs: &'a Ecs,
    /// Logs.
    pub evidence: &'a Evidence,
    /// What is changed.
    pub journal: &'a Journal,
    /// Lines of a log in a report.
    pub log_lines: u32,
}

impl Runner<'_> {
    /// Runs a task to its end, and prints what its container writes. Gives its ARN.
    ///
    /// # Errors
    /// When it does not start, fails, or takes longer than it may; a task that does is stopped.
    pub async fn run(
        &self,
        request: &RunTask,
        definition: &Definition,
        container: &str,
        variable: &str,
        limit: Duration,
    ) -> Result<String, Failure> {
        let containers = definition.containers();
        let task = self.ecs.run_task(request, self.journal).await?;
        let arn = task.task_arn.clone();
        let (id, family) = (task.id().to_owned(), short(&request.task_definition));
        tracing::info!("{variable}: started task `{id}` of `{family}`");
        let start = Instant::now();
        let mut log = LogReader::new(&containers, container, &id);
        let (mut pause, mut status) = (FIRST_PAUSE, String::new());
        let task = loop {
            let look = self.ecs.tasks(std::slice::from_ref(&arn)).await;
            let found = match look {
                Ok(tasks) => tasks.into_iter().next(),
                Err(failure) if failure.may_pass() && start.elapsed() < limit => {
                    tracing::warn!("{}; looking again", failure.message());
                    Some(task.clone())
                }
                Err(failure) => return Err(failure),
            };
            let Some(found) = found else {
                return Err(Failure::new(format!(
                    "{variable}: the task `{id}` is gone, so how it ended is not known"
                )));
            };
            log.print(self.evidence).await;
            if found.is_stopped() {
                break found;
            }
            if found.last_status != status {
                status.clone_from(&found.last_status);
                tracing::info!("{variable}: {status}");
            }
            if start.elapsed() >= limit {
                self.ecs
                    .stop_task(&found, "it took longer than it may", self.journal)
                    .await?;
                return Err(Failure::new(format!(
                    "{variable}: the task `{id}` was stopped after {} s, the limit that {variable}_TIMEOUT sets",
                    limit.as_secs()
                ))
                .hint(format!("raise {variable}_TIMEOUT if it needs longer")));
            }
            sleep(pause.min(limit.saturating_sub(start.elapsed()))).await;
            pause = LONGEST_PAUSE.min(pause * 3 / 2);
        };
        log.print(self.evidence).await;
        let Some(fault) = fault(&task, container) else {
            tracing::info!(
                "{variable}: the task `{id}` did its work in {} s",
                start.elapsed().as_secs()
            );
            return Ok(arn);
        };
        let search = Search {
            ecs: self.ecs,
            evidence: self.evidence,
            containers: &containers,
            log_lines: if log.has_printed { 0 } else { self.log_lines },
        };
        let findings = search.of_task(&task).await;
        self.journal.note(
            "failures",
            serde_json::to_value([&findings]).unwrap_or_default(),
        );
        Err(
            Failure::new(format!("{variable}: the task `{id}` failed: {fault}"))
                .fact(findings.text()),
        )
    }
}

/// Prints a container's log as it is written.
struct LogReader<'a> {
    container: Option<&'a Container>,
    stream: String,
    next: String,
    has_printed: bool,
    is_broken: bool,
}

impl<'a> LogReader<'a> {
    fn new(containers: &'a [Container], name: &str, task: &str) -> Self {
        let container = containers.iter().find(|container| container.name == name);
        let prefix = container
            .and_then(|container| container.logs.as_ref())
            .and_then(|logs| logs.prefix.as_deref());
        Self {
            stream: format!("{}/{name}/{task}", prefix.unwrap_or_default()),
            is_broken: prefix.is_none(),
            container,
            next: String::new(),
            has_printed: false,
        }
    }

    async fn print(&mut self, evidence: &Evidence) {
        let Some(logs) = self.container.and_then(|container| container.logs.as_ref()) else {
            return;
        };
        while !self.is_broken {
            match evidence
                .log_lines(logs, &self.stream, LINES, Some(&self.next))
                .await
            {
                Ok(found) => {
                    for line in &found.lines {
                        self.has_printed = true;
                        shared::log::line(format_args!("    {line}"));
                    }
                    let next = found.next.unwrap_or_default();
                    let is_end = found.lines.is_empty() || next == self.next;
                    self.next = next;
                    if is_end {
                        return;
                    }
                }
                Err(why) => {
                    tracing::warn!("{why}");
                    self.is_broken = true;
                }
            }
        }
    }
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
