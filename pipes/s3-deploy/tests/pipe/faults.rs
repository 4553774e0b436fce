//! A site, and a site with a file that goes up in parts, under every fault of the table and under signals at random moments.
//! `FAULTS=all` tries the whole table (`ci/bench/faults.sh`), `KILLED_RUNS=200` more signals (`ci/bench/killed.sh`).

use std::collections::BTreeMap;
use std::time::Duration;

use shared::testing::{Focus, Pipe, Proxy, Recorded, Subject, Things, Trap, kill, tried};

use crate::step::Step;

/// Longer than TIMEOUT and the cleaning up after it.
const DEADLINE: Duration = Duration::from_secs(45);
const OLD: &str = "assets/app.0a1b2c3d.js";
const NEW: &str = "assets/app.1a2b3c4d.js";
const LARGE: &str = "large.bin";
/// Three parts.
const LARGE_SIZE: usize = 17 << 20;

fn page(asset: &str) -> String {
    format!("<script src=\"{asset}\"></script>")
}

/// The second release: assets, a style, pages, deletes, and a cache to be told.
struct Site {
    step: Step,
    distribution: String,
}

impl Site {
    fn build(&self, number: &str) -> Pipe<'_> {
        self.step
            .pipe()
            .env("BITBUCKET_BUILD_NUMBER", number)
            .env("DELETE_FLAG", "true")
            .env("CLOUDFRONT_DISTRIBUTION_ID", &self.distribution)
            .env("TIMEOUT", "25")
    }

    /// What the release has, by key.
    fn release() -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            (NEW, "new".to_owned()),
            ("assets/logo.2b3c4d5e.svg", "<svg/>".to_owned()),
            ("assets/map.3c4d5e6f.json", "{}".to_owned()),
            ("blog.html", page(NEW)),
            ("help.html", page(NEW)),
            ("index.html", page(NEW)),
            ("style.css", "new".to_owned()),
        ])
    }
}

impl Subject for Site {
    const PIPE: &'static str = "s3-deploy";

    fn new(trap: Trap) -> Self {
        let step = Step::trapped(trap);
        let distribution = step.distribution("");
        let site = Self { step, distribution };
        for (path, content) in [
            (OLD, "old"),
            ("style.css", "old"),
            ("index.html", &page(OLD)),
            ("about.html", &page(OLD)),
        ] {
            site.step.file(path, content);
        }
        let output = site.build("6").run();
        assert_eq!(output.code, Some(0), "{}", output.plain());
        for path in [OLD, "about.html"] {
            site.step.remove(path);
        }
        for (path, content) in Self::release() {
            site.step.file(path, &content);
        }
        site
    }

    fn pipe(&self) -> Pipe<'_> {
        self.build("7")
    }

    fn proxy(&self) -> &Proxy {
        &self.step.proxy
    }

    fn call(request: &Recorded) -> String {
        call(request)
    }

    fn things(&self) -> Things {
        let mut things = things(&self.step);
        let path = format!(
            "/2020-05-31/distribution/{}/invalidation",
            self.distribution
        );
        let told = self.step.aws.call("cloudfront", "GET", &path, &[], b"");
        let count = told.text().matches("<InvalidationSummary>").count();
        things.insert(self.distribution.clone(), count.to_string());
        things
    }

    fn is_wrong(&self, _: &Things) -> Option<String> {
        let (wished, keys) = (Self::release(), self.step.keys());
        if keys != wished.keys().copied().collect::<Vec<_>>() {
            return Some(format!("the bucket holds {keys:?}"));
        }
        wished.into_iter().find_map(|(key, content)| {
            let (_, body) = self.step.aws.get_object(&self.step.bucket, key);
            (body != content).then(|| format!("`{key}` has another content"))
        })
    }

    fn left_behind(&self) -> Vec<String> {
        left_behind(&self.step)
    }

    /// A visitor who gets a page gets what it loads, or the page is another one by then.
    fn is_broken(&self) -> Option<String> {
        let get = || {
            let path = format!("/{}/index.html", self.step.bucket);
            let answer = self.step.aws.call("s3", "GET", &path, &[], b"");
            (answer.status == 200).then(|| answer.text())
        };
        let Some(shown) = get() else {
            return Some("there is no index.html".to_owned());
        };
        let asset = shown.split('"').nth(1).unwrap_or_default();
        let is_there = self.step.aws.head(&self.step.bucket, asset).is_some();
        (!is_there && get() == Some(shown.clone()))
            .then(|| format!("index.html loads {asset}, which is not there"))
    }
}

/// One file that goes up in three parts, and its page.
struct Large(Step);

impl Subject for Large {
    const PIPE: &'static str = "s3-deploy, in parts";

    fn new(trap: Trap) -> Self {
        let step = Step::trapped(trap);
        step.file("index.html", "old");
        let output = step.pipe().env("BITBUCKET_BUILD_NUMBER", "6").run();
        assert_eq!(output.code, Some(0), "{}", output.plain());
        step.file("index.html", "new");
        step.file(LARGE, &"0123456789abcdef".repeat(LARGE_SIZE / 16));
        Self(step)
    }

    fn pipe(&self) -> Pipe<'_> {
        self.0.pipe().env("TIMEOUT", "25")
    }

    fn proxy(&self) -> &Proxy {
        &self.0.proxy
    }

    fn call(request: &Recorded) -> String {
        let call = call(request);
        if call.contains("art") {
            call
        } else {
            String::new()
        }
    }

    fn things(&self) -> Things {
        things(&self.0)
    }

    fn is_wrong(&self, things: &Things) -> Option<String> {
        if things.keys().ne(["index.html", LARGE]) {
            return Some(format!("the bucket holds {:?}", things.keys()));
        }
        let length = self.0.header(LARGE, "content-length");
        (length != Some(LARGE_SIZE.to_string())).then(|| format!("it is {length:?} bytes long"))
    }

    fn left_behind(&self) -> Vec<String> {
        left_behind(&self.0)
    }

    fn is_broken(&self) -> Option<String> {
        None
    }

    fn discard(&self) {
        self.0.aws.delete_object(&self.0.bucket, LARGE);
    }
}

fn call(request: &Recorded) -> String {
    let has = |text: &str| request.query.contains(text);
    let of_cloudfront = request.path.starts_with("/2020-05-31/");
    match request.method.as_str() {
        _ if !request.action.is_empty() => request.operation(),
        "POST" if of_cloudfront => "CreateInvalidation".to_owned(),
        "GET" if of_cloudfront && request.path.contains("/invalidation/") => {
            "GetInvalidation".to_owned()
        }
        "GET" if of_cloudfront => "GetDistribution".to_owned(),
        "POST" if has("delete") => "DeleteObjects".to_owned(),
        "POST" if has("uploads") => "CreateMultipartUpload".to_owned(),
        "POST" if has("uploadId") => "CompleteMultipartUpload".to_owned(),
        "PUT" if has("partNumber") => "UploadPart".to_owned(),
        "DELETE" if has("uploadId") => "AbortMultipartUpload".to_owned(),
        "GET" if has("uploads") => "ListMultipartUploads".to_owned(),
        "GET" if has("list-type=2") => "ListObjectsV2".to_owned(),
        method if request.path.contains("/.s3-deploy/") => format!("{method} manifest"),
        method if request.path.contains(".html") => format!("{method} page"),
        method if request.path.contains("/assets/") => format!("{method} asset"),
        method => format!("{method} style"),
    }
}

fn things(step: &Step) -> Things {
    let keys = step.keys().into_iter();
    keys.map(|key| {
        let headers = step.aws.head(&step.bucket, &key);
        let etag = headers.and_then(|mut headers| headers.remove("etag"));
        (key, etag.unwrap_or_default())
    })
    .collect()
}

fn left_behind(step: &Step) -> Vec<String> {
    let mut left = Vec::new();
    let uploads = step.unfinished_uploads();
    if uploads > 0 {
        left.push(format!("{uploads} unfinished uploads"));
    }
    let (_, manifest) = step
        .aws
        .get_object(&step.bucket, ".s3-deploy/manifest.json");
    if String::from_utf8_lossy(&manifest).contains("\"lease\"") {
        left.push("the right to deploy".to_owned());
    }
    left
}

#[test]
fn a_site_under_faults() {
    tried::<Site>(Focus::here("PUT page"), DEADLINE);
}

#[test]
fn a_large_file_under_faults() {
    tried::<Large>(Focus::here("CompleteMultipartUpload"), DEADLINE);
}

#[test]
fn a_site_whose_deploys_are_killed() {
    kill::<Site>(10, DEADLINE);
}

#[test]
fn a_large_file_whose_deploys_are_killed() {
    kill::<Large>(6, DEADLINE);
}

/// A name that nobody knows, for all services and for S3 alone: said before anything is changed.
#[test]
fn a_host_that_cannot_be_found_is_said() {
    let site = Site::new(Trap::default());
    for (name, doing) in [
        ("AWS_ENDPOINT_URL_STS", "could not reach STS"),
        ("AWS_ENDPOINT_URL_S3", "could not "),
    ] {
        let before = site.things();
        let output = site
            .pipe()
            .env(name, "https://aws.invalid")
            .env("AWS_MAX_ATTEMPTS", "2")
            .run();
        let plain = output.plain();
        assert_eq!(output.code, Some(1), "{plain}");
        assert!(plain.contains(doing), "{plain}");
        assert!(plain.contains("dns error"), "{plain}");
        assert!(plain.ends_with("  nothing was changed\n"), "{plain}");
        assert_eq!(site.things(), before);
    }
    assert_eq!(site.pipe().run().code, Some(0));
}
