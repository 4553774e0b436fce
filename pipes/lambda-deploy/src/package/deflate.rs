//! Deflate in blocks of a fixed size, so that all cores share one large file too. Each block but the first starts from the
//! bytes before it, so that cutting costs next to nothing, and all but the last end at a byte, so that the blocks one
//! after the other are one stream.
//!
//! The bytes that come out are part of what the pipe promises: the same tree has the same SHA-256. So the encoder is
//! pinned, its level too, and it starts anew with each block.

use zlib_rs::{Deflate, DeflateFlush, Status};

/// The level of `zip` and `gzip` when none is given.
const LEVEL: i32 = 6;
/// How far back deflate looks (RFC 1951, 2).
pub const WINDOW: usize = 32 << 10;
/// A power of two, in bits: [`WINDOW`].
const WINDOW_BITS: u8 = 15;

/// Where a block stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Others follow.
    Inside,
    /// It is the last one.
    Last,
}

/// Appends the deflated `block` to `out`; `before` is what stands before it in its file, as much as there is up to
/// [`WINDOW`] bytes.
pub fn append(out: &mut Vec<u8>, before: &[u8], block: &[u8], position: Position) {
    // A new one: after its `reset` an encoder may find other matches, and the bytes would depend on which thread did what.
    let mut encoder = Deflate::new(LEVEL, false, WINDOW_BITS);
    if !before.is_empty() {
        let taken = encoder.set_dictionary(before);
        debug_assert!(taken.is_ok(), "a fresh encoder takes a dictionary");
    }
    let flush = match position {
        Position::Inside => DeflateFlush::SyncFlush,
        Position::Last => DeflateFlush::Finish,
    };
    let (start, before) = (out.len(), encoder.total_in());
    let mut written = start;
    // What cannot be compressed grows by five bytes for each 32 KiB or so; the rest is room for the flush.
    let mut room = block.len() + block.len() / 1024 + 64;
    loop {
        out.resize(written + room, 0);
        let read = length(encoder.total_in() - before);
        let status = encoder.compress(&block[read..], &mut out[written..], flush);
        written = start + length(encoder.total_out());
        let is_full = written == out.len();
        out.truncate(written);
        match status {
            Ok(Status::StreamEnd) => return,
            Ok(Status::Ok | Status::BufError) if !is_full => return,
            _ => room *= 2,
        }
    }
}

/// A number of bytes that are in memory.
fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that repeat, but not soon, so that matches reach far back.
    fn sample(size: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let words: Vec<Vec<u8>> = (0..999).map(|_| (0..7).map(|_| next()).collect()).collect();
        let mut bytes = Vec::with_capacity(size + 7);
        while bytes.len() < size {
            let index = usize::from(next()) * 256 + usize::from(next());
            bytes.extend_from_slice(&words[index % words.len()]);
        }
        bytes.truncate(size);
        bytes
    }

    fn inflated(packed: &[u8], size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        let status = zlib_rs::Inflate::new(false, WINDOW_BITS).decompress(
            packed,
            &mut bytes,
            zlib_rs::InflateFlush::Finish,
        );
        assert_eq!(status, Ok(Status::StreamEnd));
        bytes
    }

    #[test]
    fn blocks_one_after_the_other_are_one_stream() {
        let bytes = sample(300_000);
        for size in [1, 1000, 32_768, 100_000, 299_999, 300_000] {
            let mut packed = Vec::new();
            let mut start = 0;
            while start < bytes.len() {
                // Blocks of one byte for the last hundred only.
                let end = if size == 1 && start == 0 {
                    bytes.len() - 100
                } else {
                    (start + size).min(bytes.len())
                };
                let position = if end == bytes.len() {
                    Position::Last
                } else {
                    Position::Inside
                };
                append(
                    &mut packed,
                    &bytes[start.saturating_sub(WINDOW)..start],
                    &bytes[start..end],
                    position,
                );
                start = end;
            }
            assert_eq!(inflated(&packed, bytes.len()), bytes, "{size}");
        }
    }

    #[test]
    fn cutting_costs_next_to_nothing() {
        let bytes = sample(1 << 20);
        let mut whole = Vec::new();
        append(&mut whole, &[], &bytes, Position::Last);
        let mut cut = Vec::new();
        append(&mut cut, &[], &bytes[..1 << 19], Position::Inside);
        append(
            &mut cut,
            &bytes[(1 << 19) - WINDOW..1 << 19],
            &bytes[1 << 19..],
            Position::Last,
        );
        assert!(
            cut.len() < whole.len() + whole.len() / 1000,
            "{} and {}",
            cut.len(),
            whole.len()
        );
    }

    #[test]
    fn what_cannot_be_compressed_fits_too() {
        let mut state = 7_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[3]
        };
        let noise: Vec<u8> = (0..200_000).map(|_| next()).collect();
        for position in [Position::Inside, Position::Last] {
            let mut packed = b"before".to_vec();
            append(&mut packed, &[], &noise, position);
            assert!(packed.starts_with(b"before") && packed.len() < noise.len() + 1000);
        }
    }

    /// The bytes are a promise: when a new version of the encoder makes others, every function is deployed once more,
    /// and the list of changes has to say so.
    #[test]
    fn the_encoder_makes_the_bytes_that_it_made_before() {
        let bytes = sample(1 << 20);
        let mut packed = Vec::new();
        append(&mut packed, &[], &bytes[..1 << 19], Position::Inside);
        append(
            &mut packed,
            &bytes[(1 << 19) - WINDOW..1 << 19],
            &bytes[1 << 19..],
            Position::Last,
        );
        assert_eq!(
            (packed.len(), crc32fast::hash(&packed)),
            (301_836, 1_501_081_722)
        );
    }
}
