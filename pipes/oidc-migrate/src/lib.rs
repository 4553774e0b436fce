//! Takes pipeline files from secret keys to OIDC: reads what they do, shows it, and edits them without touching a byte
//! that has nothing to do with it. `main.rs` only calls [`command_line::main`].

pub mod catalogue;
pub mod check;
pub mod command_line;
pub mod commands;
pub mod credentials_only;
pub mod diff;
pub mod doctor;
pub mod edits;
pub mod findings;
pub mod iam;
pub mod inspect;
pub mod intent;
pub mod keys;
pub mod lines;
pub mod migration;
pub mod model;
pub mod pipe_edit;
pub mod places;
pub mod plan;
#[cfg(feature = "properties")]
pub mod properties;
pub mod read;
pub mod remarks;
pub mod repositories;
pub mod rewrite;
pub mod sarif;
pub mod source;
pub mod translation;
pub mod tree;
pub mod variables;
pub mod verify;
pub mod work_order;
pub mod write;
