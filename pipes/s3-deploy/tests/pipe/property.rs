//! What holds for every site: random trees go into random buckets with random settings, then random edits, each deployed.
//! After a run that succeeds the bucket equals the tree but for what is retained, the same run again changes nothing,
//! and nothing outside the prefix was ever touched.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use flate2::read::GzDecoder;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use shared::testing::{Output, Recorded};

use crate::step::{Step, last_line};

/// Names made of these sort unlike their directories (`a/b` lies behind `a-b` and `a.b`), need encoding in paths, queries,
/// copy sources or XML, or look like the pipe's own folder.
const FOLDERS: &str = "|||a/|a.b/|a/b/|a b/|100%/+/|ü/|.x/";
const STEMS: &str = "a|a.b|a-b|a!|b|B|index|ä ö|e\u{301}|日本|😀|x+y|50%25|%2F|a b|~|'q'|<&>|\"|a:b|#1|?q=1|=;,@$|\
                     .s3-deploy|c\\d|[0]|app.0a1b2c3d";
const EXTENSIONS: &str = "|.html|.css|.js|.png|.txt";
const PREFIXES: &str = "|site/|a/b/";
const SETTINGS: [(&str, &str); 6] = [
    ("DELETE_FLAG", "true|true|true|false"),
    ("DELETE_SCOPE", "|all|deployed"),
    ("MANIFEST", "true|true|true|false"),
    ("RETAIN", "|2"),
    ("COMPRESS", "|gzip"),
    ("CACHE_CONTROL", CACHE_CONTROL),
];
const CACHE_CONTROL: &str = "|no-cache|public, max-age=60";
/// Where another tool puts objects: under a prefix, beside it, and where a prefix without its slash would reach.
const PLACES: &str = "|site|site/|site-old/|site/sub//|a|a/|a/b|a/b/|a/bc/|other/";

type File = (String, Content);
/// What the bucket holds by key: `Cache-Control` and content, decompressed.
type Objects = BTreeMap<String, (String, Vec<u8>)>;

/// The bytes of a file: those of two seeds differ, with the same length also when compressed.
#[derive(Clone, Copy, Debug)]
struct Content {
    size: usize,
    seed: u8,
}

impl Content {
    fn of_same_size(self) -> Self {
        let seed = (self.seed + 1) % 26;
        Self { seed, ..self }
    }

    fn bytes(self) -> Vec<u8> {
        let line = [b'a' + self.seed, b'-', b'a' + self.seed, b'\n'];
        line.into_iter().cycle().take(self.size).collect()
    }
}

/// What another tool has put into the bucket.
#[derive(Clone, Copy, Debug)]
enum Foreign {
    Other,
    SameAsFile,
    SameSizeAsFile,
    FileElsewhere,
}

const FOREIGN: &[Foreign] = &[
    Foreign::Other,
    Foreign::SameAsFile,
    Foreign::SameSizeAsFile,
    Foreign::FileElsewhere,
];

#[derive(Clone, Copy, Debug)]
enum Edit {
    Add,
    Remove,
    Change,
    ChangeKeepingSize,
    Rename,
    CacheControl(&'static str),
}

fn one_of(list: &'static str) -> impl Strategy<Value = &'static str> {
    select(list.split('|').collect::<Vec<_>>())
}

fn file() -> impl Strategy<Value = File> {
    let name = (one_of(FOLDERS), one_of(STEMS), one_of(EXTENSIONS));
    let name = name.prop_map(|(folder, stem, extension)| [folder, stem, extension].concat());
    // From 1,024 bytes on text is compressed.
    let size = prop_oneof![2 => 0..2_usize, 4 => 1020..1030_usize, 13 => 0..3000_usize, 1 => Just(100_000)];
    let content = (size, 0..3_u8).prop_map(|(size, seed)| Content { size, seed });
    (name, content)
}

fn edit() -> impl Strategy<Value = Edit> {
    use Edit::{Add, Change, ChangeKeepingSize, Remove, Rename};
    let edits = select(vec![Add, Change, ChangeKeepingSize, Remove, Rename]);
    prop_oneof![5 => edits, 1 => one_of(CACHE_CONTROL).prop_map(Edit::CacheControl)]
}

/// A site through its deploys, and what the next one finds.
struct Site {
    step: Step,
    prefix: &'static str,
    settings: BTreeMap<&'static str, &'static str>,
    tree: BTreeMap<String, Content>,
    bucket: Objects,
    /// How many releases there have been since a file was taken out.
    retired: BTreeMap<String, u32>,
    /// All files that a deploy has put there.
    deployed: BTreeSet<String>,
}

impl Site {
    /// No file can have the name of a directory of others; in a bucket it can.
    fn remove_clashes(&mut self) {
        let names: Vec<String> = self.tree.keys().cloned().collect();
        self.tree.retain(|name, _| {
            let folder = format!("{name}/");
            !names.iter().any(|other| other.starts_with(&folder))
        });
    }

    /// The file of this number, counted round and round.
    fn file(&self, number: usize) -> Option<File> {
        let file = self.tree.iter().nth(number % self.tree.len().max(1));
        file.map(|(name, content)| (name.clone(), *content))
    }

    fn put(&self, foreign: Foreign, number: usize, place: &str, other: File) {
        let (place, (name, content)) = match (foreign, self.file(number)) {
            (Foreign::Other, _) | (_, None) => (place, other),
            (Foreign::SameAsFile, Some(file)) => (self.prefix, file),
            (Foreign::SameSizeAsFile, Some((name, old))) => {
                (self.prefix, (name, old.of_same_size()))
            }
            (Foreign::FileElsewhere, Some(file)) => (place, file),
        };
        let headers = [("cache-control", "of another tool")];
        let (aws, bucket) = (&self.step.aws, &self.step.bucket);
        aws.put_object(bucket, &[place, &name].concat(), &content.bytes(), &headers);
    }

    fn edit(&mut self, edit: Edit, number: usize, other: File) {
        let (name, content) = self.file(number).unwrap_or_else(|| other.clone());
        let (replaced, file) = match edit {
            Edit::Add => (None, Some(other)),
            Edit::Remove => (Some(name), None),
            Edit::Change => (None, Some((name, other.1))),
            Edit::ChangeKeepingSize => (None, Some((name, content.of_same_size()))),
            Edit::Rename => (Some(name), Some((other.0, content))),
            Edit::CacheControl(value) => {
                self.settings.insert("CACHE_CONTROL", value);
                (None, None)
            }
        };
        self.tree.retain(|name, _| Some(name) != replaced.as_ref());
        self.tree.extend(file);
        self.remove_clashes();
    }

    /// Runs the pipe on a fresh checkout.
    fn run(&self) -> Output {
        let root = self.step.site.path();
        std::fs::remove_dir_all(root).unwrap();
        std::fs::create_dir(root).unwrap();
        for (name, content) in &self.tree {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content.bytes()).unwrap();
        }
        self.step.proxy.clear();
        let pipe = self.step.pipe().envs(self.settings.clone());
        pipe.env("S3_BUCKET", format!("{}/{}", self.step.bucket, self.prefix))
            .env("DELETE_LIMIT", "100%")
            .run()
    }

    /// Replaces what is known of the bucket, and gives what was.
    fn look(&mut self) -> Objects {
        let bucket = &self.step.bucket;
        let objects = self.step.aws.keys(bucket).into_iter().map(|key| {
            let (mut headers, body) = self.step.aws.get_object(bucket, &key);
            let mut content = body.to_vec();
            if headers
                .get("content-encoding")
                .is_some_and(|coding| coding == "gzip")
            {
                content.clear();
                GzDecoder::new(&*body).read_to_end(&mut content).unwrap();
            }
            let cache_control = headers.remove("cache-control").unwrap_or_default();
            (key, (cache_control, content))
        });
        let objects = objects.collect();
        std::mem::replace(&mut self.bucket, objects)
    }

    /// Deploys, checks what came of it, and deploys the same again.
    fn deploy(&mut self) {
        let output = self.run();
        let before = self.look();
        let printed = output.without_debug();
        if self.tree.is_empty() {
            assert_eq!(output.code, Some(1), "{printed}");
            assert_eq!(before, self.bucket);
            return;
        }
        assert_eq!(output.code, Some(0), "{printed}");
        // What bulk deletes name is not recorded; it is seen in the bucket.
        let under_prefix = format!("/{}/{}", self.step.bucket, self.prefix);
        let mut requests = self.step.proxy.requests();
        requests.retain(|request| request.action.is_empty());
        for Recorded { method, path, .. } in requests {
            let reads = !["PUT", "DELETE"].contains(&&*method);
            assert!(reads || path.starts_with(&under_prefix), "{method} {path}");
        }
        self.check(&before, !is_idle(&printed));

        let printed = self.run().without_debug();
        assert!(is_idle(&printed), "the same again: {printed}");
        let requests = self.step.s3_requests();
        assert_eq!(requests, ["GET /"], "the same again: {printed}");
    }

    fn check(&mut self, before: &Objects, has_changes: bool) {
        let is_outside = |key: &&String| !key.starts_with(self.prefix);
        let mut keys = before.keys().chain(self.bucket.keys()).filter(is_outside);
        let changed = keys.find(|key| before.get(*key) != self.bucket.get(*key));
        assert_eq!(changed, None, "outside of the prefix");

        let key = |name: &str| [self.prefix, name].concat();
        for (name, content) in &self.tree {
            let Some((cache_control, found)) = self.bucket.get(&key(name)) else {
                panic!("`{name}` is missing");
            };
            assert!(*found == content.bytes(), "`{name}` has another content");
            let wished = self.settings["CACHE_CONTROL"];
            if self.settings["MANIFEST"] == "true" && !wished.is_empty() {
                assert_eq!(cache_control, wished, "`{name}`");
            }
        }

        let keys = before.keys().chain(self.bucket.keys());
        let mut leftovers: BTreeSet<&str> = keys
            .filter_map(|key| key.strip_prefix(self.prefix))
            .collect();
        leftovers.retain(|name| !name.starts_with(".s3-deploy/") && !self.tree.contains_key(*name));
        let is_in_scope = |name: &&str| {
            self.settings["DELETE_SCOPE"] != "deployed" || self.deployed.contains(*name)
        };
        let (leftovers, foreign): (Vec<&str>, Vec<&str>) =
            leftovers.into_iter().partition(is_in_scope);
        for name in foreign {
            let key = key(name);
            assert_eq!(
                self.bucket.get(&key),
                before.get(&key),
                "`{name}` is foreign"
            );
        }
        // Taking files out makes a release too, even when all of them stay for a while.
        let is_new = |name: &&str| !self.retired.contains_key(*name);
        let is_release = has_changes || leftovers.iter().any(is_new);
        let mut retired = BTreeMap::new();
        for name in leftovers {
            let releases = self
                .retired
                .get(name)
                .map_or(0, |count| count + u32::from(is_release));
            // Pages go at once; what pages load stays for a while.
            let is_page = name.rsplit('.').next() == Some("html");
            let retain = self.settings["RETAIN"].parse().unwrap_or(0);
            let stays = self.settings["DELETE_FLAG"] == "false" || (releases < retain && !is_page);
            let (old, new) = (before.get(&key(name)), self.bucket.get(&key(name)));
            assert_eq!(
                new,
                old.filter(|_| stays),
                "`{name}` after {releases} releases"
            );
            if stays {
                retired.insert(name.to_owned(), releases);
            }
        }
        self.retired = retired;
        self.deployed.extend(self.tree.keys().cloned());
    }
}

fn is_idle(printed: &str) -> bool {
    let summary = last_line(printed);
    summary.contains("✔ ")
        && summary.contains("uploaded 0, deleted 0")
        && !summary.contains("headers")
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        max_shrink_iters: 50,
        // The input is printed; a file of seeds beside the sources would be one more thing to keep.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_bucket_equals_the_tree_after_every_deploy(
        files in prop_oneof![1 => Just(Vec::new()), 11 => vec(file(), 1..=25)],
        prefix in one_of(PREFIXES),
        settings in SETTINGS.map(|(name, values)| one_of(values).prop_map(move |value| (name, value))),
        bucket in vec((select(FOREIGN), 0..25_usize, one_of(PLACES), file()), 0..=12),
        edits in vec((edit(), 0..25_usize, file()), 1..=3),
    ) {
        let mut settings = BTreeMap::from(settings);
        // Without a manifest these are refused.
        if settings["MANIFEST"] == "false" {
            settings.insert("RETAIN", "");
            settings.insert("DELETE_SCOPE", "");
        }
        let (tree, step) = (BTreeMap::from_iter(files), Step::new());
        let mut site = Site { step, prefix, settings, tree, bucket: BTreeMap::new(), retired: BTreeMap::new(), deployed: BTreeSet::new() };
        site.remove_clashes();
        for (foreign, number, place, other) in bucket {
            site.put(foreign, number, place, other);
        }
        site.look();
        site.deploy();
        for (edit, number, other) in edits {
            site.edit(edit, number, other);
            site.deploy();
        }
    }
}
