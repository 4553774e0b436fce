//! A tree beside its text: where a node's characters are, and how an entry is put into a mapping in the style that the
//! mapping has. What the style cannot hold is refused with a reason.

use std::ops::Range;

use saphyr_parser::ScalarStyle;

use crate::edits::Edits;
use crate::lines::{self, Line};
use crate::tree::{Data, NodeId, Place, Tree};

/// The text of a tree.
#[derive(Debug)]
pub struct Source<'text> {
    /// What was read from the text.
    pub tree: &'text Tree,
    lines: Vec<Line<'text>>,
}

impl<'text> Source<'text> {
    /// The tree must have been read from this text.
    #[must_use]
    pub fn new(text: &'text str, tree: &'text Tree) -> Self {
        Self {
            tree,
            lines: lines::split(text),
        }
    }

    /// A line without its break.
    #[must_use]
    pub fn content(&self, line: usize) -> &'text str {
        self.lines.get(line - 1).map_or("", |line| line.content)
    }

    /// The bytes of its line that a node takes, if it stands in one line.
    #[must_use]
    pub fn bytes(&self, node: NodeId) -> Option<Range<usize>> {
        self.between(self.tree.node(node).start, self.tree.end(node))
    }

    /// The bytes between two places in one line.
    #[must_use]
    pub fn between(&self, start: Place, end: Place) -> Option<Range<usize>> {
        let content = self.content(start.line);
        let at = |place: Place| lines::byte_of(content, place.column);
        (start.line == end.line && start.column <= end.column).then(|| at(start)..at(end))
    }

    /// How a node is written, if it stands in one line.
    #[must_use]
    pub fn written(&self, node: NodeId) -> Option<&'text str> {
        self.content(self.tree.line(node)).get(self.bytes(node)?)
    }

    /// What stands before a node in its line.
    #[must_use]
    pub fn before(&self, node: NodeId) -> &'text str {
        let place = self.tree.node(node).start;
        let content = self.content(place.line);
        &content[..lines::byte_of(content, place.column)]
    }

    /// Whether a node is the first thing in its line.
    #[must_use]
    pub fn begins_line(&self, node: NodeId) -> bool {
        self.before(node).chars().all(|each| each == ' ')
    }

    /// The comment behind a node in the line where it ends.
    #[must_use]
    pub fn comment_behind(&self, node: NodeId) -> Option<&'text str> {
        let end = self.tree.end(node);
        let content = self.content(end.line);
        let behind = content[lines::byte_of(content, end.column)..].trim();
        behind.starts_with('#').then_some(behind)
    }

    /// Puts `oidc: true` into a step: behind its `name`, or before its first entry.
    ///
    /// # Errors
    /// When it cannot be held.
    pub fn add_oidc(&self, step: NodeId) -> Result<Edits, String> {
        let entries = self.tree.own_entries(step);
        let Some(&(first, _)) = entries.first() else {
            return Err("the step is empty".to_owned());
        };
        let mut edits = Edits::default();
        let name = entries
            .iter()
            .find(|&&(key, value)| self.tree.text(key) == Some("name") && self.is_short(value));
        if self.tree.node(step).is_flow {
            return self.add_oidc_to_flow(step, first, name.map(|&(_, value)| value));
        }
        let line = self.tree.line(first);
        let indentation = " ".repeat(self.tree.node(first).start.column);
        if let Some(&(_, value)) = name {
            edits.insert_after(
                self.tree.end(value).line.max(self.tree.line(value)),
                indentation + "oidc: true",
            );
        } else if self.begins_line(first) {
            edits.insert_before(line, indentation + "oidc: true");
        } else if self
            .before(first)
            .chars()
            .all(|each| matches!(each, ' ' | '-'))
        {
            // `- script:` is also the first line of the step: it is moved to the next one.
            let content = self.content(line);
            let at = self.before(first).len();
            edits.splice(line, at..content.len(), "oidc: true");
            edits.insert_after(line, indentation + &content[at..]);
        } else {
            return Err("its first entry does not begin a line".to_owned());
        }
        Ok(edits)
    }

    fn add_oidc_to_flow(
        &self,
        step: NodeId,
        first: NodeId,
        name: Option<NodeId>,
    ) -> Result<Edits, String> {
        if self.tree.node(step).start.line != self.tree.end(step).line {
            return Err("the step is in flow style (`{…}`) over several lines".to_owned());
        }
        let is_json = self
            .written(first)
            .is_some_and(|text| text.starts_with('"'));
        let entry = if is_json {
            "\"oidc\": true"
        } else {
            "oidc: true"
        };
        let (at, text) = if let Some(value) = name {
            let bytes = self.bytes(value).ok_or("its name is over several lines")?;
            (bytes.end, format!(", {entry}"))
        } else {
            (self.before(first).len(), format!("{entry}, "))
        };
        let mut edits = Edits::default();
        edits.splice(self.tree.line(first), at..at, text);
        Ok(edits)
    }

    /// Whether a value is a scalar of one line, or stands elsewhere.
    fn is_short(&self, value: NodeId) -> bool {
        match &self.tree.node(value).data {
            Data::Scalar(text, style) => {
                !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
                    && !text.is_empty()
                    && self.bytes(value).is_some()
            }
            Data::Alias(_) => true,
            _ => false,
        }
    }

    /// Whether a value is a scalar that can be taken away or replaced with its line: not over several lines, no alias,
    /// and nothing that an alias needs.
    ///
    /// # Errors
    /// When it is not, with the reason.
    pub fn is_plain_line(&self, key: NodeId, value: NodeId) -> Result<(), String> {
        let name = self.tree.text(key).unwrap_or_default();
        let node = self.tree.node(value);
        match &node.data {
            Data::Alias(_) => Err(format!("`{name}` is an alias")),
            _ if node.has_anchor || self.tree.node(key).has_anchor => {
                Err(format!("`{name}` has an anchor"))
            }
            Data::Scalar(text, _) if text.is_empty() => Ok(()),
            Data::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded) => {
                Err(format!("`{name}` is over several lines"))
            }
            Data::Scalar(..)
                if self.bytes(value).is_none() || node.start.line != self.tree.line(key) =>
            {
                Err(format!("`{name}` is over several lines"))
            }
            Data::Scalar(..) => Ok(()),
            _ => Err(format!("`{name}` is not a text")),
        }
    }
}
