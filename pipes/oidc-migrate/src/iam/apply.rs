//! `iam --apply`: looks at the account, shows what differs, asks, and makes the changes in an order in which nothing is
//! trusted before it may do only what it should: the provider first, then each role with its policy.

use std::io::{IsTerminal, Write as _};

use shared::log;
use shared::{Environment, Failure, Journal, Outcome};

use super::aws::Iam;
use super::caller::Caller;
use super::known::Known;
use super::plan::Plan;
use super::roles::Stack;
use super::{Arguments, blanks, outcome, roles};
use crate::model::Checkout;
use crate::pipe_edit::Target;

/// Looks, shows, asks, changes, and looks again.
pub(super) async fn run(
    arguments: &Arguments,
    mut known: Known,
    checkout: &Checkout,
    environment: &Environment,
    journal: &Journal,
) -> Result<Outcome, Failure> {
    refuse_blanks(&Stack::new(checkout, &known, arguments.to == Target::Ours))?;
    let caller = Caller::new(environment).await?;
    if let Some(account) = known
        .account()
        .filter(|account| **account != caller.account)
    {
        return Err(Failure::new(format!(
            "the credentials are of account {}, and --account says {account}",
            caller.account
        )));
    }
    known.set_account(&caller.account);
    let stack = Stack::new(checkout, &known, arguments.to == Target::Ours);
    if stack.roles.is_empty() {
        return Ok(outcome(super::NOTHING.to_owned()));
    }
    for note in &stack.notes {
        tracing::warn!("{note}");
    }
    let iam = Iam::new(&caller.config);
    let plan = observe(&iam, &stack).await?;
    log::line(format_args!(
        "in account {} as {}:\n{}",
        caller.account,
        caller.arn,
        plan.to_string().trim_end()
    ));
    journal.plan(serde_json::to_value(&plan).unwrap_or_default());
    if plan.actions.is_empty() {
        return Ok(outcome(format!(
            "Unchanged: {} and the identity provider are as they should be",
            roles(stack.roles.len())
        )));
    }
    if !arguments.yes {
        ask(plan.actions.len()).await?;
    }
    for action in &plan.actions {
        iam.make(action, journal).await?;
    }
    let rest = observe(&iam, &stack).await?;
    if let Some(action) = rest.actions.first() {
        return Err(Failure::new(format!(
            "IAM took every change, and still differs: {action}"
        ))
        .hint("somebody else may be changing the same; run it again"));
    }
    for role in &stack.roles {
        let environment = role
            .environment
            .as_deref()
            .unwrap_or("steps without a deployment");
        log::line(format_args!(
            "AWS_OIDC_ROLE_ARN of {environment}: arn:aws:iam::{}:role/{}",
            caller.account, role.name
        ));
    }
    Ok(outcome(format!(
        "{} changes made in account {}: {} can be assumed by its steps",
        plan.actions.len(),
        caller.account,
        roles(stack.roles.len())
    )))
}

async fn observe(iam: &Iam, stack: &Stack) -> Result<Plan, Failure> {
    let names: Vec<&str> = stack.roles.iter().map(|role| role.name.as_str()).collect();
    let provider = stack.provider_arn.write(str::to_owned, |_| String::new());
    let live = iam.observe(&provider, &names).await?;
    Plan::new(stack, &live)
}

fn refuse_blanks(stack: &Stack) -> Result<(), Failure> {
    let blanks = blanks(stack);
    if blanks.is_empty() {
        return Ok(());
    }
    let failure =
        Failure::new("the file does not tell all that a policy needs, and neither do the options");
    Err(blanks
        .into_iter()
        .fold(failure, |failure, blank| failure.fact(blank))
        .hint("Repository settings → OpenID Connect in Bitbucket shows the UUIDs"))
}

/// Asks on the terminal; a script has to say `--yes`.
async fn ask(changes: usize) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            "nobody is there to ask whether the changes above are to be made",
        )
        .hint("look at them, and run it with --yes"));
    }
    let mut out = std::io::stdout();
    let asked = write!(out, "Make these {changes} changes? [y/N] ").and_then(|()| out.flush());
    asked.map_err(|error| Failure::new(format!("could not ask: {error}")))?;
    // A thread of its own, so that a signal still ends the run.
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let answer = answer.await.ok().and_then(Result::ok).unwrap_or_default();
    if ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
        Ok(())
    } else {
        Err(Failure::new("not confirmed"))
    }
}
