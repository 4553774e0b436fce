//! RULES_FILE by example: what each file of a site gets, and how each mistake is told.

use super::*;

const SITE: &str = r#"
# Everything, then what differs.
- match: "**"
  cache-control: public, max-age=60
  metadata: { build: 012, commit: abc }
- match: ["**/*.js", "assets/**"]
  except: "assets/vendor/**"
  cache-control: public, max-age=31536000, immutable
  tags: { team: web }
  immutable: true
- match: assets/data.js
  cache-control: no-cache
  content-type: text/plain; charset=utf-8
  expires: 2026-12-01
  metadata: { Build: "13" }
  entry-point: yes
"#;

fn explained(rules: &Rules, path: &str) -> String {
    let wish = rules.wish(path);
    let lines = wish
        .because
        .iter()
        .map(|each| format!("{}: {}  <- {}", each.header, each.value, each.rule));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_last_rule_wins_for_each_header() {
    let rules = Rules::parse(SITE).unwrap();
    insta::assert_snapshot!(explained(&rules, "assets/data.js"), @r"
    metadata: commit=abc  <- rule 1 (**)
    tags: team=web  <- rule 2 (**/*.js)
    cache-control: no-cache  <- rule 3 (assets/data.js)
    content-type: text/plain; charset=utf-8  <- rule 3 (assets/data.js)
    expires: 2026-12-01  <- rule 3 (assets/data.js)
    metadata: build=13  <- rule 3 (assets/data.js)
    phase: entry-point  <- rule 3 (assets/data.js)
    ");
    let wish = rules.wish("assets/data.js");
    assert_eq!(wish.phase, Some(Phase::EntryPoint));
    assert_eq!(wish.headers.cache_control.as_deref(), Some("no-cache"));
    assert!(wish.headers.expires.is_some());
    assert_eq!(wish.headers.metadata["build"], "13");
    assert_eq!(wish.headers.metadata["commit"], "abc");
    assert_eq!(wish.headers.tags["team"], "web");
}

#[test]
fn the_glob_that_matched_is_named_and_exceptions_hold() {
    let rules = Rules::parse(SITE).unwrap();
    insta::assert_snapshot!(explained(&rules, "assets/logo.svg"), @r"
    metadata: build=012  <- rule 1 (**)
    metadata: commit=abc  <- rule 1 (**)
    cache-control: public, max-age=31536000, immutable  <- rule 2 (assets/**)
    tags: team=web  <- rule 2 (assets/**)
    phase: immutable  <- rule 2 (assets/**)
    ");
    let vendor = rules.wish("assets/vendor/a.js");
    assert_eq!(vendor.phase, None);
    assert_eq!(
        vendor.headers.cache_control.as_deref(),
        Some("public, max-age=60")
    );
}

#[test]
fn a_star_stops_at_a_slash_and_two_do_not() {
    for (glob, hits, misses) in [
        ("*.js", &["a.js"][..], &["a/b.js", "a.jsx"][..]),
        ("**/*.js", &["a.js", "a/b.js", "a/b/c.js"], &["a.js/b"]),
        ("a/**", &["a/b", "a/b/c"], &["a", "ab/c", "b/a/c"]),
        ("a/*/c", &["a/b/c"], &["a/b/b/c", "a/c"]),
        ("**/a/**", &["a/b", "x/a/b"], &["a"]),
        ("*.{js,css}", &["a.js", "a.css"], &["a.html"]),
        ("[ab]?.txt", &["ax.txt"], &["c1.txt", "a/.txt"]),
        ("A.html", &["A.html"], &["a.html"]),
        (r"\*.js", &["*.js"], &["a.js"]),
        ("ü*", &["über.txt"], &["ober.txt"]),
    ] {
        let text = format!("- match: '{glob}'\n  acl: private\n");
        let rules = Rules::parse(&text).unwrap();
        for (paths, expected) in [(hits, true), (misses, false)] {
            for path in paths {
                assert_eq!(
                    !rules.wish(path).because.is_empty(),
                    expected,
                    "{glob} {path}"
                );
            }
        }
    }
}

#[test]
fn a_phase_can_be_taken_back() {
    let rules = |lines: &str| {
        let lines = lines
            .split(' ')
            .map(|line| format!("- match: '**'\n  {}\n", line.replace('=', ": ")));
        Rules::parse(&lines.collect::<String>()).unwrap()
    };
    for (lines, path, phase) in [
        ("immutable=false", "a.3f2a9c1b.js", Some(Phase::Ordinary)),
        ("immutable=false", "a.html", None),
        ("entry-point=false", "a.html", Some(Phase::Ordinary)),
        (
            "immutable=true entry-point=true",
            "a.js",
            Some(Phase::EntryPoint),
        ),
        (
            "entry-point=true immutable=false",
            "a.js",
            Some(Phase::EntryPoint),
        ),
        (
            "entry-point=true entry-point=no",
            "a.js",
            Some(Phase::Ordinary),
        ),
        ("acl=private", "a.html", None),
    ] {
        assert_eq!(rules(lines).wish(path).phase, phase, "{lines} {path}");
    }
}

#[test]
fn an_empty_file_has_no_rules() {
    for text in ["", "# none yet\n", "[]"] {
        let rules = Rules::parse(text).unwrap();
        assert_eq!(rules.wish("index.html"), Wish::default(), "{text:?}");
    }
}

#[test]
fn anchors_save_typing() {
    let rules =
        Rules::parse("- match: [a]\n  tags: &tags { team: web }\n- match: b\n  tags: *tags\n");
    assert_eq!(rules.unwrap().wish("b").headers.tags["team"], "web");
}

#[test]
fn all_faults_are_told_with_their_lines() {
    let text = r#"
- match: "**"
  cache_control: no-cache
  acl: public
- match: ["a/", "b"]
  cache-control:
  expires: soon
  immutable: maybe
  metadata: { a: [1], b: 2 }
- cache-control: no-cache
- match: x
  cache-control: a
  cache-control: b
- match: 404
  tags: { "a;b": c }
- match: "a["
  metadata:
    ok: fine
    "not ok": fine
- match: z
  immutable: true
  entry-point: true
- match: z
- just a text
- match: { a: b }
  except: /a
  acl: private
"#;
    insta::assert_snapshot!(Rules::parse(text).unwrap_err(), @r#"
    rule 1, line 3: unknown key `cache_control` (allowed: match, except, metadata, tags, immutable, entry-point, cache-control, content-type, content-encoding, content-disposition, content-language, expires, acl, storage-class, website-redirect, encryption, kms-key-id)
    rule 1, line 4: acl: unallowed value public (allowed: private, public-read, public-read-write, authenticated-read, aws-exec-read, bucket-owner-read, bucket-owner-full-control, log-delivery-write)
    rule 2, line 5: match[0]: the glob `a/` ends in `/` and would match no file; `/**` means all that is in a directory
    rule 2, line 6: cache-control: has no value
    rule 2, line 7: expires: unallowed value soon (a timestamp looks like `2026-12-01T00:00:00Z`)
    rule 2, line 8: immutable: must be of boolean type
    rule 2, line 9: metadata.a: invalid type: sequence, expected a string
    rule 3, line 10: has no `match`, or one without a glob
    rule 4, line 13: `cache-control` stands twice in one rule
    rule 5, line 14: match: invalid type: integer `404`, expected a glob or a list of globs
    rule 5, line 15: tags: the tag `a;b` has a character other than letters, digits, blanks and + - = . _ : / @
    rule 6, line 16: match: the glob `a[` could not be read: unclosed character class; missing ']'
    rule 6, line 18: metadata: the key `not ok` has a character that the name of a header may not have
    rule 7, line 20: is `immutable` and `entry-point` at once, first and last
    rule 8, line 23: gives its files nothing
    rule 9, line 24: invalid type: string "just a text", expected a rule, which has `match` and other keys
    rule 10, line 25: match: invalid type: map, expected a glob or a list of globs
    rule 10, line 26: except: the glob `/a` has to begin without `/` or `./`: paths are relative to LOCAL_PATH
    "#);
}

#[test]
fn faults_of_the_file_as_a_whole_are_told() {
    for (text, fault) in [
        (
            "match: a\n",
            "line 1: invalid type: map, expected a list of rules",
        ),
        (
            "- match: *.js\n  acl: private\n",
            "rule 1, line 1: did not find expected alphabetic or numeric character, while scanning an alias at \
             line 1 column 10 (a glob that begins with `*` has to be in quotes)",
        ),
        (
            "- match: a\n  acl: private\n- match: b\n  tags: *none\n",
            "rule 2, line 4: unknown anchor (a glob that begins with `*` has to be in quotes)",
        ),
        (
            "- match: a\n\tacl: private\n",
            "rule 1, line 2: found a tab character that violates indentation, while scanning a plain scalar at \
             line 1 column 10",
        ),
        (
            "- match: a\n  cache-control: private, max-age: 1\n",
            "rule 1, line 2: mapping values are not allowed in this context",
        ),
        (
            "- match: a\n  immutable: 1\n- match: 'b\n",
            "rule 1, line 2: immutable: must be of boolean type\n\
             rule 2, line 4: found unexpected end of stream, while scanning a quoted scalar at line 3 column 10",
        ),
        (
            "- match: a\n  acl: private\n---\n- match: b\n",
            "deserializing from YAML containing more than one document is not supported",
        ),
    ] {
        assert_eq!(Rules::parse(text).unwrap_err(), fault, "{text:?}");
    }
}
