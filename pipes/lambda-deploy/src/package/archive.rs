//! The zip format, as little of it as can be: sizes before the data, no extra fields, one date, the mode of the entry.
//! Entries come in the order of their names, and the bytes that go out follow from them alone.
//! <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>, by whose sections the parts are named.

use sha2::{Digest as _, Sha256};

/// 1980-01-01 00:00:00, the first date that the format knows (4.4.6).
const DATE: u32 = 0x0021_0000;
/// Version 2.0 of the format, for deflate and directories; 4.5 where there are more entries than it can say (4.4.3).
const VERSION: u16 = 20;
const VERSION_ZIP64: u16 = 45;
/// In the upper byte of "version made by": the attributes are those of Unix (4.4.2).
const UNIX: u16 = 3 << 8;
/// The name is UTF-8 (4.4.4, bit 11).
const UTF8: u16 = 1 << 11;
/// The mode of a directory, and the bit of MS-DOS that says so.
const DIRECTORY: u32 = 0o040_755 << 16 | 0x10;

/// What an archive without the wide numbers of ZIP64 holds, far beyond what Lambda takes.
pub const LARGEST: u64 = u32::MAX as u64;

/// How the data of an entry is kept (4.4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As it is.
    Stored = 0,
    /// Deflated.
    Deflated = 8,
}

/// What is said of an entry before its data.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// A file that anyone may read; Lambda runs functions as a user who does not own them.
    File,
    /// One that anyone may execute too.
    Executable,
    /// A link; its data is what it leads to.
    Link,
    /// A directory.
    Directory,
}

impl Mode {
    const fn attributes(self) -> u32 {
        match self {
            Self::File => 0o100_644 << 16,
            Self::Executable => 0o100_755 << 16,
            Self::Link => 0o120_777 << 16,
            Self::Directory => DIRECTORY,
        }
    }
}

/// What is known of an entry's data once all of it is written.
#[derive(Clone, Copy, Debug)]
pub struct Data {
    /// How it is kept.
    pub method: Method,
    /// Its CRC-32 when unpacked.
    pub crc: u32,
    /// Its length when unpacked, in bytes.
    pub length: u64,
}

/// An archive in the making, of less than [`LARGEST`] bytes.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    entries: u64,
    sha256: Sha256,
    hashed: usize,
}

/// A finished archive.
pub struct Finished {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

impl Archive {
    /// Writes an entry whose data `write` appends.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn add<E>(
        &mut self,
        name: &str,
        mode: Mode,
        write: impl FnOnce(&mut Vec<u8>) -> Result<Data, E>,
    ) -> Result<(), E> {
        let offset = self.bytes.len();
        let header = offset..offset + LOCAL_HEADER;
        self.bytes.resize(header.end, 0);
        self.bytes.extend_from_slice(name.as_bytes());
        let start = self.bytes.len();
        let data = write(&mut self.bytes)?;
        let entry = Entry {
            name,
            mode,
            data,
            packed: (self.bytes.len() - start) as u64,
            offset: offset as u64,
        };
        self.bytes[header].copy_from_slice(&entry.local_header());
        entry.put_directory_header(&mut self.directory);
        self.entries += 1;
        // Nothing before this entry's end changes any more, and a processor's cache still holds it.
        self.sha256.update(&self.bytes[self.hashed..]);
        self.hashed = self.bytes.len();
        Ok(())
    }

    /// Writes the directory and the end.
    pub fn finish(mut self) -> Finished {
        let offset = self.bytes.len() as u64;
        let size = self.directory.len() as u64;
        self.bytes.append(&mut self.directory);
        let out = &mut self.bytes;
        if self.entries >= u64::from(u16::MAX) {
            // 4.3.14 and 4.3.15, where the number of entries has room.
            let end64 = out.len() as u64;
            put32(out, 0x0606_4b50);
            put64(out, 44);
            put16(out, UNIX | VERSION_ZIP64);
            put16(out, VERSION_ZIP64);
            put32(out, 0);
            put32(out, 0);
            put64(out, self.entries);
            put64(out, self.entries);
            put64(out, size);
            put64(out, offset);
            put32(out, 0x0706_4b50);
            put32(out, 0);
            put64(out, end64);
            put32(out, 1);
        }
        // 4.3.16
        let entries = u16::try_from(self.entries).unwrap_or(u16::MAX);
        put32(out, 0x0605_4b50);
        put32(out, 0);
        put16(out, entries);
        put16(out, entries);
        put32(out, narrow(size));
        put32(out, narrow(offset));
        put16(out, 0);
        self.sha256.update(&self.bytes[self.hashed..]);
        Finished {
            bytes: self.bytes,
            sha256: self.sha256.finalize().into(),
        }
    }
}

/// The length of 4.3.7 without the name.
const LOCAL_HEADER: usize = 30;

struct Entry<'a> {
    name: &'a str,
    mode: Mode,
    data: Data,
    packed: u64,
    offset: u64,
}

impl Entry<'_> {
    fn local_header(&self) -> [u8; LOCAL_HEADER] {
        let mut out = Vec::with_capacity(LOCAL_HEADER);
        put32(&mut out, 0x0403_4b50);
        self.put_shared(&mut out);
        put16(&mut out, 0);
        let mut header = [0; LOCAL_HEADER];
        header.copy_from_slice(&out);
        header
    }

    /// 4.3.12
    fn put_directory_header(&self, out: &mut Vec<u8>) {
        put32(out, 0x0201_4b50);
        put16(out, UNIX | VERSION);
        self.put_shared(out);
        put16(out, 0);
        put16(out, 0);
        put16(out, 0);
        put16(out, 0);
        put32(out, self.mode.attributes());
        put32(out, narrow(self.offset));
        out.extend_from_slice(self.name.as_bytes());
    }

    /// From "version needed" to the length of the name, which both headers have alike.
    fn put_shared(&self, out: &mut Vec<u8>) {
        put16(out, VERSION);
        put16(out, if self.name.is_ascii() { 0 } else { UTF8 });
        put16(out, self.data.method as u16);
        put32(out, DATE);
        put32(out, self.data.crc);
        put32(out, narrow(self.packed));
        put32(out, narrow(self.data.length));
        // Longer names were refused when the directory was walked.
        put16(out, u16::try_from(self.name.len()).unwrap_or(u16::MAX));
    }
}

/// All ones where the number has no room, as the format wants it.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn put16(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}
