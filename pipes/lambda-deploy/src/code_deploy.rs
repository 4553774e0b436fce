//! The second way of traffic: CodeDeploy moves the alias, by the hooks, alarms and steps of its deployment group. The pipe
//! starts the deployment, tells how it goes, and has it stopped and taken back when the run ends early.
//! <https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-lambda.html>

use std::fmt;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::wait::{self, Observation, Pace};
use shared::{Failure, Faults, Journal};

use crate::aws::CodeDeploy;
use crate::live::Alias;
use crate::shift::{Arrived, Journey};
use crate::target::Target;

/// Until the limit of the whole run ends it; CodeDeploy itself may wait a day between two steps.
const LONGEST: Duration = Duration::from_hours(48);

/// CODEDEPLOY_APPLICATION, CODEDEPLOY_GROUP and CODEDEPLOY_CONFIG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The application.
    pub application: String,
    /// Its deployment group.
    pub name: String,
    /// A configuration other than the group's own, such as `CodeDeployDefault.LambdaCanary10Percent5Minutes`.
    pub config: Option<String>,
}

impl Group {
    /// From the variables.
    pub fn new(
        application: Option<String>,
        name: Option<String>,
        config: Option<String>,
        faults: &mut Faults,
    ) -> Option<Self> {
        let given = [
            ("CODEDEPLOY_APPLICATION", application.is_some()),
            ("CODEDEPLOY_GROUP", name.is_some()),
        ];
        let any = config.is_some() || given.iter().any(|(_, is_given)| *is_given);
        for (variable, is_given) in given {
            if any && !is_given {
                faults.add(
                    variable,
                    "required field, as CodeDeploy is to move the traffic",
                );
            }
        }
        let trimmed = |text: String| text.trim().to_owned();
        Some(Self {
            application: trimmed(application?),
            name: trimmed(name?),
            config: config.map(trimmed),
        })
    }
}

impl fmt::Display for Group {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}` of `{}`", self.name, self.application)
    }
}

/// One alias that CodeDeploy moves.
pub struct Order<'a> {
    /// Its function.
    pub target: &'a Target,
    /// The alias as the plan saw it.
    pub alias: &'a Alias,
    /// The version that is to have all traffic.
    pub to: &'a str,
}

impl<'a> Order<'a> {
    /// The order for a journey; nothing if there is nothing to be shifted.
    pub fn of(journey: &'a Journey<'_>) -> Option<Self> {
        let alias = journey.alias.as_ref()?;
        (alias.function_version != journey.to).then_some(Self {
            target: journey.target,
            alias,
            to: &journey.to,
        })
    }

    /// What became of the alias. That CodeDeploy has succeeded is not taken for the alias being there.
    ///
    /// # Errors
    /// When it is elsewhere.
    pub async fn arrived(&self) -> Result<Arrived, Failure> {
        let (lambda, function) = (&self.target.lambda, &self.target.function);
        let now = lambda.alias(function, &self.alias.name).await?;
        match now.filter(|now| now.function_version == self.to && now.split().is_none()) {
            Some(alias) => Ok(Arrived {
                alias,
                from: Some(self.alias.function_version.clone()),
                is_moved: true,
            }),
            None => Err(Failure::new(format!(
                "CodeDeploy has succeeded, and alias `{}` of `{}` is not at version {}",
                self.alias.name, self.target, self.to
            ))
            .hint("somebody else has moved it since; look at the alias")),
        }
    }

    /// The AppSpec, as the content of a revision.
    fn app_spec(&self) -> Value {
        let function = &self.target.function;
        app_spec(
            function,
            &self.alias.name,
            &self.alias.function_version,
            self.to,
        )
    }
}

fn app_spec(function: &str, alias: &str, from: &str, to: &str) -> Value {
    // CodeDeploy takes the name alone.
    let name = function.rsplit(':').next().unwrap_or(function);
    json!({
        "version": 0.0,
        "Resources": [{"function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {"Name": name, "Alias": alias, "CurrentVersion": from, "TargetVersion": to},
        }}],
    })
}

/// What GetDeployment says; only what decides something here.
/// <https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_DeploymentInfo.html>
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Deployment {
    /// `Created`, `Queued`, `InProgress`, `Baking`, `Ready`, `Succeeded`, `Failed`, `Stopped`.
    pub status: String,
    /// Why it failed or was stopped.
    pub error_information: Option<ErrorInformation>,
    /// The deployment that takes it back.
    pub rollback_info: Option<RollbackInfo>,
}

/// Why a deployment ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ErrorInformation {
    /// Such as `ALARM_ACTIVE`.
    pub code: String,
    /// In words.
    pub message: String,
}

/// What takes a deployment back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollbackInfo {
    /// In words.
    pub rollback_message: Option<String>,
}

impl Deployment {
    /// Whether it is done, goes on, or ended otherwise, and why.
    fn judge(&self) -> Result<Observation<()>, String> {
        match self.status.as_str() {
            "Succeeded" => Ok(Observation::Done(())),
            "Failed" | "Stopped" => {
                let mut why = self.status.to_ascii_lowercase();
                if let Some(error) = &self.error_information {
                    why = format!("{why}: {}: {}", error.code, error.message);
                }
                let rollback = self.rollback_info.as_ref();
                if let Some(message) = rollback.and_then(|info| info.rollback_message.as_ref()) {
                    why = format!("{why} ({message})");
                }
                Err(why)
            }
            status => Ok(Observation::Waiting(status.to_owned())),
        }
    }
}

/// Lets CodeDeploy move all aliases, at the same time. When one of them fails, those that are still under way are stopped
/// and taken back.
///
/// # Errors
/// When CodeDeploy refuses or fails.
pub async fn all<'a>(
    orders: impl Iterator<Item = &'a Order<'a>>,
    group: &Group,
    journal: &Journal,
) -> Result<(), Failure> {
    try_join_all(orders.map(|order| one(order, group, journal)))
        .await
        .map(drop)
}

async fn one(order: &Order<'_>, group: &Group, journal: &Journal) -> Result<(), Failure> {
    let Order { target, alias, to } = order;
    let deploy = CodeDeploy::new(target.lambda.sdk());
    let id = deploy.create(group, &order.app_spec(), journal).await?;
    let shown = format!("alias `{}` of `{target}`", alias.name);
    tracing::info!("CodeDeploy moves {shown} to version {to} (deployment `{id}`)");
    let (stopper, stopped) = (deploy.clone(), id.clone());
    let cleanup = journal.clean_up_unless_settled(format!("deployment `{id}`"), async move {
        match stopper.stop(&stopped).await {
            Ok(()) => tracing::warn!("CodeDeploy stops deployment `{stopped}` and takes it back"),
            Err(refusal) => tracing::error!("could not stop deployment `{stopped}`: {refusal}"),
        }
    });
    let mut last = String::new();
    let look = async || {
        let deployment = deploy.deployment(&id).await?;
        let seen = deployment.judge();
        if let Ok(Observation::Waiting(status)) = &seen
            && *status != last
        {
            tracing::info!("deployment `{id}`: {status}");
            last.clone_from(status);
        }
        seen.map_err(|why| {
            Failure::new(format!("deployment `{id}` of CodeDeploy for {shown} {why}"))
                .hint("CodeDeploy gives the traffic back if the group says so; look at its events in the console, and at the alias")
        })
    };
    let pace = Pace {
        deadline: LONGEST,
        ..target.pace()
    };
    let ended = wait::until(&format!("deployment `{id}`"), pace, look).await;
    // It has come to an end of its own, whichever.
    journal.settle(cleanup);
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_spec_names_both_versions() {
        let arn = "arn:aws:lambda:eu-west-1:000000000000:function:shop";
        assert_eq!(
            app_spec(arn, "live", "3", "4"),
            json!({"version": 0.0, "Resources": [{"function": {"Type": "AWS::Lambda::Function", "Properties": {
                "Name": "shop", "Alias": "live", "CurrentVersion": "3", "TargetVersion": "4"}}}]})
        );
    }

    #[test]
    fn a_deployment_that_was_stopped_says_why() {
        let judged = |document: Value| Deployment::deserialize(document).unwrap().judge();
        assert_eq!(
            judged(json!({"status": "Succeeded"})),
            Ok(Observation::Done(()))
        );
        assert_eq!(
            judged(json!({"status": "InProgress"})),
            Ok(Observation::Waiting("InProgress".to_owned()))
        );
        assert_eq!(
            judged(
                json!({"status": "Stopped", "errorInformation": {"code": "ALARM_ACTIVE", "message": "an alarm"},
                "rollbackInfo": {"rollbackMessage": "rolled back"}})
            ),
            Err("stopped: ALARM_ACTIVE: an alarm (rolled back)".to_owned())
        );
        assert_eq!(
            judged(json!({"status": "Failed"})),
            Err("failed".to_owned())
        );
    }

    #[test]
    fn application_and_group_come_together() {
        let mut faults = Faults::default();
        assert!(Group::new(None, None, None, &mut faults).is_none());
        assert!(faults.is_empty());
        Group::new(None, Some("blue-green".to_owned()), None, &mut faults);
        insta::assert_snapshot!(faults, @r"
        Validation errors:
        CODEDEPLOY_APPLICATION:
        - required field, as CodeDeploy is to move the traffic
        ");
    }
}
