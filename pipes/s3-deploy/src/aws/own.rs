//! The pipe's own folder beside the site: the manifest, read and written under the condition that nobody else did in the
//! meantime, the copies that releases are put back from, and what parallel steps leave.

use std::io;

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use serde::de::DeserializeOwned;
use shared::{Failure, Journal, Refusal, explained};

use super::upload::encoded;
use super::{Bucket, settle};
use crate::digest;
use crate::manifest::{self, Entry, Manifest};
use crate::pieces::{self, Pieces, Streamed, Unreadable};

/// What was read, and its ETag; or why it is not what was looked for.
pub type Content<T> = Result<(T, String), String>;

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
    /// Reads an object of the pipe's own folder.
    ///
    /// # Errors
    /// All but that it is not there, which is nothing, and that it may not be read, which is the refusal.
    pub async fn read<T: DeserializeOwned + Send + 'static>(
        &self,
        name: &str,
    ) -> Result<Result<Option<Content<T>>, Refusal>, Failure> {
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
        let (sender, arriving) = pieces::channel();
        let reading = tokio::task::spawn_blocking(move || pieces::read(arriving));
        let mut body = answer.body;
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(io::Error::other);
            let is_last = piece.is_err();
            // Whoever reads has found a fault already if it takes no more.
            if sender.send(piece).await.is_err() || is_last {
                break;
            }
        }
        drop(sender);
        let unreadable =
            |why: &str| Failure::new(format!("could not read `{}`: {why}", self.shown(name)));
        match reading.await {
            Ok(Ok(content)) => Ok(Ok(Some(Ok((content, etag))))),
            Ok(Err(Unreadable::Foreign(error))) => Ok(Ok(Some(Err(error.to_string())))),
            Ok(Err(Unreadable::Broken(error))) => Err(unreadable(&shared::chain(&error))),
            Err(_) => Err(unreadable("a thread ended early")),
        }
    }

    /// The manifest of the last deploy.
    ///
    /// # Errors
    /// When there is one that cannot be understood: a run that went on would forget what it holds.
    pub async fn manifest(&self) -> Result<Found, Failure> {
        let content: Content<Manifest> = match self.read(manifest::NAME).await? {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(Found::Nothing),
            Err(refusal) => return Ok(Found::Denied(refusal)),
        };
        let manifest = content
            .map_err(|error| format!("it is not a manifest: {error}"))
            .and_then(|(manifest, etag)| Ok((manifest.checked()?, etag)));
        let (manifest, etag) = manifest.map_err(|why| {
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
        pieces: Pieces,
        unless: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        let measured = measured(&pieces).map_err(|error| {
            Failure::new(format!("could not write `{}`: {error}", self.shown(name)))
        })?;
        let (length, crc) = measured;
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
            .set_checksum_crc64_nvme(self.checksums.then(|| digest::crc64nvme_text(crc)))
            .body(body(pieces, length))
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

/// How long it is, and its CRC64NVME.
fn measured(pieces: &Pieces) -> serde_json::Result<(u64, u64)> {
    let mut crc = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    let mut length = 0;
    for piece in pieces.clone() {
        let piece = piece?;
        crc.update(&piece);
        length += piece.len() as u64;
    }
    Ok((length, crc.finalize()))
}

/// It is made again for each attempt.
fn body(pieces: Pieces, length: u64) -> ByteStream {
    ByteStream::new(SdkBody::retryable(move || {
        SdkBody::from_body_1_x(Streamed::new(pieces.clone(), length))
    }))
}
