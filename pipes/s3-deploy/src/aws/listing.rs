//! Listing the bucket, in ranges that are fetched at the same time. A listing that fails anywhere fails as a whole: with a
//! part of it a plan would delete or upload the wrong things.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_s3::types::Object;
use futures_util::{Stream, StreamExt, stream};
use shared::{Failure, Refusal, explained};

use super::Bucket;
use crate::compare::RemoteObject;
use crate::manifest;

/// Listings under way at once: 10,000 objects in one round, and about 1 MB each on its way from the socket to the names.
const LISTINGS: usize = 12;

/// A part of the listing, by names: after the first, up to and with the second.
pub type Range = (Option<String>, Option<String>);

impl Bucket {
    /// The listing, range after range, each sorted by name; several are fetched at the same time, whether or not
    /// anybody waits for them.
    pub fn list(
        &self,
        ranges: Vec<Range>,
    ) -> impl Stream<Item = Result<Vec<RemoteObject>, Failure>> + Send + 'static {
        let bucket = self.clone();
        // The first range behind which there is nothing, once it is known.
        let last = Arc::new(AtomicUsize::new(usize::MAX));
        let numbered = ranges.into_iter().enumerate();
        let pages = stream::iter(numbered).map(move |(number, (after, until))| {
            let (bucket, last) = (bucket.clone(), Arc::clone(&last));
            tokio::spawn(async move {
                if number > last.load(Ordering::Relaxed) {
                    return Ok(Vec::new());
                }
                let (objects, is_last) = bucket
                    .list_range(after.as_deref(), until.as_deref())
                    .await?;
                if is_last {
                    last.fetch_min(number, Ordering::Relaxed);
                }
                Ok(objects)
            })
        });
        pages.buffered(LISTINGS).map(|joined| {
            joined.unwrap_or_else(|_| {
                Err(Failure::new(
                    "could not list the bucket: a task ended early",
                ))
            })
        })
    }

    /// Whether the bucket holds an object with exactly this name.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub async fn holds(&self, name: &str) -> Result<bool, Failure> {
        // Of all keys that begin with a key that key itself is the first; a HEAD would need another right.
        let key = self.key(name);
        let page = self
            .client
            .list_objects_v2()
            .bucket(&self.destination.bucket)
            .prefix(&key)
            .max_keys(1)
            .send()
            .await
            .map_err(|error| self.listing_failed(&Refusal::from(&error)))?;
        let mut contents = page.contents.unwrap_or_default().into_iter();
        Ok(contents.any(|object| object.key.as_deref() == Some(&key)))
    }

    /// The objects of a range, and whether none stands behind it. Any page that fails fails the run: with a part of the
    /// listing a plan would delete the wrong things.
    async fn list_range(
        &self,
        after: Option<&str>,
        until: Option<&str>,
    ) -> Result<(Vec<RemoteObject>, bool), Failure> {
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
                    return Ok((objects, false));
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
                _ => return Ok((objects, true)),
            }
        }
    }

    pub(super) fn listing_failed(&self, refusal: &Refusal) -> Failure {
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
            Some(region) if refusal.is_refused() => {
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
