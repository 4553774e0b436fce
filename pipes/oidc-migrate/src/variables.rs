//! The variables of the pipe become the same command as the arguments of the command line. In a pipe there are no
//! arguments, and COMMAND says what is to be done.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Deserialize;
use shared::{Environment, Failure, Faults, Field, FromText, List};

use crate::command_line::{Command, CommandLine};
use crate::pipe_edit::Target;
use crate::{check, doctor, iam, inspect, migration};

/// What envy fills from the environment.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Variables {
    command: Field<CommandName>,
    format: Field<String>,
    repository: Field<String>,
    to: Field<Word<Target>>,
    all_repositories: Field<String>,
    write: Field<bool>,
    force: Field<bool>,
    baseline: Field<String>,
    write_baseline: Field<bool>,
    output: Field<String>,
    apply: Field<bool>,
    yes: Field<bool>,
    simulate: Field<bool>,
    deployment: Field<String>,
    workspace: Field<String>,
    workspace_uuid: Field<String>,
    repository_slug: Field<String>,
    repository_uuid: Field<String>,
    environment_uuids: Field<List<String>>,
    account: Field<String>,
    values: Field<List<String>>,
    code_insights_proxy: Field<String>,
}

#[derive(Clone, Copy)]
enum CommandName {
    Inspect,
    Plan,
    Rewrite,
    Iam,
    Check,
    Doctor,
    WorkOrder,
}

impl FromText for CommandName {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "inspect" => Ok(Self::Inspect),
            "plan" => Ok(Self::Plan),
            "rewrite" => Ok(Self::Rewrite),
            "iam" => Ok(Self::Iam),
            "check" => Ok(Self::Check),
            "doctor" => Ok(Self::Doctor),
            "work-order" => Ok(Self::WorkOrder),
            text => Err(format!(
                "unallowed value {text} (one of `check`, `inspect`, `plan`, `rewrite`, `iam`, `doctor`, `work-order`)"
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
    let to = faults
        .optional("TO", variables.to)
        .map(|word| word.0)
        .unwrap_or_default();
    let all_repositories = faults.optional("ALL_REPOSITORIES", variables.all_repositories);
    let plan = migration::Arguments {
        to,
        all_repositories: all_repositories.map(|folder| PathBuf::from(folder.trim())),
    };
    let write = flag(&mut faults, "WRITE", variables.write);
    let force = flag(&mut faults, "FORCE", variables.force);
    let place = iam::Place {
        workspace: faults.optional("WORKSPACE", variables.workspace),
        workspace_uuid: faults.optional("WORKSPACE_UUID", variables.workspace_uuid),
        repository_slug: faults.optional("REPOSITORY_SLUG", variables.repository_slug),
        repository_uuid: faults.optional("REPOSITORY_UUID", variables.repository_uuid),
        environments: list(faults.optional("ENVIRONMENT_UUIDS", variables.environment_uuids)),
        account: faults.optional("ACCOUNT", variables.account),
        values: list(faults.optional("VALUES", variables.values)),
    };
    let baseline = faults
        .optional("BASELINE", variables.baseline)
        .map(PathBuf::from);
    let write_baseline = flag(&mut faults, "WRITE_BASELINE", variables.write_baseline);
    let output = faults
        .optional("OUTPUT", variables.output)
        .map(PathBuf::from);
    let apply = flag(&mut faults, "APPLY", variables.apply);
    let yes = flag(&mut faults, "YES", variables.yes);
    let simulate = flag(&mut faults, "SIMULATE", variables.simulate);
    let deployment = faults.optional("DEPLOYMENT", variables.deployment);
    if write_baseline && baseline.is_none() {
        faults.add(
            "WRITE_BASELINE",
            "unallowed value true (BASELINE names the file, and is not set)",
        );
    }
    let name = faults
        .optional("COMMAND", variables.command)
        .unwrap_or(CommandName::Check);
    let command = match name {
        CommandName::Inspect => Command::Inspect(inspect::Arguments {
            format: word(&mut faults, format),
        }),
        CommandName::Plan => Command::Plan(plan),
        CommandName::Rewrite => {
            Command::Rewrite(migration::RewriteArguments { plan, write, force })
        }
        CommandName::Iam => Command::Iam(iam::Arguments {
            format: word(&mut faults, format),
            output,
            to,
            apply,
            yes,
            place,
        }),
        CommandName::Check => Command::Check(check::Arguments {
            baseline,
            write_baseline,
        }),
        CommandName::Doctor => Command::Doctor(doctor::Arguments {
            simulate,
            deployment,
            place,
        }),
        CommandName::WorkOrder => Command::WorkOrder,
    };
    if !faults.is_empty() {
        return Err(faults.into());
    }
    Ok(CommandLine {
        repository: PathBuf::from(repository.as_deref().map_or(".", str::trim)),
        command,
    })
}

fn flag(faults: &mut Faults, name: &str, field: Field<bool>) -> bool {
    faults.optional(name, field).unwrap_or(false)
}

fn list(list: Option<List<String>>) -> Vec<String> {
    list.map_or_else(Vec::new, |list| list.0)
}

/// The value of FORMAT, whose words depend on the command.
fn word<T: ValueEnum + Default>(faults: &mut Faults, text: Option<String>) -> T {
    let read = text.map(|text| Word::from_text(&text));
    match read {
        None => T::default(),
        Some(Ok(Word(word))) => word,
        Some(Err(fault)) => {
            faults.add("FORMAT", fault);
            T::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_are_in_step() {
        let mut known = shared::variables::field_names::<Variables>();
        known.extend(iam::common_variables());
        shared::testing::assert_documented(
            include_str!("../README.md"),
            include_str!("../pipe.yml"),
            &known,
            env!("CARGO_PKG_VERSION"),
        );
    }

    #[test]
    fn without_a_command_it_checks() {
        let read = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()));
            command_line(&Environment::new(pairs))
        };
        assert!(matches!(read(&[]).unwrap().command, Command::Check(_)));
        let failure = read(&[
            ("COMMAND", "iam"),
            ("FORMAT", "sarif"),
            ("WRITE_BASELINE", "yes"),
        ])
        .unwrap_err()
        .to_string();
        assert!(
            failure.contains("FORMAT")
                && failure.contains("`aws-cli`")
                && failure.contains("BASELINE names the file"),
            "{failure}"
        );
    }
}
