//! A proxy between a pipe and the local AWS: every request goes through unchanged, with its `Host`, so that its signature
//! still holds, and is noted; a hook of the test can make any of them fail or wait, which no emulator does.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING,
};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use self::sent::Sent;
use super::actions;
use super::exchange::{Answer, Headers, elements};

mod sent;

/// Of longer bodies only the length is kept.
const LONGEST_BODY: usize = 8 << 20;

/// A request as it arrived, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The HTTP method.
    pub method: String,
    /// The path, percent-encoded as it was sent.
    pub path: String,
    /// The query, empty if there is none.
    pub query: String,
    /// What the services of which all requests go to `/` are asked for: `AssumeRoleWithWebIdentity` from the form,
    /// or the `X-Amz-Target`; empty for others.
    pub action: String,
    /// The service as the signature names it, such as `s3`; empty for requests without one.
    pub service: String,
    /// The headers by their names in lower case, but for those with credentials.
    pub headers: Headers,
    /// What was sent.
    pub body: Body,
    /// The HTTP status; none before the answer, and when the connection was closed instead.
    pub status: Option<u16>,
}

impl Recorded {
    /// What was asked for: `UpdateService` where the request names its operation, else method and path such as
    /// `PUT /2015-03-31/functions/web/code`.
    #[must_use]
    pub fn operation(&self) -> String {
        match self.action.rsplit('.').next() {
            Some(operation) if !operation.is_empty() => operation.to_owned(),
            _ => format!("{} {}", self.method, self.path),
        }
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.body.bytes()).unwrap_or_default()
    }
}

/// The body of a request. Its `Debug` is only the length: a token may be in it, and failing tests print requests.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Body {
    bytes: Bytes,
    length: usize,
}

impl Body {
    fn new(bytes: &Bytes) -> Self {
        Self {
            bytes: if bytes.len() > LONGEST_BODY {
                Bytes::new()
            } else {
                bytes.clone()
            },
            length: bytes.len(),
        }
    }

    /// The body; empty if it is longer than 8 MiB.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether this text is in it.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.bytes).contains(text)
    }
}

/// What it holds, for tests that know that it is no token.
impl std::fmt::Display for Body {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} bytes", self.length)
    }
}

/// What happens to a request instead of being forwarded at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status and body.
    Status(u16, String),
    /// The connection is closed without an answer.
    Reset,
    /// It is answered with this.
    Answer(Answer),
    /// It is forwarded after this time.
    Delay(Duration),
    /// It is forwarded at once, and the answer is kept back.
    Silence,
    /// The other happens to it after this time.
    Late(Duration, Box<Fault>),
    /// It is forwarded, its answer is thrown away, and the other happens then.
    Taken(Box<Fault>),
    /// It is forwarded, and its answer breaks off in the middle of the body, or before the head if there is none.
    Truncated,
    /// It is forwarded, and its answer comes late and in pieces, whole after this time.
    Slow(Duration),
    /// All connections are closed, and none is accepted for this time.
    Down(Duration),
}

/// The proxy; it stops when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    endpoint: String,
    notes: Arc<Mutex<Notes>>,
    down: mpsc::UnboundedSender<Duration>,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Notes {
    requests: Vec<Recorded>,
    /// How many requests were forgotten: the number of a request minus this is its place in the list.
    cleared: usize,
    secrets: Vec<String>,
}

type Hook = dyn Fn(&Recorded) -> Option<Fault> + Send + Sync;

struct Forwarding {
    upstream: String,
    client: Client<HttpConnector, Full<Bytes>>,
    notes: Arc<Mutex<Notes>>,
    hook: Box<Hook>,
    down: mpsc::UnboundedSender<Duration>,
}

/// Where it listens. The second socket is bound and never listens, so that the port stays ours while nobody does.
struct Port {
    address: SocketAddr,
    _held: TcpSocket,
}

impl Port {
    fn new() -> io::Result<Self> {
        let held = TcpSocket::new_v4()?;
        held.set_reuseaddr(true)?;
        held.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        Ok(Self {
            address: held.local_addr()?,
            _held: held,
        })
    }

    /// Accepts connections from here on; those that come while nobody listens are refused.
    fn listen(&self) -> io::Result<TcpListener> {
        let listener = TcpListener::bind(self.address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }
}

impl Proxy {
    /// Forwards everything to `upstream`, a URL without a path.
    #[must_use]
    pub fn start(upstream: &str) -> Self {
        Self::with(upstream, |_| None)
    }

    /// Asks `hook` about each request before it is forwarded. Several are asked about at the same time.
    #[must_use]
    pub fn with(
        upstream: &str,
        hook: impl Fn(&Recorded) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        let port = Port::new().expect("loopback has a free port");
        let listener = port.listen().expect("the port can be listened at");
        let address = port.address;
        let (down, downs) = mpsc::unbounded_channel();
        let notes = Arc::new(Mutex::new(Notes::default()));
        let forwarding = Arc::new(Forwarding {
            upstream: upstream.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            notes: Arc::clone(&notes),
            hook: Box::new(hook),
            down: down.clone(),
        });
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async {
                tokio::select! {
                    () = serve(&port, listener, &forwarding, downs) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            endpoint: format!("http://{address}"),
            notes,
            down,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The URL for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// All requests in the order in which they arrived.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.notes).requests.clone()
    }

    /// What was asked for, in the order in which it arrived, as [`Recorded::operation`] says it.
    #[must_use]
    pub fn operations(&self) -> Vec<String> {
        self.requests().iter().map(Recorded::operation).collect()
    }

    /// The JSON bodies of all requests for one operation, in order.
    #[must_use]
    pub fn bodies(&self, operation: &str) -> Vec<serde_json::Value> {
        self.requests()
            .iter()
            .filter(|request| request.operation() == operation)
            .map(Recorded::json)
            .collect()
    }

    /// Ends a [`Fault::Down`] early.
    pub fn recover(&self) {
        // Nobody is there any more when a hook has panicked, which its test says.
        let _ = self.down.send(Duration::ZERO);
    }

    /// Forgets the requests, not the secrets.
    pub fn clear(&self) {
        let mut notes = lock(&self.notes);
        notes.cleared += notes.requests.len();
        notes.requests.clear();
    }

    /// Every secret key and session token that STS has given out through this proxy.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        lock(&self.notes).secrets.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the hook has been printed already.
            let _ = thread.join();
        }
    }
}

/// Serves for ever. Connections end with it, or when it is down.
async fn serve(
    port: &Port,
    listener: TcpListener,
    forwarding: &Arc<Forwarding>,
    mut downs: mpsc::UnboundedReceiver<Duration>,
) {
    let mut listener = Some(listener);
    loop {
        let listening = match listener.take() {
            Some(listener) => listener,
            None => port.listen().expect("nobody else listens at this port"),
        };
        let listening = tokio::net::TcpListener::from_std(listening).expect("it can be polled");
        let mut connections = JoinSet::new();
        let time = loop {
            let stream = tokio::select! {
                accepted = listening.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => continue,
                },
                Some(time) = downs.recv() => match time {
                    Duration::ZERO => continue,
                    _ => break time,
                },
                Some(_) = connections.join_next() => continue,
            };
            let forwarding = Arc::clone(forwarding);
            connections.spawn(async move {
                let service = service_fn(|request| forwarding.answer(request));
                // It fails when a side closes the connection, for which both have their reasons.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        };
        drop(listening);
        connections.shutdown().await;
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = downs.recv() => {}
        }
    }
}

impl Forwarding {
    /// An error closes the connection without an answer.
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Sent>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let action = action(&parts.headers, &body);
        let recorded = Recorded {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            action,
            service: service(&parts.headers),
            headers: shown(&parts.headers),
            body: Body::new(&body),
            status: None,
        };
        actions::note(&recorded, &parts.headers);
        let number = {
            let mut notes = lock(&self.notes);
            notes.requests.push(recorded.clone());
            notes.cleared + notes.requests.len() - 1
        };
        let fault = (self.hook)(&recorded);
        let response = self.suffer(fault, Request::from_parts(parts, body)).await?;
        let mut notes = lock(&self.notes);
        let place = number.checked_sub(notes.cleared);
        if let Some(recorded) = place.and_then(|place| notes.requests.get_mut(place)) {
            recorded.status = Some(response.status().as_u16());
        }
        Ok(response)
    }

    /// Lets the fault happen to the request.
    async fn suffer(
        &self,
        mut fault: Option<Fault>,
        request: Request<Bytes>,
    ) -> io::Result<Response<Sent>> {
        // Forwarded once, however deep the fault is.
        let mut request = Some(request);
        loop {
            let Some(present) = fault.take() else {
                return Ok(self.forward(request).await.map(Sent::whole));
            };
            match present {
                Fault::Late(time, then) => {
                    tokio::time::sleep(time).await;
                    fault = Some(*then);
                }
                Fault::Taken(then) => {
                    self.forward(request.take()).await;
                    fault = Some(*then);
                }
                Fault::Delay(time) => tokio::time::sleep(time).await,
                Fault::Reset => return Err(io::ErrorKind::ConnectionReset.into()),
                Fault::Down(time) => {
                    let _ = self.down.send(time);
                    // The end of all connections is that of this one.
                    std::future::pending::<()>().await;
                }
                Fault::Status(status, text) => return Ok(made_up(status, text).map(Sent::whole)),
                Fault::Answer(answer) => {
                    self.note_secrets(&answer.body);
                    return Ok(as_it_is(answer).map(Sent::whole));
                }
                Fault::Silence => {
                    self.forward(request).await;
                    return std::future::pending().await;
                }
                Fault::Truncated => {
                    let answer = self.forward(request).await;
                    if answer.body().is_empty() {
                        return Err(io::ErrorKind::ConnectionReset.into());
                    }
                    return Ok(announced(answer.map(|body| Sent::half(&body))));
                }
                Fault::Slow(time) => {
                    let answer = self.forward(request).await;
                    tokio::time::sleep(time / 2).await;
                    return Ok(announced(answer.map(|body| Sent::slow(&body, time / 2))));
                }
            }
        }
    }

    async fn forward(&self, request: Option<Request<Bytes>>) -> Response<Bytes> {
        let Some(request) = request else {
            return made_up(500, "it was forwarded already".to_owned());
        };
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = match format!("{}{path}", self.upstream).parse::<Uri>() {
            Ok(uri) => uri,
            Err(error) => return made_up(502, format!("bad upstream: {error}")),
        };
        own_connection(&mut parts.headers);
        let sent = self
            .client
            .request(Request::from_parts(parts, Full::new(body)));
        let (mut parts, body) = match sent.await {
            Ok(response) => response.into_parts(),
            Err(error) => return made_up(502, format!("no answer from upstream: {error:?}")),
        };
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return made_up(502, format!("half an answer from upstream: {error:?}")),
        };
        self.note_secrets(&body);
        own_connection(&mut parts.headers);
        Response::from_parts(parts, body)
    }

    fn note_secrets(&self, body: &[u8]) {
        // Answers of STS are short; searching large objects would only cost time.
        let Some(text) = short_text(body) else {
            return;
        };
        let found = ["SecretAccessKey", "SessionToken"]
            .into_iter()
            .flat_map(|name| elements(text, name));
        lock(&self.notes).secrets.extend(found.map(str::to_owned));
    }
}

/// Both sides of the proxy have their own connection and send each body in one piece.
fn own_connection(headers: &mut HeaderMap) {
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
}

fn short_text(body: &[u8]) -> Option<&str> {
    std::str::from_utf8(body)
        .ok()
        .filter(|text| text.len() < 65536)
}

/// What a failing test may print.
fn shown(headers: &HeaderMap) -> Headers {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let all = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
    all.filter(|(name, _)| !["authorization", "x-amz-security-token"].contains(&name.as_str()))
        .collect()
}

/// The fourth part of the scope in `Credential=id/date/region/service/aws4_request`.
fn service(headers: &HeaderMap) -> String {
    let scope = || {
        let signature = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (_, scope) = signature.split_once("Credential=")?;
        scope.split('/').nth(3)
    };
    scope().unwrap_or_default().to_owned()
}

fn action(headers: &HeaderMap, body: &[u8]) -> String {
    let target = headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok());
    let from_form = || {
        let is_form = headers.get("content-type").is_some_and(|kind| {
            kind.as_bytes()
                .starts_with(b"application/x-www-form-urlencoded")
        });
        let form = std::str::from_utf8(body).ok().filter(|_| is_form)?;
        form.split('&')
            .find_map(|field| field.strip_prefix("Action="))
    };
    target.or_else(from_form).unwrap_or_default().to_owned()
}

/// With the length that the whole body has, whatever comes of it. What HEAD is answered with stays as it is.
fn announced(mut response: Response<Sent>) -> Response<Sent> {
    let length = response.body().announced();
    if length > 0 {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

fn made_up(status: u16, text: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status of three digits");
    response
}

fn as_it_is(answer: Answer) -> Response<Bytes> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response
        .body(answer.body)
        .expect("a status and headers that HTTP allows")
}

/// A panic of one hook must not hide what the others saw.
fn lock(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
