//! The gate before traffic: the published version is invoked by its number with given events, and what it answers is
//! compared with what was expected. No alias has moved by then.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use serde_json_path::JsonPath;
use shared::{Environment, Failure, Faults, FromText, explained};
use tokio::time::Instant;

use crate::aws::{Invoked, Lambda};
use crate::configuration::read_document;

const DEFAULT_LIMIT: u32 = 30;

/// What a version has to answer.
#[derive(Clone, Debug)]
pub struct Smoke {
    /// Files with one event each.
    pub events: Vec<PathBuf>,
    /// The `statusCode` of its answer.
    pub status: Option<u32>,
    /// Values in its answer.
    pub expectations: Vec<Expectation>,
    /// How long one invocation may take, a cold start included.
    pub limit: Duration,
}

/// `$.path=value`: what the JSON path finds in the answer is this value.
#[derive(Clone, Debug)]
pub struct Expectation {
    text: String,
    path: JsonPath,
    value: Value,
}

impl FromText for Expectation {
    fn from_text(text: &str) -> Result<Self, String> {
        let fault = |why: &str| {
            Err(format!(
                "unallowed value {text} ({why}; it looks like `$.body.ready=true`)"
            ))
        };
        // A filter of the path may hold an `=` too: the last one ends it, unless the value is a text in quotes.
        let place = match text.trim_end().strip_suffix('"') {
            Some(inner) => inner.rfind("=\""),
            None => text.rfind('='),
        };
        let Some((path, value)) = place.map(|place| (&text[..place], &text[place + 1..])) else {
            return fault("there is no `=`");
        };
        match JsonPath::parse(path.trim()) {
            Ok(path) => Ok(Self {
                text: text.to_owned(),
                path,
                value: serde_json::from_str(value)
                    .unwrap_or_else(|_| Value::String(value.to_owned())),
            }),
            Err(error) => fault(&format!("no JSON path: {error}")),
        }
    }
}

/// An event that was read.
pub struct Event {
    name: String,
    payload: Vec<u8>,
}

impl Smoke {
    /// From the variables; nothing if SMOKE_TEST names no event.
    pub fn new(
        events: Vec<String>,
        status: Option<u32>,
        expectations: Vec<Expectation>,
        limit: Option<u32>,
        faults: &mut Faults,
    ) -> Option<Self> {
        if events.is_empty() {
            let needing = [
                ("SMOKE_STATUS", status.is_some()),
                ("SMOKE_EXPECT", !expectations.is_empty()),
                ("SMOKE_TIMEOUT", limit.is_some()),
            ];
            for (name, is_given) in needing {
                if is_given {
                    faults.add(name, "needs SMOKE_TEST, the file with the event");
                }
            }
            return None;
        }
        // "The maximum amount of time that a function can run", 15 minutes.
        if limit.is_some_and(|limit| !(1..=900).contains(&limit)) {
            faults.add("SMOKE_TIMEOUT", "unallowed value (1 to 900 seconds)");
        }
        Some(Self {
            events: events.into_iter().map(PathBuf::from).collect(),
            status,
            expectations,
            limit: Duration::from_secs(limit.unwrap_or(DEFAULT_LIMIT).into()),
        })
    }

    /// Reads the events, before anything is changed.
    ///
    /// # Errors
    /// When a file is no JSON or YAML.
    pub fn load(&self, environment: &Environment) -> Result<Vec<Event>, Failure> {
        let read = |path: &PathBuf| {
            Ok(Event {
                name: path.display().to_string(),
                payload: read_document(path, environment)?.to_string().into_bytes(),
            })
        };
        self.events.iter().map(read).collect()
    }

    /// Invokes `version` with each event.
    ///
    /// # Errors
    /// With the first answer that is not as expected.
    pub async fn test(
        &self,
        events: &[Event],
        lambda: &Lambda,
        function: &str,
        version: &str,
    ) -> Result<(), Failure> {
        for event in events {
            let start = Instant::now();
            let doing = || {
                format!(
                    "the smoke test `{}` of version {version} of `{function}` failed",
                    event.name
                )
            };
            let invoked = lambda
                .invoke(function, version, event.payload.clone(), self.limit)
                .await
                .map_err(|refusal| {
                    if start.elapsed() >= self.limit {
                        return gate(Failure::new(format!(
                            "{}: no answer within {} s",
                            doing(),
                            self.limit.as_secs()
                        )));
                    }
                    explained(&refusal, doing(), "lambda:InvokeFunction")
                })?;
            if let Err(why) = self.judge(&invoked, version) {
                return Err(gate(Failure::new(format!("{}: {why}", doing()))));
            }
            tracing::info!(
                "Smoke test `{}` of version {version} of `{function}` passed in {} ms",
                event.name,
                start.elapsed().as_millis()
            );
        }
        Ok(())
    }

    fn judge(&self, invoked: &Invoked, version: &str) -> Result<(), String> {
        let answer: Option<Value> = serde_json::from_slice(&invoked.payload).ok();
        if let Some(kind) = &invoked.function_error {
            let member = |name: &str| {
                let text = answer.as_ref()?.get(name)?.as_str()?;
                Some(text.to_owned())
            };
            let error = [member("errorType"), member("errorMessage")];
            let error: Vec<String> = error.into_iter().flatten().collect();
            return Err(format!(
                "the function failed ({kind}): {}",
                error.join(": ")
            ));
        }
        if let Some(executed) = &invoked.executed_version
            && executed != version
        {
            return Err(format!("Lambda ran version {executed}"));
        }
        if self.status.is_none() && self.expectations.is_empty() {
            return Ok(());
        }
        let Some(answer) = answer else {
            return Err("the answer is no JSON".to_owned());
        };
        if let Some(expected) = self.status {
            match answer.get("statusCode").and_then(Value::as_u64) {
                None => {
                    return Err(
                        "the answer has no `statusCode`, and SMOKE_STATUS expects one".to_owned(),
                    );
                }
                Some(status) if status != u64::from(expected) => {
                    return Err(format!("`statusCode` is {status}, not {expected}"));
                }
                Some(_) => {}
            }
        }
        let unfolded = unfolded(&answer);
        for expectation in &self.expectations {
            expectation.holds(&answer).or_else(|why| match &unfolded {
                Some(unfolded) => expectation.holds(unfolded),
                None => Err(why),
            })?;
        }
        Ok(())
    }
}

impl Expectation {
    fn holds(&self, answer: &Value) -> Result<(), String> {
        let found = self.path.query(answer).all();
        match found.as_slice() {
            [] => Err(format!(
                "the answer has nothing at the path of `{}`",
                self.text
            )),
            found if found.iter().all(|value| **value == self.value) => Ok(()),
            // The value may be a secret of the function.
            _ => Err(format!("the answer has another value than `{}`", self.text)),
        }
    }
}

/// A function behind an API answers with its body as a text; a path may go on inside of it.
fn unfolded(answer: &Value) -> Option<Value> {
    let body: Value = serde_json::from_str(answer.get("body")?.as_str()?).ok()?;
    let mut unfolded = answer.clone();
    unfolded["body"] = body;
    Some(unfolded)
}

fn gate(failure: Failure) -> Failure {
    failure.hint(
        "no traffic was moved: the alias is as it was; the version stays for a look at its logs",
    )
}

#[cfg(test)]
mod tests;
