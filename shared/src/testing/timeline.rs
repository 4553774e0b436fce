//! An AWS that follows a script: "`DescribeServices` answers so the first three times, then so", for rollbacks, crash
//! loops, throttling and all else that no local AWS shows. Requests go through a [`Proxy`], which records them; what has
//! no script is refused, or goes to a local AWS behind it.
//!
//! ```no_run
//! use serde_json::json;
//! use shared::testing::{Call, Pipe, Reply, Timeline};
//!
//! let aws = Timeline::new()
//!     .on("DescribeServices", [Reply::json(&json!({"services": []}))])
//!     .on("UpdateService", [Reply::json(&json!({}))])
//!     .on(Call::to("DescribeServices").after("UpdateService"), [
//!         Reply::json(&json!({"services": ["new, starting"]})).times(3),
//!         Reply::error(400, "ThrottlingException", "Rate exceeded"),
//!         Reply::json(&json!({"services": ["new, done"]})),
//!     ])
//!     .start();
//! let output = Pipe::new(env!("CARGO")).through(&aws).run();
//! assert_eq!(aws.operations()[..2], ["DescribeServices", "UpdateService"]);
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::exchange::Answer;
use super::proxy::{Fault, Proxy, Recorded};

/// The script, before it is played.
#[derive(Default)]
pub struct Timeline {
    scenes: Vec<Scene>,
    upstream: Option<String>,
}

/// Which requests a part of the script is for.
#[derive(Clone, Debug)]
pub struct Call {
    operation: String,
    after: Option<(String, usize)>,
    holding: Option<String>,
}

impl Call {
    /// Requests for an operation such as `UpdateService`, whatever its service. For services that have no operation in
    /// the request it is method and path, `*` for any one segment: `PUT /2015-03-31/functions/*/code`.
    #[must_use]
    pub fn to(operation: &str) -> Self {
        Self {
            operation: operation.to_owned(),
            after: None,
            holding: None,
        }
    }

    /// Only when there has been a request for another operation.
    #[must_use]
    pub fn after(self, operation: &str) -> Self {
        self.after_nth(1, operation)
    }

    /// Only when there have been `count` requests for another operation.
    #[must_use]
    pub fn after_nth(mut self, count: usize, operation: &str) -> Self {
        self.after = Some((operation.to_owned(), count));
        self
    }

    /// Only with this text in the body.
    #[must_use]
    pub fn holding(mut self, text: &str) -> Self {
        self.holding = Some(text.to_owned());
        self
    }

    fn fits(&self, request: &Recorded) -> bool {
        let holds = |text: &String| {
            let body = request.body.bytes();
            body.windows(text.len()).any(|part| part == text.as_bytes())
        };
        is_for(request, &self.operation) && self.holding.as_ref().is_none_or(holds)
    }
}

impl From<&str> for Call {
    fn from(operation: &str) -> Self {
        Self::to(operation)
    }
}

/// What is answered, how often, and after what time.
pub struct Reply {
    kind: Kind,
    times: usize,
    late: Duration,
}

enum Kind {
    Answer(Answer),
    Error(u16, String, String),
    Reset,
    Forward,
    Made(Box<dyn Fn(&Recorded) -> Reply + Send + Sync>),
}

impl Reply {
    /// Status 200 with this JSON.
    #[must_use]
    pub fn json(value: &Value) -> Self {
        Self::body("application/x-amz-json-1.1", value.to_string().into_bytes())
    }

    /// Status 200 with this XML, for services such as STS and load balancing.
    #[must_use]
    pub fn xml(text: &str) -> Self {
        Self::body("text/xml", text.as_bytes().to_vec())
    }

    /// Status 200 with these bytes.
    #[must_use]
    pub fn body(content_type: &str, bytes: Vec<u8>) -> Self {
        Self::new(Kind::Answer(Answer {
            status: 200,
            headers: [("content-type".to_owned(), content_type.to_owned())].into(),
            body: Bytes::from(bytes),
        }))
    }

    /// An error of AWS in the protocol of the request.
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::new(Kind::Error(status, code.to_owned(), message.to_owned()))
    }

    /// The connection is closed without an answer.
    #[must_use]
    pub fn reset() -> Self {
        Self::new(Kind::Reset)
    }

    /// What the local AWS behind the script answers; see [`Timeline::over`].
    #[must_use]
    pub fn forward() -> Self {
        Self::new(Kind::Forward)
    }

    /// A reply that is made from the request, such as one that repeats a name.
    #[must_use]
    pub fn from(make: impl Fn(&Recorded) -> Self + Send + Sync + 'static) -> Self {
        Self::new(Kind::Made(Box::new(make)))
    }

    /// How often before the next one, once at first. The last reply of a script stays in any case.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.times = count;
        self
    }

    /// Makes it come this much later.
    #[must_use]
    pub fn late(mut self, time: Duration) -> Self {
        self.late = time;
        self
    }

    /// Changes the status of an answer.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        if let Kind::Answer(answer) = &mut self.kind {
            answer.status = status;
        }
        self
    }

    /// Adds a header to an answer.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Kind::Answer(answer) = &mut self.kind {
            answer.headers.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// The same for a hook of a [`Proxy`]; it is answered so whatever the request is.
    ///
    /// # Panics
    /// For a reply that depends on the request.
    #[must_use]
    pub fn into_fault(self) -> Fault {
        match self.kind {
            Kind::Answer(answer) => Fault::Answer(answer),
            Kind::Reset => Fault::Reset,
            Kind::Error(..) | Kind::Forward | Kind::Made(_) => {
                panic!("this reply depends on the request")
            }
        }
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            times: 1,
            late: Duration::ZERO,
        }
    }

    /// Nothing means that the request is forwarded.
    fn fault(&self, request: &Recorded) -> Option<Fault> {
        let fault = match &self.kind {
            Kind::Answer(answer) => Fault::Answer(answer.clone()),
            Kind::Error(status, code, message) => {
                Fault::Answer(refusal(request, *status, code, message))
            }
            Kind::Reset => Fault::Reset,
            Kind::Forward if self.late.is_zero() => return None,
            Kind::Forward => return Some(Fault::Delay(self.late)),
            Kind::Made(make) => make(request).fault(request)?,
        };
        if self.late.is_zero() {
            Some(fault)
        } else {
            Some(Fault::Late(self.late, Box::new(fault)))
        }
    }
}

impl Timeline {
    /// A script in which everything is refused that it does not name.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A script before a local AWS, to which everything goes that it does not name.
    #[must_use]
    pub fn over(upstream: &str) -> Self {
        Self {
            scenes: Vec::new(),
            upstream: Some(upstream.to_owned()),
        }
    }

    /// How these calls are answered, one reply after the other; the last one stays. Of several parts that fit a request
    /// the one counts that became true last ([`Call::after`]), and of those the one that was written last.
    ///
    /// # Panics
    /// Without any reply.
    #[must_use]
    pub fn on(mut self, call: impl Into<Call>, replies: impl IntoIterator<Item = Reply>) -> Self {
        let call = call.into();
        let replies: Vec<Reply> = replies.into_iter().collect();
        assert!(!replies.is_empty(), "{} has no reply", call.operation);
        self.scenes.push(Scene {
            since: call.after.is_none().then_some(0),
            missing: call.after.as_ref().map_or(0, |(_, count)| *count),
            answered: 0,
            call,
            replies,
        });
        self
    }

    /// Plays it until the proxy is dropped.
    #[must_use]
    pub fn start(self) -> Proxy {
        let is_over = self.upstream.is_some();
        let state = Arc::new(Mutex::new((0, self.scenes)));
        let upstream = self.upstream.unwrap_or_default();
        Proxy::with(&upstream, move |request| {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let (count, scenes) = &mut *state;
            *count += 1;
            let fitting = scenes
                .iter_mut()
                .filter(|scene| scene.since.is_some() && scene.call.fits(request))
                .max_by_key(|scene| scene.since);
            let fault = match fitting {
                Some(scene) => scene.next(request),
                None if is_over => None,
                None => {
                    let message = format!("the script has no answer for {}", request.operation());
                    Some(Fault::Answer(refusal(
                        request,
                        400,
                        "NotScripted",
                        &message,
                    )))
                }
            };
            for scene in scenes {
                scene.notice(request, *count);
            }
            fault
        })
    }
}

/// One part of the script while it is played.
struct Scene {
    call: Call,
    replies: Vec<Reply>,
    /// The number of the request that made it true; 0 if it was from the beginning, nothing if it is not.
    since: Option<usize>,
    /// How many requests for the other operation it waits for.
    missing: usize,
    /// How many requests it has answered.
    answered: usize,
}

impl Scene {
    fn next(&mut self, request: &Recorded) -> Option<Fault> {
        let mut before = 0;
        let reply = self.replies.iter().find(|reply| {
            before += reply.times;
            self.answered < before
        });
        self.answered += 1;
        reply.or(self.replies.last())?.fault(request)
    }

    fn notice(&mut self, request: &Recorded, number: usize) {
        let Some((operation, _)) = &self.call.after else {
            return;
        };
        if self.since.is_none() && is_for(request, operation) {
            self.missing = self.missing.saturating_sub(1);
            self.since = (self.missing == 0).then_some(number);
        }
    }
}

fn is_for(request: &Recorded, operation: &str) -> bool {
    let asked = request.operation();
    let (mut pattern, mut path) = (operation.split('/'), asked.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(expected), Some(found)) if expected == "*" || expected == found => {}
            _ => return false,
        }
    }
}

/// The query protocol has its operation in a form and answers in XML, S3 and CloudFront answer in XML of their own, and
/// all others in JSON.
pub(super) fn refusal(request: &Recorded, status: u16, code: &str, message: &str) -> Answer {
    let is_query = !request.action.is_empty() && !request.action.contains('.');
    let error = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    let (content_type, body) = if request.service == "s3" {
        ("application/xml", error)
    } else if is_query || request.service == "cloudfront" {
        (
            "text/xml",
            format!("<ErrorResponse>{error}</ErrorResponse>"),
        )
    } else {
        let value = json!({"__type": code, "message": message});
        ("application/x-amz-json-1.1", value.to_string())
    };
    Answer {
        status,
        headers: [
            ("content-type".to_owned(), content_type.to_owned()),
            ("x-amzn-errortype".to_owned(), code.to_owned()),
            ("x-amzn-requestid".to_owned(), "scripted".to_owned()),
        ]
        .into(),
        body: Bytes::from(body),
    }
}

#[cfg(test)]
mod tests;
