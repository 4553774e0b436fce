//! What tells contents apart: the MD5 that S3 gives as the ETag of an object of one part, and BLAKE3 for the manifest,
//! which is several times as fast and holds for objects of any kind. Files are read in constant memory.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use shared::Failure;

use crate::tree::{LocalFile, modified, plain};

/// An MD5. <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>
pub type Etag = [u8; 16];

/// The most that is read at a time.
const LARGEST_READ: usize = 256 * 1024;

/// The first 16 bytes of a BLAKE3.
pub type Fingerprint = [u8; 16];

/// 32 hexadecimal digits. By hand, as is the reverse: a manifest has two of them for each object, and the formatting of
/// numbers takes several times as long.
pub fn hex(bytes: [u8; 16]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits =
        |byte: u8| [byte >> 4, byte & 15].map(|half| char::from(DIGITS[usize::from(half)]));
    let mut text = String::with_capacity(32);
    text.extend(bytes.into_iter().flat_map(digits));
    text
}

/// The reverse of [`hex`].
pub fn from_hex(text: &str) -> Option<[u8; 16]> {
    let digits: &[u8; 32] = text.as_bytes().try_into().ok()?;
    let half = |digit: u8| u8::try_from(char::from(digit).to_digit(16)?).ok();
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = half(pair[0])? << 4 | half(pair[1])?;
    }
    Some(bytes)
}

/// The fingerprint of bytes in memory.
pub fn fingerprint(bytes: &[u8]) -> Fingerprint {
    short(&blake3::hash(bytes))
}

/// The MD5 of bytes in memory.
pub fn etag(bytes: &[u8]) -> Etag {
    Md5::digest(bytes).into()
}

/// A BLAKE3 cut to what the manifest keeps.
pub fn short(hash: &blake3::Hash) -> Fingerprint {
    let mut short = [0; 16];
    short.copy_from_slice(&hash.as_bytes()[..16]);
    short
}

/// The fingerprint of a file.
///
/// # Errors
/// When it cannot be read, or changes meanwhile.
pub fn fingerprint_of(file: LocalFile<'_>) -> Result<Fingerprint, Failure> {
    let mut hasher = blake3::Hasher::new();
    read_through(file, |bytes| {
        hasher.update(bytes);
    })?;
    Ok(short(&hasher.finalize()))
}

/// The MD5 of a file.
///
/// # Errors
/// When it cannot be read, or changes meanwhile.
pub fn etag_of(file: LocalFile<'_>) -> Result<Etag, Failure> {
    let mut hasher = Md5::new();
    read_through(file, |bytes| hasher.update(bytes))?;
    Ok(hasher.finalize().into())
}

/// The CRC64NVME of a file.
///
/// # Errors
/// When it cannot be read, or changes meanwhile.
pub fn crc64nvme_of(file: LocalFile<'_>) -> Result<u64, Failure> {
    let mut crc = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    read_through(file, |bytes| crc.update(bytes))?;
    Ok(crc.finalize())
}

/// A CRC64NVME in base64, as S3 has it in headers.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html>
pub fn crc64nvme_text(crc: u64) -> String {
    STANDARD.encode(crc.to_be_bytes())
}

/// The CRC64NVME of bytes that have `first`, followed by `length` bytes that have `second`: made of the two alone, so that
/// what has a checksum for each part need not be read again for one of all.
pub fn crc64nvme_of_both(first: u64, second: u64, length: u64) -> u64 {
    // A CRC is the remainder of a polynomial, and bytes that follow shift it by x^8 each. The highest bit is that of x^0.
    let (mut shifted, mut step) = (first, 1 << (63 - 8));
    let mut left = length;
    while left > 0 {
        if left & 1 == 1 {
            shifted = product(shifted, step);
        }
        step = product(step, step);
        left >>= 1;
    }
    shifted ^ second
}

/// Of two remainders of CRC64NVME, modulo its polynomial. NVM Express NVM Command Set Specification, 5.2.1.3.4.
fn product(mut one: u64, mut other: u64) -> u64 {
    const POLYNOMIAL: u64 = 0x9a6c_9329_ac4b_c9b5;
    let mut product = 0;
    while one != 0 {
        if one >> 63 == 1 {
            product ^= other;
        }
        one <<= 1;
        other = (other >> 1) ^ (POLYNOMIAL * (other & 1));
    }
    product
}

/// The ETag that an upload of this file in parts of each of `sizes` would have: the MD5 of the parts' MD5s.
///
/// # Errors
/// When it cannot be read, or changes meanwhile.
pub fn part_etags_of(file: LocalFile<'_>, sizes: &[u64]) -> Result<Vec<Etag>, Failure> {
    let mut parts: Vec<_> = sizes
        .iter()
        .map(|&size| Parts {
            size,
            left: size,
            part: Md5::new(),
            all: Md5::new(),
        })
        .collect();
    read_through(file, |bytes| {
        for each in &mut parts {
            each.update(bytes);
        }
    })?;
    Ok(parts.into_iter().map(Parts::finish).collect())
}

struct Parts {
    size: u64,
    left: u64,
    part: Md5,
    all: Md5,
}

impl Parts {
    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let take = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
            let (now, later) = bytes.split_at(take);
            self.part.update(now);
            self.left -= take as u64;
            bytes = later;
            if self.left == 0 {
                self.end_part();
            }
        }
    }

    fn end_part(&mut self) {
        let part: Etag = std::mem::take(&mut self.part).finalize().into();
        self.all.update(part);
        self.left = self.size;
    }

    fn finish(mut self) -> Etag {
        if self.left < self.size {
            self.end_part();
        }
        self.all.finalize().into()
    }
}

/// The bytes of a small file.
///
/// # Errors
/// When it cannot be read, or is another one than when the directory was walked.
pub fn contents(file: LocalFile<'_>) -> Result<Vec<u8>, Failure> {
    let path = file.path();
    let mut open = File::open(&path).map_err(|error| unreadable(&path, &error))?;
    let mut contents = vec![0; room(file.size, usize::MAX)];
    let mut filled = 0;
    while filled < contents.len() {
        let length =
            read(&mut open, &mut contents[filled..]).map_err(|error| unreadable(&path, &error))?;
        filled += length;
        if length == 0 || filled as u64 == file.size {
            break;
        }
    }
    contents.truncate(filled);
    check_unchanged(file, &open, filled as u64)?;
    Ok(contents)
}

fn read_through(file: LocalFile<'_>, mut take: impl FnMut(&[u8])) -> Result<(), Failure> {
    thread_local! {
        /// Each thread has one: making it anew for each file was a twentieth of what a comparison takes.
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    let path = file.path();
    let mut open = File::open(&path).map_err(|error| unreadable(&path, &error))?;
    let mut buffer = BUFFER.take();
    let room = room(file.size, LARGEST_READ);
    if buffer.len() < room {
        buffer.resize(room, 0);
    }
    let mut done = 0;
    loop {
        let length = read(&mut open, &mut buffer).map_err(|error| unreadable(&path, &error))?;
        take(&buffer[..length]);
        done += length as u64;
        if length == 0 || (length < buffer.len() && done == file.size) {
            break;
        }
    }
    BUFFER.set(buffer);
    check_unchanged(file, &open, done)
}

/// The bytes of a file of `size` bytes and one more, `most` at the most. A read that leaves room has met the end, so that
/// no second one has to ask for it, and one that fills the room has met more than the file had.
fn room(size: u64, most: usize) -> usize {
    usize::try_from(size)
        .unwrap_or(usize::MAX)
        .saturating_add(1)
        .min(most)
}

fn read(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Fails unless `open`, of which `read` bytes were read, is still the file that was walked.
///
/// # Errors
/// The one that says that it changed.
pub fn check_unchanged(file: LocalFile<'_>, open: &File, read: u64) -> Result<(), Failure> {
    let metadata = open
        .metadata()
        .map_err(|error| unreadable(&file.path(), &error))?;
    if read == file.size && metadata.len() == file.size && modified(&metadata) == file.modified {
        return Ok(());
    }
    Err(changed(&file.path()))
}

/// The error for a file that is no longer the one that was walked.
pub fn changed(path: &Path) -> Failure {
    Failure::new(format!(
        "could not upload `{}`: it changed while it was read",
        path.display()
    ))
    .hint("something still writes to LOCAL_PATH; let the build end before the pipe starts")
}

/// The error for a file that could be read when the directory was walked and now cannot.
pub fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!(
        "could not read `{}`: {}",
        path.display(),
        plain(error)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Tree, Walk};

    /// Files of the kernel hold more than the size that they are said to have.
    #[test]
    fn a_file_that_is_longer_than_its_size_is_never_cut() {
        let walk = Walk {
            follow_links: false,
            prefix_length: 0,
            admits: &|name| name == "boot_id",
        };
        let tree = Tree::new(Path::new("/proc/sys/kernel/random"), &walk).unwrap();
        let file = tree.file(0);
        assert_eq!(file.size, 0);
        for failure in [contents(file).map(drop), fingerprint_of(file).map(drop)] {
            let text = failure.unwrap_err().to_string();
            assert!(text.contains("it changed while it was read"), "{text}");
        }
    }

    #[test]
    fn hex_goes_both_ways() {
        let md5 = etag(b"hello");
        assert_eq!(hex(md5), "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(from_hex("5d41402abc4b2a76b9719d911017c592"), Some(md5));
        for wrong in [
            "",
            "5d41402abc4b2a76b9719d911017c59",
            "+d41402abc4b2a76b9719d911017c592",
            "zz41402abc4b2a76b9719d911017c592",
        ] {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }

    /// The check value of the catalogue of CRCs, and that pieces make the same as the whole.
    #[test]
    fn the_crc_is_that_of_the_nvme_specification() {
        let whole = |pieces: &[&[u8]]| {
            let mut crc = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
            for piece in pieces {
                crc.update(piece);
            }
            crc.finalize()
        };
        assert_eq!(whole(&[b"123456789"]), 0xae8b_1486_0a79_9888);
        assert_eq!(whole(&[b"1234", b"", b"56789"]), 0xae8b_1486_0a79_9888);
        let large: Vec<u8> = (0..=250).cycle().take(20_000_000).collect();
        let (front, back) = large.split_at(8 << 20);
        assert_eq!(
            whole(&[front, back]),
            crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &large)
        );
    }

    #[test]
    fn the_crc_of_all_is_made_of_those_of_its_parts() {
        let crc = |bytes: &[u8]| crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes);
        let all: Vec<u8> = (0..=250).cycle().take(9_000_001).collect();
        for cut in [0, 1, 7, 8, 4096, 8 << 20, 9_000_000, 9_000_001] {
            let (front, back) = all.split_at(cut);
            let both = crc64nvme_of_both(crc(front), crc(back), back.len() as u64);
            assert_eq!(both, crc(&all), "cut at {cut}");
        }
        let parts = all.chunks(1 << 20).fold(0, |before, part| {
            crc64nvme_of_both(before, crc(part), part.len() as u64)
        });
        assert_eq!(parts, crc(&all));
    }

    #[test]
    fn parts_are_cut_at_their_size_however_the_bytes_arrive() {
        let whole = |chunks: &[&[u8]], size| {
            let mut parts = Parts {
                size,
                left: size,
                part: Md5::new(),
                all: Md5::new(),
            };
            for chunk in chunks {
                parts.update(chunk);
            }
            parts.finish()
        };
        // The MD5 of the MD5s of `abc`, `def` and `g`.
        let expected = etag(&[etag(b"abc"), etag(b"def"), etag(b"g")].concat());
        assert_eq!(whole(&[b"abcdefg"], 3), expected);
        assert_eq!(whole(&[b"a", b"bcde", b"fg"], 3), expected);
        assert_eq!(
            whole(&[b"abcdef"], 3),
            etag(&[etag(b"abc"), etag(b"def")].concat())
        );
    }
}
