//! The end of a migration as a list of things to do, in the order in which nothing breaks: new rights before the edit, the
//! edit before the proof, and only then the old variables and the key itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::keys::KEY_NAMES;
use crate::model::{Checkout, Keys, Oidc};

/// What the files say of variables and environments.
#[derive(Debug, Default)]
struct Facts {
    /// Environments whose steps call AWS; none stands for steps without one.
    environments: BTreeSet<Option<String>>,
    /// Variables that keys come from, with the places that use them.
    variables: BTreeMap<String, BTreeSet<String>>,
    /// Of these, what no edit of a pipe takes away: commands and images, with their places.
    kept: BTreeMap<String, BTreeSet<String>>,
    /// Steps that work with keys.
    steps: BTreeSet<String>,
    /// Places with a key written out.
    literals: BTreeSet<String>,
}

impl Facts {
    fn new(checkout: &Checkout) -> Self {
        let mut facts = Self::default();
        for file in &checkout.files {
            let path = file.path.display();
            for step in &file.steps {
                for pipe in step.pipes.iter().filter(|pipe| pipe.keys != Keys::None) {
                    let place = format!("{path}:{}", pipe.line);
                    facts.environments.insert(step.deployment.clone());
                    if step.uses_keys(pipe) {
                        let name = step.name.as_deref().unwrap_or(&step.pipeline);
                        facts
                            .steps
                            .insert(format!("`{name}` ({path}:{})", step.line));
                    }
                    facts.add_pipe(&pipe.keys, &place);
                }
                for command in &step.commands {
                    facts.environments.insert(step.deployment.clone());
                    let place = format!("{path}:{}, `{}`", command.line, command.kind);
                    let names = if command.keys.is_empty() && step.oidc != Oidc::On {
                        vec![KEY_NAMES[0].to_owned(), KEY_NAMES[1].to_owned()]
                    } else {
                        command.keys.clone()
                    };
                    for name in names {
                        facts
                            .variables
                            .entry(name.clone())
                            .or_default()
                            .insert(place.clone());
                        facts.kept.entry(name).or_default().insert(place.clone());
                    }
                }
                if let Some(image) = &step.image {
                    let place = format!("{path}:{}, `image.aws`", image.line);
                    for name in &image.keys {
                        facts
                            .variables
                            .entry(name.clone())
                            .or_default()
                            .insert(place.clone());
                        facts
                            .kept
                            .entry(name.clone())
                            .or_default()
                            .insert(place.clone());
                    }
                }
            }
        }
        facts
    }

    fn add_pipe(&mut self, keys: &Keys, place: &str) {
        let mut add = |name: &str| {
            self.variables
                .entry(name.to_owned())
                .or_default()
                .insert(place.to_owned());
        };
        match keys {
            Keys::None => {}
            Keys::Defaults => KEY_NAMES[..2].iter().for_each(|name| add(name)),
            Keys::Given(given) => {
                for source in given.values() {
                    match source {
                        Some(name) => add(name),
                        None => {
                            self.literals.insert(place.to_owned());
                        }
                    }
                }
            }
        }
    }
}

/// The list, with the names and places of this checkout; one sentence if nothing is left to do.
#[must_use]
pub fn text(checkout: &Checkout) -> String {
    let facts = Facts::new(checkout);
    if facts.variables.is_empty() && facts.literals.is_empty() {
        return "Work order: no variable with an AWS access key is used, so there is nothing to do.\n".to_owned();
    }
    let environments: Vec<&str> = facts
        .environments
        .iter()
        .flatten()
        .map(String::as_str)
        .collect();
    let mut out = String::from("Work order, in the order in which nothing breaks:\n");
    let mut step = |text: String| {
        let number = out
            .lines()
            .filter(|line| line.starts_with(|first: char| first.is_ascii_digit()))
            .count()
            + 1;
        let _ = writeln!(out, "{number}. {text}");
    };
    step("Look: `oidc-migrate inspect` lists every use; what stands there as a remark no edit takes away.".to_owned());
    step("Create in AWS, before any edit: `oidc-migrate iam --format terraform|cloudformation|aws-cli`, or `oidc-migrate iam --apply`.".to_owned());
    step(variable_for_roles(
        &environments,
        facts.environments.contains(&None),
    ));
    step("Edit on a branch: `oidc-migrate rewrite --write`, look at `git diff`, push. Leave the keys where they are.".to_owned());
    step(format!(
        "Run each step once, and see it say `Authenticated as … (OIDC, …)`, or with the vendor's pipes `Authenticating with a OpenID Connect (OIDC) Web Identity Provider`:{}",
        list(&facts.steps)
    ));
    let mut variables = BTreeSet::new();
    for (name, places) in &facts.variables {
        let places: Vec<&str> = places.iter().map(String::as_str).collect();
        variables.insert(match facts.kept.get(name) {
            None => format!("{name} (was used in {})", places.join("; ")),
            Some(kept) => {
                let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
                format!(
                    "{name}: not before these have another way to AWS: {}",
                    kept.join("; ")
                )
            }
        });
    }
    step(format!(
        "Delete the variables. Each may be a deployment, a repository or a workspace variable, or several of these (the file cannot tell which): look under Repository settings → Deployments, Repository variables, and Workspace settings → Workspace variables. One of the workspace may be in use by other repositories.{}",
        list(&variables)
    ));
    if !facts.literals.is_empty() {
        step(format!(
            "A key that is written out in a file stays in the history of the repository: deactivate it today.{}",
            list(&facts.literals)
        ));
    }
    step("Deactivate the access key in IAM (`aws iam update-access-key --status Inactive --access-key-id …`), wait until nothing has missed it for a week, then delete it, and its user if that has nothing else.".to_owned());
    step(
        "Keep it so: `oidc-migrate check` in the pipeline, and `OIDC_ONLY: 'true'` for our pipes."
            .to_owned(),
    );
    out
}

fn list(items: &BTreeSet<String>) -> String {
    items.iter().map(|item| format!("\n   - {item}")).collect()
}

fn variable_for_roles(environments: &[&str], has_plain_steps: bool) -> String {
    let mut text = "Set AWS_OIDC_ROLE_ARN to the ARN of the role, which is no secret:".to_owned();
    if !environments.is_empty() {
        let _ = write!(
            text,
            "\n   - as a deployment variable of {}",
            environments.join(", ")
        );
    }
    if has_plain_steps {
        text.push_str("\n   - as a repository variable, for steps without a `deployment`");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Command, Pipe, PipelineFile, Step};

    fn checkout(steps: Vec<Step>) -> Checkout {
        let file = PipelineFile {
            path: "bitbucket-pipelines.yml".into(),
            steps,
            ..PipelineFile::default()
        };
        Checkout {
            files: vec![file],
            ..Checkout::default()
        }
    }

    fn step(deployment: Option<&str>, keys: Keys) -> Step {
        let pipe = Pipe {
            line: 9,
            reference: "atlassian/aws-s3-deploy:1.1.0".to_owned(),
            keys,
            ..Pipe::default()
        };
        Step {
            name: Some("Deploy".to_owned()),
            line: 4,
            deployment: deployment.map(str::to_owned),
            pipes: vec![pipe],
            ..Step::default()
        }
    }

    /// The number of the step that holds this text.
    fn number(text: &str, part: &str) -> usize {
        let before = &text[..text
            .find(part)
            .unwrap_or_else(|| panic!("{part} is not in\n{text}"))];
        before
            .lines()
            .chain([""])
            .filter(|line| line.starts_with(|first: char| first.is_ascii_digit()))
            .count()
    }

    #[test]
    fn nothing_is_deleted_before_the_proof() {
        let given = Keys::Given(BTreeMap::from([
            (
                "AWS_ACCESS_KEY_ID".to_owned(),
                Some("AWS_KEY_PRODUCTION".to_owned()),
            ),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), None),
        ]));
        let text = text(&checkout(vec![
            step(Some("production"), given),
            step(None, Keys::Defaults),
        ]));
        let order = [
            "--apply",
            "Set AWS_OIDC_ROLE_ARN",
            "rewrite --write",
            "Authenticated as",
            "AWS_KEY_PRODUCTION (was used in",
            "written out in a file",
            "update-access-key",
        ];
        let numbers: Vec<usize> = order.iter().map(|part| number(&text, part)).collect();
        assert!(
            numbers.is_sorted_by(|one, other| one < other),
            "{numbers:?}\n{text}"
        );
        assert!(
            text.contains("deployment variable of production")
                && text.contains("repository variable, for steps without"),
            "{text}"
        );
        // By the defaults of a pipe come the variables of the usual names.
        assert!(
            text.contains("- AWS_SECRET_ACCESS_KEY (was used in bitbucket-pipelines.yml:9)"),
            "{text}"
        );
    }

    #[test]
    fn a_variable_that_a_command_needs_is_not_deleted_yet() {
        let mut step = step(None, Keys::Defaults);
        step.commands = vec![Command {
            line: 12,
            kind: "aws".to_owned(),
            keys: Vec::new(),
        }];
        let text = text(&checkout(vec![step]));
        assert!(text.contains("AWS_ACCESS_KEY_ID: not before these have another way to AWS: bitbucket-pipelines.yml:12, `aws`"), "{text}");
    }

    #[test]
    fn a_clean_checkout_has_nothing_to_do() {
        assert!(text(&checkout(Vec::new())).contains("nothing to do"));
    }
}
