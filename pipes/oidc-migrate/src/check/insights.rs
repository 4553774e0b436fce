//! A Code Insights report of the commit, with an annotation for each use, so that a pull request shows the very lines.
//! Within Pipelines a plain HTTP proxy adds the credentials of the step. The verdict never depends on it: what cannot be
//! sent is a warning. <https://developer.atlassian.com/cloud/bitbucket/rest/api-group-reports/>

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::http::Request;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use shared::Environment;

use super::uses::Use;

/// The proxy as a pipe's container reaches it, and as the step does.
const OF_PIPE: &str = "http://host.docker.internal:29418";
const OF_STEP: &str = "http://localhost:29418";
/// All that is sent, together.
const TIMEOUT: Duration = Duration::from_secs(15);
/// "You can add up to 100 annotations" in one request, and 1000 to a report.
const AT_ONCE: usize = 100;
const MOST: usize = 1000;
/// Characters of a summary.
const LONGEST: usize = 450;
/// Names the report of a commit; the same name again replaces it.
const REPORT: &str = "oidc-migrate";

/// Sends the report if this runs in Pipelines.
pub(super) async fn send(environment: &Environment, uses: &[Use]) {
    let Some(place) = Place::new(environment) else {
        return;
    };
    let sent = tokio::time::timeout(TIMEOUT, place.send(uses)).await;
    let sent = sent.unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())));
    match sent {
        Ok(()) => tracing::info!("the Code Insights report of the commit has been sent"),
        Err(why) => tracing::warn!(
            "the Code Insights report could not be sent, which changes nothing of the verdict: {why}"
        ),
    }
}

struct Place {
    /// Of the commit's reports.
    url: String,
    proxies: Vec<String>,
}

impl Place {
    fn new(environment: &Environment) -> Option<Self> {
        environment.get("BITBUCKET_BUILD_NUMBER")?;
        let part = |name| environment.get(name);
        let url = format!(
            "http://api.bitbucket.org/2.0/repositories/{}/{}/commit/{}/reports/{REPORT}",
            part("BITBUCKET_WORKSPACE")?,
            part("BITBUCKET_REPO_SLUG")?,
            part("BITBUCKET_COMMIT")?
        );
        let proxies = match environment.get("CODE_INSIGHTS_PROXY") {
            Some(proxy) => vec![proxy.to_owned()],
            // A pipe has a storage directory of its own, a step has not.
            None if environment.get("BITBUCKET_PIPE_STORAGE_DIR").is_some() => {
                vec![OF_PIPE.to_owned(), OF_STEP.to_owned()]
            }
            None => vec![OF_STEP.to_owned()],
        };
        Some(Self { url, proxies })
    }

    async fn send(&self, uses: &[Use]) -> Result<(), String> {
        let mut result = Err(String::new());
        for proxy in &self.proxies {
            result = self.send_through(proxy, uses).await;
            if result.is_ok() {
                break;
            }
        }
        result
    }

    async fn send_through(&self, proxy: &str, uses: &[Use]) -> Result<(), String> {
        call(proxy, "PUT", &self.url, &report(uses)).await?;
        let annotations: Vec<Value> = uses.iter().take(MOST).enumerate().map(annotation).collect();
        let url = format!("{}/annotations", self.url);
        for some in annotations.chunks(AT_ONCE) {
            call(proxy, "POST", &url, &json!(some)).await?;
        }
        Ok(())
    }
}

fn report(uses: &[Use]) -> Value {
    let details = if uses.is_empty() {
        "No step uses stored AWS access keys."
    } else {
        "Steps that use stored AWS access keys; with `oidc: true` and a role they need none."
    };
    json!({
        "title": "AWS access keys in pipelines",
        "details": details,
        "report_type": "SECURITY",
        "reporter": "oidc-migrate",
        "result": if uses.is_empty() { "PASSED" } else { "FAILED" },
        "data": [{"title": "Uses of access keys", "type": "NUMBER", "value": uses.len()}],
    })
}

fn annotation((number, each): (usize, &Use)) -> Value {
    json!({
        "external_id": format!("{REPORT}-{number:03}"),
        "annotation_type": "VULNERABILITY",
        "severity": "HIGH",
        "path": each.file,
        "line": each.line,
        "summary": each.text.chars().take(LONGEST).collect::<String>(),
    })
}

async fn call(proxy: &str, method: &str, url: &str, body: &Value) -> Result<(), String> {
    let proxy_config = ProxyConfig::http(proxy).map_err(|error| error.to_string())?;
    let connector = Connector::builder().proxy_config(proxy_config).build_http();
    let text = body.to_string();
    let mut request = Request::new(SdkBody::from(text.clone()));
    request
        .set_method(method)
        .map_err(|error| error.to_string())?;
    request.set_uri(url).map_err(|error| error.to_string())?;
    let headers = request.headers_mut();
    headers.insert("content-type", "application/json");
    headers.insert("content-length", text.len().to_string());
    let answer = connector.call(request).await;
    let answer =
        answer.map_err(|error| format!("no connection by {proxy}: {}", shared::chain(&error)))?;
    match answer.status().as_u16() {
        200..=299 => Ok(()),
        status => Err(format!("{method} {url} by {proxy}: status {status}")),
    }
}
