//! `oidc-migrate`: takes pipeline files from secret keys to OIDC, as a pipe and as a command for a laptop.

use std::process::ExitCode;

/// As in the other pipes: a tree of a file is small allocations in great numbers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    oidc_migrate::command_line::main()
}
