//! ZIP_FILE as what Lambda is sent: an archive that something else made, checked, or a directory, packed so that the same
//! tree gives the same bytes on any machine. Its SHA-256 is what tells a deploy that there is nothing to do.

mod archive;
mod contents;
mod deflate;
mod elf;
mod given;
mod ignored;
mod pack;
#[cfg(feature = "properties")]
pub mod properties;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::io::Read;
use std::path::Path;

use aws_smithy_types::base64;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use shared::Failure;

pub use self::contents::{Architecture, Target};
pub use self::tree::Links;

use self::contents::{Item, ItemKind};
use self::tree::{Kind, Tree};

/// What UpdateFunctionCode's whole request may have, in bytes, the archive in base64 among them: 50 MiB of archive alone
/// would be the 69,905,067 that AWS's own error names. The rest is room for the other members.
const ROOM_OF_REQUEST: u64 = 4 << 10;

/// A variable and the path that it gives, as messages show them.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Such as `ZIP_FILE`.
    pub variable: &'a str,
    /// Of a file or a directory.
    pub path: &'a Path,
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} `{}`", self.variable, self.path.display())
    }
}

/// How large a package may be, in bytes.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of an archive that is sent with the request itself.
    pub direct: u64,
    /// Of all files together, unpacked.
    pub unzipped: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            direct: 50 << 20,
            unzipped: 250 << 20,
        }
    }
}

/// Why there is no package.
#[derive(Debug)]
pub enum Unusable {
    /// It is larger unpacked than the limits allow; an account may have others.
    TooLarge(Failure),
    /// Whatever else.
    Refused(Failure),
}

impl From<Failure> for Unusable {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

impl From<Unusable> for Failure {
    fn from(unusable: Unusable) -> Self {
        let (Unusable::TooLarge(failure) | Unusable::Refused(failure)) = unusable;
        failure
    }
}

/// An archive and what is in it. A clone shares both.
#[derive(Clone, Debug)]
pub struct Package {
    bytes: Bytes,
    sha256: [u8; 32],
    items: std::sync::Arc<[Item]>,
    unzipped: u64,
}

impl Package {
    /// Reads the archive, or packs the directory, at `origin`. It blocks, for seconds if there is much to pack.
    ///
    /// # Errors
    /// When there is nothing at `origin`, when it cannot be deployed, or is larger unpacked than `limits` allow.
    pub fn open(origin: Origin<'_>, links: Links, limits: Limits) -> Result<Self, Unusable> {
        let metadata = std::fs::metadata(origin.path).map_err(|error| {
            unreadable(origin, &error)
                .hint("it has to be made earlier in this step, or come as an artifact of another")
        })?;
        if metadata.is_dir() {
            Self::pack(origin, links, limits)
        } else if metadata.is_file() {
            Self::read(origin, metadata.len(), limits)
        } else {
            let failure = Failure::new(format!("{origin} is neither a file nor a directory"));
            Err(failure.into())
        }
    }

    fn pack(origin: Origin<'_>, links: Links, limits: Limits) -> Result<Self, Unusable> {
        let tree = Tree::new(origin, links)?;
        let unzipped = tree.size();
        check_unzipped(origin, unzipped, limits, tree.largest())?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let packed = pack::pack(&tree, cores)?;
        let items = tree.entries.into_iter().zip(packed.machines);
        let items = items.map(|(entry, machine)| {
            let (kind, size, executable) = match entry.kind {
                Kind::File(found) => (ItemKind::File, found.size, found.executable),
                Kind::Link(_) => (ItemKind::Link, 0, true),
                Kind::Directory => (ItemKind::Directory, 0, true),
            };
            Item {
                name: entry.name,
                kind,
                size,
                executable,
                readable: true,
                machine,
            }
        });
        Ok(Self {
            bytes: packed.archive.bytes.into(),
            sha256: packed.archive.sha256,
            items: items.collect(),
            unzipped,
        })
    }

    fn read(origin: Origin<'_>, size: u64, limits: Limits) -> Result<Self, Unusable> {
        // Packing adds less than this to what is packed, so it need not be read to be refused.
        if size / 2 > limits.unzipped {
            let failure = Failure::new(format!(
                "{origin} has {}, and Lambda takes {} unpacked",
                megabytes(size),
                megabytes(limits.unzipped)
            ));
            return Err(Unusable::TooLarge(failure.hint(SMALLER)));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
        std::fs::File::open(origin.path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(|error| unreadable(origin, &error))?;
        Self::of_archive(bytes, origin, limits)
    }

    fn of_archive(bytes: Vec<u8>, origin: Origin<'_>, limits: Limits) -> Result<Self, Unusable> {
        let items = given::read(&bytes, origin)?;
        // The archive may claim any size, and the sum of two can be too large for a number.
        let sizes = items.iter().map(|item| item.size);
        let unzipped = sizes.fold(0, u64::saturating_add);
        let largest = items.iter().max_by_key(|item| item.size);
        let largest = largest.map(|item| (item.name.as_str(), item.size));
        check_unzipped(origin, unzipped, limits, largest)?;
        Ok(Self {
            sha256: Sha256::digest(&bytes).into(),
            bytes: bytes.into(),
            items: items.into(),
            unzipped,
        })
    }

    /// The archive.
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// The length of the archive, in bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// What all files take unpacked, in bytes.
    pub const fn unzipped(&self) -> u64 {
        self.unzipped
    }

    /// How many files are in it.
    pub fn files(&self) -> usize {
        let is_file = |item: &&Item| item.kind != ItemKind::Directory;
        self.items.iter().filter(is_file).count()
    }

    /// The SHA-256 of the archive in base64: what Lambda calls CodeSha256.
    pub fn code_sha256(&self) -> String {
        base64::encode(self.sha256)
    }

    /// The SHA-256 of the archive in hexadecimal digits, for the key of an object.
    pub fn hex_sha256(&self) -> String {
        use std::fmt::Write as _;
        self.sha256.iter().fold(String::new(), |mut text, byte| {
            // A text takes whatever is written to it.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Whether it can be sent with UpdateFunctionCode itself; if not, it has to be an object in S3 first.
    pub fn is_direct(&self, limits: Limits) -> bool {
        self.size() + ROOM_OF_REQUEST <= limits.direct
    }

    /// Whether the function can start with what is in it. Gives what looks wrong and may yet be right.
    ///
    /// # Errors
    /// When the file of the handler is missing, or all native binaries are for another processor.
    pub fn check(&self, target: &Target<'_>) -> Result<Vec<String>, Failure> {
        contents::check(&self.items, target)
    }
}

/// What to do about a package that is too large.
const SMALLER: &str = "leave out what the function does not need, by `.lambdaignore` if it is a directory, or make it a \
                       container image (IMAGE_URI)";

fn unreadable(origin: Origin<'_>, error: &std::io::Error) -> Failure {
    Failure::new(format!("could not read {origin}: {}", plain(error)))
}

fn check_unzipped(
    origin: Origin<'_>,
    unzipped: u64,
    limits: Limits,
    largest: Option<(&str, u64)>,
) -> Result<(), Unusable> {
    let most = limits.unzipped.min(archive::LARGEST);
    if unzipped <= most {
        return Ok(());
    }
    let mut failure = Failure::new(format!(
        "{origin} has {} unpacked, and Lambda takes {}",
        megabytes(unzipped),
        megabytes(most)
    ));
    if let Some((name, size)) = largest {
        failure = failure.fact(format!("the largest file is `{name}`, {}", megabytes(size)));
    }
    Err(Unusable::TooLarge(failure.hint(SMALLER)))
}

/// Bytes as the documents of AWS count them.
fn megabytes(bytes: u64) -> String {
    if bytes < 1 << 20 {
        format!("{} KB", bytes.div_ceil(1 << 10))
    } else {
        format!("{} MB", bytes.div_ceil(1 << 20))
    }
}

/// The error in words, without the number of the system's own list.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or(&text)
        .to_lowercase()
}
