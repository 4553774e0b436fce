//! Settings of a command that needs credentials for AWS and has no variables of its own; a session for `MINUTES` is enough.

use std::time::Duration;

use serde::Deserialize;
use shared::{Faults, Settings};

/// A command of this kind.
pub struct CredentialsOnly<const MINUTES: u64>;

/// None.
#[derive(Deserialize, Default)]
pub struct NoVariables {}

impl<const MINUTES: u64> Settings for CredentialsOnly<MINUTES> {
    type Variables = NoVariables;

    fn new(_: NoVariables, _: &mut Faults) -> Option<Self> {
        Some(Self)
    }

    fn deadline(&self) -> Duration {
        Duration::from_mins(MINUTES)
    }
}
