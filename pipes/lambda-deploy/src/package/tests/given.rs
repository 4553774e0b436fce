//! Archives that something else made: what Lambda would refuse or never find is refused, one line for each entry.

use std::fs;
use std::path::Path;

use super::super::archive::{Archive, Data, Method, Mode};
use super::super::contents::{Architecture, Target};
use super::super::{Package, elf};
use super::{directory, open};

/// An archive of stored entries: name, mode, content.
fn archive(entries: &[(&str, Mode, &[u8])]) -> Vec<u8> {
    let mut archive = Archive::default();
    for (name, mode, content) in entries {
        let data = Data {
            method: Method::Stored,
            crc: crc32fast::hash(content),
            length: content.len() as u64,
        };
        let add = archive.add(name, *mode, |out| {
            out.extend_from_slice(content);
            Ok::<_, ()>(data)
        });
        add.unwrap();
    }
    archive.finish().bytes
}

fn given(bytes: &[u8]) -> Result<Package, String> {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("code.zip");
    fs::write(&path, bytes).unwrap();
    open(&path).map_err(|failure| {
        failure
            .to_string()
            .replace(path.to_str().unwrap(), "code.zip")
    })
}

#[test]
fn an_archive_of_pythons_zipfile_is_taken_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("code.zip");
    let script = "import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.writestr('app.py', 'def handler(event, context):\\n    return 1\\n')
    archive.writestr('lib/data.txt', 'x' * 100000)
    archive.writestr('spare/', '')
";
    let status = std::process::Command::new("python3")
        .args(["-I", "-c", script])
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    let package = open(&path).unwrap();
    assert_eq!(package.bytes(), fs::read(&path).unwrap());
    assert_eq!((package.files(), package.unzipped()), (2, 100_042));
    assert_eq!(package.hex_sha256(), sha256_of(&path));
}

fn sha256_of(path: &Path) -> String {
    let output = std::process::Command::new("python3")
        .args(["-I", "-c", "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())"])
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn what_is_no_archive_is_refused_with_what_it_is() {
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    let whole = archive(&[("app.py", Mode::File, b"x")]);
    let shown: Vec<String> = [
        b"".as_slice(),
        b"def handler(): pass",
        &[0x1f, 0x8b, 8, 0],
        &tar,
        b"version https://git-lfs.github.com/spec/v1\n",
        &whole[..whole.len() - 30],
    ]
    .into_iter()
    .map(|bytes| given(bytes).unwrap_err())
    .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    ZIP_FILE `code.zip` is not a zip archive: missing end of central directory
      hint: the file is empty; look at the build above
    ZIP_FILE `code.zip` is not a zip archive: missing end of central directory
      hint: give a zip archive, or a directory that is packed
    ZIP_FILE `code.zip` is not a zip archive: missing end of central directory
      hint: it is a gzip file; Lambda takes zip only, or give the directory
    ZIP_FILE `code.zip` is not a zip archive: missing end of central directory
      hint: it is a tar file; Lambda takes zip only, or give the directory
    ZIP_FILE `code.zip` is not a zip archive: missing end of central directory
      hint: it is a Git LFS pointer; set `lfs: true` in the step's clone options
    ZIP_FILE `code.zip` is not a zip archive: missing end of central directory
      hint: it begins as one, so it may be cut off: was the artifact or the download complete
    ");
    insta::assert_snapshot!(given(&archive(&[("a/", Mode::Directory, b"")])).unwrap_err(), @r"
    ZIP_FILE `code.zip` holds no file
      hint: an archive that a build left empty must not replace a function; look at the lines above the pipe
    ");
}

#[test]
fn every_entry_that_has_no_place_is_named() {
    let bytes = archive(&[
        ("../outside", Mode::File, b""),
        ("/etc/passwd", Mode::File, b""),
        ("a/../../b", Mode::File, b""),
        ("app.py", Mode::File, b""),
        ("app.py", Mode::File, b""),
        ("dir\\file.py", Mode::File, b""),
        ("./x", Mode::File, b""),
        ("a//b", Mode::File, b""),
        ("line\nbreak", Mode::File, b""),
    ]);
    insta::assert_snapshot!(given(&bytes).unwrap_err(), @r"
    ZIP_FILE `code.zip` cannot be deployed
      `../outside` leads out of the directory that it is unpacked in
      `/etc/passwd` leads out of the directory that it is unpacked in
      `a/../../b` leads out of the directory that it is unpacked in
      `app.py` is in it twice
      `dir\\file.py` has a backslash in its name, which separates directories for some tools and not for others
      `./x` is not a plain path
      `a//b` is not a plain path
      `line\nbreak` has a control character in its name
      hint: give the directory instead, and it is packed as Lambda wants it
    ");
}

#[test]
fn encrypted_and_strangely_packed_entries_are_refused() {
    let plain = archive(&[("app.py", Mode::File, b"x")]);
    let directory = plain
        .windows(4)
        .position(|bytes| bytes == b"PK\x01\x02")
        .unwrap();
    let mut encrypted = plain.clone();
    encrypted[directory + 8] |= 1;
    insta::assert_snapshot!(given(&encrypted).unwrap_err(), @r"
    ZIP_FILE `code.zip` cannot be deployed
      `app.py` is encrypted, and Lambda has no password
      hint: give the directory instead, and it is packed as Lambda wants it
    ");
    let mut bzip2 = plain;
    bzip2[directory + 10] = 12;
    insta::assert_snapshot!(given(&bzip2).unwrap_err(), @r"
    ZIP_FILE `code.zip` cannot be deployed
      `app.py` is neither stored nor deflated
      hint: give the directory instead, and it is packed as Lambda wants it
    ");
}

#[test]
fn its_unpacked_size_counts() {
    let mut bytes = archive(&[("app.py", Mode::File, b"x")]);
    let directory = bytes
        .windows(4)
        .position(|bytes| bytes == b"PK\x01\x02")
        .unwrap();
    bytes[directory + 24..directory + 28].copy_from_slice(&(300_u32 << 20).to_le_bytes());
    insta::assert_snapshot!(given(&bytes).unwrap_err(), @r"
    ZIP_FILE `code.zip` has 300 MB unpacked, and Lambda takes 250 MB
      the largest file is `app.py`, 300 MB
      hint: leave out what the function does not need, by `.lambdaignore` if it is a directory, or make it a container image (IMAGE_URI)
    ");
}

fn elf(machine: u8) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(elf::HEADER, 0);
    bytes[18] = machine;
    bytes.resize(100, 0);
    bytes
}

const X86: u8 = 62;
const ARM: u8 = 183;

#[test]
fn binaries_for_another_processor_are_refused_unless_the_right_ones_are_there_too() {
    let (x86, arm) = (elf(X86), elf(ARM));
    let check = |entries: &[(&str, &[u8])], architecture| {
        let entries: Vec<_> = entries
            .iter()
            .map(|(name, content)| (*name, Mode::Executable, *content))
            .collect();
        let target = Target {
            architecture,
            ..Target::default()
        };
        given(&archive(&entries))
            .unwrap()
            .check(&target)
            .map_err(|failure| failure.to_string())
    };
    let none: Vec<String> = Vec::new();
    let on = Architecture::Arm64;
    assert_eq!(
        check(&[("a.so", &arm), ("b.py", b"x")], on),
        Ok(none.clone())
    );
    insta::assert_snapshot!(check(&[("a.so", &x86), ("b.so", &x86)], on).unwrap_err(), @r"
    `a.so` in the package is for x86_64, and the function runs on arm64
      the same holds for 1 more
      hint: build for arm64, or set ARCHITECTURE to x86_64 if the function is to move
    ");
    let prebuilt: [(&str, &[u8]); 2] = [
        ("prebuilds/linux-x64/a.node", &x86),
        ("prebuilds/linux-arm64/a.node", &arm),
    ];
    assert_eq!(check(&prebuilt, on), Ok(none.clone()));
    assert_eq!(check(&prebuilt, Architecture::X86_64), Ok(none));
    insta::assert_snapshot!(check(&[("a.so", &arm), ("b.so", &x86)], on).unwrap().join("\n"), @"these in the package are for another processor than the function's arm64: `b.so`");
    insta::assert_snapshot!(check(&[("bootstrap", &x86), ("lib/a.so", &arm)], on).unwrap_err(), @r"
    `bootstrap` in the package is for x86_64, and the function runs on arm64
      hint: build for arm64, or set ARCHITECTURE to x86_64 if the function is to move
    ");
}

/// The same of a file that is deflated, and of one in a directory.
#[test]
fn the_processor_is_seen_in_any_package() {
    let root = directory(&[]);
    fs::write(root.path().join("a.so"), [elf(X86), vec![7; 5000]].concat()).unwrap();
    let packed = open(root.path()).unwrap();
    assert!(packed.size() < 1000, "it is deflated");
    let target = Target {
        architecture: Architecture::Arm64,
        ..Target::default()
    };
    for package in [packed.clone(), given(&packed.bytes()).unwrap()] {
        let failure = package.check(&target).unwrap_err().to_string();
        assert!(
            failure.starts_with("`a.so` in the package is for x86_64"),
            "{failure}"
        );
    }
}

#[test]
fn the_file_of_the_handler_has_to_be_there() {
    let ok = |runtime, handler, file: &str| {
        let target = Target {
            runtime: Some(runtime),
            handler: Some(handler),
            ..Target::default()
        };
        let bytes = archive(&[(file, Mode::File, b"x")]);
        given(&bytes)
            .unwrap()
            .check(&target)
            .map_err(|failure| failure.to_string())
    };
    for (runtime, handler, file) in [
        ("python3.13", "app.handler", "app.py"),
        ("python3.13", "src.app.handler", "src/app.py"),
        ("python3.13", "src/app.handler", "src/app.py"),
        ("python3.13", "app.handler", "app/__init__.py"),
        (
            "python3.13",
            "app.handler",
            "app.cpython-313-x86_64-linux-gnu.so",
        ),
        ("nodejs22.x", "index.handler", "index.mjs"),
        ("nodejs22.x", "dist/index.handler", "dist/index.js"),
        ("nodejs22.x", "./dist/index.handler", "dist/index.js"),
        ("nodejs22.x", "index.a.b", "index.cjs"),
        ("ruby3.3", "app.App::Handler.process", "app.rb"),
        ("java21", "com.example.Handler::run", "lib/app.jar"),
        ("dotnet8", "App::App.Function::Run", "App.dll"),
        ("python3.13", "/opt/wrapper.handler", "x"),
    ] {
        assert_eq!(
            ok(runtime, handler, file),
            Ok(Vec::new()),
            "{handler} in {file}"
        );
    }
    insta::assert_snapshot!(ok("python3.13", "app.handler", "src/app.py").unwrap_err(), @r"
    the handler `app.handler` is not in the package: `python3.13` looks for `app.py`
      hint: it has `src/app.py`; pack what is in that directory, not the directory, or set HANDLER
    ");
    insta::assert_snapshot!(ok("nodejs22.x", "index.handler", "app.js").unwrap_err(), @r"
    the handler `index.handler` is not in the package: `nodejs22.x` looks for `index.js`
      hint: set HANDLER to the file and function that the package has
    ");
    insta::assert_snapshot!(ok("provided.al2023", "x", "target/bootstrap").unwrap_err(), @r"
    `bootstrap` is not in the package, and `provided.al2023` runs it
      hint: it has `target/bootstrap`; it has to be at the top: pack what is in that directory
    ");
    insta::assert_snapshot!(ok("provided.al2023", "x", "bootstrap").unwrap_err(), @r"
    `bootstrap` in the package is not executable, and `provided.al2023` runs it
      hint: `chmod +x bootstrap` before it is packed
    ");
    let in_a_layer = Target {
        runtime: Some("python3.13"),
        handler: Some("app.handler"),
        has_layers: true,
        ..Target::default()
    };
    let bytes = archive(&[("data.txt", Mode::File, b"x")]);
    assert_eq!(
        given(&bytes).unwrap().check(&in_a_layer).unwrap(),
        Vec::<String>::new()
    );
}

#[test]
fn files_that_only_their_owner_may_read_are_told_of() {
    let mut bytes = archive(&[("app.py", Mode::File, b"x")]);
    let directory = bytes
        .windows(4)
        .position(|bytes| bytes == b"PK\x01\x02")
        .unwrap();
    bytes[directory + 40..directory + 42].copy_from_slice(&0o100_600_u16.to_le_bytes());
    let warnings = given(&bytes).unwrap().check(&Target::default()).unwrap();
    insta::assert_snapshot!(warnings.join("\n"), @"only their owner may read these in the archive, and Lambda runs functions as another user: `app.py`; `chmod -R a+rX` before they are packed");
}

#[test]
fn a_device_is_neither_an_archive_nor_a_directory() {
    let failure = open(Path::new("/dev/null")).unwrap_err();
    insta::assert_snapshot!(failure, @"ZIP_FILE `/dev/null` is neither a file nor a directory");
}
