//! One HTTP client for each thread that sends requests. A connection is driven by the runtime that opened it, so a pool
//! that threads share would wake one thread for the answers of another.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// A client that is made anew on each thread that uses it.
pub(crate) struct ClientOfThread {
    make: Box<dyn Fn() -> SharedHttpClient + Send + Sync>,
    /// A run has a handful of threads that send, so nothing is ever taken out.
    clients: Mutex<HashMap<ThreadId, SharedHttpClient>>,
}

impl ClientOfThread {
    /// A client as `make` gives it, with connections of its own on each thread.
    pub(crate) fn new(make: impl Fn() -> SharedHttpClient + Send + Sync + 'static) -> Self {
        Self {
            make: Box::new(make),
            clients: Mutex::default(),
        }
    }

    fn here(&self) -> SharedHttpClient {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .entry(std::thread::current().id())
            .or_insert_with(&self.make)
            .clone()
    }
}

impl fmt::Debug for ClientOfThread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ClientOfThread")
    }
}

impl HttpClient for ClientOfThread {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.here().http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.here().connector_metadata()
    }
}
