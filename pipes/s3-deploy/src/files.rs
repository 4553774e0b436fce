//! From LOCAL_PATH to a sorted list of files with their keys, and from a file to its digest or its bytes.
//! Whatever cannot be uploaded is found here, before the first change, and every such file is named.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use md5::{Digest as _, Md5};
use shared::Failure;
use walkdir::{DirEntry, WalkDir};

use crate::config::Prefix;

/// S3's limit for a key, in bytes of UTF-8.
const LONGEST_KEY: usize = 1024;
/// S3's limit for one PutObject: 5 GiB.
const LARGEST_FILE: u64 = 5 << 30;
/// Files that cannot be uploaded and are named in one error.
const NAMED_PROBLEMS: usize = 10;

/// A file of the site, as it was when the directory was walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile {
    /// The object's key, prefix included.
    pub key: String,
    /// Where its bytes are.
    pub path: PathBuf,
    /// In bytes.
    pub size: u64,
    /// To notice that it changes while it is read.
    pub modified: Option<SystemTime>,
}

/// The MD5 of a file's content: what S3 gives as the ETag of an object of one part that is not encrypted
/// with a key of its own. <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// 32 hexadecimal digits.
    pub fn hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }
}

/// All files under `root`, sorted by key.
///
/// # Errors
/// When `root` is no directory or holds no file, or naming each file that cannot be uploaded.
pub fn walk(root: &Path, prefix: &Prefix) -> Result<Vec<LocalFile>, Failure> {
    let shown = root.display();
    let inside = fs::canonicalize(root).map_err(|error| {
        Failure::new(format!(
            "could not read LOCAL_PATH `{shown}`: {}",
            plain(&error)
        ))
        .hint(
            "the directory has to be made earlier in this step, or come as an artifact of another",
        )
    })?;
    if !inside.is_dir() {
        return Err(
            Failure::new(format!("LOCAL_PATH `{shown}` is not a directory"))
                .hint("give the directory that holds the site"),
        );
    }
    let mut files = Vec::new();
    let mut problems = Vec::new();
    let mut walk = WalkDir::new(root)
        .follow_links(true)
        .min_depth(1)
        .into_iter();
    while let Some(entry) = walk.next() {
        let is_directory = entry.as_ref().is_ok_and(|entry| entry.file_type().is_dir());
        match examine(entry, root, &inside, prefix) {
            Ok(Some(file)) => files.push(file),
            Ok(None) => {}
            Err(problem) => {
                problems.push(problem);
                // A link that leads out may lead to the whole machine.
                if is_directory {
                    walk.skip_current_dir();
                }
            }
        }
    }
    if !problems.is_empty() {
        problems.sort();
        let failure = Failure::new(format!(
            "could not use {} under LOCAL_PATH `{shown}`",
            count(problems.len())
        ));
        return Err(problems
            .iter()
            .take(NAMED_PROBLEMS)
            .fold(failure, Failure::fact));
    }
    if files.is_empty() {
        return Err(
            Failure::new(format!("LOCAL_PATH `{shown}` holds no files")).hint(
                "a build that made nothing must not empty a site; look at the lines above the pipe",
            ),
        );
    }
    files.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(files)
}

fn examine(
    entry: walkdir::Result<DirEntry>,
    root: &Path,
    inside: &Path,
    prefix: &Prefix,
) -> Result<Option<LocalFile>, String> {
    let entry = entry.map_err(|error| unwalkable(&error))?;
    let path = entry.path();
    let problem = |why: &str| format!("`{}` {why}", path.display());
    if entry.path_is_symlink() {
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
        return Ok(None);
    }
    if !kind.is_file() {
        return Err(problem("is neither a file nor a directory"));
    }
    let relative = path.strip_prefix(root).unwrap_or(path);
    let relative = relative
        .to_str()
        .ok_or_else(|| problem("has a name that is not UTF-8, and S3 keys are"))?;
    if relative.chars().any(char::is_control) {
        return Err(format!(
            "`{}` has a control character in its name",
            relative.escape_default()
        ));
    }
    let key = format!("{}{relative}", prefix.as_str());
    if key.len() > LONGEST_KEY {
        return Err(problem(&format!(
            "has a key of {} bytes, more than the {LONGEST_KEY} that S3 takes",
            key.len()
        )));
    }
    // Opened, not only looked at: a file that may not be read has to be found before the first upload.
    let metadata = File::open(path)
        .and_then(|file| file.metadata())
        .map_err(|error| problem(&format!("could not be read: {}", plain(&error))))?;
    if metadata.len() > LARGEST_FILE {
        return Err(problem(
            "is larger than 5 GiB, the most that S3 takes in one request",
        ));
    }
    Ok(Some(LocalFile {
        key,
        path: path.to_owned(),
        size: metadata.len(),
        modified: metadata.modified().ok(),
    }))
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
    if is_link {
        format!("`{path}` is a link to nothing: {cause}")
    } else {
        format!("`{path}` could not be read: {cause}")
    }
}

/// The digests of `files` by key, made on as many threads as there are cores: hashing is what costs the time.
///
/// # Errors
/// When a file cannot be read, or is another one than when the directory was walked.
pub async fn digests(files: Vec<LocalFile>) -> Result<BTreeMap<String, Digest>, Failure> {
    tokio::task::spawn_blocking(move || digests_on_threads(&files))
        .await
        .unwrap_or_else(|_| {
            Err(Failure::new(
                "could not compare the files: a thread ended early",
            ))
        })
}

fn digests_on_threads(files: &[LocalFile]) -> Result<BTreeMap<String, Digest>, Failure> {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(files.len().max(1));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut digests = Vec::new();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            digests.push((file.key.clone(), digest(file)?));
        }
        Ok(digests)
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let parts: Vec<Result<Vec<_>, Failure>> = handles
            .into_iter()
            .map(|handle| {
                handle
                    .join()
                    .unwrap_or_else(|_| Err(Failure::new("could not compare the files")))
            })
            .collect();
        Ok(parts
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    })
}

/// The digest of one file, in constant memory.
///
/// # Errors
/// When it cannot be read, or changes meanwhile.
pub fn digest(file: &LocalFile) -> Result<Digest, Failure> {
    let mut hasher = Md5::new();
    read_through(file, |bytes| hasher.update(bytes))?;
    Ok(Digest(hasher.finalize().into()))
}

/// The bytes and the digest of one small file.
///
/// # Errors
/// When it cannot be read, or changes meanwhile.
pub fn contents(file: &LocalFile) -> Result<(Vec<u8>, Digest), Failure> {
    let mut contents = Vec::with_capacity(usize::try_from(file.size).unwrap_or_default());
    read_through(file, |bytes| contents.extend_from_slice(bytes))?;
    let digest = Digest(Md5::digest(&contents).into());
    Ok((contents, digest))
}

fn read_through(file: &LocalFile, mut take: impl FnMut(&[u8])) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::new(format!(
            "could not read `{}`: {}",
            file.path.display(),
            plain(&error)
        ))
    };
    let mut open = File::open(&file.path).map_err(failed)?;
    let mut buffer = vec![0; 128 * 1024];
    let mut read = 0;
    loop {
        match open.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                take(&buffer[..length]);
                read += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let metadata = open.metadata().map_err(failed)?;
    if read == file.size && metadata.len() == file.size && metadata.modified().ok() == file.modified
    {
        Ok(())
    } else {
        Err(changed(file))
    }
}

/// The error for a file that is not what it was when the directory was walked.
pub fn changed(file: &LocalFile) -> Failure {
    Failure::new(format!(
        "could not upload `{}`: it changed while it was read",
        file.path.display()
    ))
    .hint("something still writes to LOCAL_PATH; let the build end before the pipe starts")
}

fn count(problems: usize) -> String {
    if problems == 1 {
        "a file".to_owned()
    } else {
        format!("{problems} files")
    }
}

/// The error in words, without the number of the system's own list.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or(&text)
        .to_lowercase()
}
