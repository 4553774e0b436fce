//! What a run has changed so far, kept beside the work, so that an error, a signal or a deadline at any
//! moment can still say it. Changes whose answer never came are named too: they may have taken effect.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Serialize, Serializer};
use tokio::time::Instant;

/// Names spelled out in the log for one kind of change; all of them stand in `report.json`.
const NAMES_IN_LOG: usize = 10;

/// The changes of one run; a clone is the same journal, for work on another thread.
#[derive(Clone, Default)]
pub struct Journal(Arc<Pages>);

#[derive(Default)]
struct Pages {
    is_reported: bool,
    changes: Mutex<Changes>,
    cleanups: Mutex<BTreeMap<u64, Cleanup>>,
}

/// What is left to do when a run ends early, such as the abort of an upload in parts.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Cleanup {
    name: String,
    work: Work,
}

/// What the journal holds, as it goes into `report.json`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Changes {
    /// Verb (`uploaded`) to the names of what was changed, in the order of completion.
    pub changed: BTreeMap<&'static str, Names>,
    /// Changes that were asked for and not answered.
    pub perhaps_changed: BTreeSet<String>,
    /// The plan of the run, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<serde_json::Value>,
    /// What else was found out, by name.
    #[serde(flatten)]
    pub notes: BTreeMap<&'static str, serde_json::Value>,
}

/// Names in the order in which they came, in one piece of memory: a deploy can have a million of them.
#[derive(Clone, Debug, Default)]
pub struct Names {
    count: usize,
    /// Each ends with [`Names::END`], which no name has.
    text: String,
}

impl Names {
    /// Names of files, objects and AWS resources cannot hold it.
    const END: char = '\0';

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All that are kept: those that a message names, and if a report will be written all others.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.text.split_terminator(Self::END)
    }

    fn push(&mut self, name: &str, is_reported: bool) {
        if is_reported || self.count < NAMES_IN_LOG {
            self.text.push_str(name);
            self.text.push(Self::END);
        }
        self.count += 1;
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// A change that has been asked for; until it is settled it counts as perhaps made.
#[must_use = "a change that is never settled is reported as perhaps made"]
pub struct Pending<'a> {
    journal: &'a Journal,
    name: String,
}

impl Journal {
    /// The journal of a run, of which `report.json` will be written or not.
    pub(crate) fn new(is_reported: bool) -> Self {
        Self(Arc::new(Pages {
            is_reported,
            ..Pages::default()
        }))
    }

    /// Whether a report will be written: a plan of a hundred thousand actions is not worth making for nobody.
    #[must_use]
    pub fn is_reported(&self) -> bool {
        self.0.is_reported
    }

    /// Keeps the plan for the report.
    pub fn plan(&self, plan: serde_json::Value) {
        self.changes().plan = Some(plan);
    }

    /// Keeps something that was found out for the report, such as why tasks stopped.
    pub fn note(&self, name: &'static str, value: serde_json::Value) {
        self.changes().notes.insert(name, value);
    }

    /// Notes that the change `verb name`, such as `upload index.html`, is about to be asked for.
    pub fn begin(&self, verb: &'static str, name: &str) -> Pending<'_> {
        let name = format!("{verb} {name}");
        self.changes().perhaps_changed.insert(name.clone());
        Pending {
            journal: self,
            name,
        }
    }

    /// Keeps `work` for the case that the run ends before [`Journal::settle`] is called with the number that this
    /// gives: by an error, a signal or the deadline, all of which drop what is under way. `name` is what would be
    /// left behind, such as ``the unfinished upload of `large.bin` ``.
    pub fn clean_up_unless_settled(
        &self,
        name: impl Into<String>,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> u64 {
        let mut cleanups = self.cleanups();
        let number = cleanups
            .last_key_value()
            .map_or(0, |(number, _)| number + 1);
        cleanups.insert(
            number,
            Cleanup {
                name: name.into(),
                work: Box::pin(work),
            },
        );
        number
    }

    /// Forgets a cleanup: there is nothing left to clean up.
    pub fn settle(&self, number: u64) {
        self.cleanups().remove(&number);
    }

    /// Does all that is left, all of it at once, and names what could not be done in time.
    pub(crate) async fn clean_up(&self, limit: Duration) {
        let cleanups = std::mem::take(&mut *self.cleanups());
        let end = Instant::now() + limit;
        let started = cleanups
            .into_values()
            .map(|cleanup| (cleanup.name, tokio::spawn(cleanup.work)));
        for (name, work) in started.collect::<Vec<_>>() {
            if tokio::time::timeout_at(end, work).await.is_err() {
                tracing::warn!("left behind, since there was no answer in time: {name}");
            }
        }
    }

    /// The names of what would be left behind now.
    pub(crate) fn left(&self) -> Vec<String> {
        let cleanups = self.cleanups();
        cleanups
            .values()
            .map(|cleanup| cleanup.name.clone())
            .collect()
    }

    /// A copy of all that was noted.
    #[must_use]
    pub fn snapshot(&self) -> Changes {
        self.changes().clone()
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        // A panic elsewhere must not hide what was changed.
        self.0
            .changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn cleanups(&self) -> MutexGuard<'_, BTreeMap<u64, Cleanup>> {
        self.0
            .cleanups
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending<'_> {
    /// The service confirmed it: `uploaded`, `index.html`.
    pub fn done(self, verb: &'static str, name: impl AsRef<str>) {
        let is_reported = self.journal.is_reported();
        let mut changes = self.journal.changes();
        changes.perhaps_changed.remove(&self.name);
        let names = changes.changed.entry(verb).or_default();
        names.push(name.as_ref(), is_reported);
    }

    /// The service refused it, or it was never sent: nothing changed.
    pub fn refused(self) {
        self.journal.changes().perhaps_changed.remove(&self.name);
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changed.is_empty() && self.perhaps_changed.is_empty() {
            return write!(out, "nothing was changed");
        }
        let mut parts: Vec<String> = self
            .changed
            .iter()
            .map(|(verb, names)| {
                let some = some_of(names.iter(), names.len());
                format!("{verb} {} ({some})", names.len())
            })
            .collect();
        if parts.is_empty() {
            parts.push("nothing for certain".to_owned());
        }
        write!(out, "changed before that: {}", parts.join(", "))?;
        if !self.perhaps_changed.is_empty() {
            let count = self.perhaps_changed.len();
            write!(
                out,
                "\nperhaps changed, no answer came: {count} ({})",
                some_of(self.perhaps_changed.iter().map(String::as_str), count)
            )?;
        }
        Ok(())
    }
}

fn some_of<'a>(names: impl Iterator<Item = &'a str>, count: usize) -> String {
    let mut text: Vec<String> = names
        .take(NAMES_IN_LOG)
        .map(|name| format!("`{name}`"))
        .collect();
    if count > text.len() {
        text.push(format!("and {} more", count - text.len()));
    }
    text.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_and_what_may_have_been_changed_is_said() {
        let journal = Journal::default();
        assert_eq!(journal.snapshot().to_string(), "nothing was changed");
        for index in 0..12 {
            journal
                .begin("upload", &format!("{index}.js"))
                .done("uploaded", format!("{index}.js"));
        }
        journal.begin("upload", "refused.js").refused();
        let _unanswered = journal.begin("upload", "index.html");
        insta::assert_snapshot!(journal.snapshot(), @r"
        changed before that: uploaded 12 (`0.js`, `1.js`, `2.js`, `3.js`, `4.js`, `5.js`, `6.js`, `7.js`, `8.js`, `9.js`, and 2 more)
        perhaps changed, no answer came: 1 (`upload index.html`)
        ");
    }
}
