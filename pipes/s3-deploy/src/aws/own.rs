//! The pipe's own folder beside the site: the manifest, read and written under the condition that nobody else did in the
//! meantime, the copies that releases are put back from, and what parallel steps leave.

use aws_sdk_s3::primitives::ByteStream;
use shared::{Failure, Journal, Refusal, explained};

use super::upload::encoded;
use super::{Bucket, settle};
use crate::manifest::{self, Entry, Manifest};

/// The manifest as it was read, or that there is none, or that it may not be read.
pub enum Found {
    /// It is there, with the ETag on which the next write depends.
    Manifest(Box<Manifest>, String),
    /// There is none.
    Nothing,
    /// The run may not read it: `s3:GetObject` is missing.
    Denied(Refusal),
}

impl Bucket {
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
            Ok(answer) => match answer.e_tag {
                Some(etag) => Ok(Some(etag)),
                None => Err(super::upload::without_etag(&self.shown(name))),
            },
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

    /// Whether this is a store that may pass over the condition of a write.
    pub const fn may_ignore_conditions(&self) -> bool {
        !self.is_aws
    }

    /// Whether an object of the pipe's own folder has this ETag.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn has(&self, name: &str, etag: &str) -> Result<bool, Failure> {
        let request = self
            .client
            .head_object()
            .bucket(&self.destination.bucket)
            .key(self.key(name));
        match request.send().await {
            Ok(answer) => Ok(answer.e_tag() == Some(etag)),
            Err(error) => {
                let refusal = Refusal::from(&error);
                if refusal.is_refused() {
                    return Ok(false);
                }
                let doing = format!("could not look at `{}`", self.shown(name));
                Err(explained(&refusal, doing, "s3:GetObject"))
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
        let source = format!("{}/{}", self.destination.bucket, encoded(&self.key(from)));
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
}
