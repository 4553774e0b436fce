//! A checkout becomes the model that all commands share: every `*pipelines.y(a)ml` in it, local files that they import,
//! and what they say about steps, pipes, commands and keys. A file that cannot be read is in it with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use shared::Failure;
use walkdir::WalkDir;

use crate::catalogue::Reference;
use crate::commands;
use crate::keys::{is_key, looks_like_key, reference};
use crate::model::{Checkout, Command, ImageKeys, Keys, Oidc, Pipe, PipelineFile, Step, Variable};
use crate::places::{Place, Places, script_items};
use crate::remarks;
use crate::tree::{Data, Fault, NodeId, Tree};

/// Folders whose files are not this repository's own.
const NOT_OURS: [&str; 2] = [".git", "node_modules"];
/// A byte order mark, which YAML 1.2 allows before the first line.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

impl Checkout {
    /// Reads all pipeline files below `root`.
    ///
    /// # Errors
    /// When the folder cannot be read or holds no pipeline file.
    pub fn read(root: &Path) -> Result<Self, Failure> {
        let checkout = Self::read_any(root)?;
        if checkout.files.is_empty() {
            return Err(Failure::new(format!(
                "there is no `bitbucket-pipelines.yml` in `{}`, nor another `*pipelines.yml`",
                root.display()
            ))
            .hint("run it in the root of a checkout, or name one with `--repository`"));
        }
        Ok(checkout)
    }

    /// Reads all pipeline files below `root`, which may be none.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn read_any(root: &Path) -> Result<Self, Failure> {
        let cannot = |error: &dyn std::fmt::Display| {
            Failure::new(format!(
                "could not look for pipeline files in `{}`: {error}",
                root.display()
            ))
        };
        let mut paths = BTreeSet::new();
        let walk = WalkDir::new(root).into_iter();
        let is_ours = |entry: &walkdir::DirEntry| {
            let name = entry.file_name().to_string_lossy();
            entry.depth() == 0 || !(entry.file_type().is_dir() && NOT_OURS.contains(&&*name))
        };
        for entry in walk.filter_entry(is_ours) {
            let entry = match entry {
                Ok(entry) => entry,
                // What is below a folder that may not be entered is no part of this run; the root itself is.
                Err(error) if error.depth() > 0 => {
                    tracing::warn!("not looked into: {error}");
                    continue;
                }
                Err(error) => return Err(cannot(&error)),
            };
            if !entry.file_type().is_dir() && is_pipeline_name(&entry.file_name().to_string_lossy())
            {
                let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
                paths.insert(path.to_owned());
            }
        }
        let mut files: BTreeMap<PathBuf, PipelineFile> = BTreeMap::new();
        while let Some(path) = paths.pop_first() {
            let bytes = std::fs::read(root.join(&path));
            let (mut file, imported) = match bytes {
                Ok(bytes) => PipelineFile::from_bytes(&bytes),
                Err(error) => (
                    faulty(Fault::new(1, format!("could not be read: {error}"))),
                    Vec::new(),
                ),
            };
            for import in imported {
                let target = inside(&import.path);
                let is_there = target
                    .as_ref()
                    .is_some_and(|target| root.join(target).is_file());
                match target.filter(|_| is_there) {
                    Some(target) if !files.contains_key(&target) && target != path => {
                        paths.insert(target);
                    }
                    Some(_) => {}
                    None => file.remarks.push(remarks::missing_import(&import)),
                }
            }
            file.path.clone_from(&path);
            files.insert(path, file);
        }
        Ok(Self {
            root: root.to_owned(),
            files: files.into_values().collect(),
        })
    }
}

/// `bitbucket-pipelines.yml`, `shared-pipelines.yaml`, …: the names that Bitbucket takes for shared pipelines too.
fn is_pipeline_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("pipelines.yml") || name.ends_with("pipelines.yaml")
}

/// A path that stays in the checkout, without `.` in it.
fn inside(path: &str) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for part in Path::new(path.trim_start_matches('/')).components() {
        match part {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(inside)
}

fn faulty(fault: Fault) -> PipelineFile {
    PipelineFile {
        fault: Some(fault),
        ..PipelineFile::default()
    }
}

impl PipelineFile {
    /// Reads the bytes of a file; gives the local files that it imports too.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> (Self, Vec<remarks::LocalImport>) {
        let read = text(bytes).and_then(|text| Ok((text, document(text)?)));
        match read {
            Ok((text, tree)) => Self::from_tree(text, &tree),
            Err(fault) => (faulty(fault), Vec::new()),
        }
    }

    fn from_tree(text: &str, tree: &Tree) -> (Self, Vec<remarks::LocalImport>) {
        let places = Places::find(tree);
        let steps: Vec<Step> = places
            .places
            .iter()
            .map(|place| step(tree, place))
            .collect();
        let (remarks, imports) = remarks::find(text, tree, &places, &steps);
        let file = Self {
            steps,
            remarks,
            ..Self::default()
        };
        (file, imports)
    }
}

/// The text of a file without byte order mark.
///
/// # Errors
/// When it is not UTF-8, which is all that Bitbucket takes.
pub fn text(bytes: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes[..error.valid_up_to()].split(|&byte| byte == b'\n');
        let line = before.count();
        Fault::new(line, "not UTF-8")
    })?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
}

/// The tree of a text that is a pipeline file.
///
/// # Errors
/// When it is not.
pub fn document(text: &str) -> Result<Tree, Fault> {
    let tree = Tree::read(text)?;
    let Some(root) = tree.root else {
        return Err(Fault::new(1, "there is nothing in it"));
    };
    let is_pipelines = ["pipelines", "definitions"]
        .iter()
        .any(|name| tree.get(root, name).is_some());
    if !is_pipelines {
        return Err(Fault::new(
            tree.line(root),
            "no pipeline file: it has neither `pipelines` nor `definitions`",
        ));
    }
    Ok(tree)
}

/// One use of a step.
#[must_use]
pub fn step(tree: &Tree, place: &Place) -> Step {
    let script = tree
        .get(place.step, "script")
        .or_else(|| tree.get(place.step, "after-script"));
    let owner = script.map_or(place.step, |entry| entry.owner);
    let items = script_items(tree, place.step);
    Step {
        name: scalar(tree, place.step, "name"),
        line: place.line,
        site: first_line(tree, owner),
        pipeline: place.pipeline.clone(),
        deployment: deployment(tree, place),
        oidc: oidc(tree, place.step),
        pipes: items.iter().filter_map(|&item| pipe(tree, item)).collect(),
        commands: step_commands(tree, &items),
        image: image(tree, place.step),
    }
}

/// The line where a mapping's first key stands, which is the line of the mapping itself for one in the style of JSON.
fn first_line(tree: &Tree, mapping: NodeId) -> usize {
    let first = tree.own_entries(mapping).first();
    first.map_or_else(|| tree.line(mapping), |&(key, _)| tree.line(key))
}

fn scalar(tree: &Tree, mapping: NodeId, name: &str) -> Option<String> {
    Some(tree.text(tree.get(mapping, name)?.value)?.to_owned())
}

/// A stage has the deployment of all its steps.
#[must_use]
pub fn deployment(tree: &Tree, place: &Place) -> Option<String> {
    ["deployment", "environment"].iter().find_map(|name| {
        scalar(tree, place.step, name).or_else(|| scalar(tree, place.stage?, name))
    })
}

/// The `oidc` of a step with merge keys followed.
#[must_use]
pub fn oidc(tree: &Tree, step: NodeId) -> Oidc {
    let Some(entry) = tree.get(step, "oidc") else {
        return Oidc::Absent;
    };
    let value = tree.resolve(entry.value);
    match &tree.node(value).data {
        Data::Mapping(_) => Oidc::On,
        Data::Scalar(text, saphyr_parser::ScalarStyle::Plain) => match text.as_str() {
            "true" | "True" | "TRUE" => Oidc::On,
            "false" | "False" | "FALSE" => Oidc::Off,
            "" | "~" | "null" => Oidc::Absent,
            _ => Oidc::Invalid,
        },
        _ => Oidc::Invalid,
    }
}

/// The `- pipe:` that an item of a script is.
#[must_use]
pub fn pipe(tree: &Tree, item: NodeId) -> Option<Pipe> {
    let entry = tree.get(item, "pipe")?;
    let reference = tree.text(entry.value)?.to_owned();
    let variables = tree
        .get(item, "variables")
        .map(|entry| variables(tree, entry.value));
    let variables = variables.unwrap_or_default();
    let keys = keys(&reference, &variables);
    Some(Pipe {
        line: tree.line(entry.key),
        reference,
        variables,
        keys,
    })
}

fn variables(tree: &Tree, mapping: NodeId) -> Vec<Variable> {
    let entries = tree.entries(mapping).into_iter();
    let variable = |entry: crate::tree::Entry| {
        let name = tree.text(entry.key)?.to_owned();
        let items: &[NodeId] = match tree.text(entry.value) {
            Some(_) => &[entry.value],
            None => tree.items(entry.value),
        };
        let values = items.iter().filter_map(|&item| tree.text(item));
        let values: Vec<String> = values.map(str::to_owned).collect();
        let is_secret = looks_like_key(&name);
        Some(Variable {
            line: tree.line(entry.key),
            values: values
                .into_iter()
                .filter(|value| !is_secret || reference(value).is_some())
                .collect(),
            name,
        })
    };
    entries.filter_map(variable).collect()
}

/// Where a pipe's keys come from.
fn keys(pipe: &str, variables: &[Variable]) -> Keys {
    let pipe = Reference::new(pipe);
    let takes_aws = pipe.known().is_some() || pipe.is_ours();
    let given: BTreeMap<String, Option<String>> = variables
        .iter()
        .filter(|variable| is_key(&variable.name) || !takes_aws && looks_like_key(&variable.name))
        .map(|variable| {
            let value = variable.values.first();
            let filled = value.and_then(|value| reference(value)).map(str::to_owned);
            (variable.name.clone(), filled)
        })
        .collect();
    if !given.is_empty() {
        Keys::Given(given)
    } else if takes_aws {
        Keys::Defaults
    } else {
        Keys::None
    }
}

/// The commands that work with keys; none of a step that gives its commands the token, unless they name keys.
fn step_commands(tree: &Tree, items: &[NodeId]) -> Vec<Command> {
    let mut found = Vec::new();
    let mut has_token = false;
    for &item in items {
        let Data::Scalar(text, style) = &tree.node(item).data else {
            continue;
        };
        has_token |= commands::brings_token(text);
        let is_block = matches!(
            style,
            saphyr_parser::ScalarStyle::Literal | saphyr_parser::ScalarStyle::Folded
        );
        let line = tree.line(item) + usize::from(is_block);
        commands::commands(text, line, &mut found);
    }
    found.retain(|command| !has_token || !command.keys.is_empty());
    found
}

/// `image.aws` of the step's own image, or of the file's.
fn image(tree: &Tree, step: NodeId) -> Option<ImageKeys> {
    let image = tree
        .get(step, "image")
        .or_else(|| tree.get(tree.root?, "image"))?;
    let aws = tree.get(image.value, "aws")?;
    let keys = ["access-key", "secret-key"].iter().filter_map(|name| {
        let value = scalar(tree, aws.value, name)?;
        Some(reference(&value).map_or_else(|| "a literal".to_owned(), str::to_owned))
    });
    Some(ImageKeys {
        line: tree.line(aws.key),
        keys: keys.collect(),
    })
}
