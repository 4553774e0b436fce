//! The normal form of a definition: defaults that AWS fills in are filled in, sets are sorted, units are numbers, what is
//! empty is gone. Two definitions with the same normal form run the same tasks, however they were written.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html>

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

/// Lists that are sets, and the members by which their entries are told apart; without one the entry itself.
const SETS: &[(&str, &[&str])] = &[
    ("containerDefinitions", &["name"]),
    ("inferenceAccelerators", &["deviceName"]),
    ("placementConstraints", &["type", "expression"]),
    ("proxyConfiguration.properties", &["name"]),
    ("requiresCompatibilities", &[]),
    ("tags", &["key"]),
    ("volumes", &["name"]),
    ("containerDefinitions.credentialSpecs", &[]),
    ("containerDefinitions.dependsOn", &["containerName"]),
    ("containerDefinitions.dockerSecurityOptions", &[]),
    ("containerDefinitions.environment", &["name"]),
    (
        "containerDefinitions.extraHosts",
        &["hostname", "ipAddress"],
    ),
    ("containerDefinitions.links", &[]),
    ("containerDefinitions.linuxParameters.capabilities.add", &[]),
    (
        "containerDefinitions.linuxParameters.capabilities.drop",
        &[],
    ),
    (
        "containerDefinitions.linuxParameters.devices",
        &["hostPath", "containerPath"],
    ),
    (
        "containerDefinitions.linuxParameters.tmpfs",
        &["containerPath"],
    ),
    (
        "containerDefinitions.logConfiguration.secretOptions",
        &["name"],
    ),
    (
        "containerDefinitions.mountPoints",
        &["containerPath", "sourceVolume"],
    ),
    (
        "containerDefinitions.portMappings",
        &["containerPort", "hostPort", "protocol", "name"],
    ),
    (
        "containerDefinitions.resourceRequirements",
        &["type", "value"],
    ),
    ("containerDefinitions.restartPolicy.ignoredExitCodes", &[]),
    ("containerDefinitions.secrets", &["name"]),
    ("containerDefinitions.systemControls", &["namespace"]),
    ("containerDefinitions.ulimits", &["name"]),
    ("containerDefinitions.volumesFrom", &["sourceContainer"]),
];

/// Members that are the same as none when they have this value.
const FALSE_BY_DEFAULT: &[&str] = &[
    "disableNetworking",
    "interactive",
    "privileged",
    "pseudoTerminal",
    "readonlyRootFilesystem",
];

/// The normal form of a document of RegisterTaskDefinition.
pub(super) fn form(document: &Value) -> Value {
    let mut document = document.clone();
    let network_mode = document["networkMode"]
        .as_str()
        .unwrap_or("bridge")
        .to_owned();
    if let Some(document) = document.as_object_mut() {
        units(document);
        fill(document, "networkMode", json!("bridge"));
        forget(document, "enableFaultInjection", &json!(false));
        // AWS leaves out what is not set; what stands in for AWS may say "".
        document.retain(|_, value| value.as_str() != Some(""));
        if let Some(Value::Object(platform)) = document.get_mut("runtimePlatform") {
            fill(platform, "operatingSystemFamily", json!("LINUX"));
            fill(platform, "cpuArchitecture", json!("X86_64"));
        }
        if let Some(Value::Object(proxy)) = document.get_mut("proxyConfiguration") {
            fill(proxy, "type", json!("APPMESH"));
        }
        for volume in objects(document.get_mut("volumes")) {
            fill_volume(volume);
        }
        for container in objects(document.get_mut("containerDefinitions")) {
            fill_container(container, &network_mode);
        }
    }
    sort(&mut document, "");
    without_empty(&mut document);
    document
}

/// CPU units of `1024`, `1 vCPU` or `.5vcpu`.
pub(super) fn cpu_units(text: &str) -> Option<String> {
    scaled(text, "vcpu")
}

/// MiB of `2048`, `2 GB` or `.5gb`.
pub(super) fn memory_units(text: &str) -> Option<String> {
    scaled(text, "gb")
}

/// AWS takes a number of the smaller unit, or one of the larger unit, which has 1024 of it.
fn scaled(text: &str, unit: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let number = match text.strip_suffix(unit) {
        Some(number) => number.trim().parse::<f64>().ok()? * 1024.0,
        None => f64::from(text.parse::<u32>().ok()?),
    };
    (number >= 1.0 && number.fract() == 0.0 && number < f64::from(u32::MAX))
        .then(|| format!("{number:.0}"))
}

fn units(document: &mut Map<String, Value>) {
    for (name, in_units) in [
        ("cpu", cpu_units as fn(&str) -> Option<String>),
        ("memory", memory_units),
    ] {
        if let Some(units) = document
            .get(name)
            .and_then(Value::as_str)
            .and_then(in_units)
        {
            document.insert(name.to_owned(), Value::from(units));
        }
    }
}

fn fill_volume(volume: &mut Map<String, Value>) {
    forget(volume, "configuredAtLaunch", &json!(false));
    if let Some(Value::Object(efs)) = volume.get_mut("efsVolumeConfiguration") {
        fill(efs, "rootDirectory", json!("/"));
        fill(efs, "transitEncryption", json!("DISABLED"));
        if let Some(Value::Object(authorization)) = efs.get_mut("authorizationConfig") {
            fill(authorization, "iam", json!("DISABLED"));
        }
    }
    if let Some(Value::Object(docker)) = volume.get_mut("dockerVolumeConfiguration") {
        fill(docker, "scope", json!("task"));
        forget(docker, "autoprovision", &json!(false));
    }
}

fn fill_container(container: &mut Map<String, Value>, network_mode: &str) {
    fill(container, "essential", json!(true));
    fill(container, "cpu", json!(0));
    forget(container, "versionConsistency", &json!("enabled"));
    for name in FALSE_BY_DEFAULT {
        forget(container, name, &json!(false));
    }
    for mapping in objects(container.get_mut("portMappings")) {
        fill(mapping, "protocol", json!("tcp"));
        // With an interface or a host of its own a container has no other host port than its own.
        let host_port = match (network_mode, mapping.get("containerPort")) {
            ("awsvpc" | "host", Some(port)) => port.clone(),
            (_, Some(_)) => json!(0),
            (_, None) => continue,
        };
        let is_open = mapping.get("hostPort").is_none_or(|port| *port == 0);
        if is_open {
            mapping.insert("hostPort".to_owned(), host_port);
        }
    }
    if let Some(Value::Object(check)) = container.get_mut("healthCheck") {
        fill(check, "interval", json!(30));
        fill(check, "timeout", json!(5));
        fill(check, "retries", json!(3));
        forget(check, "startPeriod", &json!(0));
    }
    for mount in objects(container.get_mut("mountPoints")) {
        fill(mount, "readOnly", json!(false));
    }
    for volumes in objects(container.get_mut("volumesFrom")) {
        fill(volumes, "readOnly", json!(false));
    }
    if let Some(Value::Object(policy)) = container.get_mut("restartPolicy") {
        fill(policy, "restartAttemptPeriod", json!(300));
    }
}

fn objects(list: Option<&mut Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let items = list.and_then(Value::as_array_mut);
    items.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn fill(object: &mut Map<String, Value>, name: &str, default: Value) {
    object.entry(name).or_insert(default);
}

fn forget(object: &mut Map<String, Value>, name: &str, default: &Value) {
    if object.get(name) == Some(default) {
        object.shift_remove(name);
    }
}

/// Sorts the sets; elements of lists have the path of their list.
fn sort(value: &mut Value, path: &str) {
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                sort(value, &path);
            }
        }
        Value::Array(items) => {
            for item in &mut *items {
                sort(item, path);
            }
            let mut sets = SETS.iter();
            if let Some((_, keys)) = sets.find(|(set, _)| *set == path) {
                items.sort_by(|a, b| order(a, b, keys));
            }
        }
        _ => {}
    }
}

fn order(a: &Value, b: &Value, keys: &[&str]) -> Ordering {
    let by_keys = keys
        .iter()
        .map(|key| compared(&a[*key], &b[*key]))
        .find(|order| order.is_ne());
    by_keys.unwrap_or_else(|| {
        if keys.is_empty() {
            compared(a, b)
        } else {
            // Two entries of one name: AWS lets the last one count, so they stay as they are.
            Ordering::Equal
        }
    })
}

fn compared(a: &Value, b: &Value) -> Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.to_string().cmp(&b.to_string()),
    }
}

/// AWS answers with empty lists and objects where a file has nothing.
fn without_empty(value: &mut Value) {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Object(entries) => entries.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(entries) => {
            entries.values_mut().for_each(without_empty);
            entries.retain(|_, value| !is_empty(value));
        }
        Value::Array(items) => items.iter_mut().for_each(without_empty),
        _ => {}
    }
}
