//! What every pipe stands on: the environment as a value, credentials from the step's OIDC token, AWS errors that
//! can be read, waiting with a deadline, and the edge of the process.
//!
//! A pipe is five stages, `Config → observe → Plan → apply → Outcome`, and its `main` is this:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use shared::{Environment, Failure, Journal, Outcome};
//!
//! fn main() -> ExitCode {
//!     shared::run("sample", env!("CARGO_PKG_VERSION"), "# sample\n\nGreets.\n", deploy)
//! }
//!
//! async fn deploy(environment: &Environment, journal: &Journal) -> Result<Outcome, Failure> {
//!     let name = environment.get("NAME").ok_or_else(|| Failure::new("NAME is not set"))?;
//!     journal.begin("greet", name).done("greeted", name);
//!     Ok(Outcome { summary: format!("greeted {name}"), ..Outcome::default() })
//! }
//! ```

mod access;
pub mod arn;
mod attempts;
pub mod aws;
mod client;
pub mod cloudwatch;
pub mod credentials;
pub mod diagnosis;
pub mod difference;
pub mod document;
mod download;
pub mod edits;
mod explain;
mod failure;
pub mod help;
mod journal;
pub mod log;
mod pipeline_file;
#[cfg(feature = "properties")]
pub mod properties;
pub mod raw;
pub mod report;
mod run;
mod secret;
mod session;
#[cfg(feature = "testing")]
pub mod testing;
pub mod token;
mod typos;
pub mod variables;
pub mod wait;
mod web;

pub use access::{Access, Settings, configure, known_variables};
pub use attempts::{LogRequests, TooManyRequests};
pub use aws::{ATTEMPT_TIMEOUT, checksums_when_supported, has_own_endpoint};
pub use aws_config::SdkConfig;
pub use download::download;
pub use explain::{Explain, Refusal, explained};
pub use failure::{Failure, chain};
pub use journal::{Changes, Journal, Names, Pending};
pub use report::Outcome;
pub use run::{RunVariables, perform, process_environment, run};
pub use secret::Secret;
pub use variables::{Environment, Faults, Field, FromText, List, Timestamp};
pub use web::{Page, Web};
