//! All that talks to S3: this file reads (listing, headers, the manifest) and deletes, `aws/upload.rs` writes objects,
//! and `aws/pace.rs` says how many requests are under way.

mod pace;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, ChecksumType, Delete, Object, ObjectIdentifier};
use futures_util::{Stream, StreamExt, stream};
use shared::{Failure, Journal, Pending, Refusal, SdkConfig, explained};
use tokio::sync::Semaphore;

pub use self::pace::{Pace, SlowDowns};

use crate::compare::RemoteObject;
use crate::config::Destination;
use crate::manifest::{self, Entry, Manifest};

/// Listings under way at once: 32,000 objects in memory.
const LISTINGS: usize = 32;
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
    slow_downs: Arc<AtomicU32>,
    bodies: Arc<Semaphore>,
}

/// A part of the listing, by names: after the first, up to and with the second.
pub type Range = (Option<String>, Option<String>);

/// The manifest as it was read, or that there is none, or that it may not be read.
pub enum Found {
    /// It is there, with the ETag on which the next write depends.
    Manifest(Box<Manifest>, String),
    /// There is none.
    Nothing,
    /// The run may not read it: `s3:GetObject` is missing.
    Denied(Refusal),
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
        let settings = Builder::from(sdk)
            .force_path_style(!is_aws)
            .interceptor(shared::LogRequests)
            .interceptor(SlowDowns(Arc::clone(&slow_downs)));
        Self {
            client: Client::from_conf(settings.build()),
            destination: destination.clone(),
            is_aws,
            checksums: shared::checksums_when_supported(sdk),
            slow_downs,
            bodies: Arc::new(Semaphore::new(BODIES as usize)),
        }
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

    /// The listing, range after range, each sorted by name; several are fetched at the same time, whether or not
    /// anybody waits for them.
    pub fn list(
        &self,
        ranges: Vec<Range>,
    ) -> impl Stream<Item = Result<Vec<RemoteObject>, Failure>> + Send + 'static {
        let bucket = self.clone();
        let pages = stream::iter(ranges).map(move |(after, until)| {
            let bucket = bucket.clone();
            tokio::spawn(async move { bucket.list_range(after.as_deref(), until.as_deref()).await })
        });
        pages.buffered(LISTINGS).map(|joined| {
            joined.unwrap_or_else(|_| {
                Err(Failure::new(
                    "could not list the bucket: a task ended early",
                ))
            })
        })
    }

    /// Any page that fails fails the run: with a part of the listing a plan would delete the wrong things.
    async fn list_range(
        &self,
        after: Option<&str>,
        until: Option<&str>,
    ) -> Result<Vec<RemoteObject>, Failure> {
        let prefix = self.destination.prefix.as_str();
        let mut objects = Vec::new();
        let mut token = None;
        loop {
            let page = self
                .client
                .list_objects_v2()
                .bucket(&self.destination.bucket)
                .prefix(prefix)
                .set_start_after(
                    after
                        .filter(|_| token.is_none())
                        .map(|after| self.key(after)),
                )
                .set_continuation_token(token.take())
                .send()
                .await
                .map_err(|error| self.listing_failed(&Refusal::from(&error)))?;
            for object in page.contents.unwrap_or_default() {
                let object = remote(object, prefix)?;
                if until.is_some_and(|until| object.name.as_str() > until) {
                    return Ok(objects);
                }
                // The console makes an empty object `folder/` for each folder; nobody's file stands for it.
                let is_folder =
                    object.size == 0 && (object.name.is_empty() || object.name.ends_with('/'));
                if !is_folder && !object.name.starts_with(manifest::FOLDER) {
                    objects.push(object);
                }
            }
            match page.next_continuation_token {
                Some(next) if page.is_truncated == Some(true) => token = Some(next),
                _ if page.is_truncated == Some(true) => {
                    return Err(Failure::new(format!(
                        "could not list `{}`: the listing stops in the middle",
                        self.destination
                    )));
                }
                _ => return Ok(objects),
            }
        }
    }

    fn listing_failed(&self, refusal: &Refusal) -> Failure {
        let bucket = &self.destination.bucket;
        if refusal.code == "NoSuchBucket" || (refusal.status == 404 && refusal.code.is_empty()) {
            return Failure::new(format!("the bucket `{bucket}` does not exist")).hint(
                "check S3_BUCKET, or create the bucket; names are unique across AWS, and a role of another account cannot see it",
            );
        }
        let named = refusal
            .message
            .split_once("expecting '")
            .and_then(|(_, rest)| rest.split('\'').next());
        let region = refusal
            .region
            .as_deref()
            .filter(|_| !refusal.is_denied())
            .or(named);
        match region {
            Some(region) if refusal.changed_nothing() => {
                Failure::new(format!("the bucket `{bucket}` is in region `{region}`"))
                    .hint(format!("set AWS_DEFAULT_REGION to `{region}`"))
            }
            _ => explained(
                refusal,
                format!("could not list `{}`", self.destination),
                "s3:ListBucket",
            ),
        }
    }

    /// Reads an object of the pipe's own folder whole, and its ETag.
    ///
    /// # Errors
    /// All but that it is not there, which is nothing, and that it may not be read, which is the refusal.
    pub async fn read(
        &self,
        name: &str,
    ) -> Result<Result<Option<(Vec<u8>, String)>, Refusal>, Failure> {
        let answer = self
            .client
            .get_object()
            .bucket(&self.destination.bucket)
            .key(self.key(name))
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let refusal = Refusal::from(&error);
                return match refusal.status {
                    404 => Ok(Ok(None)),
                    403 => Ok(Err(refusal)),
                    _ => Err(explained(
                        &refusal,
                        format!("could not read `{}`", self.shown(name)),
                        "s3:GetObject",
                    )),
                };
            }
        };
        let etag = answer.e_tag.unwrap_or_default();
        let bytes = answer.body.collect().await.map_err(|error| {
            Failure::new(format!(
                "could not read `{}`: {}",
                self.shown(name),
                shared::chain(&error)
            ))
        })?;
        Ok(Ok(Some((bytes.to_vec(), etag))))
    }

    /// The manifest of the last deploy.
    ///
    /// # Errors
    /// When there is one that cannot be understood: a run that went on would forget what it holds.
    pub async fn manifest(&self) -> Result<Found, Failure> {
        let (bytes, etag) = match self.read(manifest::NAME).await? {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Found::Nothing),
            Err(refusal) => return Ok(Found::Denied(refusal)),
        };
        let manifest = Manifest::read(&bytes).map_err(|why| {
            Failure::new(format!("could not use the manifest `{}`: {why}", self.shown(manifest::NAME)))
                .hint("use the newest version of the pipe; if the object is damaged, delete it, and the next run makes a new one")
        })?;
        Ok(Found::Manifest(Box::new(manifest), etag))
    }

    /// Writes an object of the pipe's own folder. With `unless` it is written only if the object is still the one
    /// with that ETag, or, for an empty one, still absent; nothing is given back when somebody else was faster.
    ///
    /// # Errors
    /// All other refusals.
    pub async fn write(
        &self,
        name: &str,
        bytes: Vec<u8>,
        unless: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        let (if_match, if_none_match) = match unless {
            None => (None, None),
            Some("") => (None, Some("*".to_owned())),
            Some(etag) => (Some(etag.to_owned()), None),
        };
        let answer = self
            .client
            .put_object()
            .bucket(&self.destination.bucket)
            .key(self.key(name))
            .content_type("application/json")
            .set_if_match(if_match)
            .set_if_none_match(if_none_match)
            .set_checksum_algorithm(self.checksum())
            .body(ByteStream::from(bytes))
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(Some(answer.e_tag.unwrap_or_default())),
            Err(error) => {
                let refusal = Refusal::from(&error);
                // 412: it is another one now; 409: somebody writes it at this moment; 404: it was deleted.
                if unless.is_some() && matches!(refusal.status, 404 | 409 | 412) {
                    return Ok(None);
                }
                Err(explained(
                    &refusal,
                    format!("could not write `{}`", self.shown(name)),
                    "s3:PutObject",
                ))
            }
        }
    }

    /// Copies an object with all its headers, if it is still the one that `entry` speaks of, and gives the ETag of the copy.
    ///
    /// # Errors
    /// When it is another one by now, or may not be copied.
    pub async fn copy(
        &self,
        from: &str,
        to: &str,
        entry: &Entry,
        journal: &Journal,
        verb: &'static str,
    ) -> Result<String, Failure> {
        let source = format!(
            "{}/{}",
            self.destination.bucket,
            upload::encoded(&self.key(from))
        );
        let pending = journal.begin(verb, &self.key(to));
        // Of a copy of an object in parts the ETag is another one, so only the first copy depends on it.
        let condition =
            (!from.starts_with(manifest::FOLDER)).then(|| format!("\"{}\"", entry.etag));
        let answer = self
            .client
            .copy_object()
            .bucket(&self.destination.bucket)
            .key(self.key(to))
            .copy_source(source)
            .set_copy_source_if_match(condition)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                pending.done(
                    if verb == "restore" {
                        "restored"
                    } else {
                        "kept"
                    },
                    self.key(to),
                );
                let etag = answer
                    .copy_object_result
                    .and_then(|result| result.e_tag)
                    .unwrap_or_default();
                Ok(etag.trim_matches('"').to_ascii_lowercase())
            }
            Err(error) => {
                let refusal = Refusal::from(&error);
                settle(pending, &refusal);
                let doing = format!(
                    "could not copy `{}` to `{}`",
                    self.shown(from),
                    self.shown(to)
                );
                Err(explained(
                    &refusal,
                    doing,
                    "s3:GetObject` and `s3:PutObject",
                ))
            }
        }
    }

    /// The names in a part of the pipe's own folder.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub async fn own_names(&self, folder: &str) -> Result<Vec<String>, Failure> {
        let answer = self
            .client
            .list_objects_v2()
            .bucket(&self.destination.bucket)
            .prefix(self.key(folder))
            .send()
            .await
            .map_err(|error| self.listing_failed(&Refusal::from(&error)))?;
        let prefix = self.destination.prefix.as_str();
        let keys = answer
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| object.key);
        Ok(keys
            .filter_map(|key| key.strip_prefix(prefix).map(str::to_owned))
            .collect())
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
                if refusal.changed_nothing() {
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

    /// Deletes objects by name, in as few requests as possible.
    ///
    /// # Errors
    /// The first refusal, also of a single key in an answer of 200.
    pub async fn delete(&self, names: &[String], journal: &Journal) -> Result<(), Failure> {
        for batch in names.chunks(DELETE_BATCH) {
            self.delete_batch(batch, journal).await?;
        }
        Ok(())
    }

    async fn delete_batch(&self, names: &[String], journal: &Journal) -> Result<(), Failure> {
        let doing = |count: usize| {
            format!(
                "could not delete {count} objects from `{}`",
                self.destination
            )
        };
        let keys: Vec<String> = names.iter().map(|name| self.key(name)).collect();
        let identifiers = keys
            .iter()
            .map(|key| ObjectIdentifier::builder().key(key).build())
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
        let errors = answer.errors.unwrap_or_default();
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
        Err(explained(&refusal, doing(errors.len()), "s3:DeleteObject"))
    }
}

fn settle(pending: Pending<'_>, refusal: &Refusal) {
    if refusal.changed_nothing() {
        pending.refused();
    }
}

fn remote(object: Object, prefix: &str) -> Result<RemoteObject, Failure> {
    let size = object.size.and_then(|size| u64::try_from(size).ok());
    let name = object
        .key
        .as_deref()
        .and_then(|key| key.strip_prefix(prefix))
        .map(str::to_owned);
    let (Some(name), Some(size)) = (name, size) else {
        return Err(Failure::new(
            "could not read the listing of the bucket: an object in it has no key or no size",
        ));
    };
    let etag = object
        .e_tag
        .unwrap_or_default()
        .trim_matches('"')
        .to_ascii_lowercase();
    Ok(RemoteObject { name, size, etag })
}
