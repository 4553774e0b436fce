//! The decision for one function: what is live and what is wished in, steps with a reason each out. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use shared::Failure;
use shared::difference::{Mask, difference};
use shared::edits::Edits;

use crate::canary::{self, Run};
use crate::config::{Change, Reserved, Shift, Traffic, architecture_name};
use crate::configuration::{self, Desired};
use crate::live::{Alias, Configuration, Function, is_empty};
use crate::mark::Description;
use crate::source::{Comparison, Source};

/// What is live.
#[derive(Default)]
pub struct Seen {
    /// The function; none if it is to be made.
    pub function: Option<Function>,
    /// Its published versions, the oldest first.
    pub versions: Vec<Configuration>,
    /// The alias that is to be moved.
    pub alias: Option<Alias>,
}

/// What is wished, the same for all functions of a run.
pub struct Wish<'a> {
    /// The variables.
    pub change: &'a Change,
    /// The configuration.
    pub desired: &'a Desired,
    /// The code.
    pub source: Option<&'a Source>,
    /// This run.
    pub run: &'a Run,
}

/// What will be done with one function.
#[derive(Default)]
pub struct Plan {
    /// Whether it is made first.
    pub create: bool,
    /// Changes of its configuration.
    pub configuration: Option<configuration::Change>,
    /// Why its code is uploaded.
    pub code: Option<&'static str>,
    /// The architecture that is sent with the code.
    pub architecture: Option<String>,
    /// Tags to set.
    pub tag: BTreeMap<String, String>,
    /// Tags to take away.
    pub untag: Vec<String>,
    /// Reserved concurrency, if it is to change.
    pub reserve: Option<Reserved>,
    /// Which version comes of it.
    pub publish: Publish,
    /// How the alias moves.
    pub traffic: Option<Move>,
}

/// Which version a run ends with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Publish {
    /// None: PUBLISH_FLAG is false.
    #[default]
    Not,
    /// One that is there already.
    Reuse(String),
    /// A new one, and why.
    New(String),
}

/// What becomes of the alias.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    /// It is where it is to be.
    Unchanged(String),
    /// It is made.
    Create,
    /// It moves from this version.
    From(String),
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    /// When what is wished cannot be done: nothing has been changed then.
    pub fn new(name: &str, wish: &Wish<'_>, seen: &Seen) -> Result<Self, Failure> {
        let mut plan = match &seen.function {
            None => Self::of_absent(name, wish)?,
            Some(function) => Self::of_existing(name, wish, function)?,
        };
        let tags = seen
            .function
            .as_ref()
            .map_or_else(BTreeMap::new, |function| function.tags.clone());
        (plan.tag, plan.untag) = tags_to_change(&wish.change.tags, &tags);
        let reserved = seen
            .function
            .as_ref()
            .and_then(|function| function.concurrency.reserved_concurrent_executions);
        plan.reserve = match wish.change.reserved {
            Some(Reserved::Instances(wished)) if reserved == Some(wished) => None,
            Some(Reserved::None) if reserved.is_none() => None,
            wished => wished,
        };
        if wish.change.publish.is_some() {
            plan.publish = plan.publish(seen);
        }
        if let Some(traffic) = &wish.change.traffic {
            plan.traffic = Some(plan.traffic(name, traffic, wish, seen)?);
        }
        Ok(plan)
    }

    fn of_absent(name: &str, wish: &Wish<'_>) -> Result<Self, Failure> {
        let is_image = wish.source.is_some_and(Source::is_image);
        let needed = [
            ("Role", "ROLE"),
            ("Runtime", "RUNTIME"),
            ("Handler", "HANDLER"),
        ];
        // An image brings its own runtime and handler.
        let needed = if is_image { &needed[..1] } else { &needed[..] };
        for (member, variable) in needed {
            if wish.desired.text(member).is_none() {
                return Err(Failure::new(format!(
                    "`{name}` does not exist, and {variable} is not given"
                ))
                .hint("CREATE needs ROLE, and for a zip RUNTIME and HANDLER, or the same in FUNCTION_CONFIGURATION"));
            }
        }
        Ok(Self {
            create: true,
            code: wish.source.map(|_| "new"),
            architecture: wish
                .change
                .architecture
                .map(|each| architecture_name(each).to_owned()),
            ..Self::default()
        })
    }

    fn of_existing(name: &str, wish: &Wish<'_>, function: &Function) -> Result<Self, Failure> {
        let live = &function.configuration;
        let wished = wish.change.architecture.map(architecture_name);
        let architecture = wished
            .filter(|wished| *wished != live.architecture())
            .map(str::to_owned);
        let code = match wish.source {
            None if architecture.is_some() => {
                return Err(Failure::new(format!(
                    "`{name}` is of architecture {}, and another one needs code",
                    live.architecture()
                ))
                .hint("Lambda takes the architecture together with the code; give ZIP_FILE, IMAGE_URI, or S3_BUCKET and S3_KEY too"));
            }
            None => None,
            Some(source) if source.is_image() != live.is_image() => {
                let of = |is_image| {
                    if is_image {
                        "a container image"
                    } else {
                        "a zip"
                    }
                };
                return Err(Failure::new(format!(
                    "the code of `{name}` is {}, and what is given is {}",
                    of(live.is_image()),
                    of(source.is_image())
                ))
                .hint("Lambda cannot change that; make a function of another name, or give the code in the form that it has"));
            }
            Some(source) => match source.compare(function) {
                Comparison::Same if architecture.is_some() => Some("architecture differs"),
                Comparison::Same => None,
                Comparison::Differs => Some("content differs"),
                Comparison::Unknown => Some("cannot compare"),
            },
        };
        Ok(Self {
            configuration: wish.desired.change(live),
            code,
            architecture,
            ..Self::default()
        })
    }

    fn publish(&self, seen: &Seen) -> Publish {
        let mut reasons = Vec::new();
        if self.create {
            reasons.push("new function");
        }
        match self.code {
            Some("cannot compare") => reasons.push("if its code differs"),
            Some(_) if !self.create => reasons.push("code differs"),
            _ => {}
        }
        if self.configuration.is_some() {
            reasons.push("configuration differs");
        }
        let Some(function) = seen.function.as_ref().filter(|_| reasons.is_empty()) else {
            return Publish::New(reasons.join(", "));
        };
        match equal_version(&seen.versions, &function.configuration) {
            Some(version) => Publish::Reuse(version.version().to_owned()),
            None => Publish::New("$LATEST is in no version yet".to_owned()),
        }
    }

    fn traffic(
        &self,
        name: &str,
        traffic: &Traffic,
        wish: &Wish<'_>,
        seen: &Seen,
    ) -> Result<Move, Failure> {
        let Some(alias) = &seen.alias else {
            return Ok(Move::Create);
        };
        let to = match &self.publish {
            Publish::Reuse(version) => version,
            // No version has this number, so it is equal to none.
            _ => "new",
        };
        let start = canary::start(alias, to, wish.run)?;
        if start.from == to && !needs_description(alias, traffic.description.as_deref()) {
            return Ok(Move::Unchanged(to.to_owned()));
        }
        if matches!(traffic.shift, Shift::Canary(..)) {
            self.check_canary(name, seen, &start.from)?;
        }
        Ok(Move::From(start.from))
    }

    /// "Both versions must have the same execution role" and "the same dead-letter queue configuration" (Lambda, weighted
    /// aliases).
    fn check_canary(&self, name: &str, seen: &Seen, from: &str) -> Result<(), Failure> {
        if from == "$LATEST" {
            return Err(Failure::new(format!(
                "the alias of `{name}` points to $LATEST, and traffic can be split between published versions only"
            ))
            .hint("move it to a version once without CANARY"));
        }
        let old = seen.versions.iter().find(|each| each.version() == from);
        let (Some(old), Some(function)) = (old, &seen.function) else {
            return Ok(());
        };
        for (member, what) in [
            ("Role", "role"),
            ("DeadLetterConfig", "dead-letter configuration"),
        ] {
            let changed = self
                .configuration
                .as_ref()
                .and_then(|change| change.body.get(member));
            let new = changed.or_else(|| function.configuration.members().get(member));
            let old = old.members().get(member);
            let of = |value: Option<&Value>| value.filter(|value| !is_empty(value)).cloned();
            if of(old) != of(new) {
                return Err(Failure::new(format!(
                    "version {from} of `{name}` and the new one have another {what}, and Lambda splits traffic between versions of the same {what} only"
                ))
                .hint("move this once without CANARY"));
            }
        }
        Ok(())
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        !self.create
            && self.configuration.is_none()
            && self.code.is_none()
            && self.tag.is_empty()
            && self.untag.is_empty()
            && self.reserve.is_none()
            && !matches!(self.publish, Publish::New(_))
            && matches!(self.traffic, None | Some(Move::Unchanged(_)))
    }

    /// One line for each step, and one for each member of the configuration that differs, its values masked where they may
    /// be secrets.
    pub fn lines(&self, name: &str, wish: &Wish<'_>) -> String {
        let mut out = String::new();
        if self.create {
            let _ = writeln!(out, "create     {name}  (there is no such function)");
        }
        if let Some(change) = &self.configuration {
            let _ = writeln!(out, "configure  {name}  (configuration differs)");
            for line in change.lines() {
                let _ = writeln!(out, "             {line}");
            }
        }
        if let (Some(reason), false) = (self.code, self.create) {
            let size = match wish.source {
                Some(Source::Package(package)) => format!(", {} bytes", package.size()),
                _ => String::new(),
            };
            let _ = writeln!(out, "code       {name}  ({reason}{size})");
        }
        if !self.tag.is_empty() || !self.untag.is_empty() {
            let set = self.tag.keys().map(|name| format!("+ {name}"));
            let unset = self.untag.iter().map(|name| format!("- {name}"));
            let tags: Vec<String> = set.chain(unset).collect();
            let _ = writeln!(out, "tag        {name}  ({})", tags.join(", "));
        }
        match self.reserve {
            Some(Reserved::Instances(instances)) => {
                let _ = writeln!(out, "reserve    {name}  ({instances} instances)");
            }
            Some(Reserved::None) => {
                let _ = writeln!(out, "reserve    {name}  (none any more)");
            }
            None => {}
        }
        match &self.publish {
            Publish::Not => {}
            Publish::Reuse(version) => {
                let _ = writeln!(out, "version    {name}  (unchanged, version {version})");
            }
            Publish::New(reason) => {
                let _ = writeln!(out, "publish    {name}  ({reason})");
            }
        }
        if wish.change.smoke.is_some() && !self.is_empty() {
            let _ = writeln!(out, "smoke      {name}  (before any traffic moves)");
        }
        if let (Some(traffic), Some(step)) = (&wish.change.traffic, &self.traffic) {
            let alias = &traffic.alias;
            let _ = match step {
                Move::Unchanged(version) => {
                    writeln!(
                        out,
                        "alias      {name}:{alias}  (unchanged, version {version})"
                    )
                }
                Move::Create => writeln!(out, "alias      {name}:{alias}  (new)"),
                Move::From(version) => writeln!(
                    out,
                    "alias      {name}:{alias}  (from version {version}{})",
                    how(&traffic.shift)
                ),
            };
        }
        if self.is_empty() {
            let _ = writeln!(out, "unchanged  {name}");
        }
        out
    }

    /// For `report.json`. Values of the configuration are masked.
    pub fn to_json(&self, name: &str) -> Value {
        let differences = self
            .configuration
            .as_ref()
            .map(configuration::Change::lines);
        let publish = match &self.publish {
            Publish::Not => json!(null),
            Publish::Reuse(version) => json!({"unchanged": version}),
            Publish::New(reason) => json!({"reason": reason}),
        };
        let alias = match &self.traffic {
            None => json!(null),
            Some(Move::Unchanged(version)) => json!({"unchanged": version}),
            Some(Move::Create) => json!({"new": true}),
            Some(Move::From(version)) => json!({"from": version}),
        };
        json!({
            "function": name,
            "create": self.create,
            "configuration": differences.unwrap_or_default(),
            "code": self.code,
            "tag": self.tag.keys().collect::<Vec<_>>(),
            "untag": self.untag,
            "publish": publish,
            "alias": alias,
        })
    }
}

impl configuration::Change {
    /// `~ MemorySize: 128 → 256` for each member that differs.
    pub fn lines(&self) -> Vec<String> {
        let mask = Mask::new(&["Environment.Variables.*"]);
        let before = Value::Object(self.before.clone());
        let after = Value::Object(self.body.clone());
        difference(&before, &after, &mask)
            .iter()
            .map(ToString::to_string)
            .collect()
    }
}

fn how(shift: &Shift) -> String {
    match shift {
        Shift::AtOnce => String::new(),
        Shift::Canary(steps, _) => {
            let steps: Vec<String> = steps.0.iter().map(ToString::to_string).collect();
            format!(", {}", steps.join(", "))
        }
        Shift::CodeDeploy(group) => format!(", by CodeDeploy, {group}"),
    }
}

/// The newest version that would do what `latest` does.
pub fn equal_version<'a>(
    versions: &'a [Configuration],
    latest: &Configuration,
) -> Option<&'a Configuration> {
    versions
        .iter()
        .rev()
        .find(|version| version.does_the_same_as(latest))
}

/// Whether people asked for another description than there is.
pub fn needs_description(alias: &Alias, wished: Option<&str>) -> bool {
    wished.is_some_and(|wished| Description::parse(&alias.description).text != wished)
}

fn tags_to_change(
    edits: &Edits,
    live: &BTreeMap<String, String>,
) -> (BTreeMap<String, String>, Vec<String>) {
    // Those of AWS itself cannot be touched.
    let own = |name: &String| !name.starts_with("aws:");
    let wished: BTreeMap<String, String> = edits.apply(live.clone()).into_iter().collect();
    let set = wished
        .iter()
        .filter(|(name, value)| own(name) && live.get(*name) != Some(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let unset = live
        .keys()
        .filter(|name| own(name) && !wished.contains_key(*name))
        .cloned()
        .collect();
    (set, unset)
}

/// The members of CreateFunction besides the code.
pub fn creation(name: &str, desired: &Desired, plan: &Plan) -> Map<String, Value> {
    let mut body = desired.whole();
    body.insert("FunctionName".to_owned(), json!(name));
    if let Some(architecture) = &plan.architecture {
        body.insert("Architectures".to_owned(), json!([architecture]));
    }
    if !plan.tag.is_empty() {
        body.insert("Tags".to_owned(), json!(plan.tag));
    }
    body
}

#[cfg(test)]
mod tests;
