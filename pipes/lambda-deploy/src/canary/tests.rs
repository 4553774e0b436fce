use std::time::UNIX_EPOCH;

use super::*;
use crate::live::Routing;

const NOW: u64 = 1_796_083_200;

fn at(offset: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW.saturating_add_signed(offset))
}

fn run(name: &str) -> Run {
    Run {
        name: name.to_owned(),
        now: at(0),
        force: false,
    }
}

fn alias(version: &str, split: Option<(&str, f64)>, mark: Option<Mark>) -> Alias {
    Alias {
        name: "live".to_owned(),
        function_version: version.to_owned(),
        description: Description {
            text: String::new(),
            mark,
        }
        .to_string(),
        routing_config: split.map(|(version, share)| Routing {
            additional_version_weights: [(version.to_owned(), share)].into(),
        }),
        ..Alias::default()
    }
}

fn canary(until: i64) -> Mark {
    Mark::Canary(Canary {
        to: "9".to_owned(),
        from: "7".to_owned(),
        run: "orders#12".to_owned(),
        until: at(until),
    })
}

fn started(alias: &Alias, to: &str, run: &Run) -> (String, f64) {
    let start = start(alias, to, run).unwrap_or_else(|failure| panic!("{failure}"));
    (start.from, start.share.0)
}

#[test]
fn steps_are_read_as_people_write_them() {
    let steps = Steps::from_text("10% 5m, 50% 10m,100% 90s").unwrap();
    let shown: Vec<String> = steps.0.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10% for 5m", "50% for 10m", "100% for 90s"]);
    assert_eq!(steps.time(), Duration::from_secs(990));
    for wrong in [
        "",
        "10%",
        "10 5m",
        "10% 5",
        "10% 0s",
        "0% 5m",
        "50% 5m, 10% 5m",
        "50% 5m, 50% 5m",
        "110% 5m",
        "10% 5m 3",
        "10% m",
    ] {
        assert!(Steps::from_text(wrong).is_err(), "{wrong:?} was taken");
    }
}

#[test]
fn a_move_starts_where_the_alias_is() {
    let plain = alias("7", None, None);
    assert_eq!(
        started(&plain, "9", &run("orders#13")),
        ("7".to_owned(), 0.0)
    );
    assert_eq!(
        started(&plain, "7", &run("orders#13")),
        ("7".to_owned(), 1.0)
    );
}

#[test]
fn a_shift_that_was_left_behind_is_picked_up_or_undone() {
    let killed = alias("7", Some(("9", 0.1)), Some(canary(-1)));
    // The same version goes on from its share; another one begins at the old version again.
    assert_eq!(
        started(&killed, "9", &run("orders#13")),
        ("7".to_owned(), 0.1)
    );
    assert_eq!(
        started(&killed, "10", &run("orders#13")),
        ("7".to_owned(), 0.0)
    );
    // So does one whose last step had all traffic.
    let full = alias("9", None, Some(canary(-1)));
    assert_eq!(
        started(&full, "9", &run("orders#13")),
        ("7".to_owned(), 1.0)
    );
    assert_eq!(
        started(&full, "10", &run("orders#13")),
        ("7".to_owned(), 0.0)
    );
}

#[test]
fn a_shift_that_is_under_way_is_left_alone() {
    let alive = alias("7", Some(("9", 0.1)), Some(canary(60)));
    let refused = start(&alive, "10", &run("orders#13"))
        .unwrap_err()
        .to_string();
    assert!(
        refused.starts_with(
            "another deploy is shifting alias `live`: run orders#12 from version 7 to 9"
        ),
        "{refused}"
    );
    // The step that is run again has the same name, and FORCE is an answer too.
    assert_eq!(
        started(&alive, "9", &run("orders#12")),
        ("7".to_owned(), 0.1)
    );
    let forced = Run {
        force: true,
        ..run("orders#13")
    };
    assert_eq!(started(&alive, "10", &forced), ("7".to_owned(), 0.0));
}

#[test]
fn a_split_of_somebody_else_is_refused_and_a_stale_mark_is_nothing() {
    let foreign = alias("7", Some(("8", 0.5)), None);
    let refused = start(&foreign, "9", &run("orders#13"))
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("version 7 with 50% of the traffic on version 8"),
        "{refused}"
    );
    // Somebody has moved it by hand since: the description stayed.
    let moved = alias("8", None, Some(canary(60)));
    assert_eq!(
        started(&moved, "9", &run("orders#13")),
        ("8".to_owned(), 0.0)
    );
}

#[test]
fn the_step_in_which_a_shift_was_starts_again() {
    let steps = Steps::from_text("10% 5m, 50% 10m").unwrap();
    let shares = |share: f64| -> Vec<f64> {
        let left = steps.from(Share(share));
        left.iter().map(|step| step.share.0).collect()
    };
    assert_eq!(shares(0.0), [0.1, 0.5]);
    assert_eq!(shares(0.1), [0.1, 0.5]);
    assert_eq!(shares(0.2), [0.5]);
    assert_eq!(shares(1.0), [] as [f64; 0]);
}

#[test]
fn figures_breach_what_they_exceed() {
    let limits = Thresholds {
        errors: Share(0.01),
        throttles: Share(0.05),
        duration: Some(Duration::from_millis(800)),
    };
    let figures = |invocations, errors, throttles, duration| Figures {
        invocations,
        errors,
        throttles,
        duration,
    };
    for fine in [
        figures(0.0, 0.0, 0.0, None),
        figures(100.0, 1.0, 0.0, Some(800.0)),
        figures(95.0, 0.0, 5.0, None),
    ] {
        assert_eq!(fine.breach(&limits), None, "{fine}");
    }
    insta::assert_snapshot!(figures(100.0, 2.0, 0.0, None).breach(&limits).unwrap(),
        @"2 of 100 invocations ended in an error, 2%, and CANARY_ERRORS is 1%");
    insta::assert_snapshot!(figures(0.0, 0.0, 3.0, None).breach(&limits).unwrap(),
        @"3 of 3 requests were throttled, 100%, and CANARY_THROTTLES is 5%");
    insta::assert_snapshot!(figures(10.0, 0.0, 0.0, Some(801.0)).breach(&limits).unwrap(),
        @"the 95th percentile of its duration was 801 ms in a minute, and CANARY_DURATION is 800 ms");
    // CloudWatch may know of an error before it knows of the invocation.
    assert!(figures(0.0, 1.0, 0.0, None).breach(&limits).is_some());
}
