//! From the pipe's variables to valid settings: pure, and all faults at once.
//! Names and meanings are those of the pipe that people come from, and the same words of ECS's API for what it had not.

mod choices;
mod waiting;

use std::time::Duration;

use serde::Deserialize;
use shared::edits::{EditFields as MapFields, Edits as MapEdits, Entries};
use shared::{Faults, Field, List, Settings};

pub use self::choices::{Cluster, CommandLine, CommandName, Members, PauseHook, ServiceName};
pub use self::waiting::Wait;
use crate::definition::{ContainerImage, Cpu, EditFields, Edits, Image, Memory};

/// A migration of a large table takes its time.
const DEFAULT_TASK_TIMEOUT: u32 = 1800;
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

/// What CodeDeploy calls a service, and how it deploys it.
#[derive(Debug, Default)]
pub struct CodeDeployWishes {
    /// The application; none for the name that the console gives it.
    pub application: Option<String>,
    /// The deployment group, in the same way.
    pub group: Option<String>,
    /// A file with an AppSpec; none for one that is made.
    pub app_spec: Option<String>,
}

/// What is wished of the services themselves.
#[derive(Debug, Default)]
pub struct ServiceWishes {
    /// A file with members of CreateService.
    pub file: Option<String>,
    /// Whether a service that does not exist is created from it.
    pub create: bool,
    /// Tasks wished.
    pub desired_count: Option<u32>,
    /// Further members by name, which come before those of the file.
    pub members: Vec<(&'static str, serde_json::Value)>,
    /// Tags.
    pub tags: MapEdits,
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
        let needed_by = needed_by
            .iter()
            .find(|(_, is_set)| *is_set)
            .map(|(name, _)| *name);
        let wait = waiting::wait(asked, command, needed_by, faults);

        // A task can be run without a service: the network comes from NETWORK_CONFIGURATION or SERVICE_DEFINITION then.
        let services = match command {
            CommandName::RunTask => faults.optional("SERVICE_NAME", variables.service_name),
            _ => faults.required("SERVICE_NAME", variables.service_name),
        };
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
        let map = |set, unset, replace| MapFields {
            set,
            unset,
            replace,
        };
        let edits = Edits::new(
            EditFields {
                image: variables.image,
                images: variables.images,
                environment: map(
                    variables.environment,
                    variables.environment_unset,
                    variables.environment_replace,
                ),
                secrets: map(
                    variables.secrets,
                    variables.secrets_unset,
                    variables.secrets_replace,
                ),
                cpu: variables.cpu,
                memory: variables.memory,
                tags: map(variables.tags, variables.tags_unset, variables.tags_replace),
            },
            faults,
        );
        let members = [
            (
                "DEPLOYMENT_CONFIGURATION",
                "deploymentConfiguration",
                variables.deployment_configuration,
            ),
            (
                "NETWORK_CONFIGURATION",
                "networkConfiguration",
                variables.network_configuration,
            ),
            (
                "CAPACITY_PROVIDERS",
                "capacityProviderStrategy",
                variables.capacity_providers,
            ),
        ];
        let service = ServiceWishes {
            file: faults
                .optional("SERVICE_DEFINITION", variables.service_definition)
                .map(|text| text.trim().to_owned()),
            create: faults
                .optional("CREATE_SERVICE", variables.create_service)
                .unwrap_or(false),
            desired_count: faults.optional("DESIRED_COUNT", variables.desired_count),
            members: members
                .into_iter()
                .filter_map(|(name, member, field)| Some((member, faults.optional(name, field)?.0)))
                .collect(),
            tags: MapEdits::new(
                "SERVICE_TAGS",
                map(
                    variables.service_tags,
                    variables.service_tags_unset,
                    variables.service_tags_replace,
                ),
                faults,
            ),
        };
        if service.create && service.file.is_none() {
            faults.add(
                "CREATE_SERVICE",
                "needs SERVICE_DEFINITION, the file from which it is created",
            );
        }
        let keep_revisions = faults
            .optional("KEEP_REVISIONS", variables.keep_revisions)
            .map(|count| count as usize);
        if keep_revisions == Some(0) {
            faults.add("KEEP_REVISIONS", "unallowed value 0 (it is at least 1)");
        }
        let mut text = |name, field| {
            let text: Option<String> = faults.optional(name, field);
            text.map(|text| text.trim().to_owned())
        };
        let code_deploy = CodeDeployWishes {
            application: text("CODEDEPLOY_APPLICATION", variables.codedeploy_application),
            group: text("CODEDEPLOY_GROUP", variables.codedeploy_group),
            app_spec: text("CODEDEPLOY_APPSPEC", variables.codedeploy_appspec),
        };
        let log_lines = faults
            .optional("LOG_LINES", variables.log_lines)
            .unwrap_or(DEFAULT_LOG_LINES);
        Some(Self {
            cluster: cluster?,
            services: names,
            task_definition,
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

fn at_least_one(faults: &mut Faults, name: &str, field: Field<u32>, default: u32) -> u32 {
    let value = faults.optional(name, field).unwrap_or(default);
    if value == 0 {
        faults.add(name, "unallowed value 0 (it is at least 1)");
    }
    value
}

#[cfg(test)]
mod tests;
