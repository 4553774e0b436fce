//! The uses that are let stand, as lines of text. A line names file, step and use and no number of a line, so that it stays
//! true when the file grows above it; two equal uses are two equal lines.

use std::collections::BTreeMap;
use std::path::Path;

use shared::Failure;

use super::uses::Use;

const HEAD: &str = "\
# Uses of AWS access keys that `oidc-migrate check --baseline` lets stand: file, step, rule and sentence.
# Written by `check --baseline FILE --write-baseline`; take lines out as they are migrated.
";

/// Lines and how often each is let stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Baseline(BTreeMap<String, usize>);

/// What became of the uses.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Those that no line names.
    pub(super) new: Vec<Use>,
    /// How many were named.
    pub(super) known: usize,
    /// Lines to which there is no use any more.
    pub(super) gone: Vec<String>,
}

impl Baseline {
    /// All of these.
    pub(super) fn of(uses: &[Use]) -> Self {
        let mut lines = BTreeMap::new();
        for each in uses {
            *lines.entry(each.fingerprint()).or_default() += 1;
        }
        Self(lines)
    }

    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(format!(
                "could not read the baseline `{}`: {error}",
                path.display()
            ))
            .hint("`check --baseline FILE --write-baseline` writes one")
        })?;
        let mut lines = BTreeMap::new();
        for each in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            *lines.entry(each.to_owned()).or_default() += 1;
        }
        Ok(Self(lines))
    }

    /// Writes a file.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let lines = self
            .0
            .iter()
            .flat_map(|(line, &count)| std::iter::repeat_n(line, count));
        let text = lines.fold(HEAD.to_owned(), |text, line| text + line + "\n");
        std::fs::write(path, text).map_err(|error| {
            Failure::new(format!(
                "could not write the baseline `{}`: {error}",
                path.display()
            ))
        })
    }

    /// Tells old uses from new ones.
    pub(super) fn judge(&self, uses: Vec<Use>) -> Verdict {
        let mut left = self.0.clone();
        let mut verdict = Verdict::default();
        for each in uses {
            match left.get_mut(&each.fingerprint()) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    verdict.known += 1;
                }
                _ => verdict.new.push(each),
            }
        }
        verdict.gone = left
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(line, _)| line)
            .collect();
        verdict
    }
}
