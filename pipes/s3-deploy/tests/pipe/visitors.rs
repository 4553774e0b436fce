//! SITE_URL: a small web server shows the bucket as visitors get it, with a cache in front that may keep what is old, and
//! the pipe looks until the pages are those that it has deployed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use shared::testing::{LocalAws, Output};

use crate::step::{Step, last_line};

type Cached = (BTreeMap<String, String>, Vec<u8>);

/// What the server does to the answers.
#[derive(Default)]
struct Cache {
    /// How many more requests get what is cached.
    stale: AtomicUsize,
    /// Whether the edge sets `Cache-Control` of its own.
    overrides: AtomicBool,
    pages: Mutex<BTreeMap<String, Cached>>,
    /// The paths that were asked for, each with the keys that the bucket held then.
    asked: Mutex<Vec<(String, Vec<String>)>>,
}

/// A site with its visitors' server.
struct Served {
    step: Step,
    url: String,
    cache: Arc<Cache>,
}

impl Served {
    fn new() -> Self {
        let step = Step::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/docs/", listener.local_addr().unwrap());
        let cache = Arc::new(Cache::default());
        let (aws, bucket) = (
            LocalAws::running_at(step.aws.endpoint()),
            step.bucket.clone(),
        );
        let server = Arc::clone(&cache);
        // It ends with the process of the tests.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &aws, &bucket, &server);
            }
        });
        Self { step, url, cache }
    }

    fn run(&self, variables: &[(&str, &str)]) -> Output {
        self.cache.asked.lock().unwrap().clear();
        let pipe = self.step.pipe().env("SITE_URL", &self.url);
        pipe.env("SITE_TIMEOUT", "3")
            .env("DELETE_FLAG", "true")
            .envs(variables.iter().copied())
            .run()
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.cache.asked.lock().unwrap();
        asked.iter().map(|(path, _)| path.clone()).collect()
    }
}

fn answer(mut stream: TcpStream, aws: &LocalAws, bucket: &str, cache: &Cache) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let request = lines.next().unwrap().unwrap();
    assert!(
        lines
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .any(|line| line.starts_with("user-agent: keyless-pipes-s3-deploy-")),
    );
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let keys = aws.keys(bucket);
    cache
        .asked
        .lock()
        .unwrap()
        .push((path.clone(), keys.clone()));
    let key = &path
        .strip_prefix("/docs/")
        .unwrap_or_default()
        .replace("%20", " ");
    let is_stale = cache
        .stale
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        })
        .is_ok();
    let mut pages = cache.pages.lock().unwrap();
    let cached = pages.get(&path).filter(|_| is_stale).cloned();
    let found = keys.iter().any(|each| each == key);
    let fetched = || {
        found.then(|| {
            let (headers, body) = aws.get_object(bucket, key);
            (headers, body.to_vec())
        })
    };
    let Some((mut headers, body)) = cached.or_else(fetched) else {
        let _ = stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        return;
    };
    pages.insert(path, (headers.clone(), body.clone()));
    headers.retain(|name, _| {
        ["content-type", "cache-control", "content-encoding"].contains(&name.as_str())
    });
    if cache.overrides.load(Ordering::Relaxed) {
        headers.insert("cache-control".to_owned(), "max-age=86400".to_owned());
    }
    let mut head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    let _ = stream.write_all(&[head.as_bytes(), b"\r\n", &body].concat());
}

const SHOWN: &str = "INFO: The site shows what was deployed: ";

#[test]
fn the_pages_that_changed_are_looked_at_and_no_others() {
    let served = Served::new();
    served.step.file("index.html", &"<p>hello</p>".repeat(500));
    served.step.file("about us.html", "about");
    served.step.file("style.css", "");
    let compressed = [("COMPRESS", "gzip"), ("CACHE_CONTROL", "no-cache")];
    let output = served.run(&compressed);
    assert!(
        output.plain().contains(&format!("{SHOWN}2 pages")),
        "{}",
        output.plain()
    );
    let mut asked = served.asked();
    asked.sort();
    assert_eq!(asked, ["/docs/about%20us.html", "/docs/index.html"]);
    served.step.file("about us.html", "edited");
    let output = served.run(&compressed);
    assert!(
        output.plain().contains(&format!("{SHOWN}1 pages")),
        "{}",
        output.plain()
    );
    assert_eq!(served.asked(), ["/docs/about%20us.html"]);
    served.run(&compressed);
    assert_eq!(served.asked(), Vec::<String>::new());
}

#[test]
fn nothing_is_deleted_until_the_cache_shows_the_new_page() {
    let served = Served::new();
    served
        .step
        .file("index.html", "<script src=old.js></script>");
    served.step.file("old.js", "old");
    assert_eq!(served.run(&[]).code, Some(0));
    served
        .step
        .file("index.html", "<script src=new.js></script>");
    served.step.file("new.js", "new");
    std::fs::remove_file(served.step.site.path().join("old.js")).unwrap();
    served.cache.stale.store(2, Ordering::Relaxed);
    let output = served.run(&[("SITE_TIMEOUT", "30")]);
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let asked = served.cache.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3, "{asked:?}");
    for (_, keys) in asked {
        assert!(keys.contains(&"old.js".to_owned()), "{keys:?}");
    }
    assert_eq!(served.step.keys(), ["index.html", "new.js"]);
}

#[test]
fn a_site_that_keeps_showing_the_old_page_is_a_failure_and_the_next_run_looks_again() {
    let served = Served::new();
    served.step.file("index.html", "old");
    assert_eq!(served.run(&[]).code, Some(0));
    served.step.file("index.html", "new");
    served
        .step
        .aws
        .put_object(&served.step.bucket, "gone.js", b"", &[]);
    served.cache.stale.store(1000, Ordering::Relaxed);
    let output = served.run(&[]);
    assert_eq!(output.code, Some(1));
    let fault = format!(
        "✖ gave up waiting for the site to show what was deployed after 3 s: `{}index.html`: it has another content",
        served.url
    );
    let plain = output.plain();
    assert!(plain.contains(&fault), "{plain}");
    assert_eq!(
        last_line(&plain),
        "  changed before that: uploaded 1 (`index.html`)"
    );
    assert!(served.step.keys().contains(&"gone.js".to_owned()));
    served.cache.stale.store(0, Ordering::Relaxed);
    let output = served.run(&[]);
    assert!(
        output.plain().contains(&format!("{SHOWN}1 pages"))
            && last_line(&output.plain()).contains("uploaded 0, deleted 1, unchanged 1"),
        "{}",
        output.plain()
    );
}

#[test]
fn a_header_that_the_edge_replaces_is_named() {
    let served = Served::new();
    served.step.file("index.html", "page");
    served.cache.overrides.store(true, Ordering::Relaxed);
    let output = served.run(&[("CACHE_CONTROL", "no-cache")]);
    assert_eq!(output.code, Some(1));
    let fault = "index.html`: its `cache-control` is `max-age=86400`, not `no-cache`";
    assert!(output.plain().contains(fault), "{}", output.plain());
}

#[test]
fn a_release_that_is_put_back_is_looked_at_too() {
    let served = Served::new();
    let retain = [("RETAIN", "2")];
    for page in ["first", "second"] {
        served.step.file("index.html", page);
        assert_eq!(served.run(&retain).code, Some(0));
    }
    let back = [("ROLLBACK", "previous"), ("LOCAL_PATH", "")];
    served.cache.stale.store(1000, Ordering::Relaxed);
    let output = served.run(&back);
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .plain()
            .contains("index.html`: it has another content"),
        "{}",
        output.plain()
    );
    served.cache.stale.store(0, Ordering::Relaxed);
    served.step.file("index.html", "third");
    assert_eq!(served.run(&retain).code, Some(0));
    let output = served.run(&back);
    assert!(
        output.plain().contains(&format!("{SHOWN}1 pages")),
        "{}",
        output.plain()
    );
}
