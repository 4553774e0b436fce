//! From the pipe's variables to valid settings: pure, and all faults at once.
//! Names and meanings are those of the pipe that people come from, and the same words of ECS's API for what it had not.

mod choices;
mod waiting;
mod wishes;

use std::time::Duration;

use serde::Deserialize;
use shared::edits::Entries;
use shared::{Faults, Field, List, Settings};

pub use self::choices::{Cluster, CommandLine, CommandName, Members, PauseHook, ServiceName};
pub use self::waiting::Wait;
pub use self::wishes::{CodeDeployWishes, OneOff, ServiceWishes};
use crate::definition::{ContainerImage, Cpu, Edits, Image, Memory};

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
    image: Field<Image>,
    images: Field<List<ContainerImage>>,
    environment: Field<Entries>,
    environment_unset: Field<List<String>>,
    environment_replace: Field<bool>,
    secrets: Field<Entries>,
    secrets_unset: Field<List<String>>,
    secrets_replace: Field<bool>,
    cpu: Field<Cpu>,
    memory: Field<Memory>,
    tags: Field<Entries>,
    tags_unset: Field<List<String>>,
    tags_replace: Field<bool>,
    pin_digest: Field<bool>,
    schedules: Field<bool>,
    keep_revisions: Field<u32>,
    codedeploy_application: Field<String>,
    codedeploy_group: Field<String>,
    codedeploy_appspec: Field<String>,
    force_new_deployment: Field<bool>,
    desired_count: Field<u32>,
    deployment_configuration: Field<Members>,
    network_configuration: Field<Members>,
    capacity_providers: Field<Members>,
    service_definition: Field<String>,
    create_service: Field<bool>,
    service_tags: Field<Entries>,
    service_tags_unset: Field<List<String>>,
    service_tags_replace: Field<bool>,
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
    /// What is changed in the task definition.
    pub edits: Edits,
    /// Whether the images of ECR are registered by their digests.
    pub pin_digest: bool,
    /// Whether schedules of the family move to the new revision.
    pub schedules: bool,
    /// How many of the family's newest revisions stay; none if all do.
    pub keep_revisions: Option<usize>,
    /// What CodeDeploy calls the service, and how it deploys it.
    pub code_deploy: CodeDeployWishes,
    /// Whether tasks are replaced even if nothing changed.
    pub force: bool,
    /// What is wished of the services.
    pub service: ServiceWishes,
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

impl Settings for Config {
    type Variables = Variables;

    fn new(mut variables: Variables, faults: &mut Faults) -> Option<Self> {
        let edits = wishes::edits(&mut variables, faults);
        let service = wishes::service(&mut variables, faults);
        let code_deploy = wishes::code_deploy(&mut variables, faults);
        let [before, after, task] = wishes::tasks(&mut variables, faults);
        let given = |one_off: OneOff| one_off.command.is_some().then_some(one_off);
        let (before, after) = (given(before), given(after));
        let command = faults
            .optional("COMMAND", variables.command)
            .unwrap_or_default();
        let mut flag = |name, field| faults.optional(name, field).unwrap_or(false);
        let force = flag("FORCE_NEW_DEPLOYMENT", variables.force_new_deployment);
        let rollback = flag("ROLLBACK", variables.rollback);
        let rollback_siblings = flag("ROLLBACK_SIBLINGS", variables.rollback_siblings);
        let fail_on_difference = flag("FAIL_ON_DIFFERENCE", variables.fail_on_difference);
        let dry_run = flag("DRY_RUN", variables.dry_run);
        let pin_digest = flag("PIN_DIGEST", variables.pin_digest);
        let schedules = flag("SCHEDULES", variables.schedules);
        let asked = waiting::Asked {
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
            ("SCHEDULES", schedules),
        ];
        let needed_by = needed_by.iter().find(|(_, is_set)| *is_set);
        let wait = waiting::wait(asked, command, needed_by.map(|(name, _)| *name), faults);
        // A task can be run without a service: the network comes from NETWORK_CONFIGURATION or SERVICE_DEFINITION then.
        let services = match command {
            CommandName::RunTask => faults.optional("SERVICE_NAME", variables.service_name),
            _ => faults.required("SERVICE_NAME", variables.service_name),
        };
        let cluster = faults.required("CLUSTER_NAME", variables.cluster_name);
        let task_definition = faults.optional("TASK_DEFINITION", variables.task_definition);
        let keep_revisions = faults
            .optional("KEEP_REVISIONS", variables.keep_revisions)
            .map(|count| count as usize);
        if keep_revisions == Some(0) {
            faults.add("KEEP_REVISIONS", "unallowed value 0 (it is at least 1)");
        }
        let log_lines = faults
            .optional("LOG_LINES", variables.log_lines)
            .unwrap_or(DEFAULT_LOG_LINES);
        Some(Self {
            cluster: cluster?,
            services: each_once(services),
            task_definition: task_definition.map(|text| text.trim().to_owned()),
            command,
            edits,
            pin_digest,
            schedules,
            keep_revisions,
            code_deploy,
            force,
            service,
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

fn each_once(services: Option<List<ServiceName>>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for ServiceName(name) in services.into_iter().flat_map(|list| list.0) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
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
