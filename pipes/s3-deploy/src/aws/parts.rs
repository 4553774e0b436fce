//! Uploading a large file in parts: read once, in order, with several parts under way, and whatever happens no part is
//! left behind that nobody can name: what a run that was killed left of a key is aborted by the next one that uploads it.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use std::io::Read;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumType, CompletedMultipartUpload, CompletedPart};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use shared::{Failure, Journal, Refusal};

use super::upload::{Wish, entry, room_for, timeouts, upload_failed, with_headers, without_etag};
use super::{Bucket, settle};
use crate::digest;
use crate::manifest::Entry;
use crate::objects::{Object, Site, content_id};

/// The size of a part; more only where 10,000 of them are not enough.
const PART: u64 = 8 << 20;
/// The most parts of an upload.
const PARTS: u64 = 10_000;
/// Parts of one file under way at once.
const PARTS_AT_ONCE: usize = 6;

impl Bucket {
    pub(super) async fn upload_parts(
        &self,
        site: &Arc<Site>,
        object: Object,
        wish: Wish,
        journal: &Journal,
    ) -> Result<Entry, Failure> {
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.destination.bucket)
            .key(&wish.key)
            .set_checksum_algorithm(self.checksum())
            .set_checksum_type(self.checksums.then_some(ChecksumType::FullObject));
        let request = with_headers!(request, wish.headers);
        let answer = request
            .send()
            .await
            .map_err(|error| upload_failed(&Refusal::from(&error), &wish))?;
        let Some(id) = answer.upload_id else {
            return Err(Failure::new(format!(
                "could not upload `{}`: S3 named no upload",
                wish.key
            )));
        };
        // However this ends early, by an error, a signal or the deadline: parts that nobody names cost money for ever.
        let (client, bucket, key) = (
            self.client.clone(),
            self.destination.bucket.clone(),
            wish.key.clone(),
        );
        let abort = client
            .abort_multipart_upload()
            .bucket(bucket)
            .key(key)
            .upload_id(&id);
        let left = format!("the unfinished upload `{id}` of `{}`", wish.key);
        let cleanup = journal.clean_up_unless_settled(left, async move {
            if let Err(error) = abort.send().await {
                let refusal = Refusal::from(&error);
                // It was completed, and the answer to that got lost.
                if refusal.code != "NoSuchUpload" {
                    tracing::warn!("could not abort an unfinished upload: {refusal}");
                }
            }
        });
        if self.has_lease {
            self.abort_others(&wish.key, &id).await;
        }
        let entry = self.send_parts(site, object, &wish, &id, journal).await?;
        journal.settle(cleanup);
        Ok(entry)
    }

    /// Aborts the uploads of `key` other than `own`: those of a run that was killed, and one that S3 began for this run
    /// and could not say so, so that the SDK asked again. No other run uploads the key while this one has the lease, and
    /// what anybody else uploads to it would be written over. Without the right to list uploads they stay.
    async fn abort_others(&self, key: &str, own: &str) {
        let listed = self
            .client
            .list_multipart_uploads()
            .bucket(&self.destination.bucket)
            .prefix(key)
            .send()
            .await;
        let uploads = match listed {
            Ok(listed) => listed.uploads.unwrap_or_default(),
            Err(error) => {
                let refusal = Refusal::from(&error);
                shared::log::debug(format_args!(
                    "could not look for unfinished uploads of `{key}`, which needs `s3:ListBucketMultipartUploads`: {refusal}"
                ));
                return;
            }
        };
        // The prefix is also that of longer keys.
        let others = uploads
            .iter()
            .filter(|upload| upload.key() == Some(key) && upload.upload_id() != Some(own));
        for upload in others {
            let aborted = self
                .client
                .abort_multipart_upload()
                .bucket(&self.destination.bucket)
                .key(key)
                .set_upload_id(upload.upload_id.clone())
                .send()
                .await;
            match aborted {
                Ok(_) => tracing::info!("Aborted an unfinished upload of `{key}`"),
                Err(error) => tracing::warn!(
                    "could not abort an unfinished upload of `{key}`: {}",
                    Refusal::from(&error)
                ),
            }
        }
    }

    /// Reads the file once, in order, and sends several parts at the same time.
    async fn send_parts(
        &self,
        site: &Arc<Site>,
        object: Object,
        wish: &Wish,
        id: &str,
        journal: &Journal,
    ) -> Result<Entry, Failure> {
        let Some(file) = site.file(object) else {
            return Err(Failure::new(format!(
                "could not upload `{}`: it has no file",
                wish.key
            )));
        };
        let path = file.path();
        let mut open =
            std::fs::File::open(&path).map_err(|error| digest::unreadable(&path, &error))?;
        let part_size = PART.max(file.size.div_ceil(PARTS).next_multiple_of(1 << 20));
        let mut fingerprint = blake3::Hasher::new();
        let mut crc = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
        let mut sending = FuturesUnordered::new();
        let mut done = Vec::new();
        let mut read = 0;
        let mut number = 0;
        loop {
            let length = part_size.min(file.size - read);
            let room = self.bodies.clone().acquire_many_owned(room_for(length));
            let has_more = read < file.size && sending.len() < PARTS_AT_ONCE;
            // Parts under way go on while there is no room for the next one: it is they that make room.
            let room = tokio::select! {
                Some(part) = sending.next() => {
                    done.push(part?);
                    continue;
                }
                room = room, if has_more => room,
                else => break,
            };
            let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
            open.read_exact(&mut bytes)
                .map_err(|error| match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => changed(&path),
                    _ => digest::unreadable(&path, &error),
                })?;
            fingerprint.update(&bytes);
            crc.update(&bytes);
            read += length;
            number += 1;
            sending.push(async move {
                let part = self.send_part(wish, id, number, bytes).await;
                drop(room);
                part
            });
        }
        digest::check_unchanged(file, &open, read)?;
        done.sort_by_key(|part| part.part_number);
        let pending = journal.begin("upload", &wish.key);
        // S3 compares it with what it makes of the parts' own; other stores know only checksums of checksums.
        let whole =
            (self.checksums && self.is_aws).then(|| STANDARD.encode(crc.finalize().to_be_bytes()));
        let answer = self
            .client
            .complete_multipart_upload()
            .bucket(&self.destination.bucket)
            .key(&wish.key)
            .upload_id(id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(done))
                    .build(),
            )
            .set_checksum_type(self.checksums.then_some(ChecksumType::FullObject))
            .set_checksum_crc64_nvme(whole)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                if answer.e_tag.is_none() {
                    return Err(without_etag(&wish.key));
                }
                pending.done("uploaded", &wish.key);
                let content = content_id(digest::short(&fingerprint.finalize()), object.shape);
                Ok(entry(wish, file.size, answer.e_tag, content))
            }
            Err(error) => {
                let refusal = Refusal::from(&error);
                settle(pending, &refusal);
                Err(upload_failed(&refusal, wish))
            }
        }
    }

    async fn send_part(
        &self,
        wish: &Wish,
        id: &str,
        number: i32,
        bytes: Vec<u8>,
    ) -> Result<CompletedPart, Failure> {
        let timeouts = timeouts(bytes.len() as u64);
        let md5 = (!self.checksums).then(|| STANDARD.encode(digest::etag(&bytes)));
        let answer = self
            .client
            .upload_part()
            .bucket(&self.destination.bucket)
            .key(&wish.key)
            .upload_id(id)
            .part_number(number)
            .set_content_md5(md5)
            .set_checksum_algorithm(self.checksum())
            .body(ByteStream::from(bytes))
            .customize()
            .disable_payload_signing()
            .config_override(timeouts)
            .send()
            .await
            .map_err(|error| upload_failed(&Refusal::from(&error), wish))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.e_tag)
            .set_checksum_crc64_nvme(answer.checksum_crc64_nvme)
            .build())
    }
}

fn changed(path: &std::path::Path) -> Failure {
    Failure::new(format!(
        "could not upload `{}`: it changed while it was read",
        path.display()
    ))
    .hint("something still writes to LOCAL_PATH; let the build end before the pipe starts")
}
