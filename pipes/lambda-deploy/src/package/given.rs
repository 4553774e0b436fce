//! An archive that something else made: what Lambda would refuse, or take and then not find, is refused here
//! first. The bytes themselves stay as they are.

use std::collections::BTreeSet;

use rawzip::{CompressionMethod, ZipArchive, ZipFileHeaderRecord};
use shared::Failure;

use super::Origin;
use super::contents::{Item, ItemKind};
use super::elf;
use super::tree::wrong_name;

/// Faults of one archive that are named in one error.
const NAMED_FAULTS: usize = 10;

/// The entries of the archive.
///
/// # Errors
/// When it is none, holds no file, or naming each entry that cannot be unpacked where it belongs.
pub fn read(bytes: &[u8], origin: Origin<'_>) -> Result<Vec<Item>, Failure> {
    let not_a_zip = |why: String| {
        let why = why.to_ascii_lowercase();
        Failure::new(format!("{origin} is not a zip archive: {why}")).hint(kind_of(bytes))
    };
    let archive = ZipArchive::from_slice(bytes).map_err(|error| not_a_zip(error.to_string()))?;
    let mut items = Vec::new();
    let mut names = BTreeSet::new();
    let mut faults = Vec::new();
    for entry in archive.entries() {
        let entry = entry.map_err(|error| not_a_zip(error.to_string()))?;
        match item(&entry, &archive) {
            Ok(item) if names.insert(item.name.clone()) => items.push(item),
            Ok(item) => faults.push(format!("`{}` is in it twice", item.name)),
            Err(fault) => faults.push(fault),
        }
    }
    if items.len() + faults.len() < usize::try_from(archive.entries_hint()).unwrap_or_default() {
        return Err(not_a_zip("its directory ends too early".to_owned()));
    }
    if !faults.is_empty() {
        let failure = Failure::new(format!("{origin} cannot be deployed"));
        let failure = faults
            .into_iter()
            .take(NAMED_FAULTS)
            .fold(failure, Failure::fact);
        return Err(failure.hint("give the directory instead, and it is packed as Lambda wants it"));
    }
    if !items.iter().any(|item| item.kind != ItemKind::Directory) {
        return Err(
            Failure::new(format!("{origin} holds no file")).hint(
                "an archive that a build left empty must not replace a function; look at the lines above the pipe",
            ),
        );
    }
    items.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(items)
}

fn item(
    entry: &ZipFileHeaderRecord<'_>,
    archive: &rawzip::ZipSliceArchive<&[u8]>,
) -> Result<Item, String> {
    let raw = entry.file_path();
    let name = std::str::from_utf8(raw.as_bytes()).map_err(|_| {
        format!(
            "`{}` is a name that is not UTF-8",
            raw.as_bytes().escape_ascii()
        )
    })?;
    let fault = |why: &str| format!("`{}` {why}", name.escape_debug());
    if let Some(why) = wrong_name(name) {
        return Err(fault(why));
    }
    if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        return Err(fault("leads out of the directory that it is unpacked in"));
    }
    if name.is_empty() || name.split('/').any(|part| part == ".") || name.contains("//") {
        return Err(fault("is not a plain path"));
    }
    if entry.flags().is_encrypted() {
        return Err(fault("is encrypted, and Lambda has no password"));
    }
    let method = entry.compression_method();
    if method != CompressionMethod::STORE && method != CompressionMethod::DEFLATE {
        return Err(fault("is neither stored nor deflated"));
    }
    let mode = entry.mode().value();
    let kind = if entry.is_dir() {
        ItemKind::Directory
    } else if entry.mode().is_symlink() {
        ItemKind::Link
    } else {
        ItemKind::File
    };
    let data = archive
        .get_entry(entry.wayfinder())
        .map_err(|error| fault(&format!("cannot be found in it: {error}")))?;
    let machine = (kind == ItemKind::File)
        .then(|| start_of(data.data(), method))
        .and_then(|start| elf::machine(&start));
    Ok(Item {
        name: name.to_owned(),
        kind,
        size: entry.uncompressed_size_hint(),
        executable: mode & 0o111 != 0,
        readable: entry.mode().permissions() == 0 || mode & 0o004 != 0,
        machine,
    })
}

/// As much of the content as an ELF header takes; less when the data is damaged, which Lambda will say.
fn start_of(data: &[u8], method: CompressionMethod) -> Vec<u8> {
    let mut start = vec![0; elf::HEADER];
    if method == CompressionMethod::STORE {
        return data.iter().take(elf::HEADER).copied().collect();
    }
    let mut decoder = zlib_rs::Inflate::new(false, 15);
    // One call writes what it can: that the output is full then is what is wanted.
    if decoder
        .decompress(data, &mut start, zlib_rs::InflateFlush::NoFlush)
        .is_err()
    {
        return Vec::new();
    }
    start.truncate(usize::try_from(decoder.total_out()).unwrap_or_default());
    start
}

/// What the file is instead, when that can be seen.
fn kind_of(bytes: &[u8]) -> &'static str {
    if bytes.is_empty() {
        "the file is empty; look at the build above"
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        "it is a gzip file; Lambda takes zip only, or give the directory"
    } else if bytes.get(257..262) == Some(b"ustar") {
        "it is a tar file; Lambda takes zip only, or give the directory"
    } else if bytes.starts_with(b"version https://git-lfs") {
        "it is a Git LFS pointer; set `lfs: true` in the step's clone options"
    } else if bytes.starts_with(b"PK\x03\x04") {
        "it begins as one, so it may be cut off: was the artifact or the download complete"
    } else {
        "give a zip archive, or a directory that is packed"
    }
}
