//! What holds for every site: random trees go into random buckets with random settings, then random edits, each deployed.
//! After a run that succeeds the bucket equals the tree but for what is retained, the same run again changes nothing,
//! and nothing outside the prefix was ever touched.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use shared::testing::Output;

use crate::step::{Step, last_line};

/// Names made of these sort unlike their directories (`a/b` lies behind `a-b` and `a.b`), need encoding in paths, queries,
/// copy sources or XML, or look like the pipe's own folder.
const FOLDERS: &str = "|||a/|a.b/|a/b/|a b/|100%/+/|ü/|.x/";
const STEMS: &str = "a|a.b|a-b|a!|b|B|index|ä ö|e\u{301}|日本|😀|x+y|50%25|%2F|a b|~|'q'|<&>|\"|a:b|#1|?q=1|=;,@$|\
                     .s3-deploy|c\\d|[0]|app.0a1b2c3d";
const EXTENSIONS: &str = "|.html|.css|.js|.png|.txt";
const PREFIXES: &str = "|site/|a/b/";
/// Where another tool puts objects: under a prefix, beside it, and where a prefix without its slash would reach.
const PLACES: &str = "|site|site/|site-old/|site/sub//|a|a/|a/b|a/b/|a/bc/|other/";
/// How many later releases a file stays for, where RETAIN is given.
const RETAIN: u32 = 2;

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

/// An object that another tool has put.
#[derive(Debug)]
enum Foreign {
    Other(&'static str, String, Content),
    SameAsFile,
    SameSizeAsFile,
    CopyOfFile(&'static str),
}

#[derive(Debug)]
enum Edit {
    Add(String, Content),
    Remove,
    Change(Content),
    ChangeKeepingSize,
    Rename(String),
    CacheControl(&'static str),
}

#[derive(Debug)]
struct Settings {
    prefix: &'static str,
    delete: bool,
    manifest: bool,
    retain: bool,
    gzip: bool,
    cache_control: &'static str,
}

fn one_of(list: &'static str) -> impl Strategy<Value = &'static str> {
    select(list.split('|').collect::<Vec<_>>())
}

fn name() -> impl Strategy<Value = String> {
    let parts = (one_of(FOLDERS), one_of(STEMS), one_of(EXTENSIONS));
    parts.prop_map(|(folder, stem, extension)| [folder, stem, extension].concat())
}

fn content() -> impl Strategy<Value = Content> {
    // From 1,024 bytes on text is compressed.
    let size = prop_oneof![2 => 0..2_usize, 4 => 1020..1030_usize, 13 => 0..3000_usize, 1 => Just(100_000)];
    (size, 0..3_u8).prop_map(|(size, seed)| Content { size, seed })
}

fn foreign() -> impl Strategy<Value = Foreign> {
    prop_oneof![
        (one_of(PLACES), name(), content())
            .prop_map(|(place, name, content)| Foreign::Other(place, name, content)),
        Just(()).prop_map(|()| Foreign::SameAsFile),
        Just(()).prop_map(|()| Foreign::SameSizeAsFile),
        one_of(PLACES).prop_map(Foreign::CopyOfFile),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (name(), content()).prop_map(|(name, content)| Edit::Add(name, content)),
        Just(()).prop_map(|()| Edit::Remove),
        content().prop_map(Edit::Change),
        Just(()).prop_map(|()| Edit::ChangeKeepingSize),
        name().prop_map(Edit::Rename),
        cache_control().prop_map(Edit::CacheControl),
    ]
}

fn cache_control() -> impl Strategy<Value = &'static str> {
    one_of("|no-cache|public, max-age=60")
}

fn settings() -> impl Strategy<Value = Settings> {
    let all = (one_of(PREFIXES), any::<[bool; 4]>(), cache_control());
    all.prop_map(
        |(prefix, [delete, manifest, retain, gzip], cache_control)| Settings {
            prefix,
            delete,
            manifest,
            // Without a manifest it is refused.
            retain: retain && manifest,
            gzip,
            cache_control,
        },
    )
}

/// What the bucket holds under a key.
#[derive(Debug, PartialEq)]
struct Object {
    cache_control: String,
    encoding: String,
    body: Vec<u8>,
}

impl Object {
    fn content(&self) -> Vec<u8> {
        let mut content = Vec::new();
        match self.encoding.as_str() {
            "gzip" => flate2::read::GzDecoder::new(&*self.body).read_to_end(&mut content),
            _ => (&*self.body).read_to_end(&mut content),
        }
        .unwrap();
        content
    }
}

/// A site through its deploys, and what the next one finds.
struct Site {
    step: Step,
    settings: Settings,
    tree: BTreeMap<String, Content>,
    bucket: BTreeMap<String, Object>,
    /// The least and the most releases since a file was taken out: it is open whether a run is one that does only that.
    retired: BTreeMap<String, (u32, u32)>,
}

impl Site {
    fn new(files: Vec<(String, Content)>, settings: Settings) -> Self {
        let mut site = Self {
            step: Step::new(),
            settings,
            tree: files.into_iter().collect(),
            bucket: BTreeMap::new(),
            retired: BTreeMap::new(),
        };
        site.remove_clashes();
        site
    }

    /// No file can have the name of a directory of others; in a bucket it can.
    fn remove_clashes(&mut self) {
        let folders = |name: &String| {
            let ends: Vec<_> = name.match_indices('/').collect();
            ends.into_iter()
                .map(|(end, _)| name[..end].to_owned())
                .collect::<Vec<_>>()
        };
        let folders: BTreeSet<String> = self.tree.keys().flat_map(folders).collect();
        self.tree.retain(|name, _| !folders.contains(name));
    }

    /// The file of this number, counted round and round.
    fn file(&self, number: usize) -> Option<(String, Content)> {
        let file = self.tree.iter().nth(number % self.tree.len().max(1));
        file.map(|(name, content)| (name.clone(), *content))
    }

    fn put(&self, number: usize, foreign: Foreign) {
        let prefix = self.settings.prefix;
        let (place, (name, content)) = match (foreign, self.file(number)) {
            (Foreign::Other(place, name, content), _) => (place, (name, content)),
            (Foreign::SameAsFile, Some(file)) => (prefix, file),
            (Foreign::SameSizeAsFile, Some((name, content))) => {
                (prefix, (name, content.of_same_size()))
            }
            (Foreign::CopyOfFile(place), Some(file)) => (place, file),
            (_, None) => return,
        };
        let key = [place, &name].concat();
        let headers = [("cache-control", "of another tool")];
        self.step
            .aws
            .put_object(&self.step.bucket, &key, &content.bytes(), &headers);
    }

    fn edit(&mut self, number: usize, edit: Edit) {
        match (edit, self.file(number)) {
            (Edit::CacheControl(value), _) => self.settings.cache_control = value,
            (Edit::Add(name, content), _) | (Edit::Change(content), Some((name, _))) => {
                self.tree.insert(name, content);
            }
            (Edit::Remove, Some((name, _))) => {
                self.tree.remove(&name);
            }
            (Edit::ChangeKeepingSize, Some((name, content))) => {
                self.tree.insert(name, content.of_same_size());
            }
            (Edit::Rename(to), Some((name, content))) => {
                self.tree.remove(&name);
                self.tree.insert(to, content);
            }
            (_, None) => {}
        }
        self.remove_clashes();
    }

    /// Runs the pipe on a fresh checkout.
    fn run(&self) -> Output {
        let (step, settings) = (&self.step, &self.settings);
        let root = step.site.path();
        std::fs::remove_dir_all(root).unwrap();
        std::fs::create_dir(root).unwrap();
        for (name, content) in &self.tree {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content.bytes()).unwrap();
        }
        step.proxy.clear();
        step.pipe()
            .env("S3_BUCKET", format!("{}/{}", step.bucket, settings.prefix))
            .env("DELETE_FLAG", settings.delete.to_string())
            .env("DELETE_LIMIT", "100%")
            .env("MANIFEST", settings.manifest.to_string())
            .env(
                "RETAIN",
                if settings.retain {
                    RETAIN.to_string()
                } else {
                    String::new()
                },
            )
            .env("COMPRESS", if settings.gzip { "gzip" } else { "" })
            .env("CACHE_CONTROL", settings.cache_control)
            .run()
    }

    /// Replaces what is known of the bucket, and gives what was.
    fn look(&mut self) -> BTreeMap<String, Object> {
        let keys = self.step.aws.keys(&self.step.bucket);
        let objects = keys.into_iter().map(|key| {
            let (headers, body) = self.step.aws.get_object(&self.step.bucket, &key);
            let header = |name| headers.get(name).cloned().unwrap_or_default();
            let (cache_control, encoding) = (header("cache-control"), header("content-encoding"));
            (
                key,
                Object {
                    cache_control,
                    encoding,
                    body: body.to_vec(),
                },
            )
        });
        let objects = objects.collect();
        std::mem::replace(&mut self.bucket, objects)
    }

    /// Deploys, checks what came of it, and deploys the same again.
    fn deploy(&mut self) {
        let output = self.run();
        let before = self.look();
        if self.tree.is_empty() {
            assert_eq!(output.code, Some(1), "{}", output.plain());
            assert_eq!(before, self.bucket);
            return;
        }
        let printed = output.without_debug();
        assert_eq!(output.code, Some(0), "{printed}");
        // What bulk deletes name is not recorded; it is seen in the bucket.
        let under_prefix = format!("/{}/{}", self.step.bucket, self.settings.prefix);
        for request in self.step.proxy.requests() {
            let writes = request.action.is_empty() && matches!(&*request.method, "PUT" | "DELETE");
            assert!(
                !writes || request.path.starts_with(&under_prefix),
                "{request:?}"
            );
        }
        self.check(&before, !is_idle(last_line(&printed)));

        let printed = self.run().without_debug();
        assert!(is_idle(last_line(&printed)), "the same again: {printed}");
        assert_eq!(
            self.step.s3_requests(),
            ["GET /"],
            "the same again: {printed}"
        );
    }

    fn check(&mut self, before: &BTreeMap<String, Object>, is_release: bool) {
        let Settings {
            prefix,
            delete,
            manifest,
            retain,
            cache_control,
            ..
        } = self.settings;
        let outside = |(key, _): &(&String, &Object)| !key.starts_with(prefix);
        let is_untouched = before
            .iter()
            .filter(outside)
            .eq(self.bucket.iter().filter(outside));
        assert!(is_untouched, "changed outside of the prefix");

        let keys = before.keys().chain(self.bucket.keys());
        let mut names: BTreeSet<&str> = keys.filter_map(|key| key.strip_prefix(prefix)).collect();
        names.retain(|name| !name.starts_with(".s3-deploy/"));
        names.extend(self.tree.keys().map(String::as_str));
        let is_new =
            |name: &&str| !self.tree.contains_key(*name) && !self.retired.contains_key(*name);
        let perhaps_release = is_release || names.iter().any(is_new);
        for name in names {
            let key = [prefix, name].concat();
            let (old, new) = (before.get(&key), self.bucket.get(&key));
            if let Some(content) = self.tree.get(name) {
                let new = new.unwrap_or_else(|| panic!("`{name}` is missing"));
                assert!(
                    new.content() == content.bytes(),
                    "`{name}` has another content"
                );
                if manifest && !cache_control.is_empty() {
                    assert_eq!(new.cache_control, cache_control, "`{name}`");
                }
                self.retired.remove(name);
                continue;
            }
            assert!(
                new.is_none() || new == old,
                "nobody changes or makes `{name}`"
            );
            let count = |(least, most): &mut (u32, u32)| {
                *least += u32::from(is_release);
                *most += u32::from(perhaps_release);
            };
            let retired = self
                .retired
                .entry(name.to_owned())
                .and_modify(count)
                .or_default();
            // Pages go at once; what pages load stays for a while.
            let is_kept =
                |releases| !delete || retain && releases < RETAIN && !name.ends_with(".html");
            let allowed = [is_kept(retired.0), is_kept(retired.1)];
            assert!(
                allowed.contains(&new.is_some()),
                "`{name}` after {retired:?} releases: {}",
                new.is_some()
            );
            if new.is_none() {
                self.retired.remove(name);
            }
        }
    }
}

fn is_idle(summary: &str) -> bool {
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
        files in prop_oneof![1 => Just(Vec::new()), 11 => vec((name(), content()), 1..=25)],
        settings in settings(),
        bucket in vec((0..25_usize, foreign()), 0..=12),
        edits in vec((0..25_usize, edit()), 1..=3),
    ) {
        let mut site = Site::new(files, settings);
        for (number, foreign) in bucket {
            site.put(number, foreign);
        }
        site.look();
        site.deploy();
        for (number, edit) in edits {
            site.edit(number, edit);
            site.deploy();
        }
    }
}
