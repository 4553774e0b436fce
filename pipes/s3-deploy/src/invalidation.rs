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
mod tests;
