//! A workspace with a repository of its own, of which nobody else in the local AWS knows.

use std::path::Path;

use shared::testing::{Fault, Issuer, LocalAws, Output, Pipe, Proxy, Recorded, unique, uuid};
use tempfile::TempDir;

pub struct Place {
    pub aws: LocalAws,
    pub proxy: Proxy,
    pub issuer: Issuer,
    pub slug: String,
    pub repository: String,
    pub production: String,
    pub staging: String,
    pub bucket: String,
    pub folder: TempDir,
}

/// Two environments that share a step, with a pipe that gets no other rights than the generated ones.
pub const FILE: &str = "\
definitions:
  steps:
    - step: &deploy
        name: Deploy
        oidc: true
        script:
          - pipe: keylesspipes/s3-deploy:0.1.0
            variables:
              AWS_DEFAULT_REGION: us-east-1
              S3_BUCKET: $SITE_BUCKET/docs
              LOCAL_PATH: dist
              DELETE_FLAG: 'true'
pipelines:
  branches:
    main:
      - step:
          <<: *deploy
          deployment: staging
      - step:
          <<: *deploy
          deployment: production
";

impl Place {
    pub fn new() -> Self {
        Self::with(FILE)
    }

    /// With this pipeline file.
    pub fn with(file: &str) -> Self {
        Self::of(file, |_| None)
    }

    /// With this pipeline file, and faults on the way to AWS.
    pub fn of(
        file: &str,
        hook: impl Fn(&Recorded) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        let aws = LocalAws::start();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bitbucket-pipelines.yml"), file).unwrap();
        let bucket = unique("site");
        aws.create_bucket(&bucket);
        Self {
            proxy: Proxy::with(aws.endpoint(), hook),
            issuer: Issuer::new(&unique("acme"), &uuid()),
            slug: unique("shop"),
            repository: uuid(),
            production: uuid(),
            staging: uuid(),
            aws,
            bucket,
            folder,
        }
    }

    /// The arguments that tell all that the file does not.
    pub fn told(&self) -> Vec<String> {
        [
            ("--workspace", self.issuer.slug().to_owned()),
            ("--workspace-uuid", self.issuer.workspace().to_owned()),
            ("--repository-slug", self.slug.clone()),
            ("--repository-uuid", self.repository.clone()),
            ("--environment", format!("production={}", self.production)),
            ("--environment", format!("staging={}", self.staging)),
            ("--set", format!("SITE_BUCKET={}", self.bucket)),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
    }

    /// The program with arguments, in the checkout.
    pub fn program(&self, arguments: &[&str]) -> Pipe<'_> {
        Pipe::new(env!("CARGO_BIN_EXE_oidc-migrate"))
            .args(arguments)
            .current_dir(self.folder.path())
    }

    /// The same with all that is told, as an administrator of the account.
    pub fn as_administrator(&self, arguments: &[&str]) -> Pipe<'_> {
        let told = self.told();
        let arguments: Vec<&str> = arguments
            .iter()
            .copied()
            .chain(told.iter().map(String::as_str))
            .collect();
        self.program(&arguments)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .through(&self.proxy)
    }

    pub fn role(&self, environment: &str) -> String {
        format!(
            "arn:aws:iam::000000000000:role/bitbucket-{}-{environment}",
            self.slug
        )
    }

    /// What IAM changed, in order.
    pub fn changes(&self) -> Vec<String> {
        let operations = self.proxy.operations().into_iter();
        operations
            .filter(|operation| {
                !operation.starts_with("Get") && !operation.starts_with("AssumeRole")
            })
            .collect()
    }

    /// `doctor` in a step with this token, asked about the role of production.
    pub fn doctor(&self, token: &str, arguments: &[&str]) -> Output {
        let arguments = [&["doctor"], arguments].concat();
        self.program(&arguments)
            .env("BITBUCKET_STEP_OIDC_TOKEN", token)
            .env("AWS_OIDC_ROLE_ARN", self.role("production"))
            .env("BITBUCKET_DEPLOYMENT_ENVIRONMENT", "production")
            .through(&self.proxy)
            .run()
    }

    /// The three kinds of tokens: that of the step, of another environment, and of another repository.
    pub fn assert_only_production_gets_in(&self) {
        let of = |repository: &str, environment: &str| {
            self.issuer.step(repository).environment(environment).sign()
        };
        let output = self.doctor(&of(&self.repository, &self.production), &[]);
        assert_eq!(output.code, Some(0), "{}", output.plain());
        for token in [
            of(&self.repository, &self.staging),
            of(&uuid(), &self.production),
            self.issuer.step(&self.repository).sign(),
            Issuer::new(self.issuer.slug(), &uuid())
                .step(&self.repository)
                .environment(&self.production)
                .sign(),
        ] {
            let output = self.doctor(&token, &[]);
            assert_eq!(output.code, Some(1), "{}", output.plain());
            assert!(
                output
                    .plain()
                    .contains("Not authorized to perform sts:AssumeRoleWithWebIdentity"),
                "{}",
                output.plain()
            );
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}
