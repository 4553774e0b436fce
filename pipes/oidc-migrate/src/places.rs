//! Where steps stand: the shapes in which a pipeline file holds them become one list, a step behind an anchor once for
//! each place that runs it. <https://support.atlassian.com/bitbucket-cloud/docs/bitbucket-pipelines-configuration-reference/>

use std::collections::HashSet;

use crate::tree::{NodeId, Tree};

/// The keys of a step whose items are commands and pipes.
pub const SCRIPTS: [&str; 2] = ["script", "after-script"];

/// One use of a step.
#[derive(Clone, Debug)]
pub struct Place {
    /// The mapping of the step, aliases followed.
    pub step: NodeId,
    /// The line that brings it in.
    pub line: usize,
    /// Such as `branches/main`.
    pub pipeline: String,
    /// The mapping of the stage that it stands in.
    pub stage: Option<NodeId>,
}

/// A pipeline that stands in another file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its line.
    pub line: usize,
    /// What `import` says.
    pub source: String,
}

/// All uses of steps, and what is imported instead of standing here.
#[derive(Debug, Default)]
pub struct Places {
    /// In the order of the file.
    pub places: Vec<Place>,
    /// In the order of the file.
    pub imports: Vec<Import>,
}

impl Places {
    /// Walks all pipelines, then the steps that only stand ready behind anchors.
    #[must_use]
    pub fn find(tree: &Tree) -> Self {
        let mut walk = Walk {
            tree,
            found: Self::default(),
        };
        if let Some(root) = tree.root {
            walk.root(root);
            walk.unused(root);
        }
        walk.found.places.sort_by_key(|place| place.line);
        walk.found
    }
}

/// The scalar items and mappings of a step's scripts, aliases followed; a list inside the list counts as its items.
#[must_use]
pub fn script_items(tree: &Tree, step: NodeId) -> Vec<NodeId> {
    fn flatten(tree: &Tree, list: NodeId, items: &mut Vec<NodeId>) {
        for &item in tree.items(list) {
            let item = tree.resolve(item);
            if tree.items(item).is_empty() {
                items.push(item);
            } else {
                flatten(tree, item, items);
            }
        }
    }
    let mut items = Vec::new();
    for name in SCRIPTS {
        if let Some(script) = tree.get(step, name) {
            flatten(tree, script.value, &mut items);
        }
    }
    items
}

struct Walk<'tree> {
    tree: &'tree Tree,
    found: Places,
}

impl Walk<'_> {
    fn root(&mut self, root: NodeId) {
        if let Some(pipelines) = self.tree.get(root, "pipelines") {
            self.pipelines(pipelines.value, "");
        }
        if let Some(definitions) = self.tree.get(root, "definitions")
            && let Some(pipelines) = self.tree.get(definitions.value, "pipelines")
        {
            self.pipelines(pipelines.value, "definitions/pipelines/");
        }
    }

    /// `default` holds a pipeline, `branches` and its like hold one for each name.
    fn pipelines(&mut self, pipelines: NodeId, prefix: &str) {
        for entry in self.tree.entries(pipelines) {
            let name = format!("{prefix}{}", self.tree.text(entry.key).unwrap_or_default());
            if !self.tree.is_mapping(entry.value) || self.import(entry.value).is_some() {
                self.pipeline(entry.value, &name);
                continue;
            }
            for entry in self.tree.entries(entry.value) {
                let glob = self.tree.text(entry.key).unwrap_or_default();
                self.pipeline(entry.value, &format!("{name}/{glob}"));
            }
        }
    }

    fn pipeline(&mut self, pipeline: NodeId, name: &str) {
        self.found.imports.extend(self.import(pipeline));
        self.items(pipeline, name, None);
    }

    fn import(&self, pipeline: NodeId) -> Option<Import> {
        let import = self.tree.get(pipeline, "import")?;
        Some(Import {
            line: self.tree.line(import.key),
            source: self.tree.text(import.value)?.to_owned(),
        })
    }

    fn items(&mut self, list: NodeId, pipeline: &str, stage: Option<NodeId>) {
        for &item in self.tree.items(list) {
            // The use of `- *step` is the line of the alias.
            let line = self.tree.line(item);
            if !self.tree.items(item).is_empty() {
                self.items(item, pipeline, stage);
            }
            for entry in self.tree.entries(item) {
                let is_here =
                    entry.owner == self.tree.resolve(item) && self.tree.resolve(item) == item;
                let line = if is_here {
                    self.tree.line(entry.key)
                } else {
                    line
                };
                match self.tree.text(entry.key) {
                    Some("step") => self.step(entry.value, line, pipeline, stage),
                    Some("parallel") => self.group(entry.value, pipeline, stage),
                    Some("stage") => {
                        let stage = self.tree.resolve(entry.value);
                        self.group(stage, pipeline, Some(stage));
                    }
                    Some("final") => self.closing(entry.value, line, pipeline),
                    _ => {}
                }
            }
        }
    }

    /// A list of items, or a mapping that has one under `steps`.
    fn group(&mut self, group: NodeId, pipeline: &str, stage: Option<NodeId>) {
        let steps = self.tree.get(group, "steps");
        self.items(steps.map_or(group, |entry| entry.value), pipeline, stage);
    }

    /// `final` holds a step, `step: …`, or a list of them.
    fn closing(&mut self, value: NodeId, line: usize, pipeline: &str) {
        if self.tree.get(value, "script").is_some() {
            self.step(value, line, pipeline, None);
        } else if let Some(step) = self.tree.get(value, "step") {
            self.step(step.value, self.tree.line(step.key), pipeline, None);
        } else {
            self.group(value, pipeline, None);
        }
    }

    fn step(&mut self, step: NodeId, line: usize, pipeline: &str, stage: Option<NodeId>) {
        let step = self.tree.resolve(step);
        if self.tree.is_mapping(step) {
            self.found.places.push(Place {
                step,
                line,
                pipeline: pipeline.to_owned(),
                stage,
            });
        }
    }

    /// Steps under `definitions` and free keys whose script no pipeline runs: another file may import them.
    fn unused(&mut self, root: NodeId) {
        let mut used = HashSet::new();
        for place in &self.found.places {
            used.insert(place.step);
            used.extend(
                SCRIPTS
                    .iter()
                    .filter_map(|name| Some(self.tree.get(place.step, name)?.owner)),
            );
        }
        for &(key, value) in self.tree.own_entries(root) {
            let name = self.tree.text(key).unwrap_or_default();
            if name != "pipelines" {
                self.unused_below(value, name, &used, 0);
            }
        }
    }

    fn unused_below(&mut self, node: NodeId, path: &str, used: &HashSet<NodeId>, depth: usize) {
        // The walk is over the text, so an alias ends it.
        if self.tree.resolve(node) != node {
            return;
        }
        let holds_script = |&(key, _): &(NodeId, NodeId)| {
            self.tree
                .text(key)
                .is_some_and(|name| SCRIPTS.contains(&name))
        };
        if self.tree.own_entries(node).iter().any(holds_script) {
            if !used.contains(&node) {
                let line = self.tree.line(node);
                self.step(node, line, path, None);
            }
            return;
        }
        for &item in self.tree.items(node) {
            self.unused_below(item, path, used, depth + 1);
        }
        for &(key, value) in self.tree.own_entries(node) {
            let name = self.tree.text(key).unwrap_or_default();
            let below = format!("{path}/{name}");
            let is_wrapper = matches!(name, "step" | "steps");
            self.unused_below(
                value,
                if is_wrapper && depth > 0 {
                    path
                } else {
                    &below
                },
                used,
                depth + 1,
            );
        }
    }
}
