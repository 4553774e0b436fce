//! From the entries of a directory to the bytes of its archive, by all cores: the files are cut into jobs of about equal
//! size, worker `n` of `w` does each `w`th of them, and one thread puts the results together in the order of the names.
//! Each worker is at most a few jobs ahead, which bounds the memory, and nothing of the bytes depends on who did what.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crc32fast::Hasher;
use shared::Failure;

use super::archive::{Archive, Data, Finished, Method, Mode};
use super::deflate::{self, Position};
use super::elf::{self, Machine};
use super::plain;
use super::tree::{Entry, Found, Kind, Tree};

/// The most of a file that is deflated at once, and about what one job reads, in bytes.
const BLOCK: usize = 1 << 20;
/// The most files of one job, since each costs time of its own.
const FILES_OF_JOB: usize = 256;
/// Finished jobs that wait for the one that puts them together, for each worker.
const AHEAD: usize = 4;

/// What became of a directory.
pub struct Packed {
    /// The archive.
    pub archive: Finished,
    /// The machine that each native binary is for, in the order of the tree's entries.
    pub machines: Vec<Option<Machine>>,
}

/// Packs all entries of `tree` with this many threads.
///
/// # Errors
/// When a file cannot be read, or is no longer what it was when the directory was walked.
pub fn pack(tree: &Tree, workers: usize) -> Result<Packed, Failure> {
    let jobs = jobs(&tree.entries);
    let workers = workers.clamp(1, jobs.len().max(1));
    std::thread::scope(|scope| {
        let results = (0..workers).map(|worker| {
            let (sender, receiver) = sync_channel(AHEAD);
            let own = jobs.iter().skip(worker).step_by(workers);
            scope.spawn(move || work(tree, own, &sender));
            receiver
        });
        put_together(tree, &results.collect::<Vec<_>>())
    })
}

/// A piece of a file.
struct Block {
    entry: usize,
    found: Found,
    offset: u64,
    length: usize,
}

impl Block {
    const fn position(&self) -> Position {
        if self.offset + self.length as u64 == self.found.size {
            Position::Last
        } else {
            Position::Inside
        }
    }

    const fn is_whole_file(&self) -> bool {
        self.length as u64 == self.found.size
    }
}

fn jobs(entries: &[Entry]) -> Vec<Vec<Block>> {
    let mut jobs: Vec<Vec<Block>> = Vec::new();
    let mut room = 0;
    for (entry, Entry { kind, .. }) in entries.iter().enumerate() {
        let Kind::File(found) = *kind else { continue };
        let mut offset = 0;
        loop {
            let left = usize::try_from(found.size - offset).unwrap_or(BLOCK);
            let length = left.min(BLOCK);
            let block = Block {
                entry,
                found,
                offset,
                length,
            };
            match jobs.last_mut() {
                Some(job) if length <= room && job.len() < FILES_OF_JOB => job.push(block),
                _ => {
                    room = BLOCK;
                    jobs.push(vec![block]);
                }
            }
            room -= length;
            offset += length as u64;
            if offset == found.size {
                break;
            }
        }
    }
    jobs
}

/// The results of one job.
#[derive(Default)]
struct Done {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
}

/// The result for one block.
struct Piece {
    entry: usize,
    /// Where its bytes end in those of the job.
    end: usize,
    method: Method,
    crc: Hasher,
    machine: Option<Machine>,
}

fn work<'a>(
    tree: &Tree,
    jobs: impl Iterator<Item = &'a Vec<Block>>,
    results: &SyncSender<Result<Done, Failure>>,
) {
    let mut buffer = vec![0; deflate::WINDOW + BLOCK];
    for job in jobs {
        let mut done = Done::default();
        let result = job
            .iter()
            .try_for_each(|block| pack_block(tree, block, &mut buffer, &mut done));
        let failed = result.is_err();
        // Nobody takes it once another worker has failed.
        if results.send(result.map(|()| done)).is_err() || failed {
            return;
        }
    }
}

fn pack_block(
    tree: &Tree,
    block: &Block,
    buffer: &mut [u8],
    done: &mut Done,
) -> Result<(), Failure> {
    let before = usize::try_from(block.offset)
        .unwrap_or(deflate::WINDOW)
        .min(deflate::WINDOW);
    let window = &mut buffer[..before + block.length];
    read(tree, block, before as u64, window)?;
    let (before, bytes) = window.split_at(before);
    let mut crc = Hasher::new();
    crc.update(bytes);
    let start = done.bytes.len();
    deflate::append(&mut done.bytes, before, bytes, block.position());
    let mut method = Method::Deflated;
    if block.is_whole_file() && done.bytes.len() - start >= bytes.len() {
        done.bytes.truncate(start);
        done.bytes.extend_from_slice(bytes);
        method = Method::Stored;
    }
    let machine = (block.offset == 0).then(|| elf::machine(bytes)).flatten();
    done.pieces.push(Piece {
        entry: block.entry,
        end: done.bytes.len(),
        method,
        crc,
        machine,
    });
    Ok(())
}

/// Fills `window`, which begins `before` bytes before the block.
fn read(tree: &Tree, block: &Block, before: u64, window: &mut [u8]) -> Result<(), Failure> {
    let path = tree.path(&tree.entries[block.entry].name);
    let shown = path.display();
    let unreadable =
        |error: &io::Error| Failure::new(format!("could not read `{shown}`: {}", plain(error)));
    let changed = || {
        Failure::new(format!(
            "could not pack `{shown}`: it changed while it was read"
        ))
        .hint("something still writes to the directory; let the build end before the pipe starts")
    };
    let file = File::open(&path).map_err(|error| unreadable(&error))?;
    match file.read_exact_at(window, block.offset - before) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(changed()),
        Err(error) => return Err(unreadable(&error)),
    }
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    if block.found.is_still(&metadata) {
        Ok(())
    } else {
        Err(changed())
    }
}

/// The results of all workers, piece after piece.
struct Results<'a> {
    receivers: &'a [Receiver<Result<Done, Failure>>],
    next_job: usize,
    bytes: Vec<u8>,
    start: usize,
    pieces: std::vec::IntoIter<Piece>,
}

impl Results<'_> {
    /// The next piece of this entry; its bytes are appended to `out`.
    fn next(&mut self, entry: usize, out: &mut Vec<u8>) -> Result<Option<Piece>, Failure> {
        if self.pieces.as_slice().is_empty() {
            let receiver = &self.receivers[self.next_job % self.receivers.len()];
            let Ok(done) = receiver.recv() else {
                return Ok(None);
            };
            let Done { bytes, pieces } = done?;
            self.next_job += 1;
            self.bytes = bytes;
            self.start = 0;
            self.pieces = pieces.into_iter();
        }
        let is_of_entry = |piece: &Piece| piece.entry == entry;
        if !self.pieces.as_slice().first().is_some_and(is_of_entry) {
            return Ok(None);
        }
        let Some(piece) = self.pieces.next() else {
            return Ok(None);
        };
        out.extend_from_slice(&self.bytes[self.start..piece.end]);
        self.start = piece.end;
        Ok(Some(piece))
    }
}

fn put_together(
    tree: &Tree,
    receivers: &[Receiver<Result<Done, Failure>>],
) -> Result<Packed, Failure> {
    let mut results = Results {
        receivers,
        next_job: 0,
        bytes: Vec::new(),
        start: 0,
        pieces: Vec::new().into_iter(),
    };
    let mut archive = Archive::default();
    let mut machines = vec![None; tree.entries.len()];
    for (index, entry) in tree.entries.iter().enumerate() {
        match &entry.kind {
            Kind::File(found) => {
                let mode = if found.executable {
                    Mode::Executable
                } else {
                    Mode::File
                };
                archive.add(&entry.name, mode, |out| {
                    let (data, machine) = put_file(&mut results, index, found.size, out)?;
                    machines[index] = machine;
                    Ok::<_, Failure>(data)
                })?;
            }
            Kind::Link(target) => archive.add(&entry.name, Mode::Link, |out| {
                out.extend_from_slice(target.as_bytes());
                Ok::<_, Failure>(Data {
                    method: Method::Stored,
                    crc: crc32fast::hash(target.as_bytes()),
                    length: target.len() as u64,
                })
            })?,
            Kind::Directory => archive.add(&entry.name, Mode::Directory, |_| {
                Ok::<_, Failure>(Data {
                    method: Method::Stored,
                    crc: 0,
                    length: 0,
                })
            })?,
        }
    }
    Ok(Packed {
        archive: archive.finish(),
        machines,
    })
}

fn put_file(
    results: &mut Results<'_>,
    entry: usize,
    size: u64,
    out: &mut Vec<u8>,
) -> Result<(Data, Option<Machine>), Failure> {
    let mut crc = Hasher::new();
    let mut method = Method::Stored;
    let mut machine = None;
    let mut blocks = size.div_ceil(BLOCK as u64).max(1);
    while blocks > 0 {
        let Some(piece) = results.next(entry, out)? else {
            return Err(Failure::new("a thread that packs has ended too early")
                .hint("report it with the lines above; they hold no secret"));
        };
        crc.combine(&piece.crc);
        method = piece.method;
        machine = machine.or(piece.machine);
        blocks -= 1;
    }
    let data = Data {
        method,
        crc: crc.finalize(),
        length: size,
    };
    Ok((data, machine))
}
