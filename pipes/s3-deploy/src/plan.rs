//! The decision: verdicts and what the bucket holds besides in, actions with a reason each out, in the order in which
//! they will be done. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use shared::FromText;

use crate::compare::{RemoteObject, Verdict};
use crate::config::Deletes;
use crate::entries::Noted;
use crate::manifest::{Manifest, Retired};
use crate::objects::Site;
use crate::phase::Phase;
use crate::rules::Because;

/// Why something is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no such object.
    New,
    /// The object has another length.
    SizeDiffers,
    /// The object has the same length and another content.
    ContentDiffers,
    /// Nothing that can be asked for proves what the object's content is.
    CannotCompare,
    /// Only the headers are other ones: the object is copied onto itself.
    HeadersDiffer,
}

impl Reason {
    const fn verb(self) -> &'static str {
        match self {
            Self::HeadersDiffer => "headers",
            _ => "upload",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::SizeDiffers => "size differs",
            Self::ContentDiffers => "content differs",
            Self::CannotCompare => "cannot compare",
            Self::HeadersDiffer => "headers differ",
        }
    }
}

/// One object to write, in 8 bytes.
#[derive(Debug)]
pub struct Action {
    /// The number of the object in the site.
    pub number: u32,
    /// When: phases are done one after another.
    pub phase: Phase,
    /// Why.
    pub reason: Reason,
}

/// How long objects that are no longer part of the site stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retain {
    /// Until so many later releases have been deployed.
    Releases(u32),
    /// So long.
    Age(Duration),
}

impl FromText for Retain {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (number, unit) = text.split_at(
            text.find(|each: char| !each.is_ascii_digit())
                .unwrap_or(text.len()),
        );
        let retain = number
            .parse::<u32>()
            .ok()
            .filter(|number| *number > 0)
            .and_then(|number| match unit.trim() {
                "" | "releases" => Some(Self::Releases(number)),
                "h" | "hours" => Some(Self::Age(Duration::from_hours(number.into()))),
                "d" | "days" => Some(Self::Age(Duration::from_hours(u64::from(number) * 24))),
                _ => None,
            });
        retain.ok_or_else(|| format!("unallowed value {text} (it is a number of releases such as `5`, or an age such as `12h` or `7d`)"))
    }
}

/// What a run will do: all actions in the order of their phases, then all deletes.
#[derive(Debug, Default)]
pub struct Plan {
    /// Objects to write.
    pub actions: Vec<Action>,
    /// Objects to delete.
    pub deletes: Vec<Deletion>,
    /// Objects that are as wished already.
    pub unchanged: usize,
    /// Objects that no file stands for and that stay, since deleting was not asked for.
    pub left: usize,
    /// The same of which no earlier deploy knows, and only its own were to be deleted.
    pub foreign: usize,
    /// Objects of earlier releases that stay for a while.
    pub retained: usize,
    /// All objects of earlier releases that are still there afterwards, for the manifest.
    pub retired: BTreeMap<String, Retired>,
    /// What is known of the unchanged objects, for the manifest, and of those that only get other headers.
    pub noted: Noted,
    /// Objects that the listing showed, the pipe's own not counted.
    pub listed: usize,
    leftovers: Vec<Deletion>,
    remembers: bool,
}

/// An object that no file stands for, and that is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Its name.
    pub name: String,
    /// Its ETag when it was listed.
    pub etag: String,
}

/// Which of the objects that no file stands for DELETE_FLAG is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeleteScope {
    /// All of them under the prefix, as with `aws s3 sync --delete`.
    #[default]
    All,
    /// Those that an earlier deploy with a manifest has put there.
    Deployed,
}

impl FromText for DeleteScope {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "all" => Ok(Self::All),
            "deployed" => Ok(Self::Deployed),
            other => Err(format!("unallowed value {other} (allowed: all, deployed)")),
        }
    }
}

/// What the plan makes of objects that no file stands for.
#[derive(Clone, Copy)]
pub struct Leftovers<'a> {
    /// Whether, which and when.
    pub deletes: Deletes,
    /// What earlier runs knew of them.
    pub manifest: &'a Manifest,
    /// Seconds since 1970.
    pub now: u64,
}

impl Plan {
    /// Nothing yet; `remembers` what is known of unchanged objects, which takes more memory than all else.
    pub fn new(site: &Site, remembers: bool) -> Self {
        let room = if remembers { site.objects.len() } else { 0 };
        Self {
            remembers,
            noted: Noted::with_room(room),
            ..Self::default()
        }
    }

    /// Adds a wished object that the listing does not show.
    pub fn add_new(&mut self, site: &Site, number: u32) {
        self.act(site, number, Reason::New);
    }

    /// Adds a wished object that was compared. Without proof it is uploaded: never a stale object.
    pub fn add(&mut self, site: &Site, number: u32, verdict: Verdict) {
        match verdict {
            Verdict::Same(entry) | Verdict::HeadersUnknown(entry) => {
                self.unchanged += 1;
                // What was compared by size only proves nothing to a later run.
                if self.remembers && !entry.content.is_empty() {
                    self.noted.set(number, &entry);
                }
            }
            Verdict::HeadersDiffer(entry) => {
                self.act(site, number, Reason::HeadersDiffer);
                self.noted.set(number, &entry);
            }
            Verdict::SizeDiffers => self.act(site, number, Reason::SizeDiffers),
            Verdict::ContentDiffers => self.act(site, number, Reason::ContentDiffers),
            Verdict::Unknown => self.act(site, number, Reason::CannotCompare),
        }
    }

    fn act(&mut self, site: &Site, number: u32, reason: Reason) {
        let (_, phase, _) = site.wish(site.object(number));
        self.actions.push(Action {
            number,
            phase,
            reason,
        });
    }

    /// Whether what is known of the objects is kept, for the manifest.
    pub const fn remembers(&self) -> bool {
        self.remembers
    }

    /// Adds an object that no file stands for; what becomes of it is decided at the end.
    pub fn add_leftover(&mut self, object: RemoteObject) {
        let RemoteObject { name, etag, .. } = object;
        self.leftovers.push(Deletion { name, etag });
    }

    /// Decides what becomes of the leftovers, and brings everything into its order.
    pub fn finish(&mut self, rules: Leftovers<'_>) {
        let Manifest {
            objects, retired, ..
        } = rules.manifest;
        let is_own = |each: &Deletion| objects.has(&each.name) || retired.contains_key(&each.name);
        let mut leftovers = std::mem::take(&mut self.leftovers);
        if rules.deletes.scope == DeleteScope::Deployed || !rules.deletes.asked {
            let all = leftovers.len();
            leftovers.retain(is_own);
            self.foreign = all - leftovers.len();
        }
        // Without any change this is no release, and nothing gets a release older by it.
        let is_new = |each: &Deletion| !retired.contains_key(&each.name);
        let is_release = !self.actions.is_empty() || leftovers.iter().any(is_new);
        for leftover in leftovers {
            self.retire(leftover, is_release, rules);
        }
        if !rules.deletes.asked {
            // Those of earlier releases are not forgotten: a later run may be asked to delete them.
            self.left = std::mem::take(&mut self.foreign) + self.retired.len();
        }
        // The numbers have the order of the names.
        self.actions
            .sort_unstable_by_key(|action| (action.phase, action.number));
        self.noted.sort();
        self.deletes
            .sort_unstable_by(|one, other| one.name.cmp(&other.name));
    }

    fn retire(&mut self, leftover: Deletion, is_release: bool, rules: Leftovers<'_>) {
        let Leftovers {
            deletes,
            manifest,
            now,
        } = rules;
        let name = &leftover.name;
        let retired = manifest.retired.get(name).map_or(
            Retired {
                since: now,
                releases: 0,
            },
            |known| Retired {
                since: known.since,
                releases: known.releases + u32::from(is_release),
            },
        );
        // A page that was taken out has to go; it is what pages load that open tabs still need.
        let known = manifest.objects.get(name);
        let phase = known.map_or_else(|| Phase::of(name), |entry| entry.phase);
        let stays = phase != Phase::EntryPoint
            && match deletes.retain {
                None => false,
                Some(Retain::Releases(releases)) => retired.releases < releases,
                Some(Retain::Age(age)) => now.saturating_sub(retired.since) < age.as_secs(),
            };
        if deletes.asked && !stays {
            self.deletes.push(leftover);
            return;
        }
        self.retained += usize::from(deletes.asked);
        self.retired.insert(leftover.name, retired);
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.deletes.is_empty()
    }

    /// The number of objects to upload, and of those that only get other headers.
    pub fn counts(&self) -> (usize, usize) {
        let headers = self
            .actions
            .iter()
            .filter(|action| action.reason == Reason::HeadersDiffer)
            .count();
        (self.actions.len() - headers, headers)
    }

    /// One line for each action, with `explain` also one for each header and the layer that gave it, and a last one
    /// with the numbers.
    pub fn lines(&self, site: &Site, explain: bool) -> impl fmt::Display {
        fmt::from_fn(move |out| self.write_lines(site, explain, out))
    }

    fn write_lines(&self, site: &Site, explain: bool, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for action in &self.actions {
            let (verb, reason) = (action.reason.verb(), action.reason.text());
            let object = site.object(action.number);
            writeln!(out, "{verb:<7} {}  ({reason})", site.key(object))?;
            if explain {
                writeln!(out, "          phase: {}", action.phase)?;
                for reason in site.explain(object) {
                    writeln!(
                        out,
                        "          {}: {}  ({})",
                        reason.header, reason.value, reason.rule
                    )?;
                }
            }
        }
        for Deletion { name, .. } in &self.deletes {
            // Anybody who may write to the bucket has given it.
            let name = shared::log::name(name);
            writeln!(out, "delete  {}{name}", site.prefix)?;
        }
        let (uploads, headers) = self.counts();
        write!(
            out,
            "plan: upload {uploads}, delete {}, unchanged {}",
            self.deletes.len(),
            self.unchanged
        )?;
        if headers > 0 {
            write!(out, ", headers {headers}")?;
        }
        if self.retained > 0 {
            write!(out, ", retained {}", self.retained)?;
        }
        if self.foreign > 0 {
            write!(
                out,
                ", left alone {} (no deploy has put them there)",
                self.foreign
            )?;
        }
        if self.left > 0 {
            write!(out, ", left alone {} (DELETE_FLAG is not true)", self.left)?;
        }
        Ok(())
    }

    /// For `report.json`, with `explain` also each header and the layer that gave it.
    pub fn to_json(&self, site: &Site, explain: bool) -> serde_json::Value {
        #[derive(Serialize)]
        struct Line<'a> {
            action: &'a str,
            key: String,
            reason: &'a str,
            phase: Phase,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            headers: Vec<Because>,
        }
        let actions: Vec<_> = self
            .actions
            .iter()
            .map(|action| Line {
                action: action.reason.verb(),
                key: site.key(site.object(action.number)),
                reason: action.reason.text(),
                phase: action.phase,
                headers: if explain {
                    site.explain(site.object(action.number))
                } else {
                    Vec::new()
                },
            })
            .collect();
        let deletes: Vec<_> = self
            .deletes
            .iter()
            .map(|each| [&site.prefix, each.name.as_str()].concat())
            .collect();
        serde_json::json!({
            "actions": actions,
            "delete": deletes,
            "unchanged": self.unchanged,
            "retained": self.retained,
            "foreign": self.foreign,
            "left": self.left,
        })
    }
}
