//! Path patterns of `_headers` and `_redirects`: `*` is any text, slashes included, `:name` is a text without one.
//! They are about URLs, so a file is matched under each URL that people mean when they write of it.

/// A pattern, cut into what has to match.
#[derive(Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Exactly(String),
    Anything,
    Segment,
}

impl Pattern {
    /// Every text is a pattern.
    pub fn new(text: &str) -> Self {
        let decoded = percent_decoded(text).unwrap_or_else(|| text.to_owned());
        let mut rest = without_last_slash(&decoded);
        let mut parts = Vec::new();
        let mut exactly = String::new();
        while let Some(first) = rest.chars().next() {
            let name = rest.strip_prefix(':').map_or(0, name_length);
            let (part, length) = match first {
                '*' => (Some(Part::Anything), 1),
                ':' if name > 0 && exactly.ends_with('/') => (Some(Part::Segment), 1 + name),
                _ => (None, first.len_utf8()),
            };
            if let Some(part) = part {
                parts.push(Part::Exactly(std::mem::take(&mut exactly)));
                parts.push(part);
            } else {
                exactly.push(first);
            }
            rest = &rest[length..];
        }
        parts.push(Part::Exactly(exactly));
        Self(parts)
    }

    /// Whether the pattern stands for one path only.
    pub fn is_exact(&self) -> bool {
        self.0.len() == 1
    }

    /// Whether it has a `:name`.
    pub fn has_placeholder(&self) -> bool {
        self.0.contains(&Part::Segment)
    }

    /// Whether the path of a URL, as [`urls_of`] gives it, matches.
    pub fn matches(&self, url: &str) -> bool {
        matches(&self.0, url)
    }
}

fn matches(parts: &[Part], text: &str) -> bool {
    let Some((part, parts)) = parts.split_first() else {
        return text.is_empty();
    };
    let range = match part {
        Part::Exactly(exactly) => {
            return text
                .strip_prefix(exactly.as_str())
                .is_some_and(|text| matches(parts, text));
        }
        Part::Anything => 0..=text.len(),
        Part::Segment => 1..=text.find('/').unwrap_or(text.len()),
    };
    range
        .filter_map(|length| text.get(length..))
        .any(|text| matches(parts, text))
}

/// The paths under which the file is asked for, without a slash at the end: its own, and as a page, the
/// directory's or the one without `.html`.
pub fn urls_of(relative_path: &str) -> Vec<String> {
    let own = format!("/{relative_path}");
    let page = own
        .strip_suffix("/index.html")
        .or_else(|| own.strip_suffix(".html"))
        .map(str::to_owned);
    std::iter::once(own).chain(page).collect()
}

/// `%20` becomes a blank; nothing if that makes no text.
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = (first == b'%').then(|| after.get(..2)).flatten();
        let code = code
            .filter(|code| code.iter().all(u8::is_ascii_hexdigit))
            .and_then(|code| std::str::from_utf8(code).ok())
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok()
}

fn without_last_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

fn name_length(text: &str) -> usize {
    if !text.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return 0;
    }
    text.find(|each: char| !each.is_ascii_alphanumeric() && each != '_')
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_files() {
        for (pattern, path, expected) in [
            ("/*", "index.html", true),
            ("/*", "a/b/c.js", true),
            ("/", "index.html", true),
            ("/", "a/index.html", false),
            ("/a", "a/index.html", true),
            ("/a/", "a/index.html", true),
            ("/a", "a.html", true),
            ("/a", "a", true),
            ("/a", "ab", false),
            ("/a/*", "a/index.html", true),
            ("/a/*", "ab/c", false),
            ("/*.js", "a/b.js", true),
            ("/*.js", "a/b.jsx", false),
            ("/a*c/*.js", "abc/d/e.js", true),
            ("/blog/:slug", "blog/x", true),
            ("/blog/:slug", "blog/x/index.html", true),
            ("/blog/:slug", "blog/x/y", false),
            ("/blog/:slug/edit", "blog/x/edit", true),
            ("/:year/:name.css", "2024/a.css", true),
            ("/:a", "", false),
            ("/a:b", "a:b", true),
            ("/:8080", ":8080", true),
            ("/a%20b", "a b", true),
            ("/ü/*", "ü/ö", true),
            ("/100%", "100%", true),
        ] {
            let urls = urls_of(path);
            let pattern_of = Pattern::new(pattern);
            let matched = urls.iter().any(|url| pattern_of.matches(url));
            assert_eq!(matched, expected, "{pattern} {path}");
        }
    }

    #[test]
    fn codes_are_decoded_where_they_are_codes() {
        for (text, decoded) in [
            ("/a%20b", Some("/a b")),
            ("/%C3%BC", Some("/ü")),
            ("/100%", Some("/100%")),
            ("/%zz%+1", Some("/%zz%+1")),
            ("/%ff", None),
        ] {
            assert_eq!(percent_decoded(text).as_deref(), decoded, "{text}");
        }
    }
}
