//! The variables of the pipe become the same command as the arguments of the command line. In a pipe there are no
//! arguments, and COMMAND says what is to be done.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Deserialize;
use shared::{Environment, Failure, Faults, Field, FromText};

use crate::command_line::{Command, CommandLine};
use crate::inspect;

/// What envy fills from the environment.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Variables {
    command: Field<CommandName>,
    format: Field<Word<inspect::Format>>,
    repository: Field<String>,
}

#[derive(Clone, Copy)]
enum CommandName {
    Inspect,
}

impl FromText for CommandName {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "inspect" => Ok(Self::Inspect),
            text => Err(format!("unallowed value {text} (one of `inspect`)")),
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
    let command = match faults.required("COMMAND", variables.command) {
        Some(CommandName::Inspect) => Some(Command::Inspect(inspect::Arguments {
            format: format.map(|word| word.0).unwrap_or_default(),
        })),
        None => None,
    };
    match command {
        Some(command) if faults.is_empty() => Ok(CommandLine {
            repository: PathBuf::from(repository.as_deref().map_or(".", str::trim)),
            command,
        }),
        _ => Err(faults.into()),
    }
}
