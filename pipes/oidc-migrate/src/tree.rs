//! The events of a YAML parser become a tree of which each node knows where it stands. Aliases stay aliases, since an
//! edit is made at the anchor's own site; what they lead to is looked up, and a loop of them is refused.

use std::collections::{HashMap, HashSet};
use std::fmt;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::lines;

/// A longer file is refused: Bitbucket's own files have some hundred lines.
const LARGEST: usize = 4 << 20;
/// Pipelines need about ten levels.
const DEEPEST: usize = 64;
/// Nodes that a walk would see with every alias followed: a few lines can stand for billions.
const MOST_NODES: usize = 200_000;
/// Brings in the entries of another mapping: <https://yaml.org/type/merge.html>.
const MERGE: &str = "<<";

/// The number of a node in its tree.
pub type NodeId = usize;

/// A parsed file.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    /// The node of the only document, if there is one.
    pub root: Option<NodeId>,
    /// Keys that come twice in one mapping, the second of each pair.
    pub duplicates: Vec<NodeId>,
}

/// A node and where it stands.
#[derive(Debug)]
pub struct Node {
    /// What it is.
    pub data: Data,
    /// Its first character; for a node with an anchor or a tag that of the node itself or of these.
    pub start: Place,
    /// Behind its last character; for a block that of the parser, perhaps after comments.
    pub end: Place,
    /// Whether it is a mapping or sequence in the style of JSON.
    pub is_flow: bool,
    /// Whether it has an anchor.
    pub has_anchor: bool,
}

/// What a node is.
#[derive(Debug)]
pub enum Data {
    /// A text, as it is meant, and how it was written.
    Scalar(String, ScalarStyle),
    /// Items in order.
    Sequence(Vec<NodeId>),
    /// Keys and values in order.
    Mapping(Vec<(NodeId, NodeId)>),
    /// Stands for another node.
    Alias(NodeId),
}

/// A place in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// In characters, from 0.
    pub column: usize,
}

impl From<Marker> for Place {
    fn from(marker: Marker) -> Self {
        Self {
            line: marker.line(),
            column: marker.col(),
        }
    }
}

/// One entry of a mapping as it is seen with merge keys followed.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The mapping that holds it.
    pub owner: NodeId,
    /// Its key.
    pub key: NodeId,
    /// Its value, perhaps an alias.
    pub value: NodeId,
}

/// Why a text is no tree that can be worked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// One sentence.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.line, self.text)
    }
}

impl Fault {
    /// A fault in this line.
    pub fn new(line: usize, text: impl Into<String>) -> Self {
        Self {
            line,
            text: text.into(),
        }
    }
}

impl Tree {
    /// Reads a text without byte order mark.
    ///
    /// # Errors
    /// When it is not YAML, has more than one document, or is larger or deeper than any pipeline file.
    pub fn read(text: &str) -> Result<Self, Fault> {
        if text.len() > LARGEST {
            return Err(Fault::new(
                1,
                format!("the file is larger than {} MB", LARGEST >> 20),
            ));
        }
        let mut builder = Builder::default();
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| {
                Fault::new(error.marker().line(), format!("no YAML: {}", error.info()))
            })?;
            builder.event(event, span.start.into(), span.end.into())?;
        }
        let mut tree = builder.tree;
        tree.mark_flow(text);
        Ok(tree)
    }

    fn mark_flow(&mut self, text: &str) {
        let lines = lines::split(text);
        for node in &mut self.nodes {
            if !matches!(node.data, Data::Mapping(_) | Data::Sequence(_)) {
                continue;
            }
            let content = lines
                .get(node.start.line - 1)
                .map_or("", |line| line.content);
            let mut rest = &content[lines::byte_of(content, node.start.column)..];
            while rest.starts_with(['&', '!']) {
                rest = rest
                    .split_once(' ')
                    .map_or("", |(_, rest)| rest.trim_start());
            }
            node.is_flow = rest.starts_with(['{', '[']);
        }
    }

    /// All nodes in the order of the text.
    #[must_use]
    pub fn ids(&self) -> std::ops::Range<NodeId> {
        0..self.nodes.len()
    }

    /// A node as it stands, alias or not.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// What an alias leads to; the node itself if it is none.
    #[must_use]
    pub fn resolve(&self, mut id: NodeId) -> NodeId {
        while let Data::Alias(target) = self.nodes[id].data {
            id = target;
        }
        id
    }

    /// The text of a scalar, also behind an alias.
    #[must_use]
    pub fn text(&self, id: NodeId) -> Option<&str> {
        match &self.nodes[self.resolve(id)].data {
            Data::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// The items of a sequence, also behind an alias; nothing for another node.
    #[must_use]
    pub fn items(&self, id: NodeId) -> &[NodeId] {
        match &self.nodes[self.resolve(id)].data {
            Data::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The entries that a mapping itself holds, merge keys among them, also behind an alias; nothing for another node.
    #[must_use]
    pub fn own_entries(&self, id: NodeId) -> &[(NodeId, NodeId)] {
        match &self.nodes[self.resolve(id)].data {
            Data::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// Whether the node, or what it leads to, is a mapping.
    #[must_use]
    pub fn is_mapping(&self, id: NodeId) -> bool {
        matches!(self.nodes[self.resolve(id)].data, Data::Mapping(_))
    }

    /// Whether this key is a merge key.
    #[must_use]
    pub fn is_merge(&self, key: NodeId) -> bool {
        matches!(&self.nodes[key].data, Data::Scalar(text, ScalarStyle::Plain) if text == MERGE)
    }

    /// The entries with merge keys followed: what a mapping says itself hides what it inherits, and what is merged first
    /// hides what is merged later. Of a key that comes twice the last one counts.
    #[must_use]
    pub fn entries(&self, id: NodeId) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.collect(self.resolve(id), &mut entries, &mut HashMap::new());
        entries
    }

    fn collect<'tree>(
        &'tree self,
        owner: NodeId,
        entries: &mut Vec<Entry>,
        known: &mut HashMap<Option<&'tree str>, usize>,
    ) {
        let before = entries.len();
        for &(key, value) in self.own_entries(owner) {
            if self.is_merge(key) {
                continue;
            }
            let entry = Entry { owner, key, value };
            match known.get(&self.text(key)) {
                Some(&at) if at >= before => entries[at] = entry,
                Some(_) => {}
                None => {
                    known.insert(self.text(key), entries.len());
                    entries.push(entry);
                }
            }
        }
        for source in self.merged(owner) {
            self.collect(source, entries, known);
        }
    }

    /// The mappings that one mapping merges, in their order.
    fn merged(&self, owner: NodeId) -> impl Iterator<Item = NodeId> {
        let merges = self.own_entries(owner).iter();
        let merges = merges.filter(|(key, _)| self.is_merge(*key));
        merges.flat_map(|&(_, value)| {
            let value = self.resolve(value);
            let sources = match &self.nodes[value].data {
                Data::Sequence(sources) => sources.clone(),
                _ => vec![value],
            };
            sources.into_iter().map(|source| self.resolve(source))
        })
    }

    /// The entry of this name, inherited or not.
    #[must_use]
    pub fn get(&self, mapping: NodeId, name: &str) -> Option<Entry> {
        let owner = self.resolve(mapping);
        let own = self.own_entries(owner).iter().rev();
        let own = own.copied().find(|&(key, _)| self.text(key) == Some(name));
        match own {
            Some((key, value)) => Some(Entry { owner, key, value }),
            None => self.merged(owner).find_map(|source| self.get(source, name)),
        }
    }

    /// The line a node begins in.
    #[must_use]
    pub fn line(&self, id: NodeId) -> usize {
        self.nodes[id].start.line
    }

    /// Where the last scalar or closing bracket of a node ends: unlike the parser's end of a block not after comments.
    #[must_use]
    pub fn end(&self, id: NodeId) -> Place {
        let node = &self.nodes[id];
        let last = match &node.data {
            _ if node.is_flow => None,
            Data::Sequence(items) => items.last(),
            Data::Mapping(entries) => entries.last().map(|(_, value)| value),
            _ => None,
        };
        last.map_or(node.end, |&last| self.end(last))
    }
}

#[derive(Default)]
struct Builder {
    tree: Tree,
    /// Anchors of the parser to their nodes.
    anchors: HashMap<usize, NodeId>,
    /// Mappings and sequences that are not at their end.
    open: Vec<Open>,
    /// How many nodes each one stands for with all aliases followed.
    weights: Vec<usize>,
    documents: usize,
}

struct Open {
    id: NodeId,
    /// The key that waits for its value.
    key: Option<NodeId>,
    names: HashSet<String>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, start: Place, end: Place) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Fault::new(start.line, "a second document begins"));
                }
            }
            Event::Scalar(text, style, anchor, _) => {
                let data = Data::Scalar(text.into_owned(), style);
                self.leaf(data, anchor, start, end, 1)?;
            }
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).copied();
                let target = target.filter(|id| self.open.iter().all(|open| open.id != *id));
                let Some(target) = target else {
                    return Err(Fault::new(start.line, "an alias inside its own anchor"));
                };
                self.leaf(Data::Alias(target), 0, start, end, self.weights[target])?;
            }
            Event::SequenceStart(anchor, _) => {
                self.begin(Data::Sequence(Vec::new()), anchor, start, end)?;
            }
            Event::MappingStart(anchor, _) => {
                self.begin(Data::Mapping(Vec::new()), anchor, start, end)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.tree.nodes[open.id].end = end;
                    self.place(open.id)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add(
        &mut self,
        data: Data,
        anchor: usize,
        start: Place,
        end: Place,
        weight: usize,
    ) -> NodeId {
        let id = self.tree.nodes.len();
        self.tree.nodes.push(Node {
            data,
            start,
            end,
            is_flow: false,
            has_anchor: anchor > 0,
        });
        self.weights.push(weight);
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        id
    }

    fn leaf(
        &mut self,
        data: Data,
        anchor: usize,
        start: Place,
        end: Place,
        weight: usize,
    ) -> Result<(), Fault> {
        let id = self.add(data, anchor, start, end, weight);
        self.place(id)
    }

    fn begin(&mut self, data: Data, anchor: usize, start: Place, end: Place) -> Result<(), Fault> {
        if self.open.len() >= DEEPEST {
            return Err(Fault::new(
                start.line,
                format!("nested more than {DEEPEST} levels deep"),
            ));
        }
        let id = self.add(data, anchor, start, end, 1);
        self.open.push(Open {
            id,
            key: None,
            names: HashSet::new(),
        });
        Ok(())
    }

    /// Puts a node that is complete into the one that holds it.
    fn place(&mut self, id: NodeId) -> Result<(), Fault> {
        let Some(open) = self.open.last_mut() else {
            self.tree.root = Some(id);
            return Ok(());
        };
        match (&mut self.tree.nodes[open.id].data, open.key.take()) {
            (Data::Sequence(items), _) => items.push(id),
            (Data::Mapping(entries), Some(key)) => entries.push((key, id)),
            _ => {
                open.key = Some(id);
                let name = self.tree.text(id).map(str::to_owned);
                if name.is_some_and(|name| !open.names.insert(name)) {
                    self.tree.duplicates.push(id);
                }
            }
        }
        let weight = self.weights[open.id].saturating_add(self.weights[id]);
        if weight > MOST_NODES {
            return Err(Fault::new(
                self.tree.nodes[id].start.line,
                format!("with its aliases followed it has more than {MOST_NODES} nodes"),
            ));
        }
        self.weights[open.id] = weight;
        Ok(())
    }
}
