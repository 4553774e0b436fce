//! A step of a pipeline with a site to deploy: an issuer, a repository, a role for it, a bucket and a directory,
//! all of this test alone, behind a proxy that counts the requests.

use std::path::Path;
use std::time::{Duration, Instant};

use shared::testing::{Fault, Issuer, LocalAws, Pipe, Proxy, Recorded, unique, uuid};
use tempfile::TempDir;

pub use shared::testing::Trap;

pub struct Step {
    pub aws: LocalAws,
    pub proxy: Proxy,
    pub issuer: Issuer,
    pub bucket: String,
    pub role: String,
    pub repository: String,
    pub environment: String,
    pub site: TempDir,
}

impl Step {
    /// A step whose role admits every step of its repository.
    pub fn new() -> Self {
        Self::with(|_| None)
    }

    /// The same, where `hook` may make requests fail.
    pub fn with(hook: impl Fn(&Recorded) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self::admitting(|repository, _| format!("{repository}:*"), hook)
    }

    /// The same with a trap that is not set yet.
    pub fn with_trap() -> (Self, Trap) {
        let trap = Trap::default();
        (Self::trapped(trap.clone()), trap)
    }

    /// The same with this trap.
    pub fn trapped(trap: Trap) -> Self {
        Self::with(move |request| trap.fault(request))
    }

    /// A step whose role admits the subjects that `pattern` makes of its repository and environment.
    pub fn admitting(
        pattern: impl Fn(&str, &str) -> String,
        hook: impl Fn(&Recorded) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        let aws = LocalAws::start();
        let issuer = Issuer::new(&unique("acme"), &uuid());
        let (repository, environment) = (uuid(), uuid());
        let bucket = unique("site");
        aws.create_bucket(&bucket);
        let role = aws.site_role(
            &issuer,
            &unique("deploy"),
            &bucket,
            &pattern(&repository, &environment),
        );
        let proxy = Proxy::with(aws.endpoint(), hook);
        let site = tempfile::tempdir().unwrap();
        Self {
            aws,
            proxy,
            issuer,
            bucket,
            role,
            repository,
            environment,
            site,
        }
    }

    /// Writes a file of the site.
    pub fn file(&self, path: &str, content: &str) {
        let path = self.site.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Removes a file of the site.
    pub fn remove(&self, path: &str) {
        std::fs::remove_file(self.site.path().join(path)).unwrap();
    }

    /// A CloudFront distribution of which the bucket is the origin, with this path; the step's role may use it.
    pub fn distribution(&self, origin_path: &str) -> String {
        let config = format!(
            "<DistributionConfig xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><CallerReference>{1}</CallerReference>\
             <Comment></Comment><Enabled>true</Enabled><Origins><Quantity>1</Quantity><Items><Origin><Id>site</Id>\
             <DomainName>{0}.s3.us-east-1.amazonaws.com</DomainName><OriginPath>{origin_path}</OriginPath><S3OriginConfig>\
             <OriginAccessIdentity></OriginAccessIdentity></S3OriginConfig></Origin></Items></Origins><DefaultCacheBehavior>\
             <TargetOriginId>site</TargetOriginId><ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy>\
             </DefaultCacheBehavior></DistributionConfig>",
            self.bucket,
            unique("reference"),
        );
        let answer = self.aws.call(
            "cloudfront",
            "POST",
            "/2020-05-31/distribution",
            &[("content-type", "text/xml")],
            config.as_bytes(),
        );
        assert_eq!(answer.status, 201, "{}", answer.text());
        self.aws.put_role_policy(
            self.role.rsplit('/').next().unwrap(),
            &serde_json::json!({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": ["s3:*", "cloudfront:*"], "Resource": "*"},
            ]}),
        );
        let text = answer.text();
        let id = text
            .split("<Id>")
            .nth(1)
            .and_then(|rest| rest.split('<').next());
        id.unwrap().to_owned()
    }

    /// Waits until a request of this kind has arrived.
    #[track_caller]
    pub fn until_requested(&self, is_it: impl Fn(&Recorded) -> bool) {
        let start = Instant::now();
        while !self.proxy.requests().iter().any(&is_it) {
            assert!(
                start.elapsed() < Duration::from_mins(1),
                "it was not requested"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets the bucket take ACLs, which new buckets do not.
    pub fn allow_acls(&self) {
        let ownership = "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>";
        let bucket = &self.bucket;
        let set = self.aws.call(
            "s3",
            "PUT",
            &format!("/{bucket}?ownershipControls="),
            &[],
            ownership.as_bytes(),
        );
        assert_eq!(set.status, 200, "{}", set.text());
        let unblocked = self.aws.call(
            "s3",
            "DELETE",
            &format!("/{bucket}?publicAccessBlock="),
            &[],
            b"",
        );
        assert!(unblocked.status < 300, "{}", unblocked.text());
    }

    /// The step's token.
    pub fn token(&self) -> String {
        self.issuer.step(&self.repository).sign()
    }

    /// The pipe with role and token, and no LOCAL_PATH.
    pub fn pipe_without_site(&self) -> Pipe<'_> {
        self.pipe().env("LOCAL_PATH", "")
    }

    /// The pipe with its own variables and no credentials.
    pub fn pipe_without_credentials(&self) -> Pipe<'_> {
        Pipe::new(env!("CARGO_BIN_EXE_s3-deploy"))
            .through(&self.proxy)
            .current_dir(self.site.path())
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("S3_BUCKET", &self.bucket)
            .env("LOCAL_PATH", text(self.site.path()))
            .env("BITBUCKET_REPO_SLUG", "site")
            .env("NO_COLOR", "1")
            .env("BITBUCKET_BUILD_NUMBER", "7")
    }

    /// The pipe as the step runs it: role and token.
    pub fn pipe(&self) -> Pipe<'_> {
        self.pipe_without_credentials()
            .env("AWS_OIDC_ROLE_ARN", &self.role)
            .env("BITBUCKET_STEP_OIDC_TOKEN", self.token())
    }

    /// The requests to S3 for the site, such as `PUT /index.html`, in their order; keys without the bucket. Those for
    /// the pipe's own folder are left out.
    pub fn s3_requests(&self) -> Vec<String> {
        let mut requests = self.all_s3_requests();
        requests.retain(|request| !request.contains(".s3-deploy/"));
        requests
    }

    /// All requests to S3.
    pub fn all_s3_requests(&self) -> Vec<String> {
        let to_s3 = |request: &Recorded| request.action.is_empty();
        let bucket = format!("/{}", self.bucket);
        let requests = self.proxy.requests();
        let shown = requests
            .iter()
            .filter(|request| to_s3(request))
            .map(|request| {
                let key = request
                    .path
                    .strip_prefix(&bucket)
                    .unwrap_or(&request.path)
                    .trim_start_matches('/');
                let query = if request.query.starts_with("delete") {
                    "?delete"
                } else {
                    ""
                };
                format!("{} /{key}{query}", request.method)
            });
        shown.collect()
    }

    /// How often STS was asked for `action`.
    pub fn sts_requests(&self, action: &str) -> usize {
        self.proxy
            .requests()
            .iter()
            .filter(|request| request.action == action)
            .count()
    }

    /// The keys in the bucket, but for the pipe's own folder.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = self.aws.keys(&self.bucket);
        keys.retain(|key| !key.contains(".s3-deploy/"));
        keys
    }

    /// How many uploads in parts the bucket holds that were neither completed nor aborted.
    pub fn unfinished_uploads(&self) -> usize {
        let answer = self
            .aws
            .call("s3", "GET", &format!("/{}?uploads=", self.bucket), &[], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text().matches("<Upload>").count()
    }

    /// A header of an object.
    pub fn header(&self, key: &str, name: &str) -> Option<String> {
        let (headers, _) = self.aws.get_object(&self.bucket, key);
        headers.get(name).cloned()
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The last line of a run's output.
pub fn last_line(output: &str) -> &str {
    output.trim_end().lines().last().unwrap_or_default()
}

/// Whether a request is for the pipe's own folder.
pub fn is_own(request: &Recorded) -> bool {
    request.path.contains("/.s3-deploy/")
}
