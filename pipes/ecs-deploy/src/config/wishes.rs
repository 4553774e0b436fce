//! What the variables wish of the task definition, of the services and of one-off tasks, each taken out of the variables
//! into a value of its own.

use std::mem::take;
use std::time::Duration;

use shared::edits::{EditFields as MapFields, Edits as MapEdits, Entries};
use shared::{Faults, Field, List};

use super::{CommandLine, Members, Variables, at_least_one};
use crate::definition::{EditFields, Edits};

/// A migration of a large table takes its time.
const DEFAULT_TASK_TIMEOUT: u32 = 1800;

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

/// What is changed in the task definition.
pub(super) fn edits(variables: &mut Variables, faults: &mut Faults) -> Edits {
    let fields = EditFields {
        image: take(&mut variables.image),
        images: take(&mut variables.images),
        environment: map(
            &mut variables.environment,
            &mut variables.environment_unset,
            &mut variables.environment_replace,
        ),
        secrets: map(
            &mut variables.secrets,
            &mut variables.secrets_unset,
            &mut variables.secrets_replace,
        ),
        cpu: take(&mut variables.cpu),
        memory: take(&mut variables.memory),
        tags: map(
            &mut variables.tags,
            &mut variables.tags_unset,
            &mut variables.tags_replace,
        ),
    };
    Edits::new(fields, faults)
}

fn map(
    set: &mut Field<Entries>,
    unset: &mut Field<List<String>>,
    replace: &mut Field<bool>,
) -> MapFields {
    MapFields {
        set: take(set),
        unset: take(unset),
        replace: take(replace),
    }
}

/// What is wished of the services.
pub(super) fn service(variables: &mut Variables, faults: &mut Faults) -> ServiceWishes {
    let mut members = Vec::new();
    let mut member = |name: &str, member: &'static str, field: &mut Field<Members>| {
        if let Some(Members(value)) = faults.optional(name, take(field)) {
            members.push((member, value));
        }
    };
    member(
        "DEPLOYMENT_CONFIGURATION",
        "deploymentConfiguration",
        &mut variables.deployment_configuration,
    );
    member(
        "NETWORK_CONFIGURATION",
        "networkConfiguration",
        &mut variables.network_configuration,
    );
    member(
        "CAPACITY_PROVIDERS",
        "capacityProviderStrategy",
        &mut variables.capacity_providers,
    );
    let create = faults.optional("CREATE_SERVICE", take(&mut variables.create_service));
    let file = text(
        "SERVICE_DEFINITION",
        &mut variables.service_definition,
        faults,
    );
    if create == Some(true) && file.is_none() {
        faults.add(
            "CREATE_SERVICE",
            "needs SERVICE_DEFINITION, the file from which it is created",
        );
    }
    let tags = map(
        &mut variables.service_tags,
        &mut variables.service_tags_unset,
        &mut variables.service_tags_replace,
    );
    ServiceWishes {
        file,
        create: create.unwrap_or(false),
        desired_count: faults.optional("DESIRED_COUNT", take(&mut variables.desired_count)),
        members,
        tags: MapEdits::new("SERVICE_TAGS", tags, faults),
    }
}

/// What CodeDeploy calls the service.
pub(super) fn code_deploy(variables: &mut Variables, faults: &mut Faults) -> CodeDeployWishes {
    let mut text = |name, field| text(name, field, faults);
    CodeDeployWishes {
        application: text(
            "CODEDEPLOY_APPLICATION",
            &mut variables.codedeploy_application,
        ),
        group: text("CODEDEPLOY_GROUP", &mut variables.codedeploy_group),
        app_spec: text("CODEDEPLOY_APPSPEC", &mut variables.codedeploy_appspec),
    }
}

fn text(name: &str, field: &mut Field<String>, faults: &mut Faults) -> Option<String> {
    let text = faults.optional(name, take(field))?;
    Some(text.trim().to_owned())
}

/// The tasks before, after, and of COMMAND run-task.
pub(super) fn tasks(variables: &mut Variables, faults: &mut Faults) -> [OneOff; 3] {
    let mut one_off = |name: &str,
                       command: &mut Field<CommandLine>,
                       container: &mut Field<String>,
                       timeout: &mut Field<u32>| {
        let command = faults.optional(name, take(command)).map(|line| line.0);
        let container = text(&format!("{name}_CONTAINER"), container, faults);
        let variable = format!("{name}_TIMEOUT");
        let timeout = at_least_one(faults, &variable, take(timeout), DEFAULT_TASK_TIMEOUT);
        OneOff {
            command,
            container,
            timeout: Duration::from_secs(timeout.into()),
        }
    };
    [
        one_off(
            "RUN_TASK_BEFORE",
            &mut variables.run_task_before,
            &mut variables.run_task_before_container,
            &mut variables.run_task_before_timeout,
        ),
        one_off(
            "RUN_TASK_AFTER",
            &mut variables.run_task_after,
            &mut variables.run_task_after_container,
            &mut variables.run_task_after_timeout,
        ),
        one_off(
            "RUN_TASK",
            &mut variables.run_task,
            &mut variables.run_task_container,
            &mut variables.run_task_timeout,
        ),
    ]
}
