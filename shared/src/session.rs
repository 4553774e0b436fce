//! The exchange: token or keys in, credentials out, renewed before they end while the token still holds.
//! We call AssumeRoleWithWebIdentity ourselves, since the SDK's provider wants the token in a file and cannot
//! ask for a duration; the token stays in memory. <https://docs.aws.amazon.com/STS/latest/APIReference/>

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials as SdkCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::Client;
use aws_sdk_sts::config::Builder;
use aws_sdk_sts::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_sts::types::Credentials as StsCredentials;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use tokio::sync::Mutex;

use crate::arn::{AccountId, RoleArn};
use crate::aws::{AwsSettings, RENEW_BEFORE};
use crate::credentials::{AccessKeys, Credentials, DEFAULT_DURATION, Source};
use crate::diagnosis::{Diagnosis, Place, utc};
use crate::explain::{Explain, Refusal};
use crate::failure::Failure;
use crate::token::Token;

/// The credentials of a run, for all its clients.
pub struct Session {
    settings: AwsSettings,
    credentials: Credentials,
    place: Place,
    /// Seconds to ask for; stepped down once if the role does not give that much.
    duration: AtomicI32,
    current: Mutex<Option<Assumed>>,
}

/// What an exchange gave.
#[derive(Clone)]
struct Assumed {
    credentials: SdkCredentials,
    arn: String,
    way: &'static str,
}

impl Session {
    /// Gets the first credentials, checks the account, logs the identity, and hands out the configuration.
    pub async fn open(
        settings: AwsSettings,
        credentials: Credentials,
        place: Place,
    ) -> Result<SdkConfig, Failure> {
        let duration = AtomicI32::new(seconds(credentials.duration));
        let session = Self {
            settings,
            credentials,
            place,
            duration,
            current: Mutex::new(None),
        };
        let assumed = session.assume().await?;
        let ends = assumed
            .credentials
            .expiry()
            .map_or_else(String::new, |time| format!(", until {}", time_of_day(time)));
        tracing::info!("Authenticated as {} ({}{ends})", assumed.arn, assumed.way);
        if let (Some(names), true) = (
            &session.credentials.superfluous,
            assumed.way.starts_with("OIDC"),
        ) {
            tracing::warn!("{names} can now be deleted: OIDC is used, and the keys are not");
        }
        *session.current.lock().await = Some(assumed);
        let settings = session.settings.clone();
        settings.sdk_config(Some(SharedCredentialsProvider::new(session)))
    }

    async fn assume(&self) -> Result<Assumed, Failure> {
        let mut assumed = match &self.credentials.source {
            Source::Oidc {
                role,
                token,
                fallback,
            } => match self.trade(role, token).await {
                Ok(assumed) => assumed,
                Err(refused) => self.fall_back(role, fallback.as_ref(), refused).await?,
            },
            Source::Keys(keys) => self.take(keys).await?,
        };
        for role in &self.credentials.chain {
            assumed = self.assume_next(role, assumed).await?;
        }
        // An ARN without an account is refused too: the list is there to be sure.
        let account = AccountId::of_arn(&assumed.arn);
        if !account.map_or(self.credentials.allowed_accounts.is_empty(), |account| {
            self.credentials.allows(&account)
        }) {
            return Err(Failure::new(format!(
                "the credentials are of `{}`, whose account AWS_ALLOWED_ACCOUNT_IDS does not list",
                assumed.arn
            ))
            .hint("check the role or the keys, or add the account to AWS_ALLOWED_ACCOUNT_IDS"));
        }
        Ok(assumed)
    }

    async fn trade(&self, role: &RoleArn, token: &Token) -> Result<Assumed, Failure> {
        let sts = self.sts(None)?;
        let answer = loop {
            let duration = self.duration.load(Ordering::Relaxed);
            let answer = sts
                .assume_role_with_web_identity()
                .role_arn(role.as_str())
                .role_session_name(self.credentials.session_name.as_str())
                .web_identity_token(token.reveal())
                .duration_seconds(duration)
                .send()
                .await;
            let refusal = match answer {
                Ok(answer) => break answer,
                Err(error) => Refusal::from(&error),
            };
            if self.step_down(&refusal, duration) {
                continue;
            }
            if refusal.status == 0 {
                let doing = format!("could not reach STS to assume role `{role}`");
                return Err(crate::explain::explained(&refusal, doing, ""));
            }
            let (claims, place, now) = (token.claims(), &self.place, SystemTime::now());
            let diagnosis = Diagnosis {
                role,
                claims,
                place,
                refusal: &refusal,
                now,
            }
            .failure();
            return Err(self.with_unused_keys(diagnosis));
        };
        let arn = answer
            .assumed_role_user
            .map_or_else(|| role.to_string(), |user| user.arn);
        Ok(Assumed {
            credentials: temporary(answer.credentials, role)?,
            arn,
            way: "OIDC",
        })
    }

    /// Says that the keys that are set were left alone, and how they could have been used.
    fn with_unused_keys(&self, diagnosis: Failure) -> Failure {
        match (&self.credentials.source, &self.credentials.superfluous) {
            (Source::Oidc { fallback: None, .. }, Some(names)) => diagnosis.fact(format!(
                "{names} are set and were not used, since a refused token is no reason to; for the days of the change-over OIDC_FALLBACK allows it"
            )),
            _ => diagnosis,
        }
    }

    /// "The requested DurationSeconds exceeds the MaxSessionDuration set for this role": a role that was left
    /// at its default gives an hour. The text is not in the API's documentation, so both words are looked for.
    fn step_down(&self, refusal: &Refusal, asked: i32) -> bool {
        let least = seconds(DEFAULT_DURATION);
        let too_long = refusal.message.contains("DurationSeconds")
            || refusal.message.contains("MaxSessionDuration");
        if !(refusal.code == "ValidationError" && too_long && asked > least) {
            return false;
        }
        tracing::warn!(
            "the role does not give a session of {asked} s, so {least} s are asked for; raise its maximum session duration, or set AWS_OIDC_SESSION_DURATION"
        );
        self.duration.store(least, Ordering::Relaxed);
        true
    }

    /// Keys instead of a refused token: only when told to, and only keys of the role's own account, so that
    /// a deploy cannot end up in another one.
    async fn fall_back(
        &self,
        role: &RoleArn,
        keys: Option<&AccessKeys>,
        refused: Failure,
    ) -> Result<Assumed, Failure> {
        let Some(keys) = keys else {
            return Err(refused);
        };
        let taken = self
            .identify(keys)
            .await
            .map_err(|failure| failure.fact(format!("before that: {refused}")))?;
        if AccountId::of_arn(&taken.arn).as_ref() != Some(role.account()) {
            return Err(refused.fact(format!(
                "OIDC_FALLBACK was not followed: the access keys belong to `{}`, not to account {}",
                taken.arn,
                role.account()
            )));
        }
        tracing::warn!("{refused}\n  OIDC_FALLBACK is true, so the access keys are used");
        Ok(taken)
    }

    /// Keys say whose they are only when asked, which is one request more: only where it decides something.
    async fn take(&self, keys: &AccessKeys) -> Result<Assumed, Failure> {
        if self.credentials.allowed_accounts.is_empty() {
            let arn = format!("access key …{}", keys.last_four());
            return Ok(Assumed {
                credentials: static_keys(keys),
                arn,
                way: "access keys",
            });
        }
        self.identify(keys).await
    }

    async fn identify(&self, keys: &AccessKeys) -> Result<Assumed, Failure> {
        let credentials = static_keys(keys);
        let answer = self
            .sts(Some(credentials.clone()))?
            .get_caller_identity()
            .send()
            .await
            .explain(
                format!(
                    "could not ask whose the access key …{} is",
                    keys.last_four()
                ),
                "sts:GetCallerIdentity",
            )?;
        let arn = answer.arn.unwrap_or_default();
        Ok(Assumed {
            credentials,
            arn,
            way: "access keys",
        })
    }

    async fn assume_next(&self, role: &RoleArn, with: Assumed) -> Result<Assumed, Failure> {
        // "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        let duration = self
            .duration
            .load(Ordering::Relaxed)
            .min(seconds(DEFAULT_DURATION));
        let answer = self
            .sts(Some(with.credentials))?
            .assume_role()
            .role_arn(role.as_str())
            .role_session_name(self.credentials.session_name.as_str())
            .duration_seconds(duration)
            .send()
            .await
            .explain(
                format!(
                    "could not assume role `{role}` of AWS_ROLE_CHAIN as `{}`",
                    with.arn
                ),
                "sts:AssumeRole",
            )?;
        let arn = answer
            .assumed_role_user
            .map_or_else(|| role.to_string(), |user| user.arn);
        let way = if with.way.starts_with("OIDC") {
            "OIDC, then AWS_ROLE_CHAIN"
        } else {
            "access keys, then AWS_ROLE_CHAIN"
        };
        Ok(Assumed {
            credentials: temporary(answer.credentials, role)?,
            arn,
            way,
        })
    }

    fn sts(&self, credentials: Option<SdkCredentials>) -> Result<Client, Failure> {
        let config = self
            .settings
            .sdk_config(credentials.map(SharedCredentialsProvider::new))?;
        let settings = crate::watched!(Builder::from(&config)).retry_classifier(VerificationKey);
        Ok(Client::from_conf(settings.build()))
    }

    async fn renewed(&self) -> Result<SdkCredentials, Failure> {
        let mut current = self.current.lock().await;
        let now = SystemTime::now();
        let left = |assumed: &Assumed| {
            assumed.credentials.expiry().map_or(Duration::MAX, |end| {
                end.duration_since(now).unwrap_or_default()
            })
        };
        if let Some(assumed) = current
            .as_ref()
            .filter(|assumed| left(assumed) > RENEW_BEFORE)
        {
            return Ok(assumed.credentials.clone());
        }
        match (self.assume().await, current.as_ref()) {
            (Ok(assumed), _) => {
                let ends = assumed
                    .credentials
                    .expiry()
                    .map(time_of_day)
                    .unwrap_or_default();
                tracing::info!("Renewed the session of {} until {ends}", assumed.arn);
                let credentials = assumed.credentials.clone();
                *current = Some(assumed);
                Ok(credentials)
            }
            // The token may have ended; the session it bought has not.
            (Err(failure), Some(assumed)) if !left(assumed).is_zero() => {
                tracing::warn!(
                    "could not renew the session, which ends in {} s: {failure}",
                    left(assumed).as_secs()
                );
                Ok(assumed.credentials.clone())
            }
            (Err(failure), _) => Err(failure),
        }
    }
}

impl ProvideCredentials for Session {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.renewed()
                .await
                .map_err(CredentialsError::provider_error)
        })
    }
}

/// The SDK asks for it of a provider. It says nothing: the session holds the token and the keys.
impl std::fmt::Debug for Session {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Session")
    }
}

/// `InvalidIdentityToken` is final, but for "Couldn't retrieve verification key from your identity provider",
/// which many steps that start together may see for a moment. The SDK retries neither.
#[derive(Debug)]
struct VerificationKey;

impl ClassifyRetry for VerificationKey {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };
        let service = error.as_operation_error().and_then(|error| {
            use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError as Sts;
            error.downcast_ref::<Sts>()
        });
        let message = service
            .and_then(|error| error.meta().message())
            .unwrap_or_default();
        if message.contains("Couldn't retrieve verification key") {
            RetryAction::transient_error()
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "VerificationKey"
    }
}

fn static_keys(keys: &AccessKeys) -> SdkCredentials {
    let session_token = keys
        .session_token
        .as_ref()
        .map(|token| token.reveal().to_owned());
    SdkCredentials::new(
        &keys.id,
        keys.secret.reveal(),
        session_token,
        None,
        "access keys",
    )
}

fn temporary(
    credentials: Option<StsCredentials>,
    role: &RoleArn,
) -> Result<SdkCredentials, Failure> {
    let credentials = credentials.ok_or_else(|| {
        Failure::new(format!(
            "STS let the step assume role `{role}` but sent no credentials"
        ))
    })?;
    let expiry = SystemTime::try_from(credentials.expiration).map_err(|_| {
        Failure::new(format!(
            "STS sent credentials of role `{role}` with an end that is no date"
        ))
    })?;
    let StsCredentials {
        access_key_id,
        secret_access_key,
        session_token,
        ..
    } = credentials;
    Ok(SdkCredentials::new(
        access_key_id,
        secret_access_key,
        Some(session_token),
        Some(expiry),
        "role session",
    ))
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

/// `14:05:09Z`: the day is today or the next.
fn time_of_day(time: SystemTime) -> String {
    let text = utc(time);
    text.split_once('T')
        .map_or(text.clone(), |(_, time)| time.to_owned())
}
