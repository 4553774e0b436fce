//! A step of a pipeline with a function to deploy: an issuer, a repository, a role for it, a function and a directory, all
//! of this test alone, behind a proxy that records the requests.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use shared::testing::{
    Fault, Issuer, LocalAws, Output, Pipe, Proxy, Recorded, Timeline, unique, uuid,
};
use tempfile::TempDir;

pub struct Step {
    pub aws: LocalAws,
    pub proxy: Proxy,
    pub function: String,
    pub directory: TempDir,
    issuer: Issuer,
    role: String,
    repository: String,
}

impl Step {
    /// A step before the local AWS, with a function of it.
    pub fn new() -> Self {
        let step = Self::with(|aws| Timeline::over(aws.endpoint()));
        step.create(&step.function);
        step
    }

    /// The same with a script before the local AWS, made for this function; the function is made too.
    pub fn scripted(script: impl FnOnce(Timeline, &str) -> Timeline) -> Self {
        let aws = LocalAws::start();
        let function = unique("orders");
        let proxy = script(Timeline::over(aws.endpoint()), &function).start();
        let step = Self::of(aws, function, proxy);
        step.create(&step.function);
        step
    }

    /// A step before a script alone, with the local AWS behind it for STS only: the function is none of the local AWS.
    pub fn unmade(script: impl FnOnce(Timeline, &str) -> Timeline) -> Self {
        let aws = LocalAws::start();
        let function = unique("orders");
        let proxy = script(Timeline::over(aws.endpoint()), &function).start();
        Self::of(aws, function, proxy)
    }

    /// A step whose whole AWS is the script that this makes.
    pub fn with(script: impl FnOnce(&LocalAws) -> Timeline) -> Self {
        let aws = LocalAws::start();
        let proxy = script(&aws).start();
        Self::of(aws, unique("orders"), proxy)
    }

    /// A step before the local AWS alone, where `hook` may make requests fail; with a function of it.
    pub fn hooked(hook: impl Fn(&Recorded) -> Option<Fault> + Send + Sync + 'static) -> Self {
        let aws = LocalAws::start();
        let proxy = Proxy::with(aws.endpoint(), hook);
        let step = Self::of(aws, unique("orders"), proxy);
        step.create(&step.function);
        step
    }

    fn of(aws: LocalAws, function: String, proxy: Proxy) -> Self {
        let issuer = Issuer::new(&unique("acme"), &uuid());
        let repository = uuid();
        aws.create_provider(&issuer);
        let trust = aws.trust_policy(&issuer, &format!("{repository}:*"));
        let name = unique("deploy");
        let role = aws.create_role(&name, &trust);
        aws.put_role_policy(
            &name,
            &json!({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": ["lambda:*", "s3:*", "ecr:*", "cloudwatch:*", "iam:PassRole", "codedeploy:*"], "Resource": "*"},
            ]}),
        );
        Self {
            aws,
            proxy,
            function,
            directory: tempfile::tempdir().unwrap(),
            issuer,
            role,
            repository,
        }
    }

    /// Gives the role this policy instead.
    pub fn allow(&self, statements: &Value) {
        let name = self.role.rsplit('/').next().unwrap();
        self.aws.put_role_policy(
            name,
            &json!({"Version": "2012-10-17", "Statement": statements}),
        );
    }

    /// The ARN of the role that functions run with.
    pub fn execution_role(&self) -> String {
        let trust = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ]});
        self.aws.create_role("orders-execution", &trust)
    }

    /// Makes a function directly, and waits until it is active.
    pub fn create(&self, name: &str) {
        let body = json!({
            "FunctionName": name, "Runtime": "python3.12", "Handler": "app.handler", "MemorySize": 128, "Timeout": 3,
            "Role": self.execution_role(),
            "Environment": {"Variables": {"STAGE": "test", "DATABASE_URL": "postgres://first-secret@db"}},
            "Code": {"ZipFile": base64(&zip(&[("app.py", &answering("first"))]))},
        });
        let made = self.call("POST", "/2015-03-31/functions", &body);
        assert!(made.get("FunctionArn").is_some(), "{made}");
        for _ in 0..100 {
            let live = self.configuration(name);
            if live["State"] == "Active" && live["LastUpdateStatus"] == "Successful" {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{name} does not become active");
    }

    /// A call of Lambda's API as the root user, past the proxy.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let headers = [("content-type", "application/json")];
        let call = || {
            self.aws
                .call("lambda", method, path, &headers, text.as_bytes())
        };
        let mut answer = call();
        // Its threads change a function while it copies one ("dictionary changed size during iteration").
        for _ in 0..5 {
            if method != "GET" || answer.status < 500 {
                break;
            }
            answer = call();
        }
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// The live configuration of a function or of `function:version`.
    pub fn configuration(&self, name: &str) -> Value {
        let (name, qualifier) = name.split_once(':').unwrap_or((name, ""));
        let query = if qualifier.is_empty() {
            String::new()
        } else {
            format!("?Qualifier={qualifier}")
        };
        self.call(
            "GET",
            &format!("/2015-03-31/functions/{name}/configuration{query}"),
            &Value::Null,
        )
    }

    /// An alias of the function.
    pub fn alias(&self, name: &str) -> Value {
        let function = &self.function;
        self.call(
            "GET",
            &format!("/2015-03-31/functions/{function}/aliases/{name}"),
            &Value::Null,
        )
    }

    /// The numbers of the function's versions.
    pub fn versions(&self) -> Vec<String> {
        let function = &self.function;
        let listed = self.call(
            "GET",
            &format!("/2015-03-31/functions/{function}/versions"),
            &Value::Null,
        );
        let versions = listed["Versions"].as_array().unwrap();
        let numbers = versions.iter().map(|each| text_of(&each["Version"]));
        numbers.filter(|number| number != "$LATEST").collect()
    }

    /// Writes a file of the step's directory.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A zip in the step's directory whose function answers with `word`.
    pub fn zip(&self, name: &str, word: &str) -> String {
        let path = self.file(name, zip(&[("app.py", &answering(word))]));
        path.to_str().unwrap().to_owned()
    }

    /// The pipe as the step runs it: role and token, no variables but the function's name.
    pub fn pipe(&self) -> Pipe<'_> {
        Pipe::new(env!("CARGO_BIN_EXE_lambda-deploy"))
            .through(&self.proxy)
            .current_dir(self.directory.path())
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_OIDC_ROLE_ARN", &self.role)
            .env(
                "BITBUCKET_STEP_OIDC_TOKEN",
                self.issuer.step(&self.repository).sign(),
            )
            .env("BITBUCKET_REPO_SLUG", "orders")
            .env("BITBUCKET_BUILD_NUMBER", "7")
            .env("NO_COLOR", "1")
            .env("WAIT_INTERVAL", "1")
            .env("FUNCTION_NAME", &self.function)
            .secret("first-secret")
            .secret("second-secret")
    }

    /// `deploy` of a zip whose function answers with `word`, to alias `live`.
    pub fn deploy(&self, word: &str) -> Pipe<'_> {
        self.pipe()
            .env("COMMAND", "deploy")
            .env("ZIP_FILE", self.zip(&format!("{word}.zip"), word))
            .env("ALIAS", "live")
    }

    /// The requests after those to STS, in their order, the function's name left out: `PUT /code`.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.proxy.requests();
        let shown = requests.iter().filter_map(|request| {
            let operation = request.operation();
            if operation.starts_with("AssumeRole") {
                return None;
            }
            let (method, path) = operation.split_once(' ').unwrap_or(("", &operation));
            if method.is_empty() {
                return Some(operation);
            }
            let rest = path
                .split_once(&format!("/functions/{}", self.function))
                .map_or(path, |(_, rest)| rest);
            let query = if request.query.is_empty() || request.query.starts_with("x-id") {
                String::new()
            } else {
                format!("?{}", request.query)
            };
            Some(format!("{method} {rest}{query}").trim_end().to_owned())
        });
        shown.collect()
    }

    /// The requests that change something.
    pub fn changes(&self) -> Vec<String> {
        let mut requests = self.requests();
        requests.retain(|request| {
            let method = request.split(' ').next().unwrap_or_default();
            !["GET", "HEAD"].contains(&method)
        });
        requests
    }
}

/// A member of an answer, as text.
pub fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The last line of a run's output.
pub fn last_line(output: &Output) -> String {
    let plain = output.plain();
    plain
        .trim_end()
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned()
}

/// Asserts success, and gives the output without the lines that only DEBUG brings.
#[track_caller]
pub fn succeeded(output: &Output) -> String {
    assert_eq!(output.code, Some(0), "{}", output.plain());
    output.without_debug()
}

/// Asserts failure, and gives the output without the lines that only DEBUG brings.
#[track_caller]
pub fn failed(output: &Output) -> String {
    assert_eq!(output.code, Some(1), "{}", output.plain());
    output.without_debug()
}

/// The text of a function that answers with `word`.
pub fn answering(word: &str) -> String {
    format!(
        "def handler(event, context):\n    return {{'statusCode': 200, 'body': '{{\"word\": \"{word}\"}}'}}\n"
    )
}

/// An archive without compression, made here and not by the pipe.
pub fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let offset = u32::try_from(out.len()).unwrap();
        let size = u32::try_from(content.len()).unwrap().to_le_bytes();
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        common.extend(crc32fast::hash(content.as_bytes()).to_le_bytes());
        common.extend(size);
        common.extend(size);
        common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(content.as_bytes());
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        directory.extend([0, 0, 0, 0, 0, 0]);
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let count = u16::try_from(files.len()).unwrap().to_le_bytes();
    let start = u32::try_from(out.len()).unwrap().to_le_bytes();
    let length = u32::try_from(directory.len()).unwrap().to_le_bytes();
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count);
    out.extend(count);
    out.extend(length);
    out.extend(start);
    out.extend([0, 0]);
    out
}

/// Base64, as the API takes zips.
pub fn base64(bytes: &[u8]) -> String {
    aws_smithy_types::base64::encode(bytes)
}

/// The path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
