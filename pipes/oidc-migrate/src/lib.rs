//! Takes pipeline files from secret keys to OIDC: reads what they do, shows it, and edits them without touching a byte
//! that has nothing to do with it. `main.rs` only calls [`command_line::main`].

pub mod catalogue;
pub mod check;
pub mod command_line;
pub mod commands;
pub mod doctor;
pub mod findings;
pub mod iam;
pub mod inspect;
pub mod keys;
pub mod lines;
pub mod model;
pub mod places;
pub mod read;
pub mod remarks;
pub mod sarif;
pub mod tree;
pub mod variables;
pub mod work_order;
