//! Archives in ARTIFACT_BUCKET: whether one is there, and uploading it in parts, of which none is left behind that nobody
//! can name. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
};
use aws_smithy_types::base64;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use shared::{Failure, Journal, Refusal, explained};

use super::Lambda;
use crate::artifact::Place;
use crate::package::Package;

/// The size of a part: 10,000 of them are far more than Lambda takes.
const PART: usize = 8 << 20;
/// Parts under way at once.
const PARTS_AT_ONCE: usize = 6;
/// One part on a slow line.
const PART_TIMEOUT: Duration = Duration::from_mins(3);

impl Lambda {
    /// Whether the archive is in its place already.
    ///
    /// # Errors
    /// When the bucket is of another region, or gives no answer.
    pub async fn has_artifact(&self, place: &Place, package: &Package) -> Result<bool, Failure> {
        let answer = self
            .s3()
            .head_object()
            .bucket(&place.bucket)
            .key(&place.key)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let refusal = Refusal::from(&error);
                if let Some(region) = refusal
                    .region
                    .as_ref()
                    .filter(|region| *region != self.region())
                {
                    return Err(Failure::new(format!(
                        "ARTIFACT_BUCKET `{}` is in {region}, and the function in {}",
                        place.bucket,
                        self.region()
                    ))
                    .hint("Lambda reads code from a bucket of its own region only; `{region}` in the name stands for that"));
                }
                // Absent, or not to be looked at: the upload will tell.
                if refusal.is_refused() {
                    return Ok(false);
                }
                return Err(explained(
                    &refusal,
                    format!("could not look at `{place}`"),
                    "s3:GetObject",
                ));
            }
        };
        let whole = answer.checksum_type() == Some(&ChecksumType::FullObject);
        let is_equal = match answer.checksum_crc64_nvme.as_ref().filter(|_| whole) {
            Some(crc) => *crc == crc64nvme(package),
            None => true,
        };
        let size = answer
            .content_length
            .and_then(|size| u64::try_from(size).ok());
        Ok(is_equal && size == Some(package.size()))
    }

    /// Uploads the archive to its place.
    ///
    /// # Errors
    /// When the bucket does not exist or refuses: it is never created.
    pub async fn upload_artifact(
        &self,
        place: &Place,
        package: &Package,
        journal: &Journal,
    ) -> Result<(), Failure> {
        let upload = Upload {
            client: self.s3(),
            place,
            is_aws: !shared::has_own_endpoint(self.sdk(), "S3"),
            checksums: shared::checksums_when_supported(self.sdk()),
        };
        upload.run(package, journal).await
    }
}

struct Upload<'a> {
    client: Client,
    place: &'a Place,
    /// Whether this is AWS's own S3, which compares the checksum of the whole with those of the parts.
    is_aws: bool,
    checksums: bool,
}

impl Upload<'_> {
    async fn run(&self, package: &Package, journal: &Journal) -> Result<(), Failure> {
        let answer = self
            .client
            .create_multipart_upload()
            .bucket(&self.place.bucket)
            .key(&self.place.key)
            .content_type("application/zip")
            .set_checksum_algorithm(self.checksums.then_some(ChecksumAlgorithm::Crc64Nvme))
            .set_checksum_type(self.checksums.then_some(ChecksumType::FullObject))
            .send()
            .await
            .map_err(|error| self.failed(&Refusal::from(&error)))?;
        let Some(id) = answer.upload_id else {
            return Err(Failure::new(format!(
                "could not upload `{}`: S3 named no upload",
                self.place
            )));
        };
        // However this ends early, by an error, a signal or the deadline: parts that nobody names cost money for ever.
        let abort = self
            .client
            .abort_multipart_upload()
            .bucket(&self.place.bucket)
            .key(&self.place.key)
            .upload_id(&id);
        let left = format!("the unfinished upload `{id}` of `{}`", self.place);
        let cleanup = journal.clean_up_unless_settled(left, async move {
            if let Err(error) = abort.send().await {
                tracing::warn!(
                    "could not abort an unfinished upload: {}",
                    Refusal::from(&error)
                );
            }
        });
        let bytes = package.bytes();
        let starts = (0..bytes.len()).step_by(PART);
        let parts = starts.zip(1..).map(|(start, number)| {
            let part = bytes.slice(start..bytes.len().min(start + PART));
            self.send(&id, number, part)
        });
        let mut parts: Vec<CompletedPart> = futures_util::stream::iter(parts)
            .buffer_unordered(PARTS_AT_ONCE)
            .try_collect()
            .await?;
        parts.sort_by_key(|part| part.part_number);
        let pending = journal.begin("upload", &self.place.to_string());
        let whole = (self.checksums && self.is_aws).then(|| crc64nvme(package));
        let answer = self
            .client
            .complete_multipart_upload()
            .bucket(&self.place.bucket)
            .key(&self.place.key)
            .upload_id(&id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts))
                    .build(),
            )
            .set_checksum_type(self.checksums.then_some(ChecksumType::FullObject))
            .set_checksum_crc64_nvme(whole)
            .send()
            .await;
        match answer {
            Ok(_) => {
                pending.done("uploaded", self.place.to_string());
                journal.settle(cleanup);
                Ok(())
            }
            Err(error) => {
                let refusal = Refusal::from(&error);
                if refusal.changed_nothing() {
                    pending.refused();
                }
                Err(self.failed(&refusal))
            }
        }
    }

    async fn send(&self, id: &str, number: i32, part: Bytes) -> Result<CompletedPart, Failure> {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(PART_TIMEOUT)
            .build();
        let answer = self
            .client
            .upload_part()
            .bucket(&self.place.bucket)
            .key(&self.place.key)
            .upload_id(id)
            .part_number(number)
            .set_checksum_algorithm(self.checksums.then_some(ChecksumAlgorithm::Crc64Nvme))
            .body(ByteStream::from(part))
            .customize()
            .config_override(Builder::new().timeout_config(timeouts))
            .send()
            .await
            .map_err(|error| self.failed(&Refusal::from(&error)))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.e_tag)
            .set_checksum_crc64_nvme(answer.checksum_crc64_nvme)
            .build())
    }

    fn failed(&self, refusal: &Refusal) -> Failure {
        let failure = explained(
            refusal,
            format!("could not upload `{}`", self.place),
            "s3:PutObject",
        );
        if refusal.code == "NoSuchBucket" {
            failure.hint("check ARTIFACT_BUCKET: a bucket is never created, since a misspelt one would be somebody's")
        } else {
            failure
        }
    }
}

/// As S3 writes it. A CRC of some hundred megabytes takes less time than one request.
fn crc64nvme(package: &Package) -> String {
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &package.bytes());
    base64::encode(crc.to_be_bytes())
}
