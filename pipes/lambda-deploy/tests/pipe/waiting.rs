//! Timelines that no local AWS shows: slow and failed updates, conflicts, versions that never become active.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::testing::{Call, Reply, Timeline};

use crate::step::{Step, failed, last_line, succeeded};

/// A configuration of the function at a moment of its update.
pub fn live(function: &str, members: &Value) -> Value {
    let mut document = json!({
        "FunctionName": function, "Version": "$LATEST", "State": "Active", "LastUpdateStatus": "Successful",
        "FunctionArn": format!("arn:aws:lambda:us-east-1:000000000000:function:{function}"),
        "CodeSha256": "old", "MemorySize": 128, "RevisionId": "r1", "PackageType": "Zip", "Role": "arn:aws:iam::000000000000:role/x",
        "Handler": "app.handler", "Runtime": "python3.12",
    });
    for (name, value) in members.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

/// A function of the script alone: what is not said here is as after the update before.
pub struct Script {
    pub timeline: Timeline,
    pub function: String,
}

impl Script {
    pub fn new(timeline: Timeline, function: &str) -> Self {
        let script = Self {
            timeline,
            function: function.to_owned(),
        };
        let start = json!({"Configuration": live(function, &json!({})), "Code": {}, "Tags": {}});
        script.on("GET", "", [Reply::json(&start)])
    }

    pub fn on(
        mut self,
        method: &str,
        path: &str,
        replies: impl IntoIterator<Item = Reply>,
    ) -> Self {
        let call = Call::to(&self.path(method, path));
        self.timeline = self.timeline.on(call, replies);
        self
    }

    pub fn after(
        mut self,
        after: (&str, &str),
        method: &str,
        path: &str,
        replies: impl IntoIterator<Item = Reply>,
    ) -> Self {
        let call = Call::to(&self.path(method, path)).after(&self.path(after.0, after.1));
        self.timeline = self.timeline.on(call, replies);
        self
    }

    pub fn path(&self, method: &str, path: &str) -> String {
        format!("{method} /2015-03-31/functions/{}{path}", self.function)
    }
}

fn memory(step: &Step) -> shared::testing::Pipe<'_> {
    step.pipe()
        .env("COMMAND", "update")
        .env("MEMORY_SIZE", "256")
        .env("PUBLISH_FLAG", "false")
}

fn step(script: impl FnOnce(Script, &str) -> Script) -> Step {
    Step::unmade(|timeline, function| script(Script::new(timeline, function), function).timeline)
}

#[test]
fn a_slow_update_is_waited_for() {
    let step = step(|script, function| {
        let at = |members: Value| Reply::json(&live(function, &members));
        script
            .on("PUT", "/configuration", [at(json!({"MemorySize": 256, "LastUpdateStatus": "InProgress", "RevisionId": "r2"}))])
            .on("GET", "/configuration", [
                at(json!({"MemorySize": 256, "LastUpdateStatus": "InProgress", "RevisionId": "r2"})).times(3),
                at(json!({"MemorySize": 256, "RevisionId": "r3"})),
            ])
    });
    let output = memory(&step).run();
    succeeded(&output);
    assert_eq!(
        step.requests(),
        [
            "GET",
            "PUT /configuration",
            "GET /configuration",
            "GET /configuration",
            "GET /configuration",
            "GET /configuration"
        ]
    );
}

#[test]
fn a_failed_update_ends_at_once_with_the_reason_of_aws() {
    let step = step(|script, function| {
        let failed = live(
            function,
            &json!({"MemorySize": 256, "LastUpdateStatus": "Failed",
            "LastUpdateStatusReasonCode": "SubnetOutOfIPAddresses", "LastUpdateStatusReason": "no address left"}),
        );
        script
            .on("PUT", "/configuration", [Reply::json(&failed)])
            .on("GET", "/configuration", [Reply::json(&failed)])
    });
    let start = Instant::now();
    let output = memory(&step).run();
    let plain = failed(&output);
    assert!(
        plain.contains(&format!(
            "✖ the update of `{}` failed: SubnetOutOfIPAddresses: no address left\n  hint: ",
            step.function
        )),
        "{plain}"
    );
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(
        last_line(&output).starts_with("  changed before that: changed 1 (`the configuration of "),
        "{plain}"
    );
}

#[test]
fn an_update_that_failed_before_is_no_reason_not_to_repair_it() {
    let step = step(|script, function| {
        let before = live(
            function,
            &json!({"LastUpdateStatus": "Failed", "LastUpdateStatusReason": "before"}),
        );
        script
            .on("GET", "", [Reply::json(&json!({"Configuration": before}))])
            .on(
                "PUT",
                "/configuration",
                [Reply::json(&live(function, &json!({"MemorySize": 256})))],
            )
            .on(
                "GET",
                "/configuration",
                [Reply::json(&live(function, &json!({"MemorySize": 256})))],
            )
    });
    succeeded(&memory(&step).run());
}

const CONFLICT: &str =
    "The operation cannot be performed at this time. An update is in progress for resource: x";

#[test]
fn a_storm_of_conflicts_is_weathered() {
    let step = step(|script, function| {
        let at = |members: Value| Reply::json(&live(function, &members));
        script
            .on(
                "PUT",
                "/configuration",
                [
                    Reply::error(409, "ResourceConflictException", CONFLICT).times(3),
                    at(json!({"MemorySize": 256, "RevisionId": "r9"})),
                ],
            )
            .on(
                "GET",
                "/configuration",
                [
                    at(json!({"LastUpdateStatus": "InProgress", "RevisionId": "r2"})),
                    at(json!({"RevisionId": "r3"})).times(3),
                    at(json!({"MemorySize": 256, "RevisionId": "r9"})),
                ],
            )
    });
    succeeded(&memory(&step).run());
    // Each try depends on the revision of its moment.
    let sent = step.proxy.bodies(&format!(
        "PUT /2015-03-31/functions/{}/configuration",
        step.function
    ));
    let revisions: Vec<&str> = sent
        .iter()
        .map(|body| body["RevisionId"].as_str().unwrap())
        .collect();
    assert_eq!(revisions, ["r1", "r3", "r3", "r3"]);
}

#[test]
fn a_storm_that_does_not_end_is_left_at_the_deadline() {
    let step = step(|script, function| {
        script
            .on(
                "PUT",
                "/configuration",
                [Reply::error(409, "ResourceConflictException", CONFLICT)],
            )
            .on(
                "GET",
                "/configuration",
                [Reply::json(&live(function, &json!({})))],
            )
    });
    let output = memory(&step).env("WAIT_TIMEOUT", "3").run();
    let plain = failed(&output);
    assert!(
        plain.contains("could not change the configuration of")
            && plain.contains("tried again for"),
        "{plain}"
    );
    assert!(
        plain.contains("hint: another change of this function is still under way; WAIT_TIMEOUT"),
        "{plain}"
    );
    assert_eq!(last_line(&output), "  nothing was changed");
}

#[test]
fn an_update_that_never_ends_is_left_at_the_deadline_with_what_was_seen() {
    let step = step(|script, function| {
        let pending = live(
            function,
            &json!({"MemorySize": 256, "State": "Pending", "StateReasonCode": "Creating", "LastUpdateStatus": "InProgress"}),
        );
        script
            .on("PUT", "/configuration", [Reply::json(&pending)])
            .on("GET", "/configuration", [Reply::json(&pending)])
    });
    let output = memory(&step).env("WAIT_TIMEOUT", "2").run();
    let plain = failed(&output);
    assert!(
        plain.contains(&format!(
            "✖ gave up waiting for the update in progress of `{}` after 2 s: State Pending (Creating), LastUpdateStatus InProgress",
            step.function
        )),
        "{plain}"
    );
}

/// A script in which version 1 is published, and is then so.
fn publishing(version: &Value) -> Step {
    step(|script, function| {
        let at = |members: Value| Reply::json(&live(function, &members));
        let published = live(function, version);
        script
            .on("PUT", "/configuration", [at(json!({"MemorySize": 256}))])
            .on(
                "GET",
                "/configuration",
                [
                    at(json!({"MemorySize": 256})),
                    at(json!({"MemorySize": 256})),
                    Reply::json(&published),
                ],
            )
            .on("GET", "/versions", [Reply::json(&json!({"Versions": []}))])
            .on(
                "GET",
                "/aliases/live",
                [Reply::error(404, "ResourceNotFoundException", "no alias")],
            )
            .on("POST", "/versions", [Reply::json(&published).status(201)])
    })
}

fn deploying(step: &Step) -> shared::testing::Pipe<'_> {
    step.pipe()
        .env("COMMAND", "deploy")
        .env("MEMORY_SIZE", "256")
        .env("ALIAS", "live")
}

#[test]
fn a_version_that_never_becomes_active_gets_no_traffic() {
    let step = publishing(
        &json!({"Version": "1", "MemorySize": 256, "State": "Pending", "StateReasonCode": "Creating", "LastUpdateStatus": "Successful"}),
    );
    let output = deploying(&step).env("WAIT_TIMEOUT", "2").run();
    let plain = failed(&output);
    assert!(
        plain.contains(&format!(
            "✖ gave up waiting for version 1 of `{}` to become active after 2 s: State Pending (Creating)",
            step.function
        )),
        "{plain}"
    );
    assert!(plain.contains("hint: no traffic was moved"), "{plain}");
    assert_eq!(step.changes(), ["PUT /configuration", "POST /versions"]);
}

/// "After you enable SnapStart … publish a version … State is Pending while the snapshot is made" (Lambda developer guide).
#[test]
fn a_version_with_snap_start_gets_traffic_when_its_snapshot_is_there() {
    let version = |state: &str, optimized: &str| {
        json!({"Version": "1", "MemorySize": 256, "State": state,
            "SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": optimized}})
    };
    let step = step(|script, function| {
        let at = |members: Value| Reply::json(&live(function, &members));
        let configured = json!({"MemorySize": 256, "SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}});
        let alias = json!({"Name": "live", "FunctionVersion": "1", "RevisionId": "a1"});
        script
            .on("PUT", "/configuration", [at(configured.clone())])
            .on(
                "GET",
                "/configuration",
                [
                    at(configured.clone()),
                    at(configured),
                    at(version("Pending", "Off")).times(3),
                    at(version("Active", "On")),
                ],
            )
            .on("GET", "/versions", [Reply::json(&json!({"Versions": []}))])
            .on(
                "GET",
                "/aliases/live",
                [Reply::error(404, "ResourceNotFoundException", "no alias")],
            )
            .on(
                "POST",
                "/versions",
                [at(version("Pending", "Off")).status(201)],
            )
            .on("POST", "/aliases", [Reply::json(&alias).status(201)])
    });
    let output = deploying(&step).run();
    let plain = succeeded(&output);
    assert!(
        plain.contains(&format!(
            "Waiting for the snapshot of version 1 of `{}`, which takes minutes",
            step.function
        )),
        "{plain}"
    );
    assert_eq!(
        step.changes(),
        ["PUT /configuration", "POST /versions", "POST /aliases"]
    );
    let requests = step.requests();
    let published = requests
        .iter()
        .position(|each| each == "POST /versions")
        .unwrap();
    let pointed = requests
        .iter()
        .position(|each| each == "POST /aliases")
        .unwrap();
    let looks = requests[published..pointed]
        .iter()
        .filter(|each| *each == "GET /configuration?Qualifier=1");
    assert_eq!(looks.count(), 4, "{requests:?}");
}

#[test]
fn a_version_that_fails_gets_no_traffic() {
    let step = publishing(
        &json!({"Version": "1", "MemorySize": 256, "State": "Failed", "StateReasonCode": "FunctionError", "StateReason": "init failed"}),
    );
    let output = deploying(&step).run();
    let plain = failed(&output);
    assert!(
        plain.contains(&format!(
            "✖ version 1 of `{}` cannot become active: FunctionError: init failed",
            step.function
        )),
        "{plain}"
    );
    assert_eq!(step.changes(), ["PUT /configuration", "POST /versions"]);
}

#[test]
fn a_signal_while_waiting_says_what_was_changed() {
    let step = step(|script, function| {
        let pending = live(
            function,
            &json!({"MemorySize": 256, "LastUpdateStatus": "InProgress"}),
        );
        script
            .on("PUT", "/configuration", [Reply::json(&pending)])
            .on("GET", "/configuration", [Reply::json(&pending)])
    });
    let running = memory(&step).spawn();
    let path = format!("/2015-03-31/functions/{}/configuration", step.function);
    running.until_printed(&format!("GET {}{path}: 200", step.proxy.endpoint()));
    running.signal("TERM");
    let output = running.wait();
    let plain = failed(&output);
    assert!(plain.contains("✖ interrupted by SIGTERM"), "{plain}");
    assert_eq!(
        last_line(&output),
        format!(
            "  changed before that: changed 1 (`the configuration of {}`)",
            step.function
        )
    );
}
