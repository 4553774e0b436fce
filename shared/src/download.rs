//! One small file by a URL that carries its own permission, such as AWS gives out for a layer of an image: through the
//! SDK's own client, so that proxy, roots and deadlines of the run hold for it too, and never with its credentials.

use aws_config::SdkConfig;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_types::body::SdkBody;

use crate::failure::{Failure, chain};

/// The bytes at a URL. `doing` begins the message of a failure, which never shows the URL.
///
/// # Errors
/// When there is no answer, or one that is no success.
pub async fn download(sdk: &SdkConfig, url: &str, doing: &str) -> Result<Vec<u8>, Failure> {
    let start = url.find("://").map_or(0, |at| at + 3);
    let host_end = url[start..].find('/').map_or(url.len(), |at| start + at);
    let (endpoint, path) = url.split_at(host_end);
    let path = if path.is_empty() { "/" } else { path }.to_owned();
    let mut operation = Operation::builder()
        .service_name("download")
        .operation_name("Get")
        .endpoint_url(endpoint)
        .no_auth()
        .serializer(move |()| {
            let mut request = HttpRequest::new(SdkBody::empty());
            request.set_uri(path.clone())?;
            Ok(request)
        })
        .deserializer(|response: &HttpResponse| {
            let status = response.status().as_u16();
            match response.body().bytes() {
                Some(bytes) if status < 300 => Ok(bytes.to_vec()),
                _ => Err(OrchestratorError::operation(NoSuccess(status))),
            }
        });
    if let Some(client) = sdk.http_client() {
        operation = operation.http_client(client);
    }
    if let Some(sleep) = sdk.sleep_impl() {
        operation = operation.sleep_impl(sleep);
    }
    if let Some(time) = sdk.time_source() {
        operation = operation.time_source(time);
    }
    if let Some(timeouts) = sdk.timeout_config() {
        operation = operation.timeout_config(timeouts.clone());
    }
    if let Some(retries) = sdk.retry_config() {
        operation = operation.standard_retry(retries);
    }
    let operation = operation.build();
    operation.invoke(()).await.map_err(|error| {
        let why = match error.as_service_error() {
            Some(no_success) => no_success.to_string(),
            None => chain(&error),
        };
        Failure::new(format!("{doing}: {why}"))
            .hint("check the network of the runner, the proxy variables and, in a private network, the VPC endpoints")
    })
}

/// An answer that is no success.
#[derive(Debug, thiserror::Error)]
#[error("HTTP status {0}")]
struct NoSuccess(u16);

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use super::*;
    use crate::aws::AwsSettings;
    use crate::testing::{Reply, Timeline};
    use crate::variables::{Environment, Faults};

    fn sdk() -> SdkConfig {
        let environment = Environment::from([
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_MAX_ATTEMPTS", "1"),
        ]);
        let settings = AwsSettings::new(&environment, ("sample", "1.0.0"), &mut Faults::default());
        settings.unwrap().sdk_config(None).unwrap()
    }

    #[tokio::test]
    async fn a_file_comes_whole_and_a_refusal_shows_no_url() {
        let server = Timeline::new()
            .on("GET /layers/*", [Reply::body("text/plain", b"{}".to_vec())])
            .on(
                "GET /refused",
                [Reply::body("text/plain", b"no".to_vec()).status(403)],
            )
            .start();
        let url = |path: &str| format!("{}{path}?signature=hunter2", server.endpoint());
        let bytes = download(&sdk(), &url("/layers/a"), "could not load it").await;
        assert_eq!(bytes.unwrap(), b"{}");
        assert_eq!(server.requests()[0].query, "signature=hunter2");
        let refused = download(&sdk(), &url("/refused"), "could not load it").await;
        let text = refused.unwrap_err().to_string();
        assert!(
            text.starts_with("could not load it: HTTP status 403\n") && !text.contains("hunter2"),
            "{text}"
        );
        let nobody = download(&sdk(), "http://127.0.0.1:1/x?hunter2", "could not load it").await;
        let text = nobody.unwrap_err().to_string();
        assert!(
            text.contains("refused") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
