//! From the steps of all files to the roles to create: one for each deployment environment, since its token's subject names
//! it, and one for the steps without; each with the rights of all pipes that run there.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Checkout, Pipe, Step};

use super::known::Known;
use super::pipes::{Rights, Use};
use super::policy::{Policy, Trust};
use super::text::{Hole, Text};

/// Longest name of a role. <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>
const LONGEST_NAME: usize = 64;
/// Characters of all inline policies of a role, blanks not counted.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const LARGEST_POLICY: usize = 10_240;

/// Everything to create in one account.
#[derive(Debug)]
pub struct Stack {
    /// The identity provider without its scheme.
    pub provider: String,
    /// Its ARN.
    pub provider_arn: Text,
    /// The audience to register: the workspace, as tokens name it.
    pub audience: Text,
    /// In the order of their names; the one without an environment first.
    pub roles: Vec<Role>,
    /// What no policy was made for, and what the file cannot tell: file, line and sentence.
    pub notes: Vec<String>,
}

/// A role.
#[derive(Debug)]
pub struct Role {
    /// Its name, `bitbucket-<repository>-<environment>`.
    pub name: String,
    /// The deployment environment whose steps may assume it; any step of the repository may if there is none.
    pub environment: Option<String>,
    /// Who may assume it.
    pub trust: Trust,
    /// What it may do.
    pub policy: Policy,
    /// Which pipes it is for, such as `atlassian/aws-s3-deploy:1.1.0 (bitbucket-pipelines.yml:12)`.
    pub pipes: Vec<String>,
}

impl Stack {
    /// Makes the roles for all pipes of the checkout that call AWS.
    #[must_use]
    pub fn new(checkout: &Checkout, known: &Known, to_ours: bool) -> Self {
        let provider = known.provider();
        let provider_arn = Text::from("arn:aws:iam::")
            .then(known.fill(Hole::Account))
            .then(format!(":oidc-provider/{provider}"));
        let audience =
            Text::from("ari:cloud:bitbucket::workspace/").then(known.fill(Hole::WorkspaceUuid));
        let mut found = Found {
            known,
            checkout,
            to_ours,
            roles: BTreeMap::new(),
            notes: Vec::new(),
        };
        for file in &checkout.files {
            for step in &file.steps {
                found.add(&file.path.display().to_string(), step);
            }
        }
        let roles = found
            .roles
            .into_iter()
            .map(|(environment, (policy, pipes))| Role {
                name: role_name(&known.repository, environment.as_deref()),
                trust: Trust {
                    provider: provider.clone(),
                    provider_arn: provider_arn.clone(),
                    audience: audience.clone(),
                    subject: subject(known, environment.as_deref()),
                },
                environment,
                policy,
                pipes,
            });
        let roles = roles.collect();
        let mut stack = Self {
            provider,
            provider_arn,
            audience,
            roles,
            notes: found.notes,
        };
        stack.tell_names_apart();
        stack.measure();
        stack
    }

    /// Every part that nobody has told.
    #[must_use]
    pub fn holes(&self) -> BTreeSet<Hole> {
        let mut holes = BTreeSet::new();
        self.provider_arn.collect(&mut holes);
        self.audience.collect(&mut holes);
        for role in &self.roles {
            role.trust.collect(&mut holes);
            role.policy.collect(&mut holes);
        }
        holes
    }

    /// Environments whose names differ only in what a role's name cannot hold.
    fn tell_names_apart(&mut self) {
        let mut seen = BTreeSet::new();
        for role in &mut self.roles {
            let mut number = 2;
            let wanted = role.name.clone();
            // IAM tells names apart without regard to case.
            while !seen.insert(role.name.to_lowercase()) {
                let end = format!("-{number}");
                let start: String = wanted.chars().take(LONGEST_NAME - end.len()).collect();
                role.name = start + &end;
                number += 1;
            }
        }
    }

    fn measure(&mut self) {
        for role in &self.roles {
            let document = role
                .policy
                .document(&|text| text.write(str::to_owned, |_| "x".repeat(12)));
            let size = document.to_string().len();
            if size > LARGEST_POLICY {
                self.notes.push(format!(
                    "the policy of `{}` has {size} characters, and IAM takes {LARGEST_POLICY}: give some of its steps a `deployment` of their own",
                    role.name
                ));
            }
        }
    }
}

/// What has been found so far.
struct Found<'a> {
    known: &'a Known,
    checkout: &'a Checkout,
    to_ours: bool,
    roles: BTreeMap<Option<String>, (Policy, Vec<String>)>,
    notes: Vec<String>,
}

impl Found<'_> {
    fn add(&mut self, file: &str, step: &Step) {
        let environment = step.deployment.as_deref();
        for pipe in &step.pipes {
            self.add_pipe(file, environment, pipe);
        }
        for command in &step.commands {
            self.role(environment);
            self.note(
                file,
                command.line,
                &format!(
                    "`{}` uses AWS: no policy is made for commands, so add what this one needs",
                    command.kind
                ),
            );
        }
    }

    fn role(&mut self, environment: Option<&str>) -> &mut (Policy, Vec<String>) {
        self.roles
            .entry(environment.map(str::to_owned))
            .or_default()
    }

    fn add_pipe(&mut self, file: &str, environment: Option<&str>, pipe: &Pipe) {
        let at = Use {
            pipe,
            environment,
            known: self.known,
            root: &self.checkout.root,
            to_ours: self.to_ours,
        };
        match at.rights() {
            Rights::Policy(policy, notes) => {
                let (all, pipes) = self.role(environment);
                for statement in policy.statements() {
                    all.add(statement.clone());
                }
                let place = format!("{} ({file}:{})", pipe.reference, pipe.line);
                if !pipes.contains(&place) {
                    pipes.push(place);
                }
                for note in notes {
                    self.note(file, pipe.line, &note);
                }
            }
            Rights::Unknown(why) => {
                self.role(environment);
                self.note(
                    file,
                    pipe.line,
                    &format!("no policy is made for `{}`: {why}", pipe.reference),
                );
            }
            Rights::NotAws => {}
        }
    }

    fn note(&mut self, file: &str, line: usize, text: &str) {
        let note = format!("{file}:{line}: {text}");
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// `{repository}:{environment}:*`, or `{repository}:*` for steps without a deployment, whose subject is
/// `{repository}:{step}`. The braces are part of it.
fn subject(known: &Known, environment: Option<&str>) -> Text {
    let repository = Text::from("{")
        .then(known.fill(Hole::RepositoryUuid))
        .then("}:");
    match environment {
        Some(name) => {
            let id = known.fill(Hole::EnvironmentUuid(name.to_owned()));
            repository.then("{").then(id).then("}:*")
        }
        None => repository.then("*"),
    }
}

fn role_name(repository: &str, environment: Option<&str>) -> String {
    let name = match environment {
        Some(environment) => format!("bitbucket-{repository}-{environment}"),
        None => format!("bitbucket-{repository}"),
    };
    let legal = |character: char| {
        if character.is_ascii_alphanumeric() || "_+=,.@-".contains(character) {
            character
        } else {
            '-'
        }
    };
    name.chars().map(legal).take(LONGEST_NAME).collect()
}
