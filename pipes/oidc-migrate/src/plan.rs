//! What is done to one file and what is left as it is, decided from the tree alone: each pipe that takes keys gets the
//! role if every step that runs it can get a token, and if one role can stand for the keys that it took.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::commands::assigned;
use crate::edits::Edits;
use crate::intent::Intent;
use crate::keys::{KEY_NAMES, ROLE_NAME};
use crate::model::{Keys, Oidc, Pipe, RemarkKind, Step};
use crate::pipe_edit::{self, PipeEdit, PipeNodes, Target};
use crate::places::{Place, Places, SCRIPTS, script_items};
use crate::read;
use crate::remarks;
use crate::source::Source;
use crate::tree::{Data, NodeId, Tree};

/// The plan for one file.
#[derive(Debug, Default)]
pub struct Plan {
    /// By lines.
    pub edits: Edits,
    /// By nodes.
    pub intent: Intent,
    /// What is done, in the order of the lines.
    pub done: Vec<Item>,
    /// What is left as it is, and why.
    pub left: Vec<Item>,
    /// What is worth a look afterwards.
    pub notes: Vec<Item>,
    /// Whether commands work with access keys.
    pub keys_are_needed: bool,
}

/// One line of a report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// From 1.
    pub line: usize,
    /// The step by its name, if it has one.
    pub step: Option<String>,
    /// One sentence.
    pub text: String,
}

/// A pipe that some steps run.
struct Candidate {
    item: NodeId,
    pipe: Pipe,
    /// Numbers of the places that run it.
    places: Vec<usize>,
}

/// What is to become of a candidate.
enum Verdict {
    /// It takes no keys, or a role already.
    Nothing,
    /// It is edited, and whether it gets a role.
    Edit(PipeEdit),
    /// It cannot be done safely.
    Leave(String),
}

/// Decides. The tree must have been read from the text and have no key twice.
#[must_use]
pub fn plan(text: &str, tree: &Tree, target: Target) -> Plan {
    let found = Places::find(tree);
    let steps: Vec<Step> = found
        .places
        .iter()
        .map(|place| read::step(tree, place))
        .collect();
    let planning = Planning {
        source: Source::new(text, tree),
        places: &found.places,
        steps: &steps,
        target,
    };
    let mut plan = planning.plan();
    let (remarks, _) = remarks::find(text, tree, &found, &steps);
    for remark in remarks {
        let item = Item {
            line: remark.line,
            step: None,
            text: remark.text,
        };
        match remark.kind {
            RemarkKind::SharedStep => plan.notes.push(item),
            _ => plan.left.push(item),
        }
    }
    for items in [&mut plan.done, &mut plan.left, &mut plan.notes] {
        items.sort();
        items.dedup_by(|one, other| (one.line, &one.text) == (other.line, &other.text));
    }
    plan
}

struct Planning<'a> {
    source: Source<'a>,
    places: &'a [Place],
    steps: &'a [Step],
    target: Target,
}

impl Planning<'_> {
    fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        let candidates = self.candidates();
        let clashes = self.clashes(&candidates);
        let merged = self.merged_items();
        let mut sites: BTreeSet<NodeId> = BTreeSet::new();
        for candidate in &candidates {
            let verdict = if merged.contains(&candidate.item) && candidate.pipe.keys != Keys::None {
                Verdict::Leave("other entries inherit from it by `<<`".to_owned())
            } else {
                self.judge(candidate, &clashes)
            };
            let step = self.steps[candidate.places[0]].name.clone();
            let item = |line, text| Item {
                line,
                step: step.clone(),
                text,
            };
            let line = candidate.pipe.line;
            let edit = match verdict {
                Verdict::Nothing => continue,
                Verdict::Leave(reason) => {
                    plan.left.push(item(
                        line,
                        format!("`{}` is left: {reason}", candidate.pipe.reference),
                    ));
                    continue;
                }
                Verdict::Edit(edit) => edit,
            };
            let oidc = match self.oidc_sites(candidate) {
                Ok(oidc) => oidc,
                Err(reason) => {
                    plan.left.push(item(
                        line,
                        format!("`{}` is left: {reason}", candidate.pipe.reference),
                    ));
                    continue;
                }
            };
            for (site, edits) in oidc {
                if sites.insert(site) {
                    plan.edits.extend(edits);
                    plan.intent.add(site, "oidc", true);
                    plan.done.push(item(
                        self.first_line(site),
                        "`oidc: true` is added to the step".to_owned(),
                    ));
                }
            }
            plan.edits.extend(edit.edits);
            plan.intent.extend(edit.intent);
            plan.done
                .extend(edit.done.into_iter().map(|(line, text)| item(line, text)));
            plan.notes
                .extend(edit.notes.into_iter().map(|(line, text)| item(line, text)));
        }
        self.leave_commands(&mut plan);
        plan
    }

    /// Every pipe once, in the order of the text.
    fn candidates(&self) -> Vec<Candidate> {
        let mut candidates: BTreeMap<NodeId, Candidate> = BTreeMap::new();
        for (number, place) in self.places.iter().enumerate() {
            for item in script_items(self.source.tree, place.step) {
                let Some(pipe) = read::pipe(self.source.tree, item) else {
                    continue;
                };
                let candidate = candidates.entry(item).or_insert(Candidate {
                    item,
                    pipe,
                    places: Vec::new(),
                });
                candidate.places.push(number);
            }
        }
        candidates.into_values().collect()
    }

    fn judge(&self, candidate: &Candidate, clashes: &HashSet<NodeId>) -> Verdict {
        let pipe = &candidate.pipe;
        if pipe.keys == Keys::None {
            return Verdict::Nothing;
        }
        let reference = crate::catalogue::Reference::new(&pipe.reference);
        if reference.known().is_none() && !reference.is_ours() {
            return Verdict::Leave(
                "it is no pipe of which is known how it takes a role; look into its README"
                    .to_owned(),
            );
        }
        let uses_keys = candidate
            .places
            .iter()
            .any(|&number| self.steps[number].uses_keys(pipe));
        let becomes_ours = self.target == Target::Ours
            && reference.known().is_some_and(|known| known.ours.is_some());
        if !uses_keys && !becomes_ours {
            return Verdict::Nothing;
        }
        let gives_role = uses_keys && (matches!(pipe.keys, Keys::Given(_)) || !pipe.has_role());
        if gives_role {
            if let Some(line) = self.makes_keys(candidate) {
                return Verdict::Leave(format!("its keys are made by a command in line {line}"));
            }
            if clashes.contains(&candidate.item) {
                return Verdict::Leave(format!(
                    "another pipe of the same environment takes other keys, and one {ROLE_NAME} cannot stand for both; \
                     give the step a `deployment` of its own"
                ));
            }
        }
        let edit = PipeNodes::new(&self.source, candidate.item).and_then(|nodes| match nodes {
            Some(nodes) => pipe_edit::edit(&self.source, &nodes, self.target, gives_role).map(Some),
            None => Ok(None),
        });
        match edit {
            Ok(Some(edit)) => Verdict::Edit(edit),
            Ok(None) => Verdict::Nothing,
            Err(reason) => Verdict::Leave(reason),
        }
    }

    /// The line of a command that sets the variables which the pipe is filled from.
    fn makes_keys(&self, candidate: &Candidate) -> Option<usize> {
        let filled = key_set(&candidate.pipe);
        candidate.places.iter().find_map(|&number| {
            let commands = self.steps[number].commands.iter();
            let mut commands = commands.filter(|command| command.line < candidate.pipe.line);
            let sets =
                |line: usize| assigned(self.source.content(line)).any(|name| filled.contains(name));
            commands
                .find(|command| sets(command.line))
                .map(|command| command.line)
        })
    }

    /// Pipes of one environment that take different keys: those of the usual names go first, and all others clash.
    fn clashes(&self, candidates: &[Candidate]) -> HashSet<NodeId> {
        let mut environments: BTreeMap<Option<&str>, BTreeMap<BTreeSet<String>, Vec<NodeId>>> =
            BTreeMap::new();
        for candidate in candidates {
            if candidate.pipe.keys == Keys::None {
                continue;
            }
            for &number in &candidate.places {
                let environment = self.steps[number].deployment.as_deref();
                let sets = environments.entry(environment).or_default();
                sets.entry(key_set(&candidate.pipe))
                    .or_default()
                    .push(candidate.item);
            }
        }
        let usual = key_set(&Pipe::default());
        let several = environments.into_values().filter(|sets| sets.len() > 1);
        several
            .flat_map(|sets| sets.into_iter().filter(|(set, _)| *set != usual))
            .flat_map(|(_, items)| items)
            .collect()
    }

    /// Mappings from which a pipe elsewhere inherits.
    fn merged_items(&self) -> HashSet<NodeId> {
        let tree = self.source.tree;
        let is_mapping = |id: &NodeId| matches!(tree.node(*id).data, Data::Mapping(_));
        let inherited = tree.ids().filter(is_mapping).flat_map(|id| {
            let entries = tree.entries(id).into_iter();
            entries.filter(move |entry| entry.owner != id && tree.text(entry.key) == Some("pipe"))
        });
        inherited.map(|entry| entry.owner).collect()
    }

    /// Where `oidc: true` has to come so that each step that runs the pipe gets a token.
    fn oidc_sites(&self, candidate: &Candidate) -> Result<Vec<(NodeId, Edits)>, String> {
        let mut sites = Vec::new();
        for &number in &candidate.places {
            let place = &self.places[number];
            match self.steps[number].oidc {
                Oidc::On => continue,
                Oidc::Absent => {}
                Oidc::Off => {
                    return Err(format!(
                        "the step in line {} says `oidc: false`",
                        place.line
                    ));
                }
                Oidc::Invalid => {
                    return Err(format!(
                        "the `oidc` of the step in line {} is neither a boolean nor a mapping",
                        place.line
                    ));
                }
            }
            let site = self.script_owner(place, candidate.item);
            if self.source.tree.get(site, "oidc").is_some() {
                return Err(format!(
                    "the step in line {} has an `oidc` without a value",
                    place.line
                ));
            }
            let edits = self.source.add_oidc(site);
            let edits =
                edits.map_err(|reason| format!("`oidc: true` cannot be added: {reason}"))?;
            sites.push((site, edits));
        }
        Ok(sites)
    }

    /// The mapping that holds the script with this pipe.
    fn script_owner(&self, place: &Place, item: NodeId) -> NodeId {
        let tree = self.source.tree;
        let scripts = SCRIPTS.iter().filter_map(|name| tree.get(place.step, name));
        let holds = |list: NodeId| {
            tree.items(list)
                .iter()
                .any(|&each| tree.resolve(each) == item)
        };
        let mut scripts = scripts.filter(|entry| holds(entry.value));
        scripts.next().map_or(place.step, |entry| entry.owner)
    }

    fn first_line(&self, mapping: NodeId) -> usize {
        let first = self.source.tree.own_entries(mapping).first();
        first.map_or(0, |&(key, _)| self.source.tree.line(key))
    }

    /// Commands and images that still need keys: the step is not done, and the variables cannot be deleted yet.
    fn leave_commands(&self, plan: &mut Plan) {
        plan.keys_are_needed = self.steps.iter().any(|step| !step.commands.is_empty());
        for step in self.steps {
            let mut left = |line, text| {
                plan.left.push(Item {
                    line,
                    step: step.name.clone(),
                    text,
                });
            };
            for command in &step.commands {
                left(
                    command.line,
                    format!("{} still works with access keys", described(&command.kind)),
                );
            }
            if let Some(image) = step.image.as_ref().filter(|image| !image.keys.is_empty()) {
                left(
                    image.line,
                    "`image.aws` still has access keys: put `oidc-role: <ARN>` in their place by hand, and see that the image \
                     can still be pulled"
                        .to_owned(),
                );
            }
        }
    }
}

/// What of a plan's `left` can be done about commands.
pub const COMMANDS_HINT: &str = "commands take a role too: export AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE before them, with \
    $BITBUCKET_STEP_OIDC_TOKEN in a file outside of the clone; until then their access keys cannot be deleted";

/// A program in backticks, a description as it is.
fn described(kind: &str) -> String {
    match kind {
        "export of a key" => "a line that sets a key".to_owned(),
        "use of a key" => "a line that names a key".to_owned(),
        program => format!("`{program}`"),
    }
}

/// The variables that stand for a pipe's identity: those that its keys are filled from, by default those of the usual
/// names, which is also what a role that it has stands for. A key that is no variable counts by its own name.
fn key_set(pipe: &Pipe) -> BTreeSet<String> {
    let usual = || KEY_NAMES[..2].iter();
    match &pipe.keys {
        Keys::Given(given)
            if !pipe
                .variables
                .iter()
                .any(|variable| variable.name == ROLE_NAME) =>
        {
            usual()
                .map(|&name| match given.get(name) {
                    Some(Some(source)) => source.clone(),
                    Some(None) => format!("the text of {name}"),
                    None => name.to_owned(),
                })
                .collect()
        }
        _ => usual().map(|&name| name.to_owned()).collect(),
    }
}
