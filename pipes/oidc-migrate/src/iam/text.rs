//! Texts of ARNs and conditions in which a part may not be known: the file names a variable, or leaves the account out.
//! Each format writes such a part in its own way, and all of them are listed once at the end.

use std::collections::BTreeSet;

/// A part that the file cannot tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hole {
    /// The AWS account; every format can ask AWS for it.
    Account,
    /// The UUID of the workspace, without braces.
    WorkspaceUuid,
    /// The UUID of the repository, without braces.
    RepositoryUuid,
    /// The UUID of a deployment environment, without braces.
    EnvironmentUuid(String),
    /// What a variable holds in steps of an environment, or in steps without one.
    Variable {
        /// Its name, such as `S3_BUCKET`.
        name: String,
        /// The environment, since a deployment variable has another value in each.
        environment: Option<String>,
    },
}

/// A literal or a hole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Literal(String),
    Hole(Hole),
}

/// A text with holes in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(Vec<Part>);

impl Text {
    /// A single unknown.
    #[must_use]
    pub fn hole(hole: Hole) -> Self {
        Self(vec![Part::Hole(hole)])
    }

    /// Adds another text at the end.
    #[must_use]
    pub fn then(mut self, other: impl Into<Self>) -> Self {
        for part in other.into().0 {
            match (self.0.last_mut(), part) {
                (Some(Part::Literal(last)), Part::Literal(text)) => last.push_str(&text),
                (_, Part::Literal(text)) if text.is_empty() => {}
                (_, part) => self.0.push(part),
            }
        }
        self
    }

    /// The text if nothing in it is unknown.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it begins with this literal text.
    #[must_use]
    pub fn starts_with(&self, beginning: &str) -> bool {
        matches!(self.0.first(), Some(Part::Literal(text)) if text.starts_with(beginning))
    }

    /// What stands before the first `separator` of a literal part, and what stands behind it.
    #[must_use]
    pub fn split_once(&self, separator: char) -> Option<(Self, Self)> {
        let index = self
            .0
            .iter()
            .position(|part| matches!(part, Part::Literal(text) if text.contains(separator)))?;
        let Part::Literal(text) = &self.0[index] else {
            return None;
        };
        let (before, after) = text.split_once(separator)?;
        let whole = |parts: &[Part]| Self(parts.to_vec());
        Some((
            whole(&self.0[..index]).then(before),
            Self::from(after).then(whole(&self.0[index + 1..])),
        ))
    }

    /// The words of a list with blanks between.
    #[must_use]
    pub fn words(&self) -> Vec<Self> {
        let mut words = vec![Self::default()];
        for part in &self.0 {
            match part {
                Part::Hole(hole) => {
                    let last = words.pop().unwrap_or_default();
                    words.push(last.then(Self::hole(hole.clone())));
                }
                Part::Literal(text) => {
                    for (index, word) in text.split(char::is_whitespace).enumerate() {
                        let last = match index {
                            0 => words.pop().unwrap_or_default(),
                            _ => Self::default(),
                        };
                        words.push(last.then(word));
                    }
                }
            }
        }
        words.retain(|word| !word.0.is_empty());
        words
    }

    /// Adds every hole in it to `holes`.
    pub fn collect(&self, holes: &mut BTreeSet<Hole>) {
        for part in &self.0 {
            if let Part::Hole(hole) = part {
                holes.insert(hole.clone());
            }
        }
    }

    /// The text with its literals and its holes each written by one of these.
    #[must_use]
    pub fn write(
        &self,
        literal: impl Fn(&str) -> String,
        hole: impl Fn(&Hole) -> String,
    ) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Literal(text) => literal(text),
            Part::Hole(unknown) => hole(unknown),
        });
        parts.collect()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        if text.is_empty() {
            Self::default()
        } else {
            Self(vec![Part::Literal(text)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &Text) -> String {
        text.write(str::to_owned, |hole| format!("<{hole:?}>"))
    }

    #[test]
    fn parts_are_joined_and_taken_apart() {
        let text = Text::from("a b/")
            .then(Text::hole(Hole::Account))
            .then("/c")
            .then(" d");
        assert_eq!(shown(&text), "a b/<Account>/c d");
        let (before, after) = text.split_once('/').unwrap();
        assert_eq!(
            (shown(&before).as_str(), shown(&after).as_str()),
            ("a b", "<Account>/c d")
        );
        let words: Vec<String> = text.words().iter().map(shown).collect();
        assert_eq!(words, ["a", "b/<Account>/c", "d"]);
        assert_eq!(text.literal(), None);
        assert_eq!(Text::from("a").then("b").literal(), Some("ab"));
    }
}
