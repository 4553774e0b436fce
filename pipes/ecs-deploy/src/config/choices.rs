//! The values that single variables can have.

use serde_json::Value;
use shared::{Environment, FromText, document};

/// The name or the ARN of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster(pub String);

/// The name or the ARN of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName(pub String);

/// What a run does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommandName {
    /// Registers, runs tasks, updates services, waits.
    #[default]
    Deploy,
    /// Runs one task and waits for its end.
    RunTask,
    /// Goes back to the last successful deployment.
    Rollback,
    /// Shows what a deploy would change.
    Diff,
    /// Shows how the services are.
    Status,
}

/// What a pause hook of a deployment gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PauseHook {
    /// It is waited for: a person or another program continues the deployment.
    #[default]
    Wait,
    /// The pipe continues it.
    Continue,
}

/// A command and its arguments: words as a shell splits them, or a JSON array of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine(pub Vec<String>);

/// Members of ECS's API as JSON or YAML text, such as `{minimumHealthyPercent: 50}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Members(pub Value);

impl FromText for Members {
    fn from_text(text: &str) -> Result<Self, String> {
        // YAML takes JSON too. The step has filled in its variables already.
        let value = document::read_as("is broken:", "it.yml", text, &Environment::default())
            .map_err(|failure| failure.message().replace(" `it.yml`:", ""))?;
        if value.is_object() || value.is_array() {
            Ok(Self(value))
        } else {
            Err(format!(
                "unallowed value {text} (it is JSON or YAML with members of ECS's API)"
            ))
        }
    }
}

/// Names have letters, digits, `-` and `_`.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html>
fn name_or_arn(text: &str, kind: &str) -> Result<String, String> {
    let text = text.trim();
    let fault = |why: &str| Err(format!("unallowed value {text} ({why})"));
    if let Some(rest) = text.strip_prefix("arn:") {
        let is_of_kind = rest.split(':').nth(1) == Some("ecs")
            && rest
                .split(':')
                .nth(4)
                .is_some_and(|resource| resource.starts_with(&format!("{kind}/")));
        return if is_of_kind {
            Ok(text.to_owned())
        } else {
            fault(&format!("it is not the ARN of an ECS {kind}"))
        };
    }
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if text.len() > 255 || !text.bytes().all(is_legal) {
        return fault(&format!(
            "the name of a {kind} has letters, digits, `-` and `_`, at most 255"
        ));
    }
    Ok(text.to_owned())
}

impl FromText for Cluster {
    fn from_text(text: &str) -> Result<Self, String> {
        name_or_arn(text, "cluster").map(Self)
    }
}

impl FromText for ServiceName {
    fn from_text(text: &str) -> Result<Self, String> {
        name_or_arn(text, "service").map(Self)
    }
}

impl Cluster {
    /// Its name, without the ARN around it.
    pub fn name(&self) -> &str {
        crate::service::short(&self.0)
    }

    /// The region, if the ARN names one.
    pub fn region(&self) -> Option<&str> {
        self.0
            .strip_prefix("arn:")
            .and_then(|rest| rest.split(':').nth(2))
    }
}

impl FromText for CommandName {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(match text.trim() {
            "deploy" => Self::Deploy,
            "run-task" => Self::RunTask,
            "rollback" => Self::Rollback,
            "diff" => Self::Diff,
            "status" => Self::Status,
            other => {
                return Err(format!(
                    "unallowed value {other} (allowed: deploy, run-task, rollback, diff, status)"
                ));
            }
        })
    }
}

impl FromText for PauseHook {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(match text.trim() {
            "wait" | "WAIT" => Self::Wait,
            "continue" | "CONTINUE" => Self::Continue,
            other => {
                return Err(format!(
                    "unallowed value {other} (it is `wait` or `continue`)"
                ));
            }
        })
    }
}

impl FromText for CommandLine {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let words = if text.starts_with('[') {
            serde_json::from_str(text)
                .map_err(|error| format!("it is no JSON array of texts: {error}"))?
        } else {
            shell_words::split(text).map_err(|_| "it has a quote that does not end".to_owned())?
        };
        if words.is_empty() {
            return Err("it has no words".to_owned());
        }
        Ok(Self(words))
    }
}
