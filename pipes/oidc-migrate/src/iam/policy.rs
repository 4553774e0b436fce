//! Permission and trust policies as values, before a format writes them: statements of which those that differ in nothing
//! but their actions are one. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::text::{Hole, Text};

/// What is allowed on some resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Such as `s3:PutObject`.
    pub actions: BTreeSet<&'static str>,
    /// ARNs, or `*`.
    pub resources: Vec<Text>,
    /// When it holds.
    pub condition: Option<Condition>,
}

/// One condition of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Such as `StringLike`.
    pub operator: &'static str,
    /// Such as `s3:prefix`.
    pub key: &'static str,
    /// One of them has to fit.
    pub values: Vec<Text>,
}

/// What a role may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    statements: Vec<Statement>,
}

impl Statement {
    /// Allows the actions on these resources.
    pub fn new(
        actions: impl IntoIterator<Item = &'static str>,
        resources: impl IntoIterator<Item = Text>,
    ) -> Self {
        let mut statement = Self {
            actions: actions.into_iter().collect(),
            resources: Vec::new(),
            condition: None,
        };
        for resource in resources {
            if !statement.resources.contains(&resource) {
                statement.resources.push(resource);
            }
        }
        statement
    }

    /// Allows the actions on all resources: for those that know none.
    pub fn on_all(actions: impl IntoIterator<Item = &'static str>) -> Self {
        Self::new(actions, [Text::from("*")])
    }

    /// Allows it only when this condition holds.
    #[must_use]
    pub fn when(
        mut self,
        operator: &'static str,
        key: &'static str,
        values: impl IntoIterator<Item = Text>,
    ) -> Self {
        self.condition = Some(Condition {
            operator,
            key,
            values: values.into_iter().collect(),
        });
        self
    }
}

impl Policy {
    /// Adds a statement, to one with the same resources and condition if there is one.
    pub fn add(&mut self, statement: Statement) {
        if statement.actions.is_empty() || statement.resources.is_empty() {
            return;
        }
        let same = self.statements.iter_mut().find(|known| {
            known.resources == statement.resources && known.condition == statement.condition
        });
        match same {
            Some(known) => known.actions.extend(statement.actions),
            None => self.statements.push(statement),
        }
    }

    /// Whether it allows nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// What it allows.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Every action in it.
    #[must_use]
    pub fn actions(&self) -> BTreeSet<&'static str> {
        let actions = self.statements.iter().map(|statement| &statement.actions);
        actions.flatten().copied().collect()
    }

    /// Adds every hole in it to `holes`.
    pub fn collect(&self, holes: &mut BTreeSet<Hole>) {
        for statement in &self.statements {
            let values = statement.condition.iter().flat_map(|each| &each.values);
            for text in statement.resources.iter().chain(values) {
                text.collect(holes);
            }
        }
    }

    /// The document, with each text written by `write`.
    pub fn document(&self, write: &dyn Fn(&Text) -> String) -> Value {
        let statements = self.statements.iter().map(|statement| {
            let mut members = Map::new();
            members.insert("Effect".to_owned(), json!("Allow"));
            members.insert(
                "Action".to_owned(),
                one_or_many(statement.actions.iter().map(|&action| action.to_owned())),
            );
            members.insert(
                "Resource".to_owned(),
                one_or_many(statement.resources.iter().map(write)),
            );
            if let Some(condition) = &statement.condition {
                let values = one_or_many(condition.values.iter().map(write));
                members.insert(
                    "Condition".to_owned(),
                    json!({(condition.operator): {(condition.key): values}}),
                );
            }
            Value::Object(members)
        });
        json!({"Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>()})
    }
}

fn one_or_many(texts: impl Iterator<Item = String>) -> Value {
    let texts: Vec<String> = texts.collect();
    match texts.as_slice() {
        [one] => json!(one),
        _ => json!(texts),
    }
}

/// Who may assume a role: steps whose token has this audience and a subject like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The identity provider without its scheme, `api.bitbucket.org/2.0/workspaces/…`.
    pub provider: String,
    /// Its ARN.
    pub provider_arn: Text,
    /// The workspace as the token's `aud` names it, a UUID without braces.
    pub audience: Text,
    /// `{repository}:{environment}:*` or `{repository}:*`: the UUID of the step at its end is new in each run.
    pub subject: Text,
}

impl Trust {
    /// Adds every hole in it to `holes`.
    pub fn collect(&self, holes: &mut BTreeSet<Hole>) {
        for text in [&self.provider_arn, &self.audience, &self.subject] {
            text.collect(holes);
        }
    }

    /// The document, with each text written by `write`.
    pub fn document(&self, write: &dyn Fn(&Text) -> String) -> Value {
        let condition =
            |name: &str, text| BTreeMap::from([(format!("{}:{name}", self.provider), write(text))]);
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": write(&self.provider_arn)},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": condition("aud", &self.audience),
                "StringLike": condition("sub", &self.subject),
            },
        }]})
    }
}
