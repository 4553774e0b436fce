//! What a page loads by itself: scripts, styles, images and the like, as they are written, and the base that they are
//! relative to. Links that somebody has to follow are not among them. Pure.

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

/// The attributes that name something to load, by their element. <https://html.spec.whatwg.org/multipage/indices.html#attributes-3>
const LOADS: &[(&[u8], &[&str])] = &[
    (b"script", &["src"]),
    (b"img", &["src"]),
    (b"source", &["src"]),
    (b"video", &["src", "poster"]),
    (b"audio", &["src"]),
    (b"track", &["src"]),
    (b"embed", &["src"]),
    (b"iframe", &["src"]),
    (b"object", &["data"]),
    // SVG within the page.
    (b"image", &["href", "xlink:href"]),
    (b"use", &["href", "xlink:href"]),
];

/// The attributes that name several images of which a browser takes one.
const SETS: &[(&[u8], &str)] = &[
    (b"img", "srcset"),
    (b"source", "srcset"),
    (b"link", "imagesrcset"),
];

/// The kinds of `link` that a browser loads; `canonical`, `alternate` and `next` are pages.
const LOADED_LINKS: &[&str] = &[
    "stylesheet",
    "icon",
    "apple-touch-icon",
    "apple-touch-icon-precomposed",
    "mask-icon",
    "manifest",
    "modulepreload",
    "preload",
];

/// What a page loads.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct References {
    /// The `href` of its first `base` that has one.
    pub base: Option<String>,
    /// URLs, mostly relative, as they are written.
    pub urls: Vec<String>,
}

impl References {
    /// Reads a page.
    pub fn of(html: &str) -> Self {
        let mut emitter = DefaultEmitter::default();
        // What looks like a tag within a script is none.
        emitter.naively_switch_states(true);
        let mut references = Self::default();
        for token in Tokenizer::new_with_emitter(html, emitter) {
            let Ok(token) = token;
            if let Token::StartTag(tag) = token {
                references.add(&tag);
            }
        }
        references
    }

    fn add(&mut self, tag: &StartTag<()>) {
        let name: &[u8] = &tag.name;
        let attribute = |name: &str| {
            let value = tag.attributes.get(name.as_bytes())?;
            std::str::from_utf8(&value.value).ok().map(str::trim)
        };
        match name {
            b"base" => {
                if let (None, Some(href)) = (&self.base, attribute("href")) {
                    self.base = Some(href.to_owned());
                }
            }
            b"link" => {
                let kinds = attribute("rel").unwrap_or_default().to_ascii_lowercase();
                let mut kinds = kinds.split_ascii_whitespace();
                if kinds.any(|kind| LOADED_LINKS.contains(&kind)) {
                    self.urls.extend(attribute("href").map(str::to_owned));
                }
            }
            _ => {}
        }
        for (_, attributes) in LOADS.iter().filter(|(element, _)| *element == name) {
            let urls = attributes.iter().filter_map(|each| attribute(each));
            self.urls.extend(urls.map(str::to_owned));
        }
        for (_, set) in SETS.iter().filter(|(element, _)| *element == name) {
            let urls = attribute(set).map(candidates).unwrap_or_default();
            self.urls.extend(urls.into_iter().map(str::to_owned));
        }
        // An empty one loads nothing.
        self.urls.retain(|url| !url.is_empty());
    }
}

/// The URLs of a `srcset`: a comma within one, as data URLs have it, does not end it.
/// <https://html.spec.whatwg.org/multipage/images.html#parsing-a-srcset-attribute>
fn candidates(set: &str) -> Vec<&str> {
    let mut urls = Vec::new();
    let mut rest = set;
    loop {
        rest = rest.trim_start_matches(|each: char| each.is_ascii_whitespace() || each == ',');
        if rest.is_empty() {
            return urls;
        }
        let end = rest.find(|each: char| each.is_ascii_whitespace());
        let (written, after) = rest.split_at(end.unwrap_or(rest.len()));
        let url = written.trim_end_matches(',');
        urls.push(url);
        rest = if url.len() < written.len() {
            after
        } else {
            after.split_once(',').map_or("", |(_size, after)| after)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_loads_is_found() {
        let references = References::of(
            "<!doctype html><html><head><base href='/docs/'><base href='/second/'>\
             <LINK REL='shortcut icon' HREF=favicon.ico><link rel=stylesheet href=\"a.css?v=1&amp;w=2\">\
             <link rel=canonical href=https://www.example.com/><link rel=preload as=image href=l.avif imagesrcset='m.avif 2x'>\
             <script src=' app.js '></script><script>document.write('<img src=in-script.png>')</script>\
             <style>a{background:url(<img src=in-style.png>)}</style></head>\
             <body><!-- <img src=in-comment.png> --><a href=page.html>page</a><img src=i.png alt='<img src=in-alt.png>'>\
             <picture><source srcset='s.webp, t.webp 2x'></picture><video src=v.mp4 poster=p.jpg></video>\
             <svg><use xlink:href='icons.svg#x'/></svg><iframe src=frame.html></iframe><img src=''>",
        );
        assert_eq!(references.base.as_deref(), Some("/docs/"));
        assert_eq!(
            references.urls,
            [
                "favicon.ico",
                "a.css?v=1&w=2",
                "l.avif",
                "m.avif",
                "app.js",
                "i.png",
                "s.webp",
                "t.webp",
                "v.mp4",
                "p.jpg",
                "icons.svg#x",
                "frame.html"
            ]
        );
    }

    #[test]
    fn a_srcset_is_parted_at_its_commas_only() {
        for (set, urls) in [
            ("a.png", vec!["a.png"]),
            ("a.png 1x, b.png 2x", vec!["a.png", "b.png"]),
            ("a.png,b.png 2x", vec!["a.png,b.png"]),
            ("a.png, b.png", vec!["a.png", "b.png"]),
            (" , a.png 100w ,\n b.png\t200w", vec!["a.png", "b.png"]),
            (
                "data:image/png;base64,AA== 1x, c.png 2x",
                vec!["data:image/png;base64,AA==", "c.png"],
            ),
            ("", vec![]),
        ] {
            assert_eq!(candidates(set), urls, "{set}");
        }
    }
}
