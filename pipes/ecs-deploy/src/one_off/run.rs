//! The way of a one-off task to its end, with its container's log as it is written.

use std::time::Duration;

use shared::{Failure, Journal};
use tokio::time::{Instant, sleep};

use super::fault;
use crate::aws::{Ecs, Evidence, RunTask};
use crate::definition::{Container, Definition};
use crate::findings::Search;
use crate::service::short;

/// Pauses between two looks.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(6);
/// Log lines that one look takes.
const LINES: i32 = 1000;
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
