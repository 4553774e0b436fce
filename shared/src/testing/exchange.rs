//! One signed HTTP call of a test: a request goes in, status, headers and body come out, whatever the status is.
//! It waits without a runtime of the caller's, so it also works in the middle of an async test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::sync::{OnceLock, mpsc};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::Runtime;

/// Headers of an answer by their names in lower case.
pub type Headers = BTreeMap<String, String>;

/// An answer to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Who calls which service where.
pub(super) struct Signer<'a> {
    pub(super) endpoint: &'a str,
    pub(super) credentials: &'a Credentials,
    pub(super) service: &'static str,
}

impl Signer<'_> {
    /// Makes a call of which path and query are percent-encoded already.
    pub(super) fn call(
        &self,
        method: &str,
        path_and_query: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let url = format!("{}{path_and_query}", self.endpoint);
        let mut request = Request::builder().method(method).uri(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request
            .body(Full::new(Bytes::copy_from_slice(body)))
            .expect("a well-formed request");
        let identity = self.credentials.clone().into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        if self.service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(self.service)
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .expect("all parameters are given")
            .into();
        let signable = SignableRequest::new(
            method,
            &url,
            headers.iter().copied(),
            SignableBody::Bytes(body),
        )
        .expect("a well-formed request");
        let (instructions, _signature) = sign(signable, &parameters)
            .expect("the request can be signed")
            .into_parts();
        instructions.apply_to_request_http1x(&mut request);
        finish(exchange(request))
    }
}

async fn exchange(request: Request<Full<Bytes>>) -> Answer {
    static CLIENT: OnceLock<Client<HttpConnector, Full<Bytes>>> = OnceLock::new();
    let client = CLIENT.get_or_init(|| Client::builder(TokioExecutor::new()).build_http());
    let response = client
        .request(request)
        .await
        .unwrap_or_else(|error| panic!("the local AWS does not answer: {error:?}"));
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("the whole answer").to_bytes();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect();
    Answer {
        status: parts.status.as_u16(),
        headers,
        body,
    }
}

/// Waits on a runtime of its own, since that of an async test cannot be blocked on.
fn finish<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be made")
    });
    let (sender, receiver) = mpsc::channel();
    runtime.spawn(async move { sender.send(future.await) });
    receiver.recv().expect("the call did not panic")
}

/// Percent-encodes all but what RFC 3986 calls unreserved, and `kept`.
pub(super) fn encoded(text: &str, kept: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let character = char::from(byte);
        if byte.is_ascii_alphanumeric() || "-._~".contains(character) || kept.contains(character) {
            out.push(character);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

pub(super) fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("keys are UTF-8")
}

/// The texts of all elements of this name in a flat piece of XML.
pub(super) fn elements<'xml>(
    xml: &'xml str,
    name: &str,
) -> impl Iterator<Item = &'xml str> + use<'xml> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open)
        .skip(1)
        .filter_map(move |rest| rest.split_once(&close).map(|(text, _)| text))
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_again() {
        let key = "a b/é+%&<~>\n";
        assert_eq!(encoded(key, "/"), "a%20b/%C3%A9%2B%25%26%3C~%3E%0A");
        assert_eq!(decoded(&encoded(key, "")), key);
    }

    #[test]
    fn elements_are_found_by_their_whole_name() {
        let xml = "<Keys><Key>a</Key><KeyCount>2</KeyCount><Key></Key></Keys>";
        assert_eq!(elements(xml, "Key").collect::<Vec<_>>(), ["a", ""]);
        assert_eq!(elements(xml, "Absent").next(), None);
    }
}
