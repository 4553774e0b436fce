//! A JSON or YAML text becomes a `serde_json::Value` with its keys in their order. `${NAME}` in it is filled from the
//! variables of the step, by value and never by text, so that no value can break out of its string. Faults say where.

mod json;
mod placeholders;
mod yaml;

use std::path::Path;

use serde_json::Value;

use crate::failure::Failure;
use crate::variables::Environment;

use placeholders::Filling;

pub(crate) use yaml::too_deep;

/// A place in a text, both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    line: usize,
    column: usize,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    place: Place,
    text: String,
}

impl Place {
    /// Of a byte of the text.
    fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place { line, column } = self.place;
        write!(out, "line {line}, column {column}: {}", self.text)
    }
}

/// Reads the text of the file `name`. A name in `.json` or `.yml` says what it is, else its first character does.
///
/// `${NAME}` takes the value of the variable `NAME`; inside of a string it stays in it, and in JSON it may also stand
/// for a whole number or other value, without quotes. `$${NAME}` stays as the text `${NAME}`. Credentials, and what
/// the process has without the step's doing (`PATH`), are no variables here.
///
/// # Errors
/// With line and column: a text that is broken, that has a key twice, or that names what is not defined.
pub fn read(name: &str, text: &str, environment: &Environment) -> Result<Value, Failure> {
    read_as("could not read", name, text, environment)
}

/// The same, where the sentence about a broken text begins in other words, which users may look for.
///
/// # Errors
/// Those of [`read`].
pub fn read_as(
    broken: &str,
    name: &str,
    text: &str,
    environment: &Environment,
) -> Result<Value, Failure> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut filling = Filling::new(environment);
    let read = if is_yaml(name, text) {
        yaml::read(text, &mut filling)
    } else {
        json::read(text, &mut filling)
    };
    let value = read.map_err(|fault| {
        Failure::new(format!("{broken} `{name}`: {fault}")).hint(
            "correct it at that place; with DRY_RUN: true the pipe reads it and changes nothing",
        )
    })?;
    let faults = filling.faults();
    if faults.is_empty() {
        return Ok(value);
    }
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    Err(
        Failure::new(format!("could not read `{name}`: {}", lines.join("; "))).hint(
            "set what is named under `variables` of this pipe; `$${NAME}` stands for the text `${NAME}` itself",
        ),
    )
}

fn is_yaml(name: &str, text: &str) -> bool {
    let extension = Path::new(name).extension().unwrap_or_default();
    if extension.eq_ignore_ascii_case("json") {
        return false;
    }
    extension.eq_ignore_ascii_case("yaml")
        || extension.eq_ignore_ascii_case("yml")
        || !text.trim_start().starts_with(['{', '['])
}

#[cfg(test)]
mod tests;
