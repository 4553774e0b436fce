//! In: the body of a request, plain or aws-chunked. Out: its content, and its MD5. Frames are hashed and copied while
//! they are still in the processor's cache.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use md5::{Digest, Md5};

use crate::memory::Content;
use crate::reply::Fault;
use crate::text::base64_md5;

/// A body that was read to its end.
pub struct Received {
    pub content: Vec<Bytes>,
    pub md5: Option<[u8; 16]>,
}

impl Received {
    pub fn size(&self) -> usize {
        self.content.iter().map(Bytes::len).sum()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content.concat()).into_owned()
    }

    /// The digest that ETags are made of. Without hashing it is the client's own, for clients that compare it with
    /// the ETag, and else the number given.
    pub fn digest(&self, headers: &HeaderMap, number: u64) -> [u8; 16] {
        let sent = || base64_md5(headers.get("content-md5")?.to_str().ok()?);
        self.md5
            .or_else(sent)
            .unwrap_or_else(|| u128::from(number).to_be_bytes())
    }
}

pub async fn receive(
    mut body: Incoming,
    headers: &HeaderMap,
    hash: bool,
) -> Result<Received, Fault> {
    let announced = number_in(headers, "x-amz-decoded-content-length").or(body.size_hint().exact());
    let mut content = Content::new(announced);
    let mut chunks = is_chunked(headers).then(Chunks::default);
    let mut md5 = hash.then(Md5::new);
    let mut write = |data: &[u8]| {
        if let Some(md5) = &mut md5 {
            md5.update(data);
        }
        content.append(data);
    };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Fault::bad_request(&error.to_string()))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        match &mut chunks {
            Some(chunks) => chunks.decode(data, &mut write)?,
            None => write(data),
        }
    }
    if chunks.is_some_and(|chunks| !chunks.is_complete()) {
        return Err(Fault::bad_request("the last chunk is missing"));
    }
    Ok(Received {
        content: content.finish(),
        md5: md5.map(|md5| md5.finalize().into()),
    })
}

fn number_in(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

fn is_chunked(headers: &HeaderMap) -> bool {
    let sha256 = headers
        .get("x-amz-content-sha256")
        .and_then(|value| value.to_str().ok());
    sha256.is_some_and(|value| value.starts_with("STREAMING-"))
}

/// Where the decoder of an aws-chunked body stands: `size[;chunk-signature=…]`, data, an empty line's end, and after
/// the chunk of size 0 the trailers, which are not checked.
#[derive(Default)]
enum Chunks {
    #[default]
    Start,
    Size(String),
    Data(usize),
    DataEnd,
    Trailers,
}

impl Chunks {
    fn is_complete(&self) -> bool {
        matches!(self, Self::Trailers)
    }

    fn decode(&mut self, mut input: &[u8], mut write: impl FnMut(&[u8])) -> Result<(), Fault> {
        while let Some(&first) = input.first() {
            match self {
                Self::Start => *self = Self::Size(String::new()),
                Self::Size(line) if first == b'\n' => {
                    let digits = line.split(';').next().unwrap_or_default().trim();
                    let size = usize::from_str_radix(digits, 16)
                        .map_err(|_| Fault::bad_request("chunk size"))?;
                    *self = if size == 0 {
                        Self::Trailers
                    } else {
                        Self::Data(size)
                    };
                    input = &input[1..];
                }
                Self::Size(line) => {
                    line.push(char::from(first));
                    input = &input[1..];
                }
                Self::Data(missing) => {
                    let (data, rest) = input.split_at(input.len().min(*missing));
                    write(data);
                    *missing -= data.len();
                    input = rest;
                    if *missing == 0 {
                        *self = Self::DataEnd;
                    }
                }
                Self::DataEnd => {
                    if first == b'\n' {
                        *self = Self::Start;
                    }
                    input = &input[1..];
                }
                Self::Trailers => return Ok(()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Chunks;

    /// Whatever the frames' bounds are, and with signatures and trailers around the data.
    #[test]
    fn chunks_are_decoded_in_pieces_of_any_size() {
        let body = b"5;chunk-signature=ab\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        for size in 1..=body.len() {
            let (mut chunks, mut content) = (Chunks::default(), Vec::new());
            for frame in body.chunks(size) {
                assert!(
                    chunks
                        .decode(frame, |data| content.extend_from_slice(data))
                        .is_ok()
                );
            }
            assert_eq!(content, b"hello world", "frames of {size}");
            assert!(chunks.is_complete());
        }
    }

    #[test]
    fn a_body_that_ends_early_is_not_complete() {
        let mut chunks = Chunks::default();
        assert!(chunks.decode(b"5\r\nhel", |_| {}).is_ok());
        assert!(!chunks.is_complete());
    }
}
