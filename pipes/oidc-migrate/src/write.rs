//! A file is replaced as a whole or not at all: its new text goes to a temporary file of the same folder with the same
//! permissions, which then takes its name. What is not committed in git is not overwritten, since git could not bring it back.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use shared::Failure;

/// What git says about a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkTree {
    /// All is committed.
    Clean,
    /// Something is not.
    Dirty,
    /// It is no work tree.
    None,
    /// There is no git to ask.
    NoGit,
}

impl WorkTree {
    /// Asks git.
    ///
    /// # Errors
    /// When git is there and cannot tell, such as for a folder that it holds to be another user's.
    pub fn of(folder: &Path) -> Result<Self, Failure> {
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            // A status that takes no locks: another git may be at work.
            command
                .arg("--no-optional-locks")
                .arg("-C")
                .arg(folder)
                .args(arguments);
            command.output()
        };
        let is_inside = match git(&["rev-parse", "--is-inside-work-tree"]) {
            Ok(answer) => answer,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(if has_git_folder(folder) {
                    Self::NoGit
                } else {
                    Self::None
                });
            }
            Err(error) => return Err(cannot_ask(folder, &error.to_string())),
        };
        if !is_inside.status.success() {
            let reason = String::from_utf8_lossy(&is_inside.stderr).into_owned();
            return if reason.contains("not a git repository") {
                Ok(Self::None)
            } else {
                Err(cannot_ask(folder, reason.trim()))
            };
        }
        let status = git(&["status", "--porcelain"])
            .map_err(|error| cannot_ask(folder, &error.to_string()))?;
        if !status.status.success() {
            return Err(cannot_ask(
                folder,
                String::from_utf8_lossy(&status.stderr).trim(),
            ));
        }
        Ok(if status.stdout.is_empty() {
            Self::Clean
        } else {
            Self::Dirty
        })
    }
}

fn has_git_folder(folder: &Path) -> bool {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder
        .ancestors()
        .any(|ancestor| ancestor.join(".git").exists())
}

fn cannot_ask(folder: &Path, reason: &str) -> Failure {
    Failure::new(format!(
        "could not ask git whether `{}` is clean: {reason}",
        folder.display()
    ))
    .hint("make git work there, or write all the same with `--force`")
}

/// Why a file may not be written, if it may not; nothing is written.
///
/// # Errors
/// The reason.
pub fn refuse(path: &Path) -> Result<Permissions, Failure> {
    let metadata = fs::symlink_metadata(path).map_err(|error| {
        Failure::new(format!("could not look at `{}`: {error}", path.display()))
    })?;
    if metadata.is_symlink() {
        return Err(Failure::new(format!(
            "`{}` is a link, and a link is not replaced by a file",
            path.display()
        ))
        .hint("edit the file that it leads to"));
    }
    if metadata.permissions().readonly() {
        return Err(Failure::new(format!("`{}` is read-only", path.display()))
            .hint("make it writable, if it is meant to be edited"));
    }
    Ok(metadata.permissions())
}

/// Writes the new text in the place of the old one, which must still be what it was.
///
/// # Errors
/// When that cannot be done; the file is then what it was before.
pub fn replace(path: &Path, old: &[u8], new: &str) -> Result<(), Failure> {
    let permissions = refuse(path)?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let cannot = |error: &dyn std::fmt::Display| {
        Failure::new(format!("could not write `{}`: {error}", path.display()))
    };
    let mut file = tempfile::Builder::new()
        .prefix(".oidc-migrate-")
        .tempfile_in(folder)
        .map_err(|error| cannot(&error))?;
    file.write_all(new.as_bytes())
        .map_err(|error| cannot(&error))?;
    file.as_file()
        .set_permissions(permissions)
        .map_err(|error| cannot(&error))?;
    file.as_file().sync_all().map_err(|error| cannot(&error))?;
    if fs::read(path).map_err(|error| cannot(&error))? != old {
        return Err(Failure::new(format!(
            "`{}` was changed by somebody else meanwhile",
            path.display()
        ))
        .hint("run it again"));
    }
    file.persist(path).map_err(|error| cannot(&error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_text_changes_and_the_mode_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bitbucket-pipelines.yml");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"old", "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn what_may_not_be_written_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bitbucket-pipelines.yml");
        fs::write(&path, "newer").unwrap();
        let failure = replace(&path, b"old", "new").unwrap_err().to_string();
        assert!(failure.contains("changed by somebody else"), "{failure}");
        let link = folder.path().join("link.yml");
        symlink(&path, &link).unwrap();
        assert!(
            replace(&link, b"newer", "new")
                .unwrap_err()
                .to_string()
                .contains("is a link")
        );
        fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        assert!(
            replace(&path, b"newer", "new")
                .unwrap_err()
                .to_string()
                .contains("is read-only")
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
        assert_eq!(folder.path().read_dir().unwrap().count(), 2);
    }
}
