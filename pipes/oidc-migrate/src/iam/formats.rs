//! What to create, written so that a tool takes it as it is: unknown parts are parameters of the format's own kind, which
//! the tool asks for, and the account is what the tool itself knows.

mod aws_cli;
mod cloudformation;
mod terraform;

use serde_json::Value;

use super::names::Names;
use super::roles::Stack;
use super::text::{Hole, Text};

/// The formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// HCL of Terraform and OpenTofu.
    #[default]
    Terraform,
    /// A template in YAML.
    Cloudformation,
    /// A shell script, which can be run again.
    AwsCli,
}

impl Format {
    /// The whole text.
    #[must_use]
    pub fn write(self, stack: &Stack) -> String {
        match self {
            Self::Terraform => terraform::write(stack),
            Self::Cloudformation => cloudformation::write(stack),
            Self::AwsCli => aws_cli::write(stack),
        }
    }
}

/// Stand before and behind the name of a hole while a document is JSON: no ARN has them (Unicode, private use area).
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// A text with its holes marked.
fn marked(names: &Names) -> impl Fn(&Text) -> String {
    |text| {
        text.write(str::to_owned, |hole| match hole {
            Hole::Account => format!("{OPEN}{CLOSE}"),
            hole => format!("{OPEN}{}{CLOSE}", names.of(hole)),
        })
    }
}

/// A marked text with literals and holes each written by one of these; the name of the account is empty.
fn unmarked(text: &str, literal: impl Fn(&str) -> String, hole: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (name, after) = after.split_once(CLOSE).unwrap_or((after, ""));
        out.push_str(&literal(before));
        out.push_str(&hole(name));
        rest = after;
    }
    out + &literal(rest)
}

/// What stands at the head of a text, each line behind `#`.
fn head(stack: &Stack, how: &[&str]) -> String {
    let mut out = String::from(
        "# Lets Bitbucket Pipelines into AWS without a stored key: the identity provider of the workspace, and a role for\n# each deployment environment.\n",
    );
    for line in how {
        out.push_str("# ");
        out.push_str(line);
        out.push('\n');
    }
    for role in &stack.roles {
        out.push_str(&format!("#\n# {}: {}\n", role.name, admits(role)));
        for pipe in &role.pipes {
            out.push_str(&format!("#   {pipe}\n"));
        }
    }
    out
}

/// Whom a role admits.
pub(super) fn admits(role: &super::roles::Role) -> String {
    match &role.environment {
        Some(environment) => format!("steps with `deployment: {environment}`"),
        None => "every step of the repository, on every branch; give its steps a `deployment` to narrow it".to_owned(),
    }
}

/// The description of a role in IAM, by which a later run knows it as its own.
pub(super) fn description(role: &super::roles::Role) -> String {
    match &role.environment {
        Some(environment) => {
            format!("Bitbucket Pipelines, deployments to {environment}, made by oidc-migrate")
        }
        None => "Bitbucket Pipelines, steps without a deployment, made by oidc-migrate".to_owned(),
    }
}

/// The trust policy and, if there is anything to allow, the permission policy of a role, with marks for holes.
fn documents(role: &super::roles::Role, names: &Names) -> (Value, Option<Value>) {
    let write = marked(names);
    let policy = (!role.policy.is_empty()).then(|| role.policy.document(&write));
    (role.trust.document(&write), policy)
}

#[cfg(test)]
mod tests;
