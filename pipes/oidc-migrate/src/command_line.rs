//! Arguments, or the variables of a pipe, become one command, and the command its run. A document that another program
//! reads (JSON, SARIF) stands alone on standard output; all else ends in a verdict.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shared::log::{self, Style};
use shared::{Environment, Failure, Journal, Outcome};

use crate::model::Checkout;
use crate::{check, doctor, iam, inspect, migration, variables, work_order};

const PIPE: (&str, &str) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));

/// Takes Bitbucket pipelines from secret AWS keys to OpenID Connect.
///
/// Without arguments it is a pipe: COMMAND and the other variables of its README say what it does.
#[derive(Debug, Parser)]
#[command(
    name = PIPE.0,
    version,
    disable_help_subcommand = true,
    after_long_help = shared::help::variables(include_str!("../README.md"))
)]
pub struct CommandLine {
    /// The checkout to work on.
    #[arg(long, global = true, value_name = "DIR", default_value = ".")]
    pub repository: PathBuf,
    /// What is to be done.
    #[command(subcommand)]
    pub command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List where pipelines use AWS access keys, and what stands in the way of leaving them.
    Inspect(inspect::Arguments),
    /// Show how the files would be edited, as a unified diff, and what would be left.
    Plan(migration::Arguments),
    /// Edit the files: with `--write` in place, without it as `plan` does.
    Rewrite(migration::RewriteArguments),
    /// Print or create what AWS needs: identity provider, roles, trust and permission policies.
    Iam(iam::Arguments),
    /// Fail while a step still uses access keys.
    Check(check::Arguments),
    /// Say, from within a step, whether its token gets in.
    Doctor(doctor::Arguments),
    /// Print what to do, in the order in which nothing breaks.
    WorkOrder,
}

/// Runs what the arguments or the environment of this process say.
#[must_use]
pub fn main() -> ExitCode {
    let environment = shared::process_environment();
    let arguments: Vec<_> = std::env::args_os().collect();
    let parsed = if arguments.len() > 1 {
        CommandLine::try_parse_from(arguments)
    } else {
        match variables::command_line(&environment) {
            Ok(command_line) => Ok(command_line),
            Err(failure) => return complain(&environment, &failure),
        }
    };
    let command_line = match parsed {
        Ok(command_line) => command_line,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
            return complain(&environment, &Failure::new(text));
        }
        Err(help) => {
            log::line(help.to_string().trim_end());
            return ExitCode::SUCCESS;
        }
    };
    if let Some(document) = command_line.document(&environment) {
        return match document {
            Ok(text) => {
                log::line(text.trim_end());
                ExitCode::SUCCESS
            }
            Err(failure) => {
                // Standard output is the document's, perhaps in a file.
                let _ = writeln!(std::io::stderr(), "✖ {failure}");
                ExitCode::FAILURE
            }
        };
    }
    shared::perform(
        PIPE.0,
        PIPE.1,
        &environment,
        async |environment, journal| command_line.run(environment, journal).await,
    )
}

fn complain(environment: &Environment, failure: &Failure) -> ExitCode {
    Style::new(environment).failure(&format!("{failure}\n  nothing was changed"));
    ExitCode::FAILURE
}

impl CommandLine {
    /// The document that is asked for, if it is one.
    fn document(&self, environment: &Environment) -> Option<Result<String, Failure>> {
        let checkout = || Checkout::read(&self.repository);
        match &self.command {
            Command::Inspect(arguments) if arguments.is_document() => {
                Some(checkout().and_then(|checkout| arguments.document(&checkout)))
            }
            Command::Iam(arguments) if arguments.is_document() => {
                Some(checkout().and_then(|checkout| arguments.document(&checkout, environment)))
            }
            Command::WorkOrder => Some(checkout().map(|checkout| work_order::text(&checkout))),
            _ => None,
        }
    }

    async fn run(&self, environment: &Environment, journal: &Journal) -> Result<Outcome, Failure> {
        let checkout = || Checkout::read(&self.repository);
        match &self.command {
            Command::Inspect(arguments) => arguments.run(&checkout()?),
            Command::Plan(arguments) => arguments.run(&self.repository, journal),
            Command::Rewrite(arguments) => arguments.run(&self.repository, journal),
            Command::Iam(arguments) => arguments.run(&checkout()?, environment, journal).await,
            Command::Check(arguments) => arguments.run(&checkout()?, environment, journal).await,
            Command::Doctor(arguments) => arguments.run(&checkout()?, environment, journal).await,
            // It is a document.
            Command::WorkOrder => Ok(Outcome::default()),
        }
    }
}
