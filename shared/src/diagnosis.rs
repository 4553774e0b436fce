//! Why STS refused the step's token: from the token's claims, the role and the step's own variables to a ranked
//! list of causes and the trust policy that would admit the step. AWS itself answers six different causes
//! with the same sentence, "Not authorized to perform sts:AssumeRoleWithWebIdentity".

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Serialize;
use serde_json::Value;

use crate::arn::RoleArn;
use crate::explain::Refusal;
use crate::failure::Failure;
use crate::token::Claims;
use crate::variables::Environment;

/// Where the step believes it runs, by the variables that Bitbucket sets.
#[derive(Clone, Debug, Default)]
pub struct Place {
    workspace: Option<String>,
    repository: Option<String>,
    environment: Option<String>,
    environment_uuid: Option<String>,
    asks_for_ip_ranges: Option<bool>,
}

impl Place {
    /// Reads `BITBUCKET_WORKSPACE`, `BITBUCKET_REPO_UUID` and `BITBUCKET_DEPLOYMENT_ENVIRONMENT`, and looks whether
    /// the pipeline file, if it could be read, asks for `atlassian-ip-ranges`.
    #[must_use]
    pub fn new(environment: &Environment, pipeline_file: Option<&str>) -> Self {
        let text = |name| environment.get(name).map(str::to_owned);
        Self {
            workspace: text("BITBUCKET_WORKSPACE"),
            repository: text("BITBUCKET_REPO_UUID"),
            environment: text("BITBUCKET_DEPLOYMENT_ENVIRONMENT"),
            environment_uuid: text("BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID"),
            asks_for_ip_ranges: pipeline_file
                .map(|text| text.contains("atlassian-ip-ranges: true")),
        }
    }
}

/// A refused exchange and all that is known about it here.
#[derive(Clone, Copy)]
pub struct Diagnosis<'a> {
    /// The role that was asked for.
    pub role: &'a RoleArn,
    /// What the refused token says.
    pub claims: &'a Claims,
    /// Where the step runs.
    pub place: &'a Place,
    /// What STS answered.
    pub refusal: &'a Refusal,
    /// When it did.
    pub now: SystemTime,
}

/// A possible cause; the weight orders them: over 80 there is evidence, below 50 there is only experience.
struct Cause {
    weight: u8,
    text: String,
}

impl Diagnosis<'_> {
    /// The whole diagnosis as the failure of the run. It holds claims, never the token.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let causes = self.causes();
        let causes = causes.iter().enumerate();
        let causes: Vec<String> = causes
            .map(|(index, cause)| format!("{}. {}", index + 1, cause.text))
            .collect();
        let mut failure = Failure::new(format!(
            "could not assume role `{}` with the OIDC token of the step: {}",
            self.role, self.refusal
        ))
        .fact(self.token_says());
        if !causes.is_empty() {
            let causes = causes.join("\n  ");
            failure = failure.fact(format!("possible causes, the likeliest first:\n  {causes}"));
        }
        let by_policy = self.is_by_policy();
        if by_policy {
            failure = failure.fact(self.admitting_statements());
        }
        failure = failure.fact(format!(
            "an administrator finds the attempt in CloudTrail of account {}: AssumeRoleWithWebIdentity at {}",
            self.role.account(),
            utc(self.now)
        ));
        if by_policy {
            failure.hint("compare the statement above with the trust policy of the role, and its Principal with the identity providers of the account")
        } else {
            failure
        }
    }

    /// Whether something in the account can be changed so that the same token is taken: not when it is too
    /// old, when AWS has trouble itself, or for a token of another issuer, which nobody wants to admit.
    fn is_by_policy(&self) -> bool {
        let message = &self.refusal.message;
        let of_provider = ["No OpenIDConnect provider", "Incorrect token audience"];
        let refused =
            self.refusal.is_denied() || of_provider.iter().any(|text| message.contains(text));
        refused && self.claims.workspace_slug().is_some()
    }

    fn token_says(&self) -> String {
        let claims = self.claims;
        let form = match subject_parts(&claims.subject)[..] {
            [_, _, _] => "repository, environment, step",
            [_, _] => "repository, step",
            _ => "an unknown form",
        };
        let mut text = format!(
            "the token says:\n  iss  {}\n  aud  {}\n  sub  {}  ({form})\n  {}",
            claims.issuer,
            claims.audiences.join(", "),
            claims.subject,
            self.age()
        );
        if !claims.unknown.is_empty() {
            let _ = write!(
                text,
                "\n  claims that Bitbucket's tokens were not known to have: {}",
                claims.unknown.join(", ")
            );
        }
        text
    }

    fn age(&self) -> String {
        let now = self
            .now
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let issued =
            self.claims
                .issued
                .map_or_else(String::new, |issued| match now.checked_sub(issued) {
                    Some(age) => format!("issued {age} s ago, "),
                    None => format!(
                        "issued {} s in the future by this machine's clock, ",
                        issued - now
                    ),
                });
        match self.claims.left(self.now) {
            Some(left) => format!("{issued}ends in {} s", left.as_secs()),
            None => format!(
                "{issued}ended {} s ago",
                now.saturating_sub(self.claims.expires)
            ),
        }
    }

    fn causes(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        let mut add = |weight, text: String| causes.push(Cause { weight, text });
        self.answered_causes(&mut add);
        self.evident_causes(&mut add);
        if self.refusal.is_denied() {
            self.usual_causes(&mut add);
        }
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.weight));
        causes
    }

    /// What STS itself named.
    fn answered_causes(&self, add: &mut impl FnMut(u8, String)) {
        let Refusal { code, message, .. } = self.refusal;
        let (account, provider) = (self.role.account(), self.claims.provider());
        if message.contains("No OpenIDConnect provider") {
            add(
                100,
                format!(
                    "account {account} has no identity provider `https://{provider}`: the role is in another account than the provider, or the workspace's slug in it differs (case counts, no slash at the end)"
                ),
            );
        }
        if message.contains("Incorrect token audience") {
            add(
                100,
                format!(
                    "the identity provider does not list the audience `{}`: add it to its audiences, without braces around the UUID",
                    self.claims.audiences.join("` or `")
                ),
            );
        }
        if code.starts_with("ExpiredToken") || message.contains("Token too old") {
            add(100, "the token is too old: a step gets one and it cannot be renewed; run the pipe earlier in the step, or in a step of its own".to_owned());
        }
        if message.contains("thumbprint") {
            add(100, "the thumbprint of the identity provider does not fit; AWS does not need one for Bitbucket, so update the provider".to_owned());
        }
        if code == "IDPCommunicationError" || message.contains("verification key") {
            add(100, "AWS could not fetch Bitbucket's public keys, several times in a row; run the step again".to_owned());
        }
        if code == "RegionDisabledException" {
            add(
                100,
                format!("STS is switched off for this region in account {account}"),
            );
        }
    }

    /// What does not fit together in the token and the step's own variables.
    fn evident_causes(&self, add: &mut impl FnMut(u8, String)) {
        let (claims, place) = (self.claims, self.place);
        match (claims.workspace_slug(), place.workspace.as_deref()) {
            (None, _) => add(
                95,
                format!(
                    "the token was not issued by Bitbucket Pipelines but by `{}`",
                    claims.issuer
                ),
            ),
            (Some(slug), Some(workspace)) if slug != workspace => {
                add(
                    90,
                    format!(
                        "the token is of workspace `{slug}`, the step of `{workspace}`: after a rename the identity provider keeps the old URL"
                    ),
                );
            }
            _ => {}
        }
        let repository = claims
            .repository
            .as_deref()
            .or_else(|| subject_parts(&claims.subject).first().copied());
        if let (Some(claimed), Some(own)) = (repository, place.repository.as_deref())
            && !same_uuid(claimed, own)
        {
            add(
                90,
                format!("the token is of repository `{claimed}`, the step of `{own}`"),
            );
        }
        if let (Some(claimed), Some(own)) = (
            claims.environment.as_deref(),
            place.environment_uuid.as_deref(),
        ) && !same_uuid(claimed, own)
        {
            add(
                90,
                format!("the token is of deployment environment `{claimed}`, the step of `{own}`"),
            );
        }
        if claims.left(self.now).is_none() {
            add(85, "the token has ended by this machine's clock".to_owned());
        }
        if claims
            .issued
            .is_some_and(|issued| UNIX_EPOCH + std::time::Duration::from_secs(issued) > self.now)
        {
            add(
                70,
                "the clock of this runner is behind: the token was issued in its future".to_owned(),
            );
        }
        if claims.audiences.len() > 1 {
            add(
                82,
                format!(
                    "the token has {} audiences; AWS documents no answer to a list, so use `oidc: true` without `audiences` for this step",
                    claims.audiences.len()
                ),
            );
        } else if claims
            .default_audience()
            .is_some_and(|expected| !claims.audiences.contains(&expected))
        {
            add(
                82,
                "the audience is not that of the claimed workspace".to_owned(),
            );
        }
        if subject_parts(&claims.subject).len() > 3 || subject_parts(&claims.subject).len() < 2 {
            add(
                81,
                "the subject has neither of the two forms of a Bitbucket step".to_owned(),
            );
        }
    }

    /// The causes that the refused caller cannot see, in the order in which they are met.
    fn usual_causes(&self, add: &mut impl FnMut(u8, String)) {
        let claims = self.claims;
        match self.environment() {
            Some(environment) => add(60, format!("the trust policy names another repository or environment, or was written before this step had a `deployment`: the subject now starts with `{{repository}}:{{environment}}:`, here of {environment}")),
            None => add(60, "the trust policy names another repository, or an environment: this step has no `deployment`, so its subject has the form `{repository}:{step}`".to_owned()),
        }
        add(50, "the condition on `sub` uses StringEquals: the step's UUID is new in each run, so only StringLike with `*` at the end fits".to_owned());
        add(
            45,
            format!(
                "the condition on `aud` differs: it has to be `{}`, where the UUID has no braces",
                claims.audiences.join("` or `")
            ),
        );
        add(
            40,
            format!(
                "there is no role `{}` in account {}: STS answers a missing role like this too",
                self.role,
                self.role.account()
            ),
        );
        add(
            35,
            format!(
                "the Principal of the trust policy is another one than `{}`",
                self.provider_arn()
            ),
        );
        let asked = match self.place.asks_for_ip_ranges {
            Some(true) => ", and the pipeline file has it",
            Some(false) => ", and the pipeline file has it nowhere",
            None => "",
        };
        add(
            20,
            format!(
                "the trust policy has a condition on the address (`aws:SourceIp`), which needs `atlassian-ip-ranges: true` in the step's `runtime`{asked}, or a service control policy forbids the call"
            ),
        );
        add(
            10,
            "the statement allows another Action than `sts:AssumeRoleWithWebIdentity`".to_owned(),
        );
    }

    fn environment(&self) -> Option<String> {
        let [_, environment, _] = subject_parts(&self.claims.subject)[..] else {
            return None;
        };
        Some(
            self.place
                .environment
                .as_ref()
                .map_or_else(|| format!("`{environment}`"), |name| format!("`{name}`")),
        )
    }

    fn provider_arn(&self) -> String {
        let (role, provider) = (self.role, self.claims.provider());
        format!(
            "arn:{}:iam::{}:oidc-provider/{provider}",
            role.partition(),
            role.account()
        )
    }

    fn admitting_statements(&self) -> String {
        let parts = subject_parts(&self.claims.subject);
        let any = self.statement(&format!("{}:*", parts[0]));
        let any = format!(
            "the trust policy statement that admits every step of this repository, on every branch:\n{any}"
        );
        match (parts.as_slice(), self.environment()) {
            ([repository, environment, _], Some(name)) => {
                let this = self.statement(&format!("{repository}:{environment}:*"));
                format!(
                    "the trust policy statement that admits this step's environment, {name}:\n{this}\n{any}"
                )
            }
            _ => format!(
                "{any}\nto admit one environment only, give the step a `deployment`; its UUID then stands in the subject"
            ),
        }
    }

    fn statement(&self, subject: &str) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Statement {
            effect: &'static str,
            principal: BTreeMap<&'static str, String>,
            action: &'static str,
            condition: Condition,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Condition {
            string_equals: BTreeMap<String, Value>,
            string_like: BTreeMap<String, String>,
        }
        let provider = self.claims.provider();
        let audience = match self.claims.audiences.as_slice() {
            [one] => Value::from(one.as_str()),
            several => Value::from(several.to_vec()),
        };
        let statement = Statement {
            effect: "Allow",
            principal: BTreeMap::from([("Federated", self.provider_arn())]),
            action: "sts:AssumeRoleWithWebIdentity",
            condition: Condition {
                string_equals: BTreeMap::from([(format!("{provider}:aud"), audience)]),
                string_like: BTreeMap::from([(format!("{provider}:sub"), subject.to_owned())]),
            },
        };
        // A struct of texts always has a JSON form.
        serde_json::to_string_pretty(&statement).unwrap_or_default()
    }
}

/// A moment as `2026-11-24T14:05:09Z`.
#[must_use]
pub fn utc(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let time = DateTime::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    time.fmt(Format::DateTime)
        .unwrap_or_else(|_| "an unknown time".to_owned())
}

fn subject_parts(subject: &str) -> Vec<&str> {
    subject.split(':').collect()
}

/// Variables and claims write the same UUID with braces here and without there.
fn same_uuid(one: &str, other: &str) -> bool {
    one.trim_matches(['{', '}'])
        .eq_ignore_ascii_case(other.trim_matches(['{', '}']))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::variables::FromText;

    const NOW: u64 = 1_900_000_100;

    fn claims(subject: &str) -> Claims {
        Claims {
            issuer: "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
                .to_owned(),
            audiences: vec!["ari:cloud:bitbucket::workspace/1111".to_owned()],
            subject: subject.to_owned(),
            issued: Some(NOW - 12),
            expires: NOW + 3588,
            workspace: Some("{1111}".to_owned()),
            repository: Some("{2222}".to_owned()),
            environment: None,
            unknown: Vec::new(),
        }
    }

    fn denied() -> Refusal {
        Refusal {
            code: "AccessDenied".to_owned(),
            message: "Not authorized to perform sts:AssumeRoleWithWebIdentity".to_owned(),
            status: 403,
            request_id: Some("4f1c".to_owned()),
            ..Refusal::default()
        }
    }

    fn diagnose(claims: &Claims, place: &Place, refusal: &Refusal) -> String {
        let role = RoleArn::from_text("arn:aws:iam::123456789012:role/deploy").unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        Diagnosis {
            role: &role,
            claims,
            place,
            refusal,
            now,
        }
        .failure()
        .to_string()
    }

    fn first_cause(claims: &Claims, place: &Place, refusal: &Refusal) -> String {
        let text = diagnose(claims, place, refusal);
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("1. ").map(str::to_owned));
        line.unwrap_or_else(|| panic!("no cause in {text}"))
    }

    #[test]
    fn the_whole_diagnosis_of_a_deployment_step() {
        let place = Place {
            environment: Some("production".to_owned()),
            ..Place::default()
        };
        insta::assert_snapshot!(diagnose(&claims("{2222}:{3333}:{4444}"), &place, &denied()), @r#"
        could not assume role `arn:aws:iam::123456789012:role/deploy` with the OIDC token of the step: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity (request 4f1c)
          the token says:
            iss  https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc
            aud  ari:cloud:bitbucket::workspace/1111
            sub  {2222}:{3333}:{4444}  (repository, environment, step)
            issued 12 s ago, ends in 3588 s
          possible causes, the likeliest first:
            1. the trust policy names another repository or environment, or was written before this step had a `deployment`: the subject now starts with `{repository}:{environment}:`, here of `production`
            2. the condition on `sub` uses StringEquals: the step's UUID is new in each run, so only StringLike with `*` at the end fits
            3. the condition on `aud` differs: it has to be `ari:cloud:bitbucket::workspace/1111`, where the UUID has no braces
            4. there is no role `arn:aws:iam::123456789012:role/deploy` in account 123456789012: STS answers a missing role like this too
            5. the Principal of the trust policy is another one than `arn:aws:iam::123456789012:oidc-provider/api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc`
            6. the trust policy has a condition on the address (`aws:SourceIp`), which needs `atlassian-ip-ranges: true` in the step's `runtime`, or a service control policy forbids the call
            7. the statement allows another Action than `sts:AssumeRoleWithWebIdentity`
          the trust policy statement that admits this step's environment, `production`:
          {
            "Effect": "Allow",
            "Principal": {
              "Federated": "arn:aws:iam::123456789012:oidc-provider/api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
            },
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
              "StringEquals": {
                "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc:aud": "ari:cloud:bitbucket::workspace/1111"
              },
              "StringLike": {
                "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc:sub": "{2222}:{3333}:*"
              }
            }
          }
          the trust policy statement that admits every step of this repository, on every branch:
          {
            "Effect": "Allow",
            "Principal": {
              "Federated": "arn:aws:iam::123456789012:oidc-provider/api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
            },
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
              "StringEquals": {
                "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc:aud": "ari:cloud:bitbucket::workspace/1111"
              },
              "StringLike": {
                "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc:sub": "{2222}:*"
              }
            }
          }
          an administrator finds the attempt in CloudTrail of account 123456789012: AssumeRoleWithWebIdentity at 2030-03-17T17:48:20Z
          hint: compare the statement above with the trust policy of the role, and its Principal with the identity providers of the account
        "#);
    }

    #[test]
    fn a_step_without_deployment_gets_one_statement() {
        let text = diagnose(&claims("{2222}:{4444}"), &Place::default(), &denied());
        assert_eq!(text.matches("\"Effect\"").count(), 1);
        assert!(text.contains(r#"oidc:sub": "{2222}:*""#), "{text}");
        assert!(text.contains("give the step a `deployment`"), "{text}");
    }

    #[test]
    fn evidence_comes_before_experience() {
        let plain = claims("{2222}:{4444}");
        let place = |name, value| Place::new(&Environment::from([(name, value)]), None);
        let cases: [(Claims, Place, &str); 6] = [
            (
                Claims {
                    issuer: "https://token.actions.githubusercontent.com".to_owned(),
                    ..plain.clone()
                },
                Place::default(),
                "not issued by Bitbucket Pipelines",
            ),
            (
                plain.clone(),
                place("BITBUCKET_WORKSPACE", "acme-2"),
                "workspace `acme`, the step of `acme-2`",
            ),
            (
                plain.clone(),
                place("BITBUCKET_REPO_UUID", "{9999}"),
                "repository `{2222}`, the step of `{9999}`",
            ),
            (
                Claims {
                    audiences: vec!["a".to_owned(), "b".to_owned()],
                    ..plain.clone()
                },
                Place::default(),
                "has 2 audiences",
            ),
            (
                Claims {
                    audiences: vec!["{1111}".to_owned()],
                    ..plain.clone()
                },
                Place::default(),
                "not that of the claimed workspace",
            ),
            (
                Claims {
                    expires: NOW - 1,
                    ..plain.clone()
                },
                Place::default(),
                "has ended by this machine's clock",
            ),
        ];
        for (claims, place, cause) in cases {
            let first = first_cause(&claims, &place, &denied());
            assert!(first.contains(cause), "{cause}: {first}");
        }
        // The same UUID with and without braces is no evidence.
        let first = first_cause(&plain, &place("BITBUCKET_REPO_UUID", "2222"), &denied());
        assert!(
            first.starts_with("the trust policy names another repository"),
            "{first}"
        );
    }

    #[test]
    fn what_aws_names_comes_first() {
        for (code, message, cause) in [
            (
                "InvalidIdentityToken",
                "No OpenIDConnect provider found in your account for https://x",
                "has no identity provider",
            ),
            (
                "InvalidIdentityToken",
                "Incorrect token audience",
                "does not list the audience",
            ),
            (
                "ExpiredTokenException",
                "Token expired",
                "the token is too old",
            ),
            (
                "IDPCommunicationError",
                "",
                "could not fetch Bitbucket's public keys",
            ),
        ] {
            let refusal = Refusal {
                code: code.to_owned(),
                message: message.to_owned(),
                status: 400,
                ..Refusal::default()
            };
            let first = first_cause(&claims("{2222}:{4444}"), &Place::default(), &refusal);
            assert!(first.contains(cause), "{message}: {first}");
        }
    }
}
