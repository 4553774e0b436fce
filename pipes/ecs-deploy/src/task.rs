//! A task as DescribeTasks shows it, in small structs of our own.

use serde::Deserialize;

use crate::service::short;

/// One task.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html>
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Task {
    /// Its ARN.
    pub task_arn: String,
    /// ARN of its task definition.
    pub task_definition_arn: String,
    /// The deployment that started it: `ecs-svc/1234567890123456789`.
    pub started_by: String,
    /// `PENDING`, `RUNNING`, `STOPPED`, …
    pub last_status: String,
    /// What ECS wants it to be.
    pub desired_status: String,
    /// `HEALTHY`, `UNHEALTHY` or `UNKNOWN`.
    pub health_status: Option<String>,
    /// `EssentialContainerExited`, `TaskFailedToStart`, `ServiceSchedulerInitiated`, …
    pub stop_code: Option<String>,
    /// Why, in ECS's words.
    pub stopped_reason: Option<String>,
    /// When, in seconds since 1970.
    pub stopped_at: Option<f64>,
    /// Its containers.
    pub containers: Vec<Container>,
}

/// One container of a task.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Its name in the task definition.
    pub name: String,
    /// `PENDING`, `RUNNING`, `STOPPED`.
    pub last_status: String,
    /// None if it never ran.
    pub exit_code: Option<i64>,
    /// Such as `CannotPullContainerError: …` or `OutOfMemoryError: …`.
    pub reason: Option<String>,
    /// `HEALTHY`, `UNHEALTHY` or `UNKNOWN`.
    pub health_status: Option<String>,
}

impl Task {
    /// The id, which is the last part of the ARN and of the names of log streams.
    pub fn id(&self) -> &str {
        short(&self.task_arn)
    }

    /// Whether it has come to its end.
    pub fn is_stopped(&self) -> bool {
        self.last_status == "STOPPED"
    }
}
