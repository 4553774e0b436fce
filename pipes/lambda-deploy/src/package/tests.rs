//! Packing as a user would notice it: equal bytes for equal trees, the tree again when an independent tool unpacks it,
//! and one error that names all that cannot be packed or deployed.

mod given;
mod property;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::pack::pack;
use super::*;

/// A directory with these files; a name that ends in `*` is executable, one with `->` is a link, one with `/` a directory.
pub(super) fn directory(entries: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, content) in entries {
        let path = root.path().join(name.trim_end_matches('*'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if let Some((name, target)) = name.split_once(" -> ") {
            symlink(target, root.path().join(name)).unwrap();
        } else if name.ends_with('/') {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::write(&path, content).unwrap();
            let mode = if name.ends_with('*') { 0o755 } else { 0o644 };
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        }
    }
    root
}

pub(super) fn zip_file(path: &Path) -> Origin<'_> {
    Origin {
        variable: "ZIP_FILE",
        path,
    }
}

fn open(path: &Path) -> Result<Package, Failure> {
    Package::open(zip_file(path), Links::Keep, Limits::default()).map_err(Failure::from)
}

/// The error, with the path of the test's own directory left out.
fn refusal(root: &TempDir, links: Links) -> String {
    let opened = Package::open(zip_file(root.path()), links, Limits::default());
    let failure = Failure::from(opened.unwrap_err());
    failure
        .to_string()
        .replace(root.path().to_str().unwrap(), "dist")
}

fn names(package: &Package) -> Vec<&str> {
    package
        .items
        .iter()
        .map(|item| item.name.as_str())
        .collect()
}

/// The bytes are a promise: when they change for an unchanged tree, every function is deployed once more, and the list
/// of changes has to say so.
#[test]
fn a_tree_has_the_sha256_that_it_had_before() {
    let root = directory(&[
        ("app.py", "def handler(event, context):\n    return 1\n"),
        ("bin/run*", "#!/bin/sh\n"),
        ("lib/ü.txt", &"all the same ".repeat(200_000)),
        ("lib/empty", ""),
        ("latest -> lib", ""),
        ("spare/", ""),
    ]);
    let package = open(root.path()).unwrap();
    assert_eq!(
        names(&package),
        [
            "app.py",
            "bin/run",
            "latest",
            "lib/empty",
            "lib/ü.txt",
            "spare/"
        ]
    );
    assert_eq!(package.unzipped(), 2_600_052);
    assert_eq!(
        package.hex_sha256(),
        "58b1c630ca2424836df995c065c9635d75f1f62b2e21a40cfe74a86a694ad108"
    );
}

#[test]
fn ignored_files_stay_out_and_empty_directories_stay() {
    let root = directory(&[
        (".lambdaignore", "*.md\ncache/*\n!keep.md\n"),
        (".git/config", ""),
        ("__pycache__/app.cpython-313.pyc", ""),
        ("app.py", ""),
        ("cache/x", ""),
        ("docs/a.md", ""),
        ("docs/keep.md", ""),
        ("one/two/three/", ""),
    ]);
    let package = open(root.path()).unwrap();
    assert_eq!(
        names(&package),
        ["app.py", "cache/", "docs/keep.md", "one/two/three/"]
    );
    assert_eq!(package.files(), 2);
}

#[test]
fn a_link_stays_one_if_it_leads_to_what_a_function_finds() {
    let root = directory(&[
        (".lambdaignore", "skipped/\n"),
        ("lib/a.so.1", "a"),
        ("lib/a.so -> a.so.1", ""),
        ("deep/down/up -> ../../lib", ""),
        ("through -> deep/down/up/a.so", ""),
        ("layer -> /opt/lib", ""),
        ("scratch -> /tmp", ""),
    ]);
    let package = open(root.path()).unwrap();
    let links = package
        .items
        .iter()
        .filter(|item| item.kind == ItemKind::Link);
    assert_eq!(links.count(), 5);

    let root = directory(&[
        (".lambdaignore", "skipped/\n"),
        ("skipped/x", ""),
        ("app.py", ""),
        ("a -> /home/build/x", ""),
        ("b -> ../outside", ""),
        ("c -> nothing", ""),
        ("d -> skipped/x", ""),
        ("e -> skipped", ""),
    ]);
    insta::assert_snapshot!(refusal(&root, Links::Keep), @r"
    could not pack 5 files of ZIP_FILE `dist`
      `a` is a link to `/home/build/x`, a path of this machine
      `b` is a link to `../outside`, which leads out of the directory
      `c` is a link to `nothing`, which leads nowhere: no such file or directory
      `d` is a link to `skipped/x`, which is not packed
      `e` is a link to `skipped`, which is not packed
      hint: leave out with `.lambdaignore` what the function does not need; SYMLINKS: follow packs what links lead to
    ");
}

#[test]
fn links_can_be_followed() {
    let outside = directory(&[("x/y.txt", "from outside")]);
    let root = directory(&[
        ("app.py", ""),
        ("lib/z.txt", "inside"),
        ("again -> lib", ""),
    ]);
    symlink(outside.path().join("x"), root.path().join("out")).unwrap();
    let package = Package::open(zip_file(root.path()), Links::Follow, Limits::default()).unwrap();
    assert_eq!(
        names(&package),
        ["again/z.txt", "app.py", "lib/z.txt", "out/y.txt"]
    );

    let root = directory(&[("app.py", ""), ("a/up -> ..", ""), ("b -> nothing", "")]);
    insta::assert_snapshot!(refusal(&root, Links::Follow), @r"
    could not pack 2 files of ZIP_FILE `dist`
      `dist/a/up` is a link to a directory that it is in
      `dist/b` is a link to nothing: no such file or directory
      hint: leave out with `.lambdaignore` what the function does not need
    ");
}

#[test]
fn all_that_cannot_be_packed_is_named_at_once() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::UnixListener;
    let root = directory(&[("app.py", ""), ("a\\b", ""), ("new\nline", "")]);
    let name = std::ffi::OsStr::from_bytes(b"latin-\xe4");
    fs::write(root.path().join(name), "").unwrap();
    let _socket = UnixListener::bind(root.path().join("socket")).unwrap();
    insta::assert_snapshot!(refusal(&root, Links::Keep), @r"
    could not pack 4 files of ZIP_FILE `dist`
      `a\\b` has a backslash in its name, which separates directories for some tools and not for others
      `latin-�` has a name that is not UTF-8
      `new\nline` has a control character in its name
      `socket` is neither a file, a link nor a directory
      hint: leave out with `.lambdaignore` what the function does not need
    ");
}

#[test]
fn an_empty_or_absent_directory_is_refused() {
    insta::assert_snapshot!(refusal(&directory(&[]), Links::Keep), @r"
    ZIP_FILE `dist` holds no file to be packed
      hint: build it earlier in this step; if it is not empty, look at `.lambdaignore`
    ");
    let all_ignored = directory(&[(".lambdaignore", "*\n"), ("app.py", "")]);
    insta::assert_snapshot!(refusal(&all_ignored, Links::Keep), @r"
    ZIP_FILE `dist` holds no file to be packed
      hint: build it earlier in this step; if it is not empty, look at `.lambdaignore`
    ");
    let failure = open(Path::new("/nonexistent/dist")).unwrap_err();
    insta::assert_snapshot!(failure, @r"
    could not read ZIP_FILE `/nonexistent/dist`: no such file or directory
      hint: it has to be made earlier in this step, or come as an artifact of another
    ");
}

#[test]
fn a_tree_beyond_the_limit_is_refused_before_it_is_read() {
    let root = directory(&[("app.py", ""), ("model.bin", "")]);
    let large = fs::File::options()
        .write(true)
        .open(root.path().join("model.bin"))
        .unwrap();
    // A hole: nothing of it is on the disk.
    large.set_len(300 << 20).unwrap();
    insta::assert_snapshot!(refusal(&root, Links::Keep), @r"
    ZIP_FILE `dist` has 300 MB unpacked, and Lambda takes 250 MB
      the largest file is `model.bin`, 300 MB
      hint: leave out what the function does not need, by `.lambdaignore` if it is a directory, or make it a container image (IMAGE_URI)
    ");
    let limits = Limits {
        unzipped: 301 << 20,
        ..Limits::default()
    };
    let package = Package::open(zip_file(root.path()), Links::Keep, limits).unwrap();
    assert!(package.is_direct(limits), "{}", package.size());
}

#[test]
fn an_archive_of_fifty_megabytes_is_not_sent_with_the_request() {
    let package = |size| Package {
        bytes: vec![0; size].into(),
        sha256: [0; 32],
        items: std::sync::Arc::new([]),
        unzipped: 0,
    };
    let limits = Limits::default();
    assert!(package((50 << 20) - (4 << 10)).is_direct(limits));
    assert!(!package(50 << 20).is_direct(limits));
}

#[test]
fn a_file_that_changes_meanwhile_is_noticed() {
    for change in ["longer", "shorter", "later", "gone"] {
        let root = directory(&[("app.py", "some text")]);
        let tree = Tree::new(zip_file(root.path()), Links::Keep).unwrap();
        let path = root.path().join("app.py");
        match change {
            "longer" => fs::write(&path, "some text and more").unwrap(),
            "shorter" => fs::write(&path, "some").unwrap(),
            "gone" => fs::remove_file(&path).unwrap(),
            _ => fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(std::time::UNIX_EPOCH)
                .unwrap(),
        }
        for workers in [1, 2] {
            let Err(failure) = pack(&tree, workers) else {
                panic!("{change} was not noticed");
            };
            let expected = if change == "gone" {
                "no such file"
            } else {
                "it changed while it was read"
            };
            assert!(failure.to_string().contains(expected), "{failure}");
        }
    }
}
