//! A directory that is to be packed: every entry that its archive will have, sorted by the bytes of the names, and nothing of it
//! that differs between machines: no times, no owners, of the mode only whether it is executable. Whatever cannot be
//! packed is found here, before any call, and every such file is named.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use shared::Failure;
use walkdir::{DirEntry, WalkDir};

use super::ignored::{FILE, Ignored};
use super::{Origin, plain};

/// Files that cannot be packed and are named in one error.
const NAMED_PROBLEMS: usize = 10;
/// Where a function finds what is not in its package: layers, scratch space, file systems, itself.
/// <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>
const PLACES_IN_LAMBDA: [&str; 4] = ["/opt", "/tmp", "/mnt", "/var/task"];

/// In each problem of a link.
const IS_LINK: &str = "is a link to";

/// What becomes of symbolic links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// They stay links, which Lambda keeps when it unpacks; one that leads out of the directory is refused.
    #[default]
    Keep,
    /// What they lead to is packed in their place, also from outside.
    Follow,
}

/// One entry of the archive to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// With `/` between the parts, and one at the end of a directory.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file, as it was when the directory was walked.
    File(Found),
    /// A link, to this.
    Link(String),
    /// A directory with nothing in it; others follow from the names of what is in them.
    Directory,
}

/// A file on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// In bytes.
    pub size: u64,
    /// Whether its owner may execute it.
    pub executable: bool,
    modified: (i64, i64),
}

impl Found {
    fn new(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            // The owner's bit, as in git: the others follow the umask.
            executable: metadata.permissions().mode() & 0o100 != 0,
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    /// Whether this is still the file that was found.
    pub fn is_still(&self, metadata: &Metadata) -> bool {
        *self == Self::new(metadata)
    }
}

/// The entries of one directory.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    /// In the order of their names.
    pub entries: Vec<Entry>,
}

impl Tree {
    /// All that is to be packed of the directory at `origin`.
    ///
    /// # Errors
    /// When it holds no file, when its `.lambdaignore` is faulty, or naming each file that cannot be packed.
    pub fn new(origin: Origin<'_>, links: Links) -> Result<Self, Failure> {
        let root = origin.path;
        let ignored = Ignored::new(root)?;
        let mut walk = Walk {
            root,
            links,
            ignored,
            entries: Vec::new(),
            directories: Vec::new(),
        };
        let mut problems = Vec::new();
        let mut entries = WalkDir::new(root)
            .follow_links(links == Links::Follow)
            .min_depth(1)
            .into_iter();
        while let Some(entry) = entries.next() {
            match walk.add(entry) {
                Ok(Next::Inside) => {}
                Ok(Next::Past) => entries.skip_current_dir(),
                Err(problem) => problems.push(problem),
            }
        }
        let entries = walk.finish(&mut problems);
        if !problems.is_empty() {
            return Err(unusable(origin, problems, links));
        }
        if !entries
            .iter()
            .any(|entry| !matches!(entry.kind, Kind::Directory))
        {
            let failure = Failure::new(format!("{origin} holds no file to be packed"));
            return Err(failure.hint(format!(
                "build it earlier in this step; if it is not empty, look at `{FILE}`"
            )));
        }
        Ok(Self {
            root: root.to_owned(),
            entries,
        })
    }

    /// Where the bytes of an entry are.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// What all files take when unpacked, in bytes.
    pub fn size(&self) -> u64 {
        let size = |entry: &Entry| match &entry.kind {
            Kind::File(found) => found.size,
            Kind::Link(_) | Kind::Directory => 0,
        };
        self.entries.iter().map(size).sum()
    }

    /// Name and size of the largest file.
    pub fn largest(&self) -> Option<(&str, u64)> {
        let files = self.entries.iter().filter_map(|entry| match &entry.kind {
            Kind::File(found) => Some((entry.name.as_str(), found.size)),
            Kind::Link(_) | Kind::Directory => None,
        });
        files.max_by_key(|(_, size)| *size)
    }
}

fn unusable(origin: Origin<'_>, mut problems: Vec<String>, links: Links) -> Failure {
    problems.sort();
    let count = problems.len();
    let files = if count == 1 {
        "a file".to_owned()
    } else {
        format!("{count} files")
    };
    let is_link = |problem: &String| problem.contains(IS_LINK);
    let follow = if links == Links::Keep && problems.iter().any(is_link) {
        "; SYMLINKS: follow packs what links lead to"
    } else {
        ""
    };
    let failure = Failure::new(format!("could not pack {files} of {origin}"));
    let failure = problems
        .into_iter()
        .take(NAMED_PROBLEMS)
        .fold(failure, Failure::fact);
    failure.hint(format!(
        "leave out with `{FILE}` what the function does not need{follow}"
    ))
}

enum Next {
    Inside,
    Past,
}

struct Walk<'a> {
    root: &'a Path,
    links: Links,
    ignored: Ignored,
    entries: Vec<Entry>,
    directories: Vec<String>,
}

impl Walk<'_> {
    fn add(&mut self, entry: walkdir::Result<DirEntry>) -> Result<Next, String> {
        let entry = match entry {
            Ok(entry) => entry,
            // What cannot be looked at and is to stay out is no problem.
            Err(error) if self.is_left_out(&error) => return Ok(Next::Inside),
            Err(error) => return Err(unwalkable(&error)),
        };
        let path = entry.path();
        let relative = path.strip_prefix(self.root).unwrap_or(path);
        let kind = entry.file_type();
        if self.ignored.has(relative, kind.is_dir()) {
            return Ok(if kind.is_dir() {
                Next::Past
            } else {
                Next::Inside
            });
        }
        let problem = |why: &str| format!("`{}` {why}", relative.display());
        let name = relative
            .to_str()
            .ok_or_else(|| problem("has a name that is not UTF-8"))?;
        if let Some(why) = wrong_name(name) {
            return Err(format!("`{}` {why}", name.escape_default()));
        }
        let kind = if kind.is_dir() {
            self.directories.push(format!("{name}/"));
            return Ok(Next::Inside);
        } else if kind.is_symlink() {
            let target = fs::read_link(path).map_err(|error| problem(&plain(&error)))?;
            let target = target
                .to_str()
                .ok_or_else(|| problem("is a link to a name that is not UTF-8"))?;
            Kind::Link(target.to_owned())
        } else if kind.is_file() {
            // Opened, not only looked at: a file that may not be read has to be found before anything is sent.
            let metadata = File::open(path)
                .and_then(|file| file.metadata())
                .map_err(|error| problem(&format!("could not be read: {}", plain(&error))))?;
            Kind::File(Found::new(&metadata))
        } else {
            return Err(problem("is neither a file, a link nor a directory"));
        };
        self.entries.push(Entry {
            name: name.to_owned(),
            kind,
        });
        Ok(Next::Inside)
    }

    fn is_left_out(&self, error: &walkdir::Error) -> bool {
        error
            .path()
            .and_then(|path| path.strip_prefix(self.root).ok())
            .is_some_and(|relative| self.ignored.has(relative, false))
    }

    /// Sorts, adds the empty directories, and checks the links, which needs all names.
    fn finish(mut self, problems: &mut Vec<String>) -> Vec<Entry> {
        let sort = |entries: &mut Vec<Entry>| {
            entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        };
        sort(&mut self.entries);
        let mut names: BTreeSet<&str> = self.entries.iter().map(|e| e.name.as_str()).collect();
        names.extend(self.directories.iter().map(String::as_str));
        if self.links == Links::Keep {
            for entry in &self.entries {
                if let Kind::Link(target) = &entry.kind
                    && let Err(why) = self.check_link(&entry.name, target, &names)
                {
                    problems.push(format!("`{}` {IS_LINK} `{target}`, {why}", entry.name));
                }
            }
        }
        let is_empty = |directory: &&String| {
            let first = self
                .entries
                .partition_point(|entry| entry.name.as_str() < directory.as_str());
            let inside = self.entries.get(first);
            !inside.is_some_and(|entry| entry.name.starts_with(directory.as_str()))
                && !names
                    .range(directory.as_str()..)
                    .nth(1)
                    .is_some_and(|next| next.starts_with(directory.as_str()))
        };
        let empty: Vec<String> = self.directories.iter().filter(is_empty).cloned().collect();
        let mut entries = self.entries;
        entries.extend(empty.into_iter().map(|name| Entry {
            name,
            kind: Kind::Directory,
        }));
        sort(&mut entries);
        entries
    }

    /// A link has to lead where the function will find something: into the package, or to a place that Lambda has.
    fn check_link(&self, name: &str, target: &str, names: &BTreeSet<&str>) -> Result<(), String> {
        let path = Path::new(target);
        if path.is_absolute() {
            let is_there = PLACES_IN_LAMBDA.iter().any(|place| path.starts_with(place));
            return if is_there {
                Ok(())
            } else {
                Err("a path of this machine".to_owned())
            };
        }
        // `../dist/x` from the directory `dist` finds its way here, and not where the package is unpacked.
        let mut depth = name.matches('/').count();
        for component in path.components() {
            match component {
                Component::ParentDir if depth == 0 => {
                    return Err("which leads out of the directory".to_owned());
                }
                Component::ParentDir => depth -= 1,
                Component::Normal(_) => depth += 1,
                _ => {}
            }
        }
        let inside = fs::canonicalize(self.root).map_err(|error| plain(&error))?;
        let found = fs::canonicalize(self.root.join(name))
            .map_err(|error| format!("which leads nowhere: {}", plain(&error)))?;
        let Ok(relative) = found.strip_prefix(&inside) else {
            return Err("which leads out of the directory".to_owned());
        };
        let relative = relative.to_str().unwrap_or_default();
        let is_packed = relative.is_empty()
            || names.contains(relative)
            || names.contains(format!("{relative}/").as_str());
        if is_packed {
            Ok(())
        } else {
            Err("which is not packed".to_owned())
        }
    }
}

/// Why a name cannot stand in an archive that every tool unpacks alike.
pub fn wrong_name(name: &str) -> Option<&'static str> {
    if name.chars().any(char::is_control) {
        Some("has a control character in its name")
    } else if name.contains('\\') {
        Some(
            "has a backslash in its name, which separates directories for some tools and not for others",
        )
    } else if name.len() > usize::from(u16::MAX) {
        Some("has a name longer than the 65,535 bytes of an archive")
    } else {
        None
    }
}

fn unwalkable(error: &walkdir::Error) -> String {
    let path = error
        .path()
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    if error.loop_ancestor().is_some() {
        return format!("`{path}` is a link to a directory that it is in");
    }
    let cause = error.io_error().map_or_else(|| error.to_string(), plain);
    if error.path().is_some_and(Path::is_symlink) {
        format!("`{path}` is a link to nothing: {cause}")
    } else {
        format!("`{path}` could not be read: {cause}")
    }
}
