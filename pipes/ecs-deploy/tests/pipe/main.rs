//! The binary against the local AWS and against scripted timelines.

mod deploy;
mod step;
