//! What is to be said of a file and belongs to no step: imports, services with credentials, keys in comments, steps that
//! several environments share, keys that come twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::keys::looks_like_key;
use crate::lines;
use crate::model::{Keys, Remark, RemarkKind, Step};
use crate::places::{Import, Places};
use crate::tree::{NodeId, Tree};

/// A file of the same repository that pipelines are imported from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalImport {
    /// The line of the import.
    pub line: usize,
    /// As it is written, relative to the root of the repository.
    pub path: String,
}

/// The remark for a local import whose file is not there.
#[must_use]
pub fn missing_import(import: &LocalImport) -> Remark {
    Remark {
        line: import.line,
        kind: RemarkKind::Import,
        text: format!("imports `{}`, which is not in the checkout", import.path),
    }
}

/// All remarks in the order of their lines, and the imports that lead to files of this repository.
#[must_use]
pub fn find(
    text: &str,
    tree: &Tree,
    places: &Places,
    steps: &[Step],
) -> (Vec<Remark>, Vec<LocalImport>) {
    let mut remarks = Vec::new();
    let mut local = Vec::new();
    imports(tree, &places.imports, &mut remarks, &mut local);
    services(tree, &mut remarks);
    comments(text, steps, &mut remarks);
    shared(steps, &mut remarks);
    unseen(tree, places, &mut remarks);
    for &key in &tree.duplicates {
        let name = tree.text(key).unwrap_or_default();
        remarks.push(Remark {
            line: tree.line(key),
            kind: RemarkKind::DuplicateKey,
            text: format!("the key `{name}` comes twice in one mapping"),
        });
    }
    remarks.sort_by_key(|remark| (remark.line, remark.kind));
    (remarks, local)
}

/// `import: pipeline@source` with a source of `definitions.imports`, or `import: repository:ref:pipeline`.
fn imports(
    tree: &Tree,
    imports: &[Import],
    remarks: &mut Vec<Remark>,
    local: &mut Vec<LocalImport>,
) {
    let sources = tree.root.and_then(|root| tree.get(root, "definitions"));
    let sources = sources.and_then(|definitions| tree.get(definitions.value, "imports"));
    let path_of = |name: &str| {
        let value = tree.get(sources?.value, name)?.value;
        let text = match tree.text(value) {
            Some(text) => text,
            None => tree.text(tree.get(value, "import")?.value)?,
        };
        (!text.contains(':')).then(|| text.to_owned())
    };
    for import in imports {
        let source = import.source.split_once('@').map(|(_, source)| source);
        match source.and_then(path_of) {
            Some(path) => local.push(LocalImport {
                line: import.line,
                path,
            }),
            None => remarks.push(Remark {
                line: import.line,
                kind: RemarkKind::Import,
                text: format!(
                    "the pipeline is imported from another repository (`{}`) and cannot be seen here",
                    import.source
                ),
            }),
        }
    }
}

fn services(tree: &Tree, remarks: &mut Vec<Remark>) {
    let Some(services) = tree
        .root
        .and_then(|root| tree.get(root, "definitions"))
        .and_then(|definitions| tree.get(definitions.value, "services"))
    else {
        return;
    };
    for service in tree.entries(services.value) {
        let name = tree.text(service.key).unwrap_or_default();
        let variables = tree.get(service.value, "variables");
        let variables = variables.map_or_else(Vec::new, |entry| tree.entries(entry.value));
        let image = tree.get(service.value, "image");
        let aws = image.and_then(|image| tree.get(image.value, "aws"));
        let aws = aws.map_or_else(Vec::new, |aws| tree.entries(aws.value));
        let credentials = variables.iter().chain(&aws).filter(|entry| {
            let name = tree.text(entry.key).unwrap_or_default();
            looks_like_key(name) || matches!(name, "access-key" | "secret-key")
        });
        let lines: Vec<usize> = credentials.map(|entry| tree.line(entry.key)).collect();
        if let Some(&line) = lines.first() {
            remarks.push(Remark {
                line,
                kind: RemarkKind::Service,
                text: format!("the service `{name}` has access keys, and the token of a step does not reach services"),
            });
        }
    }
}

/// Comments with a pipe that takes keys, or with the name of a key.
fn comments(text: &str, steps: &[Step], remarks: &mut Vec<Remark>) {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for pipe in steps.iter().flat_map(|step| &step.pipes) {
        if let Keys::Given(keys) = &pipe.keys {
            known.extend(keys.values().flatten().map(String::as_str));
        }
    }
    for (index, line) in lines::split(text).iter().enumerate() {
        let Some(comment) = line.content.trim_start().strip_prefix('#') else {
            continue;
        };
        let words = || comment.split(|each: char| !each.is_ascii_alphanumeric() && each != '_');
        let key = words().find(|word| known.contains(word) || looks_like_key(word));
        let pipe = comment.contains("pipe:") && comment.contains("/aws-");
        let what = match key {
            Some(key) => format!("names the key `{key}`"),
            None if pipe => "holds a pipe that takes access keys".to_owned(),
            None => continue,
        };
        remarks.push(Remark {
            line: index + 1,
            kind: RemarkKind::Comment,
            text: format!("a comment {what}; comments are left as they are"),
        });
    }
}

/// Steps that stand once and run in several environments.
fn shared(steps: &[Step], remarks: &mut Vec<Remark>) {
    let mut sites: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for step in steps {
        let takes_keys = step.pipes.iter().any(|pipe| pipe.keys != Keys::None);
        if let (Some(deployment), true) = (&step.deployment, takes_keys) {
            sites.entry(step.site).or_default().insert(deployment);
        }
    }
    for (line, environments) in sites
        .into_iter()
        .filter(|(_, environments)| environments.len() > 1)
    {
        let environments: Vec<String> = environments
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        remarks.push(Remark {
            line,
            kind: RemarkKind::SharedStep,
            text: format!(
                "the step is shared by the environments {}",
                environments.join(", ")
            ),
        });
    }
}

/// Steps that start another pipeline, and pipes behind anchors that no step runs.
fn unseen(tree: &Tree, places: &Places, remarks: &mut Vec<Remark>) {
    let mut run: BTreeSet<NodeId> = BTreeSet::new();
    for place in &places.places {
        run.extend(crate::places::script_items(tree, place.step));
        if let Some(kind) = tree.get(place.step, "type")
            && tree.text(kind.value) == Some("pipeline")
        {
            remarks.push(Remark {
                line: tree.line(kind.key),
                kind: RemarkKind::Unseen,
                text: "the step starts another pipeline, which is not followed".to_owned(),
            });
        }
    }
    for id in tree
        .ids()
        .filter(|&id| tree.resolve(id) == id && !run.contains(&id))
    {
        let entry = tree
            .own_entries(id)
            .iter()
            .find(|&&(key, _)| tree.text(key) == Some("pipe"));
        let is_inherited = tree.node(id).has_anchor && tree.own_entries(id).len() == 1;
        if let Some(&(key, value)) = entry
            && !is_inherited
            && let Some(reference) = tree.text(value)
        {
            remarks.push(Remark {
                line: tree.line(key),
                kind: RemarkKind::Unseen,
                text: format!("the pipe `{reference}` stands in no script of a step"),
            });
        }
    }
    remarks.dedup();
}
