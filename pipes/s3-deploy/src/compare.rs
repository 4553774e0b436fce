//! Whether an object is what it should be: from the wished object, the listing's line and the manifest's entry to a
//! verdict, by the cheapest proof first. Times play no part, since a fresh checkout has new ones. Pure but for reading files.

use shared::Failure;

use crate::compress::compress;
use crate::digest::{self, Etag};
use crate::manifest::Entry;
use crate::objects::{Object, Shape, Site, content_id};

/// The sizes in which known tools upload parts, in MiB: rclone and the SDKs, aws-cli and this pipe, s3cmd, s5cmd.
const PART_SIZES: &[u64] = &[5, 8, 15, 16, 50, 64, 100, 128];
const MIB: u64 = 1 << 20;

/// An object as LIST shows it, without the prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteObject {
    /// Its key without the prefix.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// Without quotes, in lower case.
    pub etag: String,
}

/// What the comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Content and headers are as wished; what was found out on the way, for the manifest.
    Same(Entry),
    /// The content is as wished, the headers were written for another wish.
    HeadersDiffer(Entry),
    /// The content is as wished; nothing is known of the headers.
    HeadersUnknown(Entry),
    /// The object has another length.
    SizeDiffers,
    /// The object has the same length and another content.
    ContentDiffers,
    /// Its ETag says nothing of its content.
    Unknown,
}

/// Whether the verdict can be found without reading the file.
pub fn at_once(site: &Site, object: Object, remote: &RemoteObject) -> Option<Verdict> {
    let size = site.file(object).map_or(0, |file| file.size);
    let stored_as_it_is = !matches!(
        object.shape,
        Shape::Compressed(_) | Shape::CompressedBeside(_)
    );
    (stored_as_it_is && size != remote.size).then_some(Verdict::SizeDiffers)
}

/// The verdict by the content of the file; `entry` is the manifest's, if the listing confirms it.
///
/// # Errors
/// When the file cannot be read, or changes meanwhile.
pub fn by_content(
    site: &Site,
    object: Object,
    remote: &RemoteObject,
    entry: Option<&Entry>,
) -> Result<Verdict, Failure> {
    if let Some(verdict) = at_once(site, object, remote) {
        return Ok(verdict);
    }
    let (headers, phase, _) = site.wish(object);
    let headers = headers.digest();
    if let Some(entry) = entry {
        let content = content_of(site, object)?;
        return Ok(if entry.content != content {
            Verdict::ContentDiffers
        } else if entry.headers == headers {
            Verdict::Same(Entry {
                phase,
                ..entry.clone()
            })
        } else {
            Verdict::HeadersDiffer(Entry {
                phase,
                ..entry.clone()
            })
        });
    }
    let same = match remote.etag.split_once('-') {
        None => digest::from_hex(&remote.etag).map(|etag| Ok(etag_of(site, object)? == etag)),
        Some((etag, parts)) => digest::from_hex(etag)
            .zip(parts.parse().ok())
            .map(|(etag, parts)| has_parts_etag(site, object, remote.size, etag, parts)),
    };
    match same.transpose()? {
        Some(true) => Ok(Verdict::HeadersUnknown(Entry {
            size: remote.size,
            etag: remote.etag.clone(),
            content: content_of(site, object)?,
            headers,
            phase,
        })),
        // Under SSE-KMS the ETag looks like an MD5 and is none, so a difference is no proof.
        Some(false) | None => Ok(Verdict::Unknown),
    }
}

/// The manifest's name of the content that the object should have.
///
/// # Errors
/// When the file cannot be read, or changes meanwhile.
pub fn content_of(site: &Site, object: Object) -> Result<String, Failure> {
    let fingerprint = match site.file(object) {
        Some(file) => digest::fingerprint_of(file)?,
        None => digest::fingerprint(b""),
    };
    Ok(content_id(fingerprint, object.shape))
}

/// The CRC64NVME of an object's body, in base64, as HEAD shows it.
///
/// # Errors
/// When the file cannot be read, or changes meanwhile.
pub fn crc64nvme_of(site: &Site, object: Object) -> Result<String, Failure> {
    let crc = match (object.shape, site.file(object)) {
        (Shape::Compressed(_) | Shape::CompressedBeside(_), _) | (_, None) => {
            crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &body(site, object)?)
        }
        (_, Some(file)) => digest::crc64nvme_of(file)?,
    };
    Ok(digest::crc64nvme_text(crc))
}

/// The bytes of an object that is not larger than what is read whole.
///
/// # Errors
/// When the file cannot be read, or changes meanwhile.
pub fn body(site: &Site, object: Object) -> Result<Vec<u8>, Failure> {
    let Some(file) = site.file(object) else {
        return Ok(Vec::new());
    };
    let contents = digest::contents(file)?;
    Ok(match object.shape {
        Shape::Compressed(encoding) | Shape::CompressedBeside(encoding) => {
            compress(&contents, encoding).map_err(|error| {
                Failure::new(format!(
                    "could not compress `{}`: {error}",
                    file.path().display()
                ))
            })?
        }
        _ => contents,
    })
}

fn etag_of(site: &Site, object: Object) -> Result<Etag, Failure> {
    match (object.shape, site.file(object)) {
        (Shape::Compressed(_) | Shape::CompressedBeside(_) | Shape::Redirect, _) | (_, None) => {
            Ok(digest::etag(&body(site, object)?))
        }
        (_, Some(file)) => digest::etag_of(file),
    }
}

/// An upload of `count` parts of `p` bytes each but the last has `count = size / p`, rounded up.
fn has_parts_etag(
    site: &Site,
    object: Object,
    size: u64,
    etag: Etag,
    count: u64,
) -> Result<bool, Failure> {
    let Some(file) = site.file(object) else {
        return Ok(false);
    };
    let fits = |part: &u64| size.div_ceil(*part) == count;
    // Besides the known ones, the smallest whole number of MiB that fits: what tools grow their part size to.
    let grown = size.div_ceil(count.max(1)).div_ceil(MIB) * MIB;
    let mut sizes: Vec<u64> = PART_SIZES
        .iter()
        .map(|size| size * MIB)
        .chain([grown])
        .filter(fits)
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    Ok(digest::part_etags_of(file, &sizes)?.contains(&etag))
}
