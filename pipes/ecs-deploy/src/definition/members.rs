//! The members of RegisterTaskDefinition that are known here, and of which type they are: for a warning of the others,
//! which are sent all the same, and so that YAML's `8080` may stand where the API wants a text and `"8080"` where it
//! wants a number.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html>

use serde_json::Value;

use super::Fault;

/// A type of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Whole,
    Truth,
}

/// The members of the document itself.
const MEMBERS: &[&str] = &[
    "containerDefinitions",
    "cpu",
    "enableFaultInjection",
    "ephemeralStorage",
    "executionRoleArn",
    "family",
    "inferenceAccelerators",
    "ipcMode",
    "memory",
    "networkMode",
    "pidMode",
    "placementConstraints",
    "proxyConfiguration",
    "requiresCompatibilities",
    "runtimePlatform",
    "tags",
    "taskRoleArn",
    "volumes",
];

/// The members of a container.
const CONTAINER_MEMBERS: &[&str] = &[
    "command",
    "cpu",
    "credentialSpecs",
    "dependsOn",
    "disableNetworking",
    "dnsSearchDomains",
    "dnsServers",
    "dockerLabels",
    "dockerSecurityOptions",
    "entryPoint",
    "environment",
    "environmentFiles",
    "essential",
    "extraHosts",
    "firelensConfiguration",
    "healthCheck",
    "hostname",
    "image",
    "interactive",
    "links",
    "linuxParameters",
    "logConfiguration",
    "memory",
    "memoryReservation",
    "mountPoints",
    "name",
    "portMappings",
    "privileged",
    "pseudoTerminal",
    "readonlyRootFilesystem",
    "repositoryCredentials",
    "resourceRequirements",
    "restartPolicy",
    "secrets",
    "startTimeout",
    "stopTimeout",
    "systemControls",
    "ulimits",
    "user",
    "versionConsistency",
    "volumesFrom",
    "workingDirectory",
];

/// What is neither number nor truth in the API, but looks like one in many files. Elements of lists have the path of
/// their list.
const KINDS: &[(&str, Kind)] = &[
    ("cpu", Kind::Text),
    ("enableFaultInjection", Kind::Truth),
    ("ephemeralStorage.sizeInGiB", Kind::Whole),
    ("family", Kind::Text),
    ("memory", Kind::Text),
    ("proxyConfiguration.properties.value", Kind::Text),
    ("tags.key", Kind::Text),
    ("tags.value", Kind::Text),
    ("volumes.configuredAtLaunch", Kind::Truth),
    (
        "volumes.dockerVolumeConfiguration.autoprovision",
        Kind::Truth,
    ),
    ("volumes.dockerVolumeConfiguration.driverOpts.*", Kind::Text),
    ("volumes.dockerVolumeConfiguration.labels.*", Kind::Text),
    (
        "volumes.efsVolumeConfiguration.transitEncryptionPort",
        Kind::Whole,
    ),
    (
        "volumes.s3filesVolumeConfiguration.transitEncryptionPort",
        Kind::Whole,
    ),
    ("containerDefinitions.command", Kind::Text),
    ("containerDefinitions.cpu", Kind::Whole),
    ("containerDefinitions.disableNetworking", Kind::Truth),
    ("containerDefinitions.dockerLabels.*", Kind::Text),
    ("containerDefinitions.entryPoint", Kind::Text),
    ("containerDefinitions.environment.name", Kind::Text),
    ("containerDefinitions.environment.value", Kind::Text),
    ("containerDefinitions.essential", Kind::Truth),
    (
        "containerDefinitions.firelensConfiguration.options.*",
        Kind::Text,
    ),
    ("containerDefinitions.healthCheck.command", Kind::Text),
    ("containerDefinitions.healthCheck.interval", Kind::Whole),
    ("containerDefinitions.healthCheck.retries", Kind::Whole),
    ("containerDefinitions.healthCheck.startPeriod", Kind::Whole),
    ("containerDefinitions.healthCheck.timeout", Kind::Whole),
    ("containerDefinitions.hostname", Kind::Text),
    ("containerDefinitions.image", Kind::Text),
    ("containerDefinitions.interactive", Kind::Truth),
    (
        "containerDefinitions.linuxParameters.initProcessEnabled",
        Kind::Truth,
    ),
    ("containerDefinitions.linuxParameters.maxSwap", Kind::Whole),
    (
        "containerDefinitions.linuxParameters.sharedMemorySize",
        Kind::Whole,
    ),
    (
        "containerDefinitions.linuxParameters.swappiness",
        Kind::Whole,
    ),
    (
        "containerDefinitions.linuxParameters.tmpfs.size",
        Kind::Whole,
    ),
    (
        "containerDefinitions.logConfiguration.options.*",
        Kind::Text,
    ),
    ("containerDefinitions.memory", Kind::Whole),
    ("containerDefinitions.memoryReservation", Kind::Whole),
    ("containerDefinitions.mountPoints.readOnly", Kind::Truth),
    ("containerDefinitions.name", Kind::Text),
    (
        "containerDefinitions.portMappings.containerPort",
        Kind::Whole,
    ),
    (
        "containerDefinitions.portMappings.containerPortRange",
        Kind::Text,
    ),
    ("containerDefinitions.portMappings.hostPort", Kind::Whole),
    ("containerDefinitions.privileged", Kind::Truth),
    ("containerDefinitions.pseudoTerminal", Kind::Truth),
    ("containerDefinitions.readonlyRootFilesystem", Kind::Truth),
    (
        "containerDefinitions.resourceRequirements.value",
        Kind::Text,
    ),
    ("containerDefinitions.restartPolicy.enabled", Kind::Truth),
    (
        "containerDefinitions.restartPolicy.ignoredExitCodes",
        Kind::Whole,
    ),
    (
        "containerDefinitions.restartPolicy.restartAttemptPeriod",
        Kind::Whole,
    ),
    ("containerDefinitions.startTimeout", Kind::Whole),
    ("containerDefinitions.stopTimeout", Kind::Whole),
    ("containerDefinitions.systemControls.value", Kind::Text),
    ("containerDefinitions.ulimits.hardLimit", Kind::Whole),
    ("containerDefinitions.ulimits.softLimit", Kind::Whole),
    ("containerDefinitions.user", Kind::Text),
    ("containerDefinitions.volumesFrom.readOnly", Kind::Truth),
];

/// Lists of the API that people forget to make one.
const LISTS: &[&str] = &[
    "containerDefinitions",
    "requiresCompatibilities",
    "tags",
    "volumes",
];

/// The same in a container.
const CONTAINER_LISTS: &[&str] = &[
    "command",
    "dependsOn",
    "entryPoint",
    "environment",
    "mountPoints",
    "portMappings",
    "secrets",
];

/// Those of [`KINDS`] that are lists of it.
const LISTS_OF_KIND: &[&str] = &[
    "containerDefinitions.command",
    "containerDefinitions.entryPoint",
    "containerDefinitions.healthCheck.command",
    "containerDefinitions.restartPolicy.ignoredExitCodes",
];

/// The paths of the members that are not known.
pub(super) fn unknown(document: &Value) -> Vec<String> {
    let names = |value: &Value, known: &[&str], prefix: &str| {
        let names = value.as_object().into_iter().flat_map(|value| value.keys());
        names
            .filter(|name| !known.contains(&name.as_str()))
            .map(|name| format!("{prefix}{name}"))
            .collect::<Vec<_>>()
    };
    let mut unknown = names(document, MEMBERS, "");
    let containers = document["containerDefinitions"].as_array();
    for container in containers.into_iter().flatten() {
        let name = container["name"].as_str().unwrap_or_default();
        let prefix = format!("containerDefinitions[{name}].");
        unknown.extend(names(container, CONTAINER_MEMBERS, &prefix));
    }
    unknown
}

/// Gives values the types that the API wants, where nothing is lost by it.
pub(super) fn convert(document: &mut Value) -> Result<(), Fault> {
    lists(document, LISTS, "")?;
    let containers = document["containerDefinitions"].as_array();
    for (index, container) in containers.into_iter().flatten().enumerate() {
        if !container.is_object() {
            return Err(Fault::new(format!(
                "`containerDefinitions[{index}]` has to be an object"
            )));
        }
        let name = container["name"].as_str();
        let name = name.map_or_else(|| index.to_string(), str::to_owned);
        lists(
            container,
            CONTAINER_LISTS,
            &format!("containerDefinitions[{name}]."),
        )?;
    }
    convert_at(document, "", "")
}

fn lists(value: &Value, names: &[&str], prefix: &str) -> Result<(), Fault> {
    let mut names = names.iter();
    match names.find(|name| value.get(**name).is_some_and(|value| !value.is_array())) {
        Some(name) => Err(Fault::new(format!("`{prefix}{name}` has to be a list"))),
        None => Ok(()),
    }
}

/// `path` is for the table, `shown` for people.
fn convert_at(value: &mut Value, path: &str, shown: &str) -> Result<(), Fault> {
    let joined = |before: &str, name: &str| {
        if before.is_empty() {
            name.to_owned()
        } else {
            format!("{before}.{name}")
        }
    };
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                convert_at(value, &joined(path, name), &joined(shown, name))?;
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                let name = item["name"].as_str();
                let name = name.map_or_else(|| index.to_string(), str::to_owned);
                convert_at(item, path, &format!("{shown}[{name}]"))?;
            }
            if LISTS_OF_KIND.contains(&path) {
                return Ok(());
            }
        }
        _ => {}
    }
    let Some(kind) = kind(path) else {
        return Ok(());
    };
    let Some(converted) = converted(value, kind) else {
        let kind = match kind {
            Kind::Text => "a text",
            Kind::Whole => "a whole number",
            Kind::Truth => "`true` or `false`",
        };
        return Err(Fault::new(format!("`{shown}` has to be {kind}")));
    };
    *value = converted;
    Ok(())
}

fn kind(path: &str) -> Option<Kind> {
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(parent) => path.strip_prefix(parent).is_some_and(|key| !key.is_empty()),
        None => pattern == path,
    };
    let mut kinds = KINDS.iter();
    kinds
        .find(|(pattern, _)| fits(pattern))
        .map(|(_, kind)| *kind)
}

fn converted(value: &Value, kind: Kind) -> Option<Value> {
    match (kind, value) {
        (Kind::Text, Value::String(_)) | (Kind::Truth, Value::Bool(_)) => Some(value.clone()),
        (Kind::Whole, Value::Number(number)) => number.is_i64().then(|| value.clone()),
        (Kind::Text, Value::Number(_) | Value::Bool(_)) => Some(Value::from(value.to_string())),
        (Kind::Whole, Value::String(text)) => text.trim().parse::<i64>().ok().map(Value::from),
        (Kind::Truth, Value::String(text)) => match text.trim() {
            "true" | "True" => Some(Value::from(true)),
            "false" | "False" => Some(Value::from(false)),
            _ => None,
        },
        _ => None,
    }
}
