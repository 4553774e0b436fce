//! A step of a pipeline with services to deploy: an issuer, a repository, a role for it, a cluster and services, all of
//! this test alone, behind a proxy that records the requests.

use std::path::Path;

use serde_json::{Value, json};
use shared::testing::{Fault, Issuer, LocalAws, Pipe, Proxy, Recorded, unique, uuid};
use tempfile::TempDir;

pub struct Step {
    pub aws: LocalAws,
    pub proxy: Proxy,
    pub cluster: String,
    pub family: String,
    pub clone: TempDir,
    role: String,
    token: String,
}

impl Step {
    /// A step with an empty cluster.
    pub fn new() -> Self {
        Self::with(|_| None)
    }

    /// The same, where `hook` may make requests fail.
    pub fn with(hook: impl Fn(&Recorded) -> Option<Fault> + Send + Sync + 'static) -> Self {
        let aws = LocalAws::start();
        let issuer = Issuer::new(&unique("acme"), &uuid());
        let repository = uuid();
        aws.create_provider(&issuer);
        let name = unique("deploy");
        let trust = aws.trust_policy(&issuer, &format!("{repository}:*"));
        let role = aws.create_role(&name, &trust);
        aws.put_role_policy(
            &name,
            &json!({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "ecs:*", "Resource": "*"},
                {"Effect": "Allow", "Action": ["iam:PassRole", "logs:GetLogEvents"], "Resource": "*"},
            ]}),
        );
        let proxy = Proxy::with(aws.endpoint(), hook);
        let step = Self {
            cluster: unique("cluster"),
            family: unique("web"),
            clone: tempfile::tempdir().unwrap(),
            token: issuer.step(&repository).sign(),
            aws,
            proxy,
            role,
        };
        step.ecs("CreateCluster", &json!({"clusterName": step.cluster}));
        step
    }

    /// Calls ECS as the root of the account; any refusal fails the test.
    #[track_caller]
    pub fn ecs(&self, operation: &str, body: &Value) -> Value {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", target.as_str()),
        ];
        let answer = self
            .aws
            .call("ecs", "POST", "/", &headers, body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{operation}: {}", answer.text());
        serde_json::from_str(&answer.text()).unwrap()
    }

    /// A task definition of one container with this image.
    pub fn definition(&self, image: &str) -> Value {
        json!({"family": self.family, "containerDefinitions": [
            {"name": "web", "image": image, "memory": 128, "essential": true,
             "environment": [{"name": "STAGE", "value": "test-stage-value"}]}]})
    }

    /// Registers it, and gives its ARN.
    pub fn register(&self, definition: &Value) -> String {
        let answer = self.ecs("RegisterTaskDefinition", definition);
        answer["taskDefinition"]["taskDefinitionArn"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A service of this name that runs `task_definition`.
    pub fn service(&self, name: &str, task_definition: &str) {
        self.ecs(
            "CreateService",
            &json!({"cluster": self.cluster, "serviceName": name, "taskDefinition": task_definition,
                "desiredCount": 1, "launchType": "FARGATE",
                "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}}),
        );
    }

    /// A step with the service `web` that runs the image `web:1`; gives the ARN of what it runs too.
    pub fn with_service() -> (Self, String) {
        let step = Self::new();
        let arn = step.register(&step.definition("web:1"));
        step.service("web", &arn);
        (step, arn)
    }

    /// A service as it is now.
    pub fn live(&self, name: &str) -> Value {
        let answer = self.ecs(
            "DescribeServices",
            &json!({"cluster": self.cluster, "services": [name]}),
        );
        answer["services"][0].clone()
    }

    /// The task definition that a service runs now.
    pub fn live_definition(&self, name: &str) -> Value {
        let arn = self.live(name)["taskDefinition"].clone();
        let answer = self.ecs("DescribeTaskDefinition", &json!({"taskDefinition": arn}));
        answer["taskDefinition"].clone()
    }

    /// Writes a file of the clone.
    pub fn file(&self, path: &str, content: &str) {
        std::fs::write(self.clone.path().join(path), content).unwrap();
    }

    /// The pipe as the step runs it, for the service `web`.
    pub fn pipe(&self) -> Pipe<'_> {
        Pipe::new(env!("CARGO_BIN_EXE_ecs-deploy"))
            .through(&self.proxy)
            .current_dir(self.clone.path())
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_OIDC_ROLE_ARN", &self.role)
            .env("BITBUCKET_STEP_OIDC_TOKEN", &self.token)
            .env("CLUSTER_NAME", &self.cluster)
            .env("SERVICE_NAME", "web")
            .env("WAIT_INTERVAL", "1")
            .env("NO_COLOR", "1")
            .env("BITBUCKET_BUILD_NUMBER", "7")
            .env("BITBUCKET_STEP_UUID", "{5eed}")
    }

    /// What ECS was asked for, in order: `DescribeServices`, …
    pub fn requests(&self) -> Vec<String> {
        self.proxy
            .requests()
            .iter()
            .filter_map(|request| {
                let operation = request
                    .action
                    .strip_prefix("AmazonEC2ContainerServiceV20141113.")?;
                Some(operation.to_owned())
            })
            .collect()
    }

    /// The documents of the requests for an operation, in order.
    pub fn bodies(&self, operation: &str) -> Vec<Value> {
        self.proxy.bodies(operation)
    }

    /// Those of them that change something.
    pub fn changes(&self) -> Vec<String> {
        let mut requests = self.requests();
        requests.retain(|operation| {
            !operation.starts_with("Describe") && !operation.starts_with("List")
        });
        requests
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The line of a run's verdict, `✔ …` or `✖ …`.
pub fn verdict(output: &str) -> &str {
    output
        .lines()
        .rfind(|line| line.starts_with(['✔', '✖']))
        .unwrap_or_default()
}

/// From the `✖` on.
pub fn ending(output: &str) -> String {
    let lines: Vec<&str> = output
        .lines()
        .skip_while(|line| !line.starts_with('✖'))
        .collect();
    lines.join("\n")
}
