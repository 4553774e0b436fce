//! CloudWatch's alarms and figures, as a deploy needs them while it shifts traffic. Two calls in CloudWatch's JSON
//! protocol through the SDK's own runtime, which signs, sends and retries: the SDK's crate for CloudWatch would bring CBOR,
//! compression and a second set of HTTP types for them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions};
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_sdk_sts::error::{ErrorMetadata, ProvideErrorMetadata};
use aws_sdk_sts::operation::RequestId;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{
    HttpStatusCodeClassifier, TransientErrorClassifier,
};
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::attempts::{LogRequests, TooManyRequests};
use crate::aws::endpoint_of;
use crate::explain::Explain;
use crate::failure::Failure;

/// "The maximum number of alarm names is 100" (API reference of CloudWatch, DescribeAlarms).
const ALARMS_AT_ONCE: usize = 100;
/// The shortest period of metrics that AWS's own services send.
const PERIOD: u64 = 60;

/// CloudWatch in one region.
#[derive(Clone)]
pub struct CloudWatch {
    sdk: SdkConfig,
    endpoint: String,
}

/// An alarm's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Alarm {
    #[serde(rename = "AlarmName")]
    name: String,
    #[serde(rename = "StateValue")]
    state: String,
    /// Why it is in its state, in AWS's words.
    #[serde(rename = "StateReason")]
    pub reason: String,
}

impl Alarm {
    /// Whether it has gone off.
    #[must_use]
    pub fn is_in_alarm(&self) -> bool {
        self.state == "ALARM"
    }
}

/// One question about a metric.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    /// Such as `AWS/Lambda`.
    pub namespace: &'a str,
    /// Such as `Errors`.
    pub metric: &'a str,
    /// Names and values.
    pub dimensions: &'a [(&'a str, &'a str)],
    /// `Sum`, `Maximum`, `p95`, …
    pub statistic: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Alarms {
    #[serde(default)]
    metric_alarms: Vec<Alarm>,
    #[serde(default)]
    composite_alarms: Vec<Alarm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Data {
    #[serde(default)]
    metric_data_results: Vec<Series>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Series {
    id: String,
    #[serde(default)]
    values: Vec<f64>,
}

impl CloudWatch {
    /// CloudWatch in the region of `sdk`.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            endpoint: endpoint_of(sdk, "CloudWatch", "monitoring"),
            sdk: sdk.clone(),
        }
    }

    /// The states of the alarms of these names, metric and composite ones; those that do not exist are left out.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn alarms(&self, names: &[String]) -> Result<BTreeMap<String, Alarm>, Failure> {
        let mut states = BTreeMap::new();
        for names in names.chunks(ALARMS_AT_ONCE) {
            let answer = self
                .call(
                    "DescribeAlarms",
                    &json!({"AlarmNames": names, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}),
                )
                .await
                .explain(
                    "could not look at the CloudWatch alarms",
                    "cloudwatch:DescribeAlarms",
                )?;
            let Alarms {
                metric_alarms,
                composite_alarms,
            } = read(&answer)?;
            let alarms = metric_alarms.into_iter().chain(composite_alarms);
            states.extend(alarms.map(|alarm| (alarm.name.clone(), alarm)));
        }
        Ok(states)
    }

    /// The values of each query by the minute since `since`, in no order that matters; empty where there are none yet.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn values(
        &self,
        queries: &[Query<'_>],
        since: SystemTime,
    ) -> Result<Vec<Vec<f64>>, Failure> {
        let seconds = |time: SystemTime| {
            time.duration_since(UNIX_EPOCH)
                .unwrap_or(Duration::ZERO)
                .as_secs()
        };
        // Whole minutes, the present one included.
        let start = seconds(since) / PERIOD * PERIOD;
        let end = (seconds(SystemTime::now()) / PERIOD + 1) * PERIOD;
        let queries_of = |(index, query): (usize, &Query<'_>)| {
            let dimensions: Vec<Value> = query
                .dimensions
                .iter()
                .map(|(name, value)| json!({"Name": name, "Value": value}))
                .collect();
            json!({"Id": format!("q{index}"), "ReturnData": true, "MetricStat": {
                "Metric": {"Namespace": query.namespace, "MetricName": query.metric, "Dimensions": dimensions},
                "Period": PERIOD, "Stat": query.statistic}})
        };
        let questions: Vec<Value> = queries.iter().enumerate().map(queries_of).collect();
        let mut values = vec![Vec::new(); queries.len()];
        let mut token: Option<String> = None;
        loop {
            let mut body =
                json!({"MetricDataQueries": questions, "StartTime": start, "EndTime": end});
            if let Some(token) = &token {
                body["NextToken"] = json!(token);
            }
            let answer = self.call("GetMetricData", &body).await.explain(
                "could not read the CloudWatch metrics",
                "cloudwatch:GetMetricData",
            )?;
            let data: Data = read(&answer)?;
            for series in data.metric_data_results {
                let index = series.id.strip_prefix('q').and_then(|id| id.parse().ok());
                if let Some(place) = index.and_then(|index: usize| values.get_mut(index)) {
                    place.extend(series.values);
                }
            }
            token = data.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(values);
            }
        }
    }

    async fn call(
        &self,
        operation: &'static str,
        body: &Value,
    ) -> Result<Vec<u8>, aws_sdk_sts::error::SdkError<Refused, HttpResponse>> {
        let serialize = move |body: String| {
            let mut request = HttpRequest::new(SdkBody::from(body.as_str()));
            request.set_method("POST")?;
            request.set_uri("/")?;
            let headers = request.headers_mut();
            headers.insert("content-type", "application/x-amz-json-1.0");
            headers.insert("content-length", body.len().to_string());
            headers.insert(
                "x-amz-target",
                format!("GraniteServiceVersion20100801.{operation}"),
            );
            Ok(request)
        };
        let mut builder = Operation::builder()
            .service_name("CloudWatch")
            .operation_name(operation)
            .endpoint_url(&self.endpoint)
            .standard_retry(self.sdk.retry_config().unwrap_or(&RetryConfig::standard()))
            // A client of the SDK has these by itself; without them a broken connection is final.
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(TransientErrorClassifier::<Refused>::new())
            .retry_classifier(AwsErrorCodeClassifier::<Refused>::new())
            .retry_classifier(TooManyRequests)
            .runtime_plugin(self.signing())
            .interceptor(LogRequests);
        if let Some(timeouts) = self.sdk.timeout_config() {
            builder = builder.timeout_config(timeouts.clone());
        }
        if let Some(client) = self.sdk.http_client() {
            builder = builder.http_client(client);
        }
        if let Some(sleep) = self.sdk.sleep_impl() {
            builder = builder.sleep_impl(sleep);
        }
        builder
            .serializer(serialize)
            .deserializer(deserialize)
            .build()
            .invoke(body.to_string())
            .await
    }

    /// SigV4 for the service `monitoring`, by the credentials of the run.
    fn signing(&self) -> StaticRuntimePlugin {
        let mut layer = Layer::new("CloudWatch");
        layer.store_put(AuthSchemeOptionResolverParams::new(()));
        layer.store_put(SigningName::from_static("monitoring"));
        let region = self.sdk.region().cloned().map(SigningRegion::from);
        if let Some(region) = &region {
            layer.store_put(region.clone());
        }
        layer.store_put(SigV4OperationSigningConfig {
            region,
            name: Some(SigningName::from_static("monitoring")),
            signing_options: SigningOptions::default(),
            ..SigV4OperationSigningConfig::default()
        });
        let mut components = RuntimeComponentsBuilder::new("CloudWatch");
        components.set_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
            StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
        )));
        components.push_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()));
        components.set_identity_cache(self.sdk.identity_cache());
        if let Some(credentials) = self.sdk.credentials_provider() {
            components.set_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(credentials));
        }
        StaticRuntimePlugin::new()
            .with_config(layer.freeze())
            .with_runtime_components(components)
    }
}

fn read<T: for<'de> Deserialize<'de>>(answer: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(answer).map_err(|error| {
        Failure::new(format!(
            "CloudWatch's answer is not as its API promises: {error}"
        ))
    })
}

fn deserialize(response: &HttpResponse) -> Result<Vec<u8>, OrchestratorError<Refused>> {
    let body = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        return Ok(body.to_vec());
    }
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let member = |names: [&str; 2]| {
        names
            .iter()
            .find_map(|name| document.get(name)?.as_str())
            .map(str::to_owned)
    };
    // `com.amazonaws.cloudwatch#InvalidParameterValue`, perhaps with a URL behind a colon.
    let code = member(["__type", "code"]).map(|code| {
        let code = code.rsplit('#').next().unwrap_or_default().to_owned();
        code.split(':').next().unwrap_or_default().to_owned()
    });
    let mut metadata = ErrorMetadata::builder();
    if let Some(code) = code {
        metadata = metadata.code(code);
    }
    if let Some(message) = member(["message", "Message"]) {
        metadata = metadata.message(message);
    }
    if let Some(id) = response.headers().get("x-amzn-requestid") {
        metadata = metadata.custom("aws_request_id", id);
    }
    Err(OrchestratorError::operation(Refused(metadata.build())))
}

/// What CloudWatch refused.
#[derive(Debug)]
struct Refused(ErrorMetadata);

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl std::error::Error for Refused {}

impl ProvideErrorMetadata for Refused {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

impl RequestId for Refused {
    fn request_id(&self) -> Option<&str> {
        self.0.extra("aws_request_id")
    }
}
