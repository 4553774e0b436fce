//! When in a deploy a file goes up: what nothing links to yet first, what links to the rest last.
//! Read from the path alone, and carefully: a content hash is only what can be neither word, date nor version.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The phases of a deploy, in their order; each is over before the next begins.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Named by their content, so that no page on the live site means another version of them.
    Immutable,
    /// Neither of the two.
    #[default]
    Ordinary,
    /// What browsers ask for by a name that stays: with these a new version of the site goes live.
    EntryPoint,
}

/// Pages.
const ENTRY_EXTENSIONS: &[&str] = &[
    "html",
    "htm",
    "xhtml",
    "webmanifest",
    "appcache",
    "rss",
    "atom",
];

/// Service workers, manifests, feeds, and what else lists the files of the site.
const ENTRY_NAMES: &[&str] = &[
    "service-worker.js",
    "serviceworker.js",
    "service_worker.js",
    "ngsw.json",
    "ngsw-worker.js",
    "onesignalsdkworker.js",
    "onesignalsdkupdaterworker.js",
    "manifest.json",
    "asset-manifest.json",
    "importmap.json",
    "remoteentry.js",
    "robots.txt",
    "feed.xml",
    "feed.json",
    "rss.xml",
    "atom.xml",
    // Where Hugo puts the feed.
    "index.xml",
];

/// Directories whose files a framework names by their content, or by a build's id.
const IMMUTABLE_DIRECTORIES: &[&str] = &["_next/static/", "_app/immutable/"];

impl Phase {
    /// The phase of a file for which no rule gives one.
    pub fn of(relative_path: &str) -> Self {
        let name = relative_path.rsplit('/').next().unwrap_or(relative_path);
        if is_entry_point(&name.to_ascii_lowercase()) {
            Self::EntryPoint
        } else if IMMUTABLE_DIRECTORIES
            .iter()
            .any(|directory| is_under(relative_path, directory))
            || has_content_hash(name)
        {
            Self::Immutable
        } else {
            Self::Ordinary
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Immutable => "immutable",
            Self::Ordinary => "ordinary",
            Self::EntryPoint => "entry-point",
        })
    }
}

fn is_entry_point(name: &str) -> bool {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    ENTRY_EXTENSIONS.contains(&extension)
        || ENTRY_NAMES.contains(&name)
        || (extension == "js" && stem.rsplit(['-', '.']).next() == Some("sw"))
        || (extension == "xml" && stem.starts_with("sitemap"))
}

fn is_under(path: &str, directory: &str) -> bool {
    path.match_indices(directory)
        .any(|(start, _)| start == 0 || path.as_bytes()[start - 1] == b'/')
}

/// Whether a part of the name, between separators and before the extension, is a hash.
fn has_content_hash(name: &str) -> bool {
    let Some((stem, _)) = name.rsplit_once('.') else {
        return false;
    };
    let hexadecimal = !has_uuid(stem) && stem.split(['.', '-', '_']).any(is_hexadecimal_hash);
    hexadecimal || stem.split('.').any(ends_in_short_hash)
}

/// The hashes of webpack, Parcel, Angular, Sprockets, Hugo: 8 to 64 digits. Letters have to stand among the
/// digits, and digits among the letters: `20240131` is a date, and `facade12` a word with a number.
fn is_hexadecimal_hash(part: &str) -> bool {
    let all = |letters: std::ops::RangeInclusive<u8>| {
        part.bytes()
            .all(|byte| byte.is_ascii_digit() || letters.contains(&byte))
    };
    (8..=64).contains(&part.len())
        && (all(b'a'..=b'f') || all(b'A'..=b'F'))
        && changes_of_kind(part) >= 2
}

/// The hashes of Vite, Rollup and Nuxt (8 characters of base64url) and of esbuild (8 of base32), as a whole part
/// of the name or behind a `-`. Base64url itself has `-` and `_`, so this cannot be split at these.
fn ends_in_short_hash(part: &str) -> bool {
    let Some((before, hash)) = part
        .len()
        .checked_sub(8)
        .and_then(|start| part.split_at_checked(start))
    else {
        return false;
    };
    if !(before.is_empty() || before.ends_with('-')) {
        return false;
    }
    let has = |is: fn(&u8) -> bool| hash.as_bytes().iter().any(is);
    let separators = hash.bytes().filter(|byte| b"-_".contains(byte)).count();
    let is_base64url = has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_digit)
        && separators <= 1
        && hash
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        // `iPhone5s` and `Figure12` have all three kinds too, but also a syllable.
        && !hash.as_bytes().windows(4).any(|four| four.iter().all(u8::is_ascii_lowercase))
        && changes_of_kind(hash) >= 4;
    // A letter has to follow a digit: cameras name their pictures `DSC02345`.
    let is_base32 = hash
        .bytes()
        .all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte))
        && hash
            .as_bytes()
            .windows(2)
            .any(|two| two[0].is_ascii_digit() && two[1].is_ascii_uppercase())
        && changes_of_kind(hash) >= 2;
    is_base64url || is_base32
}

/// How often lower case, upper case, digits and the rest take turns.
fn changes_of_kind(text: &str) -> usize {
    let kind = |byte: u8| {
        (
            byte.is_ascii_digit(),
            byte.is_ascii_lowercase(),
            byte.is_ascii_uppercase(),
        )
    };
    text.as_bytes()
        .windows(2)
        .filter(|two| kind(two[0]) != kind(two[1]))
        .count()
}

/// Names of uploads, such as `550e8400-e29b-41d4-a716-446655440000`: unique, but not made from the content.
fn has_uuid(stem: &str) -> bool {
    let parts: Vec<_> = stem.split(['-', '.', '_']).collect();
    parts.windows(5).any(|five| {
        five.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
            && five
                .iter()
                .all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phases_have_their_order() {
        assert!(Phase::Immutable < Phase::Ordinary && Phase::Ordinary < Phase::EntryPoint);
        assert_eq!(
            serde_json::to_string(&Phase::EntryPoint).unwrap(),
            format!("\"{}\"", Phase::EntryPoint)
        );
    }

    #[test]
    fn entry_points_are_known_by_their_names() {
        for path in [
            "index.html",
            "blog/2024/A.HTM",
            "index.3f2a9c1b.html",
            "_next/static/x/index.html",
            "sw.js",
            "app/firebase-messaging-sw.js",
            "custom.sw.js",
            "OneSignalSDKWorker.js",
            "ngsw.json",
            "manifest.json",
            "site.webmanifest",
            "asset-manifest.json",
            "sitemap.xml",
            "sitemap-0.xml",
            "sitemap_index.xml",
            "robots.txt",
            "posts/index.xml",
            "news.atom",
        ] {
            assert_eq!(Phase::of(path), Phase::EntryPoint, "{path}");
        }
    }

    #[test]
    fn content_hashes_are_found() {
        for path in [
            "static/js/main.3f2a9c1b.js",
            "static/js/787.3f2a9c1b.chunk.js",
            "static/js/main.3f2a9c1b.js.map",
            "static/js/main.3f2a9c1b.js.LICENSE.txt",
            "app-3f2a9c1b0d4e5f6a7b8c.js",
            "component---src-pages-index-js-3f2a9c1b0d4e5f6a7b8c.js",
            "style.min.9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.css",
            "site-3f2a9c1b0d4e5f6a_bg.wasm",
            "workbox-3f2a9c1b.js",
            "3f2a9c1b0c9d.css",
            "assets/index-BxK3v9aQ.css",
            "assets/index-B-K3v9aQ.js",
            "assets/index-BxK3_9aQ.js",
            "_nuxt/BxK3v9aQ.js",
            "_nuxt/entry.BxK3v9aQ.css",
            "logo.BxK3v9aQ.png",
            "chunk-XK3V7AQ2.js",
            "_next/static/chunks/main.js",
            "docs/_next/static/abc/_buildManifest.js",
            "_app/immutable/entry/start.js",
        ] {
            assert_eq!(Phase::of(path), Phase::Immutable, "{path}");
        }
    }

    #[test]
    fn words_dates_and_versions_are_no_hashes() {
        for path in [
            "app.js",
            "app-2024.js",
            "jquery-3.7.1.min.js",
            "photo-20240131.jpg",
            "photo-20240131a.jpg",
            "report-2024-01-31T10-00-00Z.pdf",
            "bootstrap-5.3.0-beta2.css",
            "facade12.css",
            "deadbeef.css",
            "Chapter1.pdf",
            "hero-iPhone15.png",
            "hero-iPhone5s.png",
            "OpenSans-Regular.woff2",
            "CSSGrid2.svg",
            "plan-A4-v2-XL.svg",
            "DSC02345.jpg",
            "ISO27001.pdf",
            "550e8400-e29b-41d4-a716-446655440000.jpg",
            "3f2a9c1b",
            "3f2a9c1b/app.js",
            "my_next/static/app.js",
            "üüüüüüü.js",
            "",
        ] {
            assert_eq!(Phase::of(path), Phase::Ordinary, "{path}");
        }
    }
}
