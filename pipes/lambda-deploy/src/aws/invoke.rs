//! Invoking one version, by its number.

use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use shared::Refusal;

use super::Lambda;

/// What an invocation gave.
pub struct Invoked {
    /// `Handled` or `Unhandled`, if the function failed.
    pub function_error: Option<String>,
    /// What it returned.
    pub payload: Vec<u8>,
    /// The version that ran.
    pub executed_version: Option<String>,
}

/// Forbids a second attempt, which would run the event a second time, unless Lambda did not let the first one run.
#[derive(Debug)]
struct OnlyIfThrottled;

impl ClassifyRetry for OnlyIfThrottled {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let status = context
            .response()
            .map(|response| response.status().as_u16());
        if status == Some(429) {
            RetryAction::NoActionIndicated
        } else {
            RetryAction::RetryForbidden
        }
    }

    fn name(&self) -> &'static str {
        "OnlyIfThrottled"
    }
}

impl Lambda {
    /// Invokes `version` with `event` once and waits at most `limit` for its answer.
    ///
    /// # Errors
    /// What Lambda refused, or that there was no answer in time.
    pub async fn invoke(
        &self,
        function: &str,
        version: &str,
        event: Vec<u8>,
        limit: Duration,
    ) -> Result<Invoked, Refusal> {
        let once = Self::attempts_of(limit).retry_classifier(OnlyIfThrottled);
        let answer = self
            .client
            .invoke()
            .function_name(function)
            .qualifier(version)
            .payload(Blob::new(event))
            .customize()
            .config_override(once)
            .send()
            .await
            .map_err(|error| Refusal::from(&error))?;
        Ok(Invoked {
            function_error: answer.function_error,
            payload: answer.payload.map(Blob::into_inner).unwrap_or_default(),
            executed_version: answer.executed_version,
        })
    }
}
