//! Writing one object: a single request while its ETag can stay the MD5 of its content, parts above, and a copy onto
//! itself where only the headers are new. Every body carries a CRC64NVME that S3 checks before it keeps anything.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, MetadataDirective, TaggingDirective};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared::{ATTEMPT_TIMEOUT, Failure, Journal, Refusal, explained};

use super::{BODIES, Bucket, settle};
use crate::compare::{body, content_of};
use crate::digest;
use crate::headers::Headers;
use crate::manifest::Entry;
use crate::objects::{Object, Shape, Site, content_id};
use crate::phase::Phase;

/// Files up to here go in one request: then the ETag is an MD5 that any later run can compare.
const SINGLE: u64 = 16 << 20;
/// Files up to here are read on the spot; a thread would cost more than it saves.
const READ_ON_THE_SPOT: u64 = 256 << 10;
/// S3 copies no more than this in one request: 5 GiB.
const LARGEST_COPY: u64 = 5 << 30;
/// Bodies up to here have enough time with the timeout of every request, even on a slow line.
const ENOUGH_TIME: u64 = 4 << 20;
/// Below this rate, in bytes a second, an upload counts as stuck.
const SLOWEST: u64 = 1 << 18;

/// Sets the wished headers on a request; the SDK's three builders that take them share no trait.
macro_rules! with_headers {
    ($request:expr, $headers:expr) => {{
        let (metadata, tags) = (&$headers.metadata, &$headers.tags);
        $request
            .set_content_type($headers.content_type.clone())
            .set_cache_control($headers.cache_control.clone())
            .set_content_encoding($headers.content_encoding.clone())
            .set_content_disposition($headers.content_disposition.clone())
            .set_content_language($headers.content_language.clone())
            .set_expires(
                $headers
                    .expires
                    .map(|time| aws_sdk_s3::primitives::DateTime::from(time.0)),
            )
            .set_acl(
                $headers
                    .acl
                    .as_deref()
                    .map(aws_sdk_s3::types::ObjectCannedAcl::from),
            )
            .set_storage_class(
                $headers
                    .storage_class
                    .as_deref()
                    .map(aws_sdk_s3::types::StorageClass::from),
            )
            .set_website_redirect_location($headers.website_redirect.clone())
            .set_server_side_encryption(
                $headers
                    .encryption
                    .as_deref()
                    .map(aws_sdk_s3::types::ServerSideEncryption::from),
            )
            .set_ssekms_key_id($headers.kms_key_id.clone())
            .set_metadata((!metadata.is_empty()).then(|| metadata.clone().into_iter().collect()))
            .set_tagging((!tags.is_empty()).then(|| crate::aws::upload::tagging(tags)))
    }};
}

pub(super) use with_headers;

/// What is written for an object: its headers and where it belongs.
pub(super) struct Wish {
    pub(super) key: String,
    pub(super) headers: Headers,
    pub(super) phase: Phase,
}

impl Bucket {
    pub(super) fn checksum(&self) -> Option<ChecksumAlgorithm> {
        self.checksums.then_some(ChecksumAlgorithm::Crc64Nvme)
    }

    /// Whether an upload of this object takes more than one request.
    pub fn goes_in_parts(site: &Site, object: Object) -> bool {
        let size = site.file(object).map_or(0, |file| file.size);
        size > SINGLE && !is_compressed_here(object)
    }

    /// Uploads an object, and gives what the manifest will keep of it.
    ///
    /// # Errors
    /// When the file cannot be read or changes meanwhile, or S3 refuses it; then nothing was kept.
    pub async fn upload(
        &self,
        site: &Arc<Site>,
        object: Object,
        journal: &Journal,
    ) -> Result<Entry, Failure> {
        let (headers, phase, _) = site.wish(object);
        let wish = Wish {
            key: site.key(object),
            headers,
            phase,
        };
        if Self::goes_in_parts(site, object) {
            // Boxed, since a state for many parts would make every small upload a large one.
            return Box::pin(self.upload_parts(site, object, wish, journal)).await;
        }
        let size = site.file(object).map_or(0, |file| file.size);
        let compressed = is_compressed_here(object);
        let room = room_for(size);
        let _room = self.bodies.acquire_many(room).await;
        let (bytes, content) = if size <= READ_ON_THE_SPOT && !compressed {
            read(site, object)?
        } else {
            let site = Arc::clone(site);
            let reading = tokio::task::spawn_blocking(move || read(&site, object));
            reading.await.unwrap_or_else(|_| {
                Err(Failure::new("could not read a file: a thread ended early"))
            })?
        };
        let stored = bytes.len() as u64;
        // A store that takes no CRC64NVME still checks an MD5.
        let md5 = (!self.checksums).then(|| STANDARD.encode(digest::etag(&bytes)));
        let request = self
            .client
            .put_object()
            .bucket(&self.destination.bucket)
            .key(&wish.key)
            .set_content_md5(md5)
            .set_checksum_algorithm(self.checksum())
            .body(ByteStream::from(bytes));
        let request = with_headers!(request, wish.headers);
        let pending = journal.begin("upload", &wish.key);
        // The CRC64NVME holds the body; hashing it a second time for the signature buys nothing over TLS.
        let mut request = request.customize().disable_payload_signing();
        // Only where it is needed: a configuration of its own costs a request more than its signature.
        if stored > ENOUGH_TIME {
            request = request.config_override(timeouts(stored));
        }
        match request.send().await {
            Ok(answer) => {
                let etag = answer.e_tag.ok_or_else(|| without_etag(&wish.key))?;
                pending.done("uploaded", &wish.key);
                Ok(entry(&wish, stored, Some(etag), content))
            }
            Err(error) => {
                let refusal = Refusal::from(&error);
                settle(pending, &refusal);
                Err(upload_failed(&refusal, &wish))
            }
        }
    }

    /// Gives an object its wished headers by copying it onto itself, if it is still the one that was listed. Where
    /// that is not possible (too large, no right to read it, a store without it) it is uploaded.
    ///
    /// # Errors
    /// As for an upload.
    pub async fn reheader(
        &self,
        site: &Arc<Site>,
        object: Object,
        known: &Entry,
        journal: &Journal,
    ) -> Result<Entry, Failure> {
        if known.size > LARGEST_COPY {
            return self.upload(site, object, journal).await;
        }
        let (headers, phase, _) = site.wish(object);
        let wish = Wish {
            key: site.key(object),
            headers,
            phase,
        };
        let source = format!("{}/{}", self.destination.bucket, encoded(&wish.key));
        let etag = format!("\"{}\"", known.etag);
        let pending = journal.begin("copy", &wish.key);
        let tagged = !wish.headers.tags.is_empty();
        let request = self
            .client
            .copy_object()
            .bucket(&self.destination.bucket)
            .key(&wish.key)
            .copy_source(source)
            .copy_source_if_match(&etag)
            .set_if_match(self.is_aws.then_some(etag.clone()))
            .metadata_directive(MetadataDirective::Replace)
            .set_tagging_directive(tagged.then_some(TaggingDirective::Replace));
        let answer = with_headers!(request, wish.headers).send().await;
        match answer {
            Ok(answer) => {
                pending.done("copied", &wish.key);
                let etag = answer.copy_object_result.and_then(|result| result.e_tag);
                Ok(entry(&wish, known.size, etag, content_of(site, object)?))
            }
            Err(error) => {
                let refusal = Refusal::from(&error);
                settle(pending, &refusal);
                if refusal.changed_nothing() {
                    shared::log::debug(format_args!(
                        "could not copy `{}` onto itself ({refusal}), so it is uploaded",
                        wish.key
                    ));
                    return self.upload(site, object, journal).await;
                }
                Err(explained(
                    &refusal,
                    format!("could not give `{}` its headers", wish.key),
                    "s3:GetObject` and `s3:PutObject",
                ))
            }
        }
    }
}

fn is_compressed_here(object: Object) -> bool {
    matches!(
        object.shape,
        Shape::Compressed(_) | Shape::CompressedBeside(_)
    )
}

/// How much of the memory for bodies one of `size` bytes takes, in KiB; one that is larger than all of it takes all.
pub(super) fn room_for(size: u64) -> u32 {
    u32::try_from((size >> 10) + 1)
        .unwrap_or(u32::MAX)
        .min(BODIES)
}

fn read(site: &Site, object: Object) -> Result<(Vec<u8>, String), Failure> {
    let bytes = body(site, object)?;
    let content = match object.shape {
        // The name of a compressed content is made of the file, so that the next run need not compress it.
        Shape::Compressed(_) | Shape::CompressedBeside(_) => content_of(site, object)?,
        _ => content_id(digest::fingerprint(&bytes), object.shape),
    };
    Ok((bytes, content))
}

pub(super) fn entry(wish: &Wish, size: u64, etag: Option<String>, content: String) -> Entry {
    let etag = etag
        .unwrap_or_default()
        .trim_matches('"')
        .to_ascii_lowercase();
    Entry {
        size,
        etag,
        content,
        headers: wish.headers.digest(),
        phase: wish.phase,
    }
}

/// S3 and all that speak like it name what they have stored. Whatever has answered without that was not the store.
pub(super) fn without_etag(key: &str) -> Failure {
    Failure::new(format!(
        "could not upload `{key}`: the answer has no ETag, so it is not of S3"
    ))
    .hint("something between the runner and S3 has answered in its place: check the proxy variables and AWS_ENDPOINT_URL")
}

pub(super) fn upload_failed(refusal: &Refusal, wish: &Wish) -> Failure {
    let action = match (&wish.headers.acl, wish.headers.tags.is_empty()) {
        (None, true) => "s3:PutObject",
        (Some(_), true) => "s3:PutObject` and `s3:PutObjectAcl",
        (None, false) => "s3:PutObject` and `s3:PutObjectTagging",
        (Some(_), false) => "s3:PutObject`, `s3:PutObjectAcl` and `s3:PutObjectTagging",
    };
    explained(refusal, format!("could not upload `{}`", wish.key), action)
}

pub(super) fn timeouts(bytes: u64) -> Builder {
    let attempt = ATTEMPT_TIMEOUT + Duration::from_secs(bytes / SLOWEST);
    Builder::new().timeout_config(
        TimeoutConfig::builder()
            .operation_attempt_timeout(attempt)
            .build(),
    )
}

pub(super) fn tagging(tags: &std::collections::BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = tags
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    pairs.join("&")
}

pub fn encoded(text: &str) -> String {
    /// What RFC 3986 leaves unreserved, and the slash between the parts of a key.
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~')
        .remove(b'/');
    percent_encoding::utf8_percent_encode(text, KEPT).to_string()
}
