//! What a process does in its first moment, while it has one thread: it takes its environment as a value, with the secrets
//! out of what the programs that it starts inherit, and closes its memory to core dumps and debuggers.

use std::ffi::{OsStr, OsString};

/// Every variable of the environment; those that are secret are no longer in it afterwards. The kernel's copy in
/// `/proc/PID/environ` stays: `close_memory` keeps others away from it.
///
/// `std::env::remove_var` says that it is safe in a process with one thread: call this first of all.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the environment of the process is read, and where secrets leave it"
)]
#[must_use]
pub fn take_environment(is_secret: impl Fn(&OsStr) -> bool) -> Vec<(OsString, OsString)> {
    let variables: Vec<_> = std::env::vars_os().collect();
    for (name, _) in variables.iter().filter(|(name, _)| is_secret(name)) {
        std::env::remove_var(name);
    }
    variables
}

/// No core dump is written of this process, and no other process of the same user may read its memory, its environment or
/// its open files: `PR_SET_DUMPABLE` in prctl(2). A program that it starts is as open as any.
///
/// Where the system refuses, the process goes on as it is: nothing that it does rests on this.
pub fn close_memory() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{set_dumpable_behavior, DumpableBehavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
