//! A task definition as a document in the form of RegisterTaskDefinition: read from a file or from AWS, edited, compared
//! and sent, all without a type of our own for it, so that members newer than this program pass through untouched.

mod edits;
mod members;
mod normal;

use serde_json::{Map, Value};
use shared::difference::{Change, Mask, difference};
use shared::{Environment, Failure, document};

pub use self::edits::{ContainerImage, Cpu, EditFields, Edits, Image, Memory};

/// What DescribeTaskDefinition adds and RegisterTaskDefinition does not take.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskDefinition.html>
const READ_ONLY: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// The document of RegisterTaskDefinition: read-only members dropped, unknown ones kept. It has no `Debug` that shows
/// values: the environment of a container may hold secrets.
#[derive(Clone, PartialEq)]
pub struct Definition(Value);

/// One answer of DescribeTaskDefinition.
#[derive(Clone, Debug)]
pub struct Revision {
    /// Its ARN.
    pub arn: String,
    /// `ACTIVE`, `INACTIVE` or `DELETE_IN_PROGRESS`.
    pub status: String,
    /// What it says.
    pub definition: Definition,
}

/// A container of the definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Whether the task ends with it.
    pub essential: bool,
    /// Where its log goes.
    pub logs: Option<AwsLogs>,
    /// The container ports, for a load balancer.
    pub ports: Vec<u64>,
}

/// The options of the log driver awslogs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsLogs {
    /// The group.
    pub group: String,
    /// The region, if it is named.
    pub region: Option<String>,
    /// The prefix of the streams.
    pub prefix: Option<String>,
}

impl std::fmt::Debug for Definition {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Definition({})", self.family())
    }
}

impl Definition {
    /// From the text of a file: as RegisterTaskDefinition takes it, or as `describe-task-definition` prints it.
    ///
    /// # Errors
    /// When it is broken, says what no definition can say, or names a variable that is not defined.
    pub fn from_file(text: &str, path: &str, environment: &Environment) -> Result<Self, Failure> {
        let refused = |fault: Fault| fault.failure(&format!("could not use `{path}`"));
        // The existing pipe's own words stand first.
        let broken =
            "Failed to parse the task definition file: invalid JSON provided. Could not read";
        let document = document::read_as(broken, path, text, environment)?;
        let definition = Self::new(document).map_err(refused)?;
        for member in members::unknown(&definition.0) {
            tracing::warn!("`{member}` of `{path}` is not known here, and sent on as it is");
        }
        definition.check_shape().map_err(refused)?;
        Ok(definition)
    }

    fn new(document: Value) -> Result<Self, Fault> {
        let Value::Object(document) = document else {
            return Err(Fault::new("it is no object of a task definition"));
        };
        let mut document = unwrapped(document);
        if document.contains_key("ContainerDefinitions") || document.contains_key("Resources") {
            return Err(Fault::new("it has the form of CloudFormation").hint(
                "the members of RegisterTaskDefinition begin with small letters: `containerDefinitions`",
            ));
        }
        for name in READ_ONLY {
            document.shift_remove(name);
        }
        let mut document = Value::Object(document);
        without_nulls(&mut document);
        without_reserved_tags(&mut document);
        members::convert(&mut document)?;
        Ok(Self(document))
    }

    /// What makes it a definition at all.
    fn check_shape(&self) -> Result<(), Fault> {
        if self.family().is_empty() {
            return Err(Fault::new("it has no `family`"));
        }
        let containers = self.containers();
        if containers.is_empty() {
            return Err(Fault::new("it has no containers")
                .hint("a task definition has at least one in `containerDefinitions`"));
        }
        for (index, container) in containers.iter().enumerate() {
            let name = &container.name;
            if name.is_empty() {
                return Err(Fault::new(format!(
                    "`containerDefinitions[{index}]` has no `name`"
                )));
            }
            if containers[..index].iter().any(|other| other.name == *name) {
                return Err(Fault::new(format!("two containers are named `{name}`")));
            }
        }
        Ok(())
    }

    /// What AWS would refuse when other changes were made already, once all edits are in it.
    fn check_content(&self) -> Result<(), Fault> {
        let containers = self.containers();
        for Container { name, image, .. } in &containers {
            if image.is_empty() {
                return Err(
                    Fault::new(format!("the container `{name}` has no `image`")).hint(format!(
                        "give it in the file, or with IMAGES: `{name}=repository:tag`"
                    )),
                );
            }
            if let Some(key) = self.set_twice(name) {
                return Err(Fault::new(format!(
                    "`{key}` of the container `{name}` is in `environment` and in `secrets`, and AWS takes it in one only"
                ))
                .hint(format!("take one away: `{key}` in ENVIRONMENT_UNSET or SECRETS_UNSET")));
            }
        }
        if !containers.iter().any(|container| container.essential) {
            return Err(Fault::new("none of its containers is `essential`"));
        }
        Ok(())
    }

    fn set_twice(&self, container: &str) -> Option<String> {
        let container = self.container(container)?;
        let names = |list: &str| {
            let list = container[list].as_array().into_iter().flatten();
            list.filter_map(|entry| entry["name"].as_str())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let secrets = names("secrets");
        names("environment")
            .into_iter()
            .find(|name| secrets.contains(name))
    }

    /// The family.
    #[must_use]
    pub fn family(&self) -> &str {
        self.0["family"].as_str().unwrap_or_default()
    }

    /// `X86_64`, `ARM64` or another architecture that the tasks are to run on, if the definition says it.
    #[must_use]
    pub fn architecture(&self) -> Option<&str> {
        self.0["runtimePlatform"]["cpuArchitecture"].as_str()
    }

    /// The containers, in their order.
    #[must_use]
    pub fn containers(&self) -> Vec<Container> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let containers = self.0["containerDefinitions"].as_array();
        containers
            .into_iter()
            .flatten()
            .map(|container| {
                let log = &container["logConfiguration"];
                let options = &log["options"];
                let group = text(&options["awslogs-group"]);
                let ports = container["portMappings"].as_array().into_iter().flatten();
                Container {
                    name: text(&container["name"]).unwrap_or_default(),
                    image: text(&container["image"]).unwrap_or_default(),
                    essential: container["essential"].as_bool().unwrap_or(true),
                    logs: group
                        .filter(|_| log["logDriver"] == "awslogs")
                        .map(|group| AwsLogs {
                            group,
                            region: text(&options["awslogs-region"]),
                            prefix: text(&options["awslogs-stream-prefix"]),
                        }),
                    ports: ports
                        .filter_map(|port| port["containerPort"].as_u64())
                        .collect(),
                }
            })
            .collect()
    }

    fn container(&self, name: &str) -> Option<&Value> {
        let mut containers = self.0["containerDefinitions"].as_array()?.iter();
        containers.find(|container| container["name"] == name)
    }

    /// The definition with the changes that the variables ask for.
    ///
    /// # Errors
    /// When they are for a container that the definition does not have, or leave something that AWS refuses.
    pub fn edited(&self, edits: &Edits) -> Result<Self, Failure> {
        let doing = format!("could not use the task definition `{}`", self.family());
        let mut document = self.0.clone();
        let edited = edits.apply(&mut document).and_then(|()| {
            let edited = Self(document);
            edited.check_content().map(|()| edited)
        });
        edited.map_err(|fault| fault.failure(&doing))
    }

    /// The definition with another image in one of its containers.
    #[must_use]
    pub fn with_image(mut self, container: &str, image: &str) -> Self {
        let containers = self.0["containerDefinitions"].as_array_mut();
        for each in containers.into_iter().flatten() {
            if each["name"] == container {
                each["image"] = Value::from(image);
            }
        }
        self
    }

    /// Whether registering it would only make a copy of `live`: equal with all defaults filled in and all sets sorted.
    #[must_use]
    pub fn is_same_as(&self, live: &Self) -> bool {
        normal::form(&self.0) == normal::form(&live.0)
    }

    /// What registering it changes, or all of it without a live one. Values of environment variables and secrets are
    /// masked.
    #[must_use]
    pub fn difference(&self, live: Option<&Self>) -> Vec<Change> {
        let live = live.map_or(Value::Null, |live| normal::form(&live.0));
        difference(&live, &normal::form(&self.0), &Self::mask())
    }

    /// The paths whose values are not for the log.
    #[must_use]
    pub fn mask() -> Mask {
        Mask::new(&[
            "containerDefinitions[*].environment[*].value",
            "containerDefinitions[*].secrets[*].valueFrom",
            "containerDefinitions[*].logConfiguration.secretOptions[*].valueFrom",
            "containerDefinitions[*].logConfiguration.options.splunk-token",
        ])
    }

    /// The document of RegisterTaskDefinition.
    #[must_use]
    pub const fn body(&self) -> &Value {
        &self.0
    }
}

impl Revision {
    /// From the answer of DescribeTaskDefinition, asked with its tags.
    ///
    /// # Errors
    /// When it has another shape.
    pub fn from_answer(answer: &Value) -> Result<Self, Failure> {
        let described = &answer["taskDefinition"];
        let text = |name: &str| described[name].as_str().unwrap_or_default().to_owned();
        let definition = Definition::new(answer.clone())
            .map_err(|fault| fault.failure("could not use the answer to DescribeTaskDefinition"))?;
        Ok(Self {
            arn: text("taskDefinitionArn"),
            status: text("status"),
            definition,
        })
    }
}

/// What is wrong with a definition, and what to do about it.
#[derive(Debug)]
struct Fault {
    text: String,
    hint: Option<String>,
}

impl Fault {
    fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn failure(self, doing: &str) -> Failure {
        let failure = Failure::new(format!("{doing}: {}", self.text));
        match self.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// `{"taskDefinition": {…}, "tags": […]}` is what describe-task-definition prints.
fn unwrapped(mut document: Map<String, Value>) -> Map<String, Value> {
    match document.shift_remove("taskDefinition") {
        Some(Value::Object(mut definition)) => {
            if let Some(tags) = document.shift_remove("tags") {
                definition.entry("tags").or_insert(tags);
            }
            definition
        }
        Some(other) => {
            document.insert("taskDefinition".to_owned(), other);
            document
        }
        None => document,
    }
}

/// A member that is null is the same as none, and the API's JSON has no use for it.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// Tags that begin with `aws:` are given by AWS, and refused from others.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html>
fn without_reserved_tags(document: &mut Value) {
    let Some(Value::Array(tags)) = document.get_mut("tags") else {
        return;
    };
    tags.retain(|tag| {
        let key = tag["key"].as_str().unwrap_or_default();
        !key.to_ascii_lowercase().starts_with("aws:")
    });
    // RegisterTaskDefinition refuses an empty list of tags.
    if tags.is_empty()
        && let Some(document) = document.as_object_mut()
    {
        document.shift_remove("tags");
    }
}

#[cfg(test)]
mod tests;
