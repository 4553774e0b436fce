//! `oidc-migrate`: takes pipeline files from secret keys to OIDC, as a pipe and as a command for a laptop.

use std::process::ExitCode;

fn main() -> ExitCode {
    oidc_migrate::command_line::main()
}
