//! The binary against the local AWS and against scripted timelines.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a failed test")]

mod bad_input;
mod code_deploy;
mod deploy;
mod failures;
mod faults;
mod pin;
mod prune;
mod report;
mod rollback;
mod rollouts;
mod schedules;
mod script;
mod step;
mod tasks;
