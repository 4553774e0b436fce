//! In: objects, uploads and settings. Out: the shared state of the sink. One mutex guards all objects: it is held for
//! about a microsecond per request, or a page of a listing, and never while a body is read or hashed.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use md5::{Digest, Md5};

use crate::operation::Operation;

pub type Headers = Vec<(HeaderName, HeaderValue)>;
pub type Bucket = BTreeMap<String, Arc<Object>>;

/// A stored object; that of a multipart upload keeps its parts as they came.
pub struct Object {
    pub chunks: Vec<Bytes>,
    pub etag: String,
    pub headers: Headers,
    pub modified: u64,
    md5: OnceLock<[u8; 16]>,
}

impl Object {
    pub fn new(chunks: Vec<Bytes>, etag: String, md5: Option<[u8; 16]>, headers: Headers) -> Self {
        let known = OnceLock::new();
        if let Some(md5) = md5 {
            let _ = known.set(md5);
        }
        Self {
            chunks,
            etag,
            headers,
            modified: now(),
            md5: known,
        }
    }

    pub fn size(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// The MD5 of the whole content, computed when it is first asked for unless the upload gave it.
    pub fn md5(&self) -> [u8; 16] {
        *self.md5.get_or_init(|| {
            let mut hash = Md5::new();
            self.chunks.iter().for_each(|chunk| hash.update(chunk));
            hash.finalize().into()
        })
    }

    /// One body; only an object of several parts has to be copied together.
    pub fn content(&self) -> Bytes {
        match self.chunks.as_slice() {
            [] => Bytes::new(),
            [only] => only.clone(),
            several => several.concat().into(),
        }
    }

    pub fn with_headers(&self, headers: Headers) -> Self {
        Self {
            chunks: self.chunks.clone(),
            etag: self.etag.clone(),
            headers,
            modified: now(),
            md5: self.md5.clone(),
        }
    }
}

pub struct Upload {
    pub bucket: String,
    pub key: String,
    pub headers: Headers,
    pub parts: BTreeMap<u32, Part>,
}

#[derive(Clone)]
pub struct Part {
    pub content: Vec<Bytes>,
    pub md5: [u8; 16],
}

#[derive(Default)]
pub struct State {
    pub buckets: BTreeMap<String, Bucket>,
    pub saved: BTreeMap<String, BTreeMap<String, Bucket>>,
    pub uploads: BTreeMap<String, Upload>,
    pub requests: BTreeMap<Operation, u64>,
}

pub struct Sink {
    state: Mutex<State>,
    pub delay_milliseconds: AtomicU64,
    pub hashes: AtomicBool,
    /// Whether the bodies of parts are kept; a file larger than the memory is counted and thrown away.
    pub keeps_parts: AtomicBool,
    pub connections: AtomicU64,
    pub bytes: AtomicU64,
    pub in_flight: AtomicU64,
    pub most_in_flight: AtomicU64,
    numbers: AtomicU64,
}

impl Sink {
    pub fn new() -> Self {
        Self {
            state: Mutex::default(),
            delay_milliseconds: AtomicU64::new(0),
            hashes: AtomicBool::new(true),
            keeps_parts: AtomicBool::new(true),
            connections: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            most_in_flight: AtomicU64::new(0),
            numbers: AtomicU64::new(1),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no one else gets: upload ids, and digests while hashing is off.
    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Relaxed)
    }
}

pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
