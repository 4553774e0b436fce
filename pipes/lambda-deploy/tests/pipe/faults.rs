//! A function whose alias is shifted in steps, under every fault of the table and under signals at random moments.
//! `FAULTS=all` tries the whole table (`ci/bench/faults.sh`), `KILLED_RUNS=200` more signals (`ci/bench/killed.sh`).

use std::time::Duration;

use serde_json::{Value, json};
use shared::testing::{
    Fault, Focus, Pipe, Proxy, Recorded, Reply, Subject, Things, Trap, kill, tried,
};

use crate::step::{Step, succeeded, text_of};

/// Longer than DEPLOY_TIMEOUT and the cleaning up after it.
const DEADLINE: Duration = Duration::from_secs(58);

/// Version 1 live, and new code and memory about to become version 2, after a smoke test and half of the traffic.
struct Function(Step);

impl Function {
    fn deploy(&self, word: &str, memory: &str) -> Pipe<'_> {
        self.0
            .deploy(word)
            .env("MEMORY_SIZE", memory)
            .env("WAIT_TIMEOUT", "60")
    }
}

impl Subject for Function {
    const PIPE: &'static str = "lambda-deploy";

    fn new(trap: Trap) -> Self {
        let step = Step::hooked(move |request| trap.fault(request).or_else(|| figures(request)));
        step.file("event.json", "{}");
        let function = Self(step);
        succeeded(&function.deploy("old", "128").run());
        function
    }

    fn pipe(&self) -> Pipe<'_> {
        self.deploy("new", "256")
            .env("SMOKE_TEST", "event.json")
            .env("SMOKE_EXPECT", "$.body.word=new")
            .env("CANARY", "50% 1s, 100% 1s")
            .env("DEPLOY_TIMEOUT", "30")
    }

    fn proxy(&self) -> &Proxy {
        &self.0.proxy
    }

    fn call(request: &Recorded) -> String {
        let operation = request.operation();
        let Some((method, path)) = operation.split_once(" /2015-03-31/functions/") else {
            return operation;
        };
        let rest = path.split('/').nth(1).unwrap_or("function");
        format!("{method} {rest}")
    }

    fn things(&self) -> Things {
        let name = &self.0.function;
        let live = self.0.configuration(name);
        let alias = self.0.alias("live");
        let mut things = Things::from([
            (format!("the code of {name}"), text_of(&live["CodeSha256"])),
            (
                format!("the configuration of {name}"),
                live["MemorySize"].to_string(),
            ),
            (format!("alias {name}:live"), text_of(&alias["RevisionId"])),
        ]);
        for version in self.0.versions() {
            let shown = format!("{name} version {version}|a version of {name}");
            things.insert(shown, String::new());
        }
        things
    }

    fn is_wrong(&self, _: &Things) -> Option<String> {
        let (step, alias) = (&self.0, self.0.alias("live"));
        let versions = step.versions();
        if versions != ["1", "2"] {
            return Some(format!("there are the versions {versions:?}"));
        }
        if alias["FunctionVersion"] != "2" || !weights(&alias).is_null() {
            return Some(format!("the alias is {alias}"));
        }
        let version = step.configuration(&format!("{}:2", step.function));
        (version["MemorySize"] != 256).then(|| format!("version 2 is {version}"))
    }

    fn left_behind(&self) -> Vec<String> {
        let alias = self.0.alias("live");
        let is_half = !weights(&alias).is_null();
        Vec::from_iter(is_half.then(|| format!("an alias between versions: {alias}")))
    }

    /// No version has traffic that has not answered the smoke test.
    fn is_broken(&self) -> Option<String> {
        let alias = self.0.alias("live");
        let mut serving = vec![text_of(&alias["FunctionVersion"])];
        if let Some(weights) = weights(&alias).as_object() {
            serving.extend(weights.keys().cloned());
        }
        let requests = self.0.proxy.requests();
        serving
            .into_iter()
            .filter(|version| version != "1")
            .find(|version| {
                !requests.iter().any(|request| {
                    request.path.ends_with("/invocations")
                        && request.query == format!("Qualifier={version}")
                        && request.status == Some(200)
                })
            })
            .map(|version| format!("version {version} has traffic and was not tested: {alias}"))
    }

    /// A function that was invoked has a process of its own, of 20 MB.
    fn discard(&self) {
        let path = format!("/2015-03-31/functions/{}", self.0.function);
        self.0.call("DELETE", &path, &Value::Null);
    }
}

fn weights(alias: &Value) -> Value {
    let weights = &alias["RoutingConfig"]["AdditionalVersionWeights"];
    match weights.as_object() {
        Some(weights) if weights.is_empty() => Value::Null,
        _ => weights.clone(),
    }
}

/// A new version that does well: the local AWS has no figures.
fn figures(request: &Recorded) -> Option<Fault> {
    let series = |id: &str, value: f64| json!({"Id": id, "Values": [value]});
    let reply = Reply::json(&json!({"MetricDataResults": [
        series("q0", 100.0), series("q1", 0.0), series("q2", 0.0), series("q3", 1.0),
    ]}));
    (request.operation() == "GetMetricData").then(|| reply.into_fault())
}

#[test]
fn a_function_under_faults() {
    tried::<Function>(Focus::here("PUT aliases"), DEADLINE);
}

#[test]
fn a_function_whose_deploys_are_killed() {
    kill::<Function>(10, DEADLINE);
}

/// A name that nobody knows, for STS and for Lambda alone: said before anything is changed.
#[test]
fn a_host_that_cannot_be_found_is_said() {
    let function = Function::new(Trap::default());
    let before = function.things();
    for name in ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_LAMBDA"] {
        let pipe = function.pipe().env(name, "https://aws.invalid");
        let output = pipe.env("AWS_MAX_ATTEMPTS", "2").run();
        let plain = output.plain();
        assert_eq!(output.code, Some(1), "{plain}");
        assert!(plain.contains("dns error"), "{plain}");
        assert!(plain.ends_with("  nothing was changed\n"), "{plain}");
        assert_eq!(function.things(), before);
    }
}
