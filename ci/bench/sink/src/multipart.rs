//! In: the four requests of a multipart upload. Out: one object of its parts, with S3's composite ETag: the MD5 of
//! the parts' MD5s, and their number.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hyper::{HeaderMap, StatusCode};
use md5::{Digest, Md5};

use crate::body::Received;
use crate::objects::{bucket, check_conditions, kept_headers};
use crate::operation::Target;
use crate::reply::{Fault, Reply, empty, with_etag, xml};
use crate::store::{Object, Part, Sink, Upload};
use crate::text::{hexadecimal, xml_elements, xml_escape};

pub fn create(sink: &Sink, target: Target, headers: &HeaderMap) -> Result<Reply, Fault> {
    let id = format!("upload-{}", sink.next_number());
    let answer = format!(
        "<InitiateMultipartUploadResult><Bucket>{}</Bucket><Key>{}</Key><UploadId>{id}</UploadId>\
         </InitiateMultipartUploadResult>",
        xml_escape(&target.bucket),
        xml_escape(&target.key),
    );
    let mut state = sink.state();
    bucket(&mut state, &target.bucket)?;
    let (bucket, key, headers) = (target.bucket, target.key, kept_headers(headers));
    state.uploads.insert(
        id,
        Upload {
            bucket,
            key,
            headers,
            parts: BTreeMap::new(),
        },
    );
    Ok(xml(&answer))
}

fn upload_id(target: &Target) -> &str {
    target.parameter("uploadId").unwrap_or_default()
}

pub fn upload_part(
    sink: &Sink,
    target: &Target,
    headers: &HeaderMap,
    body: Received,
) -> Result<Reply, Fault> {
    let md5 = body.digest(headers, sink.next_number());
    let number = target
        .parameter("partNumber")
        .and_then(|number| number.parse().ok());
    let number = number.ok_or_else(|| Fault::bad_request("partNumber"))?;
    let content = if sink.keeps_parts.load(Relaxed) {
        body.content
    } else {
        Vec::new()
    };
    let mut state = sink.state();
    let upload = state.uploads.get_mut(upload_id(target));
    let upload = upload.ok_or_else(|| Fault::no_such_upload(upload_id(target)))?;
    upload.parts.insert(number, Part { content, md5 });
    drop(state);
    Ok(with_etag(empty(StatusCode::OK), &hexadecimal(&md5)))
}

pub fn complete(
    sink: &Sink,
    target: &Target,
    headers: &HeaderMap,
    document: &str,
) -> Result<Reply, Fault> {
    let invalid = |number: &str| Fault::new(StatusCode::BAD_REQUEST, "InvalidPart", number);
    let mut state = sink.state();
    let upload = state.uploads.get(upload_id(target));
    let upload = upload.ok_or_else(|| Fault::no_such_upload(upload_id(target)))?;
    let (mut chunks, mut parts) = (Vec::new(), 0);
    let mut hash = Md5::new();
    let (numbers, etags) = (
        xml_elements(document, "PartNumber"),
        xml_elements(document, "ETag"),
    );
    for (number, etag) in numbers.iter().zip(&etags) {
        let part = number
            .parse()
            .ok()
            .and_then(|number: u32| upload.parts.get(&number));
        let part = part.ok_or_else(|| invalid(number))?;
        if etag.trim_matches('"') != hexadecimal(&part.md5) {
            return Err(invalid(number));
        }
        hash.update(part.md5);
        chunks.extend(part.content.iter().cloned());
        parts += 1;
    }
    if parts == 0 || numbers.len() != etags.len() {
        return Err(invalid("none"));
    }
    let digest: [u8; 16] = hash.finalize().into();
    let etag = format!("{}-{}", hexadecimal(&digest), parts);
    let object = Arc::new(Object::new(
        chunks,
        etag.clone(),
        None,
        upload.headers.clone(),
    ));
    let objects = bucket(&mut state, &target.bucket)?;
    check_conditions(objects, &target.key, headers)?;
    objects.insert(target.key.clone(), object);
    state.uploads.remove(upload_id(target));
    let (bucket, key) = (xml_escape(&target.bucket), xml_escape(&target.key));
    Ok(xml(&format!(
        "<CompleteMultipartUploadResult><Location>/{bucket}/{key}</Location><Bucket>{bucket}</Bucket><Key>{key}</Key>\
         <ETag>&quot;{etag}&quot;</ETag></CompleteMultipartUploadResult>"
    )))
}

pub fn abort(sink: &Sink, target: &Target) -> Result<Reply, Fault> {
    let aborted = sink.state().uploads.remove(upload_id(target));
    aborted.ok_or_else(|| Fault::no_such_upload(upload_id(target)))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub fn list(sink: &Sink, target: &Target) -> Reply {
    let mut uploads = String::new();
    for (id, upload) in &sink.state().uploads {
        if upload.bucket == target.bucket {
            let key = xml_escape(&upload.key);
            let _ = write!(
                uploads,
                "<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>"
            );
        }
    }
    xml(&format!(
        "<ListMultipartUploadsResult><Bucket>{}</Bucket><IsTruncated>false</IsTruncated>{uploads}\
         </ListMultipartUploadsResult>",
        xml_escape(&target.bucket)
    ))
}
