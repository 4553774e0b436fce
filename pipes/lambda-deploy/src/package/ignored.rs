//! What stays out of an archive: the patterns of `.lambdaignore`, which are those of `.gitignore`, after a few of our own
//! that a later pattern such as `!__pycache__/` takes back.

use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use shared::Failure;

/// The file with the patterns, at the top of the directory.
pub const FILE: &str = ".lambdaignore";

/// A checkout's own records. And Python's caches: they hold the times of their sources, so that no two builds are
/// equal, and Python takes none whose source has another time, as all have in an archive with fixed dates.
const ALWAYS: [&str; 3] = ["/.lambdaignore", ".git", "__pycache__/"];

/// Decides by name.
#[derive(Debug)]
pub struct Ignored(Gitignore);

impl Ignored {
    /// The patterns for the directory `root`.
    ///
    /// # Errors
    /// When its `.lambdaignore` cannot be read or has a line that is no pattern.
    pub fn new(root: &Path) -> Result<Self, Failure> {
        let file = root.join(FILE);
        let failure = |why: String| {
            Failure::new(format!("could not use `{}`: {why}", file.display())).hint(
                "its lines are patterns as in `.gitignore`; <https://git-scm.com/docs/gitignore> has them all",
            )
        };
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failure(super::plain(&error))),
        };
        // The names that it is asked for are relative to the directory already.
        let mut patterns = GitignoreBuilder::new("");
        let numbered = text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line));
        for (number, line) in ALWAYS.map(|line| (0, line)).into_iter().chain(numbered) {
            patterns
                .add_line(None, line)
                .map_err(|error| failure(format!("line {number}: {error}")))?;
        }
        let built = patterns
            .build()
            .map_err(|error| failure(error.to_string()))?;
        Ok(Self(built))
    }

    /// Whether the file or directory of this name, relative to the root, stays out. What is in a directory that stays
    /// out stays out too, whatever a pattern says of it, as in git.
    pub fn has(&self, name: &Path, is_directory: bool) -> bool {
        matches!(self.0.matched(name, is_directory), Match::Ignore(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(text: &str) -> Ignored {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join(FILE), text).unwrap();
        Ignored::new(root.path()).unwrap()
    }

    #[test]
    fn patterns_are_those_of_gitignore() {
        let patterns =
            "# a comment\n\n*.md\n!README.md\n/build\nlogs/\n**/tests/*.json\n\\#x\nspace\\ \n";
        let ignored = ignored(patterns);
        for (name, is_directory, expected) in [
            ("a.md", false, true),
            ("deep/a.md", false, true),
            ("README.md", false, false),
            ("deep/README.md", false, false),
            ("build", true, true),
            ("deep/build", true, false),
            ("logs", true, true),
            ("deep/logs", true, true),
            ("logs", false, false),
            ("a/tests/x.json", false, true),
            ("a/tests/deep/x.json", false, false),
            ("#x", false, true),
            ("space ", false, true),
            ("a comment", false, false),
            (".git", true, true),
            (".git", false, true),
            ("a/.git", true, true),
            (".gitignore", false, false),
            (".lambdaignore", false, true),
            ("a/.lambdaignore", false, false),
            ("a/__pycache__", true, true),
        ] {
            assert_eq!(
                ignored.has(Path::new(name), is_directory),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn our_own_patterns_can_be_taken_back() {
        let ignored = ignored("!__pycache__/\n");
        assert!(!ignored.has(Path::new("a/__pycache__"), true));
    }

    #[test]
    fn a_line_that_is_no_pattern_is_named() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join(FILE), "*.md\n[z-a]\n").unwrap();
        let failure = Ignored::new(root.path()).unwrap_err().to_string();
        assert!(failure.contains("line 2"), "{failure}");
    }
}
