//! What a `- pipe:` entry may do in AWS: its variables go in, a policy comes out. Each pipe has a file of its own; of a
//! pipe that nobody here knows for certain no policy is made, and the reason is said.

mod ecs;
mod lambda;
mod s3;
mod vendor;

use std::path::Path;

use crate::catalogue::Reference;
use crate::model::Pipe;

use super::known::Known;
use super::policy::{Policy, Statement};
use super::text::{Hole, Text};

/// Which program a reference means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// One of this project's.
    Ours,
    /// The pipe that it replaces.
    Vendor,
}

/// What is known of a pipe's rights.
#[derive(Debug)]
pub enum Rights {
    /// A policy, and what it could not take into account.
    Policy(Policy, Vec<String>),
    /// It calls AWS, and nobody can tell from its variables what for.
    Unknown(&'static str),
    /// It has nothing to do with AWS as far as is known.
    NotAws,
}

/// One pipe of a step, with all that its rights depend on.
#[derive(Clone, Copy)]
pub struct Use<'a> {
    /// The entry.
    pub pipe: &'a Pipe,
    /// The deployment environment of its step.
    pub environment: Option<&'a str>,
    /// What fills its variables.
    pub known: &'a Known,
    /// The folder of the checkout, in which files that the variables name are looked for.
    pub root: &'a Path,
    /// Whether the vendor's pipes are replaced by ours, which look at more before they change anything.
    pub to_ours: bool,
}

/// The name of a pipe without its maker, `aws-` and version, such as `s3-deploy`; and whose it is. Forks keep the name.
#[must_use]
pub fn name_and_maker(reference: &str) -> (&str, Maker) {
    let name = Reference::new(reference).name;
    let name = name.rsplit('/').next().unwrap_or_default();
    match name.strip_prefix("aws-") {
        Some(name) => (name, Maker::Vendor),
        None => (name, Maker::Ours),
    }
}

impl Use<'_> {
    /// What the pipe may do.
    #[must_use]
    pub fn rights(&self) -> Rights {
        let (name, maker) = name_and_maker(&self.pipe.reference);
        let chain = self.list("AWS_ROLE_CHAIN");
        if let (Some(first), Maker::Ours) = (chain.first(), maker) {
            let mut policy = Policy::default();
            policy.add(Statement::new(["sts:AssumeRole"], [first.clone()]));
            return Rights::Policy(policy, vec!["with AWS_ROLE_CHAIN the rights of the pipe belong to the last role of the chain, and here is only the right to begin it".to_owned()]);
        }
        let maker = if self.to_ours { Maker::Ours } else { maker };
        match (name, maker) {
            ("s3-deploy", maker) => s3::rights(self, maker),
            ("ecs-deploy", Maker::Ours) => ecs::rights(self),
            ("ecs-deploy", Maker::Vendor) => ecs::vendor(self),
            ("lambda-deploy", Maker::Ours) => lambda::rights(self),
            ("lambda-deploy", Maker::Vendor) => lambda::vendor(self),
            _ => vendor::rights(self, name),
        }
    }

    /// The texts of a variable; none if it is not in the entry, or blank.
    fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self
            .pipe
            .variables
            .iter()
            .find(|variable| variable.name == name);
        let values = found.into_iter().flat_map(|variable| &variable.values);
        values
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// Whether the variable is in the entry with a value.
    fn has(&self, name: &str) -> bool {
        self.texts(name).next().is_some()
    }

    /// Whether any of them is.
    fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.has(name))
    }

    /// Whether a boolean is true, or may be: what a variable holds is not known here.
    fn is_on(&self, name: &str) -> bool {
        self.texts(name).next().is_some_and(|text| {
            let text = text.to_ascii_lowercase();
            ["true", "yes", "on", "y"].contains(&text.as_str()) || text.contains('$')
        })
    }

    /// Whether any of them is.
    fn is_any_on(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.is_on(name))
    }

    /// The value of a variable.
    fn value(&self, name: &str) -> Option<Text> {
        let text = self.texts(name).next()?;
        Some(self.known.expand(text, name, self.environment))
    }

    /// A list, which is a YAML list or one text with blanks between.
    fn list(&self, name: &str) -> Vec<Text> {
        let texts = self
            .texts(name)
            .map(|text| self.known.expand(text, name, self.environment));
        texts.flat_map(|text| text.words()).collect()
    }

    /// What the file cannot tell and nobody has given with `--set`.
    fn unknown(&self, name: &str) -> Text {
        self.known.variable(name, self.environment)
    }

    fn account(&self) -> Text {
        self.known.fill(Hole::Account)
    }

    /// The region of the pipe: from its entry, or by the default of its `pipe.yml`.
    fn region(&self) -> Text {
        self.value("AWS_REGION")
            .or_else(|| self.value("AWS_DEFAULT_REGION"))
            .unwrap_or_else(|| self.unknown("AWS_DEFAULT_REGION"))
    }

    /// `arn:aws:service:region:account:` and `resource`.
    fn arn(&self, service: &str, resource: impl Into<Text>) -> Text {
        self.arn_in(service, self.region(), resource)
    }

    fn arn_in(&self, service: &str, region: Text, resource: impl Into<Text>) -> Text {
        let partition = partition(&region);
        Text::from(format!("arn:{partition}:{service}:"))
            .then(region)
            .then(":")
            .then(self.account())
            .then(":")
            .then(resource)
    }

    /// The ARN of something that is in no region, and of this account or (for buckets) of none.
    fn global_arn(&self, service: &str, account: Text, resource: impl Into<Text>) -> Text {
        Text::from(format!("arn:{}:{service}::", partition(&self.region())))
            .then(account)
            .then(":")
            .then(resource)
    }

    /// The text of a file of the checkout that a variable names.
    fn file(&self, name: &str) -> Option<String> {
        let path = self.value(name)?;
        let path = path.literal()?.to_owned();
        let inside = Path::new(&path).components().all(|part| {
            matches!(
                part,
                std::path::Component::Normal(_) | std::path::Component::CurDir
            )
        });
        if inside {
            std::fs::read_to_string(self.root.join(path)).ok()
        } else {
            None
        }
    }
}

/// The partition of a region; that of most accounts for one that is not known.
#[must_use]
pub fn partition(region: &Text) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

#[cfg(test)]
mod tests;
