//! The local AWS of `ci/local-aws.sh`, and the few signed calls with which a test prepares an account and looks at what
//! a pipe did to it. The calls are made here and not with the SDK, so that a fault of the SDK is not on both sides.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use aws_credential_types::Credentials;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::Issuer;
use super::exchange::{Answer, Headers, Signer, decoded, elements, encoded};

/// One account of the local AWS, with the rights of its root user or of a session.
#[derive(Clone, Debug)]
pub struct LocalAws {
    endpoint: String,
    account: String,
    credentials: Credentials,
}

impl LocalAws {
    /// Account 000000000000 of the local AWS, which is started if it does not run. `LOCAL_AWS_ENDPOINT`
    /// names one that runs already.
    #[must_use]
    pub fn start() -> Self {
        static ENDPOINT: OnceLock<String> = OnceLock::new();
        Self::running_at(ENDPOINT.get_or_init(running_endpoint))
    }

    /// Account 000000000000 of the local AWS that runs at this URL.
    #[must_use]
    pub fn running_at(endpoint: &str) -> Self {
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            account: "000000000000".to_owned(),
            credentials: credentials("test", "test", None),
        }
    }

    /// The same local AWS as another account, named by twelve digits.
    #[must_use]
    pub fn account(&self, id: &str) -> Self {
        Self {
            endpoint: self.endpoint.clone(),
            account: id.to_owned(),
            // The number of an account is a key id of its root user.
            credentials: credentials(id, "test", None),
        }
    }

    /// At another address, such as that of a proxy.
    #[must_use]
    pub fn at(&self, endpoint: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            ..self.clone()
        }
    }

    /// With the rights of a session that STS gave out. Only of sessions are signatures checked.
    #[must_use]
    pub fn session(&self, key_id: &str, secret_key: &str, session_token: &str) -> Self {
        Self {
            credentials: credentials(key_id, secret_key, Some(session_token)),
            ..self.clone()
        }
    }

    /// The URL for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Makes a signed call. Whatever the answer is, it is returned; `path_and_query` is percent-encoded already.
    #[must_use]
    pub fn call(
        &self,
        service: &'static str,
        method: &str,
        path_and_query: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let signer = Signer {
            endpoint: &self.endpoint,
            credentials: &self.credentials,
            service,
        };
        signer.call(method, path_and_query, headers, body)
    }

    /// Like [`Self::call`], but any answer other than success fails the test.
    #[track_caller]
    fn succeed(
        &self,
        service: &'static str,
        method: &str,
        path_and_query: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let answer = self.call(service, method, path_and_query, headers, body);
        assert!(
            answer.status < 300,
            "{service} {method} {path_and_query}: {} {}",
            answer.status,
            answer.text()
        );
        answer
    }

    /// Calls an action of IAM; true unless what it would create exists.
    #[track_caller]
    fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> bool {
        let answer = self.ask_iam(action, parameters);
        let exists = answer.text().contains("EntityAlreadyExists");
        assert!(
            answer.status < 300 || exists,
            "{action}: {} {}",
            answer.status,
            answer.text()
        );
        !exists
    }

    /// Calls an action of IAM as the root of the account. Whatever the answer is, it is returned.
    #[track_caller]
    #[must_use]
    pub fn ask_iam(&self, action: &str, parameters: &[(&str, &str)]) -> Answer {
        let mut form = format!("Action={action}&Version=2010-05-08");
        for (name, value) in parameters {
            let _ = write!(form, "&{name}={}", encoded(value, ""));
        }
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.call("iam", "POST", "/", &headers, form.as_bytes())
    }

    /// Makes the identity provider of the issuer, unless the account has it.
    #[track_caller]
    pub fn create_provider(&self, issuer: &Issuer) {
        let (url, audience) = (issuer.url(), issuer.audience());
        self.iam(
            "CreateOpenIDConnectProvider",
            &[("Url", &url), ("ClientIDList.member.1", &audience)],
        );
    }

    /// A trust policy for tokens of the issuer whose `sub` matches the pattern.
    #[must_use]
    pub fn trust_policy(&self, issuer: &Issuer, subject_pattern: &str) -> Value {
        let provider = issuer.provider();
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": self.provider_arn(issuer)},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {(format!("{provider}:aud")): issuer.audience()},
                "StringLike": {(format!("{provider}:sub")): subject_pattern},
            },
        }]})
    }

    fn provider_arn(&self, issuer: &Issuer) -> String {
        format!(
            "arn:aws:iam::{}:oidc-provider/{}",
            self.account,
            issuer.provider()
        )
    }

    /// Makes a role, or gives the one that exists this trust policy; returns its ARN.
    #[track_caller]
    #[must_use]
    pub fn create_role(&self, name: &str, trust_policy: &Value) -> String {
        let trust = trust_policy.to_string();
        let is_new = self.iam(
            "CreateRole",
            &[("RoleName", name), ("AssumeRolePolicyDocument", &trust)],
        );
        if !is_new {
            self.iam(
                "UpdateAssumeRolePolicy",
                &[("RoleName", name), ("PolicyDocument", &trust)],
            );
        }
        format!("arn:aws:iam::{}:role/{name}", self.account)
    }

    /// Gives the role its only inline policy.
    #[track_caller]
    pub fn put_role_policy(&self, role_name: &str, policy: &Value) {
        self.iam(
            "PutRolePolicy",
            &[
                ("RoleName", role_name),
                ("PolicyName", "test"),
                ("PolicyDocument", &policy.to_string()),
            ],
        );
    }

    /// An inline policy that a role has.
    ///
    /// # Panics
    /// When it has none of this name.
    #[track_caller]
    #[must_use]
    pub fn role_policy(&self, role_name: &str, name: &str) -> Value {
        let parameters = [("RoleName", role_name), ("PolicyName", name)];
        let answer = self.ask_iam("GetRolePolicy", &parameters);
        let text = answer.text();
        let document = elements(&text, "PolicyDocument").next();
        let document = decoded(document.unwrap_or_else(|| panic!("{text}")));
        serde_json::from_str(&document).unwrap_or_else(|error| panic!("{document}: {error}"))
    }

    /// A role that tokens of `issuer` whose `sub` matches the pattern can assume, and that may deploy to `bucket`.
    /// The provider is made too; the bucket is not. Returns the role's ARN.
    #[track_caller]
    #[must_use]
    pub fn site_role(
        &self,
        issuer: &Issuer,
        role_name: &str,
        bucket: &str,
        subject_pattern: &str,
    ) -> String {
        self.create_provider(issuer);
        let arn = self.create_role(role_name, &self.trust_policy(issuer, subject_pattern));
        self.put_role_policy(
            role_name,
            &json!({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:ListBucketMultipartUploads"], "Resource": format!("arn:aws:s3:::{bucket}")},
                {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectTagging", "s3:DeleteObject", "s3:AbortMultipartUpload"],
                 "Resource": format!("arn:aws:s3:::{bucket}/*")},
            ]}),
        );
        arn
    }

    /// Makes a bucket; one that the account has already stays as it is.
    #[track_caller]
    pub fn create_bucket(&self, name: &str) {
        let answer = self.call("s3", "PUT", &format!("/{name}"), &[], b"");
        assert!(
            answer.status < 300 || answer.text().contains("BucketAlreadyOwnedByYou"),
            "{name}: {}",
            answer.text()
        );
    }

    /// Stores an object, with headers such as `cache-control` or `x-amz-meta-…`.
    #[track_caller]
    pub fn put_object(&self, bucket: &str, key: &str, body: &[u8], headers: &[(&str, &str)]) {
        self.succeed("s3", "PUT", &object(bucket, key), headers, body);
    }

    /// The headers and the content of an object that has to exist.
    #[track_caller]
    #[must_use]
    pub fn get_object(&self, bucket: &str, key: &str) -> (Headers, Bytes) {
        let answer = self.succeed("s3", "GET", &object(bucket, key), &[], b"");
        (answer.headers, answer.body)
    }

    /// The headers of an object; none if there is no such object.
    #[track_caller]
    #[must_use]
    pub fn head(&self, bucket: &str, key: &str) -> Option<Headers> {
        let answer = self.call("s3", "HEAD", &object(bucket, key), &[], b"");
        match answer.status {
            200 => Some(answer.headers),
            404 => None,
            status => panic!("HEAD {bucket}/{key}: {status}"),
        }
    }

    /// Deletes an object.
    #[track_caller]
    pub fn delete_object(&self, bucket: &str, key: &str) {
        self.succeed("s3", "DELETE", &object(bucket, key), &[], b"");
    }

    /// The keys of all objects of the bucket, sorted as S3 does.
    #[track_caller]
    #[must_use]
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let mut keys = Vec::new();
        let mut token = None::<String>;
        loop {
            let from = token
                .map(|token| format!("continuation-token={}&", encoded(&token, "")))
                .unwrap_or_default();
            // The query is signed in the order of its names.
            let path = format!("/{bucket}?{from}encoding-type=url&list-type=2");
            let page = self.succeed("s3", "GET", &path, &[], b"").text();
            keys.extend(elements(&page, "Key").map(|key| decoded(&key.replace('+', " "))));
            token = elements(&page, "NextContinuationToken")
                .next()
                .map(str::to_owned);
            if token.is_none() {
                return keys;
            }
        }
    }
}

fn credentials(key_id: &str, secret_key: &str, session_token: Option<&str>) -> Credentials {
    let session_token = session_token.map(str::to_owned);
    Credentials::new(key_id, secret_key, session_token, None, "test")
}

fn running_endpoint() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "set by ci/check.sh for all tests of a run"
    )]
    if let Ok(endpoint) = std::env::var("LOCAL_AWS_ENDPOINT") {
        return endpoint;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci/local-aws.sh");
    let output = Command::new(&script)
        .arg("start")
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("{} cannot be run: {error}", script.display()));
    assert!(
        output.status.success(),
        "{} start failed; its reasons are above",
        script.display()
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn object(bucket: &str, key: &str) -> String {
    format!("/{bucket}/{}", encoded(key, "/"))
}

#[cfg(test)]
mod tests;
