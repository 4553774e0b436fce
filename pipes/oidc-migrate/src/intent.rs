//! What an edit is meant to change, by the nodes of the tree: the text is edited by lines, and this says what must come
//! of it, so that another parser can hold the result against it.

use std::collections::{BTreeMap, BTreeSet};

use yaml_serde::Value;

use crate::tree::NodeId;

/// The intended differences.
#[derive(Clone, Debug, Default)]
pub struct Intent {
    /// Entries that go, by their keys.
    pub removed: BTreeSet<NodeId>,
    /// Entries that come, by the mapping that gets them.
    pub added: BTreeMap<NodeId, Vec<(String, Value)>>,
    /// Values that become others.
    pub replaced: BTreeMap<NodeId, Value>,
    /// Keys that get another name.
    pub renamed: BTreeMap<NodeId, String>,
}

impl Intent {
    /// An entry comes to this mapping.
    pub fn add(&mut self, mapping: NodeId, name: &str, value: impl Into<Value>) {
        self.added
            .entry(mapping)
            .or_default()
            .push((name.to_owned(), value.into()));
    }

    /// Adds what another edit means.
    pub fn extend(&mut self, other: Self) {
        self.removed.extend(other.removed);
        self.replaced.extend(other.replaced);
        self.renamed.extend(other.renamed);
        for (mapping, entries) in other.added {
            self.added.entry(mapping).or_default().extend(entries);
        }
    }
}
