//! A second release that ends in each of its phases, by SIGTERM or by a refusal: the site that is live stays whole, nothing
//! is left that nobody can name, and the next run finishes the work.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use shared::testing::{Fault, Pipe, Recorded};

use crate::step::{Step, Trap};

/// How a run ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Signal,
    Refusal,
}

const ENDS: [End; 2] = [End::Signal, End::Refusal];

impl End {
    fn fault(self) -> Fault {
        let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        match self {
            // Longer than any run here: what waits is never forwarded, since its client is gone by then.
            Self::Signal => Fault::Delay(Duration::from_mins(1)),
            Self::Refusal => Fault::Status(403, denied.to_owned()),
        }
    }
}

/// A step with a distribution.
struct Site {
    step: Step,
    trap: Trap,
    distribution: String,
}

const OLD: &str = "assets/app.0a1b2c3d.js";
const NEW: &str = "assets/app.1a2b3c4d.js";

impl Site {
    /// With the first release live and the second one in its place in the directory.
    fn new() -> Self {
        let (step, trap) = Step::with_trap();
        let distribution = step.distribution("");
        let site = Self {
            step,
            trap,
            distribution,
        };
        site.release(OLD, "old");
        site.step.file("about.html", &page(OLD));
        assert_eq!(site.pipe("1").run().code, Some(0));
        site.release(NEW, "new");
        site.step.remove(OLD);
        site.step.remove("about.html");
        site
    }

    fn release(&self, asset: &str, text: &str) {
        self.step.file(asset, text);
        self.step.file("style.css", text);
        self.step.file("index.html", &page(asset));
    }

    fn pipe(&self, build: &str) -> Pipe<'_> {
        self.step
            .pipe()
            .env("BITBUCKET_BUILD_NUMBER", build)
            .env("DELETE_FLAG", "true")
            .env("CLOUDFRONT_DISTRIBUTION_ID", &self.distribution)
    }

    /// Runs `pipe` up to the first request of this kind, and ends it there.
    fn ends_at(
        &self,
        pipe: Pipe<'_>,
        end: End,
        is_it: impl Fn(&Recorded) -> bool + Send + Clone + 'static,
    ) -> String {
        self.step.proxy.clear();
        let trapped = is_it.clone();
        let once = AtomicUsize::new(0);
        self.trap.set(move |request| {
            // A refusal holds for the whole run; what waits is one request.
            let hits = trapped(request)
                && (end == End::Refusal || once.fetch_add(1, Ordering::Relaxed) == 0);
            hits.then(|| end.fault())
        });
        let running = pipe.spawn();
        if end == End::Signal {
            self.step.until_requested(is_it);
            running.signal("TERM");
        }
        let output = running.wait();
        self.trap.clear();
        assert_eq!(output.code, Some(1), "{}", output.plain());
        let plain = output.without_debug();
        assert_eq!(
            plain.contains("✖ interrupted by SIGTERM"),
            end == End::Signal,
            "{plain}"
        );
        plain
    }

    /// The text of the page that is live.
    fn live(&self) -> String {
        let (_, body) = self.step.aws.get_object(&self.step.bucket, "index.html");
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// Every page that can be asked for finds what it loads.
    fn assert_whole(&self, said: &str) {
        let keys: BTreeSet<String> = self.step.keys().into_iter().collect();
        for key in keys.iter().filter(|key| key.contains(".html")) {
            let (_, body) = self.step.aws.get_object(&self.step.bucket, key);
            let body = String::from_utf8(body.to_vec()).unwrap();
            let asset = body.split('"').nth(1).unwrap();
            assert!(keys.contains(asset), "{key} loads {asset}: {said}");
        }
    }

    /// The next build goes through, and nothing of the one that ended is left.
    fn assert_finished_by_the_next_run(&self) {
        let output = self.pipe("3").run();
        assert_eq!(output.code, Some(0), "{}", output.plain());
        assert_eq!(self.step.keys(), [NEW, "index.html", "style.css"]);
        assert_eq!(self.live(), page(NEW));
        assert_eq!(self.step.unfinished_uploads(), 0);
    }
}

fn page(asset: &str) -> String {
    format!("<script src=\"{asset}\"></script>")
}

fn puts(path: &'static str) -> impl Fn(&Recorded) -> bool + Send + Clone {
    move |request| request.method == "PUT" && request.path.ends_with(path)
}

fn is_invalidation(request: &Recorded) -> bool {
    request.method == "POST" && request.path.ends_with("/invalidation")
}

#[test]
fn before_the_pages_the_old_site_is_live_and_whole() {
    for end in ENDS {
        for path in [".s3-deploy/manifest.json", NEW, "/style.css", "/index.html"] {
            let site = Site::new();
            let said = site.ends_at(site.pipe("2"), end, puts(path));
            assert_eq!(site.live(), page(OLD), "{end:?} at {path}: {said}");
            let keys = site.step.keys();
            for old in [OLD, "about.html"] {
                assert!(
                    keys.contains(&old.to_owned()),
                    "{end:?} at {path}: {keys:?}"
                );
            }
            site.assert_whole(&said);
            let told = site.step.proxy.requests().iter().any(is_invalidation);
            assert!(!told, "{end:?} at {path}");
            site.assert_finished_by_the_next_run();
        }
    }
}

#[test]
fn a_lease_of_which_no_answer_came_is_given_back() {
    let site = Site::new();
    let is_lease = puts(".s3-deploy/manifest.json");
    site.step.proxy.clear();
    let once = AtomicUsize::new(0);
    site.trap.set(move |request| {
        let is_first = is_lease(request) && once.fetch_add(1, Ordering::Relaxed) == 0;
        is_first.then_some(Fault::Silence)
    });
    let running = site.pipe("2").spawn();
    let manifest = || {
        let key = ".s3-deploy/manifest.json";
        let (_, manifest) = site.step.aws.get_object(&site.step.bucket, key);
        String::from_utf8(manifest.to_vec()).unwrap()
    };
    let start = Instant::now();
    while !manifest().contains("\"lease\"") {
        assert!(start.elapsed() < Duration::from_mins(1), "no lease");
        std::thread::sleep(Duration::from_millis(20));
    }
    running.signal("TERM");
    assert_eq!(running.wait().code, Some(1));
    assert!(!manifest().contains("\"lease\""), "{}", manifest());
    assert_eq!(site.live(), page(OLD));
    site.assert_finished_by_the_next_run();
}

#[test]
fn a_listing_that_fails_or_waits_leaves_all_as_it_was() {
    for end in ENDS {
        let site = Site::new();
        let before = site.step.aws.keys(&site.step.bucket);
        let is_listing = |request: &Recorded| request.query.contains("list-type=2");
        let said = site.ends_at(site.pipe("2"), end, is_listing);
        assert!(said.ends_with("  nothing was changed\n"), "{said}");
        assert_eq!(site.step.aws.keys(&site.step.bucket), before);
        assert_eq!(site.live(), page(OLD));
        site.assert_finished_by_the_next_run();
    }
}

#[test]
fn while_caches_are_told_both_sites_are_whole() {
    let in_progress = "<Invalidation xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Id>I1</Id>\
        <Status>InProgress</Status><CreateTime>2026-01-01T00:00:00Z</CreateTime><InvalidationBatch><Paths>\
        <Quantity>0</Quantity></Paths><CallerReference>x</CallerReference></InvalidationBatch></Invalidation>";
    for end in ENDS {
        for waits in [false, true] {
            let site = Site::new();
            let said = if waits {
                // It was created, and is looked at.
                site.step.proxy.clear();
                site.trap.set(move |request| {
                    if is_invalidation(request) {
                        return Some(Fault::Status(201, in_progress.to_owned()));
                    }
                    request
                        .path
                        .ends_with("/invalidation/I1")
                        .then(|| end.fault())
                });
                let running = site.pipe("2").spawn();
                if end == End::Signal {
                    site.step
                        .until_requested(|request| request.path.ends_with("/invalidation/I1"));
                    running.signal("TERM");
                }
                let output = running.wait();
                site.trap.clear();
                assert_eq!(output.code, Some(1));
                output.without_debug()
            } else {
                site.ends_at(site.pipe("2"), end, is_invalidation)
            };
            assert_eq!(site.live(), page(NEW), "{said}");
            site.assert_whole(&said);
            let keys = site.step.keys();
            for old in [OLD, "about.html"] {
                assert!(
                    keys.contains(&old.to_owned()),
                    "an edge may show it: {keys:?}"
                );
            }
            // The caches are told again, though the pages are the same.
            site.step.proxy.clear();
            site.assert_finished_by_the_next_run();
            let told = site.step.proxy.requests().iter().any(is_invalidation);
            assert!(told, "{said}");
        }
    }
}

#[test]
fn after_the_pages_the_new_site_is_live_and_whole() {
    for end in ENDS {
        let site = Site::new();
        let said = site.ends_at(site.pipe("2"), end, |request| {
            request.query.starts_with("delete")
        });
        assert_eq!(site.live(), page(NEW), "{said}");
        site.assert_whole(&said);
        site.assert_finished_by_the_next_run();

        // The second time that the manifest is written is the end.
        let site = Site::new();
        let seen = std::sync::Arc::new(AtomicUsize::new(0));
        let is_manifest = puts(".s3-deploy/manifest.json");
        site.step.proxy.clear();
        site.trap.set(move |request| {
            let is_last = is_manifest(request) && seen.fetch_add(1, Ordering::Relaxed) == 1;
            is_last.then(|| end.fault())
        });
        let running = site.pipe("2").spawn();
        if end == End::Signal {
            let is_manifest = puts(".s3-deploy/manifest.json");
            let start = Instant::now();
            while site
                .step
                .proxy
                .requests()
                .iter()
                .filter(|each| is_manifest(each))
                .count()
                < 2
            {
                assert!(start.elapsed() < Duration::from_mins(1));
                std::thread::sleep(Duration::from_millis(5));
            }
            running.signal("TERM");
        }
        let output = running.wait();
        site.trap.clear();
        assert_eq!(output.code, Some(1), "{}", output.plain());
        assert_eq!(site.live(), page(NEW));
        site.assert_whole(&output.plain());
        site.assert_finished_by_the_next_run();
    }
}

#[test]
fn a_repair_of_headers_that_ends_early_leaves_whole_objects() {
    for end in ENDS {
        for path in ["/style.css", "/index.html"] {
            let site = Site::new();
            assert_eq!(site.pipe("2").run().code, Some(0));
            let pipe = site.pipe("3").env("CACHE_CONTROL", "no-cache");
            let said = site.ends_at(pipe, end, puts(path));
            assert_eq!(site.live(), page(NEW), "{said}");
            site.assert_whole(&said);
            let key = &path[1..];
            assert_eq!(site.step.header(key, "cache-control"), None, "{said}");
            let output = site.pipe("3").env("CACHE_CONTROL", "no-cache").run();
            assert_eq!(output.code, Some(0), "{}", output.plain());
            for key in [NEW, "index.html", "style.css"] {
                let header = site.step.header(key, "cache-control");
                assert_eq!(header.as_deref(), Some("no-cache"), "{key}");
            }
        }
    }
}

#[test]
fn a_rollback_that_ends_early_leaves_a_whole_site_and_can_be_repeated() {
    for end in ENDS {
        for path in [".s3-deploy/manifest.json", "/about.html", "/index.html"] {
            let site = Site::new();
            // The first release is kept from now on.
            site.release(OLD, "old");
            site.step.file("about.html", &page(OLD));
            let retained = |build: &str| site.pipe(build).env("RETAIN", "3");
            site.step.remove(NEW);
            site.step.file("robots.txt", "allow");
            assert_eq!(retained("2").run().code, Some(0));
            site.release(NEW, "new");
            site.step.file("about.html", &page(NEW));
            site.step.remove(OLD);
            assert_eq!(retained("3").run().code, Some(0));
            let back = || {
                site.pipe("4")
                    .env("ROLLBACK", "previous")
                    .env("LOCAL_PATH", "")
            };
            let said = site.ends_at(back(), end, puts(path));
            site.assert_whole(&said);
            let output = back().run();
            assert_eq!(output.code, Some(0), "{}", output.plain());
            assert_eq!(site.live(), page(OLD));
            site.assert_whole(&output.plain());
        }
    }
}

#[test]
fn a_share_or_a_merge_that_ends_early_leaves_the_old_site_and_can_be_repeated() {
    for end in ENDS {
        let site = Site::new();
        let share = |index: &str| {
            let group = [
                ("SHARD", "true"),
                ("BITBUCKET_PARALLEL_STEP", index),
                ("BITBUCKET_PARALLEL_STEP_COUNT", "2"),
            ];
            site.step
                .pipe()
                .env("BITBUCKET_BUILD_NUMBER", "2")
                .envs(group)
        };
        let merge = || site.pipe("2").env("SHARD_MERGE", "true");
        // The share that has the new asset.
        assert_eq!(share("0").run().code, Some(0));
        let index = if site.step.keys().contains(&NEW.to_owned()) {
            "1"
        } else {
            "0"
        };
        if index == "0" {
            assert_eq!(share("1").run().code, Some(0));
            site.step
                .aws
                .delete_object(&site.step.bucket, ".s3-deploy/parts/2/0-of-2.json");
        }
        let last = if index == "0" {
            ("/0-of-2.json", "0")
        } else {
            ("/1-of-2.json", "1")
        };
        let is_part =
            move |request: &Recorded| request.method == "PUT" && request.path.ends_with(last.0);
        let said = site.ends_at(share(last.1), end, is_part);
        assert_eq!(site.live(), page(OLD), "{said}");
        site.assert_whole(&said);
        let output = merge().run();
        assert!(
            output
                .plain()
                .contains("✖ the shares of 1 of 2 parallel steps are missing"),
            "{}",
            output.plain()
        );
        assert_eq!(share(last.1).run().code, Some(0));
        let said = site.ends_at(merge(), end, puts("/index.html"));
        assert_eq!(site.live(), page(OLD), "{said}");
        site.assert_whole(&said);
        let output = merge().run();
        assert_eq!(output.code, Some(0), "{}", output.plain());
        site.assert_finished_by_the_next_run();
    }
}
