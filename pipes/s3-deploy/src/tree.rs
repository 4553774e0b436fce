//! LOCAL_PATH as a list of files in the order of their keys, in one text and a few bytes for each, so that a million
//! fit into memory. Whatever cannot be uploaded is found here, before the first change, and every such file is named.

mod found;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use shared::Failure;
use walkdir::{DirEntry, WalkDir};

use self::found::Found;
use crate::names::Names;

/// S3's limit for a key, in bytes of UTF-8.
const LONGEST_KEY: usize = 1024;
/// S3's limit for an object: 10,000 parts of 5 GiB are more than this.
const LARGEST_FILE: u64 = 5 << 40;
/// Files that cannot be uploaded and are named in one error.
const NAMED_PROBLEMS: usize = 10;

/// The files under one directory, sorted by the bytes of their relative paths.
#[derive(Debug, Default)]
pub struct Tree {
    root: PathBuf,
    names: Names,
    states: Vec<State>,
}

/// A file as it was when the directory was walked, in 12 bytes.
#[derive(Clone, Copy, Debug, Default)]
#[repr(Rust, packed(4))]
struct State {
    size: u64,
    modified: u32,
}

/// One file, as it was when the directory was walked.
#[derive(Clone, Copy, Debug)]
pub struct LocalFile<'a> {
    tree: &'a Tree,
    index: usize,
    /// In bytes.
    pub size: u64,
    /// See [`modified`], to notice that it changes while it is read.
    pub modified: u32,
}

impl LocalFile<'_> {
    /// Relative to the root, with `/` between the parts.
    pub fn name(&self) -> String {
        self.tree.names.get(self.index)
    }

    /// Where its bytes are.
    pub fn path(&self) -> PathBuf {
        self.tree.root.join(self.name())
    }
}

/// What decides which files belong to the site.
pub struct Walk<'a> {
    /// Whether links are followed; if not, they are left out.
    pub follow_links: bool,
    /// Bytes that stand before every name in a key.
    pub prefix_length: usize,
    /// Whether a file belongs to the site, by its name.
    pub admits: &'a dyn Fn(&str) -> bool,
}

impl Tree {
    /// All files under `root` that `walk` admits.
    ///
    /// # Errors
    /// When `root` is no directory or holds no file, or naming each file that cannot be uploaded.
    pub fn new(root: &Path, walk: &Walk<'_>) -> Result<Self, Failure> {
        let shown = root.display();
        let inside = fs::canonicalize(root).map_err(|error| {
            Failure::new(format!("could not read LOCAL_PATH `{shown}`: {}", plain(&error)))
                .hint("the directory has to be made earlier in this step, or come as an artifact of another")
        })?;
        if !inside.is_dir() {
            return Err(
                Failure::new(format!("LOCAL_PATH `{shown}` is not a directory"))
                    .hint("give the directory that holds the site"),
            );
        }
        if inside.parent().is_none() {
            return Err(Failure::new(format!(
                "LOCAL_PATH `{shown}` is the whole machine, not a site"
            ))
            .hint("check the value: a variable in it may be empty"));
        }
        let mut found = Found::default();
        let mut problems = Vec::new();
        let mut entries = WalkDir::new(root)
            .follow_links(walk.follow_links)
            .min_depth(1)
            .into_iter();
        while let Some(entry) = entries.next() {
            let is_directory = entry.as_ref().is_ok_and(|entry| entry.file_type().is_dir());
            if let Err(problem) = add(&mut found, entry, (root, &inside), walk) {
                problems.push(problem);
                // A link that leads out may lead to the whole machine.
                if is_directory {
                    entries.skip_current_dir();
                }
            }
        }
        problems.extend(found.open(root));
        if !problems.is_empty() {
            problems.sort();
            let files = if problems.len() == 1 {
                "a file".to_owned()
            } else {
                format!("{} files", problems.len())
            };
            let failure = Failure::new(format!("could not use {files} under LOCAL_PATH `{shown}`"));
            return Err(problems
                .iter()
                .take(NAMED_PROBLEMS)
                .fold(failure, Failure::fact));
        }
        if found.is_empty() {
            return Err(Failure::new(format!("LOCAL_PATH `{shown}` holds no files"))
                .hint("a build that made nothing must not empty a site; look at the lines above the pipe"));
        }
        Ok(found.sorted(root))
    }

    /// How many files there are.
    pub const fn len(&self) -> usize {
        self.names.len()
    }

    /// The file at `index`, in the order of the names.
    pub fn file(&self, index: usize) -> LocalFile<'_> {
        let State { size, modified } = self.states[index];
        LocalFile {
            tree: self,
            index,
            size,
            modified,
        }
    }

    /// The name of the file at `index`.
    pub fn name(&self, index: usize) -> String {
        self.names.get(index)
    }

    /// The names from that of the file at `index` on, in their order.
    pub fn names_from(&self, index: usize) -> impl Iterator<Item = String> {
        self.names.starting_at(index)
    }

    /// The index of the file with this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.names.find(name).ok()
    }

    /// Whether any name begins so.
    pub fn has_under(&self, start: &str) -> bool {
        let (Ok(index) | Err(index)) = self.names.find(start);
        let next = self.names.starting_at(index).next();
        next.is_some_and(|name| name.starts_with(start))
    }
}

/// Takes `entry` if it belongs to the site, or says why it cannot be uploaded.
fn add(
    found: &mut Found,
    entry: walkdir::Result<DirEntry>,
    (root, inside): (&Path, &Path),
    walk: &Walk<'_>,
) -> Result<(), String> {
    let entry = entry.map_err(|error| unwalkable(&error))?;
    let path = entry.path();
    let problem = |why: &str| format!("`{}` {why}", path.display());
    let name = path.strip_prefix(root).unwrap_or(path);
    if name
        .to_str()
        .is_some_and(|name| !entry.file_type().is_dir() && !(walk.admits)(name))
    {
        return Ok(());
    }
    if entry.path_is_symlink() {
        if !walk.follow_links {
            return Ok(());
        }
        let target = fs::canonicalize(path)
            .map_err(|error| problem(&format!("is a link to nothing: {}", plain(&error))))?;
        if !target.starts_with(inside) {
            return Err(problem(&format!(
                "is a link that leaves LOCAL_PATH, to `{}`",
                target.display()
            )));
        }
    }
    let kind = entry.file_type();
    if kind.is_dir() {
        return Ok(());
    }
    if !kind.is_file() {
        return Err(problem("is neither a file nor a directory"));
    }
    let name = name
        .to_str()
        .ok_or_else(|| problem("has a name that is not UTF-8, and S3 keys are"))?;
    if name.chars().any(char::is_control) {
        return Err(format!(
            "`{}` has a control character in its name",
            name.escape_default()
        ));
    }
    let key_length = walk.prefix_length + name.len();
    if key_length > LONGEST_KEY {
        return Err(problem(&format!(
            "has a key of {key_length} bytes, more than the {LONGEST_KEY} that S3 takes"
        )));
    }
    found
        .push(name)
        .ok_or_else(|| problem("is one file too many: 4 GiB of names"))
}

/// When a file was last written: the last 32 bits of the nanoseconds since 1970, which are other ones after any change;
/// 0 if the file system does not say.
pub fn modified(metadata: &fs::Metadata) -> u32 {
    let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok();
    let nanoseconds = metadata
        .modified()
        .ok()
        .and_then(since)
        .map_or(0, |since| since.as_nanos());
    u32::try_from(nanoseconds & u128::from(u32::MAX)).unwrap_or_default()
}

fn unwalkable(error: &walkdir::Error) -> String {
    let path = error
        .path()
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    if error.loop_ancestor().is_some() {
        return format!("`{path}` is a link to a directory that it is in");
    }
    let is_link = error.path().is_some_and(Path::is_symlink);
    let cause = error.io_error().map_or_else(|| error.to_string(), plain);
    let kind = if is_link {
        "is a link to nothing"
    } else {
        "could not be read"
    };
    format!("`{path}` {kind}: {cause}")
}

/// The error in words, without the number of the system's own list.
pub fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or(&text)
        .to_lowercase()
}
