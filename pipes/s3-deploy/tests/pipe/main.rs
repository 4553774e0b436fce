//! The compiled pipe as a user runs it: a clean environment, real requests against the local AWS, and what was
//! printed, asked for and stored afterwards. Every run's output is searched for its secrets, with DEBUG on.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a failed test")]

mod bad_input;
mod credentials;
mod deploy;
mod encrypted;
mod interrupted;
mod manifest;
mod network;
mod property;
mod releases;
mod renewal;
mod rules;
mod safety;
mod step;
