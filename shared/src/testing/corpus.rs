//! The inputs that `ci/fuzz` keeps: each is tried again by a plain test, without a fuzzer.

use std::path::Path;

/// Gives every file of `ci/fuzz/corpus/<target>` to `property`.
///
/// # Panics
/// When there is none, and with the name of the file when `property` does not hold for it.
pub fn replay(target: &str, property: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci/fuzz/corpus");
    let directory = corpus.join(target);
    let entries = std::fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("could not read `{}`: {error}", directory.display()));
    let mut tried = 0;
    for entry in entries {
        let path = entry.expect("a directory can be read to its end").path();
        let input = std::fs::read(&path).expect("a file of the corpus can be read");
        assert!(
            std::panic::catch_unwind(|| property(&input)).is_ok(),
            "the property does not hold for `{}`",
            path.display()
        );
        tried += 1;
    }
    assert!(tried > 0, "`{}` is empty", directory.display());
}
