//! Tasks: ListTasks, DescribeTasks, RunTask, StopTask.

use futures_util::future;
use serde_json::{Value, json};
use shared::{Failure, Journal};

use super::services::{merge, settle};
use super::{Ecs, ask, list};
use crate::service::short;
use crate::task::Task;

/// The most tasks that one DescribeTasks takes.
const DESCRIBE_BATCH: usize = 100;

/// Pages of stopped tasks, of a hundred each, that are read: more of them explain nothing more.
const MOST_PAGES: usize = 5;

/// A one-off task to start.
#[derive(Clone, Debug)]
pub struct RunTask {
    /// ARN of its task definition.
    pub task_definition: String,
    /// Further members of RunTask: the network of the service, the overrides, the client token.
    pub members: Value,
}

impl Ecs {
    /// The tasks of a service that stopped in the last hour, which is how long ECS keeps them.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn stopped_tasks(&self, service: &str) -> Result<Vec<Task>, Failure> {
        let mut arns = Vec::new();
        let mut token = Value::Null;
        for _ in 0..MOST_PAGES {
            let mut body = json!({
                "cluster": self.cluster, "serviceName": short(service), "desiredStatus": "STOPPED",
            });
            if !token.is_null() {
                body["nextToken"] = token;
            }
            let answer = ask!(self.client, list_tasks, body).map_err(|refusal| {
                let doing = format!("could not list the stopped tasks of the service `{service}`");
                self.refused(&refusal, &doing, "ecs:ListTasks")
            })?;
            let mut page: Value = answer.json()?;
            token = page["nextToken"].take();
            let found = list(page, "taskArns").into_iter();
            arns.extend(found.filter_map(|arn| arn.as_str().map(str::to_owned)));
            if token.is_null() {
                break;
            }
        }
        self.tasks(&arns).await
    }

    /// These tasks, as far as they still exist.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn tasks(&self, arns: &[String]) -> Result<Vec<Task>, Failure> {
        let batches = arns
            .chunks(DESCRIBE_BATCH)
            .map(|batch| self.describe_tasks(batch));
        Ok(future::try_join_all(batches).await?.concat())
    }

    async fn describe_tasks(&self, arns: &[String]) -> Result<Vec<Task>, Failure> {
        let body = json!({"cluster": self.cluster, "tasks": arns});
        let answer = ask!(self.client, describe_tasks, body).map_err(|refusal| {
            self.refused(&refusal, "could not describe tasks", "ecs:DescribeTasks")
        })?;
        list(answer.json()?, "tasks")
            .into_iter()
            .map(serde_json::from_value)
            .collect::<Result<_, _>>()
            .map_err(|error| Failure::new(format!("could not read ECS's answer: {error}")))
    }

    /// Starts a one-off task. The same client token gives the task that it started before, so that a repeated request
    /// runs nothing twice.
    ///
    /// # Errors
    /// When ECS refuses, has no place for it, or there is no answer.
    pub async fn run_task(&self, task: &RunTask, journal: &Journal) -> Result<Task, Failure> {
        let name = short(&task.task_definition);
        let doing = format!("could not run a task of `{name}`");
        let mut body =
            json!({"cluster": self.cluster, "taskDefinition": task.task_definition, "count": 1});
        merge(&mut body, &task.members);
        let pending = journal.begin("run task of", name);
        let answer = match ask!(self.client, run_task, body) {
            Ok(answer) => answer,
            Err(refusal) => {
                settle(pending, &refusal);
                return Err(self.refused(&refusal, &doing, "ecs:RunTask"));
            }
        };
        let answer: Value = answer.json()?;
        let Some(task) = list(answer.clone(), "tasks").into_iter().next() else {
            pending.refused();
            let failures = list(answer, "failures");
            let reason = failures
                .first()
                .and_then(|failure| failure["reason"].as_str())
                .unwrap_or("ECS gave no reason");
            return Err(Failure::new(format!("{doing}: {reason}")).hint(
                "the cluster has no place for it now, or its capacity provider, network or attributes do not fit",
            ));
        };
        let task: Task = serde_json::from_value(task)
            .map_err(|error| Failure::new(format!("could not read ECS's answer: {error}")))?;
        pending.done("ran tasks", task.id());
        Ok(task)
    }

    /// Stops a task.
    ///
    /// # Errors
    /// When ECS refuses, or there is no answer.
    pub async fn stop_task(
        &self,
        task: &Task,
        reason: &str,
        journal: &Journal,
    ) -> Result<(), Failure> {
        let body = json!({"cluster": self.cluster, "task": task.task_arn, "reason": reason});
        let pending = journal.begin("stop task", task.id());
        if let Err(refusal) = ask!(self.client, stop_task, body) {
            settle(pending, &refusal);
            let doing = format!("could not stop the task `{}`", task.id());
            return Err(self.refused(&refusal, &doing, "ecs:StopTask"));
        }
        pending.done("stopped tasks", task.id());
        Ok(())
    }
}
