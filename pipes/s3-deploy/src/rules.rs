//! RULES_FILE: from a list of globs with headers to what one file is to carry, and which rule says so.
//! All rules that match a file are layered in their order, and for each header the last one wins.

mod read;

use std::ops::Range;

use globset::{Glob, GlobSet};
use serde::Serialize;

use crate::headers::Headers;
use crate::phase::Phase;

/// What a layer, or several of them, wish for one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The headers that are given.
    pub headers: Headers,
    /// The phase, if one is given; otherwise it is [`Phase::of`].
    pub phase: Option<Phase>,
    /// Where each of them comes from.
    pub because: Vec<Because>,
}

/// Which layer gave a header its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Because {
    /// Such as `rule 2 (assets/**)` or `_headers line 4`.
    pub rule: String,
    /// Its name as in RULES_FILE, or `phase`.
    pub header: &'static str,
    /// Its value as it was written; `key=value` for `metadata` and `tags`.
    pub value: String,
}

impl Wish {
    /// Lays `over` on top: what it gives wins, and so does its explanation.
    pub fn overlay(&mut self, over: Self) {
        self.headers.overlay(&over.headers);
        self.phase = over.phase.or(self.phase);
        over.because.into_iter().for_each(|each| self.explain(each));
    }

    /// Notes where a header comes from, instead of what was noted of it before.
    pub fn explain(&mut self, because: Because) {
        self.because.retain(|each| !each.is_replaced_by(&because));
        self.because.push(because);
    }
}

impl Because {
    fn is_replaced_by(&self, other: &Self) -> bool {
        let is_map = ["metadata", "tags"].contains(&self.header);
        let key = |each: &Self| each.value.split('=').next().map(str::to_owned);
        self.header == other.header && (!is_map || key(self) == key(other))
    }
}

/// One rule as it was read.
#[derive(Debug, Default)]
struct Rule {
    matches: Vec<Glob>,
    except: Vec<Glob>,
    headers: Headers,
    /// Name and written value of each header.
    given: Vec<(&'static str, String)>,
    immutable: Option<bool>,
    entry_point: Option<bool>,
}

impl Rule {
    /// What is wrong with the rule as a whole.
    fn fault(&self) -> Option<&'static str> {
        if self.matches.is_empty() {
            Some("has no `match`, or one without a glob")
        } else if self.immutable == Some(true) && self.entry_point == Some(true) {
            Some("is `immutable` and `entry-point` at once, first and last")
        } else if self.headers.kms_key_id.is_some()
            && self.headers.encryption.as_deref() == Some("AES256")
        {
            Some("has a `kms-key-id`, but `encryption: AES256` takes none")
        } else if self.given.is_empty() && self.immutable.is_none() && self.entry_point.is_none() {
            Some("gives its files nothing")
        } else {
            None
        }
    }

    /// `false` only takes a phase back, whether another rule gave it or the name of the file.
    fn phase(&self, relative_path: &str, so_far: Option<Phase>) -> Option<Phase> {
        let given = [
            (self.immutable, Phase::Immutable),
            (self.entry_point, Phase::EntryPoint),
        ];
        if let Some((_, phase)) = given.iter().find(|(is, _)| *is == Some(true)) {
            return Some(*phase);
        }
        let current = so_far.unwrap_or_else(|| Phase::of(relative_path));
        given
            .contains(&(Some(false), current))
            .then_some(Phase::Ordinary)
    }
}

/// The rules of a RULES_FILE.
#[derive(Debug, Default)]
pub struct Rules {
    list: Vec<Rule>,
    /// All globs of all rules at once, which costs little more than one of them.
    globs: GlobSet,
    /// Where in `globs` those of each rule are: `match`, then `except`.
    ranges: Vec<(Range<usize>, Range<usize>)>,
}

impl Rules {
    /// Reads the rules.
    ///
    /// # Errors
    /// One line for each fault, with the number of the rule and the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rules = read::read(text)?;
        let mut globs = Vec::new();
        let mut ranges = Vec::new();
        for rule in &rules {
            let start = globs.len();
            globs.extend(rule.matches.iter().cloned());
            let middle = globs.len();
            globs.extend(rule.except.iter().cloned());
            ranges.push((start..middle, middle..globs.len()));
        }
        let globs = GlobSet::new(&globs)
            .map_err(|error| format!("the globs are too large together: {error}"))?;
        Ok(Self {
            list: rules,
            globs,
            ranges,
        })
    }

    /// What the rules wish for the file at this path, relative to LOCAL_PATH.
    pub fn wish(&self, relative_path: &str) -> Wish {
        let mut wish = Wish::default();
        let hits = self.globs.matches(relative_path);
        let first = |range: &Range<usize>| hits.iter().copied().find(|hit| range.contains(hit));
        for (index, (rule, (matches, except))) in self.list.iter().zip(&self.ranges).enumerate() {
            let Some(hit) = first(matches).filter(|_| first(except).is_none()) else {
                continue;
            };
            let glob = rule.matches[hit - matches.start].glob();
            let source = format!("rule {} ({glob})", index + 1);
            let explained = |(header, value): &(&'static str, String)| Because {
                rule: source.clone(),
                header,
                value: value.clone(),
            };
            let phase = rule.phase(relative_path, wish.phase);
            let given = phase.map(|phase| ("phase", phase.to_string()));
            wish.overlay(Wish {
                headers: rule.headers.clone(),
                phase,
                because: rule.given.iter().chain(&given).map(explained).collect(),
            });
        }
        wish
    }
}

#[cfg(test)]
mod tests;
