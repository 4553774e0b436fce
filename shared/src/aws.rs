//! How AWS is reached: region, endpoints, proxy, roots, retries and deadlines, from values to an `SdkConfig`.
//! Nothing is looked up behind the user's back (no profile, no instance metadata), so that a missing
//! setting fails in milliseconds.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpClient};
use aws_smithy_types::checksum_config::RequestChecksumCalculation;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use http::Uri;
use serde::Deserialize;

use crate::client::ClientOfThread;
use crate::failure::Failure;
use crate::variables::{Environment, Faults, Field, FromText};
use crate::web::Web;

/// `AWS_ENDPOINT_URL` for all services, `AWS_ENDPOINT_URL_S3` for one.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>
const ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";
/// Credentials are renewed this long before they end, so that no request starts with a dying session.
pub(crate) const RENEW_BEFORE: Duration = Duration::from_mins(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One attempt of one request with a small body; a stage that sends a large one allows more.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(1);

/// The variables of every pipe that talks to AWS, beside the credentials.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct AwsVariables {
    aws_region: Field<RegionName>,
    aws_default_region: Field<RegionName>,
    aws_endpoint_url: Field<EndpointUrl>,
    aws_ca_bundle: Field<String>,
    aws_max_attempts: Field<u32>,
    aws_request_checksum_calculation: Field<ChecksumCalculation>,
    aws_use_fips_endpoint: Field<bool>,
    aws_use_dualstack_endpoint: Field<bool>,
    allow_http: Field<bool>,
}

/// A region such as `eu-west-1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionName(String);

impl RegionName {
    /// The region.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromText for RegionName {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let parts: Vec<&str> = text.split('-').collect();
        let ends_in_number = parts
            .last()
            .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        let is_word = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        if parts.len() >= 3 && ends_in_number && parts.iter().all(is_word) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "unallowed value {text} (a region looks like `eu-west-1`)"
            ))
        }
    }
}

struct EndpointUrl(String);

impl FromText for EndpointUrl {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with("http://") || text.starts_with("https://") {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "unallowed value {text} (an endpoint starts with `https://` or `http://`)"
            ))
        }
    }
}

struct ChecksumCalculation(RequestChecksumCalculation);

impl FromText for ChecksumCalculation {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "when_required" => Ok(Self(RequestChecksumCalculation::WhenRequired)),
            "when_supported" => Ok(Self(RequestChecksumCalculation::WhenSupported)),
            _ => Err(format!(
                "unallowed value {text} (it is `when_supported` or `when_required`)"
            )),
        }
    }
}

/// The settings of one run, all valid.
#[derive(Clone, Debug)]
pub struct AwsSettings {
    region: String,
    endpoints: Endpoints,
    authorities: Option<Vec<u8>>,
    max_attempts: u32,
    checksums: Option<RequestChecksumCalculation>,
    fips: Option<bool>,
    dual_stack: Option<bool>,
    app_name: Option<AppName>,
}

impl AwsSettings {
    /// Reads the settings; a CA bundle is read from its file here, so that a wrong path is one of the faults.
    pub fn new(environment: &Environment, pipe: (&str, &str), faults: &mut Faults) -> Option<Self> {
        let variables: AwsVariables = environment.read();
        // The SDKs read AWS_REGION first; Bitbucket's pipes know only AWS_DEFAULT_REGION.
        let region = match variables.aws_region {
            field if field.is_absent() => {
                faults.required("AWS_DEFAULT_REGION", variables.aws_default_region)
            }
            field => faults.optional("AWS_REGION", field),
        };
        // The services' own endpoints have no fixed names, so they are picked by their beginning.
        let mut endpoints = Endpoints::default();
        for name in environment
            .names()
            .filter(|name| name.starts_with("AWS_ENDPOINT_URL_"))
        {
            match environment.get(name).map(EndpointUrl::from_text) {
                Some(Ok(url)) => _ = endpoints.0.insert(name.to_owned(), url.0),
                Some(Err(fault)) => faults.add(name, fault),
                None => {}
            }
        }
        if let Some(url) = faults.optional(ENDPOINT_URL, variables.aws_endpoint_url) {
            endpoints.0.insert(ENDPOINT_URL.to_owned(), url.0);
        }
        if !faults
            .optional("ALLOW_HTTP", variables.allow_http)
            .unwrap_or(false)
        {
            endpoints.refuse_plain_http(faults);
        }
        let authorities = faults
            .optional("AWS_CA_BUNDLE", variables.aws_ca_bundle)
            .and_then(|path| {
                certificates(Path::new(path.trim()))
                    .map_err(|fault| faults.add("AWS_CA_BUNDLE", fault))
                    .ok()
            });
        let max_attempts = faults
            .optional("AWS_MAX_ATTEMPTS", variables.aws_max_attempts)
            .unwrap_or(4);
        if max_attempts == 0 {
            faults.add(
                "AWS_MAX_ATTEMPTS",
                "unallowed value 0 (the first attempt counts too)",
            );
        }
        Some(Self {
            endpoints,
            authorities,
            max_attempts,
            checksums: faults
                .optional(
                    "AWS_REQUEST_CHECKSUM_CALCULATION",
                    variables.aws_request_checksum_calculation,
                )
                .map(|calculation| calculation.0),
            fips: faults.optional("AWS_USE_FIPS_ENDPOINT", variables.aws_use_fips_endpoint),
            dual_stack: faults.optional(
                "AWS_USE_DUALSTACK_ENDPOINT",
                variables.aws_use_dualstack_endpoint,
            ),
            app_name: AppName::new(format!("keyless-pipes-{}-{}", pipe.0, pipe.1)).ok(),
            region: region?.0,
        })
    }

    /// The region of the run.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The configuration for every client of the run; without `credentials` only for unsigned calls.
    ///
    /// # Errors
    /// When the certificates of `AWS_CA_BUNDLE` cannot be used.
    pub fn sdk_config(
        &self,
        credentials: Option<SharedCredentialsProvider>,
    ) -> Result<SdkConfig, Failure> {
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .http_client(self.http_client()?)
            .sleep_impl(TokioSleep::new())
            .retry_config(RetryConfig::standard().with_max_attempts(self.max_attempts))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .build(),
            )
            .stalled_stream_protection(StalledStreamProtectionConfig::enabled().build())
            .identity_cache(IdentityCache::lazy().buffer_time(RENEW_BEFORE).build())
            .service_config(self.endpoints.clone());
        config.set_endpoint_url(self.endpoints.0.get(ENDPOINT_URL).cloned());
        config.set_credentials_provider(credentials);
        config.set_request_checksum_calculation(self.checksums);
        config.set_use_fips(self.fips);
        config.set_use_dual_stack(self.dual_stack);
        config.set_app_name(self.app_name.clone());
        Ok(config.build())
    }

    /// The way to the web for requests without credentials, with the same proxy and certificates.
    ///
    /// # Errors
    /// When the certificates of `AWS_CA_BUNDLE` cannot be used.
    pub(crate) fn web(&self) -> Result<Web, Failure> {
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .build();
        let sleep = SharedAsyncSleep::new(TokioSleep::new());
        let network = self.network()?;
        let connector = move || network.connector(Some(settings), Some(sleep));
        let agent = self
            .app_name
            .as_ref()
            .map_or("keyless-pipes", AsRef::as_ref);
        Ok(Web::new(connector, agent.to_owned()))
    }

    fn http_client(&self) -> Result<SharedHttpClient, Failure> {
        let network = self.network()?;
        Ok(SharedHttpClient::new(ClientOfThread::new(move || {
            let network = network.clone();
            Builder::new().build_with_connector_fn(move |settings, components| {
                let sleep = components.and_then(aws_sdk_sts::config::RuntimeComponents::sleep_impl);
                network.connector(settings.cloned(), sleep)
            })
        })))
    }

    fn network(&self) -> Result<Network, Failure> {
        let mut roots = TrustStore::default();
        if let Some(authorities) = &self.authorities {
            roots.add_pem_certificate(authorities.as_slice());
        }
        let tls = TlsContext::builder()
            .with_trust_store(roots)
            .build()
            .map_err(|error| {
                Failure::new(format!(
                    "could not use the certificates of `AWS_CA_BUNDLE`: {error}"
                ))
            })?;
        // HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY in their usual meaning, by the library.
        let proxy = ProxyConfig::from_env();
        Ok(Network { tls, proxy })
    }
}

/// The SDK's own client reads no `AWS_CA_BUNDLE`, and a client built by hand no proxy variables: hence by hand, with both.
#[derive(Clone)]
struct Network {
    tls: TlsContext,
    proxy: ProxyConfig,
}

impl Network {
    fn connector(
        &self,
        settings: Option<HttpConnectorSettings>,
        sleep: Option<SharedAsyncSleep>,
    ) -> Connector {
        let mut connector = Connector::builder();
        connector.set_connector_settings(settings);
        connector.set_sleep_impl(sleep);
        connector.set_proxy_config(Some(self.proxy.clone()));
        connector
            .tls_provider(tls::Provider::Rustls(
                tls::rustls_provider::CryptoMode::Ring,
            ))
            .tls_context(self.tls.clone())
            .build()
    }
}

/// The endpoints by the name of their variable; the SDK asks for `AWS_ENDPOINT_URL` of a service.
#[derive(Clone, Debug, Default)]
struct Endpoints(BTreeMap<String, String>);

impl Endpoints {
    /// Whoever sees a token or a signed request on its way can use it, and whoever answers in place of STS decides what
    /// is deployed as whom: only what stays on this machine may be unencrypted unasked.
    fn refuse_plain_http(&self, faults: &mut Faults) {
        for (name, url) in &self.0 {
            if url.starts_with("http://") && !is_loopback(url) {
                let fault = format!(
                    "unallowed value {url} (it is not encrypted, so the network could read the credentials; `https://`, or ALLOW_HTTP: true for a network that you trust)"
                );
                faults.add(name, fault);
            }
        }
    }
}

/// Whether a URL names this machine and no other: by address, or as `localhost` (RFC 6761, 6.3).
fn is_loopback(url: &str) -> bool {
    // Read by the library that the client reads it with, so that both see the same host.
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key
            .service_id()
            .to_ascii_uppercase()
            .replace([' ', '-'], "_");
        self.0.get(&format!("{}_{service}", key.env())).cloned()
    }
}

/// The endpoint that `AWS_ENDPOINT_URL` or that of this service names.
fn own_endpoint(config: &SdkConfig, service: &str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service)
        .env(ENDPOINT_URL)
        .profile("endpoint_url")
        .build();
    let of_service = |key: ServiceConfigKey<'_>| config.service_config()?.load_config(key);
    key.ok()
        .and_then(of_service)
        .or_else(|| config.endpoint_url().map(str::to_owned))
}

/// Whether `AWS_ENDPOINT_URL` or that of this service is set, so that it is not AWS's own endpoint.
#[must_use]
pub fn has_own_endpoint(config: &SdkConfig, service: &str) -> bool {
    own_endpoint(config, service).is_some()
}

/// The endpoint of a service without an SDK crate: `prefix` is the first part of its host names.
pub(crate) fn endpoint_of(config: &SdkConfig, service: &str, prefix: &str) -> String {
    own_endpoint(config, service).unwrap_or_else(|| {
        let region = config.region().map_or("us-east-1", AsRef::as_ref);
        let fips = if config.use_fips() == Some(true) {
            "-fips"
        } else {
            ""
        };
        let is_chinese = region.starts_with("cn-");
        // <https://docs.aws.amazon.com/general/latest/gr/rande.html>, dual-stack endpoints
        let domain = match (config.use_dual_stack() == Some(true), is_chinese) {
            (false, false) => "amazonaws.com",
            (false, true) => "amazonaws.com.cn",
            (true, false) => "api.aws",
            (true, true) => "api.amazonwebservices.com.cn",
        };
        format!("https://{prefix}{fips}.{region}.{domain}")
    })
}

/// Whether uploads are to carry a checksum even where S3 does not ask for one; some stores refuse it.
#[must_use]
pub fn checksums_when_supported(config: &SdkConfig) -> bool {
    config.request_checksum_calculation() != Some(RequestChecksumCalculation::WhenRequired)
}

fn certificates(path: &Path) -> Result<Vec<u8>, String> {
    let pem = std::fs::read(path)
        .map_err(|error| format!("could not read `{}`: {error}", path.display()))?;
    if pem
        .windows(27)
        .any(|window| window == b"-----BEGIN CERTIFICATE-----")
    {
        Ok(pem)
    } else {
        Err(format!(
            "`{}` holds no certificate in PEM form",
            path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_without_a_crate_has_its_endpoint() {
        for (region, dual_stack, expected) in [
            (
                "eu-west-1",
                None,
                "https://monitoring.eu-west-1.amazonaws.com",
            ),
            (
                "cn-north-1",
                None,
                "https://monitoring.cn-north-1.amazonaws.com.cn",
            ),
            (
                "eu-west-1",
                Some("true"),
                "https://monitoring.eu-west-1.api.aws",
            ),
        ] {
            let settings = settings([
                ("AWS_DEFAULT_REGION", region),
                ("AWS_USE_DUALSTACK_ENDPOINT", dual_stack.unwrap_or_default()),
            ]);
            let config = settings.unwrap().sdk_config(None).unwrap();
            assert_eq!(endpoint_of(&config, "CloudWatch", "monitoring"), expected);
        }
        let settings = settings([
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:2"),
        ]);
        let config = settings.unwrap().sdk_config(None).unwrap();
        assert_eq!(
            endpoint_of(&config, "CloudWatch", "monitoring"),
            "http://127.0.0.1:2"
        );
        assert_eq!(endpoint_of(&config, "S3", "s3"), "http://127.0.0.1:1");
    }

    fn settings<const N: usize>(pairs: [(&str, &str); N]) -> Result<AwsSettings, String> {
        let mut faults = Faults::default();
        let settings =
            AwsSettings::new(&Environment::from(pairs), ("sample", "1.0.0"), &mut faults);
        if faults.is_empty() {
            Ok(settings.unwrap())
        } else {
            Err(faults.to_string())
        }
    }

    #[test]
    fn the_region_comes_from_either_variable() {
        for (pairs, region) in [
            (
                [
                    ("AWS_REGION", "eu-west-1"),
                    ("AWS_DEFAULT_REGION", "us-east-1"),
                ],
                "eu-west-1",
            ),
            (
                [("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "us-gov-west-1")],
                "us-gov-west-1",
            ),
            (
                [
                    ("AWS_REGION", "$AWS_REGION"),
                    ("AWS_DEFAULT_REGION", " ap-southeast-2\n"),
                ],
                "ap-southeast-2",
            ),
        ] {
            assert_eq!(settings(pairs).unwrap().region(), region);
        }
    }

    #[test]
    fn what_is_not_a_region_or_an_endpoint_is_a_fault() {
        insta::assert_snapshot!(
            settings([
                ("AWS_DEFAULT_REGION", "us-east-1a"),
                ("AWS_ENDPOINT_URL", "localhost:4566"),
                ("AWS_ENDPOINT_URL_S3", "s3"),
                ("AWS_CA_BUNDLE", "/nonexistent/ca.pem"),
                ("AWS_MAX_ATTEMPTS", "0"),
                ("AWS_REQUEST_CHECKSUM_CALCULATION", "never"),
            ])
            .unwrap_err(),
            @r"
        Validation errors:
        AWS_CA_BUNDLE:
        - could not read `/nonexistent/ca.pem`: No such file or directory (os error 2)
        AWS_DEFAULT_REGION:
        - unallowed value us-east-1a (a region looks like `eu-west-1`)
        AWS_ENDPOINT_URL:
        - unallowed value localhost:4566 (an endpoint starts with `https://` or `http://`)
        AWS_ENDPOINT_URL_S3:
        - unallowed value s3 (an endpoint starts with `https://` or `http://`)
        AWS_MAX_ATTEMPTS:
        - unallowed value 0 (the first attempt counts too)
        AWS_REQUEST_CHECKSUM_CALCULATION:
        - unallowed value never (it is `when_supported` or `when_required`)
        "
        );
    }

    #[test]
    fn plain_http_is_for_this_machine_only_unless_allowed() {
        let with = |name, url, allow| {
            settings([
                ("AWS_DEFAULT_REGION", "eu-west-1"),
                (name, url),
                ("ALLOW_HTTP", allow),
            ])
        };
        for url in [
            "http://127.0.0.1:4599",
            "http://127.1.2.3",
            "http://[::1]:80/",
            "http://localhost:9000",
            "http://LocalHost",
            "https://aws.example",
        ] {
            assert!(with("AWS_ENDPOINT_URL", url, "").is_ok(), "{url}");
        }
        for url in [
            "http://10.0.0.1:4599",
            "http://0.0.0.0",
            "http://[fe80::1]",
            "http://minio:9000",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://localhost@aws.example",
            "http://127.0.0.1:80@aws.example",
            "http://aws.example/localhost",
            "http://",
        ] {
            for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"] {
                let fault = with(name, url, "false").map(drop).unwrap_err();
                assert!(
                    fault.contains(&format!("{name}:\n- unallowed value {url} (it is not encr")),
                    "{url}: {fault}"
                );
                assert!(with(name, url, "true").is_ok(), "{url}");
            }
        }
        let fault = with("AWS_ENDPOINT_URL", "http://10.0.0.1", "1").map(drop);
        assert!(fault.unwrap_err().contains("ALLOW_HTTP:\n- must be of"));
    }

    #[test]
    fn a_missing_region_is_a_required_field() {
        assert_eq!(
            settings([]).unwrap_err(),
            "Validation errors:\nAWS_DEFAULT_REGION:\n- required field"
        );
    }

    #[test]
    fn a_service_has_its_own_endpoint_before_the_common_one() {
        let settings = settings([
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL", "https://all.example"),
            ("AWS_ENDPOINT_URL_S3", "https://s3.example"),
            ("AWS_ENDPOINT_URL_LAMBDA", ""),
        ])
        .unwrap();
        let config = settings.sdk_config(None).unwrap();
        let of = |service: &str| {
            let key = ServiceConfigKey::builder()
                .service_id(service)
                .env(ENDPOINT_URL)
                .profile("endpoint_url")
                .build();
            config.service_config().unwrap().load_config(key.unwrap())
        };
        assert_eq!(of("S3").as_deref(), Some("https://s3.example"));
        assert_eq!(of("Lambda"), None);
        assert!(
            has_own_endpoint(&config, "Lambda"),
            "the common one is its own too"
        );
        assert_eq!(config.endpoint_url(), Some("https://all.example"));
    }
}
