//! The edited text against the text before it, read by a second parser that has nothing to do with the first: the trees
//! must differ by the intent and by nothing else, and each step whose pipe lost its keys must get a token.

use yaml_serde::{Mapping, Value};

use crate::intent::Intent;
use crate::keys::{ROLE_NAME, is_key};
use crate::places::SCRIPTS;
use crate::tree::{Data, NodeId, Tree};

/// Compares.
///
/// # Errors
/// When a text cannot be read, when the parsers see different things, or when something differs that is not intended.
pub fn verify(tree: &Tree, intent: &Intent, before: &str, after: &str) -> Result<(), String> {
    let before = parsed(before)?;
    let mut after = parsed(after).map_err(|error| format!("the edited text: {error}"))?;
    let root = tree.root.ok_or("there is nothing in it")?;
    let comparison = Comparison { tree, intent };
    comparison.compare(root, &before, Some(&after))?;
    let mut before = before;
    let merged = before.apply_merge().and_then(|()| after.apply_merge());
    merged.map_err(|error| format!("merge keys: {error}"))?;
    tokens(&before, &after, "")
}

fn parsed(text: &str) -> Result<Value, String> {
    yaml_serde::from_str(text).map_err(|error| format!("the second parser says: {error}"))
}

struct Comparison<'a> {
    tree: &'a Tree,
    intent: &'a Intent,
}

impl Comparison<'_> {
    fn compare(&self, id: NodeId, before: &Value, after: Option<&Value>) -> Result<(), String> {
        let id = self.tree.resolve(id);
        let line = self.tree.line(id);
        let differs = |what: &str| Err(format!("line {line}: {what}"));
        let Some(after) = after else {
            return differs("something would be lost");
        };
        if let Some(new) = self.intent.replaced.get(&id) {
            return if new == after {
                Ok(())
            } else {
                differs("the new value is not the intended one")
            };
        }
        match (&self.tree.node(id).data, before, after) {
            (Data::Sequence(items), Value::Sequence(before), Value::Sequence(after)) => {
                if items.len() != before.len() || before.len() != after.len() {
                    return differs("the number of items would change");
                }
                for (index, &item) in items.iter().enumerate() {
                    self.compare(item, &before[index], after.get(index))?;
                }
                Ok(())
            }
            (Data::Mapping(entries), Value::Mapping(before), Value::Mapping(after)) => {
                self.compare_entries(id, entries, before, after)
            }
            (Data::Scalar(..), before, after) if !before.is_mapping() && !before.is_sequence() => {
                if before == after {
                    Ok(())
                } else {
                    differs("a value would change that is not meant to")
                }
            }
            _ => differs("the two parsers see different things"),
        }
    }

    fn compare_entries(
        &self,
        id: NodeId,
        entries: &[(NodeId, NodeId)],
        before: &Mapping,
        after: &Mapping,
    ) -> Result<(), String> {
        let line = self.tree.line(id);
        if entries.len() != before.len() {
            return Err(format!("line {line}: the two parsers see different keys"));
        }
        let added = self.intent.added.get(&id).map_or(&[][..], Vec::as_slice);
        let mut kept = Vec::new();
        for (&(key, value), (name, old)) in entries.iter().zip(before) {
            if self.intent.removed.contains(&key) {
                continue;
            }
            let name = match self.intent.renamed.get(&key) {
                Some(new) => Value::from(new.as_str()),
                None => name.clone(),
            };
            self.compare(value, old, after.get(&name))?;
            kept.push(name);
        }
        for (name, value) in added {
            if after.get(name.as_str()) != Some(value) {
                return Err(format!(
                    "line {line}: `{name}` would not come out as intended"
                ));
            }
        }
        let old_order = after
            .keys()
            .filter(|key| !added.iter().any(|(name, _)| key.as_str() == Some(name)));
        if !old_order.eq(kept.iter()) {
            return Err(format!(
                "line {line}: keys would come or go that are not meant to"
            ));
        }
        Ok(())
    }
}

/// With merge keys applied: a step with a pipe whose keys went, or which got a role, has `oidc`.
fn tokens(before: &Value, after: &Value, path: &str) -> Result<(), String> {
    match (before, after) {
        (Value::Mapping(old), Value::Mapping(new)) => {
            let lost = SCRIPTS
                .iter()
                .any(|name| lost_keys(old.get(name), new.get(name)));
            let has_token = new
                .get("oidc")
                .is_some_and(|oidc| oidc.as_bool() == Some(true) || oidc.is_mapping());
            if lost && !has_token {
                return Err(format!(
                    "a step at `{path}` would lose its keys and get no token"
                ));
            }
            for (key, value) in old {
                if let Some(new) = new.get(key) {
                    tokens(
                        value,
                        new,
                        &format!("{path}/{}", key.as_str().unwrap_or_default()),
                    )?;
                }
            }
            Ok(())
        }
        (Value::Sequence(old), Value::Sequence(new)) => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                tokens(old, new, &format!("{path}/{index}"))?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn lost_keys(old: Option<&Value>, new: Option<&Value>) -> bool {
    let (Some(Value::Sequence(old)), Some(Value::Sequence(new))) = (old, new) else {
        return false;
    };
    old.iter().zip(new).any(|(old, new)| {
        let variables = |item: &Value| -> Vec<String> {
            let variables = item.get("variables").and_then(Value::as_mapping);
            let names = variables.map(|mapping| {
                mapping
                    .keys()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            });
            names.unwrap_or_default()
        };
        let (had, has) = (variables(old), variables(new));
        let lost = had.iter().any(|name| is_key(name) && !has.contains(name));
        let got =
            has.iter().any(|name| name == ROLE_NAME) && !had.iter().any(|name| name == ROLE_NAME);
        lost || got
    })
}
