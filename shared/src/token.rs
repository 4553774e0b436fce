//! The step's OpenID Connect token: a JSON Web Token of which only the claims are ever shown.
//! The signature is not checked here: AWS does that, and what is refused there is diagnosed from these claims.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::secret::Secret;

/// A token that ended this long ago is refused without asking AWS. Less may be the runner's clock.
const CLOCK_SKEW: Duration = Duration::from_mins(5);

/// The end of the year 9999, in seconds since 1970: no clock that this is compared with can show a later time.
const LATEST: u64 = 253_402_300_799;

/// The claims that Bitbucket's tokens are known to have; others are kept and shown as unknown.
const KNOWN_CLAIMS: &[&str] = &[
    "iss",
    "aud",
    "sub",
    "iat",
    "exp",
    "stepUuid",
    "pipelineUuid",
    "pipelineRunUuid",
    "repositoryUuid",
    "workspaceUuid",
    "deploymentEnvironmentUuid",
    "branchName",
    "accountUuid",
    "commitSha",
    "compliant",
];

/// A token of the right form, with its claims.
#[derive(Clone)]
pub struct Token {
    secret: Secret,
    claims: Claims,
}

/// Why a text is not a token that AWS could accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Not `header.claims.signature`.
    #[error("is not a JSON Web Token: it has {0} parts instead of 3")]
    Parts(usize),
    /// One of the parts is damaged.
    #[error("is not a JSON Web Token: its {0} is not {1}")]
    Damaged(&'static str, &'static str),
    /// A claim that AWS needs is not there.
    #[error("has no `{0}` claim, so it is not a token of a Bitbucket step")]
    Missing(&'static str),
    /// A claim of another type than the OpenID Connect specification gives it.
    #[error("has a claim `{0}` that is not {1}, so it is not a token of a Bitbucket step")]
    WrongType(&'static str, &'static str),
    /// It ended.
    #[error(
        "expired {0} s ago; a step gets one token and it cannot be renewed, so the pipe has to start earlier in the step"
    )]
    Expired(u64),
}

/// What the token says of itself. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who signed it: one URL for each workspace.
    pub issuer: String,
    /// For whom: the workspace, then the custom audiences of the pipeline file.
    pub audiences: Vec<String>,
    /// `{repository}:{step}`, or `{repository}:{environment}:{step}` in a deployment step.
    pub subject: String,
    /// Seconds since 1970.
    pub issued: Option<u64>,
    /// Seconds since 1970.
    pub expires: u64,
    /// The workspace's UUID as claimed, with braces.
    pub workspace: Option<String>,
    /// The repository's UUID as claimed, with braces.
    pub repository: Option<String>,
    /// The deployment environment's UUID as claimed, with braces; only in deployment steps.
    pub environment: Option<String>,
    /// Names of claims that Bitbucket's tokens were not known to have.
    pub unknown: Vec<String>,
}

impl Token {
    /// Reads the claims out of `secret`.
    ///
    /// # Errors
    /// When it is not a JSON Web Token (RFC 7519), lacks a claim that AWS needs, or has one of another type.
    pub fn new(secret: Secret) -> Result<Self, TokenFault> {
        let claims = Claims::read(secret.reveal())?;
        Ok(Self { secret, claims })
    }

    /// What the token says of itself.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The token itself, for the exchange only.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.secret.reveal()
    }

    /// Refuses a token that ended more than five minutes ago by this machine's clock.
    ///
    /// # Errors
    /// [`TokenFault::Expired`].
    pub fn check_expiry(&self, now: SystemTime) -> Result<(), TokenFault> {
        let ended = now
            .duration_since(UNIX_EPOCH + Duration::from_secs(self.claims.expires))
            .unwrap_or_default();
        if ended > CLOCK_SKEW {
            Err(TokenFault::Expired(ended.as_secs()))
        } else {
            Ok(())
        }
    }
}

impl Claims {
    fn read(token: &str) -> Result<Self, TokenFault> {
        let parts: Vec<&str> = token.trim().split('.').collect();
        let [header, claims, signature] = parts.as_slice() else {
            return Err(TokenFault::Parts(parts.len()));
        };
        object("header", header)?;
        let claims = object("claims part", claims)?;
        if signature.is_empty() || URL_SAFE_NO_PAD.decode(signature).is_err() {
            return Err(TokenFault::Damaged("signature", "base64url"));
        }
        let optional = |name: &'static str| match claims.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(TokenFault::WrongType(name, "a text")),
        };
        let required = |name| optional(name)?.ok_or(TokenFault::Missing(name));
        Ok(Self {
            issuer: required("iss")?,
            audiences: audiences(claims.get("aud"))?,
            subject: required("sub")?,
            issued: seconds(&claims, "iat")?,
            expires: seconds(&claims, "exp")?.ok_or(TokenFault::Missing("exp"))?,
            workspace: optional("workspaceUuid")?,
            repository: optional("repositoryUuid")?,
            environment: optional("deploymentEnvironmentUuid")?,
            unknown: claims
                .keys()
                .filter(|name| !KNOWN_CLAIMS.contains(&name.as_str()))
                .cloned()
                .collect(),
        })
    }

    /// The issuer without its scheme: the name of the identity provider in IAM.
    #[must_use]
    pub fn provider(&self) -> &str {
        self.issuer.strip_prefix("https://").unwrap_or(&self.issuer)
    }

    /// The slug in an issuer of the form that Bitbucket has for each workspace.
    #[must_use]
    pub fn workspace_slug(&self) -> Option<&str> {
        self.issuer
            .strip_prefix("https://api.bitbucket.org/2.0/workspaces/")?
            .strip_suffix("/pipelines-config/identity/oidc")
            .filter(|slug| !slug.is_empty() && !slug.contains('/'))
    }

    /// The audience that Bitbucket gives every token of the workspace: its UUID, without braces.
    #[must_use]
    pub fn default_audience(&self) -> Option<String> {
        let workspace = self.workspace.as_deref()?;
        Some(format!(
            "ari:cloud:bitbucket::workspace/{}",
            workspace.trim_matches(['{', '}'])
        ))
    }

    /// How long the token still holds at `now`; nothing if it has ended.
    #[must_use]
    pub fn left(&self, now: SystemTime) -> Option<Duration> {
        (UNIX_EPOCH + Duration::from_secs(self.expires))
            .duration_since(now)
            .ok()
    }
}

fn object(part: &'static str, text: &str) -> Result<Map<String, Value>, TokenFault> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|_| TokenFault::Damaged(part, "base64url"))?;
    serde_json::from_slice(&bytes).map_err(|_| TokenFault::Damaged(part, "a JSON object"))
}

/// A text, or once there are custom audiences a list of them (RFC 7519, 4.1.3).
fn audiences(claim: Option<&Value>) -> Result<Vec<String>, TokenFault> {
    const WRONG: TokenFault = TokenFault::WrongType("aud", "a text or a list of texts");
    match claim {
        None | Some(Value::Null) => Err(TokenFault::Missing("aud")),
        Some(Value::String(audience)) => Ok(vec![audience.clone()]),
        Some(Value::Array(list)) if list.is_empty() => Err(TokenFault::Missing("aud")),
        Some(Value::Array(list)) => list
            .iter()
            .map(|each| each.as_str().map(str::to_owned).ok_or(WRONG))
            .collect(),
        Some(_) => Err(WRONG),
    }
}

fn seconds(claims: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, TokenFault> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        // STS takes whole numbers only, although the RFC allows fractions.
        Some(value) => value
            .as_u64()
            .filter(|seconds| *seconds <= LATEST)
            .map(Some)
            .ok_or(TokenFault::WrongType(name, "a whole number of seconds")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn token(claims: &Value) -> Result<Token, TokenFault> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        Token::new(Secret::new(format!(
            "{}.{}.c2lnbmF0dXJl",
            part(&json!({"alg": "RS256"})),
            part(claims)
        )))
    }

    fn claims() -> Value {
        json!({
            "iss": "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
            "aud": "ari:cloud:bitbucket::workspace/11111111-1111-4111-8111-111111111111",
            "sub": "{22222222-2222-4222-8222-222222222222}:{33333333-3333-4333-8333-333333333333}",
            "exp": 2_000_000_000, "iat": 1_999_996_400,
            "workspaceUuid": "{11111111-1111-4111-8111-111111111111}",
        })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    #[test]
    fn the_claims_are_read() {
        let token = token(&claims()).map_err(|fault| fault.to_string()).unwrap();
        let claims = token.claims();
        assert_eq!(claims.workspace_slug(), Some("acme"));
        assert_eq!(
            claims.provider(),
            "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
        );
        assert_eq!(claims.default_audience().as_ref(), claims.audiences.first());
        assert_eq!(claims.environment, None);
    }

    #[test]
    fn custom_audiences_and_unknown_claims_are_taken() {
        assert_eq!(
            token(&with("aud", json!(["a", "b"])))
                .ok()
                .unwrap()
                .claims()
                .audiences,
            ["a", "b"]
        );
        assert_eq!(
            token(&with("mood", json!("good")))
                .ok()
                .unwrap()
                .claims()
                .unknown,
            ["mood"]
        );
    }

    #[test]
    fn what_is_no_token_is_told_apart() {
        let fault = |text: &str| Token::new(Secret::new(text)).err().unwrap().to_string();
        assert_eq!(
            fault("abc"),
            "is not a JSON Web Token: it has 1 parts instead of 3"
        );
        assert_eq!(
            fault("a.b.c.d"),
            "is not a JSON Web Token: it has 4 parts instead of 3"
        );
        assert_eq!(
            fault("?.e30.YQ"),
            "is not a JSON Web Token: its header is not base64url"
        );
        assert_eq!(
            fault("e30.YQ.YQ"),
            "is not a JSON Web Token: its claims part is not a JSON object"
        );
        assert_eq!(
            fault("e30.e30."),
            "is not a JSON Web Token: its signature is not base64url"
        );
        assert_eq!(
            fault("e30.e30.YQ"),
            "has no `iss` claim, so it is not a token of a Bitbucket step"
        );
    }

    #[test]
    fn claims_of_another_type_are_named() {
        for (name, value) in [
            ("iss", json!(1)),
            ("aud", json!({"a": 1})),
            ("aud", json!([1])),
            ("sub", json!(["a"])),
            ("exp", json!("soon")),
            ("exp", json!(1.5)),
            ("exp", json!(u64::MAX)),
            ("iat", json!(-1)),
            ("repositoryUuid", json!(7)),
        ] {
            let fault = token(&with(name, value.clone()))
                .err()
                .unwrap_or_else(|| panic!("{name} {value} was taken"));
            assert!(
                matches!(&fault, TokenFault::WrongType(claim, _) if *claim == name),
                "{fault}"
            );
        }
        for name in ["iss", "aud", "sub", "exp"] {
            assert_eq!(
                token(&with(name, Value::Null)).err(),
                Some(TokenFault::Missing(name))
            );
        }
    }

    #[test]
    fn expiry_allows_for_the_runners_clock() {
        let token = token(&claims()).ok().unwrap();
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(token.check_expiry(at(1_999_999_999)), Ok(()));
        assert_eq!(token.check_expiry(at(2_000_000_300)), Ok(()));
        assert_eq!(
            token.check_expiry(at(2_000_000_301)),
            Err(TokenFault::Expired(301))
        );
    }

    #[test]
    fn no_text_makes_it_panic() {
        for text in [
            "",
            ".",
            "..",
            "...",
            "=.=.=",
            "e30=.e30=.YQ==",
            "\u{0}.\u{0}.\u{0}",
            "é.é.é",
            "bnVsbA.W10.YQ",
        ] {
            assert!(Token::new(Secret::new(text)).is_err(), "{text:?}");
        }
    }
}
