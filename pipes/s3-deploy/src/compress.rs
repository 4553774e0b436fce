//! COMPRESS: which bodies a file gets in S3, and their bytes, the same on every machine so that ETags stay.
//!
//! S3 keeps one body under a key and negotiates nothing, so the first encoding of the list is what lies under the
//! plain key, with its `Content-Encoding`; each further one lies beside it, as `x.js.gz` with the type of `x.js`,
//! for an edge function that negotiates. A file `x.js.br` that the build has made is taken as it is instead of
//! compressing again. A file that has a content encoding by a variable or a rule is encoded already: leave it out.

use std::io::{self, Read as _, Write as _};

use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use shared::FromText;

use crate::content_type;

/// Below it an answer fits into one packet anyway; CloudFront compresses from 1,000 bytes on.
const SMALLEST: u64 = 1024;
/// A body is compressed in memory, and some are at the same time.
const LARGEST: u64 = 32 << 20;

/// 11 took 5 to 22 times as long as 9 and made 6 to 13 % less of two scripts and a style sheet of 70 KB to 2 MB
/// (brotli 9.1.1, 2 s instead of 0.09 s for the largest): too long for all files of a site, at each deploy. Who wants
/// 11 lets the build make `.br` files.
const BROTLI_QUALITY: i32 = 9;
/// 4 MiB, the encoder's default; every browser has to take up to 24.
const BROTLI_WINDOW: i32 = 22;
/// "Unknown", for else the header would name the system that made it. RFC 1952, section 2.3.1.
const NO_SYSTEM: u8 = 255;

/// Types that are texts, or compress like ones, besides `text/…`, `…+json` and `…+xml`.
const COMPRESSIBLE: &[&str] = &[
    "application/json",
    "application/xml",
    "application/yaml",
    "application/toml",
    "application/rtf",
    "application/wasm",
    "application/vnd.apple.mpegurl",
    "application/vnd.ms-fontobject",
    "font/ttf",
    "font/otf",
    "image/bmp",
    "image/vnd.microsoft.icon",
];

/// A way to compress that browsers undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// `gzip`, which every client takes.
    Gzip,
    /// `br`, which every browser takes over TLS.
    Brotli,
}

impl Encoding {
    /// The value of `Content-Encoding`.
    pub const fn content_encoding(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }

    /// What is added to the name of the file, dot included.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Brotli => ".br",
        }
    }
}

impl FromText for Encoding {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "gzip" => Ok(Self::Gzip),
            "br" => Ok(Self::Brotli),
            other => Err(format!("unallowed value {other} (allowed: gzip, br)")),
        }
    }
}

/// One body of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// What is added to the file's key: nothing, or the extension of the encoding.
    pub key_suffix: &'static str,
    /// How the body is encoded.
    pub encoding: Encoding,
    /// Where the body comes from.
    pub source: VariantSource,
}

/// Where the body of a [`Variant`] comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariantSource {
    /// The bytes of this file, relative to LOCAL_PATH, as they are.
    Sibling(String),
    /// [`compress`] makes it from the file.
    Compressed,
}

/// Whether compressing a file of this name and size pays.
pub fn is_compressible(relative_path: &str, size: u64) -> bool {
    (SMALLEST..=LARGEST).contains(&size) && has_compressible_type(relative_path)
}

/// The bodies of the file `relative_path`. A body without suffix, if there is one, is the first and replaces the
/// file's own under the plain key; without it the file goes up as it is. A further encoding that is there as a
/// file gives no body here: that file goes up by itself, see [`original_of_sibling`].
pub fn variants(
    relative_path: &str,
    size: u64,
    is_file: &dyn Fn(&str) -> bool,
    wanted: &[Encoding],
) -> Vec<Variant> {
    if !has_compressible_type(relative_path) {
        return Vec::new();
    }
    let mut variants = Vec::new();
    for (index, &encoding) in wanted.iter().enumerate() {
        if wanted[..index].contains(&encoding) {
            continue;
        }
        let sibling = format!("{relative_path}{}", encoding.extension());
        let source = match (is_file(&sibling), index) {
            (true, 0) => VariantSource::Sibling(sibling),
            (false, _) if is_compressible(relative_path, size) => VariantSource::Compressed,
            _ => continue,
        };
        variants.push(Variant {
            key_suffix: if index == 0 { "" } else { encoding.extension() },
            encoding,
            source,
        });
    }
    variants
}

/// The file that `relative_path` is an encoding of: its content type is what this one has to have, with the encoding
/// as `Content-Encoding`. An archive such as `data.tar.gz` is none, even beside `data.tar`: it is there to be kept
/// as it is, and browsers would unpack it.
pub fn original_of_sibling<'a>(
    relative_path: &'a str,
    is_file: &dyn Fn(&str) -> bool,
) -> Option<(&'a str, Encoding)> {
    [Encoding::Gzip, Encoding::Brotli]
        .into_iter()
        .find_map(|encoding| {
            let original = relative_path.strip_suffix(encoding.extension())?;
            (has_compressible_type(original) && is_file(original)).then_some((original, encoding))
        })
}

/// The encoded bytes.
///
/// # Errors
/// When the encoder gives up, which it has no reason to in memory; but never is an empty body uploaded instead.
pub fn compress(bytes: &[u8], encoding: Encoding) -> io::Result<Vec<u8>> {
    match encoding {
        Encoding::Gzip => gzip(bytes),
        Encoding::Brotli => brotli(bytes),
    }
}

/// The bytes that were encoded so, by the value of a `Content-Encoding`; nothing if they were not, or are too many.
pub fn decompress(bytes: &[u8], content_encoding: &str) -> Option<Vec<u8>> {
    /// Bytes of a page, decoded: more are no page but a trap.
    const MOST: u64 = 256 << 20;
    let mut decoded = Vec::new();
    let read = match content_encoding.trim() {
        "gzip" => MultiGzDecoder::new(bytes)
            .take(MOST)
            .read_to_end(&mut decoded),
        "br" => brotli::Decompressor::new(bytes, 4096)
            .take(MOST)
            .read_to_end(&mut decoded),
        _ => return None,
    };
    read.ok().map(|_| decoded)
}

/// Without time and name in its header.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .operating_system(NO_SYSTEM)
        .write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn brotli(mut bytes: &[u8]) -> io::Result<Vec<u8>> {
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        lgwin: BROTLI_WINDOW,
        size_hint: bytes.len(),
        ..Default::default()
    };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut bytes, &mut compressed, &parameters)?;
    Ok(compressed)
}

fn has_compressible_type(relative_path: &str) -> bool {
    let kind = content_type::of(relative_path);
    let kind = kind.split(';').next().unwrap_or(&kind);
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || COMPRESSIBLE.contains(&kind)
}

#[cfg(test)]
mod tests;
