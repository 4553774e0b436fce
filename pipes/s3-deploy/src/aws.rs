//! All that talks to S3, one file for each kind of request: `listing` and `own` (the pipe's own folder) read, `upload`
//! and `parts` write objects, and this file looks at single objects and deletes. `pace` says how many are under way.

mod listing;
mod own;
mod pace;
mod part_reader;
mod parts;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::types::{ChecksumMode, ChecksumType, Delete, ObjectIdentifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared::{Failure, Journal, Pending, Refusal, SdkConfig, explained};
use tokio::sync::Semaphore;

pub use self::listing::Range;
pub use self::own::Found;
pub use self::pace::{Load, Pace, SlowDowns};
pub use self::upload::encoded;

use crate::destination::Destination;
use crate::digest;
use crate::plan::Deletion;

/// The most keys that one DeleteObjects takes.
const DELETE_BATCH: usize = 1000;
/// Bodies in memory at once, in KiB.
const BODIES: u32 = 48 * 1024;

/// The bucket of one run.
#[derive(Clone)]
pub struct Bucket {
    client: Client,
    destination: Destination,
    /// Whether this is AWS's own S3, which keeps all of S3's promises.
    is_aws: bool,
    /// Whether uploads carry a CRC64NVME.
    checksums: bool,
    /// Whether the run has the right to change the site, so that no other run uploads to it.
    has_lease: bool,
    slow_downs: Arc<AtomicU32>,
    bodies: Arc<Semaphore>,
}

/// What a HEAD tells.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// The headers in the names of `Headers`, as lines of name and value, for comparison.
    pub headers: Vec<(&'static str, Option<String>)>,
    /// User metadata.
    pub metadata: std::collections::BTreeMap<String, String>,
    /// The CRC64NVME of the whole object, in base64.
    pub crc64nvme: Option<String>,
}

impl Bucket {
    /// The bucket that `destination` names, reached by `sdk`.
    pub fn new(sdk: &SdkConfig, destination: &Destination) -> Self {
        let is_aws = !shared::has_own_endpoint(sdk, "S3");
        let slow_downs = Arc::new(AtomicU32::new(0));
        // `bucket.host` resolves for AWS's hosts; for others the bucket goes into the path.
        let settings = shared::watched!(Builder::from(sdk))
            .force_path_style(!is_aws)
            .interceptor(SlowDowns(Arc::clone(&slow_downs)));
        Self {
            client: Client::from_conf(settings.build()),
            destination: destination.clone(),
            is_aws,
            checksums: shared::checksums_when_supported(sdk),
            has_lease: false,
            slow_downs,
            bodies: Arc::new(Semaphore::new(BODIES as usize)),
        }
    }

    /// The same for a run that has the right to change the site, or has not.
    #[must_use]
    pub fn with_lease(self, has_lease: bool) -> Self {
        Self { has_lease, ..self }
    }

    /// How often S3 asked to slow down so far.
    pub fn slow_downs(&self) -> u32 {
        self.slow_downs.load(Ordering::Relaxed)
    }

    fn key(&self, name: &str) -> String {
        [self.destination.prefix.as_str(), name].concat()
    }

    fn shown(&self, name: &str) -> String {
        format!("s3://{}/{}", self.destination.bucket, self.key(name))
    }

    /// Headers and checksum of an object; nothing if they may not be read.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn head(&self, name: &str) -> Result<Option<Live>, Failure> {
        let answer = self
            .client
            .head_object()
            .bucket(&self.destination.bucket)
            .key(self.key(name))
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let refusal = Refusal::from(&error);
                if refusal.is_refused() {
                    return Ok(None);
                }
                return Err(explained(
                    &refusal,
                    format!("could not look at `{}`", self.shown(name)),
                    "s3:GetObject",
                ));
            }
        };
        let whole = answer.checksum_type() == Some(&ChecksumType::FullObject);
        Ok(Some(Live {
            crc64nvme: answer.checksum_crc64_nvme.filter(|_| whole),
            metadata: answer.metadata.unwrap_or_default().into_iter().collect(),
            headers: vec![
                ("content-type", answer.content_type),
                ("cache-control", answer.cache_control),
                // Some stores keep the coding of the request's body in it.
                (
                    "content-encoding",
                    answer
                        .content_encoding
                        .map(|coding| coding.replace("aws-chunked,", ""))
                        .filter(|coding| coding != "aws-chunked"),
                ),
                ("content-disposition", answer.content_disposition),
                ("content-language", answer.content_language),
                ("expires", answer.expires_string),
                (
                    "storage-class",
                    answer.storage_class.map(|class| class.as_str().to_owned()),
                ),
                ("website-redirect", answer.website_redirect_location),
                (
                    "encryption",
                    answer
                        .server_side_encryption
                        .map(|kind| kind.as_str().to_owned()),
                ),
            ],
        }))
    }

    /// Deletes objects of the pipe's own folder by name, in as few requests as possible.
    ///
    /// # Errors
    /// The first refusal, also of a single key in an answer of 200.
    pub async fn delete_own(&self, names: &[String], journal: &Journal) -> Result<(), Failure> {
        let own = names.iter().map(|name| Deletion {
            name: name.clone(),
            etag: String::new(),
        });
        self.delete(&own.collect::<Vec<_>>(), false, journal).await
    }

    /// Deletes objects of the site. With `conditional`, which needs `s3:GetObject`, AWS keeps those that somebody has
    /// written since they were listed; what other stores make of a condition nobody knows, so they get none.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html>
    ///
    /// # Errors
    /// As for [`Bucket::delete_own`].
    pub async fn delete(
        &self,
        objects: &[Deletion],
        conditional: bool,
        journal: &Journal,
    ) -> Result<(), Failure> {
        for batch in objects.chunks(DELETE_BATCH) {
            self.delete_batch(batch, conditional && self.is_aws, journal)
                .await?;
        }
        Ok(())
    }

    async fn delete_batch(
        &self,
        objects: &[Deletion],
        conditional: bool,
        journal: &Journal,
    ) -> Result<(), Failure> {
        let doing = |count: usize| {
            format!(
                "could not delete {count} objects from `{}`",
                self.destination
            )
        };
        let keys: Vec<String> = objects.iter().map(|each| self.key(&each.name)).collect();
        let identifiers = keys
            .iter()
            .zip(objects)
            .map(|(key, object)| {
                let etag = conditional.then(|| format!("\"{}\"", object.etag));
                ObjectIdentifier::builder().key(key).set_e_tag(etag).build()
            })
            .collect::<Result<Vec<_>, _>>();
        let delete = identifiers.and_then(|objects| {
            Delete::builder()
                .set_objects(Some(objects))
                .quiet(true)
                .build()
        });
        let delete =
            delete.map_err(|error| Failure::new(format!("{}: {error}", doing(keys.len()))))?;
        let request = self
            .client
            .delete_objects()
            .bucket(&self.destination.bucket)
            .delete(delete);
        let checksums = self.checksums;
        let request = request.customize().mutate_request(move |request| {
            // The one checksum that this request has always needed, and the only one that older stores know.
            if let Some(body) = request.body().bytes().filter(|_| !checksums) {
                let md5 = STANDARD.encode(digest::etag(body));
                request.headers_mut().insert("content-md5", md5);
            }
        });
        let pending: Vec<_> = keys
            .iter()
            .map(|key| (key, journal.begin("delete", key)))
            .collect();
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let refusal = Refusal::from(&error);
                for (_, pending) in pending {
                    settle(pending, &refusal);
                }
                return Err(explained(&refusal, doing(keys.len()), "s3:DeleteObject"));
            }
        };
        // A 200 answer may hold an error for each key.
        let mut errors = answer.errors.unwrap_or_default();
        // With a condition an object that is gone already is an error; a repeated request finds them so.
        errors.retain(|error| error.code.as_deref() != Some("NoSuchKey"));
        for (key, pending) in pending {
            if errors.iter().any(|error| error.key.as_ref() == Some(key)) {
                pending.refused();
            } else {
                pending.done("deleted", key);
            }
        }
        let Some(first) = errors.first() else {
            return Ok(());
        };
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let refusal = Refusal {
            code: text(&first.code),
            message: format!("{} (`{}`)", text(&first.message), text(&first.key)),
            status: 200,
            ..Refusal::default()
        };
        let failure = explained(&refusal, doing(errors.len()), "s3:DeleteObject");
        Err(if refusal.code == "PreconditionFailed" {
            failure
                .hint("somebody wrote it since it was listed, so it was kept; run this step again")
        } else {
            failure
        })
    }
}

fn settle(pending: Pending<'_>, refusal: &Refusal) {
    if refusal.changed_nothing() {
        pending.refused();
    }
}
