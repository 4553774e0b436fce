//! JSON, strictly: a key that comes twice is a fault, since readers do not agree which one counts.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::placeholders::{Filling, with_numbers};
use super::{Fault, Place};

/// Reads the text twice: first with a number for every placeholder, so that faults of the text itself have their true
/// places, then filled.
pub(super) fn read(text: &str, filling: &mut Filling<'_>) -> Result<Value, Fault> {
    let mut plain = String::with_capacity(text.len());
    let mut filled = String::with_capacity(text.len());
    for (range, is_string) in parts(text) {
        let part = &text[range.clone()];
        let place = |offset| Place::of(text, range.start + offset);
        if is_string {
            plain.push_str(part);
            filled.push_str(&filling.fill(part, place, |value| Ok(escaped(value))));
        } else {
            plain.push_str(&with_numbers(part));
            filled.push_str(&filling.fill(part, place, bare));
        }
    }
    parse(&plain)?;
    // A fault of a placeholder says it better than what it leaves behind.
    if !filling.is_faultless() {
        return Ok(Value::Null);
    }
    parse(&filled)
}

fn parse(text: &str) -> Result<Value, Fault> {
    if text.trim().is_empty() {
        return Err(Fault {
            place: Place { line: 1, column: 1 },
            text: "there is nothing in it".to_owned(),
        });
    }
    serde_json::from_str::<Strict>(text)
        .map(|value| value.0)
        .map_err(|error| {
            let place = Place {
                line: error.line(),
                column: error.column(),
            };
            let text = error.to_string();
            let suffix = format!(" at line {} column {}", place.line, place.column);
            let text = text.strip_suffix(&suffix).unwrap_or(&text).to_owned();
            Fault { place, text }
        })
}

/// The strings of a text, with their quotes, and what is between them.
fn parts(text: &str) -> Vec<(Range<usize>, bool)> {
    let (mut parts, mut start, mut is_string, mut is_escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => {
                let end = if is_string { at + 1 } else { at };
                parts.push((start..end, is_string));
                start = end;
                is_string = !is_string;
            }
            _ => {}
        }
    }
    parts.push((start..text.len(), is_string));
    parts
}

fn escaped(value: &str) -> String {
    let quoted = Value::from(value).to_string();
    let inside = quoted
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inside.unwrap_or_default().to_owned()
}

fn bare(value: &str) -> Result<String, &'static str> {
    match serde_json::from_str::<Strict>(value) {
        Ok(_) => Ok(value.to_owned()),
        Err(_) => Err("stands outside of quotes, and its value is not JSON"),
    }
}

/// A value in which no object has a key twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if values.contains_key(&key) {
                return Err(A::Error::custom(format_args!(
                    "the key `{key}` comes twice"
                )));
            }
            let Strict(value) = map.next_value()?;
            values.insert(key, value);
        }
        Ok(values.into())
    }
}
