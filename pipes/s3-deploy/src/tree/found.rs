//! The files of a walk as they are found, and then each opened on all cores: one that may not be read has to be found
//! before the first upload, and opening them is most of what a walk takes.

use std::cmp::Ordering;
use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{LARGEST_FILE, State, Tree, modified, plain};
use crate::names::Names;

/// Files that a thread opens at a time.
const CHUNK: usize = 256;

/// Bytes of a piece of text.
const PIECE: usize = 1 << 20;

/// The files as they are found.
#[derive(Default)]
pub(super) struct Found {
    texts: Texts,
    files: Vec<FoundFile>,
}

/// Names of files and directories, in pieces of which none has to grow.
#[derive(Default)]
struct Texts(Vec<String>);

/// A name as its directory, which neighbours share, and the rest.
#[derive(Clone, Copy)]
#[repr(Rust, packed(4))]
struct FoundFile {
    state: State,
    directory: Text,
    name: Text,
}

/// A place in the texts.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(Rust, packed(2))]
struct Text {
    start: u32,
    length: u16,
}

impl Found {
    /// Takes the file with this name; nothing if there is no place left.
    pub(super) fn push(&mut self, name: &str) -> Option<()> {
        let (directory, name) = name.split_at(name.rfind('/').map_or(0, |slash| slash + 1));
        let shared = self.files.last().map(|last| last.directory);
        let directory = match shared.filter(|shared| self.texts.get(*shared) == directory) {
            Some(shared) => shared,
            None => self.texts.keep(directory)?,
        };
        let name = self.texts.keep(name)?;
        self.files.push(FoundFile {
            state: State::default(),
            directory,
            name,
        });
        Some(())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Opens each file, and notes its state; the problems of those that cannot be uploaded.
    pub(super) fn open(&mut self, root: &Path) -> Vec<String> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let others = cores.min(self.files.len() / CHUNK).saturating_sub(1);
        let Self { texts, files } = self;
        let chunks = Mutex::new(files.chunks_mut(CHUNK));
        let next = || chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            let mut problems = Vec::new();
            while let Some(chunk) = next() {
                for file in chunk {
                    match file.open(texts, root) {
                        Ok(state) => file.state = state,
                        Err(problem) => problems.push(problem),
                    }
                }
            }
            problems
        };
        std::thread::scope(|scope| {
            // Where the system gives no more threads this one does it all.
            let start = |_| std::thread::Builder::new().spawn_scoped(scope, work).ok();
            let threads: Vec<_> = (0..others).filter_map(start).collect();
            let mut problems = work();
            for thread in threads {
                problems.extend(thread.join().unwrap_or_default());
            }
            problems
        })
    }

    fn compare(&self, one: FoundFile, other: FoundFile) -> Ordering {
        let (name, other_name) = (self.texts.get(one.name), self.texts.get(other.name));
        if one.directory == other.directory {
            return name.cmp(other_name);
        }
        let (directory, other_directory) = (
            self.texts.get(one.directory),
            self.texts.get(other.directory),
        );
        let common = directory.len().min(other_directory.len());
        let (start, rest) = directory.as_bytes().split_at(common);
        let (other_start, other_rest) = other_directory.as_bytes().split_at(common);
        start.cmp(other_start).then_with(|| {
            let rest = rest.iter().chain(name.as_bytes());
            rest.cmp(other_rest.iter().chain(other_name.as_bytes()))
        })
    }

    pub(super) fn sorted(mut self, root: &Path) -> Tree {
        let mut files = std::mem::take(&mut self.files);
        files.sort_unstable_by(|one, other| self.compare(*one, *other));
        let mut names = Names::default();
        for file in &files {
            names.push(&[self.texts.get(file.directory), self.texts.get(file.name)].concat());
        }
        drop(self);
        names.shrink();
        Tree {
            root: root.to_owned(),
            names,
            states: files.iter().map(|file| file.state).collect(),
        }
    }
}

impl Texts {
    /// Nothing if there is no place left.
    fn keep(&mut self, text: &str) -> Option<Text> {
        let has_room = |piece: &String| piece.len() + text.len() <= PIECE;
        if !self.0.last().is_some_and(has_room) {
            self.0.push(String::with_capacity(PIECE));
        }
        let number = self.0.len() - 1;
        let piece = self.0.last_mut()?;
        let start = u32::try_from(number * PIECE + piece.len()).ok()?;
        piece.push_str(text);
        Some(Text {
            start,
            length: u16::try_from(text.len()).ok()?,
        })
    }

    fn get(&self, text: Text) -> &str {
        let start = text.start as usize;
        &self.0[start / PIECE][start % PIECE..][..usize::from(text.length)]
    }
}

impl FoundFile {
    /// Opened, not only looked at: whether it may be read nothing else can say.
    fn open(self, texts: &Texts, root: &Path) -> Result<State, String> {
        let name = [texts.get(self.directory), texts.get(self.name)].concat();
        let path = root.join(name);
        let problem = |why: &str| format!("`{}` {why}", path.display());
        let metadata = File::open(&path)
            .and_then(|file| file.metadata())
            .map_err(|error| problem(&format!("could not be read: {}", plain(&error))))?;
        if metadata.len() > LARGEST_FILE {
            return Err(problem("is larger than 5 TiB, the most that S3 takes"));
        }
        Ok(State {
            size: metadata.len(),
            modified: modified(&metadata),
        })
    }
}
