//! What has to hold for any archive and any variables: `ci/fuzz` looks for inputs that break it, and the tests try
//! again the ones that it keeps. Nothing of the pipe calls this.

use crate::config::Config;
use crate::package::properties;

pub use properties::zip;

/// The pipe's variables, as [`shared::properties::variables`] wants them.
///
/// # Panics
/// When they are not.
pub fn variables(input: &[u8]) {
    shared::properties::variables::<Config>(input, "lambda-deploy");
}

#[cfg(test)]
mod tests {
    use shared::testing::replay;

    #[test]
    fn the_corpus_of_archives_holds() {
        replay("zip", super::zip);
    }

    #[test]
    fn the_corpus_of_variables_holds() {
        replay("variables", super::variables);
    }
}
