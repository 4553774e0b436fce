//! Shifting in steps: the weights in order, the way back at each step, by a breach, a signal or a deadline, and what a
//! run that was killed leaves for the next.

use serde_json::{Value, json};
use shared::testing::{Call, Output, Pipe, Reply, Timeline};

use crate::step::{Step, failed, last_line, succeeded};

fn figures(invocations: f64, errors: f64) -> Reply {
    Reply::json(&json!({"MetricDataResults": [
        {"Id": "q0", "Values": [invocations]},
        {"Id": "q1", "Values": [errors]},
        {"Id": "q2", "Values": []},
        {"Id": "q3", "Values": [120.5]},
    ]}))
}

fn alarm(state: &str) -> Reply {
    Reply::json(&json!({"CompositeAlarms": [], "MetricAlarms": [
        {"AlarmName": "orders-5xx", "StateValue": state, "StateReason": "Threshold Crossed"},
    ]}))
}

fn put_alias(function: &str) -> String {
    format!("PUT /2015-03-31/functions/{function}/aliases/live")
}

/// A function with version 1 live; CloudWatch is the script's.
fn step(script: impl FnOnce(Timeline, &str) -> Timeline) -> Step {
    let step = Step::scripted(|timeline, function| {
        let timeline = timeline
            .on("GetMetricData", [figures(100.0, 0.0)])
            .on("DescribeAlarms", [alarm("OK")]);
        script(timeline, function)
    });
    succeeded(&step.deploy("first of all").run());
    step.proxy.clear();
    step
}

fn canary(step: &Step) -> Pipe<'_> {
    step.deploy("second")
        .env("CANARY", "10% 1s, 50% 1s, 100% 1s")
}

/// Version and weights of each change of the alias.
fn shifts(step: &Step) -> Vec<Value> {
    let sent = step.proxy.bodies(&put_alias(&step.function));
    let shown = sent.iter().map(|body| {
        json!([
            body["FunctionVersion"],
            body["RoutingConfig"]["AdditionalVersionWeights"]
        ])
    });
    shown.collect()
}

#[track_caller]
fn is_back(step: &Step) {
    let alias = step.alias("live");
    assert_eq!(alias["FunctionVersion"], "1", "{alias}");
    assert_eq!(alias["RoutingConfig"], Value::Null, "{alias}");
    assert_eq!(alias["Description"], "[lambda-deploy: rolled back from 2]");
}

#[test]
fn traffic_is_shifted_step_by_step() {
    let step = step(|timeline, _| timeline);
    let output = canary(&step).env("ALARMS", "orders-5xx").run();
    let plain = succeeded(&output);
    assert_eq!(
        shifts(&step),
        [
            json!(["1", {"2": 0.1}]),
            json!(["1", {"2": 0.5}]),
            json!(["2", {}]),
            json!(["2", {}]),
        ]
    );
    let descriptions: Vec<String> = step
        .proxy
        .bodies(&put_alias(&step.function))
        .iter()
        .map(|body| body["Description"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        descriptions[0].starts_with("[lambda-deploy: canary 2 after 1, run orders#7, until 20"),
        "{descriptions:?}"
    );
    assert_eq!(descriptions[3], "[lambda-deploy: 2, previous 1]");
    assert!(
        plain.contains(&format!(
            "version 2 of `{}`: 100 invocations, 0 errors, 0 throttles, p95 120 ms",
            step.function
        )),
        "{plain}"
    );
    assert!(
        last_line(&output).ends_with("alias `live` is at version 2 (before: 1)"),
        "{plain}"
    );
    // The version's own figures, as Lambda counts them for a split alias.
    let asked = step.proxy.bodies("GetMetricData");
    let dimensions = asked[1]["MetricDataQueries"][1]["MetricStat"]["Metric"]["Dimensions"].clone();
    let resource = format!("{}:live", step.function);
    assert_eq!(
        dimensions,
        json!([{"Name": "FunctionName", "Value": step.function}, {"Name": "Resource", "Value": resource},
            {"Name": "ExecutedVersion", "Value": "2"}])
    );
}

#[test]
fn a_breach_at_each_step_goes_back_at_once() {
    for (number, share) in [(1, "10%"), (2, "50%"), (3, "100%")] {
        let step = step(|timeline, function| {
            let at = Call::to("GetMetricData").after_nth(number, &put_alias(function));
            timeline.on(at, [figures(100.0, 7.0)])
        });
        let output = canary(&step).run();
        let plain = failed(&output);
        assert!(
            plain.contains(&format!(
                "✖ version 2 of `{}` did badly with {share} of the traffic: 7 of 100 invocations ended in an error, 7%, and CANARY_ERRORS is 1%",
                step.function
            )),
            "{plain}"
        );
        assert!(
            plain.contains(&format!(
                "alias `live` of `{}` is back at version 1",
                step.function
            )),
            "{plain}"
        );
        assert_eq!(shifts(&step).len(), number + 1, "{plain}");
        is_back(&step);
    }
}

#[test]
fn a_signal_at_each_step_goes_back_at_once() {
    for printed in [
        "with 10% of the traffic on version 2, for 30s",
        "with 50% of the traffic on version 2, for 30s",
        "is at version 2, for 30s",
    ] {
        let step = step(|timeline, _| timeline);
        let steps = match printed {
            text if text.contains("10%") => "10% 30s",
            text if text.contains("50%") => "10% 1s, 50% 30s",
            _ => "10% 1s, 100% 30s",
        };
        let running = step.deploy("second").env("CANARY", steps).spawn();
        running.until_printed(printed);
        running.signal("TERM");
        let output = running.wait();
        let plain = failed(&output);
        assert!(
            plain.contains(&format!(
                "WARNING: alias `live` of `{}` is back at version 1",
                step.function
            )),
            "{plain}"
        );
        assert!(plain.contains("✖ interrupted by SIGTERM"), "{plain}");
        is_back(&step);
    }
}

#[test]
fn the_deadline_goes_back_too() {
    let step = step(|timeline, function| {
        let path = put_alias(function);
        timeline.on(
            Call::to("GetMetricData").after(&path),
            [Reply::from(|_| {
                figures(1.0, 0.0).late(std::time::Duration::from_secs(50))
            })],
        )
    });
    let output = step
        .deploy("second")
        .env("CANARY", "10% 2s")
        .env("DEPLOY_TIMEOUT", "25")
        .run();
    let plain = failed(&output);
    assert!(
        plain.contains("✖ gave up after 25 s, the limit that DEPLOY_TIMEOUT sets"),
        "{plain}"
    );
    is_back(&step);
}

#[test]
fn an_alarm_goes_back_and_one_that_has_gone_off_before_changes_nothing() {
    let step = step(|timeline, function| {
        let at = Call::to("DescribeAlarms").after(&put_alias(function));
        timeline.on(at, [alarm("OK"), alarm("ALARM")])
    });
    let output = canary(&step).env("ALARMS", "orders-5xx").run();
    let plain = failed(&output);
    assert!(
        plain.contains("✖ CloudWatch alarm `orders-5xx` is in alarm: Threshold Crossed"),
        "{plain}"
    );
    is_back(&step);
    // It still is in alarm.
    step.proxy.clear();
    let output = step
        .deploy("third")
        .env("CANARY", "10% 1s")
        .env("ALARMS", "orders-5xx")
        .run();
    let plain = failed(&output);
    assert!(plain.contains("is in alarm"), "{plain}");
    assert_eq!(last_line(&output), "  nothing was changed");
    let output = step
        .deploy("third")
        .env("CANARY", "10% 1s")
        .env("ALARMS", "orders-4xx")
        .run();
    assert!(failed(&output).contains("✖ there is no CloudWatch alarm `orders-4xx`"));
}

#[test]
fn what_cannot_be_watched_is_not_begun() {
    let denied = "User: x is not authorized to perform: cloudwatch:GetMetricData";
    let step = step(|timeline, _| {
        timeline.on(
            "GetMetricData",
            [Reply::error(403, "AccessDeniedException", denied)],
        )
    });
    let output = canary(&step).run();
    let plain = failed(&output);
    assert!(
        plain.contains("hint: allow `cloudwatch:GetMetricData`"),
        "{plain}"
    );
    assert_eq!(last_line(&output), "  nothing was changed");
}

/// A run that was killed at 10 %: nothing could clean up after it.
fn killed() -> Step {
    let step = step(|timeline, _| timeline);
    let running = step
        .deploy("second")
        .env("CANARY", "10% 30s, 50% 30s")
        .spawn();
    running.until_printed("with 10% of the traffic on version 2");
    running.signal("KILL");
    let output: Output = running.wait();
    assert_eq!(output.code, None);
    assert_eq!(
        step.alias("live")["RoutingConfig"],
        json!({"AdditionalVersionWeights": {"2": 0.1}})
    );
    step.proxy.clear();
    step
}

#[test]
fn a_killed_run_is_picked_up_by_the_same_step() {
    let step = killed();
    let output = canary(&step).run();
    let plain = succeeded(&output);
    assert!(
        plain.contains("Picking up the shift of an earlier run at 10%"),
        "{plain}"
    );
    assert_eq!(step.versions(), ["1", "2"]);
    assert_eq!(
        shifts(&step),
        [
            json!(["1", {"2": 0.1}]),
            json!(["1", {"2": 0.5}]),
            json!(["2", {}]),
            json!(["2", {}])
        ]
    );
}

#[test]
fn a_killed_run_is_undone_by_rollback() {
    let step = killed();
    let output = step
        .pipe()
        .env("COMMAND", "rollback")
        .env("ALIAS", "live")
        .run();
    let plain = succeeded(&output);
    assert!(
        plain.contains("it had all traffic before the shift"),
        "{plain}"
    );
    is_back(&step);
}

#[test]
fn another_build_waits_for_a_shift_that_may_be_alive() {
    let step = killed();
    let other = || step.deploy("third").env("BITBUCKET_BUILD_NUMBER", "8");
    let output = other().run();
    let plain = failed(&output);
    assert!(
        plain.contains("✖ another deploy is shifting alias `live`: run orders#7 from version 1 to 2, in a step that ends at"),
        "{plain}"
    );
    assert_eq!(last_line(&output), "  nothing was changed");
    let output = other().env("FORCE", "true").run();
    succeeded(&output);
    assert!(
        last_line(&output).ends_with("alias `live` is at version 3 (before: 1)"),
        "{}",
        output.plain()
    );
}
