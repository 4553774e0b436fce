//! The program `s3-deploy`; all that it does is in the library beside it.

use std::process::ExitCode;

/// Small allocations in great numbers are what an SDK request costs besides its signature.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    s3_deploy::main()
}
