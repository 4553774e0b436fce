//! Two services with a task before them, under every fault of the table and under signals at random moments. `FAULTS=all`
//! tries the whole table (`ci/bench/faults.sh`), `KILLED_RUNS=200` more signals (`ci/bench/killed.sh`).

use std::time::Duration;

use serde_json::{Value, json};
use shared::testing::{
    Fault, Focus, Pipe, Proxy, Recorded, Reply, Subject, Things, Trap, kill, tried,
};

use crate::step::Step;

/// ECS waits by its own limits and not by one for the whole run: three attempts without an answer take three minutes.
const DEADLINE: Duration = Duration::from_mins(8);
const SERVICES: [&str; 2] = ["orders-shop", "orders-worker"];

/// Two services that run one image, and another one about to be deployed after a migration.
struct Services {
    step: Step,
    before: String,
}

impl Subject for Services {
    const PIPE: &'static str = "ecs-deploy";

    fn new(trap: Trap) -> Self {
        let step = Step::with(move |request| trap.fault(request).or_else(|| finished(request)));
        let before = step.register(&step.definition("web:1"));
        for name in SERVICES {
            step.service(name, &before);
        }
        Self { step, before }
    }

    fn pipe(&self) -> Pipe<'_> {
        self.step
            .pipe()
            .env("SERVICE_NAME", SERVICES.join(" "))
            .env("IMAGE", "web:2")
            .env("RUN_TASK_BEFORE", "./manage.py migrate")
            .env("RUN_TASK_BEFORE_TIMEOUT", "20")
            .env("WAIT", "true")
            .env("WAIT_TIMEOUT", "10")
    }

    fn proxy(&self) -> &Proxy {
        &self.step.proxy
    }

    fn call(request: &Recorded) -> String {
        request.operation()
    }

    fn things(&self) -> Things {
        let step = &self.step;
        let mut things = Things::new();
        for name in SERVICES {
            let live = step.live(name);
            things.insert(name.to_owned(), live["taskDefinition"].to_string());
        }
        let family = &step.family;
        let revisions = step.ecs("ListTaskDefinitions", &json!({"familyPrefix": family}));
        for arn in texts(&revisions["taskDefinitionArns"]) {
            things.insert(format!("{arn}|register {family}"), String::new());
        }
        // ECS starts one task for a token, however often it is asked for; the local AWS does not know tokens, so all that it
        // started for this one are one.
        let tasks = self.tasks();
        let ids = tasks.iter().filter_map(|arn| arn.rsplit('/').next());
        if !tasks.is_empty() {
            let ids = ids.collect::<Vec<_>>().join("|");
            things.insert(format!("{ids}|run task of {family}"), String::new());
        }
        things
    }

    fn is_wrong(&self, _: &Things) -> Option<String> {
        SERVICES.into_iter().find_map(|name| {
            let live = self.step.live_definition(name);
            let image = &live["containerDefinitions"][0]["image"];
            (*image != "web:2").then(|| format!("`{name}` runs {image}"))
        })
    }

    /// A revision for each run that could not know of the one before it is all there may be.
    fn left_behind(&self) -> Vec<String> {
        let family = &self.step.family;
        let revisions = self
            .step
            .ecs("ListTaskDefinitions", &json!({"familyPrefix": family}));
        let revisions = texts(&revisions["taskDefinitionArns"]);
        let mut left = Vec::new();
        if revisions.len() > 2 {
            left.push(format!("revisions {revisions:?}"));
        }
        let asked = self.step.bodies("RunTask");
        let mut tokens: Vec<String> = asked
            .iter()
            .map(|body| body["clientToken"].to_string())
            .collect();
        tokens.dedup();
        if tokens.len() > 1 {
            left.push(format!("tasks of the tokens {tokens:?}"));
        }
        left
    }

    /// No service runs what was not registered for it.
    fn is_broken(&self) -> Option<String> {
        SERVICES.into_iter().find_map(|name| {
            let live = self.step.live(name)["taskDefinition"].clone();
            let definition = self
                .step
                .ecs("DescribeTaskDefinition", &json!({"taskDefinition": live}));
            let image = &definition["taskDefinition"]["containerDefinitions"][0]["image"];
            let is_known = live == self.before.as_str() || image == "web:2";
            (!is_known).then(|| format!("`{name}` runs {live}"))
        })
    }
}

impl Services {
    fn tasks(&self) -> Vec<String> {
        let tasks = |status: &str| {
            let body = json!({"cluster": self.step.cluster, "startedBy": "bitbucket-7", "desiredStatus": status});
            texts(&self.step.ecs("ListTasks", &body)["taskArns"])
        };
        let mut arns = [tasks("RUNNING"), tasks("STOPPED")].concat();
        arns.sort();
        arns.dedup();
        arns
    }
}

fn texts(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten();
    texts
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

/// The local AWS runs no containers: a task has done its work as soon as it is looked at.
fn finished(request: &Recorded) -> Option<Fault> {
    if request.operation() != "DescribeTasks" {
        return None;
    }
    let asked = texts(&request.json()["tasks"]);
    let tasks = asked.into_iter().map(|arn| {
        json!({"taskArn": arn, "lastStatus": "STOPPED", "desiredStatus": "STOPPED",
            "stopCode": "EssentialContainerExited", "containers": [{"name": "web", "exitCode": 0}]})
    });
    let answer = json!({"tasks": tasks.collect::<Vec<_>>(), "failures": []});
    Some(Reply::json(&answer).into_fault())
}

#[test]
fn services_under_faults() {
    tried::<Services>(Focus::here("UpdateService"), DEADLINE);
}

#[test]
fn services_whose_deploys_are_killed() {
    kill::<Services>(10, DEADLINE);
}

/// A name that nobody knows, for STS and for ECS alone: said before anything is changed.
#[test]
fn a_host_that_cannot_be_found_is_said() {
    let services = Services::new(Trap::default());
    let before = services.things();
    for name in ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_ECS"] {
        let pipe = services.pipe().env(name, "https://aws.invalid");
        let output = pipe.env("AWS_MAX_ATTEMPTS", "2").run();
        let plain = output.plain();
        assert_eq!(output.code, Some(1), "{plain}");
        assert!(plain.contains("dns error"), "{plain}");
        assert!(plain.ends_with("  nothing was changed\n"), "{plain}");
        assert_eq!(services.things(), before);
    }
}
