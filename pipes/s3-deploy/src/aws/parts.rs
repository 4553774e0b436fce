//! Uploading a large file in parts: several are under way while the next one is read, and whatever happens no part is
//! left behind that nobody can name: what a run that was killed left of a key is aborted by the next one that uploads it.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use std::pin::pin;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumType, CompletedMultipartUpload, CompletedPart};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::{self, StreamExt};
use shared::{Failure, Journal, Refusal};

use super::part_reader::{Part, PartReader};
use super::upload::{Wish, entry, room_for, timeouts, upload_failed, with_headers, without_etag};
use super::{Bucket, settle};
use crate::digest;
use crate::manifest::Entry;
use crate::objects::{Object, Site, content_id};

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
        let reader = PartReader::open(file)?;
        let parts = stream::unfold(&reader, async |reader| {
            let room = room_for(reader.next_length()?);
            let room = self.bodies.acquire_many(room).await;
            Some(((reader.next().await, room), reader))
        });
        let sent = parts.map(async |(part, _room)| self.send_part(wish, id, part?).await);
        // Those under way go on while there is no room for the next one: it is they that make room.
        let mut sent = pin!(sent.buffer_unordered(PARTS_AT_ONCE));
        let mut done = Vec::new();
        while let Some(part) = sent.next().await {
            done.push(part?);
        }
        let whole = reader.finish(file)?;
        done.sort_by_key(|part| part.part_number);
        let pending = journal.begin("upload", &wish.key);
        // S3 compares it with what it makes of the parts' own; other stores know only checksums of checksums.
        let crc64nvme =
            (self.checksums && self.is_aws).then(|| digest::crc64nvme_text(whole.crc64nvme));
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
            .set_checksum_crc64_nvme(crc64nvme)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                if answer.e_tag.is_none() {
                    return Err(without_etag(&wish.key));
                }
                pending.done("uploaded", &wish.key);
                let content = content_id(whole.fingerprint, object.shape);
                Ok(entry(wish, file.size, answer.e_tag, content))
            }
            Err(error) => {
                let refusal = Refusal::from(&error);
                settle(pending, &refusal);
                Err(upload_failed(&refusal, wish))
            }
        }
    }

    async fn send_part(&self, wish: &Wish, id: &str, part: Part) -> Result<CompletedPart, Failure> {
        let timeouts = timeouts(part.bytes.len() as u64);
        let md5 = (!self.checksums).then(|| STANDARD.encode(digest::etag(&part.bytes)));
        let answer = self
            .client
            .upload_part()
            .bucket(&self.destination.bucket)
            .key(&wish.key)
            .upload_id(id)
            .part_number(part.number)
            .set_content_md5(md5)
            .set_checksum_crc64_nvme(
                self.checksums
                    .then(|| digest::crc64nvme_text(part.crc64nvme)),
            )
            .body(ByteStream::from(part.bytes))
            .customize()
            .disable_payload_signing()
            .config_override(timeouts)
            .send()
            .await
            .map_err(|error| upload_failed(&Refusal::from(&error), wish))?;
        Ok(CompletedPart::builder()
            .part_number(part.number)
            .set_e_tag(answer.e_tag)
            .set_checksum_crc64_nvme(answer.checksum_crc64_nvme)
            .build())
    }
}
