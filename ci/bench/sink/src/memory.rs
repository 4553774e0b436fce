//! In: content in pieces. Out: the same in buffers for keeping. Large bodies lie in segments of 1 MiB that are used
//! again: fresh memory from the kernel would cost more than receiving what is written into it.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

const SEGMENT: usize = 1 << 20;

static FREE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Makes sure of so many segments, with memory behind them.
pub fn reserve(number: usize) {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    while free.len() < number {
        let mut segment = vec![1; SEGMENT];
        segment.clear();
        free.push(segment);
    }
}

fn take() -> Vec<u8> {
    let segment = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    segment.unwrap_or_else(|| Vec::with_capacity(SEGMENT))
}

/// A segment in use, which comes back when the last object with it is gone.
struct Segment(Vec<u8>);

impl AsRef<[u8]> for Segment {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let mut segment = std::mem::take(&mut self.0);
        segment.clear();
        FREE.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(segment);
    }
}

/// Content that grows.
pub enum Content {
    Small(Vec<u8>),
    Large(Vec<Bytes>, Vec<u8>),
}

impl Content {
    /// One whose length nobody announced is taken for large.
    pub fn new(announced: Option<u64>) -> Self {
        match announced.and_then(|length| usize::try_from(length).ok()) {
            Some(length) if length < SEGMENT => Self::Small(Vec::with_capacity(length)),
            _ => Self::Large(Vec::new(), take()),
        }
    }

    pub fn append(&mut self, mut data: &[u8]) {
        match self {
            Self::Small(content) => content.extend_from_slice(data),
            Self::Large(full, segment) => {
                while !data.is_empty() {
                    if segment.len() == SEGMENT {
                        full.push(Bytes::from_owner(Segment(std::mem::replace(
                            segment,
                            take(),
                        ))));
                    }
                    let (now, later) = data.split_at(data.len().min(SEGMENT - segment.len()));
                    segment.extend_from_slice(now);
                    data = later;
                }
            }
        }
    }

    pub fn finish(self) -> Vec<Bytes> {
        match self {
            Self::Small(content) => vec![content.into()],
            Self::Large(mut full, segment) => {
                full.push(Bytes::from_owner(Segment(segment)));
                full
            }
        }
    }
}
