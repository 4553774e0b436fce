//! Pages as visitors get them: a plain GET by the same way as AWS is reached, with its proxy and certificates, but
//! without credentials. Nothing is followed and nothing is retried here: who asks knows what an answer means.

use std::sync::LazyLock;
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::http::Request;
use aws_smithy_types::byte_stream::ByteStream;

use crate::failure::chain;

/// One attempt, its body included.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The web as a client without credentials sees it.
#[derive(Debug)]
pub struct Web {
    /// Made for the first page: a run that visits none need not read the system's certificates for it.
    connector: LazyLock<Connector, MakeConnector>,
    agent: String,
}

type MakeConnector = Box<dyn FnOnce() -> Connector + Send + Sync>;

/// An answer of any status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The bytes as they came, cut behind the limit.
    pub body: Vec<u8>,
}

impl Page {
    /// A header by its name in lower case; the first, if there are several.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(each, _)| each == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Web {
    pub(crate) fn new(
        connector: impl FnOnce() -> Connector + Send + Sync + 'static,
        agent: String,
    ) -> Self {
        let connector: MakeConnector = Box::new(connector);
        Self {
            connector: LazyLock::new(connector),
            agent,
        }
    }

    /// GETs `url`, of whose body no more is read than one byte above `limit`. It asks for the body as it is, without
    /// a content coding.
    ///
    /// # Errors
    /// A clause that says why there is no answer.
    pub async fn get(&self, url: &str, limit: usize) -> Result<Page, String> {
        tokio::time::timeout(TIMEOUT, self.answer(url, limit))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())))
    }

    async fn answer(&self, url: &str, limit: usize) -> Result<Page, String> {
        let mut request = Request::get(url).map_err(|error| chain(&error))?;
        for (name, value) in [
            ("user-agent", self.agent.as_str()),
            ("accept", "*/*"),
            ("accept-encoding", "identity"),
        ] {
            let value = value.to_owned();
            let set = request.headers_mut().try_insert(name, value);
            set.map_err(|error| chain(&error))?;
        }
        let answer = self.connector.call(request).await;
        let mut answer = answer.map_err(|error| format!("no connection: {}", chain(&error)))?;
        let mut body = Vec::new();
        let mut stream = ByteStream::new(answer.take_body());
        while let Some(chunk) = stream.next().await {
            body.extend_from_slice(&chunk.map_err(|error| chain(&error))?);
            if body.len() > limit {
                body.truncate(limit + 1);
                break;
            }
        }
        let headers = answer.headers().iter();
        Ok(Page {
            status: answer.status().as_u16(),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body,
        })
    }
}
