//! The code in a bucket: whether it is there, and its SHA-256 if S3 knows it.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::types::{ChecksumMode, ChecksumType};
use shared::{Failure, Refusal, explained};

use super::Lambda;

impl Lambda {
    /// A client for S3 in this region.
    pub fn s3(&self) -> Client {
        let is_aws = !shared::has_own_endpoint(&self.sdk, "S3");
        let settings = shared::watched!(Builder::from(&self.sdk)).force_path_style(!is_aws);
        Client::from_conf(settings.build())
    }

    /// The base64 of the object's SHA-256, which is what Lambda calls CodeSha256; nothing if S3 has none, or if the
    /// object may not be looked at: Lambda reads it by the same rights and says so itself.
    ///
    /// # Errors
    /// When there is no such object.
    pub async fn object_sha256(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        let answer = self
            .s3()
            .head_object()
            .bucket(bucket)
            .key(key)
            .set_version_id(version.map(str::to_owned))
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let whole = answer.checksum_type() != Some(&ChecksumType::Composite);
                // That of an upload in parts ends in their number.
                Ok(answer
                    .checksum_sha256
                    .filter(|sum| whole && !sum.contains('-')))
            }
            Err(error) => {
                let refusal = Refusal::from(&error);
                let shown = format!("s3://{bucket}/{key}");
                if refusal.status == 404 {
                    return Err(Failure::new(format!("there is no object `{shown}`"))
                        .hint("upload the zip first, in a step before this one; without `s3:ListBucket` an absent object would be a denied one"));
                }
                if refusal.is_refused() {
                    shared::log::debug(format_args!("`{shown}` may not be looked at: {refusal}"));
                    return Ok(None);
                }
                Err(explained(
                    &refusal,
                    format!("could not look at `{shown}`"),
                    "s3:GetObject",
                ))
            }
        }
    }
}
