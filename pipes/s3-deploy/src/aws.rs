//! The one file that talks to S3: `observe` lists the bucket, `apply` uploads and then deletes.
//! Every upload carries the MD5 of its content, so S3 itself refuses a body that is not what was read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::{ByteStream, DateTime, Length};
use aws_sdk_s3::types::{Delete, Object, ObjectCannedAcl, ObjectIdentifier, StorageClass};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, future, stream};
use shared::{ATTEMPT_TIMEOUT, Failure, Journal, Pending, Refusal, SdkConfig, explained};

use crate::config::Config;
use crate::content_type;
use crate::files::{self, Digest, LocalFile};
use crate::plan::{Plan, RemoteObject, Upload};

/// Uploads under way at once; at 20 ms a request that is 3,200 a second, near what S3 gives one prefix.
const CONCURRENCY: usize = 64;
/// Larger files are streamed from disk, so that 64 of them do not fill the memory.
const READ_WHOLE: u64 = 1 << 20;
/// Below this rate, in bytes a second, the upload of a large file counts as stuck.
const SLOWEST_UPLOAD: u64 = 1 << 18;
/// The most keys that one DeleteObjects takes.
const DELETE_BATCH: usize = 1000;
/// A log line of progress is due no more often than this.
const PROGRESS: Duration = Duration::from_secs(10);

/// The bucket of one run.
pub struct Site<'a> {
    client: Client,
    config: &'a Config,
}

impl<'a> Site<'a> {
    /// The bucket that `config` names, reached by `sdk`.
    pub fn new(sdk: &SdkConfig, config: &'a Config) -> Self {
        // `bucket.host` resolves for AWS's hosts; for others the bucket goes into the path.
        let settings = Builder::from(sdk)
            .force_path_style(shared::has_own_endpoint(sdk, "S3"))
            .interceptor(shared::LogRequests);
        let client = Client::from_conf(settings.build());
        Self { client, config }
    }

    /// All objects under the prefix, sorted by key.
    ///
    /// # Errors
    /// When any page of the listing fails: with a part of it a plan would delete or upload the wrong things.
    pub async fn observe(&self) -> Result<Vec<RemoteObject>, Failure> {
        let destination = &self.config.destination;
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&destination.bucket)
            .prefix(destination.prefix.as_str())
            .into_paginator()
            .send();
        let mut objects = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.listing_failed(&Refusal::from(&error)))?;
            for object in page.contents.unwrap_or_default() {
                objects.push(remote(object)?);
            }
        }
        // Directory buckets list in no order.
        objects.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(objects)
    }

    fn listing_failed(&self, refusal: &Refusal) -> Failure {
        let bucket = &self.config.destination.bucket;
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
                format!("could not list `{}`", self.config.destination),
                "s3:ListBucket",
            ),
        }
    }

    /// Uploads, and when all of that succeeded, deletes.
    ///
    /// # Errors
    /// The first upload or delete that failed, and how many more did. After the first failed upload no
    /// other is started and nothing is deleted.
    pub async fn apply(&self, plan: &Plan, journal: &Journal) -> Result<(), Failure> {
        self.upload_all(plan, journal).await?;
        for batch in plan.deletes.chunks(DELETE_BATCH) {
            self.delete(batch, journal).await?;
        }
        Ok(())
    }

    async fn upload_all(&self, plan: &Plan, journal: &Journal) -> Result<(), Failure> {
        let failed = AtomicBool::new(false);
        let mut progress = Progress::new(plan);
        // Uploads under way when another fails are let finish: their outcome is then known and can be said.
        let uploads = stream::iter(&plan.uploads)
            .take_while(|_| future::ready(!failed.load(Ordering::Relaxed)))
            .map(|upload| async move { (self.upload(upload, journal).await, upload.file.size) })
            .buffer_unordered(CONCURRENCY);
        let mut uploads = std::pin::pin!(uploads);
        let mut failures = Vec::new();
        loop {
            tokio::select! {
                next = uploads.next() => match next {
                    Some((Ok(()), size)) => progress.add(size),
                    Some((Err(failure), _)) => {
                        failed.store(true, Ordering::Relaxed);
                        failures.push(failure);
                    }
                    None => break,
                },
                () = progress.due() => progress.log(),
            }
        }
        let more = failures.len().saturating_sub(1);
        match failures.into_iter().next() {
            None => Ok(()),
            Some(first) if more == 0 => Err(first),
            Some(first) => Err(first.fact(format!(
                "{more} more uploads that were under way failed too"
            ))),
        }
    }

    async fn upload(&self, upload: &Upload, journal: &Journal) -> Result<(), Failure> {
        let file = &upload.file;
        let (body, digest) = body(file).await?;
        let headers = &self.config.headers;
        let request = self
            .client
            .put_object()
            .bucket(&self.config.destination.bucket)
            .key(&file.key)
            .content_type(content_type::of(&file.key))
            .content_md5(STANDARD.encode(digest.0))
            .set_acl(headers.acl.as_deref().map(ObjectCannedAcl::from))
            .set_cache_control(headers.cache_control.clone())
            .set_content_encoding(headers.content_encoding.clone())
            .set_expires(headers.expires.map(|time| DateTime::from(time.0)))
            .set_storage_class(headers.storage_class.as_deref().map(StorageClass::from))
            .body(body);
        let timeout = TimeoutConfig::builder()
            .operation_attempt_timeout(
                ATTEMPT_TIMEOUT + Duration::from_secs(file.size / SLOWEST_UPLOAD),
            )
            .build();
        let pending = journal.begin("upload", &file.key);
        let answer = request
            .customize()
            .config_override(Builder::new().timeout_config(timeout))
            .send()
            .await;
        match answer {
            Ok(_) => {
                pending.done("uploaded", &file.key);
                Ok(())
            }
            Err(error) => {
                let refusal = Refusal::from(&error);
                // S3 compared the body with the MD5 of what was read first.
                if refusal.code == "BadDigest" && files::digest(file).ok() != Some(digest) {
                    pending.refused();
                    return Err(files::changed(file));
                }
                settle(pending, &refusal);
                let action = if headers.acl.is_some() {
                    "s3:PutObject` and `s3:PutObjectAcl"
                } else {
                    "s3:PutObject"
                };
                Err(explained(
                    &refusal,
                    format!("could not upload `{}`", file.key),
                    action,
                ))
            }
        }
    }

    async fn delete(&self, keys: &[String], journal: &Journal) -> Result<(), Failure> {
        let doing = |count: usize| {
            format!(
                "could not delete {count} objects from `{}`",
                self.config.destination
            )
        };
        let identifiers = keys
            .iter()
            .map(|key| ObjectIdentifier::builder().key(key).build());
        let identifiers = identifiers.collect::<Result<Vec<_>, _>>();
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
            .bucket(&self.config.destination.bucket)
            .delete(delete);
        let pending: Vec<_> = keys
            .iter()
            .map(|key| (key, journal.begin("delete", key)))
            .collect();
        let answer = request.send().await;
        let answer = match answer {
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
            if errors.iter().any(|error| error.key.as_deref() == Some(key)) {
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

/// The body and its digest: a small file is read once, a large one once for the digest and once for the body.
async fn body(file: &LocalFile) -> Result<(ByteStream, Digest), Failure> {
    if file.size <= READ_WHOLE {
        let (contents, digest) = files::contents(file)?;
        return Ok((ByteStream::from(contents), digest));
    }
    let owned = file.clone();
    let digest = tokio::task::spawn_blocking(move || files::digest(&owned));
    let digest = digest
        .await
        .unwrap_or_else(|_| Err(Failure::new("could not read a file: a thread ended early")))?;
    let body = ByteStream::read_from()
        .path(&file.path)
        .length(Length::Exact(file.size))
        .build()
        .await;
    let body = body.map_err(|error| {
        Failure::new(format!(
            "could not read `{}`: {}",
            file.path.display(),
            shared::chain(&error)
        ))
    })?;
    Ok((body, digest))
}

fn remote(object: Object) -> Result<RemoteObject, Failure> {
    let (Some(key), Some(size)) = (
        object.key,
        object.size.and_then(|size| u64::try_from(size).ok()),
    ) else {
        return Err(Failure::new(
            "could not read the listing of the bucket: an object in it has no key or no size",
        ));
    };
    let etag = object
        .e_tag
        .unwrap_or_default()
        .trim_matches('"')
        .to_ascii_lowercase();
    Ok(RemoteObject { key, size, etag })
}

/// How far the uploads are, for a line every ten seconds.
struct Progress {
    start: Instant,
    last: Instant,
    files: (usize, usize),
    bytes: (u64, u64),
}

impl Progress {
    fn new(plan: &Plan) -> Self {
        let now = Instant::now();
        Self {
            start: now,
            last: now,
            files: (0, plan.uploads.len()),
            bytes: (0, plan.bytes()),
        }
    }

    fn add(&mut self, size: u64) {
        self.files.0 += 1;
        self.bytes.0 += size;
    }

    async fn due(&self) {
        tokio::time::sleep(PROGRESS.saturating_sub(self.last.elapsed())).await;
    }

    fn log(&mut self) {
        self.last = Instant::now();
        let spent = self.start.elapsed().as_secs().max(1);
        let rate = self.bytes.0 / spent;
        let left = match rate {
            0 => String::new(),
            rate => format!(", about {} s left", (self.bytes.1 - self.bytes.0) / rate),
        };
        tracing::info!(
            "uploaded {} of {} files, {} of {} kB, {} kB/s{left}",
            self.files.0,
            self.files.1,
            self.bytes.0 / 1000,
            self.bytes.1 / 1000,
            rate / 1000
        );
    }
}
