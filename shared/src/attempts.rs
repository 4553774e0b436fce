//! What became of each attempt of a request: a DEBUG line for each, and whether one of them was sent and never answered. The
//! SDK tries again by itself and tells only of the last attempt: a refusal of that one says nothing of those before it.

use std::error::Error;
use std::fmt;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextMut,
    FinalizerInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

use crate::failure::chain;
use crate::log;

/// Makes the settings of a service's client those of every client here, given its `Builder`: [`LogRequests`] and
/// [`TooManyRequests`]. The builders of the SDK's services share no trait.
#[macro_export]
macro_rules! watched {
    ($settings:expr) => {
        $settings
            .interceptor($crate::LogRequests)
            .retry_classifier($crate::TooManyRequests)
    };
}

/// Takes every 429 for throttling. The SDK goes by AWS's error codes, which a gateway or a store that answers in AWS's
/// place does not send. <https://www.rfc-editor.org/rfc/rfc6585#section-4>
#[derive(Debug)]
pub struct TooManyRequests;

impl ClassifyRetry for TooManyRequests {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let status = context
            .response()
            .map(|response| response.status().as_u16());
        match status {
            Some(429) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "TooManyRequests"
    }
}

/// Logs each attempt of each request at DEBUG: method, path, status. The query is left out, since that of a presigned
/// request is a credential, and so are headers and bodies. Marks the last answer when an earlier attempt had none.
#[derive(Debug)]
pub struct LogRequests;

impl Intercept for LogRequests {
    fn name(&self) -> &'static str {
        "LogRequests"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let before = config.load::<Attempts>().copied().unwrap_or_default();
        config.interceptor_state().store_put(Attempts {
            is_open: true,
            unanswered: before.unanswered || before.is_open,
        });
        // A deploy of a hundred thousand files should not format as many lines that nobody reads.
        if !log::is_debugging() {
            return Ok(());
        }
        let request = context.request();
        let uri = request.uri();
        let path = uri.split_once('?').map_or(uri, |(path, _query)| path);
        let line = RequestLine(format!("{} {path}", request.method()));
        config.interceptor_state().store_put(line);
        Ok(())
    }

    /// Not called for an attempt that took too long: that one stays open.
    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut attempts = config.load::<Attempts>().copied().unwrap_or_default();
        let status = context
            .response()
            .map(|response| response.status().as_u16());
        let is_connected = !context
            .output_or_error()
            .is_some_and(|ending| ending.is_err_and(is_never_sent));
        // After a 5xx, and after an answer that cannot be read, the request may have been carried out.
        let is_answered = status.is_some_and(|status| (300..500).contains(&status));
        attempts.is_open = is_connected && !is_answered;
        config.interceptor_state().store_put(attempts);
        if attempts.unanswered {
            if let Some(response) = context.response_mut() {
                response.add_extension(Unanswered(String::new()));
            }
            if let Some(Err(error)) = context.output_or_error_mut()
                && is_never_sent(error)
            {
                let causes = error.as_connector_error().map(|error| chain(error));
                let unanswered = Unanswered(causes.unwrap_or_default());
                *error = OrchestratorError::connector(ConnectorError::io(Box::new(unanswered)));
            }
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(RequestLine(line)) = config.load::<RequestLine>() else {
            return Ok(());
        };
        let status = context
            .response()
            .map(|response| response.status().as_u16());
        let answer = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        log::debug(format_args!("{line}: {answer}"));
        Ok(())
    }
}

/// Method and path of the request under way; the request itself is gone when its answer is there.
#[derive(Debug)]
struct RequestLine(String);

impl Storable for RequestLine {
    type Storer = StoreReplace<Self>;
}

/// The attempts of one request so far.
#[derive(Clone, Copy, Debug, Default)]
struct Attempts {
    /// The last one was sent, and it is not known what became of it.
    is_open: bool,
    /// So it was with one before it.
    unanswered: bool,
}

impl Storable for Attempts {
    type Storer = StoreReplace<Self>;
}

/// An earlier attempt of the same request was sent and not answered, so the request may have been carried out. The text is
/// why the last attempt did not even get a connection.
#[derive(Clone, Debug)]
pub(crate) struct Unanswered(String);

impl fmt::Display for Unanswered {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Error for Unanswered {}

fn is_never_sent<E>(error: &OrchestratorError<E>) -> bool {
    error
        .as_connector_error()
        .is_some_and(|error| is_without_connection(&chain(error)))
}

/// Whether no connection came about; the text is how the connector says so.
pub(crate) fn is_without_connection(causes: &str) -> bool {
    causes.contains("(Connect)")
}

/// Whether an earlier attempt was sent and not answered, as the last one's error tells.
pub(crate) fn follows_unanswered(error: &ConnectorError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<Unanswered>() {
            return true;
        }
        cause = error.source();
    }
    false
}
