//! The edit of one `- pipe:` entry: the role comes, the keys go, and the reference is raised or becomes ours. The role
//! takes the line of the first key, in its style, so that `variables` is never empty and the difference is small.

use saphyr_parser::ScalarStyle;
use yaml_serde::{Mapping, Value};

use crate::catalogue::{Known, Reference, Version, our_reference};
use crate::edits::Edits;
use crate::intent::Intent;
use crate::keys::{ROLE_NAME, is_key, reference};
use crate::source::Source;
use crate::translation;
use crate::tree::{Data, NodeId};

/// Whose pipes a file uses afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// The same as before.
    #[default]
    Keep,
    /// Those of this project where it has one of the same use.
    Ours,
}

/// What becomes of one entry.
#[derive(Debug, Default)]
pub struct PipeEdit {
    /// By lines.
    pub edits: Edits,
    /// By nodes.
    pub intent: Intent,
    /// What is done, one sentence each, with its line.
    pub done: Vec<(usize, String)>,
    /// What is worth a look afterwards.
    pub notes: Vec<(usize, String)>,
}

/// The nodes of one `- pipe:` entry.
#[derive(Clone, Copy, Debug)]
pub struct PipeNodes {
    /// The mapping.
    pub item: NodeId,
    /// The key `pipe`.
    pub key: NodeId,
    /// The reference.
    pub reference: NodeId,
    /// Key and value of `variables`.
    pub variables: Option<(NodeId, NodeId)>,
}

impl PipeNodes {
    /// The entry that an item of a script is; what it inherits cannot be edited here.
    ///
    /// # Errors
    /// When something of it stands elsewhere.
    pub fn new(source: &Source<'_>, item: NodeId) -> Result<Option<Self>, String> {
        let tree = source.tree;
        let Some(pipe) = tree.get(item, "pipe") else {
            return Ok(None);
        };
        if tree.text(pipe.value).is_none() {
            return Ok(None);
        }
        let variables = tree.get(item, "variables");
        let is_own = |owner: NodeId| owner == item;
        if !is_own(pipe.owner) || variables.is_some_and(|entry| !is_own(entry.owner)) {
            return Err("it inherits from an anchor by `<<`".to_owned());
        }
        if tree.resolve(pipe.value) != pipe.value {
            return Err("its reference is an alias".to_owned());
        }
        if let Some(variables) = variables {
            if tree.resolve(variables.value) != variables.value {
                return Err("its `variables` are an alias".to_owned());
            }
            if tree.node(variables.value).has_anchor {
                return Err(
                    "its `variables` have an anchor, by which other places may share them"
                        .to_owned(),
                );
            }
            if tree
                .own_entries(variables.value)
                .iter()
                .any(|&(key, _)| tree.is_merge(key))
            {
                return Err("its `variables` inherit from an anchor by `<<`".to_owned());
            }
        }
        Ok(Some(Self {
            item,
            key: pipe.key,
            reference: pipe.value,
            variables: variables.map(|entry| (entry.key, entry.value)),
        }))
    }

    fn entries<'tree>(&self, source: &Source<'tree>) -> &'tree [(NodeId, NodeId)] {
        self.variables
            .map_or(&[], |(_, value)| source.tree.own_entries(value))
    }
}

/// The edit of an entry that is to take a role; nothing of it is done yet.
///
/// # Errors
/// When it cannot be done safely, with the reason.
pub fn edit(
    source: &Source<'_>,
    nodes: &PipeNodes,
    target: Target,
    gives_role: bool,
) -> Result<PipeEdit, String> {
    let mut edit = PipeEdit::default();
    change_reference(source, nodes, target, &mut edit)?;
    if gives_role {
        change_variables(source, nodes, &mut edit)?;
    }
    Ok(edit)
}

fn change_reference(
    source: &Source<'_>,
    nodes: &PipeNodes,
    target: Target,
    edit: &mut PipeEdit,
) -> Result<(), String> {
    let text = source.tree.text(nodes.reference).unwrap_or_default();
    let parts = Reference::new(text);
    let Some(known) = parts.known() else {
        return Ok(());
    };
    let line = source.tree.line(nodes.reference);
    if let (Target::Ours, Some(ours)) = (target, known.ours) {
        match translation::translate(source, ours, nodes.entries(source)) {
            Ok(translated) => {
                edit.edits.extend(translated.edits);
                edit.intent.extend(translated.intent);
                edit.done.extend(translated.done);
                edit.notes.extend(translated.notes);
                let scheme = if text.starts_with("docker://") {
                    "docker://"
                } else {
                    ""
                };
                let new = format!("{scheme}{}", our_reference(ours));
                edit.done.push((line, format!("`{text}` becomes `{new}`")));
                return replace_reference(source, nodes, text, &new, edit);
            }
            Err(reason) => edit.notes.push((line, format!("`{text}` stays: {reason}"))),
        }
    }
    let Some(to) = raise(known, parts)? else {
        return Ok(());
    };
    let new = format!("{}:{to}", parts.name);
    edit.done.push((
        line,
        format!("`{text}` is raised to {to}, which takes a role"),
    ));
    if parts.semantic().is_some_and(|from| from.is_major_step(to)) {
        edit.notes.push((
            line,
            format!(
                "{} to {to} is a step over a major version: read the pipe's changelog",
                parts.version
            ),
        ));
    }
    replace_reference(source, nodes, text, &new, edit)
}

/// The version that the pipe has to be raised to.
fn raise(known: &Known, parts: Reference<'_>) -> Result<Option<Version>, String> {
    let (Some(since), Some(to)) = (known.oidc_since, known.raise_to) else {
        return Err(format!(
            "no version of `{}` is known to take a role",
            parts.name
        ));
    };
    match parts.semantic() {
        Some(version) => Ok((version < since).then_some(to)),
        None => Err(format!(
            "its version `{}` cannot be compared, and one before {since} is not known to take a role",
            parts.version
        )),
    }
}

fn replace_reference(
    source: &Source<'_>,
    nodes: &PipeNodes,
    old: &str,
    new: &str,
    edit: &mut PipeEdit,
) -> Result<(), String> {
    let written = source.written(nodes.reference);
    let offset = written.and_then(|written| written.find(old));
    let (Some(offset), Some(bytes)) = (offset, source.bytes(nodes.reference)) else {
        return Err("its reference is not written in one piece".to_owned());
    };
    let start = bytes.start + offset;
    let line = source.tree.line(nodes.reference);
    edit.edits.splice(line, start..start + old.len(), new);
    edit.intent.replaced.insert(nodes.reference, new.into());
    Ok(())
}

fn change_variables(
    source: &Source<'_>,
    nodes: &PipeNodes,
    edit: &mut PipeEdit,
) -> Result<(), String> {
    let tree = source.tree;
    let entries = nodes.entries(source);
    let named = |&&(key, _): &&(NodeId, NodeId)| tree.text(key).is_some_and(is_key);
    let keys: Vec<(NodeId, NodeId)> = entries.iter().filter(named).copied().collect();
    for &(key, value) in &keys {
        source.is_plain_line(key, value)?;
    }
    let has_role = entries
        .iter()
        .any(|&(key, _)| tree.text(key) == Some(ROLE_NAME));
    match nodes.variables {
        Some((_, value)) if tree.node(value).is_flow => {
            flow_variables(source, value, &keys, has_role, edit)?;
        }
        Some((_, value)) if !entries.is_empty() => {
            block_variables(source, value, &keys, has_role, edit)?;
        }
        Some((key, value)) => {
            let is_null = matches!(&tree.node(value).data, Data::Scalar(text, ScalarStyle::Plain) if text.is_empty());
            if !is_null {
                return Err("its `variables` are no mapping".to_owned());
            }
            let indentation = " ".repeat(tree.node(key).start.column + 2);
            edit.edits
                .insert_after(tree.line(key), indentation + &role_entry());
            edit.intent.replaced.insert(value, role_mapping());
        }
        None => {
            if tree.node(nodes.item).is_flow {
                return Err("it is in flow style (`{…}`) and has no `variables`".to_owned());
            }
            let column = tree.node(nodes.key).start.column;
            let line = tree.end(nodes.reference).line;
            edit.edits
                .insert_after(line, " ".repeat(column) + "variables:");
            edit.edits
                .insert_after(line, " ".repeat(column + 2) + &role_entry());
            edit.intent.add(nodes.item, "variables", role_mapping());
        }
    }
    if !has_role {
        edit.done
            .push((tree.line(nodes.key), format!("{ROLE_NAME} is added")));
    }
    for &(key, value) in &keys {
        edit.intent.removed.insert(key);
        let name = tree.text(key).unwrap_or_default();
        edit.done
            .push((tree.line(key), format!("{name} is removed")));
        if let Some(comment) = source.comment_behind(value) {
            edit.notes.push((
                tree.line(key),
                format!("the comment behind {name} went with its line: `{comment}`"),
            ));
        }
        let above = tree.line(key) - 1;
        if above > 0 && source.content(above).trim_start().starts_with('#') {
            edit.notes.push((
                above,
                format!("the comment above {name} is left; look whether it still says the truth"),
            ));
        }
    }
    Ok(())
}

fn role_entry() -> String {
    format!("{ROLE_NAME}: ${ROLE_NAME}")
}

fn role_mapping() -> Value {
    let mut mapping = Mapping::new();
    mapping.insert(ROLE_NAME.into(), format!("${ROLE_NAME}").into());
    mapping.into()
}

/// The role's entry as the first key was written: its quotes, its braces, its blanks; and the value that comes of it.
fn role_like(source: &Source<'_>, key: NodeId, value: NodeId) -> (String, String) {
    let tree = source.tree;
    let like = || {
        let name = tree.text(key)?;
        let filled_from = reference(tree.text(value)?)?;
        let whole = source.between(tree.node(key).start, tree.end(value))?;
        let key_written = source.written(key)?;
        let value_written = source.written(value)?;
        let whole = source.content(tree.line(key)).get(whole)?;
        let between = &whole[key_written.len()..whole.len() - value_written.len()];
        let text = format!(
            "{}{between}{}",
            key_written.replacen(name, ROLE_NAME, 1),
            value_written.replacen(filled_from, ROLE_NAME, 1)
        );
        let value = tree.text(value)?.replacen(filled_from, ROLE_NAME, 1);
        Some((text, value))
    };
    like().unwrap_or_else(|| (role_entry(), format!("${ROLE_NAME}")))
}

fn block_variables(
    source: &Source<'_>,
    variables: NodeId,
    keys: &[(NodeId, NodeId)],
    has_role: bool,
    edit: &mut PipeEdit,
) -> Result<(), String> {
    let tree = source.tree;
    if let Some(&(key, _)) = keys.iter().find(|(key, _)| !source.begins_line(*key)) {
        let name = tree.text(key).unwrap_or_default();
        return Err(format!("`{name}` does not begin its line"));
    }
    let mut rest = keys;
    if !has_role {
        if let Some((&(key, value), others)) = keys.split_first() {
            let (text, role) = role_like(source, key, value);
            let line = tree.line(key);
            let start = source.before(key).len();
            edit.edits
                .splice(line, start..source.content(line).len(), text);
            edit.intent.add(variables, ROLE_NAME, role);
            rest = others;
        } else {
            let first = tree.own_entries(variables)[0].0;
            if !source.begins_line(first) {
                return Err("its first variable does not begin a line".to_owned());
            }
            let indentation = source.before(first).to_owned();
            edit.edits
                .insert_before(tree.line(first), indentation + &role_entry());
            edit.intent
                .add(variables, ROLE_NAME, format!("${ROLE_NAME}"));
        }
    }
    for &(key, _) in rest {
        edit.edits.remove(tree.line(key));
    }
    Ok(())
}

fn flow_variables(
    source: &Source<'_>,
    variables: NodeId,
    keys: &[(NodeId, NodeId)],
    has_role: bool,
    edit: &mut PipeEdit,
) -> Result<(), String> {
    let tree = source.tree;
    let line = tree.line(variables);
    if tree.end(variables).line != line {
        return Err("its `variables` are in flow style (`{…}`) over several lines".to_owned());
    }
    let entries = tree.own_entries(variables);
    let mut rest = keys;
    if !has_role {
        if let Some((&(key, value), others)) = keys.split_first() {
            let (text, role) = role_like(source, key, value);
            let bytes = source
                .between(tree.node(key).start, tree.end(value))
                .ok_or("a key is over several lines")?;
            edit.edits.splice(line, bytes, text);
            edit.intent.add(variables, ROLE_NAME, role);
            rest = others;
        } else {
            let is_json = entries.first().is_some_and(|&(key, _)| {
                source.before(key).ends_with('"')
                    || source
                        .written(key)
                        .is_some_and(|text| text.starts_with('"'))
            });
            let quote = if is_json { "\"" } else { "" };
            let entry = format!("{quote}{ROLE_NAME}{quote}: {quote}${ROLE_NAME}{quote}");
            let (at, entry) = match entries.first() {
                Some(&(key, _)) => (source.before(key).len(), entry + ", "),
                None => (
                    source
                        .bytes(variables)
                        .ok_or("it is over several lines")?
                        .start
                        + 1,
                    entry,
                ),
            };
            edit.edits.splice(line, at..at, entry);
            edit.intent
                .add(variables, ROLE_NAME, format!("${ROLE_NAME}"));
        }
    }
    for &(key, value) in rest {
        let place = entries
            .iter()
            .position(|&(other, _)| other == key)
            .unwrap_or_default();
        // The comma goes with the entry: the one behind it, or before the last one.
        let bytes = if let Some(&(next, _)) = entries.get(place + 1) {
            source.between(tree.node(key).start, tree.node(next).start)
        } else if place > 0 {
            source.between(tree.end(entries[place - 1].1), tree.end(value))
        } else {
            None
        };
        edit.edits
            .splice(line, bytes.ok_or("a key is over several lines")?, "");
    }
    Ok(())
}
