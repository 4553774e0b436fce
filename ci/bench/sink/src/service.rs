//! In: one HTTP request. Out: its response. The delay stands between the body's last byte and the answer: it plays the
//! way to a region and back, which connections that are kept open pay once per request.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};

use crate::body::{Received, receive};
use crate::operation::{Operation, Target};
use crate::reply::{Fault, Reply, empty, xml};
use crate::store::{Sink, now};
use crate::text::{iso_time, query_pairs, xml_escape};
use crate::{control, listing, multipart, objects};

/// Counts a request for as long as it lives: one whose client goes away is dropped in the middle.
struct InFlight<'a>(&'a Sink);

impl<'a> InFlight<'a> {
    fn enter(sink: &'a Sink) -> Self {
        let now = sink.in_flight.fetch_add(1, Relaxed) + 1;
        sink.most_in_flight.fetch_max(now, Relaxed);
        Self(sink)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

pub async fn answer(
    sink: &Sink,
    is_new: &Cell<bool>,
    request: Request<Incoming>,
) -> Result<Reply, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let target = Target::read(
        &head.method,
        path,
        head.uri.query().unwrap_or_default(),
        &head.headers,
    );
    if target.bucket == "_sink" {
        return Ok(control::answer(sink, &target).unwrap_or_else(Fault::into_reply));
    }
    // A connection counts with its first request, since those of the benchmark itself are to stay out.
    sink.connections
        .fetch_add(u64::from(is_new.replace(false)), Relaxed);
    let _in_flight = InFlight::enter(sink);
    let is_upload = matches!(
        target.operation,
        Operation::PutObject | Operation::UploadPart
    );
    let received = receive(body, &head.headers, is_upload && sink.hashes.load(Relaxed)).await;
    let delay = sink.delay_milliseconds.load(Relaxed);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let reply = received.and_then(|received| {
        sink.bytes.fetch_add(received.size() as u64, Relaxed);
        *sink.state().requests.entry(target.operation).or_default() += 1;
        perform(sink, target, &head, received)
    });
    Ok(reply.unwrap_or_else(Fault::into_reply))
}

fn perform(
    sink: &Sink,
    target: Target,
    head: &hyper::http::request::Parts,
    body: Received,
) -> Result<Reply, Fault> {
    use Operation::*;
    let headers = &head.headers;
    let document = if is_document(target.operation) {
        body.text()
    } else {
        String::new()
    };
    match target.operation {
        PutObject => objects::put(sink, target, headers, body),
        UploadPart => multipart::upload_part(sink, &target, headers, body),
        GetObject => objects::get(sink, &target, true),
        HeadObject => objects::get(sink, &target, false),
        CopyObject => objects::copy(sink, target, headers),
        DeleteObject => objects::delete(sink, &target),
        DeleteObjects => objects::delete_many(sink, &target, &document),
        CreateMultipartUpload => multipart::create(sink, target, headers),
        CompleteMultipartUpload => multipart::complete(sink, &target, headers, &document),
        AbortMultipartUpload => multipart::abort(sink, &target),
        ListMultipartUploads => Ok(multipart::list(sink, &target)),
        ListObjects => listing::list(sink, &target, false),
        ListObjectsV2 => listing::list(sink, &target, true),
        CreateBucket => {
            sink.state().buckets.entry(target.bucket).or_default();
            Ok(empty(StatusCode::OK))
        }
        HeadBucket => {
            objects::bucket(&mut sink.state(), &target.bucket).map(|_| empty(StatusCode::OK))
        }
        GetBucketLocation => Ok(xml(
            "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>",
        )),
        GetBucketVersioning => Ok(xml("<VersioningConfiguration/>")),
        ListBuckets => Ok(list_buckets(sink)),
        SecurityToken => security_token(&document),
        Unknown => Err(Fault::not_implemented(&format!(
            "{} {}",
            head.method, head.uri
        ))),
    }
}

fn is_document(operation: Operation) -> bool {
    use Operation::*;
    matches!(
        operation,
        DeleteObjects | CompleteMultipartUpload | SecurityToken
    )
}

fn list_buckets(sink: &Sink) -> Reply {
    let time = iso_time(now());
    let mut buckets = String::new();
    for name in sink.state().buckets.keys() {
        let _ = write!(
            buckets,
            "<Bucket><Name>{}</Name><CreationDate>{time}</CreationDate></Bucket>",
            xml_escape(name)
        );
    }
    xml(&format!(
        "<ListAllMyBucketsResult><Owner><ID>bench</ID></Owner><Buckets>{buckets}</Buckets></ListAllMyBucketsResult>"
    ))
}

/// The role's session that a pipe asks STS for; any token will do, and the session is valid for an hour.
fn security_token(form: &str) -> Result<Reply, Fault> {
    let action = query_pairs(form)
        .into_iter()
        .find(|(name, _)| name == "Action")
        .map(|(_, value)| value);
    let user = "<Arn>arn:aws:sts::000000000000:assumed-role/bench/bench</Arn>";
    let result = match action.as_deref() {
        Some("AssumeRoleWithWebIdentity") => format!(
            "<Credentials><AccessKeyId>bench</AccessKeyId><SecretAccessKey>bench</SecretAccessKey>\
             <SessionToken>bench</SessionToken><Expiration>{}</Expiration></Credentials>\
             <AssumedRoleUser>{user}<AssumedRoleId>BENCH:bench</AssumedRoleId></AssumedRoleUser>",
            iso_time(now() + 3600)
        ),
        Some("GetCallerIdentity") => {
            format!("{user}<UserId>BENCH:bench</UserId><Account>000000000000</Account>")
        }
        other => return Err(Fault::not_implemented(other.unwrap_or_default())),
    };
    let action = action.unwrap_or_default();
    Ok(xml(&format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <{action}Result>{result}</{action}Result></{action}Response>"
    )))
}
