//! The decision: files and objects in, a list of actions with a reason each out. Pure.
//! Times play no part, since a fresh checkout has new ones; content is compared by the ETag from LIST.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::files::{Digest, LocalFile};

/// An object as LIST shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteObject {
    /// Its key, prefix included.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
}

/// Why a file is uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// There is no such object.
    New,
    /// The object has another length.
    SizeDiffers,
    /// The object has the same length and another digest.
    ContentDiffers,
    /// The object was uploaded in parts, so its ETag is not the digest of its content.
    CannotCompare,
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::New => "new",
            Self::SizeDiffers => "size differs",
            Self::ContentDiffers => "content differs",
            Self::CannotCompare => "cannot compare: was uploaded in parts",
        })
    }
}

/// One file to upload.
#[derive(Debug, PartialEq, Eq)]
pub struct Upload {
    /// The file.
    pub file: LocalFile,
    /// Why.
    pub reason: Reason,
}

/// What a run will do, in this order: all uploads, then all deletes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Files to upload, by key.
    pub uploads: Vec<Upload>,
    /// Keys to delete.
    pub deletes: Vec<String>,
    /// Files whose object has the same content already.
    pub unchanged: usize,
    /// Objects that no file stands for and that stay, since deleting was not asked for.
    pub left: usize,
}

/// The files that only their content can tell from their objects: same key, same size, an ETag of one part.
pub fn undecided(local: &[LocalFile], remote: &[RemoteObject]) -> Vec<LocalFile> {
    let is_undecided = |pair: &Pair<'_>| match pair {
        Pair::Both(file, object) => file.size == object.size && is_single_part(&object.etag),
        _ => false,
    };
    pairs(local, remote)
        .filter(is_undecided)
        .filter_map(|pair| pair.file().cloned())
        .collect()
}

impl Plan {
    /// Decides from the files and objects, both sorted by key, and the digests of the undecided files.
    pub fn new(
        local: &[LocalFile],
        remote: &[RemoteObject],
        digests: &BTreeMap<String, Digest>,
        delete: bool,
    ) -> Self {
        let mut plan = Self::default();
        for pair in pairs(local, remote) {
            match pair {
                Pair::File(file) => plan.upload(file, Reason::New),
                Pair::Both(file, object) => {
                    match difference(file, object, digests.get(&file.key)) {
                        Some(reason) => plan.upload(file, reason),
                        None => plan.unchanged += 1,
                    }
                }
                // The console makes an empty object `folder/` for each folder; nobody's file stands for it.
                Pair::Object(object) if object.size == 0 && object.key.ends_with('/') => {}
                Pair::Object(object) if delete => plan.deletes.push(object.key.clone()),
                Pair::Object(_) => plan.left += 1,
            }
        }
        plan
    }

    fn upload(&mut self, file: &LocalFile, reason: Reason) {
        self.uploads.push(Upload {
            file: file.clone(),
            reason,
        });
    }

    /// Bytes to upload.
    pub fn bytes(&self) -> u64 {
        self.uploads.iter().map(|upload| upload.file.size).sum()
    }

    /// For `report.json`.
    pub fn to_json(&self) -> serde_json::Value {
        let uploads: Vec<_> = self
            .uploads
            .iter()
            .map(|upload| {
                serde_json::json!({ "key": upload.file.key, "size": upload.file.size, "reason": upload.reason })
            })
            .collect();
        serde_json::json!({ "upload": uploads, "delete": self.deletes, "unchanged": self.unchanged, "left": self.left })
    }
}

impl fmt::Display for Plan {
    /// One line for each action, and a last one with the numbers.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for upload in &self.uploads {
            writeln!(out, "upload  {}  ({})", upload.file.key, upload.reason)?;
        }
        for key in &self.deletes {
            writeln!(out, "delete  {key}")?;
        }
        let (uploads, deletes) = (self.uploads.len(), self.deletes.len());
        write!(
            out,
            "plan: upload {uploads}, delete {deletes}, unchanged {}",
            self.unchanged
        )?;
        if self.left > 0 {
            write!(out, ", left alone {} (DELETE_FLAG is not true)", self.left)?;
        }
        Ok(())
    }
}

enum Pair<'a> {
    File(&'a LocalFile),
    Object(&'a RemoteObject),
    Both(&'a LocalFile, &'a RemoteObject),
}

impl<'a> Pair<'a> {
    fn file(&self) -> Option<&'a LocalFile> {
        match self {
            Self::File(file) | Self::Both(file, _) => Some(file),
            Self::Object(_) => None,
        }
    }
}

/// A merge join of two lists that are sorted by the bytes of their keys.
fn pairs<'a>(
    mut local: &'a [LocalFile],
    mut remote: &'a [RemoteObject],
) -> impl Iterator<Item = Pair<'a>> {
    std::iter::from_fn(move || {
        let order = match (local.first(), remote.first()) {
            (Some(file), Some(object)) => file.key.cmp(&object.key),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return None,
        };
        let file = if order.is_le() {
            local.split_off_first()
        } else {
            None
        };
        let object = if order.is_ge() {
            remote.split_off_first()
        } else {
            None
        };
        match (file, object) {
            (Some(file), Some(object)) => Some(Pair::Both(file, object)),
            (Some(file), None) => Some(Pair::File(file)),
            (None, object) => object.map(Pair::Object),
        }
    })
}

fn difference(file: &LocalFile, object: &RemoteObject, digest: Option<&Digest>) -> Option<Reason> {
    if file.size != object.size {
        return Some(Reason::SizeDiffers);
    }
    match digest {
        _ if !is_single_part(&object.etag) => Some(Reason::CannotCompare),
        Some(digest) if digest.hex() == object.etag => None,
        // Under SSE-KMS the ETag is random, so this errs towards an upload, never towards a stale object.
        _ => Some(Reason::ContentDiffers),
    }
}

fn is_single_part(etag: &str) -> bool {
    etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn file(key: &str, size: u64) -> LocalFile {
        LocalFile {
            key: key.to_owned(),
            path: PathBuf::from(key),
            size,
            modified: None,
        }
    }

    fn object(key: &str, size: u64, etag: &str) -> RemoteObject {
        RemoteObject {
            key: key.to_owned(),
            size,
            etag: etag.to_owned(),
        }
    }

    fn sample(delete: bool) -> Plan {
        let local = [
            file("a.js", 1),
            file("b.js", 1),
            file("c.js", 1),
            file("d.js", 1),
            file("new.js", 1),
        ];
        let remote = [
            object("a.js", 1, &Digest([1; 16]).hex()),
            object("b.js", 1, &Digest([2; 16]).hex()),
            object("c.js", 2, &Digest([3; 16]).hex()),
            object("d.js", 1, "0123456789abcdef0123456789abcdef-2"),
            object("folder/", 0, "d41d8cd98f00b204e9800998ecf8427e"),
            object("old.js", 1, &Digest([4; 16]).hex()),
        ];
        let asked: Vec<_> = undecided(&local, &remote)
            .into_iter()
            .map(|file| file.key)
            .collect();
        assert_eq!(asked, ["a.js", "b.js"], "only these have to be hashed");
        let digests = asked
            .into_iter()
            .map(|key| (key, Digest([1; 16])))
            .collect();
        Plan::new(&local, &remote, &digests, delete)
    }

    #[test]
    fn each_action_has_its_reason() {
        insta::assert_snapshot!(sample(true), @r"
        upload  b.js  (content differs)
        upload  c.js  (size differs)
        upload  d.js  (cannot compare: was uploaded in parts)
        upload  new.js  (new)
        delete  old.js
        plan: upload 4, delete 1, unchanged 1
        ");
    }

    #[test]
    fn nothing_is_deleted_unless_asked_for() {
        let plan = sample(false);
        assert_eq!(plan.deletes, Vec::<String>::new());
        assert!(
            plan.to_string()
                .ends_with("left alone 1 (DELETE_FLAG is not true)"),
            "{plan}"
        );
    }

    #[test]
    fn an_empty_bucket_gets_all() {
        let plan = Plan::new(&[file("a", 1), file("b", 0)], &[], &BTreeMap::new(), true);
        assert_eq!(
            (plan.uploads.len(), plan.deletes.len(), plan.unchanged),
            (2, 0, 0)
        );
    }
}
