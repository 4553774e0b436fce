//! What the pipes of the file need, asked of IAM right by right: SimulatePrincipalPolicy evaluates the policies of the role
//! without calling anything. <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>

use std::collections::BTreeSet;

use serde::Serialize;
use shared::{Failure, log};

use crate::iam::{Iam, Known, Question, Stack};
use crate::model::Checkout;

/// What was found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Rights {
    /// How many rights were asked for.
    pub(super) asked: usize,
    /// Action, resource and decision of each that the role has not.
    pub(super) denied: BTreeSet<(String, String, String)>,
    /// What could not be asked, since the file does not tell the resource.
    pub(super) open: BTreeSet<String>,
}

/// Asks for each statement of the policy that `iam` would make for this environment.
pub(super) async fn run(
    iam: &Iam,
    role: &str,
    checkout: &Checkout,
    known: &Known,
    deployment: Option<&str>,
) -> Result<Rights, Failure> {
    let stack = Stack::new(checkout, known, false);
    let wanted = stack
        .roles
        .iter()
        .find(|each| each.environment.as_deref() == deployment);
    let Some(wanted) = wanted else {
        let place = deployment.map_or_else(
            || "without a `deployment`".to_owned(),
            |name| format!("of `{name}`"),
        );
        return Err(Failure::new(format!(
            "no step {place} calls AWS, so there is nothing to simulate"
        ))
        .hint("--deployment NAME says which environment's pipes are meant"));
    };
    let mut rights = Rights::default();
    for statement in wanted.policy.statements() {
        let literal = |text: &crate::iam::Text| text.literal().map(str::to_owned);
        let resources: Option<Vec<String>> = statement.resources.iter().map(literal).collect();
        let context = statement.condition.as_ref().map(|condition| {
            let values: Option<Vec<String>> = condition.values.iter().map(literal).collect();
            values.map(|values| (condition.key.to_owned(), values))
        });
        let (Some(resources), None | Some(Some(_))) = (resources, &context) else {
            rights
                .open
                .extend(statement.actions.iter().map(|&action| action.to_owned()));
            continue;
        };
        let question = Question {
            actions: statement
                .actions
                .iter()
                .map(|&action| action.to_owned())
                .collect(),
            resources: resources
                .into_iter()
                .filter(|resource| resource != "*")
                .collect(),
            context: context.flatten(),
        };
        rights.asked += question.actions.len() * question.resources.len().max(1);
        rights.denied.extend(iam.simulate(role, &question).await?);
    }
    for note in &stack.notes {
        log::line(note);
    }
    Ok(rights)
}

impl Rights {
    /// One sentence, good or bad.
    pub(super) fn verdict(&self, role: &str) -> Result<String, Failure> {
        let open: Vec<&str> = self.open.iter().map(String::as_str).collect();
        if !open.is_empty() {
            tracing::warn!(
                "not asked, since the file does not tell the resource (--set and --account do): {}",
                open.join(", ")
            );
        }
        if self.denied.is_empty() {
            return Ok(format!(
                "`{role}` has the {} rights that were asked for",
                self.asked
            ));
        }
        let failure = Failure::new(format!(
            "`{role}` lacks {} of {} rights",
            self.denied.len(),
            self.asked
        ));
        Err(self
            .denied
            .iter()
            .fold(failure, |failure, (action, resource, decision)| {
                let why = if decision == "explicitDeny" {
                    "a policy denies it"
                } else {
                    "no policy allows it"
                };
                failure.fact(format!("{action} on {resource}: {why}"))
            })
            .hint("`oidc-migrate iam` prints the policy that allows them"))
    }
}
