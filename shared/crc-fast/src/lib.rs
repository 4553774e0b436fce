//! The CRCs that S3 knows, computed by one crate each, in the interface of `crc-fast`, which the S3 SDK calls. That crate
//! has a table for each of a hundred algorithms, and a choice between them at run time: an eighth of an image of ours.
//! A version of the SDK that needs more of the interface does not compile.

use std::fmt;

/// What S3 takes: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrcAlgorithm {
    /// `x-amz-checksum-crc32c`.
    Crc32Iscsi,
    /// `x-amz-checksum-crc32`.
    Crc32IsoHdlc,
    /// `x-amz-checksum-crc64nvme`.
    Crc64Nvme,
}

/// A checksum of bytes that come in parts.
#[derive(Clone)]
pub struct Digest(State);

#[derive(Clone)]
enum State {
    Crc32Iscsi(u32),
    Crc32IsoHdlc(crc32fast::Hasher),
    Crc64Nvme(crc64fast_nvme::Digest),
}

impl Digest {
    /// Of no bytes yet.
    #[must_use]
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        Self(match algorithm {
            CrcAlgorithm::Crc32Iscsi => State::Crc32Iscsi(0),
            CrcAlgorithm::Crc32IsoHdlc => State::Crc32IsoHdlc(crc32fast::Hasher::new()),
            CrcAlgorithm::Crc64Nvme => State::Crc64Nvme(crc64fast_nvme::Digest::new()),
        })
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Crc32Iscsi(crc) => *crc = crc32c::crc32c_append(*crc, bytes),
            State::Crc32IsoHdlc(hasher) => hasher.update(bytes),
            State::Crc64Nvme(digest) => digest.write(bytes),
        }
    }

    /// The checksum of all bytes so far, those of 32 bits in the lower half.
    #[must_use]
    pub fn finalize(&self) -> u64 {
        match &self.0 {
            State::Crc32Iscsi(crc) => u64::from(*crc),
            State::Crc32IsoHdlc(hasher) => u64::from(hasher.clone().finalize()),
            State::Crc64Nvme(digest) => digest.sum64(),
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Digest({:x})", self.finalize())
    }
}

/// The checksum of bytes that are all there.
#[must_use]
pub fn checksum(algorithm: CrcAlgorithm, bytes: &[u8]) -> u64 {
    let mut digest = Digest::new(algorithm);
    digest.update(bytes);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the catalogue of CRCs, <https://reveng.sourceforge.io/crc-catalogue/>.
    #[test]
    fn the_check_values_come_out() {
        for (algorithm, check) in [
            (CrcAlgorithm::Crc32Iscsi, 0xe306_9283),
            (CrcAlgorithm::Crc32IsoHdlc, 0xcbf4_3926),
            (CrcAlgorithm::Crc64Nvme, 0xae8b_1486_0a79_9888),
        ] {
            assert_eq!(checksum(algorithm, b"123456789"), check);
            let mut digest = Digest::new(algorithm);
            for byte in b"123456789" {
                digest.update(&[*byte]);
            }
            assert_eq!(digest.finalize(), check);
            assert_eq!(checksum(algorithm, b""), 0);
        }
    }
}
