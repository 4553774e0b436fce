//! `${NAME}` in a text: found, looked up, and what is wrong with it collected, so that all of it is said at once.

use std::collections::BTreeSet;

use super::{Fault, Place};
use crate::variables::{Environment, SECRET_NAMES};

/// What a container has by itself: that a file means its own of these is likelier than that it means the pipe's.
const OF_THE_PROCESS: &[&str] = &["HOME", "HOSTNAME", "PATH", "PWD", "SHLVL", "TERM", "_"];

/// A part of a text.
enum Piece<'text> {
    Text(&'text str),
    /// All of it, from the `$` to the brace that closes it if one does, and where it is.
    Placeholder(&'text str, usize),
}

/// Fills texts, and collects what is wrong.
pub(super) struct Filling<'a> {
    environment: &'a Environment,
    faults: BTreeSet<Fault>,
}

impl<'a> Filling<'a> {
    pub(super) const fn new(environment: &'a Environment) -> Self {
        Self {
            environment,
            faults: BTreeSet::new(),
        }
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_faultless(&self) -> bool {
        self.faults.is_empty()
    }

    /// Everything that was wrong, in the order of the places.
    pub(super) fn faults(self) -> BTreeSet<Fault> {
        self.faults
    }

    /// The text with every value as `written` writes it. `place` is asked with the offset of a `$` in the text.
    pub(super) fn fill(
        &mut self,
        text: &str,
        place: impl Fn(usize) -> Place,
        written: impl Fn(&str) -> Result<String, &'static str>,
    ) -> String {
        let mut filled = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Placeholder(placeholder, offset) => {
                    let value = self
                        .value(placeholder)
                        .and_then(|value| written(value).map_err(str::to_owned));
                    match value {
                        Ok(value) => filled.push_str(&value),
                        Err(why) => {
                            self.faults.insert(Fault {
                                place: place(offset),
                                text: format!("`{placeholder}` {why}"),
                            });
                        }
                    }
                }
            }
        }
        filled
    }

    fn value(&self, placeholder: &str) -> Result<&'a str, String> {
        let name = placeholder
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'));
        let Some(name) = name.filter(|name| is_name(name)) else {
            return Err("is not of the form `${NAME}`".to_owned());
        };
        if SECRET_NAMES.contains(&name) {
            return Err("is a credential of this run, which belongs into no file".to_owned());
        }
        if OF_THE_PROCESS.contains(&name) {
            return Err("is not defined".to_owned());
        }
        self.environment.get(name).ok_or_else(|| {
            if self.environment.names().any(|known| known == name) {
                "is set, but to nothing".to_owned()
            } else {
                "is not defined".to_owned()
            }
        })
    }
}

/// The text with every placeholder replaced by a number of the same length in bytes: what follows keeps its place.
pub(super) fn with_numbers(text: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => replaced.push_str(text),
            Piece::Placeholder(placeholder, _) => {
                replaced.push('0');
                replaced.push_str(&" ".repeat(placeholder.len() - 1));
            }
        }
    }
    replaced
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while let Some(found) = text.get(start..).and_then(|rest| rest.find("${")) {
        let dollar = start + found;
        if dollar > start && text.as_bytes()[dollar - 1] == b'$' {
            // The first of the two dollars goes.
            pieces.push(Piece::Text(&text[start..dollar - 1]));
            pieces.push(Piece::Text("${"));
            start = dollar + 2;
            continue;
        }
        let inside = &text[dollar + 2..];
        let length = match inside.find(['}', '\n', '"']) {
            Some(end) if inside[end..].starts_with('}') => end + 1,
            Some(end) => end,
            None => inside.len(),
        };
        let end = dollar + 2 + length;
        pieces.push(Piece::Text(&text[start..dollar]));
        pieces.push(Piece::Placeholder(&text[dollar..end], dollar));
        start = end;
    }
    pieces.push(Piece::Text(&text[start..]));
    pieces
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
