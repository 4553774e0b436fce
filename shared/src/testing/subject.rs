//! One deploy of a pipe that can be tried again and again while things go wrong: a world of its own in the local AWS, what
//! is there before and after a run, and what would be wrong at any moment.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

use super::proxy::{Fault, Proxy, Recorded};
use super::{Output, Pipe, Running};

type Hook = Box<dyn Fn(&Recorded) -> Option<Fault> + Send>;

/// What makes requests fail or wait once it is set, after runs that went well.
#[derive(Clone, Default)]
pub struct Trap(Arc<Mutex<Option<Hook>>>);

impl Trap {
    /// Asks `hook` about each request from now on.
    pub fn set(&self, hook: impl Fn(&Recorded) -> Option<Fault> + Send + 'static) {
        *self.hook() = Some(Box::new(hook));
    }

    /// Lets all requests pass again.
    pub fn clear(&self) {
        *self.hook() = None;
    }

    /// What happens to this request.
    #[must_use]
    pub fn fault(&self, request: &Recorded) -> Option<Fault> {
        self.hook().as_ref()?(request)
    }

    fn hook(&self) -> MutexGuard<'_, Option<Hook>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is there, by the name that the pipe has for it (a key, `the code of orders`), with its content or version. Where
/// the pipe has two names, one before and one after it is made, they stand with a `|` between them.
pub type Things = BTreeMap<String, String>;

/// A deploy that is about to change something.
pub trait Subject: Sync + Sized {
    /// The pipe.
    const PIPE: &'static str;

    /// A world of its own with the first release live, and the second one about to be deployed. Requests ask `trap`.
    fn new(trap: Trap) -> Self;

    /// The run that deploys the second release, with a limit of some seconds for all that it waits for.
    fn pipe(&self) -> Pipe<'_>;

    /// The proxy of the run.
    fn proxy(&self) -> &Proxy;

    /// What kind of call it is, such as `PUT page`: the rows of the table. Empty for calls that another subject is for.
    fn call(request: &Recorded) -> String;

    /// What is there now.
    fn things(&self) -> Things;

    /// Why this is not the second release and nothing else; nothing if it is.
    fn is_wrong(&self, things: &Things) -> Option<String>;

    /// What is there that nobody needs and that costs money or confuses, such as parts of an upload.
    fn left_behind(&self) -> Vec<String>;

    /// What users see and must not, looked at again and again while runs come and go; nothing if all is well.
    fn is_broken(&self) -> Option<String>;

    /// Takes away what the local AWS would keep in memory for hundreds of worlds; it is asked when all is judged.
    fn discard(&self) {}
}

/// What a run says of itself in `report.json`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Told {
    pub(super) message: String,
    changed: BTreeMap<String, Vec<String>>,
    perhaps_changed: Vec<String>,
}

impl Told {
    /// What is untrue about what was changed between `before` and `after`.
    pub(super) fn lies(&self, before: &Things, after: &Things) -> Vec<String> {
        let names = before.keys().chain(after.keys());
        let mut changed: Vec<&String> = names
            .filter(|name| before.get(*name) != after.get(*name))
            .collect();
        changed.sort();
        changed.dedup();
        let certain: Vec<&String> = self.changed.values().flatten().collect();
        let mut lies = Vec::new();
        let is_of = |said: &String, name: &String| name.split('|').any(|name| said.contains(name));
        for name in &changed {
            let mut said = certain.iter().copied().chain(&self.perhaps_changed);
            if !said.any(|said| is_of(said, name)) {
                lies.push(format!("`{name}` was changed, which is not said"));
            }
        }
        for said in &certain {
            if !changed.iter().any(|name| is_of(said, name)) {
                lies.push(format!("`{said}` was not changed, though it is said"));
            }
        }
        lies
    }
}

/// One run of the subject's pipe, with a place for its report.
pub(super) struct Reported<'subject> {
    running: Running<'subject>,
    storage: tempfile::TempDir,
}

impl<'subject> Reported<'subject> {
    pub(super) fn start(pipe: Pipe<'subject>) -> Self {
        let storage = tempfile::tempdir().expect("a directory can be made");
        let at = |name: &str| storage.path().join(name).display().to_string();
        let running = pipe
            .env("BITBUCKET_PIPE_STORAGE_DIR", at(""))
            .env("BITBUCKET_PIPELINES_VARIABLES_PATH", at("variables.env"))
            .spawn();
        Self { running, storage }
    }

    pub(super) fn signal(&self, name: &str) -> bool {
        self.running.try_signal(name)
    }

    /// Waits for its end. The report is that of this run, or none if it was killed.
    pub(super) fn wait(self) -> (Output, Option<Told>) {
        let output = self.running.wait();
        (output, read(self.storage.path()))
    }
}

fn read(storage: &Path) -> Option<Told> {
    let text = std::fs::read(storage.join("report.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn things(pairs: &[(&str, &str)]) -> Things {
        let owned = pairs.iter().map(|(name, value)| (*name, *value));
        owned
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn what_is_not_said_and_what_is_not_so_are_lies() {
        let told: Told = serde_json::from_str(
            r#"{"message": "m", "changed": {"uploaded": ["1.js", "2.js"]}, "perhaps_changed": ["upload 3.js"]}"#,
        )
        .unwrap();
        let before = things(&[("1.js", "1"), ("3.js", "1"), ("4.js", "1")]);
        let honest = things(&[("1.js", "2"), ("2.js", "1"), ("3.js", "1"), ("4.js", "1")]);
        assert_eq!(told.lies(&before, &honest), [""; 0]);
        let otherwise = things(&[("2.js", "1"), ("3.js", "2"), ("1.js", "1")]);
        assert_eq!(
            told.lies(&before, &otherwise),
            [
                "`4.js` was changed, which is not said",
                "`1.js` was not changed, though it is said"
            ]
        );
    }
}
