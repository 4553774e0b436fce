//! The text of RULES_FILE becomes rules, or all its faults with rule and line.
//! serde stops at the first fault and only an error knows its line, so the text is read again without the entry
//! at fault until nothing is left to say: one round trip through CI shows everything.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use globset::{Glob, GlobBuilder};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use shared::FromText as _;

use super::Rule;
use crate::headers::values;

/// The keys of a rule besides the headers that are one text.
const OTHER_KEYS: &[&str] = &[
    "match",
    "except",
    "metadata",
    "tags",
    "immutable",
    "entry-point",
];

/// A rule, or an entry of it, both counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    rule: usize,
    entry: Option<usize>,
}

/// The rules in `text`, or one line for each fault.
pub(super) fn read(text: &str) -> Result<Vec<Rule>, String> {
    let mut skipped = BTreeSet::new();
    let mut faults: Vec<(usize, String)> = Vec::new();
    loop {
        let reading = Reading {
            skipped: &skipped,
            place: Cell::new(None),
        };
        let document = yaml_serde::Deserializer::from_str(text);
        let error = match document.deserialize_any(&reading) {
            Ok(rules) if faults.is_empty() => return Ok(rules),
            Ok(_) => break,
            Err(error) => error,
        };
        let place = reading.place.get();
        let fault = worded(&error, place);
        // An error of the syntax comes again whatever is skipped.
        let is_new = !faults.iter().any(|(_, known)| *known == fault);
        if is_new {
            let line = error.location().map_or(0, |location| location.line());
            faults.push((line, fault));
        }
        match place {
            Some(place) if is_new && skipped.insert(place) => {}
            _ => break,
        }
    }
    faults.sort();
    let faults: Vec<_> = faults.into_iter().map(|(_, fault)| fault).collect();
    Err(faults.join("\n"))
}

/// `rule 2, line 7: acl: unallowed value …`
fn worded(error: &yaml_serde::Error, place: Option<Place>) -> String {
    let mut text = error.to_string();
    let mut start = String::new();
    if let Some(location) = error.location() {
        let (line, column) = (location.line(), location.column());
        text = text.replacen(&format!(" at line {line} column {column}"), "", 1);
        let rule = place.map_or_else(String::new, |place| format!("rule {}, ", place.rule + 1));
        start = format!("{rule}line {line}: ");
    }
    // The library begins with the path, as in `.[1].metadata.build: `.
    if let Some((_, rest)) = text
        .strip_prefix(".[")
        .and_then(|path| path.split_once(']'))
    {
        text = rest.trim_start_matches([':', '.', ' ']).to_owned();
    }
    if text.contains("while scanning an alias") || text.contains("unknown anchor") {
        text.push_str(" (a glob that begins with `*` has to be in quotes)");
    }
    start + &text
}

/// One pass over the text.
struct Reading<'a> {
    skipped: &'a BTreeSet<Place>,
    /// Where the pass is, for the error that ends it.
    place: Cell<Option<Place>>,
}

impl Reading<'_> {
    fn enter(&self, rule: usize, entry: Option<usize>) -> bool {
        let place = Place { rule, entry };
        self.place.set(Some(place));
        !self.skipped.contains(&place)
    }
}

impl<'de> Visitor<'de> for &Reading<'_> {
    type Value = Vec<Rule>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of rules")
    }

    /// A file of nothing but comments.
    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut rules = Vec::new();
        for rule in 0.. {
            let next = if self.enter(rule, None) {
                list.next_element_seed(OneRule {
                    reading: self,
                    rule,
                })?
            } else {
                list.next_element::<IgnoredAny>()?.map(|_| Rule::default())
            };
            let Some(next) = next else { break };
            rules.push(next);
        }
        Ok(rules)
    }
}

struct OneRule<'a> {
    reading: &'a Reading<'a>,
    rule: usize,
}

impl<'de> DeserializeSeed<'de> for OneRule<'_> {
    type Value = Rule;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Rule, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneRule<'_> {
    type Value = Rule;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a rule, which has `match` and other keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rule, A::Error> {
        let mut rule = Rule::default();
        let mut seen = Vec::new();
        let mut is_whole = true;
        for entry in 0.. {
            if self.reading.enter(self.rule, Some(entry)) {
                let Some(key) = map.next_key_seed(Key(&seen))? else {
                    break;
                };
                map.next_value_seed(Value(key, &mut rule))?;
                seen.push(key);
            } else {
                is_whole = false;
                if map.next_entry::<IgnoredAny, IgnoredAny>()?.is_none() {
                    break;
                }
            }
        }
        self.reading.enter(self.rule, None);
        // What is missing may stand in the part that could not be read.
        match rule.fault() {
            Some(fault) if is_whole => Err(A::Error::custom(fault)),
            _ => Ok(rule),
        }
    }
}

/// One of the known keys, once.
struct Key<'a>(&'a [&'static str]);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(Text(|text: &str| {
            let mut known = OTHER_KEYS.iter().chain(values::HEADERS);
            let Some(key) = known.find(|key| **key == text) else {
                let allowed = [OTHER_KEYS, values::HEADERS].concat().join(", ");
                return Err(format!("unknown key `{text}` (allowed: {allowed})"));
            };
            if self.0.contains(key) {
                return Err(format!("`{key}` stands twice in one rule"));
            }
            Ok(*key)
        }))
    }
}

/// The value of one key, laid into the rule.
struct Value<'a>(&'static str, &'a mut Rule);

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self(key, rule) = self;
        match key {
            "match" => rule.matches = deserializer.deserialize_any(Globs)?,
            "except" => rule.except = deserializer.deserialize_any(Globs)?,
            "immutable" => rule.immutable = Some(deserializer.deserialize_str(Text(boolean))?),
            "entry-point" => rule.entry_point = Some(deserializer.deserialize_str(Text(boolean))?),
            "metadata" => deserializer.deserialize_map(Pairs(|name: &str, value: &str| {
                let name = values::add_metadata(&mut rule.headers, name, value)?;
                rule.given.push((key, format!("{name}={}", value.trim())));
                Ok(())
            }))?,
            "tags" => deserializer.deserialize_map(Pairs(|name: &str, value: &str| {
                values::add_tag(&mut rule.headers, name, value)?;
                rule.given.push((key, format!("{name}={value}")));
                Ok(())
            }))?,
            _ => deserializer.deserialize_str(Text(|value: &str| {
                values::set(&mut rule.headers, key, value)?;
                rule.given.push((key, value.trim().to_owned()));
                Ok(())
            }))?,
        }
        Ok(())
    }
}

fn boolean(text: &str) -> Result<bool, String> {
    bool::from_text(text)
}

/// The text of a scalar as it stands in the file: `1.10` and `012` are no numbers here.
struct Text<F>(F);

impl<T, F: FnOnce(&str) -> Result<T, String>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

/// The entries of a map of texts.
struct Pairs<F>(F);

impl<'de, F: FnMut(&str, &str) -> Result<(), String>> Visitor<'de> for Pairs<F> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a map of names and texts")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            (self.0)(&name, &value).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// A glob or a list of globs.
struct Globs;

impl<'de> Visitor<'de> for Globs {
    type Value = Vec<Glob>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a glob or a list of globs")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(vec![glob(text).map_err(E::custom)?])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut globs = Vec::new();
        while let Some(glob) = list.next_element_seed(OneGlob)? {
            globs.push(glob);
        }
        Ok(globs)
    }
}

struct OneGlob;

impl<'de> DeserializeSeed<'de> for OneGlob {
    type Value = Glob;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Glob, D::Error> {
        deserializer.deserialize_str(Text(glob))
    }
}

fn glob(text: &str) -> Result<Glob, String> {
    let fault = |why: &str| Err(format!("the glob `{text}` {why}"));
    if text.is_empty() {
        return fault("is empty");
    }
    // Each of these is legal, and matches nothing that can be in the directory.
    if text.starts_with('/') || text.starts_with("./") {
        return fault("has to begin without `/` or `./`: paths are relative to LOCAL_PATH");
    }
    if text.ends_with('/') {
        return fault(
            "ends in `/` and would match no file; `/**` means all that is in a directory",
        );
    }
    if text.starts_with('!') {
        return fault("begins with `!`; `except` takes files out");
    }
    GlobBuilder::new(text)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .or_else(|error| fault(&format!("could not be read: {}", error.kind())))
}
