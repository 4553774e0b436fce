use std::time::SystemTime;

use shared::Environment;

use super::*;
use crate::config::{Command, Config};
use shared::{Faults, Settings};

fn configuration(document: Value) -> Configuration {
    serde_json::from_value(document).unwrap()
}

fn seen(latest_memory: u32, alias: Option<&str>) -> Seen {
    let of = |version: &str, memory: u32| {
        configuration(
            json!({"Version": version, "CodeSha256": "sha", "MemorySize": memory, "Role": "role"}),
        )
    };
    Seen {
        function: Some(Function {
            configuration: of("$LATEST", latest_memory),
            tags: [
                ("team".to_owned(), "web".to_owned()),
                ("aws:stack".to_owned(), "x".to_owned()),
            ]
            .into(),
            ..Function::default()
        }),
        versions: vec![of("7", 128), of("8", 256)],
        alias: alias.map(|version| Alias {
            name: "live".to_owned(),
            function_version: version.to_owned(),
            ..Alias::default()
        }),
    }
}

fn planned<const N: usize>(
    pairs: [(&str, &str); N],
    seen: &Seen,
) -> Result<(Plan, String), String> {
    let mut faults = Faults::default();
    let config = Config::new(Environment::from(pairs).read(), &mut faults);
    assert!(faults.is_empty(), "{faults}");
    let Some(Command::Change(change)) = config.map(|config| config.command) else {
        panic!("a change")
    };
    let desired = change
        .wishes
        .load(&["orders".to_owned()], &Environment::default())
        .unwrap();
    let run = Run {
        name: "orders#7".to_owned(),
        now: SystemTime::now(),
        force: false,
    };
    let wish = Wish {
        change: &change,
        desired: &desired,
        source: None,
        run: &run,
    };
    let plan = Plan::new("orders", &wish, seen).map_err(|failure| failure.to_string())?;
    let lines = plan.lines("orders", &wish);
    Ok((plan, lines))
}

const DEPLOY: [(&str, &str); 3] = [
    ("FUNCTION_NAME", "orders"),
    ("COMMAND", "deploy"),
    ("ALIAS", "live"),
];

#[test]
fn nothing_to_do_is_an_empty_plan() {
    let (plan, lines) = planned(DEPLOY, &seen(256, Some("8"))).unwrap();
    assert!(plan.is_empty());
    insta::assert_snapshot!(lines, @r"
    version    orders  (unchanged, version 8)
    alias      orders:live  (unchanged, version 8)
    unchanged  orders
    ");
}

#[test]
fn a_version_that_is_there_is_not_published_again() {
    let (plan, lines) = planned(DEPLOY, &seen(128, Some("8"))).unwrap();
    assert!(!plan.is_empty());
    insta::assert_snapshot!(lines, @r"
    version    orders  (unchanged, version 7)
    alias      orders:live  (from version 8)
    ");
}

#[test]
fn every_step_has_its_reason() {
    let [a, b, c] = DEPLOY;
    let (_, lines) = planned(
        [
            a,
            b,
            c,
            ("MEMORY_SIZE", "512"),
            ("TAGS", "team=web stage=prod"),
            ("RESERVED_CONCURRENCY", "5"),
            ("CANARY", "10% 5m, 50% 10m"),
        ],
        &seen(256, Some("8")),
    )
    .unwrap();
    insta::assert_snapshot!(lines, @r"
    configure  orders  (configuration differs)
                 ~ MemorySize: 256 → 512
    tag        orders  (+ stage)
    reserve    orders  (5 instances)
    publish    orders  (configuration differs)
    alias      orders:live  (from version 8, 10% for 5m, 50% for 10m)
    ");
}

#[test]
fn tags_of_aws_stay() {
    let [a, b, c] = DEPLOY;
    let (plan, _) = planned(
        [a, b, c, ("TAGS", "stage=prod"), ("TAGS_REPLACE", "true")],
        &seen(256, Some("8")),
    )
    .unwrap();
    assert_eq!(plan.untag, ["team"]);
}

#[test]
fn what_lambda_would_refuse_in_the_middle_is_refused_before() {
    let [a, b, c] = DEPLOY;
    let canary = ("CANARY", "10% 5m");
    let role = planned([a, b, c, canary, ("ROLE", "other")], &seen(256, Some("8")))
        .err()
        .unwrap();
    assert!(
        role.contains("version 8 of `orders` and the new one have another role"),
        "{role}"
    );
    let latest = planned(
        [a, b, c, canary, ("MEMORY_SIZE", "512")],
        &seen(256, Some("$LATEST")),
    )
    .err()
    .unwrap();
    assert!(latest.contains("points to $LATEST"), "{latest}");
    let architecture = planned([a, b, c, ("ARCHITECTURE", "arm64")], &seen(256, Some("8")))
        .err()
        .unwrap();
    assert!(
        architecture.contains("another one needs code"),
        "{architecture}"
    );
}
