//! From the pipe's variables to valid settings: pure, and all faults at once.
//! Names and meanings are those of the pipe that people come from, and the same words of ECS's API for what it had not.

mod choices;

use std::time::Duration;

use serde::Deserialize;
use shared::{Faults, Field, List, Settings};

pub use self::choices::{Cluster, CommandLine, CommandName, PauseHook, ServiceName};

/// As long as the existing pipe waited: 40 looks every 15 seconds.
const DEFAULT_INTERVAL: u32 = 15;
const DEFAULT_ATTEMPTS: u32 = 40;
/// A migration of a large table takes its time.
const DEFAULT_TASK_TIMEOUT: u32 = 1800;
/// Tasks that end for the same fault before a deployment is given up.
const DEFAULT_CRASH_LOOP_LIMIT: u32 = 3;
/// Lines of each failing container's log.
const DEFAULT_LOG_LINES: u32 = 20;
/// What reading, registering and updating take besides the waiting.
const MARGIN: Duration = Duration::from_mins(5);

/// What envy fills from the environment.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Variables {
    cluster_name: Field<Cluster>,
    service_name: Field<List<ServiceName>>,
    task_definition: Field<String>,
    command: Field<CommandName>,
    force_new_deployment: Field<bool>,
    desired_count: Field<u32>,
    wait: Field<bool>,
    wait_interval: Field<u32>,
    wait_max_attempts: Field<u32>,
    wait_timeout: Field<u32>,
    pause_hook: Field<PauseHook>,
    crash_loop_limit: Field<u32>,
    log_lines: Field<u32>,
    rollback: Field<bool>,
    rollback_siblings: Field<bool>,
    run_task_before: Field<CommandLine>,
    run_task_before_container: Field<String>,
    run_task_before_timeout: Field<u32>,
    run_task_after: Field<CommandLine>,
    run_task_after_container: Field<String>,
    run_task_after_timeout: Field<u32>,
    run_task: Field<CommandLine>,
    run_task_container: Field<String>,
    run_task_timeout: Field<u32>,
    fail_on_difference: Field<bool>,
    dry_run: Field<bool>,
}

/// The settings of one run.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the user's, and all combinations are valid"
)]
pub struct Config {
    /// Where the services are.
    pub cluster: Cluster,
    /// The services, each once.
    pub services: Vec<String>,
    /// A file, a family, `family:revision` or an ARN; none for what the service runs now.
    pub task_definition: Option<String>,
    /// What the run does.
    pub command: CommandName,
    /// Whether tasks are replaced even if nothing changed.
    pub force: bool,
    /// Tasks wished.
    pub desired_count: Option<u32>,
    /// How the end of a rollout is waited for; none if it is not.
    pub wait: Option<Wait>,
    /// Whether a failed deployment goes back to the last successful one.
    pub rollback: bool,
    /// Whether the other services of the list go back then too.
    pub rollback_siblings: bool,
    /// The task to run before the services are touched.
    pub before: Option<OneOff>,
    /// The task to run when they are done.
    pub after: Option<OneOff>,
    /// The task of COMMAND run-task.
    pub task: OneOff,
    /// Lines of each failing container's log in a report.
    pub log_lines: u32,
    /// Whether COMMAND diff fails when something differs.
    pub fail_on_difference: bool,
    /// Whether to stop after the plan.
    pub dry_run: bool,
}

/// How the end of a rollout is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The steady pause between two looks.
    pub interval: Duration,
    /// When to give up.
    pub timeout: Duration,
    /// What a pause hook gets.
    pub pause_hook: PauseHook,
    /// Tasks that end for the same fault before the deployment is given up; 0 for no limit.
    pub crash_loop_limit: u32,
}

/// A task to run once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OneOff {
    /// The command in place of the image's own.
    pub command: Option<Vec<String>>,
    /// The container that runs it; none if there is only one.
    pub container: Option<String>,
    /// How long it may take.
    pub timeout: Duration,
}

impl Settings for Config {
    type Variables = Variables;

    fn new(variables: Variables, faults: &mut Faults) -> Option<Self> {
        let command = faults
            .optional("COMMAND", variables.command)
            .unwrap_or_default();
        let mut one_off = |name: &str,
                           command: Field<CommandLine>,
                           container: Field<String>,
                           timeout: Field<u32>| {
            let command = faults.optional(name, command).map(|line| line.0);
            let container = faults.optional(&format!("{name}_CONTAINER"), container);
            let timeout = at_least_one(
                faults,
                &format!("{name}_TIMEOUT"),
                timeout,
                DEFAULT_TASK_TIMEOUT,
            );
            OneOff {
                command,
                container: container.map(|name| name.trim().to_owned()),
                timeout: Duration::from_secs(timeout.into()),
            }
        };
        let before = one_off(
            "RUN_TASK_BEFORE",
            variables.run_task_before,
            variables.run_task_before_container,
            variables.run_task_before_timeout,
        );
        let after = one_off(
            "RUN_TASK_AFTER",
            variables.run_task_after,
            variables.run_task_after_container,
            variables.run_task_after_timeout,
        );
        let task = one_off(
            "RUN_TASK",
            variables.run_task,
            variables.run_task_container,
            variables.run_task_timeout,
        );
        let given = |one_off: OneOff| one_off.command.is_some().then_some(one_off);
        let (before, after) = (given(before), given(after));

        let mut flag = |name, field| faults.optional(name, field).unwrap_or(false);
        let force = flag("FORCE_NEW_DEPLOYMENT", variables.force_new_deployment);
        let rollback = flag("ROLLBACK", variables.rollback);
        let rollback_siblings = flag("ROLLBACK_SIBLINGS", variables.rollback_siblings);
        let fail_on_difference = flag("FAIL_ON_DIFFERENCE", variables.fail_on_difference);
        let dry_run = flag("DRY_RUN", variables.dry_run);

        let asked = Asked {
            wait: variables.wait,
            interval: variables.wait_interval,
            attempts: variables.wait_max_attempts,
            timeout: variables.wait_timeout,
            pause_hook: variables.pause_hook,
            crash_loop_limit: variables.crash_loop_limit,
        };
        let needed_by = [
            ("ROLLBACK", rollback),
            ("ROLLBACK_SIBLINGS", rollback_siblings),
            ("RUN_TASK_AFTER", after.is_some()),
        ];
        let needed_by = needed_by
            .iter()
            .find(|(_, is_set)| *is_set)
            .map(|(name, _)| *name);
        let wait = wait(asked, command, needed_by, faults);

        let services = faults.required("SERVICE_NAME", variables.service_name);
        let mut names: Vec<String> = Vec::new();
        for ServiceName(name) in services.into_iter().flat_map(|list| list.0) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let cluster = faults.required("CLUSTER_NAME", variables.cluster_name);
        let task_definition = faults
            .optional("TASK_DEFINITION", variables.task_definition)
            .map(|text| text.trim().to_owned());
        let desired_count = faults.optional("DESIRED_COUNT", variables.desired_count);
        let log_lines = faults
            .optional("LOG_LINES", variables.log_lines)
            .unwrap_or(DEFAULT_LOG_LINES);
        Some(Self {
            cluster: cluster?,
            services: names,
            task_definition,
            command,
            force,
            desired_count,
            wait,
            rollback,
            rollback_siblings,
            before,
            after,
            task,
            log_lines,
            fail_on_difference,
            dry_run,
        })
    }

    fn deadline(&self) -> Duration {
        let tasks = [&self.before, &self.after]
            .into_iter()
            .flatten()
            .map(|one_off| one_off.timeout)
            .sum::<Duration>();
        let of_command = match self.command {
            CommandName::RunTask => self.task.timeout,
            _ => Duration::ZERO,
        };
        // The way back may take as long as the way there.
        let waiting = self.wait.map_or(Duration::ZERO, |wait| wait.timeout * 2);
        MARGIN + tasks + of_command + waiting
    }
}

struct Asked {
    wait: Field<bool>,
    interval: Field<u32>,
    attempts: Field<u32>,
    timeout: Field<u32>,
    pause_hook: Field<PauseHook>,
    crash_loop_limit: Field<u32>,
}

/// Whether and how the end is waited for. Without WAIT it is not, as in the existing pipe, unless something was asked
/// for that only the end can tell.
fn wait(
    asked: Asked,
    command: CommandName,
    needed_by: Option<&str>,
    faults: &mut Faults,
) -> Option<Wait> {
    let interval = at_least_one(faults, "WAIT_INTERVAL", asked.interval, DEFAULT_INTERVAL);
    let attempts = at_least_one(
        faults,
        "WAIT_MAX_ATTEMPTS",
        asked.attempts,
        DEFAULT_ATTEMPTS,
    );
    let product = interval.saturating_mul(attempts);
    let timeout = at_least_one(faults, "WAIT_TIMEOUT", asked.timeout, product.max(1));
    let pause_hook = faults.optional("PAUSE_HOOK", asked.pause_hook);
    let crash_loop_limit = faults.optional("CRASH_LOOP_LIMIT", asked.crash_loop_limit);
    let wished = faults.optional("WAIT", asked.wait);
    if let (Some(false), Some(name)) = (wished, needed_by) {
        faults.add(
            "WAIT",
            format!("unallowed value false ({name} needs the end of the rollout)"),
        );
    }
    // A rollback that nobody watches would be a hope.
    let default = needed_by.is_some() || command == CommandName::Rollback;
    wished.unwrap_or(default).then(|| Wait {
        interval: Duration::from_secs(interval.into()),
        timeout: Duration::from_secs(timeout.into()),
        pause_hook: pause_hook.unwrap_or_default(),
        crash_loop_limit: crash_loop_limit.unwrap_or(DEFAULT_CRASH_LOOP_LIMIT),
    })
}

fn at_least_one(faults: &mut Faults, name: &str, field: Field<u32>, default: u32) -> u32 {
    let value = faults.optional(name, field).unwrap_or(default);
    if value == 0 {
        faults.add(name, "unallowed value 0 (it is at least 1)");
    }
    value
}

#[cfg(test)]
mod tests;
