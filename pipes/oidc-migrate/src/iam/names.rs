//! Names and descriptions of what the file cannot tell, as parameters of a format: the same unknown has the same name in
//! the printed text and in the list below it.

use std::collections::{BTreeMap, BTreeSet};

use super::text::Hole;

/// How a format writes names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `production_environment_uuid`
    Snake,
    /// `ProductionEnvironmentUuid`, letters and digits only
    Pascal,
    /// `PRODUCTION_ENVIRONMENT_UUID`
    Upper,
}

/// A name for each hole but the account, no two of them equal.
#[derive(Debug)]
pub struct Names(BTreeMap<Hole, String>);

impl Names {
    /// Names the holes.
    #[must_use]
    pub fn new(holes: &BTreeSet<Hole>, style: Style) -> Self {
        let mut names = BTreeMap::new();
        let mut used = BTreeSet::new();
        for hole in holes.iter().filter(|hole| **hole != Hole::Account) {
            let name = style.write(&words(hole));
            let mut unique = name.clone();
            let mut number = 2;
            while !used.insert(unique.clone()) {
                unique = format!("{name}{number}");
                number += 1;
            }
            names.insert(hole.clone(), unique);
        }
        Self(names)
    }

    /// The name of a hole.
    #[must_use]
    pub fn of(&self, hole: &Hole) -> &str {
        self.0.get(hole).map_or("Account", String::as_str)
    }

    /// Holes and their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Hole, &str)> {
        self.0.iter().map(|(hole, name)| (hole, name.as_str()))
    }
}

impl Style {
    /// A name of these words.
    #[must_use]
    pub fn write(self, words: &[String]) -> String {
        match self {
            Self::Snake => words.join("_"),
            Self::Upper => words.join("_").to_uppercase(),
            Self::Pascal => words.iter().map(|word| capital(word)).collect(),
        }
    }
}

/// The words of any text, in lower case; a name must not begin with a digit.
#[must_use]
pub fn words_of(text: &str) -> Vec<String> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric());
    let mut words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    if words
        .first()
        .is_none_or(|word| word.starts_with(|first: char| first.is_ascii_digit()))
    {
        words.insert(0, "x".to_owned());
    }
    words
}

fn capital(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + characters.as_str()
    })
}

fn words(hole: &Hole) -> Vec<String> {
    match hole {
        Hole::Account => vec!["account".to_owned()],
        Hole::WorkspaceUuid => words_of("workspace uuid"),
        Hole::RepositoryUuid => words_of("repository uuid"),
        Hole::EnvironmentUuid(name) => words_of(&format!("{name} environment uuid")),
        Hole::Variable { name, environment } => {
            let environment = environment.as_deref().unwrap_or_default();
            words_of(&format!("{environment} {name}"))
        }
    }
}

/// What to fill in, and where it is found.
#[must_use]
pub fn description(hole: &Hole) -> String {
    match hole {
        Hole::Account => "the AWS account".to_owned(),
        Hole::WorkspaceUuid => "UUID of the workspace, without braces".to_owned(),
        Hole::RepositoryUuid => "UUID of the repository, without braces".to_owned(),
        Hole::EnvironmentUuid(name) => {
            format!("UUID of the deployment environment {name}, without braces")
        }
        Hole::Variable { name, environment } => {
            let place = environment.as_ref().map_or_else(
                || "in steps without a deployment".to_owned(),
                |environment| format!("in {environment}"),
            );
            format!("value of {name} {place}")
        }
    }
}

/// The option that fills it.
#[must_use]
pub fn option(hole: &Hole) -> String {
    match hole {
        Hole::Account => "--account ID".to_owned(),
        Hole::WorkspaceUuid => "--workspace-uuid UUID".to_owned(),
        Hole::RepositoryUuid => "--repository-uuid UUID".to_owned(),
        Hole::EnvironmentUuid(name) => format!("--environment '{name}=UUID'"),
        Hole::Variable { name, environment } => match environment {
            Some(environment) => format!("--set '{environment}:{name}=VALUE'"),
            None => format!("--set '{name}=VALUE'"),
        },
    }
}

/// Whether it is a UUID.
#[must_use]
pub const fn is_uuid(hole: &Hole) -> bool {
    matches!(
        hole,
        Hole::WorkspaceUuid | Hole::RepositoryUuid | Hole::EnvironmentUuid(_)
    )
}
