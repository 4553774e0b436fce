//! The keys that a deploy changed go in, the paths that CloudFront has to forget come out: few, because paths are paid
//! for, and never too few. A path too many costs one fetch from S3, a path too few shows an old page; so every doubt,
//! such as how a viewer spells a character, is settled by covering more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The most paths of one invalidation. "The first 1,000 invalidation paths that you submit per month are free", over
/// all distributions of an account (Amazon CloudFront Developer Guide, "Pay for file invalidation"): with 8, the limit
/// of s3deploy too, 125 deploys a month are free whatever they change. All 8 may be wildcards, of which CloudFront
/// takes 15 in progress at one time ("Concurrent invalidation request maximum").
const LIMIT: usize = 8;

/// Folding begins at this many patterns and not only at the end, so that a million changed keys need no memory.
const KEPT: usize = 10_000;

/// The file that stands for its directory.
const INDEX: &str = "index.html";

/// The sorted paths to invalidate after a change of these keys of the bucket, for an origin with this path, such as
/// `/docs` or nothing. None of them is covered by another one, and there are at most eight.
pub fn paths<'a>(keys: impl IntoIterator<Item = &'a str>, origin_path: &str) -> Vec<String> {
    let root = origin_path.trim_matches('/');
    let mut patterns = BTreeSet::new();
    for key in keys {
        if let Some(key) = served(key, root) {
            patterns.extend(forms(key).map(|form| Pattern::of(&form)));
        }
        if patterns.len() > KEPT {
            fold(&mut patterns);
        }
    }
    finished(patterns)
}

/// The same for a distribution with several origins, of which each had its own [`paths`].
pub fn united(paths: impl IntoIterator<Item = String>) -> Vec<String> {
    finished(paths.into_iter().map(Pattern::parsed).collect())
}

/// The part of the key that a viewer asks for, if the origin serves it: CloudFront puts the origin path before what
/// the viewer asks for, so that other keys are out of every viewer's reach.
fn served<'a>(key: &'a str, root: &str) -> Option<&'a str> {
    if root.is_empty() {
        return Some(key);
    }
    key.strip_prefix(root)?.strip_prefix('/')
}

/// All paths by which the object may be cached. `index.html` is the answer to `/a/` too, by a default root object, the
/// website endpoint or a function; and to `/a` where a function at the origin's side adds the name: "if you have not
/// standardized on a method for specifying directories—with or without a trailing slash (/)—we recommend that you
/// invalidate the directory both with and without" ("What you need to know when invalidating paths").
fn forms(key: &str) -> impl Iterator<Item = String> {
    let path = format!("/{key}");
    let with_slash = path
        .strip_suffix(INDEX)
        .filter(|directory| directory.ends_with('/'))
        .map(str::to_owned);
    let without = with_slash
        .as_deref()
        .and_then(|directory| directory.strip_suffix('/'))
        .filter(|directory| !directory.is_empty())
        .map(str::to_owned);
    [Some(path), with_slash, without].into_iter().flatten()
}

/// One path, or all paths with the same beginning. Both are percent-encoded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pattern {
    start: String,
    // Second and false first: a wildcard is sorted before all that it covers.
    is_whole: bool,
}

impl Pattern {
    /// "If the path includes non-ASCII characters or unsafe characters as defined in RFC 1738, URL-encode those
    /// characters. Do not URL-encode any other characters in the path" (same page). That leaves characters of which
    /// nobody can know how a viewer spelled them, and two ways to spell them are two objects in the cache; of `~`
    /// CloudFront even refuses the one and does not find the other (github.com/aws/aws-sdk/issues/525). There, and at
    /// a `*` in a key, the path ends as a wildcard, which costs the same.
    fn of(path: &str) -> Self {
        let mut start = String::with_capacity(path.len());
        for byte in path.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => {
                    start.push(char::from(byte));
                }
                b'~' | b'*' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'+' | b',' | b';'
                | b'=' | b':' | b'@' | b'[' | b']' | b'|' | b'^' => return Self::below(start),
                // No viewer can send these as they are.
                _ => {
                    let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
                    start.extend(['%', digit(byte >> 4), digit(byte & 15)]);
                }
            }
        }
        // A key has at most 1,024 bytes, so this stays below CloudFront's 4,000 characters.
        Self {
            start,
            is_whole: true,
        }
    }

    /// Everything that begins so: "The `*`, which replaces 0 or more characters, must be the last character" (same page).
    fn below(start: String) -> Self {
        Self {
            start,
            is_whole: false,
        }
    }

    fn parsed(mut path: String) -> Self {
        let is_whole = path.strip_suffix('*').is_none();
        if !is_whole {
            path.pop();
        }
        Self {
            start: path,
            is_whole,
        }
    }

    fn covers(&self, other: &Self) -> bool {
        !self.is_whole && other.start.starts_with(&self.start)
    }

    /// How many directories it is below the root.
    fn depth(&self) -> usize {
        self.start.matches('/').count().saturating_sub(1)
    }

    /// Its directory at this depth, with the slash at the end; the root is at depth 0.
    fn directory(&self, depth: usize) -> Option<&str> {
        let (slash, _) = self.start.match_indices('/').nth(depth)?;
        self.start.get(..=slash)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.is_whole { "" } else { "*" };
        write!(out, "{}{star}", self.start)
    }
}

fn finished(mut patterns: BTreeSet<Pattern>) -> Vec<String> {
    fold(&mut patterns);
    let mut paths: Vec<String> = patterns.iter().map(Pattern::to_string).collect();
    paths.sort_unstable();
    paths
}

/// Climbs from the deepest directories to the root, and replaces what a directory holds by `directory/*`, until few
/// enough are left. On the way, only directories with several patterns are replaced, the fullest first: that saves
/// the most paths and makes CloudFront forget the least that did not change.
fn fold(patterns: &mut BTreeSet<Pattern>) {
    drop_covered(patterns);
    let deepest = patterns.iter().map(Pattern::depth).max().unwrap_or(0);
    for depth in (0..=deepest).rev() {
        let mut excess = patterns.len().saturating_sub(LIMIT);
        if excess == 0 {
            return;
        }
        let mut sizes = BTreeMap::<&str, usize>::new();
        for directory in patterns.iter().filter_map(|one| one.directory(depth)) {
            *sizes.entry(directory).or_default() += 1;
        }
        let mut fullest: Vec<_> = sizes.into_iter().filter(|(_, size)| *size > 1).collect();
        fullest.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        let mut wildcards = Vec::new();
        for (directory, size) in fullest {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(size - 1);
            wildcards.push(Pattern::below(directory.to_owned()));
        }
        patterns.extend(wildcards);
        drop_covered(patterns);
    }
}

/// What a wildcard covers follows it at once in the order of the set.
fn drop_covered(patterns: &mut BTreeSet<Pattern>) {
    let mut wildcard = None::<Pattern>;
    patterns.retain(|pattern| {
        let is_covered = wildcard.as_ref().is_some_and(|one| one.covers(pattern));
        if !is_covered && !pattern.is_whole {
            wildcard = Some(pattern.clone());
        }
        !is_covered
    });
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn of(keys: &[&str], origin_path: &str) -> Vec<String> {
        paths(keys.iter().copied(), origin_path)
    }

    #[test]
    fn a_changed_key_is_a_path_below_the_origin_path() {
        let keys = [
            "docs/guide.html",
            "docs/a/b.css",
            "blog/new.html",
            "docs.txt",
        ];
        for (origin_path, expected) in [
            (
                "",
                vec![
                    "/blog/new.html",
                    "/docs.txt",
                    "/docs/a/b.css",
                    "/docs/guide.html",
                ],
            ),
            ("/docs", vec!["/a/b.css", "/guide.html"]),
            ("/docs/a", vec!["/b.css"]),
            ("docs/", vec!["/a/b.css", "/guide.html"]),
            ("/doc", vec![]),
            ("/docs/guide.html", vec![]),
        ] {
            assert_eq!(of(&keys, origin_path), expected, "{origin_path}");
        }
        assert!(of(&[], "").is_empty());
    }

    #[test]
    fn an_index_is_known_by_the_names_of_its_directory_too() {
        for (key, expected) in [
            ("index.html", vec!["/", "/index.html"]),
            ("a/index.html", vec!["/a", "/a/", "/a/index.html"]),
            ("a/b/index.html", vec!["/a/b", "/a/b/", "/a/b/index.html"]),
            ("a/my-index.html", vec!["/a/my-index.html"]),
            ("index.html/x", vec!["/index.html/x"]),
        ] {
            assert_eq!(of(&[key], ""), expected, "{key}");
        }
        assert_eq!(of(&["site/index.html"], "/site"), ["/", "/index.html"]);
    }

    #[test]
    fn characters_are_encoded_or_covered_by_a_wildcard() {
        for (key, expected) in [
            ("A-z_0.9", vec!["/A-z_0.9"]),
            ("two words.html", vec!["/two%20words.html"]),
            ("grün/世.html", vec!["/gr%C3%BCn/%E4%B8%96.html"]),
            ("100%.html", vec!["/100%25.html"]),
            ("what?#\"<>{}`\\", vec!["/what%3F%23%22%3C%3E%7B%7D%60%5C"]),
            ("js/vendors~main.js", vec!["/js/vendors*"]),
            ("app/[slug]/page.js", vec!["/app/*"]),
            ("photo (1).jpg", vec!["/photo%20*"]),
            ("a+b.html", vec!["/a*"]),
            ("star*.html", vec!["/star*"]),
            ("@scope/index.html", vec!["/*"]),
            ("a=1/index.html", vec!["/a*"]),
        ] {
            assert_eq!(of(&[key], ""), expected, "{key}");
        }
        // The wildcard of one key covers the path of another.
        assert_eq!(
            of(&["js/a~b.js", "js/abc.js", "js/b.js"], ""),
            ["/js/a*", "/js/b.js"]
        );
    }

    #[test]
    fn many_paths_are_folded_from_the_deepest_directory_up() {
        let numbered = |prefix: &str, count: usize| -> Vec<String> {
            (0..count)
                .map(|index| format!("{prefix}{index}.js"))
                .collect()
        };
        for (keys, expected) in [
            // Just few enough.
            (
                numbered("", 8),
                (0..8).map(|index| format!("/{index}.js")).collect(),
            ),
            (numbered("", 9), vec!["/*".to_owned()]),
            (numbered("a/b/", 9), vec!["/a/b/*".to_owned()]),
            // A file that stands alone deeper down stays one path.
            (
                [numbered("a/", 9), vec!["b/c/d/e.js".to_owned()]].concat(),
                vec!["/a/*".to_owned(), "/b/c/d/e.js".to_owned()],
            ),
            // The fullest directory is folded, the other stays.
            (
                [numbered("a/", 2), numbered("b/", 8)].concat(),
                vec![
                    "/a/0.js".to_owned(),
                    "/a/1.js".to_owned(),
                    "/b/*".to_owned(),
                ],
            ),
            // One level was not enough.
            (
                (0..20).map(|index| format!("a/{index}/x.js")).collect(),
                vec!["/a/*".to_owned()],
            ),
            (
                (0..20).map(|index| format!("{index}/x.js")).collect(),
                vec!["/*".to_owned()],
            ),
            (
                ["a", "b", "c"]
                    .map(|page| format!("{page}/index.html"))
                    .to_vec(),
                [
                    "/a",
                    "/a/*",
                    "/b",
                    "/b/",
                    "/b/index.html",
                    "/c",
                    "/c/",
                    "/c/index.html",
                ]
                .map(str::to_owned)
                .to_vec(),
            ),
        ] {
            assert_eq!(
                paths(keys.iter().map(String::as_str), ""),
                expected,
                "{keys:?}"
            );
        }
    }

    #[test]
    fn many_keys_are_folded_on_the_way() {
        let keys: Vec<String> = (0..40_000)
            .map(|index| format!("{}/{}/{index}.js", index % 4, index % 100))
            .collect();
        assert_eq!(
            paths(keys.iter().map(String::as_str), ""),
            ["/0/*", "/1/*", "/2/*", "/3/*"]
        );
    }

    #[test]
    fn the_paths_of_several_origins_are_one_list() {
        let keys = ["docs/a.html", "b.html"];
        let both = [of(&keys, ""), of(&keys, "/docs")].concat();
        assert_eq!(united(both), ["/a.html", "/b.html", "/docs/a.html"]);
        let lists = ["/a/*", "/a/b", "/c", "/c", "/a*"].map(str::to_owned);
        assert_eq!(united(lists), ["/a*", "/c"]);
        assert_eq!(united((0..9).map(|index| format!("/a/{index}"))), ["/a/*"]);
    }

    /// Numbers that are the same in every run.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(self.0 >> 33).unwrap() % limit
        }

        fn key(&mut self) -> String {
            let names = [
                "a",
                "b",
                "c",
                "docs",
                "index.html",
                "x~y",
                "[id]",
                "grün",
                "a b",
                "50%",
                "s*",
                "",
                "(g)",
            ];
            let parts: Vec<_> = (0..=self.below(5))
                .map(|_| names[self.below(names.len())])
                .collect();
            parts.join("/")
        }
    }

    /// What viewers may send for a path: a browser's address bar, `encodeURI` and `encodeURIComponent`.
    fn spellings(path: &str) -> [String; 3] {
        ["~!$&'()*+,;=:@[]|^", "~!$&'()*+,;=:@", "~!'()*"].map(|kept| {
            let mut spelling = String::new();
            for byte in path.bytes() {
                let character = char::from(byte);
                if byte.is_ascii_alphanumeric()
                    || "-_./".contains(character)
                    || kept.contains(character)
                {
                    spelling.push(character);
                } else {
                    write!(spelling, "%{byte:02X}").unwrap();
                }
            }
            spelling
        })
    }

    fn is_covered(path: &str, paths: &[String]) -> bool {
        paths.iter().any(|one| match one.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == one,
        })
    }

    #[test]
    fn every_changed_key_is_covered_however_it_is_asked_for() {
        let mut dice = Dice(7);
        let mut counts = BTreeSet::new();
        for round in 0..2000 {
            let origin_path = ["", "/docs", "/a/b"][dice.below(3)];
            let keys: Vec<String> = (0..dice.below(40)).map(|_| dice.key()).collect();
            let paths = paths(keys.iter().map(String::as_str), origin_path);
            let said = || format!("round {round}: {keys:?} below `{origin_path}`: {paths:?}");
            let mut is_any_served = false;
            for key in &keys {
                let Some(path) = format!("/{key}")
                    .strip_prefix(origin_path)
                    .map(str::to_owned)
                else {
                    continue;
                };
                if !path.starts_with('/') {
                    continue;
                }
                is_any_served = true;
                let mut asked = vec![path.clone()];
                if path.ends_with("/index.html") {
                    let directory = path.trim_end_matches("index.html");
                    asked.push(directory.to_owned());
                    asked.extend(
                        directory
                            .strip_suffix('/')
                            .filter(|one| !one.is_empty())
                            .map(str::to_owned),
                    );
                }
                for spelling in asked.iter().flat_map(|path| spellings(path)) {
                    assert!(is_covered(&spelling, &paths), "{spelling} in {}", said());
                }
            }
            assert_eq!(paths.is_empty(), !is_any_served, "{}", said());
            assert!(paths.len() <= LIMIT && paths.is_sorted(), "{}", said());
            for (place, path) in paths.iter().enumerate() {
                let start = path.strip_suffix('*').unwrap_or(path);
                let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./%".contains(&byte);
                assert!(
                    start.starts_with('/') && start.bytes().all(is_sound),
                    "{}",
                    said()
                );
                let others = [&paths[..place], &paths[place + 1..]].concat();
                assert!(!is_covered(start, &others), "{path} twice in {}", said());
            }
            counts.insert(paths.len());
        }
        // The generator reaches every size, or the rest says nothing.
        assert_eq!(counts, (0..=LIMIT).collect());
    }
}
