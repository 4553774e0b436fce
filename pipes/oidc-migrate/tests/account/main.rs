//! What `iam` prints and creates, proven in the local AWS, which evaluates trust and permission policies: tokens of the step
//! get in, those of other repositories and environments do not, and a pipe does its work with the generated rights alone.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a failed test")]

mod apply;
mod check;
mod doctor;
mod faults;
mod formats;
mod place;
mod rights;
