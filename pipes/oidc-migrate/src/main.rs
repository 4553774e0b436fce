//! `oidc-migrate`: takes pipeline files from secret keys to OIDC, as a pipe and as a command for a laptop.

mod model;

fn main() {}
