//! Changed keys in, paths out; and that no changed key is ever left out.

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
