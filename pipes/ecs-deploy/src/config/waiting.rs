//! How the end of a rollout is waited for, from the variables of the existing pipe and some of our own.

use std::time::Duration;

use shared::{Faults, Field};

use super::{CommandName, PauseHook, at_least_one};

/// As long as the existing pipe waited: 40 looks every 15 seconds.
const DEFAULT_INTERVAL: u32 = 15;
const DEFAULT_ATTEMPTS: u32 = 40;
/// Tasks that end for the same fault before a deployment is given up.
const DEFAULT_CRASH_LOOP_LIMIT: u32 = 3;

/// How the end of a rollout is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The steady pause between two looks.
    pub interval: Duration,
    /// When to give up.
    pub timeout: Duration,
    /// What a pause hook gets.
    pub pause_hook: PauseHook,
    /// Tasks that end for the same fault before the deployment is given up; 0 for no limit.
    pub crash_loop_limit: u32,
}

/// The variables.
pub(super) struct Asked {
    pub(super) wait: Field<bool>,
    pub(super) interval: Field<u32>,
    pub(super) attempts: Field<u32>,
    pub(super) timeout: Field<u32>,
    pub(super) pause_hook: Field<PauseHook>,
    pub(super) crash_loop_limit: Field<u32>,
}

/// Whether and how the end is waited for. Without WAIT it is not, as in the existing pipe, unless something was asked
/// for that only the end can tell.
pub(super) fn wait(
    asked: Asked,
    command: CommandName,
    needed_by: Option<&str>,
    faults: &mut Faults,
) -> Option<Wait> {
    let interval = at_least_one(faults, "WAIT_INTERVAL", asked.interval, DEFAULT_INTERVAL);
    let attempts = at_least_one(
        faults,
        "WAIT_MAX_ATTEMPTS",
        asked.attempts,
        DEFAULT_ATTEMPTS,
    );
    let product = interval.saturating_mul(attempts);
    let timeout = at_least_one(faults, "WAIT_TIMEOUT", asked.timeout, product.max(1));
    let pause_hook = faults.optional("PAUSE_HOOK", asked.pause_hook);
    let crash_loop_limit = faults.optional("CRASH_LOOP_LIMIT", asked.crash_loop_limit);
    let wished = faults.optional("WAIT", asked.wait);
    if let (Some(false), Some(name)) = (wished, needed_by) {
        faults.add(
            "WAIT",
            format!("unallowed value false ({name} needs the end of the rollout)"),
        );
    }
    // A rollback that nobody watches would be a hope.
    let default = needed_by.is_some() || command == CommandName::Rollback;
    wished.unwrap_or(default).then(|| Wait {
        interval: Duration::from_secs(interval.into()),
        timeout: Duration::from_secs(timeout.into()),
        pause_hook: pause_hook.unwrap_or_default(),
        crash_loop_limit: crash_loop_limit.unwrap_or(DEFAULT_CRASH_LOOP_LIMIT),
    })
}
