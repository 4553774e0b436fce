//! The compiled binary of a pipe in an environment that holds only what the test set: exit code and output come out.
//! DEBUG is on unless the test says otherwise, and every run searches all that the pipe wrote for every secret it was
//! given, so that no test can forget to.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::exchange::encoded;
use super::{Output, Proxy, Running};

/// A run of a pipe's binary before it is started.
#[derive(Debug)]
pub struct Pipe<'proxy> {
    pub(super) program: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    secrets: Vec<Hidden>,
    proxies: Vec<&'proxy Proxy>,
    uid: Option<u32>,
    current_dir: Option<PathBuf>,
    pub(super) deadline: Duration,
}

/// A text that must not be found in what a pipe writes.
#[derive(Clone)]
struct Hidden {
    kind: String,
    text: String,
}

/// Shows no secret, since failing tests print what they compare.
impl std::fmt::Debug for Hidden {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.kind)
    }
}

impl<'proxy> Pipe<'proxy> {
    /// The binary at this path, which is `env!("CARGO_BIN_EXE_<pipe>")`.
    #[must_use]
    pub fn new(program: impl AsRef<Path>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: BTreeMap::from([("DEBUG".to_owned(), "true".to_owned())]),
            secrets: Vec::new(),
            proxies: Vec::new(),
            uid: None,
            current_dir: None,
            deadline: Duration::from_mins(2),
        }
    }

    /// Adds arguments, for a pipe that is a command-line tool too.
    #[must_use]
    pub fn args(mut self, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        self.arguments.extend(arguments);
        self
    }

    /// Sets a variable. Tokens and keys are searched for in the output afterwards.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let value = value.as_ref();
        match name {
            "BITBUCKET_STEP_OIDC_TOKEN" => {
                self.hide(name, value);
                let mut parts = value.split('.').skip(1);
                self.hide(
                    &format!("the claims part of {name}"),
                    parts.next().unwrap_or_default(),
                );
                self.hide(
                    &format!("the signature of {name}"),
                    parts.next().unwrap_or_default(),
                );
            }
            "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" => self.hide(name, value),
            _ => {}
        }
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets several variables.
    #[must_use]
    pub fn envs<'text>(
        self,
        variables: impl IntoIterator<Item = (&'text str, &'text str)>,
    ) -> Self {
        variables
            .into_iter()
            .fold(self, |pipe, (name, value)| pipe.env(name, value))
    }

    /// Adds a text that must not be found in what the pipe writes.
    #[must_use]
    pub fn secret(mut self, text: &str) -> Self {
        self.hide("a secret of the test", text);
        self
    }

    /// Sends all requests through the proxy, and searches for the secrets that passed it.
    #[must_use]
    pub fn through(mut self, proxy: &'proxy Proxy) -> Self {
        self.proxies.push(proxy);
        self.env("AWS_ENDPOINT_URL", proxy.endpoint())
    }

    /// Runs it as another user; only root can.
    #[must_use]
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Runs it in this directory.
    #[must_use]
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.current_dir = Some(directory.as_ref().to_owned());
        self
    }

    /// How long it may run, 120 s at first. A pipe that takes longer is ended and fails the test.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    fn hide(&mut self, kind: &str, text: &str) {
        self.secrets.push(Hidden {
            kind: kind.to_owned(),
            text: text.to_owned(),
        });
    }

    /// Runs it to its end.
    #[track_caller]
    #[must_use]
    pub fn run(self) -> Output {
        self.spawn().wait()
    }

    /// Starts it, for a test that does something while it runs.
    #[track_caller]
    #[must_use]
    pub fn spawn(self) -> Running<'proxy> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(directory) = &self.current_dir {
            command.current_dir(directory);
        }
        if let Some(uid) = self.uid {
            command.uid(uid);
        }
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be run: {error}", self.program.display()));
        Running::new(self, child)
    }

    /// Fails the test when a secret is found, and says which kind, never the secret.
    #[track_caller]
    pub(super) fn search(&self, output: &Output) {
        let mut places = vec![
            ("standard output".to_owned(), output.stdout.clone()),
            ("standard error".to_owned(), output.stderr.clone()),
        ];
        for name in [
            "BITBUCKET_PIPE_STORAGE_DIR",
            "BITBUCKET_PIPELINES_VARIABLES_PATH",
        ] {
            if let Some(path) = self.environment.get(name) {
                read_all(Path::new(path), &mut places);
            }
        }
        let given_out = self.proxies.iter().flat_map(|proxy| proxy.secrets());
        let given_out = given_out.map(|text| Hidden {
            kind: "a secret key or session token from STS".to_owned(),
            text,
        });
        for secret in self.secrets.iter().cloned().chain(given_out) {
            // Shorter ones, such as the `test` of the local AWS, are words.
            if secret.text.len() < 8 {
                continue;
            }
            for (place, text) in &places {
                assert!(
                    !text.contains(&secret.text) && !text.contains(&encoded(&secret.text, "")),
                    "{} is in {place} of {}",
                    secret.kind,
                    self.program.display()
                );
            }
        }
    }
}

/// The contents of a file, or of all files under a directory; nothing if the path does not exist.
fn read_all(path: &Path, places: &mut Vec<(String, String)>) {
    if let Ok(entries) = path.read_dir() {
        for entry in entries.flatten() {
            read_all(&entry.path(), places);
        }
    } else if let Ok(bytes) = std::fs::read(path) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        places.push((path.display().to_string(), text));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::testing::{Issuer, uuid};

    /// Runs a shell script in place of a pipe.
    pub(in crate::testing) fn script(directory: &tempfile::TempDir, text: &str) -> Pipe<'static> {
        use std::os::unix::fs::PermissionsExt;
        let path = directory.path().join("pipe");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Pipe::new(path)
    }

    pub(in crate::testing) fn complaint(run: impl FnOnce()) -> String {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
            .expect_err("the secret was not found");
        panic.downcast_ref::<String>().unwrap().clone()
    }

    #[test]
    fn the_environment_holds_only_what_the_test_set() {
        let output = Pipe::new("/usr/bin/env").env("NAME", "value").run();
        assert_eq!(output.code, Some(0));
        assert_eq!(output.stdout, "DEBUG=true\nNAME=value\n");
        let output = Pipe::new("/usr/bin/env").env("DEBUG", "").run();
        assert_eq!(output.stdout, "DEBUG=\n");
    }

    #[test]
    fn a_printed_secret_fails_the_test_without_being_shown() {
        let token = Issuer::new("acme", &uuid()).step(&uuid()).sign();
        let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
        for (printed, kind) in [
            (
                "${BITBUCKET_STEP_OIDC_TOKEN}",
                "BITBUCKET_STEP_OIDC_TOKEN is in standard output",
            ),
            (
                parts[1].as_str(),
                "the claims part of BITBUCKET_STEP_OIDC_TOKEN is",
            ),
            (
                parts[2].as_str(),
                "the signature of BITBUCKET_STEP_OIDC_TOKEN is",
            ),
            ("${AWS_SECRET_ACCESS_KEY}", "AWS_SECRET_ACCESS_KEY is"),
            ("k%2Fey%2Bkey%3D", "AWS_SECRET_ACCESS_KEY is"),
            ("my own secret", "a secret of the test is"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let pipe = script(&directory, &format!("echo \"<{printed}>\""))
                .env("BITBUCKET_STEP_OIDC_TOKEN", &token)
                .env("AWS_SECRET_ACCESS_KEY", "k/ey+key=")
                .secret("my own secret");
            let complaint = complaint(move || drop(pipe.run()));
            assert!(complaint.contains(kind), "{complaint}");
            assert!(!complaint.contains(&parts[2]) && !complaint.contains("my own secret"));
        }
    }

    #[test]
    fn files_and_standard_error_are_searched_too() {
        for (place, command) in [
            ("standard error", "echo $AWS_SESSION_TOKEN >&2"),
            (
                "storage/deep/report.json",
                "echo $AWS_SESSION_TOKEN >storage/deep/report.json",
            ),
            ("variables.env", "echo $AWS_SESSION_TOKEN >variables.env"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let at = |name: &str| directory.path().join(name).display().to_string();
            std::fs::create_dir_all(at("storage/deep")).unwrap();
            let pipe = script(&directory, command)
                .current_dir(directory.path())
                .env("BITBUCKET_PIPE_STORAGE_DIR", at("storage"))
                .env("BITBUCKET_PIPELINES_VARIABLES_PATH", at("variables.env"))
                .env("AWS_SESSION_TOKEN", "0123456789abcdef");
            let complaint = complaint(move || drop(pipe.run()));
            assert!(complaint.contains(place), "{complaint}");
        }
    }

    #[test]
    fn what_is_no_secret_may_be_printed() {
        let output = Pipe::new("/usr/bin/env")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .run();
        assert!(output.stdout.contains("AWS_SECRET_ACCESS_KEY=test"));
    }
}
