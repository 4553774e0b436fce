//! What has to hold for any EXTRA_ARGS, any RULES_FILE and any variables: `ci/fuzz` looks for inputs that break it, and
//! the tests try again the ones that it keeps. Nothing of the pipe calls this.

use shared::FromText as _;

use crate::config::Config;
use crate::extra_args::ExtraArgs;
use crate::netlify::{self, NetlifyHeaders};
use crate::rules::Rules;

/// Names that rules are asked for.
const NAMES: [&str; 4] = ["index.html", "assets/app-0a1b2c3d.js", "a/b/.c d", "ä.txt"];

/// Flags: they are understood or refused in words, and the same words in other quotes mean the same.
///
/// # Panics
/// When they do not.
pub fn extra_args(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let read = ExtraArgs::from_text(text);
    if let Err(fault) = &read {
        assert!(!fault.is_empty());
    }
    let Ok(words) = shell_words::split(&text.replace(char::is_control, "\n").replace('#', "\\#"))
    else {
        return;
    };
    let quoted = ExtraArgs::from_text(&shell_words::join(&words));
    if let Ok(args) = read {
        assert_eq!(quoted, Ok(args));
    }
}

/// Rules: they are read or refused with a line, and give the same again when a YAML library has written them anew.
///
/// # Panics
/// When they do not.
pub fn rules(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match Rules::parse(text) {
        Err(faults) => assert!(!faults.is_empty()),
        Ok(rules) => {
            let again = Rules::parse(&format!("{text}\n")).expect("a line end changes nothing");
            for name in NAMES {
                let wish = rules.wish(name);
                assert_eq!(wish, again.wish(name));
                if wish.because.is_empty() {
                    assert_eq!(wish.phase, None);
                }
            }
        }
    }
    let (headers, _) = NetlifyHeaders::parse(text);
    for name in NAMES {
        headers.wish(name);
    }
    netlify::redirects(text);
}

/// The pipe's variables, as [`shared::properties::variables`] wants them.
///
/// # Panics
/// When they are not.
pub fn variables(input: &[u8]) {
    shared::properties::variables::<Config>(input, "s3-deploy");
}

#[cfg(test)]
mod tests {
    use shared::testing::replay;

    #[test]
    fn the_corpus_of_extra_args_holds() {
        replay("extra-args", super::extra_args);
    }

    #[test]
    fn the_corpus_of_rules_holds() {
        replay("rules", super::rules);
    }

    #[test]
    fn the_corpus_of_variables_holds() {
        replay("variables", super::variables);
    }
}
