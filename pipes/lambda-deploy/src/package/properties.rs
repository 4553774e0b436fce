//! What has to hold for any bytes that are given as an archive, and for any that are packed.

use std::convert::Infallible;
use std::path::Path;

use super::archive::{Archive, Data, Method, Mode};
use super::{Architecture, Limits, Origin, Package, Target};

/// An archive is read or refused in words; no entry of it that is taken leads out of where it is unpacked, none is
/// there twice, and all of them are within the limits. One that is made of the same bytes is read again as it was made.
///
/// # Panics
/// When one of these does not hold.
pub fn zip(input: &[u8]) {
    let origin = Origin {
        variable: "ZIP_FILE",
        path: Path::new("code.zip"),
    };
    let limits = Limits::default();
    if let Ok(package) = Package::of_archive(input.to_vec(), origin, limits) {
        let items = &package.items;
        assert!(items.is_sorted_by(|one, other| one.name < other.name));
        for item in items.iter() {
            assert!(item.size <= limits.unzipped, "{}", item.name);
            let parts = || item.name.split('/');
            assert!(!item.name.starts_with('/') && !parts().any(|part| part == ".."));
            assert!(!item.name.contains(['\0', '\\', '\n']));
        }
        assert!(package.unzipped() <= limits.unzipped);
        for runtime in ["python3.13", "provided.al2023", "nodejs22.x", "java21"] {
            for architecture in [Architecture::X86_64, Architecture::Arm64] {
                let target = Target {
                    runtime: Some(runtime),
                    handler: Some("app.handler"),
                    architecture,
                    has_layers: false,
                };
                // Either answer is right; that there is one is what is asked.
                let _ = package.check(&target);
            }
        }
    }
    packed_again(input, origin, limits);
}

/// Pieces of `input` become files `0`, `1`, …; reading the archive gives them back.
fn packed_again(input: &[u8], origin: Origin<'_>, limits: Limits) {
    if input.is_empty() {
        return;
    }
    let pieces: Vec<&[u8]> = input.chunks(input.len().div_ceil(10)).collect();
    let mut archive = Archive::default();
    for (index, piece) in pieces.iter().enumerate() {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(piece);
        let data = Data {
            method: Method::Stored,
            crc: hasher.finalize(),
            length: piece.len() as u64,
        };
        let write = |out: &mut Vec<u8>| {
            out.extend_from_slice(piece);
            Ok::<_, Infallible>(data)
        };
        let Ok(()) = archive.add(&index.to_string(), Mode::File, write);
    }
    let bytes = archive.finish().bytes;
    let package = Package::of_archive(bytes, origin, limits).expect("what was packed can be read");
    let sizes: Vec<u64> = package.items.iter().map(|item| item.size).collect();
    let lengths: Vec<u64> = pieces.iter().map(|piece| piece.len() as u64).collect();
    assert_eq!(sizes, lengths);
}
