//! `_headers`, as on Netlify and Cloudflare Pages: path patterns with headers below them become wishes for files.
//! An S3 object can carry only some headers; the others are told in one warning, since sites that come from there
//! usually set their security headers in this file.

mod path;
mod redirects;

pub use self::redirects::redirects;

use self::path::{Pattern, urls_of};
use crate::headers::Headers;
use crate::headers::values;
use crate::rules::{Because, Wish};

/// What S3 can keep of the headers in the file, with the names of RULES_FILE.
const KNOWN: &[(&str, &str)] = &[
    ("cache-control", "cache-control"),
    ("content-type", "content-type"),
    ("content-encoding", "content-encoding"),
    ("content-disposition", "content-disposition"),
    ("content-language", "content-language"),
    ("expires", "expires"),
    ("x-amz-storage-class", "storage-class"),
    ("x-amz-website-redirect-location", "website-redirect"),
];

const METADATA: &str = "x-amz-meta-";

/// Headers that are lists: given twice under one path they are joined, as on the original hosts.
const LISTS: &[&str] = &["cache-control", "content-encoding", "content-language"];

/// The content of a `_headers` file.
#[derive(Debug, Default)]
pub struct NetlifyHeaders(Vec<Block>);

/// A path with the lines below it.
#[derive(Debug)]
struct Block {
    pattern: Pattern,
    given: Vec<Given>,
}

#[derive(Debug)]
struct Given {
    because: Because,
    headers: Headers,
}

impl NetlifyHeaders {
    /// Reads the file; what cannot be used is told in the warnings and left out.
    pub fn parse(text: &str) -> (Self, Vec<String>) {
        let mut blocks: Vec<Block> = Vec::new();
        let mut warnings = Vec::new();
        let mut unstorable: Vec<String> = Vec::new();
        // Whether the lines belong to a path that was warned of, so that one warning does.
        let mut is_skipped = false;
        for (line, content) in lines(text) {
            let mut warn = |why: &str| {
                warnings.push(format!("_headers line {line}: `{content}` {why}"));
            };
            if content.starts_with("https://") || content.starts_with("http://") {
                warn("is for one host, and a bucket does not know its hosts; give the path alone");
                is_skipped = true;
            } else if content.starts_with('/') {
                is_skipped = false;
                blocks.push(Block {
                    pattern: Pattern::new(content),
                    given: Vec::new(),
                });
            } else if is_skipped {
            } else if let Some(block) = blocks.last_mut() {
                let Some((name, value)) = content.split_once(':') else {
                    warn("is neither a path nor a header");
                    continue;
                };
                match block.give(name.trim(), value.trim(), line) {
                    Ok(true) => {}
                    Ok(false) => unstorable.push(format!("{} (line {line})", name.trim())),
                    Err(why) => warn(&why),
                }
            } else {
                warn("stands above the first path");
            }
        }
        if !unstorable.is_empty() {
            warnings.push(format!(
                "_headers: an S3 object cannot carry {}; a response headers policy of CloudFront can",
                unstorable.join(", ")
            ));
        }
        (Self(blocks), warnings)
    }

    /// What the file wishes for the file at this path, relative to LOCAL_PATH. All paths that match are layered
    /// in their order, and the last one wins.
    pub fn wish(&self, relative_path: &str) -> (Headers, Vec<Because>) {
        let urls = urls_of(relative_path);
        let mut wish = Wish::default();
        for block in &self.0 {
            if urls.iter().any(|url| block.pattern.matches(url)) {
                for given in &block.given {
                    wish.headers.overlay(&given.headers);
                    wish.explain(given.because.clone());
                }
            }
        }
        (wish.headers, wish.because)
    }
}

impl Block {
    /// Adds a line; `false` if S3 has no place for such a header.
    fn give(&mut self, name: &str, value: &str, line: usize) -> Result<bool, String> {
        let name = name.to_ascii_lowercase();
        let mut headers = Headers::default();
        let (header, value) = if let Some(key) = name.strip_prefix(METADATA) {
            let key = values::add_metadata(&mut headers, key, value)?;
            ("metadata", format!("{key}={value}"))
        } else {
            let Some((_, header)) = KNOWN.iter().find(|(known, _)| *known == name) else {
                return Ok(false);
            };
            let value = match self.value_of(header) {
                Some(before) if LISTS.contains(header) => format!("{before}, {value}"),
                _ => value.to_owned(),
            };
            values::set(&mut headers, header, &value)?;
            (*header, value)
        };
        self.given.push(Given {
            because: Because {
                rule: format!("_headers line {line}"),
                header,
                value,
            },
            headers,
        });
        Ok(true)
    }

    fn value_of(&self, header: &str) -> Option<&str> {
        let mut latest_first = self.given.iter().rev();
        latest_first
            .find(|given| given.because.header == header)
            .map(|given| given.because.value.as_str())
    }
}

/// The lines that say something, counted from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "
# Everything
/*
  X-Frame-Options: DENY
  Cache-Control: public, max-age=60
  Cache-Control: must-revalidate
  Content-Security-Policy: default-src https://a.example

/assets/*
  cache-control: public, max-age=31536000, immutable
  X-Amz-Meta-Build: 12
/blog/:slug
  Content-Language: de
/
  Expires: Tue, 01 Dec 2026 00:00:00 GMT
  X-Amz-Storage-Class: STANDARD_IA
/old
  x-amz-website-redirect-location: /new
";

    fn explained(path: &str) -> String {
        let (headers, _) = NetlifyHeaders::parse(SITE);
        let (_, because) = headers.wish(path);
        let lines = because
            .iter()
            .map(|each| format!("{}: {}  <- {}", each.header, each.value, each.rule));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn paths_are_layered_and_lists_are_joined() {
        insta::assert_snapshot!(explained("assets/a/b.js"), @r"
        cache-control: public, max-age=31536000, immutable  <- _headers line 10
        metadata: build=12  <- _headers line 11
        ");
        insta::assert_snapshot!(explained("blog/first/index.html"), @r"
        cache-control: public, max-age=60, must-revalidate  <- _headers line 6
        content-language: de  <- _headers line 13
        ");
        insta::assert_snapshot!(explained("index.html"), @r"
        cache-control: public, max-age=60, must-revalidate  <- _headers line 6
        expires: Tue, 01 Dec 2026 00:00:00 GMT  <- _headers line 15
        storage-class: STANDARD_IA  <- _headers line 16
        ");
        let (headers, _) = NetlifyHeaders::parse(SITE);
        let (wished, _) = headers.wish("old.html");
        assert_eq!(wished.website_redirect.as_deref(), Some("/new"));
        assert_eq!(
            wished.cache_control.as_deref(),
            Some("public, max-age=60, must-revalidate")
        );
    }

    #[test]
    fn headers_without_a_place_are_told_once() {
        let (_, warnings) = NetlifyHeaders::parse(SITE);
        assert_eq!(
            warnings,
            [
                "_headers: an S3 object cannot carry X-Frame-Options (line 4), Content-Security-Policy (line 7); \
                 a response headers policy of CloudFront can"
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_and_left_out() {
        let (headers, warnings) = NetlifyHeaders::parse(
            "\u{feff}Cache-Control: no-cache\nhttps://a.example/*\n  Cache-Control: a\n/*\n  ! Link\n  Expires: soon\n  \
             Content-Type:\n  X-Amz-Meta-A: naïve\n",
        );
        insta::assert_snapshot!(warnings.join("\n"), @r"
        _headers line 1: `Cache-Control: no-cache` stands above the first path
        _headers line 2: `https://a.example/*` is for one host, and a bucket does not know its hosts; give the path alone
        _headers line 5: `! Link` is neither a path nor a header
        _headers line 6: `Expires: soon` unallowed value soon (a timestamp looks like `2026-12-01T00:00:00Z`)
        _headers line 7: `Content-Type:` has no value
        _headers line 8: `X-Amz-Meta-A: naïve` `a` has a line break or a character that no header may have
        ");
        assert_eq!(headers.wish("a").0, Headers::default());
    }

    #[test]
    fn an_empty_file_wishes_nothing() {
        let (headers, warnings) = NetlifyHeaders::parse("# nothing\n");
        assert!(warnings.is_empty() && headers.wish("a").1.is_empty());
    }
}
