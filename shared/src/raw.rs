//! Documents of JSON through the SDK as they are: its types know only the members of the day they were made, and drop
//! all others in silence. The SDK still builds, signs, sends and retries; only the document is ours, in both directions.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::Failure;

/// For `.customize().mutate_request(…)`, which comes before signing: makes `document` the body of the request.
pub fn body(document: &Value) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
    let text = document.to_string();
    move |request| {
        let length = text.len().to_string();
        request.headers_mut().insert("content-length", length);
        *request.body_mut() = SdkBody::from(text.clone());
    }
}

/// For `.customize().interceptor(answer.clone())`: keeps the body of the last answer. It has no `Debug` that shows it,
/// since the environment of a function or a container may hold secrets.
#[derive(Clone, Default)]
pub struct Answer(Arc<Mutex<Vec<u8>>>);

impl Answer {
    /// The document of the answer.
    ///
    /// # Errors
    /// When it is not JSON of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::from_slice(&bytes).map_err(|error| {
            // The text of the error can quote the document.
            let (line, column) = (error.line(), error.column());
            Failure::new(format!(
                "AWS's answer is not the JSON that its API promises (line {line}, column {column})"
            ))
        })
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Answer")
    }
}

impl Intercept for Answer {
    fn name(&self) -> &'static str {
        "Answer"
    }

    // The body is in memory once the SDK has read its own type from it.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(bytes) = context.response().body().bytes() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_document_is_the_body_with_its_length() {
        let mut request = HttpRequest::new(SdkBody::from("{\"known\":1}"));
        request.headers_mut().insert("content-length", "11");
        body(&json!({"unknown": [1, 2]}))(&mut request);
        assert_eq!(request.body().bytes(), Some(&b"{\"unknown\":[1,2]}"[..]));
        assert_eq!(request.headers().get("content-length"), Some("17"));
    }

    #[test]
    fn what_is_no_json_is_told_without_being_shown() {
        let answer = Answer(Arc::new(Mutex::new(b"{\"secret\": hunter2}".to_vec())));
        let failure = answer.json::<Value>().unwrap_err().to_string();
        assert!(
            failure.contains("line 1") && !failure.contains("hunter2"),
            "{failure}"
        );
    }
}
