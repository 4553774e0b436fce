//! The binary against the local AWS and against scripted timelines.

mod bad_input;
mod deploy;
mod failures;
mod rollback;
mod rollouts;
mod script;
mod step;
mod tasks;
