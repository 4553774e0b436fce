//! In: a request about one object. Out: the object stored, given, copied or deleted. Conditions are decided under the
//! same lock as the change, as S3 decides them.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue, LAST_MODIFIED};
use hyper::{HeaderMap, Response, StatusCode};

use crate::body::Received;
use crate::operation::Target;
use crate::reply::{Fault, Reply, empty, with_etag, xml};
use crate::store::{Bucket, Headers, Object, Sink, State};
use crate::text::{hexadecimal, iso_time, percent_decode, xml_elements, xml_escape};

const KEPT: [&str; 9] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-server-side-encryption",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
];

pub fn bucket<'a>(state: &'a mut State, name: &str) -> Result<&'a mut Bucket, Fault> {
    state
        .buckets
        .get_mut(name)
        .ok_or_else(|| Fault::no_such_bucket(name))
}

/// The headers that S3 keeps with an object. Values are copied: they are slices of the whole request's head.
pub fn kept_headers(headers: &HeaderMap) -> Headers {
    let is_kept = |name: &HeaderName| {
        KEPT.contains(&name.as_str()) || name.as_str().starts_with("x-amz-meta-")
    };
    let kept = headers.iter().filter(|(name, _)| is_kept(name));
    kept.filter_map(|(name, value)| {
        let text = value.to_str().ok()?;
        // aws-chunked is about this request, not about the object.
        let text = if name == "content-encoding" {
            text.trim_start_matches("aws-chunked")
                .trim_start_matches(',')
                .trim()
        } else {
            text
        };
        (!text.is_empty()).then_some(())?;
        Some((name.clone(), HeaderValue::from_bytes(text.as_bytes()).ok()?))
    })
    .collect()
}

/// If-Match and If-None-Match of a write.
pub fn check_conditions(objects: &Bucket, key: &str, headers: &HeaderMap) -> Result<(), Fault> {
    let existing = objects.get(key);
    let named = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is =
        |object: &Object, wanted: &str| wanted == "*" || wanted.trim_matches('"') == object.etag;
    match (named("if-match"), existing) {
        (Some(_), None) => return Err(Fault::no_such_key(key)),
        (Some(wanted), Some(object)) if !is(object, wanted) => {
            return Err(Fault::precondition_failed(key));
        }
        _ => {}
    }
    match (named("if-none-match"), existing) {
        (Some(unwanted), Some(object)) if is(object, unwanted) => {
            Err(Fault::precondition_failed(key))
        }
        _ => Ok(()),
    }
}

pub fn put(
    sink: &Sink,
    target: Target,
    headers: &HeaderMap,
    body: Received,
) -> Result<Reply, Fault> {
    let etag = hexadecimal(&body.digest(headers, sink.next_number()));
    let reply = with_etag(empty(StatusCode::OK), &etag);
    let object = Arc::new(Object::new(
        body.content,
        etag,
        body.md5,
        kept_headers(headers),
    ));
    let mut state = sink.state();
    let objects = bucket(&mut state, &target.bucket)?;
    check_conditions(objects, &target.key, headers)?;
    let replaced = objects.insert(target.key, object);
    drop(state);
    // Freeing memory takes longer than inserting, so it is done without the lock.
    drop(replaced);
    Ok(reply)
}

pub fn get(sink: &Sink, target: &Target, with_content: bool) -> Result<Reply, Fault> {
    let object = {
        let mut state = sink.state();
        let objects = bucket(&mut state, &target.bucket)?;
        Arc::clone(
            objects
                .get(&target.key)
                .ok_or_else(|| Fault::no_such_key(&target.key))?,
        )
    };
    let mut reply = if with_content {
        Response::new(Full::new(object.content()))
    } else {
        let mut reply = empty(StatusCode::OK);
        reply
            .headers_mut()
            .insert("content-length", HeaderValue::from(object.size()));
        reply
    };
    for (name, value) in &object.headers {
        reply.headers_mut().insert(name.clone(), value.clone());
    }
    let modified = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(object.modified));
    if let Ok(value) = HeaderValue::from_str(&modified) {
        reply.headers_mut().insert(LAST_MODIFIED, value);
    }
    Ok(with_etag(reply, &object.etag))
}

pub fn copy(sink: &Sink, target: Target, headers: &HeaderMap) -> Result<Reply, Fault> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let source = percent_decode(text("x-amz-copy-source").unwrap_or_default());
    let source = source
        .split("?versionId=")
        .next()
        .unwrap_or_default()
        .trim_start_matches('/');
    let (source_bucket, source_key) = source
        .split_once('/')
        .ok_or_else(|| Fault::bad_request(source))?;
    let mut state = sink.state();
    let found = bucket(&mut state, source_bucket)?.get(source_key).cloned();
    let object = found.ok_or_else(|| Fault::no_such_key(source_key))?;
    if text("x-amz-copy-source-if-match")
        .is_some_and(|wanted| wanted.trim_matches('"') != object.etag)
    {
        return Err(Fault::precondition_failed(source_key));
    }
    let replaces = text("x-amz-metadata-directive") == Some("REPLACE");
    let kept = if replaces {
        kept_headers(headers)
    } else {
        object.headers.clone()
    };
    let copied = object.with_headers(kept);
    let (etag, modified) = (copied.etag.clone(), iso_time(copied.modified));
    let objects = bucket(&mut state, &target.bucket)?;
    check_conditions(objects, &target.key, headers)?;
    objects.insert(target.key, Arc::new(copied));
    Ok(xml(&format!(
        "<CopyObjectResult><LastModified>{modified}</LastModified><ETag>&quot;{etag}&quot;</ETag></CopyObjectResult>"
    )))
}

pub fn delete(sink: &Sink, target: &Target) -> Result<Reply, Fault> {
    bucket(&mut sink.state(), &target.bucket)?.remove(&target.key);
    Ok(empty(StatusCode::NO_CONTENT))
}

pub fn delete_many(sink: &Sink, target: &Target, document: &str) -> Result<Reply, Fault> {
    let quiet = xml_elements(document, "Quiet")
        .first()
        .is_some_and(|text| text == "true");
    let mut deleted = String::new();
    let mut state = sink.state();
    let objects = bucket(&mut state, &target.bucket)?;
    for key in xml_elements(document, "Key") {
        objects.remove(&key);
        if !quiet {
            let _ = write!(
                deleted,
                "<Deleted><Key>{}</Key></Deleted>",
                xml_escape(&key)
            );
        }
    }
    Ok(xml(&format!("<DeleteResult>{deleted}</DeleteResult>")))
}
