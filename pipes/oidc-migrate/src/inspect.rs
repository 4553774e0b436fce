//! The command `inspect`: what a checkout does with AWS credentials, as lines for a person, as JSON, or as SARIF.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use shared::{Failure, Outcome, log};

use crate::findings::{self, Finding, Level};
use crate::model::{Checkout, Keys, Oidc, Pipe, PipelineFile, Step};
use crate::sarif;

/// Its arguments.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How the findings are given.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// How the findings are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One line for each finding.
    #[default]
    Text,
    /// All that was read, without the values of variables.
    Json,
    /// For code scanners: SARIF 2.1.0.
    Sarif,
}

impl Arguments {
    /// Whether another program reads what comes out.
    #[must_use]
    pub fn is_document(&self) -> bool {
        self.format != Format::Text
    }

    /// What comes out for another program.
    ///
    /// # Errors
    /// Never for what a checkout can hold.
    pub fn document(&self, checkout: &Checkout) -> Result<String, Failure> {
        let findings = findings::find(checkout);
        let document = match self.format {
            Format::Sarif => sarif::document(&findings),
            _ => json(checkout, &findings),
        };
        serde_json::to_string_pretty(&document)
            .map_err(|error| Failure::new(format!("could not write the findings: {error}")))
    }

    /// Prints the lines for a person.
    ///
    /// # Errors
    /// Never: what was found is no failure of looking.
    pub fn run(&self, checkout: &Checkout) -> Result<Outcome, Failure> {
        let findings = findings::find(checkout);
        log::line(text(checkout, &findings).trim_end());
        Ok(Outcome {
            summary: summary(checkout, &findings),
            ..Outcome::default()
        })
    }
}

fn summary(checkout: &Checkout, findings: &[Finding<'_>]) -> String {
    let with_keys = findings
        .iter()
        .filter(|finding| finding.rule.level() == Level::Error);
    let steps: usize = checkout.files.iter().map(|file| file.steps.len()).sum();
    let files = checkout.files.len();
    match with_keys.count() {
        0 => format!("no pipe takes access keys in {steps} steps of {files} files"),
        count => format!(
            "{count} findings of access keys or broken files, {} in all, in {steps} steps of {files} files",
            findings.len()
        ),
    }
}

/// The steps that have to do with AWS, then the findings.
fn text(checkout: &Checkout, findings: &[Finding<'_>]) -> String {
    let mut text = String::new();
    for file in &checkout.files {
        let _ = writeln!(text, "{}", file.path.display());
        for step in file.steps.iter().filter(|step| concerns_aws(step)) {
            let _ = writeln!(text, "  {}", step_line(step));
        }
        // They are in the order of their paths: those of one file stand together.
        let first = findings.partition_point(|finding| finding.path < file.path.as_path());
        let of_file = findings[first..].iter();
        for finding in of_file.take_while(|finding| finding.path == file.path) {
            let _ = writeln!(text, "{}", finding_line(finding));
        }
        text.push('\n');
    }
    text
}

fn concerns_aws(step: &Step) -> bool {
    step.oidc != Oidc::Absent
        || !step.commands.is_empty()
        || step.image.is_some()
        || step.pipes.iter().any(|pipe| pipe.keys != Keys::None)
}

fn step_line(step: &Step) -> String {
    let name = step
        .name
        .as_ref()
        .map_or_else(|| "step".to_owned(), |name| format!("step `{name}`"));
    let deployment = step.deployment.as_ref();
    let deployment = deployment.map_or_else(
        || "no deployment".to_owned(),
        |name| format!("deployment {name}"),
    );
    let oidc = match step.oidc {
        Oidc::Absent => "no oidc",
        Oidc::Off => "oidc: false",
        Oidc::On => "oidc: true",
        Oidc::Invalid => "oidc not valid",
    };
    let site = if step.site == step.line || step.site == step.line + 1 {
        String::new()
    } else {
        format!(", script of line {}", step.site)
    };
    format!(
        "line {}: {name} of {}, {deployment}, {oidc}{site}",
        step.line, step.pipeline
    )
}

/// `file:line: rule: sentence`, which editors and log viewers make a link of.
fn finding_line(finding: &Finding<'_>) -> String {
    let step = finding
        .step
        .map_or_else(String::new, |name| format!("step `{name}`: "));
    format!(
        "{}:{}: {}: {step}{}",
        finding.path.display(),
        finding.line,
        finding.rule.describe().0,
        finding.text
    )
}

fn json(checkout: &Checkout, findings: &[Finding<'_>]) -> Value {
    let files: Vec<Value> = checkout.files.iter().map(file_json).collect();
    json!({ "files": files, "findings": findings })
}

fn file_json(file: &PipelineFile) -> Value {
    json!({
        "path": file.path,
        "fault": file.fault.as_ref().map(ToString::to_string),
        "steps": file.steps.iter().map(step_json).collect::<Vec<_>>(),
        "remarks": file.remarks,
    })
}

fn step_json(step: &Step) -> Value {
    json!({
        "name": step.name,
        "line": step.line,
        "site": step.site,
        "pipeline": step.pipeline,
        "deployment": step.deployment,
        "oidc": step.oidc,
        "pipes": step.pipes.iter().map(|pipe| pipe_json(step, pipe)).collect::<Vec<_>>(),
        "commands": step.commands,
        "image": step.image,
    })
}

/// Variables by name only: what a variable of another pipe holds may be a password.
fn pipe_json(step: &Step, pipe: &Pipe) -> Value {
    let keys = match &pipe.keys {
        Keys::None => Value::Null,
        Keys::Defaults => json!("defaults"),
        Keys::Given(given) => json!(given),
    };
    json!({
        "reference": pipe.reference,
        "line": pipe.line,
        "keys": keys,
        "uses_keys": step.uses_keys(pipe),
        "variables": pipe.variables.iter().map(|variable| &variable.name).collect::<Vec<_>>(),
    })
}
