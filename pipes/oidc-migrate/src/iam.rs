//! What to create in AWS so that the steps of a checkout get in without keys: from the pipes and their variables to the
//! identity provider, a role for each deployment environment and its least rights; printed in the format of a tool, or
//! created with the caller's own credentials.

mod apply;
mod aws;
mod caller;
mod formats;
mod known;
mod names;
mod pipes;
mod plan;
mod policy;
mod roles;
mod text;

use std::path::PathBuf;

use shared::log;
use shared::{Environment, Failure, Journal, Outcome};

use crate::model::Checkout;
use crate::pipe_edit::Target;

pub use aws::{Iam, Question};
pub use caller::{Caller, common_variables, with_region};
pub use formats::Format;
pub use known::{Given, Known};
pub use pipes::name_and_maker;
pub use roles::{Role, Stack};
pub use text::{Hole, Text};

/// What `iam` is asked for.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Arguments {
    /// How it is written
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Write to this file instead of printing
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Whose pipes get the rights: those that the file names, or ours, as for `rewrite --to ours`
    #[arg(long, value_enum, default_value_t)]
    pub to: Target,
    /// Create or update it with your own AWS credentials
    #[arg(long)]
    pub apply: bool,
    /// Do not ask before --apply changes anything
    #[arg(long)]
    pub yes: bool,
    /// What fills the blanks
    #[command(flatten)]
    pub place: Place,
}

/// The options that say where the pipeline runs.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Place {
    /// Slug of the workspace; at first BITBUCKET_WORKSPACE, or what the remote of the clone says
    #[arg(long, value_name = "SLUG")]
    pub workspace: Option<String>,
    /// UUID of the workspace
    #[arg(long, value_name = "UUID")]
    pub workspace_uuid: Option<String>,
    /// Slug of the repository, for the names of the roles
    #[arg(long, value_name = "SLUG")]
    pub repository_slug: Option<String>,
    /// UUID of the repository
    #[arg(long, value_name = "UUID")]
    pub repository_uuid: Option<String>,
    /// UUID of a deployment environment; once for each
    #[arg(long = "environment", value_name = "NAME=UUID")]
    pub environments: Vec<String>,
    /// The AWS account
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// What a variable of the pipeline file holds, `NAME=VALUE`, or `ENVIRONMENT:NAME=VALUE` for one environment
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub values: Vec<String>,
}

impl Place {
    /// What is known with these options.
    ///
    /// # Errors
    /// As [`Known::new`].
    pub fn known(&self, environment: &Environment, checkout: &Checkout) -> Result<Known, Failure> {
        let given = Given {
            workspace: self.workspace.clone(),
            workspace_uuid: self.workspace_uuid.clone(),
            repository: self.repository_slug.clone(),
            repository_uuid: self.repository_uuid.clone(),
            account: self.account.clone(),
            environments: self.environments.clone(),
            values: self.values.clone(),
        };
        Known::new(given, environment, &checkout.root)
    }
}

impl Arguments {
    /// Whether it prints a text for another program.
    #[must_use]
    pub const fn is_document(&self) -> bool {
        !self.apply && self.output.is_none()
    }

    /// The text, with what is not in it and what is to fill in as comments at its end.
    ///
    /// # Errors
    /// When an option is wrong, or no step calls AWS.
    pub fn document(
        &self,
        checkout: &Checkout,
        environment: &Environment,
    ) -> Result<String, Failure> {
        let known = self.place.known(environment, checkout)?;
        let stack = Stack::new(checkout, &known, self.to == Target::Ours);
        if stack.roles.is_empty() {
            return Err(Failure::new(NOTHING));
        }
        Ok(self.format.write(&stack) + &remarks(&stack, &blanks(&stack)))
    }

    /// Writes it, or creates it.
    ///
    /// # Errors
    /// When an option is wrong, or a change is refused; then nothing or what the journal says was changed.
    pub async fn run(
        &self,
        checkout: &Checkout,
        environment: &Environment,
        journal: &Journal,
    ) -> Result<Outcome, Failure> {
        if self.apply {
            let known = self.place.known(environment, checkout)?;
            return apply::run(self, known, checkout, environment, journal).await;
        }
        let text = self.document(checkout, environment)?;
        let Some(path) = &self.output else {
            log::line(text.trim_end());
            return Ok(outcome("printed what to create".to_owned()));
        };
        let shown = path.display().to_string();
        let pending = journal.begin("write", &shown);
        std::fs::write(path, text)
            .map_err(|error| Failure::new(format!("could not write `{shown}`: {error}")))?;
        pending.done("wrote", &shown);
        Ok(outcome(format!(
            "`{shown}` has what to create, and at its end what is left to fill in"
        )))
    }
}

/// Said where there is nothing to do.
const NOTHING: &str = "no step calls AWS, so there is nothing to create";

fn outcome(summary: String) -> Outcome {
    Outcome {
        summary,
        ..Outcome::default()
    }
}

/// `1 role`, `2 roles`.
fn roles(count: usize) -> String {
    match count {
        1 => "1 role".to_owned(),
        count => format!("{count} roles"),
    }
}

/// What is left to fill in, each with the option that does it. The account is not: every format asks AWS for it.
fn blanks(stack: &Stack) -> Vec<String> {
    let holes = stack.holes();
    let open = holes.iter().filter(|hole| **hole != Hole::Account);
    open.map(|hole| format!("{}: {}", names::description(hole), names::option(hole)))
        .collect()
}

/// What stands below the text, as comments of all three formats.
fn remarks(stack: &Stack, blanks: &[String]) -> String {
    let mut out = String::new();
    let mut list = |title: &str, lines: &[String]| {
        if !lines.is_empty() {
            out += &format!("\n# {title}\n");
            for line in lines {
                out += &format!("#   {line}\n");
            }
        }
    };
    list("Not in it:", &stack.notes);
    list(
        "To fill in; Repository settings → OpenID Connect in Bitbucket shows the UUIDs. An option fills it here:",
        blanks,
    );
    out
}
