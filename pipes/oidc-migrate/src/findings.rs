//! The model becomes findings: one sentence each, with the rule behind it and the line to look at. Text, JSON and SARIF
//! show the same ones.

use std::path::Path;

use serde::Serialize;

use crate::catalogue::Reference;
use crate::model::{Checkout, Keys, Oidc, Pipe, PipelineFile, RemarkKind, Step};

/// One thing to know about a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding<'model> {
    /// The file, relative to the checkout.
    pub path: &'model Path,
    /// From 1.
    pub line: usize,
    /// What kind of thing it is.
    pub rule: Rule,
    /// The name of the step, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<&'model str>,
    /// The first pipeline that runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<&'model str>,
    /// One sentence.
    pub text: String,
}

/// What kind of thing a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The file cannot be read.
    Unreadable,
    /// A key itself stands in the file.
    LiteralKey,
    /// A pipe takes access keys from its `variables`.
    KeysInVariables,
    /// A pipe takes access keys by the defaults of its `pipe.yml`.
    KeysByDefault,
    /// The version of a pipe is too old to take a role.
    VersionTooOld,
    /// A step with such a pipe gets no token.
    StepWithoutOidc,
    /// `oidc` is neither a boolean nor a mapping.
    InvalidOidc,
    /// A command of a script works with access keys.
    CommandWithKeys,
    /// `image.aws` has access keys.
    ImageKeys,
    /// A service has access keys.
    ServiceKeys,
    /// A key comes twice in one mapping.
    DuplicateKey,
    /// A step stands once and runs in several environments.
    SharedStep,
    /// An import that cannot be seen.
    Import,
    /// Keys in a comment.
    Comment,
    /// Something that is not followed.
    Unseen,
}

/// How much a finding matters, in the words of SARIF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Access keys are in use, or the file is broken.
    Error,
    /// It stands in the way of leaving them.
    Warning,
    /// Good to know.
    Note,
}

impl Rule {
    /// All rules, in the order of their weight.
    pub const ALL: [Self; 15] = [
        Self::Unreadable,
        Self::LiteralKey,
        Self::KeysInVariables,
        Self::KeysByDefault,
        Self::VersionTooOld,
        Self::StepWithoutOidc,
        Self::InvalidOidc,
        Self::CommandWithKeys,
        Self::ImageKeys,
        Self::ServiceKeys,
        Self::DuplicateKey,
        Self::SharedStep,
        Self::Import,
        Self::Comment,
        Self::Unseen,
    ];

    /// Its name, such as `keys-in-variables`, and what it means.
    #[must_use]
    pub const fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::Unreadable => ("unreadable", "The file cannot be read as a pipeline file"),
            Self::LiteralKey => ("literal-key", "An access key itself stands in the file"),
            Self::KeysInVariables => (
                "keys-in-variables",
                "A pipe takes AWS access keys from its variables",
            ),
            Self::KeysByDefault => (
                "keys-by-default",
                "A pipe takes AWS access keys by the defaults of its pipe.yml",
            ),
            Self::VersionTooOld => (
                "version-too-old",
                "The version of a pipe is too old to take a role",
            ),
            Self::StepWithoutOidc => (
                "step-without-oidc",
                "A step with a pipe for AWS gets no token",
            ),
            Self::InvalidOidc => (
                "invalid-oidc",
                "The value of oidc is neither a boolean nor a mapping",
            ),
            Self::CommandWithKeys => (
                "command-with-keys",
                "A command of a script works with AWS access keys",
            ),
            Self::ImageKeys => (
                "image-keys",
                "The image of a step is pulled with AWS access keys",
            ),
            Self::ServiceKeys => ("service-keys", "A service has AWS access keys"),
            Self::DuplicateKey => ("duplicate-key", "A key comes twice in one mapping"),
            Self::SharedStep => (
                "shared-step",
                "A step stands once and runs in several environments",
            ),
            Self::Import => (
                "import",
                "A pipeline is imported from where it cannot be seen",
            ),
            Self::Comment => ("comment", "A comment holds a pipe or a key"),
            Self::Unseen => ("unseen", "Something is not followed"),
        }
    }

    /// How much it matters.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::Unreadable | Self::LiteralKey | Self::KeysInVariables | Self::KeysByDefault => {
                Level::Error
            }
            Self::SharedStep | Self::Import | Self::Comment | Self::Unseen => Level::Note,
            _ => Level::Warning,
        }
    }
}

/// All findings of a checkout in the order of files and lines; a place that several pipelines share is found once.
#[must_use]
pub fn find(checkout: &Checkout) -> Vec<Finding<'_>> {
    let mut findings: Vec<Finding<'_>> = checkout.files.iter().flat_map(of_file).collect();
    findings.sort_by(|one, other| {
        (one.path, one.line, one.rule, &one.text).cmp(&(
            other.path,
            other.line,
            other.rule,
            &other.text,
        ))
    });
    findings.dedup_by(|one, other| {
        (one.path, one.line, one.rule, &one.text)
            == (other.path, other.line, other.rule, &other.text)
    });
    findings
}

fn of_file(file: &PipelineFile) -> Vec<Finding<'_>> {
    let whole = |line, rule, text: &str| Finding {
        path: &file.path,
        line,
        rule,
        step: None,
        pipeline: None,
        text: text.to_owned(),
    };
    let mut findings: Vec<Finding<'_>> = Vec::new();
    if let Some(fault) = &file.fault {
        findings.push(whole(fault.line, Rule::Unreadable, &fault.text));
    }
    for remark in &file.remarks {
        let rule = match remark.kind {
            RemarkKind::Import => Rule::Import,
            RemarkKind::Service => Rule::ServiceKeys,
            RemarkKind::Comment => Rule::Comment,
            RemarkKind::SharedStep => Rule::SharedStep,
            RemarkKind::DuplicateKey => Rule::DuplicateKey,
            RemarkKind::Unseen => Rule::Unseen,
        };
        findings.push(whole(remark.line, rule, &remark.text));
    }
    for step in &file.steps {
        let mut add = |line, rule, text: String| {
            findings.push(Finding {
                step: step.name.as_deref(),
                pipeline: Some(&step.pipeline),
                ..whole(line, rule, &text)
            });
        };
        of_step(step, &mut add);
    }
    findings
}

fn of_step(step: &Step, add: &mut dyn FnMut(usize, Rule, String)) {
    for pipe in &step.pipes {
        of_pipe(step, pipe, add);
    }
    let takes_keys = step.pipes.iter().any(|pipe| pipe.keys != Keys::None);
    match step.oidc {
        Oidc::Absent if takes_keys => {
            add(
                step.line,
                Rule::StepWithoutOidc,
                "the step has no `oidc: true`".to_owned(),
            );
        }
        Oidc::Off if takes_keys => {
            add(
                step.line,
                Rule::StepWithoutOidc,
                "the step says `oidc: false`".to_owned(),
            );
        }
        Oidc::Invalid => add(
            step.line,
            Rule::InvalidOidc,
            "the `oidc` of the step is neither a boolean nor a mapping".to_owned(),
        ),
        _ => {}
    }
    for command in &step.commands {
        let keys = match command.keys.as_slice() {
            [] => "takes the access keys of the environment".to_owned(),
            keys => format!("names {}", listed(keys)),
        };
        add(
            command.line,
            Rule::CommandWithKeys,
            format!("`{}` {keys}", command.kind),
        );
    }
    if let Some(image) = step.image.as_ref().filter(|image| !image.keys.is_empty()) {
        add(
            image.line,
            Rule::ImageKeys,
            format!(
                "the image is pulled with the keys {}; `oidc-role` can take their place",
                listed(&image.keys)
            ),
        );
    }
}

fn of_pipe(step: &Step, pipe: &Pipe, add: &mut dyn FnMut(usize, Rule, String)) {
    let reference = &pipe.reference;
    match &pipe.keys {
        Keys::None => return,
        Keys::Defaults if !step.uses_keys(pipe) => {}
        Keys::Defaults => add(
            pipe.line,
            Rule::KeysByDefault,
            format!(
                "`{reference}` takes AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY by its defaults"
            ),
        ),
        Keys::Given(given) => {
            let sources: Vec<String> = given
                .iter()
                .map(|(name, source)| match source {
                    Some(source) => format!("{name} from `${source}`"),
                    None => format!("{name} from a text"),
                })
                .collect();
            add(
                pipe.line,
                Rule::KeysInVariables,
                format!("`{reference}` takes access keys: {}", sources.join(", ")),
            );
            for (name, source) in given {
                let line = pipe
                    .variables
                    .iter()
                    .find(|variable| variable.name == *name);
                if source.is_none()
                    && let Some(line) = line.map(|variable| variable.line)
                {
                    add(
                        line,
                        Rule::LiteralKey,
                        format!(
                            "{name} is not filled from one variable; if it is the key itself, deactivate it now"
                        ),
                    );
                }
            }
        }
    }
    let parts = Reference::new(reference);
    if let Some(known) = parts.known() {
        match (known.oidc_since, known.raise_to, parts.semantic()) {
            (Some(since), Some(to), Some(version)) if version < since => add(
                pipe.line,
                Rule::VersionTooOld,
                format!("`{reference}` is not known to take a role before {since}; {to} does"),
            ),
            (None, ..) => add(
                pipe.line,
                Rule::VersionTooOld,
                format!("no version of `{}` is known to take a role", parts.name),
            ),
            _ => {}
        }
    }
}

/// Names in a sentence: `A, B and C`.
#[must_use]
pub fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
