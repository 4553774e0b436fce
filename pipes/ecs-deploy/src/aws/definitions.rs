//! Task definitions: DescribeTaskDefinition, RegisterTaskDefinition.

use std::time::Duration;

use aws_sdk_ecs::config::Builder;
use aws_sdk_ecs::config::retry::RetryConfig;
use serde_json::{Value, json};
use shared::{Failure, Journal, Refusal};
use tokio::time::sleep;

use super::services::settle;
use super::{Ecs, ask};
use crate::definition::{Definition, Revision};

/// How often and after what pause a request is sent again that ECS did not take.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

impl Ecs {
    /// The revision with this ARN, or `family:7`, or the newest active one of a family.
    ///
    /// # Errors
    /// When there is none, or it may not be read.
    pub async fn task_definition(&self, name: &str) -> Result<Revision, Failure> {
        let answer = self.describe_task_definition(name).await;
        let answer = answer.map_err(|refusal| {
            let doing = format!("could not describe the task definition `{name}`");
            let failure = self.refused(&refusal, &doing, "ecs:DescribeTaskDefinition");
            if refusal.code == "ClientException" {
                failure.hint("TASK_DEFINITION is a file of the clone, a family, `family:revision` or an ARN; a family has to have an active revision in this region")
            } else {
                failure
            }
        })?;
        Revision::from_answer(&answer)
    }

    async fn describe_task_definition(&self, name: &str) -> Result<Value, Refusal> {
        let body = json!({"taskDefinition": name, "include": ["TAGS"]});
        let answer = ask!(self.client, describe_task_definition, body)?;
        answer.json().map_err(|failure| unreadable(&failure))
    }

    /// Registers a new revision, and gives its ARN.
    ///
    /// RegisterTaskDefinition knows no client token: a request that is simply sent again makes a second revision. So it
    /// is repeated only when it is certain that nothing came of it, and after a broken connection it is looked for.
    ///
    /// # Errors
    /// When ECS refuses, or it is not known what came of the request.
    pub async fn register(
        &self,
        definition: &Definition,
        journal: &Journal,
    ) -> Result<String, Failure> {
        let family = definition.family();
        let pending = journal.begin("register", family);
        let mut attempt = 1;
        let refusal = loop {
            let refusal = match self.register_once(definition).await {
                Ok(answer) => {
                    let Some(arn) = answer["taskDefinition"]["taskDefinitionArn"].as_str() else {
                        return Err(Failure::new(
                            "Unable to retrieve taskDefinitionArn key. The answer to RegisterTaskDefinition has none",
                        ));
                    };
                    pending.done("registered", arn);
                    return Ok(arn.to_owned());
                }
                Err(refusal) => refusal,
            };
            let is_certain = refusal.changed_nothing();
            if !is_certain
                && let Ok(newest) = self.task_definition(family).await
                && definition.is_same_as(&newest.definition)
            {
                pending.done("registered", &newest.arn);
                return Ok(newest.arn);
            }
            if !(is_certain && refusal.may_pass()) || attempt == ATTEMPTS {
                break refusal;
            }
            sleep(FIRST_PAUSE * (1 << (attempt - 1))).await;
            attempt += 1;
        };
        settle(pending, &refusal);
        // The existing pipe's own words stand first.
        let words = if refusal.status == 400 && !refusal.is_denied() {
            "ECS task definition parameter validation error: "
        } else {
            ""
        };
        let doing = format!("{words}could not register the task definition `{family}`");
        Err(self.refused(&refusal, &doing, "ecs:RegisterTaskDefinition"))
    }

    async fn register_once(&self, definition: &Definition) -> Result<Value, Refusal> {
        let answer = shared::raw::Answer::default();
        self.client
            .register_task_definition()
            .customize()
            .config_override(Builder::new().retry_config(RetryConfig::disabled()))
            .mutate_request(shared::raw::body(definition.body()))
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| Refusal::from(&error))?;
        answer.json().map_err(|failure| unreadable(&failure))
    }
}

fn unreadable(failure: &Failure) -> Refusal {
    Refusal {
        message: failure.to_string(),
        ..Refusal::default()
    }
}
