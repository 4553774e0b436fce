//! From findings to the uses of access keys: one for each place in a file, however many pipelines run it.

use std::fmt;

use crate::catalogue::Reference;
use crate::findings::{self, Rule};
use crate::model::Checkout;

/// A place that works with access keys, or a file of which nobody can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Relative to the checkout.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// The name of its step, or the pipeline of one without a name; none of what belongs to the whole file.
    pub step: Option<String>,
    /// The name of its rule, such as `keys-in-variables`.
    pub rule: &'static str,
    /// One sentence.
    pub text: String,
}

/// The rules that mean a use.
const RULES: [Rule; 7] = [
    Rule::Unreadable,
    Rule::LiteralKey,
    Rule::KeysInVariables,
    Rule::KeysByDefault,
    Rule::CommandWithKeys,
    Rule::ImageKeys,
    Rule::ServiceKeys,
];

/// Every use, in the order of files and lines.
#[must_use]
pub fn uses(checkout: &Checkout) -> Vec<Use> {
    let found = findings::find(checkout).into_iter();
    let found = found.filter(|finding| RULES.contains(&finding.rule));
    found
        .map(|finding| Use {
            file: finding.path.display().to_string(),
            line: finding.line,
            step: finding.step.or(finding.pipeline).map(str::to_owned),
            rule: finding.rule.describe().0,
            text: finding.text,
        })
        .collect()
}

impl Use {
    /// What stays the same when lines are added above it and the version of a pipe is raised.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let step = self.step.as_deref().unwrap_or("-");
        // Every second part stands between backticks.
        let parts = self
            .text
            .split('`')
            .enumerate()
            .map(|(index, part)| match index % 2 {
                1 if part.contains('/') => Reference::new(part).name,
                _ => part,
            });
        let text = parts.collect::<Vec<_>>().join("`");
        [&self.file, step, self.rule, &text]
            .map(|part| part.replace('\n', " "))
            .join(" | ")
    }
}

impl fmt::Display for Use {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: ", self.file, self.line)?;
        if let Some(step) = &self.step {
            write!(out, "step `{step}`: ")?;
        }
        write!(out, "{} ({})", self.text, self.rule)
    }
}
