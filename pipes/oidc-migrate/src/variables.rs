//! The variables of the pipe become the same command as the arguments of the command line. In a pipe there are no
//! arguments, and COMMAND says what is to be done.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Deserialize;
use shared::{Environment, Failure, Faults, Field, FromText};

use crate::command_line::{Command, CommandLine};
use crate::pipe_edit::Target;
use crate::{inspect, migration};

/// What envy fills from the environment.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Variables {
    command: Field<CommandName>,
    format: Field<Word<inspect::Format>>,
    repository: Field<String>,
    to: Field<Word<Target>>,
    all_repositories: Field<String>,
    write: Field<bool>,
    force: Field<bool>,
}

#[derive(Clone, Copy)]
enum CommandName {
    Inspect,
    Plan,
    Rewrite,
}

impl FromText for CommandName {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "inspect" => Ok(Self::Inspect),
            "plan" => Ok(Self::Plan),
            "rewrite" => Ok(Self::Rewrite),
            text => Err(format!(
                "unallowed value {text} (one of `inspect`, `plan`, `rewrite`)"
            )),
        }
    }
}

/// A word of the command line in a variable.
pub struct Word<T>(pub T);

impl<T: ValueEnum> FromText for Word<T> {
    fn from_text(text: &str) -> Result<Self, String> {
        T::from_str(text.trim(), true).map(Self).map_err(|_| {
            let allowed = T::value_variants()
                .iter()
                .filter_map(ValueEnum::to_possible_value);
            let allowed: Vec<String> = allowed
                .map(|value| format!("`{}`", value.get_name()))
                .collect();
            format!("unallowed value {text} (one of {})", allowed.join(", "))
        })
    }
}

/// The command that the environment of a pipe asks for.
///
/// # Errors
/// All faulty variables in one block.
pub fn command_line(environment: &Environment) -> Result<CommandLine, Failure> {
    let variables: Variables = environment.read();
    let mut faults = Faults::default();
    let repository = faults.optional("REPOSITORY", variables.repository);
    let format = faults.optional("FORMAT", variables.format);
    let to = faults.optional("TO", variables.to);
    let all_repositories = faults.optional("ALL_REPOSITORIES", variables.all_repositories);
    let write = faults.optional("WRITE", variables.write);
    let force = faults.optional("FORCE", variables.force);
    let plan = migration::Arguments {
        to: to.map(|word| word.0).unwrap_or_default(),
        all_repositories: all_repositories.map(|folder| PathBuf::from(folder.trim())),
    };
    let command = faults
        .required("COMMAND", variables.command)
        .map(|name| match name {
            CommandName::Inspect => Command::Inspect(inspect::Arguments {
                format: format.map(|word| word.0).unwrap_or_default(),
            }),
            CommandName::Plan => Command::Plan(plan),
            CommandName::Rewrite => Command::Rewrite(migration::RewriteArguments {
                plan,
                write: write.unwrap_or_default(),
                force: force.unwrap_or_default(),
            }),
        });
    match command {
        Some(command) if faults.is_empty() => Ok(CommandLine {
            repository: PathBuf::from(repository.as_deref().map_or(".", str::trim)),
            command,
        }),
        _ => Err(faults.into()),
    }
}
