//! The binary against the local AWS, and against scripts of answers where no local AWS shows what AWS does.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a failed test")]

mod aftermath;
mod artifact;
mod bad_input;
mod canary;
mod code_deploy;
mod deploy;
mod drop_in;
mod faults;
mod image;
mod layer;
mod package;
mod race;
mod refused;
mod several;
mod smoke;
mod step;
mod waiting;
