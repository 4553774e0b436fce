//! What the last deploy left in the bucket, kept in an object of its own beside the site: content and headers of each
//! object, who is deploying, and what is no longer part of the site but still there.
//! An entry counts only while the listing shows the ETag that it holds, so a foreign overwrite voids it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::entries::Entries;
use crate::phase::Phase;
use crate::pieces::Pieces;

/// The folder, under the prefix, of all that the pipe keeps for itself.
pub const FOLDER: &str = ".s3-deploy/";
/// The manifest's name in it.
pub const NAME: &str = ".s3-deploy/manifest.json";
/// The format that this version writes; one with a higher number is left alone.
const FORMAT: u32 = 1;

/// The state of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format that it was read in.
    pub format: u32,
    /// The deploy that the objects are of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// The deploy that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// The objects of the site, by name.
    pub objects: Entries,
    /// Objects that are no longer part of the site and still there, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retired: BTreeMap<String, Retired>,
    /// Keys that were changed, or were about to be, and of which the caches have not been told.
    #[serde(default, skip_serializing_if = "Stale::is_nothing")]
    pub stale: Stale,
    /// The releases that can be put back, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<Release>,
    /// The copies of entry points, each with the newest release that has it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub copies: BTreeMap<String, String>,
}

/// What caches may still hold although it changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stale {
    /// Nothing.
    #[default]
    Nothing,
    /// These keys.
    Keys(BTreeSet<String>),
    /// Too many to name: take it for everything.
    Everything,
}

impl Stale {
    /// More keys are told to caches as a whole directory anyway.
    const MOST: usize = 500;

    fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }

    /// With these keys too.
    #[must_use]
    pub fn with(self, keys: &[String]) -> Self {
        let mut all = match self {
            Self::Everything => return Self::Everything,
            Self::Nothing => BTreeSet::new(),
            Self::Keys(keys) => keys,
        };
        all.extend(keys.iter().cloned());
        match all.len() {
            0 => Self::Nothing,
            count if count > Self::MOST => Self::Everything,
            _ => Self::Keys(all),
        }
    }
}

/// One deploy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its name: the build number and the second at which it began.
    pub id: String,
    /// The build number.
    pub build: u64,
    /// The commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// When it ended, in seconds since 1970.
    pub finished: u64,
}

/// The right to change the site, until it is given back or ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The build that has it.
    pub build: u64,
    /// Tells this run from all others.
    pub run: String,
    /// When it ends by itself, in seconds since 1970.
    pub ends: u64,
}

/// One object as the pipe wrote or checked it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// In bytes, as stored.
    pub size: u64,
    /// The ETag that the listing has to show.
    pub etag: String,
    /// What the content was made of, see `objects::content_id`.
    pub content: String,
    /// The digest of the wished headers.
    pub headers: String,
    /// When it is uploaded.
    #[serde(default, skip_serializing_if = "is_ordinary")]
    pub phase: Phase,
}

/// An object that an earlier release had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// How many releases there have been since, this one included.
    pub releases: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_ordinary(phase: &Phase) -> bool {
    *phase == Phase::Ordinary
}

impl Manifest {
    /// What an earlier run wrote, if this version knows its format.
    ///
    /// # Errors
    /// A clause that says why it cannot be used.
    pub fn checked(self) -> Result<Self, String> {
        if self.format > FORMAT {
            return Err(format!(
                "it has format {}, and this version knows {FORMAT}",
                self.format
            ));
        }
        Ok(self)
    }

    /// What to write.
    ///
    /// # Errors
    /// Never for what this type can hold; the error of the library.
    pub fn pieces(&self) -> Result<Pieces, serde_json::Error> {
        let frame = Self {
            format: FORMAT,
            objects: Entries::default(),
            ..self.clone()
        };
        Pieces::new(&frame, &self.objects)
    }

    /// The entry of an object, if the listing shows that it is still the one that was written.
    pub fn entry(&self, name: &str, size: u64, etag: &str) -> Option<Entry> {
        self.objects
            .get(name)
            .filter(|entry| entry.size == size && entry.etag == etag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            size: 1,
            etag: "e".to_owned(),
            content: "c".to_owned(),
            headers: "h".to_owned(),
            phase: Phase::EntryPoint,
        }
    }

    fn read(bytes: &[u8]) -> Result<Manifest, String> {
        serde_json::from_slice::<Manifest>(bytes)
            .map_err(|error| error.to_string())?
            .checked()
    }

    fn written(manifest: &Manifest) -> Vec<u8> {
        manifest
            .pieces()
            .unwrap()
            .flat_map(Result::unwrap)
            .collect()
    }

    #[test]
    fn what_is_written_can_be_read() {
        let manifest = Manifest {
            format: FORMAT,
            release: Some(Release {
                id: "7-1".to_owned(),
                build: 7,
                commit: None,
                finished: 1,
            }),
            lease: Some(Lease {
                build: 8,
                run: "x".to_owned(),
                ends: 2,
            }),
            objects: Entries::from([("a".to_owned(), entry())]),
            retired: BTreeMap::from([(
                "b".to_owned(),
                Retired {
                    since: 1,
                    releases: 2,
                },
            )]),
            ..Manifest::default()
        };
        assert_eq!(read(&written(&manifest)).unwrap(), manifest);
    }

    #[test]
    fn an_entry_holds_while_the_listing_agrees() {
        let manifest = Manifest {
            objects: Entries::from([("a".to_owned(), entry())]),
            ..Manifest::default()
        };
        assert!(manifest.entry("a", 1, "e").is_some());
        assert!(manifest.entry("a", 2, "e").is_none());
        assert!(manifest.entry("a", 1, "f").is_none());
        assert!(manifest.entry("b", 1, "e").is_none());
    }

    #[test]
    fn stale_keys_add_up_until_they_are_everything() {
        let keys =
            |from: usize, to: usize| (from..to).map(|key| key.to_string()).collect::<Vec<_>>();
        assert_eq!(Stale::Nothing.with(&[]), Stale::Nothing);
        let some = Stale::Nothing.with(&keys(0, 300)).with(&keys(200, 500));
        assert_eq!(some, Stale::Keys(keys(0, 500).into_iter().collect()));
        assert_eq!(some.with(&keys(500, 501)), Stale::Everything);
        assert_eq!(Stale::Everything.with(&[]), Stale::Everything);
    }

    #[test]
    fn a_newer_one_is_refused() {
        assert_eq!(
            read(br#"{"format":2,"objects":{}}"#).unwrap_err(),
            "it has format 2, and this version knows 1"
        );
    }

    #[test]
    fn the_format_stays_as_it_is() {
        let manifest = Manifest {
            objects: Entries::from([("a/ä\"b".to_owned(), entry())]),
            stale: Stale::Everything,
            ..Manifest::default()
        };
        let text = r#"{"format":1,"objects":{"a/ä\"b":{"size":1,"etag":"e","content":"c","headers":"h","phase":"entry-point"}},"stale":"everything"}"#;
        assert_eq!(String::from_utf8(written(&manifest)).unwrap(), text);
    }
}
