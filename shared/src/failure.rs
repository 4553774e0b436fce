//! The one error of a pipe's stages: what was being done, why it failed, facts that help, and what to do.
//! What was changed is not said here: the [`Journal`](crate::Journal) knows that better than any error.

use std::fmt;

use crate::variables::Faults;

/// Why a run ended without success. Its `Display` is what follows the `✖` in the log.
#[derive(Debug)]
pub struct Failure {
    message: String,
    facts: Vec<String>,
    hint: Option<String>,
    may_pass: bool,
}

impl Failure {
    /// One sentence without a period: what was being done and why it failed, literals in backticks.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            facts: Vec::new(),
            hint: None,
            may_pass: false,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Marks it as one that may pass by itself, such as throttling or a broken connection: a stage that only looks
    /// on may look again.
    #[must_use]
    pub fn passing(mut self, may_pass: bool) -> Self {
        self.may_pass = may_pass;
        self
    }

    /// Whether it may pass by itself.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        self.may_pass
    }

    /// The sentence alone.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Adds a fact below the sentence; it may have several lines.
    #[must_use]
    pub fn fact(mut self, fact: impl Into<String>) -> Self {
        self.facts.push(fact.into());
        self
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::new(faults.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.message)?;
        for fact in &self.facts {
            for line in fact.lines() {
                write!(out, "\n  {line}")?;
            }
        }
        if let Some(hint) = &self.hint {
            write!(out, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// The causes of an error, outermost first, joined by colons, without the repetitions that nested
/// library errors are fond of.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let part = cause.to_string();
        if !part.is_empty() && !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_from_the_sentence_to_the_hint() {
        let failure = Failure::new("could not read `dist`: no such directory")
            .fact("one\ntwo")
            .hint("build it first");
        insta::assert_snapshot!(failure, @r"
        could not read `dist`: no such directory
          one
          two
          hint: build it first
        ");
    }
}
