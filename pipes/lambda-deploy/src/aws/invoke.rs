//! Invoking one version, by its number.

use std::time::Duration;

use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::primitives::Blob;
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
        // A second attempt would run the event a second time.
        let once = Self::attempts_of(limit).retry_config(RetryConfig::disabled());
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
