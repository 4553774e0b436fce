//! A task definition as RegisterTaskDefinition takes it.

use serde_json::Value;
use shared::Failure;

/// RegisterTaskDefinition's document: read-only members dropped, unknown ones kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition(Value);

/// One DescribeTaskDefinition answer.
#[derive(Clone, Debug)]
pub struct Revision {
    /// Its ARN.
    pub arn: String,
    /// `ACTIVE` or `INACTIVE`.
    pub status: String,
    /// What it says.
    pub definition: Definition,
}

/// A container of the definition.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Whether the task ends with it.
    pub essential: bool,
    /// Where its log goes.
    pub logs: Option<AwsLogs>,
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

const READ_ONLY: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "tags",
];

impl Definition {
    /// A file's text.
    ///
    /// # Errors
    /// When it is broken.
    pub fn from_file(text: &str, path: &str) -> Result<Self, Failure> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            Failure::new(format!("Failed to parse the task definition file: invalid JSON provided.: `{path}`: {error}"))
        })?;
        Ok(Self(value))
    }

    /// The family.
    pub fn family(&self) -> &str {
        self.0["family"].as_str().unwrap_or_default()
    }

    /// The containers.
    pub fn containers(&self) -> Vec<Container> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        self.0["containerDefinitions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|container| {
                let options = &container["logConfiguration"]["options"];
                Container {
                    name: text(&container["name"]).unwrap_or_default(),
                    image: text(&container["image"]).unwrap_or_default(),
                    essential: container["essential"].as_bool().unwrap_or(true),
                    logs: text(&options["awslogs-group"]).map(|group| AwsLogs {
                        group,
                        region: text(&options["awslogs-region"]),
                        prefix: text(&options["awslogs-stream-prefix"]),
                    }),
                }
            })
            .collect()
    }

    /// Whether both are the same.
    pub fn is_same_as(&self, live: &Self) -> bool {
        self == live
    }

    /// The document.
    pub const fn body(&self) -> &Value {
        &self.0
    }
}

impl Revision {
    /// The answer of DescribeTaskDefinition.
    ///
    /// # Errors
    /// When it has another shape.
    pub fn from_answer(answer: &Value) -> Result<Self, Failure> {
        let mut definition = answer["taskDefinition"].clone();
        let take = |name: &str| {
            answer["taskDefinition"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        if let Value::Object(members) = &mut definition {
            for name in READ_ONLY {
                members.remove(name);
            }
        }
        Ok(Self {
            arn: take("taskDefinitionArn"),
            status: take("status"),
            definition: Definition(definition),
        })
    }
}
