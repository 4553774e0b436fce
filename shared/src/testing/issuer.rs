//! Bitbucket's part of OpenID Connect: an issuer with a key of its own goes in, signed tokens of steps come out, with
//! every claim that Bitbucket gives them. A test changes single claims, so that one thing is wrong at a time.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::uuid;

/// The issuer of one workspace.
#[derive(Debug)]
pub struct Issuer {
    slug: String,
    workspace: String,
    key: KeyPair,
}

impl Issuer {
    /// An issuer with a new RSA key for the workspace of this slug and UUID (in braces).
    #[must_use]
    pub fn new(workspace_slug: &str, workspace_uuid: &str) -> Self {
        Self {
            slug: workspace_slug.to_owned(),
            workspace: workspace_uuid.to_owned(),
            key: KeyPair::generate(KeySize::Rsa2048).expect("a key can be made"),
        }
    }

    /// The slug of the workspace.
    #[must_use]
    pub fn slug(&self) -> &str {
        &self.slug
    }

    /// The UUID of the workspace, in braces.
    #[must_use]
    pub fn workspace(&self) -> &str {
        &self.workspace
    }

    /// The `iss` claim of its tokens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.provider())
    }

    /// The URL without its scheme: the name of the identity provider in IAM.
    #[must_use]
    pub fn provider(&self) -> String {
        format!(
            "api.bitbucket.org/2.0/workspaces/{}/pipelines-config/identity/oidc",
            self.slug
        )
    }

    /// The `aud` claim of its tokens.
    #[must_use]
    pub fn audience(&self) -> String {
        let workspace = self.workspace.trim_matches(['{', '}']);
        format!("ari:cloud:bitbucket::workspace/{workspace}")
    }

    /// The public key as a JSON Web Key Set.
    #[must_use]
    pub fn jwks(&self) -> Value {
        // RSAPublicKey in DER (RFC 8017, A.1.1). With 2048 bits all lengths are fixed: 9 bytes of headers and sign,
        // 256 of modulus, 2 of header, 3 of exponent.
        let der = self.key.public_key().as_ref();
        json!({"keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.key_id(),
            "n": URL_SAFE_NO_PAD.encode(&der[9..265]),
            "e": URL_SAFE_NO_PAD.encode(&der[267..]),
        }]})
    }

    fn key_id(&self) -> String {
        format!("{}-key", self.slug)
    }

    /// The token of a new step of the repository with this UUID (in braces).
    #[must_use]
    pub fn step(&self, repository_uuid: &str) -> StepToken<'_> {
        StepToken {
            issuer: self,
            repository: repository_uuid.to_owned(),
            step: uuid(),
            environment: None,
            audiences: vec![self.audience()],
            issued: 0,
            expires: 3600,
            claims: Map::new(),
        }
    }
}

/// A token of one step before it is signed.
#[derive(Clone, Debug)]
pub struct StepToken<'issuer> {
    issuer: &'issuer Issuer,
    /// The repository's UUID, in braces.
    pub repository: String,
    /// The step's UUID, in braces; random at first.
    pub step: String,
    /// The UUID of the deployment environment, in braces; none in a step that is no deployment.
    pub environment: Option<String>,
    /// At first that of the workspace. One is written as a text, several as a list, as Bitbucket does.
    pub audiences: Vec<String>,
    /// When it was issued, in seconds from now.
    pub issued: i64,
    /// When it ends, in seconds from now.
    pub expires: i64,
    /// Claims that are added or, with a value of null, taken out.
    pub claims: Map<String, Value>,
}

impl StepToken<'_> {
    /// Makes it a token of a deployment to the environment with this UUID (in braces).
    #[must_use]
    pub fn environment(mut self, uuid: &str) -> Self {
        self.environment = Some(uuid.to_owned());
        self
    }

    /// Replaces the audiences.
    #[must_use]
    pub fn audiences(mut self, audiences: &[&str]) -> Self {
        self.audiences = audiences.iter().map(|&each| each.to_owned()).collect();
        self
    }

    /// Sets when it was issued and when it ends, both in seconds from now.
    #[must_use]
    pub fn times(mut self, issued: i64, expires: i64) -> Self {
        (self.issued, self.expires) = (issued, expires);
        self
    }

    /// Replaces a claim, adds it or, with a value of null, takes it out.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// The `sub` claim: repository, environment if there is one, and step.
    #[must_use]
    pub fn subject(&self) -> String {
        match &self.environment {
            Some(environment) => format!("{}:{environment}:{}", self.repository, self.step),
            None => format!("{}:{}", self.repository, self.step),
        }
    }

    /// The token: a JSON Web Token signed with RS256.
    #[must_use]
    pub fn sign(&self) -> String {
        let header = json!({"alg": "RS256", "kid": self.issuer.key_id(), "typ": "JWT"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&self.all_claims()));
        let mut signature = vec![0; self.issuer.key.public_modulus_len()];
        self.issuer
            .key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .expect("a text can be signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn all_claims(&self) -> Value {
        let audience = match self.audiences.as_slice() {
            [one] => json!(one),
            several => json!(several),
        };
        let mut claims = json!({
            "iss": self.issuer.url(),
            "aud": audience,
            "sub": self.subject(),
            "iat": from_now(self.issued),
            "exp": from_now(self.expires),
            "stepUuid": self.step,
            "pipelineUuid": uuid(),
            "repositoryUuid": self.repository,
            "workspaceUuid": self.issuer.workspace,
            "branchName": "main",
        });
        if let Some(environment) = &self.environment {
            claims["deploymentEnvironmentUuid"] = json!(environment);
        }
        for (name, value) in &self.claims {
            claims[name] = value.clone();
        }
        if let Some(claims) = claims.as_object_mut() {
            claims.retain(|_, value| !value.is_null());
        }
        claims
    }
}

fn from_now(seconds: i64) -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is right");
    i64::try_from(now.as_secs()).expect("the clock is right") + seconds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;
    use crate::token::Token;
    use aws_lc_rs::rsa::PublicKeyComponents;
    use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;

    fn issuer() -> Issuer {
        Issuer::new("acme", &uuid())
    }

    #[test]
    fn a_token_verifies_with_the_published_key_and_no_other() {
        let issuer = issuer();
        let token = issuer.step(&uuid()).sign();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let verify = |issuer: &Issuer| {
            let number = |name: &str| {
                let jwks = issuer.jwks();
                let text = jwks["keys"][0][name].as_str().unwrap();
                URL_SAFE_NO_PAD.decode(text).unwrap()
            };
            let key = PublicKeyComponents {
                n: number("n"),
                e: number("e"),
            };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
                .is_ok()
        };
        assert!(verify(&issuer));
        assert!(!verify(&super::tests::issuer()));
    }

    #[test]
    fn the_pipes_read_its_claims_as_bitbuckets() {
        let issuer = issuer();
        let (repository, environment) = (uuid(), uuid());
        let step = issuer.step(&repository).environment(&environment);
        let token = Token::new(Secret::new(step.sign())).unwrap();
        let claims = token.claims();
        assert_eq!(claims.workspace_slug(), Some("acme"));
        assert_eq!(claims.provider(), issuer.provider());
        assert_eq!(claims.audiences, [issuer.audience()]);
        assert_eq!(claims.default_audience(), Some(issuer.audience()));
        assert_eq!(
            claims.subject,
            format!("{repository}:{environment}:{}", step.step)
        );
        assert_eq!(claims.environment.as_ref(), Some(&environment));
        assert!(claims.left(SystemTime::now()) > Some(std::time::Duration::from_secs(3590)));
        assert!(claims.unknown.is_empty());
    }

    #[test]
    fn single_claims_can_be_made_wrong() {
        let issuer = issuer();
        let claims = issuer
            .step("{r}")
            .audiences(&["a", "b"])
            .times(-7200, -3600)
            .claim("mood", "good")
            .claim("branchName", Value::Null)
            .all_claims();
        assert_eq!(claims["aud"], json!(["a", "b"]));
        assert_eq!(
            claims["exp"].as_i64(),
            claims["iat"].as_i64().map(|iat| iat + 3600)
        );
        assert!(claims["exp"].as_i64() < Some(from_now(-3590)));
        assert_eq!(claims["mood"], "good");
        assert_eq!(claims.get("branchName"), None);
    }
}
