//! The calls to IAM: what the account has, and each change, noted in the journal before it is asked for.
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/>

use aws_sdk_iam::Client;
use aws_sdk_iam::error::SdkError;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use shared::{Explain, Failure, Journal, Refusal, SdkConfig};

use super::plan::{Action, Live, LiveRole, POLICY};

/// IAM of one account.
#[derive(Clone, Debug)]
pub struct Iam(Client);

/// One question of a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Such as `s3:PutObject`.
    pub actions: Vec<String>,
    /// ARNs, or none for `*`.
    pub resources: Vec<String>,
    /// Condition key and values, such as `ecs:cluster`.
    pub context: Option<(String, Vec<String>)>,
}

impl Iam {
    /// With the caller's credentials.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        let settings = shared::watched!(aws_sdk_iam::config::Builder::from(config));
        Self(Client::from_conf(settings.build()))
    }

    /// What the account has of the provider and the roles.
    ///
    /// # Errors
    /// When IAM refuses to tell.
    pub async fn observe(&self, provider_arn: &str, roles: &[&str]) -> Result<Live, Failure> {
        let mut live = Live::default();
        let answer = self
            .0
            .get_open_id_connect_provider()
            .open_id_connect_provider_arn(provider_arn)
            .send()
            .await;
        let answer = existing(answer).map_err(|refusal| {
            refused(
                &refusal,
                format!("could not look at the identity provider `{provider_arn}`"),
                "iam:GetOpenIDConnectProvider",
            )
        })?;
        live.audiences = answer.map(|answer| answer.client_id_list.unwrap_or_default());
        for &name in roles {
            if let Some(role) = self.role(name).await? {
                live.roles.insert(name.to_owned(), role);
            }
        }
        Ok(live)
    }

    async fn role(&self, name: &str) -> Result<Option<LiveRole>, Failure> {
        let answer =
            existing(self.0.get_role().role_name(name).send().await).map_err(|refusal| {
                refused(
                    &refusal,
                    format!("could not look at the role `{name}`"),
                    "iam:GetRole",
                )
            })?;
        let Some(role) = answer.and_then(|answer| answer.role) else {
            return Ok(None);
        };
        let trust = document(
            role.assume_role_policy_document
                .as_deref()
                .unwrap_or_default(),
            name,
        )?;
        let answer = existing(
            self.0
                .get_role_policy()
                .role_name(name)
                .policy_name(POLICY)
                .send()
                .await,
        )
        .map_err(|refusal| {
            refused(
                &refusal,
                format!("could not look at the policy of the role `{name}`"),
                "iam:GetRolePolicy",
            )
        })?;
        let policy = answer
            .map(|answer| document(&answer.policy_document, name))
            .transpose()?;
        Ok(Some(LiveRole { trust, policy }))
    }

    /// Makes one change.
    ///
    /// # Errors
    /// When IAM refuses it; without an answer the journal has it as perhaps made.
    pub async fn make(&self, action: &Action, journal: &Journal) -> Result<(), Failure> {
        let iam = &self.0;
        match action {
            Action::CreateProvider { url, audience } => {
                let pending = journal.begin("create identity provider", url);
                let call = iam
                    .create_open_id_connect_provider()
                    .url(url)
                    .client_id_list(audience);
                settle(
                    call.send().await,
                    pending,
                    ("created identity provider", url),
                    "iam:CreateOpenIDConnectProvider",
                )
            }
            Action::AddAudience { arn, audience } => {
                let pending = journal.begin("update identity provider", arn);
                let call = iam
                    .add_client_id_to_open_id_connect_provider()
                    .open_id_connect_provider_arn(arn)
                    .client_id(audience);
                settle(
                    call.send().await,
                    pending,
                    ("updated identity provider", arn),
                    "iam:AddClientIDToOpenIDConnectProvider",
                )
            }
            Action::CreateRole {
                role,
                description,
                trust,
            } => {
                let pending = journal.begin("create role", role);
                let call = iam
                    .create_role()
                    .role_name(role)
                    .description(description)
                    .assume_role_policy_document(trust.to_string());
                settle(
                    call.send().await,
                    pending,
                    ("created role", role),
                    "iam:CreateRole",
                )
            }
            Action::UpdateTrust { role, trust, .. } => {
                let pending = journal.begin("update trust policy of", role);
                let call = iam
                    .update_assume_role_policy()
                    .role_name(role)
                    .policy_document(trust.to_string());
                settle(
                    call.send().await,
                    pending,
                    ("updated trust policy of", role),
                    "iam:UpdateAssumeRolePolicy",
                )
            }
            Action::PutPolicy { role, policy, .. } => {
                let pending = journal.begin("put policy of", role);
                let call = iam
                    .put_role_policy()
                    .role_name(role)
                    .policy_name(POLICY)
                    .policy_document(policy.to_string());
                settle(
                    call.send().await,
                    pending,
                    ("put policy of", role),
                    "iam:PutRolePolicy",
                )
            }
        }
    }

    /// Which of the actions a role may not do: action, resource and decision.
    ///
    /// # Errors
    /// When IAM refuses to simulate.
    pub async fn simulate(
        &self,
        role_arn: &str,
        question: &Question,
    ) -> Result<Vec<(String, String, String)>, Failure> {
        let mut call = self
            .0
            .simulate_principal_policy()
            .policy_source_arn(role_arn)
            .set_action_names(Some(question.actions.clone()));
        if !question.resources.is_empty() {
            call = call.set_resource_arns(Some(question.resources.clone()));
        }
        if let Some((key, values)) = &question.context {
            let entry = ContextEntry::builder()
                .context_key_name(key)
                .context_key_type(ContextKeyTypeEnum::String)
                .set_context_key_values(Some(values.clone()))
                .build();
            call = call.context_entries(entry);
        }
        let mut denied = Vec::new();
        let mut pages = call.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.explain(
                format!("could not ask IAM what the role `{role_arn}` may do"),
                "iam:SimulatePrincipalPolicy",
            )?;
            for result in page.evaluation_results() {
                if result.eval_decision().as_str() != "allowed" {
                    let resource = result.eval_resource_name().unwrap_or("*");
                    let decision = result.eval_decision().as_str();
                    denied.push((
                        result.eval_action_name().to_owned(),
                        resource.to_owned(),
                        decision.to_owned(),
                    ));
                }
            }
        }
        Ok(denied)
    }
}

/// An answer, or none where IAM says that there is no such thing.
fn existing<T, E>(answer: Result<T, SdkError<E>>) -> Result<Option<T>, Refusal>
where
    Refusal: for<'a> From<&'a SdkError<E>>,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => match Refusal::from(&error) {
            refusal if refusal.code == "NoSuchEntity" => Ok(None),
            refusal => Err(refusal),
        },
    }
}

fn settle<T, E>(
    answer: Result<T, SdkError<E>>,
    pending: shared::Pending<'_>,
    (verb, name): (&'static str, &str),
    permission: &str,
) -> Result<(), Failure>
where
    Refusal: for<'a> From<&'a SdkError<E>>,
{
    match answer {
        Ok(_) => {
            pending.done(verb, name);
            Ok(())
        }
        Err(error) => {
            let refusal = Refusal::from(&error);
            if refusal.changed_nothing() {
                pending.refused();
            }
            Err(refused(
                &refusal,
                format!("could not get `{name}` as planned"),
                permission,
            ))
        }
    }
}

fn refused(refusal: &Refusal, doing: String, permission: &str) -> Failure {
    shared::explained(refusal, doing, permission)
}

/// IAM gives documents percent-encoded (RFC 3986).
fn document(text: &str, role: &str) -> Result<Value, Failure> {
    let text = percent_decode_str(text).decode_utf8_lossy();
    serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("a policy of the role `{role}` is no JSON: {error}")))
}
