//! Task definitions: DescribeTaskDefinition, RegisterTaskDefinition.

use serde_json::{Value, json};
use shared::{Failure, Journal, Refusal};

use super::{Ecs, ask};
use crate::definition::{Definition, Revision};

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
        answer.json().map_err(|failure| Refusal {
            message: failure.to_string(),
            ..Refusal::default()
        })
    }

    /// Registers a new revision, and gives its ARN.
    ///
    /// # Errors
    /// When ECS refuses, or there is no answer.
    pub async fn register(
        &self,
        definition: &Definition,
        journal: &Journal,
    ) -> Result<String, Failure> {
        let family = definition.family();
        let pending = journal.begin("register", family);
        let answer = match ask!(self.client, register_task_definition, definition.body()) {
            Ok(answer) => answer,
            Err(refusal) => {
                super::services::settle(pending, &refusal);
                // The existing pipe's own words stand first.
                let doing = if refusal.status == 400 && !refusal.is_denied() {
                    "ECS task definition parameter validation error: "
                } else {
                    ""
                };
                let doing = format!("{doing}could not register the task definition `{family}`");
                return Err(self.refused(&refusal, &doing, "ecs:RegisterTaskDefinition"));
            }
        };
        let answer: Value = answer.json()?;
        let Some(arn) = answer["taskDefinition"]["taskDefinitionArn"].as_str() else {
            return Err(Failure::new(
                "Unable to retrieve taskDefinitionArn key. The answer to RegisterTaskDefinition has none",
            ));
        };
        pending.done("registered", arn);
        Ok(arn.to_owned())
    }
}
