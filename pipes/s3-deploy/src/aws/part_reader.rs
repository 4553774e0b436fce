//! In: a large file. Out: its parts in order, each with its CRC64NVME, and then the digests of all of it. Reading and
//! hashing take as long as sending, so they have a thread of their own and go on while earlier parts are under way.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use shared::Failure;

use crate::digest::{self, Fingerprint};
use crate::tree::LocalFile;

/// The size of a part; more only where 10,000 of them are not enough.
const PART: u64 = 8 << 20;
/// The most parts of an upload. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const PARTS: u64 = 10_000;

/// A part of a file, read.
pub(super) struct Part {
    /// The first is 1.
    pub(super) number: i32,
    pub(super) bytes: Vec<u8>,
    pub(super) crc64nvme: u64,
}

/// What a file turned out to hold.
pub(super) struct Whole {
    pub(super) fingerprint: Fingerprint,
    pub(super) crc64nvme: u64,
}

/// A file that is read from its start to its end, once.
#[derive(Clone)]
pub(super) struct PartReader(Arc<Mutex<State>>);

struct State {
    path: PathBuf,
    open: File,
    part_size: u64,
    /// In bytes, as when the directory was walked.
    size: u64,
    read: u64,
    number: i32,
    fingerprint: blake3::Hasher,
    crc64nvme: u64,
}

impl PartReader {
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn open(file: LocalFile<'_>) -> Result<Self, Failure> {
        let path = file.path();
        let open = File::open(&path).map_err(|error| digest::unreadable(&path, &error))?;
        Ok(Self(Arc::new(Mutex::new(State {
            path,
            open,
            part_size: PART.max(file.size.div_ceil(PARTS).next_multiple_of(1 << 20)),
            size: file.size,
            read: 0,
            number: 0,
            fingerprint: blake3::Hasher::new(),
            crc64nvme: 0,
        }))))
    }

    /// How many bytes the next part has; nothing after the last one.
    pub(super) fn next_length(&self) -> Option<u64> {
        self.with(|state| Some(state.next_length()).filter(|&length| length > 0))
    }

    /// The next part.
    ///
    /// # Errors
    /// When the file cannot be read, or has become shorter.
    pub(super) async fn next(&self) -> Result<Part, Failure> {
        let reader = self.clone();
        tokio::task::spawn_blocking(move || reader.with(State::next))
            .await
            .unwrap_or_else(|_| Err(Failure::new("could not read a file: a thread ended early")))
    }

    /// The digests of what was read, which is all of `file`.
    ///
    /// # Errors
    /// When it changed meanwhile.
    pub(super) fn finish(&self, file: LocalFile<'_>) -> Result<Whole, Failure> {
        self.with(|state| {
            digest::check_unchanged(file, &state.open, state.read)?;
            Ok(Whole {
                fingerprint: digest::short(&state.fingerprint.finalize()),
                crc64nvme: state.crc64nvme,
            })
        })
    }

    fn with<Value>(&self, act: impl FnOnce(&mut State) -> Value) -> Value {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn next_length(&self) -> u64 {
        self.part_size.min(self.size - self.read)
    }

    fn next(&mut self) -> Result<Part, Failure> {
        let length = self.next_length();
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        (&self.open)
            .take(length)
            .read_to_end(&mut bytes)
            .map_err(|error| digest::unreadable(&self.path, &error))?;
        if bytes.len() as u64 != length {
            return Err(digest::changed(&self.path));
        }
        self.fingerprint.update(&bytes);
        let crc64nvme = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &bytes);
        self.crc64nvme = digest::crc64nvme_of_both(self.crc64nvme, crc64nvme, length);
        self.read += length;
        self.number += 1;
        Ok(Part {
            number: self.number,
            bytes,
            crc64nvme,
        })
    }
}
