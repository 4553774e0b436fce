//! The body of an answer on its way to the pipe: whole, in pieces with a pause before each, or broken off.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// Pieces of a slow answer.
const PIECES: usize = 4;

/// What is left of a body.
pub(super) struct Sent {
    pieces: VecDeque<Bytes>,
    /// The length that the head announces, though less may come.
    announced: usize,
    pause: Option<(Duration, Pin<Box<Sleep>>)>,
    breaks_off: bool,
}

impl Sent {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self {
            announced: bytes.len(),
            pieces: [bytes].into(),
            pause: None,
            breaks_off: false,
        }
    }

    /// In pieces that take `time` together.
    pub(super) fn slow(bytes: &Bytes, time: Duration) -> Self {
        let size = bytes.len().div_ceil(PIECES).max(1);
        let pieces = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
        let pause = time / u32::try_from(PIECES).unwrap_or(1);
        Self {
            announced: bytes.len(),
            pieces,
            pause: Some((pause, Box::pin(sleep(pause)))),
            breaks_off: false,
        }
    }

    /// The first half of it, and then the end of the connection.
    pub(super) fn half(bytes: &Bytes) -> Self {
        Self {
            announced: bytes.len(),
            pieces: [bytes.slice(..bytes.len() / 2)].into(),
            pause: None,
            breaks_off: true,
        }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if !self.pieces.is_empty()
            && let Some((pause, waiting)) = &mut self.pause
        {
            if waiting.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            *waiting = Box::pin(sleep(*pause));
        }
        Poll::Ready(match self.pieces.pop_front() {
            Some(piece) => Some(Ok(Frame::data(piece))),
            None if self.breaks_off => Some(Err(io::ErrorKind::ConnectionReset.into())),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && !self.breaks_off
    }

    fn size_hint(&self) -> SizeHint {
        if self.breaks_off {
            SizeHint::default()
        } else {
            SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
        }
    }
}

impl Sent {
    /// The length for the head.
    pub(super) const fn announced(&self) -> usize {
        self.announced
    }
}
