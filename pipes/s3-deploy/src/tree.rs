//! LOCAL_PATH as a list of files in the order of their keys, in one text and a few bytes for each, so that a million
//! fit into memory. Whatever cannot be uploaded is found here, before the first change, and every such file is named.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use shared::Failure;
use walkdir::{DirEntry, WalkDir};

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
    names: String,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    length: u16,
    size: u64,
    modified: i64,
}

/// One file, as it was when the directory was walked.
#[derive(Clone, Copy, Debug)]
pub struct LocalFile<'a> {
    tree: &'a Tree,
    /// Relative to the root, with `/` between the parts.
    pub name: &'a str,
    /// In bytes.
    pub size: u64,
    /// Nanoseconds since 1970, to notice that it changes while it is read.
    pub modified: i64,
}

impl LocalFile<'_> {
    /// Where its bytes are.
    pub fn path(&self) -> PathBuf {
        self.tree.root.join(self.name)
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
        let mut tree = Self {
            root: root.to_owned(),
            ..Self::default()
        };
        let mut problems = Vec::new();
        let mut entries = WalkDir::new(root)
            .follow_links(walk.follow_links)
            .min_depth(1)
            .into_iter();
        while let Some(entry) = entries.next() {
            let is_directory = entry.as_ref().is_ok_and(|entry| entry.file_type().is_dir());
            if let Err(problem) = tree.add(entry, &inside, walk) {
                problems.push(problem);
                // A link that leads out may lead to the whole machine.
                if is_directory {
                    entries.skip_current_dir();
                }
            }
        }
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
        if tree.entries.is_empty() {
            return Err(Failure::new(format!("LOCAL_PATH `{shown}` holds no files"))
                .hint("a build that made nothing must not empty a site; look at the lines above the pipe"));
        }
        let Self { names, entries, .. } = &mut tree;
        entries.sort_unstable_by(|one, other| name_of(names, *one).cmp(name_of(names, *other)));
        Ok(tree)
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The file at `index`, in the order of the names.
    pub fn file(&self, index: usize) -> LocalFile<'_> {
        let entry = self.entries[index];
        LocalFile {
            tree: self,
            name: name_of(&self.names, entry),
            size: entry.size,
            modified: entry.modified,
        }
    }

    /// The index of the file with this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.entries
            .binary_search_by(|entry| name_of(&self.names, *entry).cmp(name))
            .ok()
    }

    fn add(
        &mut self,
        entry: walkdir::Result<DirEntry>,
        inside: &Path,
        walk: &Walk<'_>,
    ) -> Result<(), String> {
        let entry = entry.map_err(|error| unwalkable(&error))?;
        let path = entry.path();
        let problem = |why: &str| format!("`{}` {why}", path.display());
        let name = path.strip_prefix(&self.root).unwrap_or(path);
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
        let (Ok(length), true) = (u16::try_from(name.len()), key_length <= LONGEST_KEY) else {
            return Err(problem(&format!(
                "has a key of {key_length} bytes, more than the {LONGEST_KEY} that S3 takes"
            )));
        };
        // Opened, not only looked at: a file that may not be read has to be found before the first upload.
        let metadata = File::open(path)
            .and_then(|file| file.metadata())
            .map_err(|error| problem(&format!("could not be read: {}", plain(&error))))?;
        if metadata.len() > LARGEST_FILE {
            return Err(problem("is larger than 5 TiB, the most that S3 takes"));
        }
        let start = u32::try_from(self.names.len())
            .map_err(|_| problem("is one file too many: 4 GiB of names"))?;
        self.names.push_str(name);
        self.entries.push(Entry {
            start,
            length,
            size: metadata.len(),
            modified: modified(&metadata),
        });
        Ok(())
    }
}

/// When a file was last written, in nanoseconds since 1970; 0 if the file system does not say.
pub fn modified(metadata: &fs::Metadata) -> i64 {
    let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok();
    let nanoseconds = metadata
        .modified()
        .ok()
        .and_then(since)
        .map_or(0, |since| since.as_nanos());
    i64::try_from(nanoseconds).unwrap_or_default()
}

fn name_of(names: &str, entry: Entry) -> &str {
    let start = entry.start as usize;
    &names[start..start + usize::from(entry.length)]
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
