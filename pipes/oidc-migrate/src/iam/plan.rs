//! From what the account has and what it should have to the changes, each with its difference; nothing is in the plan when
//! nothing differs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;
use shared::Failure;
use shared::difference::{Change, Mask, difference};

use super::roles::Stack;
use super::text::Text;

/// The inline policy that is ours; others of the role stay.
pub const POLICY: &str = "deploy";

/// What the account has.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// The audiences of the identity provider, if there is one.
    pub audiences: Option<Vec<String>>,
    /// Roles by their names, those that exist.
    pub roles: BTreeMap<String, LiveRole>,
}

/// A role as it is.
#[derive(Clone, Debug, Default)]
pub struct LiveRole {
    /// Its trust policy.
    pub trust: Value,
    /// Its inline policy of our name.
    pub policy: Option<Value>,
}

/// One call that changes something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// CreateOpenIDConnectProvider
    CreateProvider {
        /// With its scheme.
        url: String,
        /// What it takes tokens for.
        audience: String,
    },
    /// AddClientIDToOpenIDConnectProvider
    AddAudience {
        /// Of the provider.
        arn: String,
        /// What it takes tokens for too.
        audience: String,
    },
    /// CreateRole
    CreateRole {
        /// Its name.
        role: String,
        /// By which people know it.
        description: String,
        /// Its trust policy.
        trust: Value,
    },
    /// UpdateAssumeRolePolicy
    UpdateTrust {
        /// Its name.
        role: String,
        /// The new one.
        trust: Value,
        /// What differs.
        changes: Vec<Change>,
    },
    /// PutRolePolicy
    PutPolicy {
        /// Its name.
        role: String,
        /// The new one.
        policy: Value,
        /// What differs; nothing if there was none.
        changes: Vec<Change>,
    },
}

/// All changes, in their order.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// In the order in which they are made.
    pub actions: Vec<Action>,
    /// Roles in which nothing differs.
    pub unchanged: Vec<String>,
}

impl Plan {
    /// Compares. The stack has no holes.
    ///
    /// # Errors
    /// When a role of the name exists that trusts somebody else, and so is not this pipeline's.
    pub fn new(stack: &Stack, live: &Live) -> Result<Self, Failure> {
        let write = |text: &Text| text.write(str::to_owned, |_| String::new());
        let audience = write(&stack.audience);
        let mut plan = Self::default();
        match &live.audiences {
            None => plan.actions.push(Action::CreateProvider {
                url: format!("https://{}", stack.provider),
                audience,
            }),
            Some(audiences) if !audiences.contains(&audience) => {
                plan.actions.push(Action::AddAudience {
                    arn: write(&stack.provider_arn),
                    audience,
                })
            }
            Some(_) => {}
        }
        for role in &stack.roles {
            let before = plan.actions.len();
            let trust = role.trust.document(&write);
            let old = live.roles.get(&role.name);
            match old {
                None => plan.actions.push(Action::CreateRole {
                    role: role.name.clone(),
                    description: super::formats::description(role),
                    trust,
                }),
                Some(old) if !same(&old.trust, &trust) => {
                    refuse_a_strangers(&role.name, &old.trust, &write(&stack.provider_arn))?;
                    plan.actions.push(Action::UpdateTrust {
                        role: role.name.clone(),
                        changes: difference(&old.trust, &trust, &Mask::default()),
                        trust,
                    });
                }
                Some(_) => {}
            }
            let old = old.and_then(|role| role.policy.as_ref());
            if !role.policy.is_empty() {
                let policy = role.policy.document(&write);
                if !old.is_some_and(|old| same(old, &policy)) {
                    plan.actions.push(Action::PutPolicy {
                        role: role.name.clone(),
                        changes: old.map_or_else(Vec::new, |old| {
                            difference(old, &policy, &Mask::default())
                        }),
                        policy,
                    });
                }
            }
            if plan.actions.len() == before {
                plan.unchanged.push(role.name.clone());
            }
        }
        Ok(plan)
    }
}

/// A role that others assume must not be taken from them.
fn refuse_a_strangers(role: &str, trust: &Value, provider: &str) -> Result<(), Failure> {
    let statements = match &trust["Statement"] {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let is_ours = |statement: &Value| {
        statement["Principal"]["Federated"] == provider
            || statement["Principal"]["Federated"]
                .as_array()
                .is_some_and(|list| list.len() == 1 && list[0] == provider)
    };
    if statements.iter().all(is_ours) {
        return Ok(());
    }
    Err(Failure::new(format!("the role `{role}` exists and trusts others than Bitbucket Pipelines of this workspace"))
        .hint("rename it, or give another name of the repository with --repository-slug, from which the roles have their names"))
}

/// IAM gives lists of one as texts and back, so that they are the same.
fn same(one: &Value, other: &Value) -> bool {
    normal(one) == normal(other)
}

fn normal(value: &Value) -> Value {
    match value {
        Value::Array(list) => match list.as_slice() {
            [one] => normal(one),
            list => {
                let mut list: Vec<Value> = list.iter().map(normal).collect();
                list.sort_by_key(Value::to_string);
                Value::Array(list)
            }
        },
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members
                .iter()
                .map(|(key, value)| (key.clone(), normal(value)))
                .collect();
            members.sort_by(|one, other| one.0.cmp(&other.0));
            Value::Object(members.into_iter().collect())
        }
        other => other.clone(),
    }
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = |head: String, document: Option<&Value>, changes: &[Change]| {
            write!(out, "{head}")?;
            for change in changes {
                write!(out, "\n             {change}")?;
            }
            if let Some(document) = document {
                let text = serde_json::to_string_pretty(document).unwrap_or_default();
                for line in text.lines() {
                    write!(out, "\n             + {line}")?;
                }
            }
            Ok(())
        };
        match self {
            Self::CreateProvider { url, audience } => lines(
                format!("create     identity provider {url}\n             + audience {audience}"),
                None,
                &[],
            ),
            Self::AddAudience { arn, audience } => lines(
                format!("update     identity provider {arn}\n             + audience {audience}"),
                None,
                &[],
            ),
            Self::CreateRole { role, trust, .. } => lines(
                format!("create     role {role}, trust policy"),
                Some(trust),
                &[],
            ),
            Self::UpdateTrust { role, changes, .. } => lines(
                format!("update     role {role}, trust policy"),
                None,
                changes,
            ),
            Self::PutPolicy {
                role,
                policy,
                changes,
            } => {
                // Of a new policy all is new.
                let document = changes.is_empty().then_some(policy);
                lines(
                    format!("put        role {role}, policy {POLICY}"),
                    document,
                    changes,
                )
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for role in &self.unchanged {
            writeln!(out, "unchanged  role {role}")?;
        }
        for action in &self.actions {
            writeln!(out, "{action}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
