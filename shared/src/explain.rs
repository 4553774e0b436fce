//! AWS errors as one readable sentence: the SDK's own `Display` says only `service error`, and its long form
//! dumps headers and body.

use std::fmt;

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::attempts::{Unanswered, follows_unanswered, is_without_connection};
use crate::failure::{Failure, chain};

/// What AWS answered, or that it did not, in our own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// AWS's error code, such as `AccessDenied`; empty when there was no answer or none with a code.
    pub code: String,
    /// AWS's text, or the causes of the broken connection.
    pub message: String,
    /// The HTTP status; 0 when there was no answer.
    pub status: u16,
    /// AWS's id of the request, by which its support and `CloudTrail` find it.
    pub request_id: Option<String>,
    /// The region that the answer points to (`x-amz-bucket-region`).
    pub region: Option<String>,
    /// Whether the request never left: it could not be built, or no connection came about.
    pub never_sent: bool,
    /// Whether an earlier attempt of the request was sent and not answered, or with a 5xx.
    pub unanswered_before: bool,
}

impl Refusal {
    /// Whether credentials or permissions were refused.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        // The JSON protocols answer a missing permission with status 400.
        self.status == 401 || self.status == 403 || self.code.starts_with("AccessDenied")
    }

    /// Whether it may pass by itself: AWS asked to slow down, failed, or could not be reached.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        const SLOW_DOWN: [&str; 6] = [
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestLimitExceeded",
            "TooManyRequestsException",
            "SlowDown",
        ];
        self.status == 0
            || self.status == 429
            || self.status >= 500
            || SLOW_DOWN.contains(&self.code.as_str())
    }

    /// The IAM action that AWS itself names as the missing one, as in `… is not authorized to perform:
    /// iam:PassRole on resource: …`.
    #[must_use]
    pub fn named_action(&self) -> Option<&str> {
        let (_, rest) = self.message.split_once("not authorized to perform: ")?;
        let action = rest.split([' ', ',']).next()?;
        action.contains(':').then_some(action)
    }

    /// Whether AWS said no. That is all there is to know about a request that only reads.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        (300..500).contains(&self.status)
    }

    /// Whether it is certain that nothing was changed: AWS said no, or never heard of it, to every attempt. Without an
    /// answer to one that was sent, or with a 5xx, the change may have been made, whatever was said to the next one.
    #[must_use]
    pub fn changed_nothing(&self) -> bool {
        (self.never_sent || self.is_refused()) && !self.unanswered_before
    }

    /// Whether AWS says that this machine's clock is another one than its own.
    #[must_use]
    pub fn is_of_clock(&self) -> bool {
        let is_of_signature =
            ["InvalidSignatureException", "SignatureDoesNotMatch"].contains(&self.code.as_str());
        ["RequestTimeTooSkewed", "RequestExpired"].contains(&self.code.as_str())
            || is_of_signature
                && (self.message.contains("Signature expired")
                    || self.message.contains("Signature not yet current"))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.status) {
            ("", 0) => write!(out, "{}", self.message)?,
            ("", status) => write!(out, "HTTP status {status}")?,
            (code, _) if self.message.is_empty() => write!(out, "{code}")?,
            (code, _) => write!(out, "{code}: {}", self.message)?,
        }
        match &self.request_id {
            Some(id) => write!(out, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl<E: ProvideErrorMetadata + RequestId> From<&SdkError<E, HttpResponse>> for Refusal
where
    E: std::error::Error + 'static,
{
    fn from(error: &SdkError<E, HttpResponse>) -> Self {
        let response = error.raw_response();
        let status = response.map_or(0, |response| response.status().as_u16());
        let region = response
            .and_then(|response| response.headers().get("x-amz-bucket-region"))
            .map(str::to_owned);
        let service = error.as_service_error();
        let metadata = service.map(ProvideErrorMetadata::meta);
        let connector = match error {
            SdkError::DispatchFailure(failure) => failure.as_connector_error(),
            _ => None,
        };
        let connection = connector.map(|cause| chain(cause));
        let never_sent = matches!(error, SdkError::ConstructionFailure(_))
            || connection.as_deref().is_some_and(is_without_connection);
        let unanswered_before = connector.is_some_and(follows_unanswered)
            || response.is_some_and(|response| response.extension::<Unanswered>().is_some());
        let message = match (metadata.and_then(|metadata| metadata.message()), error) {
            (Some(message), _) => message.to_owned(),
            (None, SdkError::ServiceError(_)) => String::new(),
            (None, SdkError::DispatchFailure(_)) => {
                connection.map_or_else(|| chain(error), |causes| readable(&causes))
            }
            (None, SdkError::TimeoutError(_)) => "no answer in time".to_owned(),
            (None, _) => chain(error),
        };
        Self {
            code: metadata
                .and_then(|metadata| metadata.code())
                .unwrap_or_default()
                .to_owned(),
            message,
            status,
            request_id: service.and_then(RequestId::request_id).map(str::to_owned),
            region,
            never_sent,
            unanswered_before,
        }
    }
}

/// The connector's chain starts with its own layers ("io error: client error (Connect)"), which help nobody.
fn readable(chain: &str) -> String {
    let known_layers = [
        "io error: ",
        "dispatch failure: ",
        "client error (Connect): ",
        "tcp connect error: ",
        "timeout: ",
    ];
    let mut text = chain;
    while let Some(rest) = known_layers
        .iter()
        .find_map(|layer| text.strip_prefix(layer))
    {
        text = rest;
    }
    format!("no connection: {text}")
}

/// Makes an answer of the SDK a result of a stage.
pub trait Explain<T> {
    /// On an error: `doing`, a clause such as ``could not list `s3://site/` ``, then what AWS said. When AWS
    /// denied it, the hint names `action`, the IAM action that the caller lacks.
    fn explain(self, doing: impl fmt::Display, action: &str) -> Result<T, Failure>;
}

impl<T, E> Explain<T> for Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
{
    fn explain(self, doing: impl fmt::Display, action: &str) -> Result<T, Failure> {
        self.map_err(|error| explained(&Refusal::from(&error), doing, action))
    }
}

/// The failure for a refusal that a stage has looked at already.
pub fn explained(refusal: &Refusal, doing: impl fmt::Display, action: &str) -> Failure {
    let failure = Failure::new(format!("{doing}: {refusal}")).passing(refusal.may_pass());
    if refusal.code.starts_with("ExpiredToken") {
        failure.hint("the session ended before the work did; ask for a longer one with AWS_OIDC_SESSION_DURATION")
    } else if refusal.is_of_clock() {
        failure.hint("the clock of this machine is off, and AWS refuses what was signed more than minutes ago or ahead; set it, or let the runner's host do so (NTP)")
    } else if refusal.is_denied() {
        // One request can need two actions, such as `iam:PassRole` beside the one that it is called by.
        let action = refusal.named_action().unwrap_or(action);
        failure.hint(format!(
            "allow `{action}` in the policy of the role or user that the run authenticated as"
        ))
    } else if refusal.status == 0 {
        failure.hint("check AWS_DEFAULT_REGION, the proxy variables and AWS_ENDPOINT_URL, and the network of the runner")
    } else {
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_sentence() {
        let refusal = Refusal {
            code: "AccessDenied".to_owned(),
            message: "no".to_owned(),
            status: 403,
            request_id: Some("4f1c".to_owned()),
            ..Refusal::default()
        };
        insta::assert_snapshot!(explained(&refusal, "could not list `s3://site/`", "s3:ListBucket"), @r"
        could not list `s3://site/`: AccessDenied: no (request 4f1c)
          hint: allow `s3:ListBucket` in the policy of the role or user that the run authenticated as
        ");
        let another = Refusal {
            code: "AccessDeniedException".to_owned(),
            message: "User: deploy is not authorized to perform: iam:PassRole on resource: task"
                .to_owned(),
            status: 400,
            ..Refusal::default()
        };
        let failure = explained(&another, "could not register", "ecs:RegisterTaskDefinition");
        assert!(failure.to_string().contains("hint: allow `iam:PassRole`"));
        let bare = Refusal {
            status: 502,
            ..Refusal::default()
        };
        assert_eq!(bare.to_string(), "HTTP status 502");
        assert!(explained(&bare, "could not look", "").may_pass());
        assert!(!explained(&refusal, "could not look", "").may_pass());
    }

    #[test]
    fn a_clock_that_is_off_is_no_missing_permission() {
        for (code, message, is_of_clock) in [
            ("RequestTimeTooSkewed", "too large", true),
            (
                "InvalidSignatureException",
                "Signature expired: 1 is now earlier than 2",
                true,
            ),
            ("SignatureDoesNotMatch", "check your key", false),
            ("AccessDenied", "Signature expired", false),
        ] {
            let refusal = Refusal {
                code: code.to_owned(),
                message: message.to_owned(),
                status: 403,
                ..Refusal::default()
            };
            let failure = explained(&refusal, "could not look", "s3:GetObject").to_string();
            assert_eq!(
                failure.contains("hint: the clock"),
                is_of_clock,
                "{failure}"
            );
        }
    }

    #[test]
    fn a_refusal_after_an_attempt_without_an_answer_is_not_certain() {
        let refusal = Refusal {
            status: 403,
            ..Refusal::default()
        };
        assert!(refusal.is_refused() && refusal.changed_nothing());
        let after = Refusal {
            unanswered_before: true,
            ..refusal
        };
        assert!(after.is_refused() && !after.changed_nothing());
    }
}
