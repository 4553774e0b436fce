//! `_redirects`: lines such as `/old /new 301` become empty objects that the website endpoint of S3 redirects.
//! S3 does this for exact paths and always with 301, so every other line is told, with what can do it instead.

use std::collections::BTreeSet;

use super::lines;
use super::path::{Pattern, percent_decoded};
use crate::headers::Headers;
use crate::headers::values;

/// An object that redirects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Its key, without the prefix of the site.
    pub key: String,
    /// Where it leads: a path of the host, or a URL.
    pub to: String,
    /// Where it stands in the file.
    pub line: usize,
    /// Whether it holds even where a file has this key (`301!`); without the mark the file is what visitors get.
    pub forced: bool,
}

/// The redirects that S3 can serve, and a warning for each line that it cannot serve as it is meant.
/// Of two lines for one path the first counts, as on the original hosts.
pub fn redirects(text: &str) -> (Vec<Redirect>, Vec<String>) {
    let mut redirects = Vec::new();
    let mut warnings = Vec::new();
    let mut keys = BTreeSet::new();
    for (line, content) in lines(text) {
        let parts: Vec<_> = content
            .split_whitespace()
            .take_while(|part| !part.starts_with('#'))
            .collect();
        let mut warn = |why: &str| {
            let shown = parts.join(" ");
            warnings.push(format!("_redirects line {line}: `{shown}` {why}"));
        };
        match redirect(&parts, line) {
            Ok((redirect, _)) if !keys.insert(redirect.key.clone()) => {
                warn("comes after another line for the same path and is left out");
            }
            Ok((redirect, is_exact)) => {
                if !is_exact {
                    warn("becomes a redirect with 301, the only one that S3 has");
                }
                redirects.push(redirect);
            }
            Err(why) => warn(&format!("is left out: {why}")),
        }
    }
    (redirects, warnings)
}

/// The redirect, and whether S3 answers with the status that is asked for.
fn redirect(parts: &[&str], line: usize) -> Result<(Redirect, bool), String> {
    let (from, to, status) = match parts {
        [] | [_] => return Err("it has no target".to_owned()),
        [_, query, ..] if !is_target(query) && query.contains('=') => {
            return Err("S3 knows no conditions on the query".to_owned());
        }
        [from, to] => (*from, *to, "301"),
        [from, to, status] if !status.contains('=') => (*from, *to, *status),
        _ => return Err("S3 knows no conditions".to_owned()),
    };
    let code = status.strip_suffix('!').unwrap_or(status);
    match code {
        "301" | "302" => {}
        "200" => {
            return Err(
                "S3 has no rewrites; for a single-page app let CloudFront answer 403 and 404 with /index.html"
                    .to_owned(),
            );
        }
        "404" => {
            return Err(
                "the page for errors is a setting of the bucket's website or of CloudFront"
                    .to_owned(),
            );
        }
        _ => return Err(format!("S3 has no redirect with status {code}")),
    }
    let target = Pattern::new(to);
    let key = key(from)?;
    if target.has_placeholder() {
        return Err("its target has a placeholder, and its path has none".to_owned());
    }
    values::set(&mut Headers::default(), "website-redirect", to)?;
    let redirect = Redirect {
        key,
        to: to.to_owned(),
        line,
        forced: status.ends_with('!'),
    };
    Ok((redirect, code == "301"))
}

/// The key of the object that the website endpoint serves for this path.
fn key(from: &str) -> Result<String, String> {
    let Some(path) = from.strip_prefix('/') else {
        return Err(
            "its path does not begin with `/`, and a bucket does not know its hosts".to_owned(),
        );
    };
    if !Pattern::new(from).is_exact() {
        return Err("an S3 object stands for one path, without `*` and placeholders; a CloudFront function can do it".to_owned());
    }
    if path.contains(['?', '#']) {
        return Err("S3 looks at the path alone".to_owned());
    }
    let path = percent_decoded(path)
        .filter(|path| !path.chars().any(char::is_control))
        .ok_or("its path is not UTF-8, or has a control character")?;
    Ok(if path.is_empty() || path.ends_with('/') {
        format!("{path}index.html")
    } else {
        path
    })
}

fn is_target(text: &str) -> bool {
    text.starts_with('/') || text.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_paths_become_objects() {
        let (redirects, warnings) = redirects(
            "# moved\n/old /new\n/shop/  https://shop.example/?from=site 301  # since May\n/ /en/ 301!\n/a%20b /ab\n",
        );
        let shown: Vec<_> = redirects
            .iter()
            .map(|each| format!("{} {} -> {} {}", each.line, each.key, each.to, each.forced))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        2 old -> /new false
        3 shop/index.html -> https://shop.example/?from=site false
        4 index.html -> /en/ true
        5 a b -> /ab false
        ");
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn what_s3_cannot_do_is_told_by_line() {
        let (redirects, warnings) = redirects(
            "/* /index.html 200\n/blog/:slug /posts/:slug\n/a /b 302\n/a /c\n/d /e 404\n/f /g 307\n/h\n\
             /i id=:id /j 301\n/k /l 302 Country=de\n/m /n Language=de\nhttps://a.example/o /p\n/q?r=1 /s\n/t u\n\
             /v /w/:splat\n/%ff /x\n",
        );
        insta::assert_snapshot!(warnings.join("\n"), @r"
        _redirects line 1: `/* /index.html 200` is left out: S3 has no rewrites; for a single-page app let CloudFront answer 403 and 404 with /index.html
        _redirects line 2: `/blog/:slug /posts/:slug` is left out: an S3 object stands for one path, without `*` and placeholders; a CloudFront function can do it
        _redirects line 3: `/a /b 302` becomes a redirect with 301, the only one that S3 has
        _redirects line 4: `/a /c` comes after another line for the same path and is left out
        _redirects line 5: `/d /e 404` is left out: the page for errors is a setting of the bucket's website or of CloudFront
        _redirects line 6: `/f /g 307` is left out: S3 has no redirect with status 307
        _redirects line 7: `/h` is left out: it has no target
        _redirects line 8: `/i id=:id /j 301` is left out: S3 knows no conditions on the query
        _redirects line 9: `/k /l 302 Country=de` is left out: S3 knows no conditions
        _redirects line 10: `/m /n Language=de` is left out: S3 knows no conditions
        _redirects line 11: `https://a.example/o /p` is left out: its path does not begin with `/`, and a bucket does not know its hosts
        _redirects line 12: `/q?r=1 /s` is left out: S3 looks at the path alone
        _redirects line 13: `/t u` is left out: unallowed value u (a redirect leads to a path that begins with `/`, or to a URL)
        _redirects line 14: `/v /w/:splat` is left out: its target has a placeholder, and its path has none
        _redirects line 15: `/%ff /x` is left out: its path is not UTF-8, or has a control character
        ");
        assert_eq!(redirects.len(), 1);
        assert_eq!(redirects[0].to, "/b");
    }
}
