//! Why tasks stopped: stopped tasks in, groups of the same cause out, each in words that say what to do. Pure.
//! ECS forgets a stopped task after about an hour, so what is not said while the pipeline runs is never known.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::task::{Container, Task};

mod meaning;

pub use self::meaning::{of_exit_code, of_text};

/// What tasks have in common that stopped for the same cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// ECS's code, such as `EssentialContainerExited`.
    pub stop_code: String,
    /// ECS's words, without what differs from task to task.
    pub stopped_reason: String,
    /// The container that is to blame.
    pub container: Option<String>,
    /// How it exited; none if it never ran.
    pub exit_code: Option<i64>,
    /// ECS's words about the container.
    pub container_reason: Option<String>,
    /// Whether its own health check failed.
    pub unhealthy: bool,
}

/// Tasks that stopped for the same cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The cause.
    #[serde(flatten)]
    pub cause: Cause,
    /// Their ids, the one that stopped last first.
    pub tasks: Vec<String>,
}

impl Cause {
    /// The cause of a task's end.
    pub fn of(task: &Task) -> Self {
        let blamed = task
            .containers
            .iter()
            .min_by_key(|container| innocence(container));
        Self {
            stop_code: task.stop_code.clone().unwrap_or_default(),
            stopped_reason: general(task.stopped_reason.as_deref().unwrap_or_default()),
            container: blamed
                .filter(|container| innocence(container) < INNOCENT)
                .map(|container| container.name.clone()),
            exit_code: blamed.and_then(|container| container.exit_code),
            container_reason: blamed
                .and_then(|container| container.reason.as_deref())
                .map(general),
            unhealthy: blamed.is_some_and(is_unhealthy),
        }
    }

    /// Whether it is a fault, and not a task that was stopped because it was no longer needed, or for its machine.
    pub fn is_fault(&self) -> bool {
        let by_scheduler = self.stop_code == "ServiceSchedulerInitiated";
        let scaled = by_scheduler && self.stopped_reason.starts_with("Scaling activity");
        let of_the_machine = matches!(
            self.stop_code.as_str(),
            "SpotInterruption" | "TerminationNotice" | "UserInitiated"
        );
        !scaled && !of_the_machine
    }

    /// What happened, in one line.
    pub fn headline(&self) -> String {
        let container = self.container.as_deref().unwrap_or("?");
        let reason = self.container_reason.as_deref().unwrap_or_default();
        if [reason, self.stopped_reason.as_str()]
            .iter()
            .any(|text| text.contains("CannotPull"))
        {
            return format!("the image of `{container}` could not be pulled");
        }
        // What was told to stop for its health did not fail by itself, whatever its exit code.
        if self.stopped_reason.contains("ELB health checks") {
            return "the health check of the load balancer failed".to_owned();
        }
        if self.unhealthy || self.stopped_reason.contains("container health checks") {
            return format!("the health check of `{container}` failed");
        }
        match (&self.container, self.exit_code) {
            (Some(name), Some(code)) => match of_exit_code(code, reason) {
                Some(meaning) => format!("`{name}` exited with code {code}: {meaning}"),
                None => format!("`{name}` exited with code {code}"),
            },
            (Some(name), None) if self.stop_code == "TaskFailedToStart" => {
                format!("`{name}` never started")
            }
            _ if self.stop_code.is_empty() => "stopped".to_owned(),
            _ => format!("stopped: {}", self.stop_code),
        }
    }

    /// ECS's own words, each once.
    pub fn words(&self) -> Vec<&str> {
        let mut words = vec![self.stopped_reason.as_str()];
        if let Some(reason) = self.container_reason.as_deref()
            && !self.stopped_reason.contains(reason)
        {
            words.push(reason);
        }
        words.retain(|text| !text.is_empty());
        words
    }

    /// What to do, if that is known.
    pub fn advice(&self) -> Option<&'static str> {
        let reason = self.container_reason.as_deref().unwrap_or_default();
        of_text(reason).or_else(|| of_text(&self.stopped_reason))
    }
}

/// Groups tasks by their cause, the commonest first; those that were merely scaled away are left out.
pub fn group(tasks: &[Task]) -> Vec<Group> {
    let mut newest_first: Vec<&Task> = tasks.iter().collect();
    newest_first.sort_by(|one, other| {
        let at = |task: &Task| task.stopped_at.unwrap_or_default();
        at(other).total_cmp(&at(one))
    });
    let mut groups: BTreeMap<Cause, Vec<String>> = BTreeMap::new();
    for task in newest_first {
        let cause = Cause::of(task);
        let scaled = cause.stopped_reason.starts_with("Scaling activity");
        if !scaled {
            groups.entry(cause).or_default().push(task.id().to_owned());
        }
    }
    let mut groups: Vec<Group> = groups
        .into_iter()
        .map(|(cause, tasks)| Group { cause, tasks })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.tasks.len()));
    groups
}

/// The brake: the fault that ended at least `limit` tasks, 0 meaning no limit.
pub fn crash_loop(groups: &[Group], limit: u32) -> Option<&Group> {
    groups
        .iter()
        .find(|group| limit > 0 && group.cause.is_fault() && group.tasks.len() >= limit as usize)
}

/// From here on a container is not to blame.
const INNOCENT: u8 = 8;

/// How little a container is to blame for the end of its task, 0 being the most to blame: the others are stopped when
/// one essential container ends, with SIGTERM (143) and then SIGKILL (137).
fn innocence(container: &Container) -> u8 {
    let reason = container.reason.as_deref().unwrap_or_default();
    match container.exit_code {
        _ if reason.contains("CannotPull") || reason.contains("OutOfMemory") => 0,
        Some(code) if ![0, 137, 143].contains(&code) => 1,
        _ if is_unhealthy(container) => 2,
        _ if reason.contains("Error") => 3,
        Some(137) => 4,
        Some(143) => 5,
        Some(_) => 6,
        None if !reason.is_empty() => 7,
        None => INNOCENT,
    }
}

fn is_unhealthy(container: &Container) -> bool {
    container.health_status.as_deref() == Some("UNHEALTHY")
}

/// Takes out what differs from task to task: ids, addresses, counters of attempts.
fn general(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let core = word.trim_matches(|each: char| !each.is_ascii_alphanumeric());
        let is_address = !core.is_empty()
            && core.contains('.')
            && core
                .split([':', '/'])
                .next()
                .is_some_and(|host| host.parse::<std::net::IpAddr>().is_ok());
        let is_id = core.len() >= 16
            && core
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
            && core.bytes().any(|byte| byte.is_ascii_digit());
        words.push(if is_address || is_id {
            word.replace(core, "…")
        } else {
            word.to_owned()
        });
    }
    words.join(" ")
}

#[cfg(test)]
mod tests;
