//! What has to hold for any input, however odd: `ci/fuzz` looks for one that breaks it, and the inputs that it keeps
//! in `ci/fuzz/corpus` are tried again by the tests. Nothing of a pipe calls this.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::credentials::CredentialVariables;
use crate::document;
use crate::secret::Secret;
use crate::token::Token;
use crate::variables::{Environment, field_names};
use crate::{Settings, configure, known_variables};

/// Values that no message may show.
const SECRETS: [(&str, &str); 3] = [
    (
        "AWS_SECRET_ACCESS_KEY",
        "xKnvPfR4t7Yz/secret/of/the/key/0123456789",
    ),
    ("AWS_SESSION_TOKEN", "IQoJb3JpZ2lu-session-token-0123456789"),
    (
        "BITBUCKET_STEP_OIDC_TOKEN",
        "eyJhbGciOiJSUzI1NiJ9.broken-token-0123456789",
    ),
];

/// A step's token: claims are read or refused in few words, and whether it has ended is answered for any time that it
/// may name.
///
/// # Panics
/// When one of these does not hold.
pub fn token(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match Token::new(Secret::new(text)) {
        // None of its words are the token's.
        Err(fault) => assert!(fault.to_string().len() < 200),
        Ok(token) => {
            let claims = token.claims();
            for now in [UNIX_EPOCH, SystemTime::now()] {
                let has_ended = token.check_expiry(now).is_err();
                assert!(!(has_ended && claims.left(now).is_some_and(|left| !left.is_zero())));
            }
            assert!(
                token
                    .check_expiry(UNIX_EPOCH + Duration::from_secs(claims.expires.min(1 << 40)))
                    .is_ok()
            );
            let spaced = Token::new(Secret::new(format!("  {text}\n")));
            assert_eq!(spaced.ok().as_ref().map(Token::claims), Some(claims));
            assert!(claims.provider().len() <= claims.issuer.len());
            assert!(
                claims
                    .workspace_slug()
                    .is_none_or(|slug| !slug.contains('/'))
            );
        }
    }
}

/// The variables of a pipe with the settings `S`, a line `NAME=value` each: they are valid or refused, twice alike,
/// and what is refused shows no secret.
///
/// # Panics
/// When one of these does not hold.
pub fn variables<S: Settings>(input: &[u8], pipe: &'static str) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let own: Vec<String> = known_variables::<S>();
    // Only what the pipe reads as a value: other names lead to files of this machine.
    let is_own = |name: &str| own.iter().any(|each| name.starts_with(each.as_str()));
    let is_secret = |name: &str| SECRETS.iter().any(|(secret, _)| *secret == name);
    let given = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| is_own(name) && !is_secret(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let secrets = SECRETS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment = Environment::new(given.chain(secrets));
    let read = || {
        configure::<S>(&environment, (pipe, "0.0.0"))
            .map(|_| ())
            .map_err(|failure| failure.to_string())
    };
    let found = read();
    assert_eq!(found, read());
    if let Err(message) = found {
        for (name, secret) in SECRETS {
            assert!(!message.contains(secret), "{name} is shown: {message}");
        }
    }
    assert!(
        field_names::<CredentialVariables>()
            .iter()
            .all(|name| own.contains(name))
    );
}

/// A document in JSON and in YAML: what is read is the same when its JSON is read again, and faults are in words.
///
/// # Panics
/// When it is not.
pub fn documents(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let environment = Environment::from([("TAG", "1.2.3"), ("QUOTED", "\"a\": ${TAG}\n- b")]);
    for name in ["a.json", "a.yaml", "a"] {
        let Ok(value) = document::read(name, text, &environment) else {
            continue;
        };
        // What was filled in may look like a placeholder itself.
        let printed = value.to_string().replace("${", "$${");
        let again: Value = document::read("again.json", &printed, &Environment::default())
            .unwrap_or_else(|failure| panic!("{printed}\n{failure}"));
        assert_eq!(again, value);
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use crate::testing::replay;

    #[test]
    fn the_corpus_of_tokens_holds() {
        replay("token", super::token);
    }

    #[test]
    fn the_corpus_of_documents_holds() {
        replay("document", super::documents);
        replay("task-definition", super::documents);
    }
}
