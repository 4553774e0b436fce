//! JSON that holds the entries of many objects, made and read in pieces: as one text it would be most of the memory.

use std::io::{self, BufReader, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::ser::Error as _;
use tokio::sync::mpsc;

use crate::entries::Entries;

/// A piece is at least so long, in bytes, unless it is the last.
const PIECE: usize = 64 << 10;
/// How the entries of nothing look.
const EMPTY: &str = r#""objects":{}"#;

/// A JSON text, piece after piece.
#[derive(Clone)]
pub struct Pieces {
    /// What stands before the entries, until it is given.
    head: Option<String>,
    /// What stands behind them, until it is given.
    tail: Option<String>,
    objects: Entries,
    /// So many of them are given.
    given: usize,
}

impl Pieces {
    /// The text of `frame`, which has `objects` without an entry, with these `objects` instead.
    ///
    /// # Errors
    /// When `frame` cannot be JSON, or has no place for objects.
    pub fn new(frame: &impl Serialize, objects: &Entries) -> serde_json::Result<Self> {
        let frame = serde_json::to_string(frame)?;
        // In a text within it the quotes would have a backslash each.
        let (head, tail) = frame
            .split_once(EMPTY)
            .ok_or_else(|| serde_json::Error::custom("it has no place for objects"))?;
        let head = [head, &EMPTY[..EMPTY.len() - 1]].concat();
        Ok(Self {
            head: Some(head),
            tail: Some(["}", tail].concat()),
            objects: objects.clone(),
            given: 0,
        })
    }

    fn piece(&mut self) -> serde_json::Result<Option<Vec<u8>>> {
        let Some(tail) = self.tail.take() else {
            return Ok(None);
        };
        // With room for a last entry, which has a name of up to 1,024 bytes.
        let mut piece = Vec::with_capacity(PIECE + 4096);
        piece.extend(self.head.take().unwrap_or_default().into_bytes());
        for (name, entry) in self.objects.starting_at(self.given) {
            if piece.len() >= PIECE {
                self.tail = Some(tail);
                return Ok(Some(piece));
            }
            if self.given > 0 {
                piece.push(b',');
            }
            serde_json::to_writer(&mut piece, &name)?;
            piece.push(b':');
            serde_json::to_writer(&mut piece, &entry)?;
            self.given += 1;
        }
        piece.extend(tail.into_bytes());
        Ok(Some(piece))
    }
}

impl Iterator for Pieces {
    type Item = serde_json::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.piece().transpose()
    }
}

/// The same as the body of a request.
pub struct Streamed {
    pieces: Pieces,
    left: u64,
}

impl Streamed {
    /// These pieces, which are so long together.
    pub const fn new(pieces: Pieces, length: u64) -> Self {
        Self {
            pieces,
            left: length,
        }
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = serde_json::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<serde_json::Result<Frame<Bytes>>>> {
        let piece = self.pieces.next().map(|piece| {
            let piece = Bytes::from(piece?);
            self.left = self.left.saturating_sub(piece.len() as u64);
            Ok(Frame::data(piece))
        });
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Why a JSON text could not be read.
pub enum Unreadable {
    /// It did not come to its end.
    Broken(io::Error),
    /// It is another text.
    Foreign(serde_json::Error),
}

/// Where the pieces of a text go as they arrive, for [`read`] on a thread of its own.
pub fn channel() -> (mpsc::Sender<io::Result<Bytes>>, Arriving) {
    let (sender, pieces) = mpsc::channel(8);
    let arriving = Arriving {
        pieces,
        piece: Bytes::new(),
    };
    (sender, arriving)
}

/// Reads a JSON text as it arrives; it blocks.
///
/// # Errors
/// When it cannot be read.
pub fn read<T: DeserializeOwned>(arriving: Arriving) -> Result<T, Unreadable> {
    serde_json::from_reader(BufReader::new(arriving)).map_err(|error| {
        if error.is_io() {
            Unreadable::Broken(error.into())
        } else {
            Unreadable::Foreign(error)
        }
    })
}

/// A text as it arrives.
pub struct Arriving {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Entry, Manifest, Release};
    use crate::phase::Phase;

    fn manifest(count: usize) -> Manifest {
        let entry = |number: usize| Entry {
            size: number as u64,
            etag: "5d41402abc4b2a76b9719d911017c592".to_owned(),
            content: "c".to_owned(),
            headers: "h".to_owned(),
            phase: Phase::Ordinary,
        };
        Manifest {
            // As if it were the place of the objects.
            release: Some(Release {
                commit: Some(EMPTY.to_owned()),
                ..Release::default()
            }),
            objects: (0..count)
                .map(|number| (format!("assets/{number:05}.png"), entry(number)))
                .collect(),
            ..Manifest::default()
        }
    }

    #[test]
    fn a_text_without_a_place_for_objects_is_refused() {
        let error = Pieces::new(&Release::default(), &Entries::default()).err();
        assert_eq!(error.unwrap().to_string(), "it has no place for objects");
    }

    #[test]
    fn the_pieces_are_the_text() {
        for count in [0, 1, 5000] {
            let manifest = manifest(count);
            let pieces = Pieces::new(
                &Manifest {
                    objects: Entries::default(),
                    ..manifest.clone()
                },
                &manifest.objects,
            );
            let pieces: Vec<Vec<u8>> = pieces.unwrap().map(Result::unwrap).collect();
            assert_eq!(pieces.len() > 1, count > 1000);
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE + 4096));
            assert_eq!(pieces.concat(), serde_json::to_vec(&manifest).unwrap());
        }
    }

    #[test]
    fn a_text_is_read_as_it_arrives_or_the_reason_is_known() {
        let manifest = manifest(3);
        let text = serde_json::to_vec(&manifest).unwrap();
        let read = |pieces: Vec<io::Result<Bytes>>| {
            let (sender, arriving) = channel();
            for piece in pieces {
                sender.blocking_send(piece).unwrap();
            }
            drop(sender);
            super::read::<Manifest>(arriving)
        };
        let half = || Bytes::copy_from_slice(&text[..99]);
        let rest = Bytes::copy_from_slice(&text[99..]);
        let read_whole = read(vec![Ok(half()), Ok(Bytes::new()), Ok(rest)]);
        assert_eq!(read_whole.ok(), Some(manifest));
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(matches!(
            read(vec![Ok(half()), Err(reset)]),
            Err(Unreadable::Broken(_))
        ));
        assert!(matches!(
            read(vec![Ok(half())]),
            Err(Unreadable::Foreign(_))
        ));
        let page = Bytes::from_static(b"<html>");
        assert!(matches!(read(vec![Ok(page)]), Err(Unreadable::Foreign(_))));
    }
}
