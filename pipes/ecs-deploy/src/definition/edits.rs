//! What the variables change in a task definition: images, environment, secrets, size and tags; pure data, applied in
//! one go. Whatever is for one container is told by its name where there are several.

use serde_json::{Map, Value, json};
use shared::edits::{EditFields as MapFields, Edits as MapEdits};
use shared::{Faults, Field, FromText, List};

use super::{Fault, normal};

/// The variables that change a definition.
#[derive(Default)]
pub struct EditFields {
    /// IMAGE.
    pub image: Field<Image>,
    /// IMAGES.
    pub images: Field<List<ContainerImage>>,
    /// ENVIRONMENT, ENVIRONMENT_UNSET, ENVIRONMENT_REPLACE.
    pub environment: MapFields,
    /// SECRETS, SECRETS_UNSET, SECRETS_REPLACE: names and the ARNs of what they are read from.
    pub secrets: MapFields,
    /// CPU.
    pub cpu: Field<Cpu>,
    /// MEMORY.
    pub memory: Field<Memory>,
    /// TAGS, TAGS_UNSET, TAGS_REPLACE.
    pub tags: MapFields,
}

/// A reference such as `123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:1.2.3` or `web@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image(String);

impl FromText for Image {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:@".contains(&byte);
        let begins_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        // An undefined tag leaves `repository:`, of which AWS would say nothing before the first task fails.
        if begins_well && text.bytes().all(is_legal) && !text.ends_with([':', '/', '@']) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "unallowed value {text} (an image looks like `registry/repository:tag`)"
            ))
        }
    }
}

/// `container=image`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerImage {
    container: String,
    image: Image,
}

impl FromText for ContainerImage {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.split_once('=') {
            Some((container, image)) if !container.is_empty() => Ok(Self {
                container: container.to_owned(),
                image: Image::from_text(image)?,
            }),
            _ => Err(format!(
                "unallowed value {text} (it is `container=image`, such as `web=repository:tag`)"
            )),
        }
    }
}

/// The CPU of a task, in units or as `0.5 vCPU`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu(String);

impl FromText for Cpu {
    fn from_text(text: &str) -> Result<Self, String> {
        normal::cpu_units(text).map(Self).ok_or_else(|| {
            format!("unallowed value {text} (CPU is in units such as `256`, or as `0.25 vCPU`)")
        })
    }
}

/// The memory of a task, in MiB or as `2 GB`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory(String);

impl FromText for Memory {
    fn from_text(text: &str) -> Result<Self, String> {
        normal::memory_units(text).map(Self).ok_or_else(|| {
            format!("unallowed value {text} (memory is in MiB such as `512`, or as `0.5 GB`)")
        })
    }
}

/// All that is to be changed.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    image: Option<Image>,
    images: Vec<ContainerImage>,
    environment: MapEdits,
    secrets: MapEdits,
    cpu: Option<Cpu>,
    memory: Option<Memory>,
    tags: MapEdits,
}

impl Edits {
    /// From the variables; what is wrong is added to `faults`.
    #[must_use]
    pub fn new(fields: EditFields, faults: &mut Faults) -> Self {
        let image = faults.optional("IMAGE", fields.image);
        let images = faults.optional("IMAGES", fields.images);
        let images = images.map_or_else(Vec::new, |list| list.0);
        if image.is_some() && !images.is_empty() {
            faults.add("IMAGE", "cannot be given together with IMAGES");
        }
        for (index, ContainerImage { container, .. }) in images.iter().enumerate() {
            let mut before = images[..index].iter();
            if before.any(|other| other.container == *container) {
                faults.add("IMAGES", format!("`{container}` comes twice"));
            }
        }
        Self {
            image,
            images,
            environment: MapEdits::new("ENVIRONMENT", fields.environment, faults),
            secrets: MapEdits::new("SECRETS", fields.secrets, faults),
            cpu: faults.optional("CPU", fields.cpu),
            memory: faults.optional("MEMORY", fields.memory),
            tags: MapEdits::new("TAGS", fields.tags, faults),
        }
    }

    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            image,
            images,
            environment,
            secrets,
            cpu,
            memory,
            tags,
        } = self;
        image.is_none()
            && images.is_empty()
            && cpu.is_none()
            && memory.is_none()
            && [environment, secrets, tags]
                .iter()
                .all(|map| map.is_empty())
    }

    /// Changes the document of a definition.
    pub(super) fn apply(&self, document: &mut Value) -> Result<(), Fault> {
        let Some(Value::Array(containers)) = document.get_mut("containerDefinitions") else {
            return Err(Fault::new("it has no containers"));
        };
        self.apply_images(containers)?;
        for (variable, edits, list, value) in [
            ("ENVIRONMENT", &self.environment, "environment", "value"),
            ("SECRETS", &self.secrets, "secrets", "valueFrom"),
        ] {
            check_names(variable, edits, containers)?;
            let is_only = containers.len() == 1;
            for container in &mut *containers {
                let name = container["name"].as_str().unwrap_or_default().to_owned();
                let own = edits.select(|key| of_container(key, &name, is_only));
                // All that a container is not named for stays, also with _REPLACE.
                if own.keys().next().is_some() || is_only && !own.is_empty() {
                    apply_map(container, list, ("name", value), &own);
                }
            }
        }
        if !self.tags.is_empty() {
            apply_map(document, "tags", ("key", "value"), &self.tags);
        }
        if let Some(Cpu(units)) = &self.cpu {
            document["cpu"] = Value::from(units.as_str());
        }
        if let Some(Memory(units)) = &self.memory {
            document["memory"] = Value::from(units.as_str());
        }
        Ok(())
    }

    fn apply_images(&self, containers: &mut [Value]) -> Result<(), Fault> {
        if let Some(Image(image)) = &self.image {
            match &mut *containers {
                [only] => only["image"] = Value::from(image.as_str()),
                several => {
                    let names = names(several);
                    let first = several.first().and_then(|first| first["name"].as_str());
                    return Err(Fault::new(format!(
                        "IMAGE is for a single container, and there are {names}"
                    ))
                    .hint(format!(
                        "name it in IMAGES: `{}={image}`",
                        first.unwrap_or("web")
                    )));
                }
            }
        }
        for ContainerImage { container, image } in &self.images {
            let found = containers
                .iter_mut()
                .find(|each| each["name"] == container.as_str());
            match found {
                Some(found) => found["image"] = Value::from(image.0.as_str()),
                None => return Err(no_container("IMAGES", container, containers)),
            }
        }
        Ok(())
    }
}

/// A name of an environment variable or secret for this container, without the container's own name before it.
fn of_container<'a>(key: &'a str, container: &str, is_only: bool) -> Option<&'a str> {
    match key.split_once(':') {
        Some((name, key)) => (name == container).then_some(key),
        None => is_only.then_some(key),
    }
}

fn check_names(variable: &str, edits: &MapEdits, containers: &[Value]) -> Result<(), Fault> {
    for key in edits.keys() {
        match key.split_once(':') {
            Some((container, _)) if !containers.iter().any(|each| each["name"] == container) => {
                return Err(no_container(variable, container, containers));
            }
            None if containers.len() > 1 => {
                return Err(Fault::new(format!(
                    "`{key}` of {variable} does not say for which of the containers {} it is",
                    names(containers)
                ))
                .hint(format!("write the container before it: `web:{key}`")));
            }
            _ => {}
        }
    }
    Ok(())
}

fn no_container(variable: &str, container: &str, containers: &[Value]) -> Fault {
    Fault::new(format!(
        "{variable} names the container `{container}`, which it does not have; it has {}",
        names(containers)
    ))
    .hint(format!("write one of these names in {variable}"))
}

fn names(containers: &[Value]) -> String {
    let names: Vec<String> = containers
        .iter()
        .map(|container| format!("`{}`", container["name"].as_str().unwrap_or_default()))
        .collect();
    names.join(", ")
}

/// Changes a list of objects of a key and a value each. Other members of an entry stay as they are.
fn apply_map(parent: &mut Value, list: &str, (key, value): (&str, &str), edits: &MapEdits) {
    let live: Vec<Value> = parent[list].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let pairs = live
        .iter()
        .map(|entry| (text(entry, key), text(entry, value)));
    let edited: Vec<Value> = edits
        .apply(pairs)
        .into_iter()
        .map(|(name, new)| {
            let mut entry = live
                .iter()
                .find(|entry| text(entry, key) == name)
                .cloned()
                .unwrap_or_else(|| json!({ key: name }));
            entry[value] = Value::from(new);
            entry
        })
        .collect();
    if let Some(parent) = parent.as_object_mut() {
        replace(parent, list, edited);
    }
}

/// RegisterTaskDefinition refuses an empty list of tags; of the others none and empty are the same.
fn replace(parent: &mut Map<String, Value>, list: &str, entries: Vec<Value>) {
    if entries.is_empty() {
        parent.shift_remove(list);
    } else {
        parent.insert(list.to_owned(), Value::Array(entries));
    }
}
