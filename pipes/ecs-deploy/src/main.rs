//! The program `ecs-deploy`; all that it does is in the library beside it.

use std::process::ExitCode;

/// As in the other pipes: the SDK makes small allocations in great numbers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ecs_deploy::main()
}
