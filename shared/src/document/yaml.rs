//! YAML 1.2 with the merge keys of 1.1. A plain scalar is a number only if the number is written back the same, so that
//! `1.20` and `012345678901` stay what they are; what was filled from a variable is text unless a tag says otherwise.

use std::borrow::Cow;

use saphyr::{MarkedYaml, Scalar, ScalarStyle, Tag, YamlData, YamlLoader};
use saphyr_parser::{Event, Marker, Parser, ScanError};
use serde_json::{Map, Number, Value};

use super::placeholders::Filling;
use super::{Fault, Place};

/// Brings in the entries of another mapping: <https://yaml.org/type/merge.html>.
const MERGE: &str = "<<";
/// Lists and mappings in each other: somewhat less than a reader of JSON takes, and more than any API does.
const DEEPEST: usize = 100;
/// Nodes that aliases may stand for.
const ALIASED: usize = 10_000;

pub(super) fn read(text: &str, filling: &mut Filling<'_>) -> Result<Value, Fault> {
    if let Some(marker) = too_deep(text) {
        return Err(Fault {
            place: place(marker),
            text: TOO_DEEP.to_owned(),
        });
    }
    let mut loader = YamlLoader::<MarkedYaml<'_>>::default();
    loader.early_parse(false);
    loader.alias_limit(ALIASED);
    let loaded = Parser::new_from_str(text).load(&mut loader, true);
    let error = loaded.err().or_else(|| loader.error().cloned());
    if let Some(error) = error {
        return Err(broken(&error));
    }
    let fault = |line, text: &str| Fault {
        place: Place { line, column: 1 },
        text: text.to_owned(),
    };
    match loader.into_documents().as_slice() {
        [] => Err(fault(1, "there is nothing in it")),
        [document] => Reading {
            text,
            filling,
            depth: 0,
        }
        .value(document),
        [_, second, ..] => Err(fault(
            second.span.start.line(),
            "a second document begins, and only one is expected",
        )),
    }
}

const TOO_DEEP: &str = "lists and mappings are nested more than 100 deep";

/// Where a text is nested so deep that readers of it, which call themselves, would run out of stack: a process that does
/// ends without a word. The parser's events come one by one, at any depth.
pub(crate) fn too_deep(text: &str) -> Option<Marker> {
    let mut depth = 0_usize;
    for event in Parser::new_from_str(text) {
        // What is wrong with it is said by whoever reads it.
        let (event, span) = event.ok()?;
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
            Event::SequenceEnd | Event::MappingEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Some(span.start);
        }
    }
    None
}

struct Reading<'a, 'b> {
    text: &'a str,
    filling: &'a mut Filling<'b>,
    depth: usize,
}

impl Reading<'_, '_> {
    fn value(&mut self, node: &MarkedYaml<'_>) -> Result<Value, Fault> {
        // Aliases of aliases can be deeper than the text.
        if self.depth > DEEPEST {
            return Err(at(node, TOO_DEEP));
        }
        self.depth += 1;
        let value = self.value_here(node);
        self.depth -= 1;
        value
    }

    fn value_here(&mut self, node: &MarkedYaml<'_>) -> Result<Value, Fault> {
        match &node.data {
            YamlData::Representation(text, style, tag) => {
                self.scalar(node, text, *style, tag.as_ref())
            }
            YamlData::Value(scalar) => Ok(resolved(scalar.clone(), None)),
            YamlData::Sequence(items) => items.iter().map(|item| self.value(item)).collect(),
            YamlData::Mapping(_) => self.mapping(node),
            YamlData::Tagged(tag, inner) if tag.is_yaml_core_schema() => self.value(inner),
            YamlData::Tagged(tag, _) => Err(unknown_tag(node, tag)),
            YamlData::Alias(_) | YamlData::BadValue => Err(at(node, "this is no value")),
        }
    }

    fn mapping(&mut self, node: &MarkedYaml<'_>) -> Result<Value, Fault> {
        let YamlData::Mapping(entries) = &node.data else {
            return Err(at(node, "`<<` needs a mapping, or a list of them"));
        };
        let mut values = Map::new();
        let mut merged = Vec::new();
        for (key, value) in entries {
            let YamlData::Representation(name, style, _) = &key.data else {
                return Err(at(key, "a key has to be a text"));
            };
            if name == MERGE && *style == ScalarStyle::Plain {
                match &value.data {
                    YamlData::Sequence(mappings) => merged.extend(mappings),
                    _ => merged.push(value),
                }
                continue;
            }
            let name = self.filled(key, name);
            let value = self.value(value)?;
            if values.insert(name.clone().into_owned(), value).is_some() {
                return Err(at(key, &format!("the key `{name}` comes twice")));
            }
        }
        for mapping in merged {
            let Value::Object(others) = self.mapping(mapping)? else {
                continue;
            };
            for (name, value) in others {
                values.entry(name).or_insert(value);
            }
        }
        Ok(values.into())
    }

    fn scalar(
        &mut self,
        node: &MarkedYaml<'_>,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Cow<'_, Tag>>,
    ) -> Result<Value, Fault> {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            return Err(unknown_tag(node, tag));
        }
        let filled = self.filled(node, text);
        if tag.is_none() && (style != ScalarStyle::Plain || filled != text) {
            return Ok(filled.into());
        }
        let scalar = Scalar::parse_from_cow_and_metadata(Cow::Borrowed(&filled), style, tag);
        match scalar {
            Some(scalar) => Ok(resolved(scalar, tag.is_none().then_some(&filled))),
            None => Err(at(node, "the value is not what its tag says")),
        }
    }

    fn filled<'text>(&mut self, node: &MarkedYaml<'_>, text: &'text str) -> Cow<'text, str> {
        if !text.contains("${") {
            return Cow::Borrowed(text);
        }
        // Escapes and folding move what is inside a scalar, but no placeholder has anything to escape: the n-th one of
        // the scalar is the n-th one of the source from its beginning.
        let start = byte_of(self.text, node.span.start);
        let place = |offset: usize| {
            let before = text[..offset].matches("${").count();
            let source = self.text.get(start..).unwrap_or_default();
            let found = source.match_indices("${").nth(before);
            Place::of(self.text, start + found.map_or(0, |(at, _)| at))
        };
        let filled = self.filling.fill(text, place, |value| Ok(value.to_owned()));
        Cow::Owned(filled)
    }
}

/// `text` is how a plain scalar was written.
fn resolved(scalar: Scalar<'_>, text: Option<&str>) -> Value {
    let as_written = |number: Number| match text {
        Some(text) if text != number.to_string() => Value::from(text),
        _ => Value::Number(number),
    };
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => Value::Bool(value),
        Scalar::Integer(value) => as_written(value.into()),
        Scalar::FloatingPoint(value) => match Number::from_f64(value.into_inner()) {
            Some(number) => as_written(number),
            None => Value::from(text.unwrap_or_default()),
        },
        Scalar::String(text) => Value::from(text),
    }
}

fn broken(error: &ScanError) -> Fault {
    Fault {
        place: place(*error.marker()),
        text: error.info().to_owned(),
    }
}

fn unknown_tag(node: &MarkedYaml<'_>, tag: &Tag) -> Fault {
    at(node, &format!("the tag `{tag}` means nothing here"))
}

fn at(node: &MarkedYaml<'_>, text: &str) -> Fault {
    Fault {
        place: place(node.span.start),
        text: text.to_owned(),
    }
}

fn place(marker: Marker) -> Place {
    Place {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

fn byte_of(text: &str, marker: Marker) -> usize {
    text.char_indices()
        .nth(marker.index())
        .map_or(text.len(), |(at, _)| at)
}
