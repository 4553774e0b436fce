//! What holds for every tree: its archive is the same for any order in which it was made, times, masks, place and number
//! of threads; and Python's `zipfile`, which nobody here wrote, gives the tree back.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::archive::{Archive, Data, Finished, Method, Mode};
use super::super::pack::pack;
use super::super::tree::{Links, Tree};
use super::zip_file;

/// Names that sort unlike their directories (`a/b` lies behind `a-b` and `a.b`), need UTF-8, or look like a pattern.
const PARTS: &[&str] = &[
    "a", "a-b", "a.b", "a b", "B", "b", "ü", "e\u{301}", "日本", "~", "#x", "!x", "[0]", "*", "-r",
    "lib", ".x",
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    File(Vec<u8>, bool),
    Link(String),
    Directory,
}

type Nodes = BTreeMap<String, Node>;

fn content() -> impl Strategy<Value = Vec<u8>> {
    let text = (0_usize..5000, any::<u8>()).prop_map(|(size, seed)| {
        let line = format!("line {seed} of a file that repeats itself\n");
        line.bytes().cycle().take(size).collect()
    });
    let noise = vec(any::<u8>(), 0..3000);
    // Around the length of one block, where cutting begins.
    let large = ((1_usize << 20) - 2..(1 << 20) + 3, any::<u32>()).prop_map(|(size, mut state)| {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 28) as u8
        };
        (0..size).map(|_| next()).collect()
    });
    prop_oneof![6 => text, 3 => noise, 1 => large]
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![
        8 => (content(), any::<bool>()).prop_map(|(content, executable)| Node::File(content, executable)),
        1 => Just(Node::Directory),
        1 => Just(Node::Link(String::new())),
    ]
}

/// Trees in which no file is also a directory, and every link leads to an entry.
fn tree() -> impl Strategy<Value = Nodes> {
    let path = vec(select(PARTS), 1..4).prop_map(|parts| parts.join("/"));
    vec((path, node()), 1..24).prop_map(|entries| {
        let mut nodes = Nodes::new();
        for (path, node) in entries {
            let is_under = |one: &str, other: &str| {
                one.strip_prefix(other)
                    .is_some_and(|rest| rest.starts_with('/'))
            };
            if !nodes
                .keys()
                .any(|other| *other == path || is_under(&path, other) || is_under(other, &path))
            {
                nodes.insert(path, node);
            }
        }
        let files: Vec<String> = nodes
            .iter()
            .filter(|(_, node)| matches!(node, Node::File(..)))
            .map(|(path, _)| path.clone())
            .collect();
        let mut index = 0;
        nodes.retain(|path, node| match node {
            Node::Link(target) if !files.is_empty() => {
                *target = "../".repeat(path.matches('/').count()) + &files[index % files.len()];
                index += 1;
                true
            }
            Node::Link(_) => false,
            _ => true,
        });
        nodes
            .entry("always.txt".to_owned())
            .or_insert_with(|| Node::File(b"one file".to_vec(), false));
        nodes
    })
}

/// How one machine makes a tree.
#[derive(Clone, Debug)]
struct Making {
    order: u64,
    mask: u32,
    seconds: u64,
    place: &'static str,
    workers: usize,
}

fn making() -> impl Strategy<Value = Making> {
    (
        any::<u64>(),
        select(&[0o022, 0o077, 0o002, 0o000][..]),
        0_u64..4_000_000_000,
        select(&["x", "some/deep/place", "ä b"][..]),
        1_usize..4,
    )
        .prop_map(|(order, mask, seconds, place, workers)| Making {
            order,
            mask,
            seconds,
            place,
            workers,
        })
}

fn make(nodes: &Nodes, root: &Path, making: &Making) {
    let mut paths: Vec<(u64, &String)> = nodes
        .keys()
        .enumerate()
        .map(|(index, path)| ((index as u64 + 1).wrapping_mul(making.order | 1) >> 7, path))
        .collect();
    paths.sort_unstable();
    fs::create_dir_all(root).unwrap();
    for (index, (_, path)) in paths.into_iter().enumerate() {
        let full = root.join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        match &nodes[path] {
            Node::File(content, executable) => {
                fs::write(&full, content).unwrap();
                let mode = if *executable { 0o777 } else { 0o666 } & !making.mask;
                fs::set_permissions(&full, Permissions::from_mode(mode)).unwrap();
                let time = UNIX_EPOCH + Duration::from_secs(making.seconds + index as u64);
                File::options()
                    .append(true)
                    .open(&full)
                    .unwrap()
                    .set_modified(time)
                    .unwrap();
            }
            Node::Link(target) => symlink(target, &full).unwrap(),
            Node::Directory => fs::create_dir_all(&full).unwrap(),
        }
    }
}

fn packed(nodes: &Nodes, making: &Making) -> Finished {
    let machine = tempfile::tempdir().unwrap();
    let root = machine.path().join(making.place);
    make(nodes, &root, making);
    pack(
        &Tree::new(zip_file(&root), Links::Keep).unwrap(),
        making.workers,
    )
    .unwrap()
    .archive
}

/// What Python's `zipfile` sees: each entry on a line, and at last the SHA-256 of the archive.
const UNPACK: &str = r"
import hashlib, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
for each in archive.infolist():
    assert each.date_time == (1980, 1, 1, 0, 0, 0) and each.create_system == 3 and not each.extra
    print(oct(each.external_attr >> 16), archive.read(each).hex(), each.filename, sep='\t')
print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())
";

pub(super) fn unpacked(archive: &[u8]) -> (Vec<(String, Vec<u8>, String)>, String) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(archive).unwrap();
    let output = Command::new("python3")
        .args(["-I", "-X", "utf8", "-c", UNPACK])
        .arg(file.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let sha256 = lines.pop().unwrap().to_owned();
    let entries = lines.into_iter().map(|line| {
        let mut fields = line.splitn(3, '\t');
        let mut field = || fields.next().unwrap().to_owned();
        let (mode, hex, name) = (field(), field(), field());
        let bytes = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        (mode, bytes.collect(), name)
    });
    (entries.collect(), sha256)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn node_of(mode: &str, content: Vec<u8>) -> Node {
    match mode {
        "0o100644" => Node::File(content, false),
        "0o100755" => Node::File(content, true),
        "0o120777" => Node::Link(String::from_utf8(content).unwrap()),
        "0o40755" => Node::Directory,
        other => panic!("the mode {other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packing_depends_on_the_tree_alone_and_unpacking_gives_it_back(
        nodes in tree(),
        here in making(),
        there in making(),
    ) {
        let one = packed(&nodes, &here);
        let other = packed(&nodes, &there);
        prop_assert!(one.bytes == other.bytes, "the archives differ");
        prop_assert_eq!(one.sha256, other.sha256);

        let (entries, sha256) = unpacked(&one.bytes);
        let own = hex(&one.sha256);
        prop_assert_eq!(sha256, own);
        let mut names: Vec<&String> = entries.iter().map(|(_, _, name)| name).collect();
        let in_order = names.clone();
        names.sort_unstable();
        prop_assert_eq!(names, in_order);
        let back: Nodes = entries
            .into_iter()
            .map(|(mode, content, name)| (name.trim_end_matches('/').to_owned(), node_of(&mode, content)))
            .collect();
        prop_assert!(back == nodes, "{:?} and {:?}", back.keys(), nodes.keys());
    }
}

#[test]
fn another_content_name_or_mode_makes_another_archive() {
    let making = Making {
        order: 1,
        mask: 0o022,
        seconds: 1,
        place: "x",
        workers: 2,
    };
    let base = Nodes::from([
        ("a".to_owned(), Node::File(b"one".to_vec(), false)),
        ("d/b".to_owned(), Node::File(b"two".to_vec(), false)),
    ]);
    let changed = |path: &str, node: Option<Node>| {
        let mut nodes = base.clone();
        match node {
            Some(node) => nodes.insert(path.to_owned(), node),
            None => nodes.remove(path),
        };
        packed(&nodes, &making).sha256
    };
    let all = [
        packed(&base, &making).sha256,
        changed("a", Some(Node::File(b"onE".to_vec(), false))),
        changed("a", Some(Node::File(b"one".to_vec(), true))),
        changed("a", Some(Node::Link("d/b".to_owned()))),
        changed("a", None),
        changed("e", Some(Node::Directory)),
        changed("c", Some(Node::File(Vec::new(), false))),
    ];
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
}

/// More entries than the plain format can count.
#[test]
fn seventy_thousand_files_fit() {
    let mut archive = Archive::default();
    for index in 0..70_000 {
        let data = Data {
            method: Method::Stored,
            crc: 0,
            length: 0,
        };
        archive
            .add(&format!("{index:05}"), Mode::File, |_| Ok::<_, ()>(data))
            .unwrap();
    }
    let finished = archive.finish();
    let (entries, _) = unpacked(&finished.bytes);
    assert_eq!(entries.len(), 70_000);
    let items = super::super::given::read(&finished.bytes, zip_file(Path::new("x.zip"))).unwrap();
    assert_eq!(items.len(), 70_000);
}
