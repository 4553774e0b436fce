use shared::Environment;

use super::*;

fn config<const N: usize>(pairs: [(&str, &str); N]) -> Result<Config, String> {
    let mut faults = Faults::default();
    let config = Config::new(Environment::from(pairs).read(), &mut faults);
    if faults.is_empty() {
        Ok(config.unwrap())
    } else {
        Err(faults.to_string())
    }
}

fn change(config: &Config) -> &Change {
    match &config.command {
        Command::Change(change) => change,
        other => panic!("{other:?}"),
    }
}

#[test]
fn update_publishes_and_moves_nothing() {
    let config = config([
        ("FUNCTION_NAME", "orders"),
        ("COMMAND", "update"),
        ("ZIP_FILE", "orders.zip"),
        ("WAIT", "false"),
    ])
    .unwrap();
    let change = change(&config);
    assert!(change.publish.is_some() && change.traffic.is_none() && !change.create);
    assert_eq!(config.timeout, Duration::from_hours(1));
}

#[test]
fn rollback_is_a_command_of_its_own_or_a_wish_alone() {
    for pairs in [
        [("COMMAND", "rollback"), ("ROLLBACK", "")],
        [("COMMAND", ""), ("ROLLBACK", "previous")],
    ] {
        let config = config([
            ("FUNCTION_NAME", "orders"),
            ("ALIAS", "live"),
            pairs[0],
            pairs[1],
        ]);
        let Command::RollBack { alias, target } = config.unwrap().command else {
            panic!("no rollback")
        };
        assert_eq!((alias.as_str(), target), ("live", Target::Previous));
    }
}

#[test]
fn the_run_may_take_as_long_as_its_steps() {
    let common = [
        ("FUNCTION_NAME", "orders"),
        ("COMMAND", "deploy"),
        ("ALIAS", "live"),
        ("CANARY", "10% 1h, 50% 1h"),
    ];
    let [a, b, c, d] = common;
    assert_eq!(
        config([a, b, c, d]).unwrap().timeout,
        Duration::from_hours(3)
    );
    let refused = config([a, b, c, d, ("DEPLOY_TIMEOUT", "7200")]).unwrap_err();
    assert!(
        refused.contains("the steps of CANARY alone take 7200 s"),
        "{refused}"
    );
}

#[test]
fn functions_are_names_without_a_version() {
    for name in [
        "orders",
        "123456789012:function:orders",
        "arn:aws:lambda:eu-west-1:123456789012:function:orders",
    ] {
        assert_eq!(function_name(name), Ok(()), "{name}");
    }
    for name in [
        "orders:live",
        "arn:aws:lambda:eu-west-1:123456789012:function:orders:7",
        "or ders",
        "ä",
        "",
    ] {
        assert!(function_name(name).is_err(), "{name}");
    }
}

#[test]
fn the_documents_are_in_step() {
    shared::testing::assert_documented(
        include_str!("../../README.md"),
        include_str!("../../pipe.yml"),
        &shared::known_variables::<Config>(),
        env!("CARGO_PKG_VERSION"),
    );
}

#[test]
fn every_fault_is_named() {
    insta::assert_snapshot!(
        config([
            ("FUNCTION_NAME", "orders:live"),
            ("COMMAND", "deploy"),
            ("ZIP_FILE", "a.zip"),
            ("IMAGE_URI", "b"),
            ("S3_KEY", "c"),
            ("PUBLISH_FLAG", "false"),
            ("ALIAS", "7"),
            ("MEMORY_SIZE", "64"),
            ("TIMEOUT", "901"),
            ("ARCHITECTURE", "arm"),
            ("SMOKE_STATUS", "200"),
            ("ALARMS", "errors"),
            ("CANARY_ERRORS", "1"),
            ("REGIONS", "europe"),
            ("RESERVED_CONCURRENCY", "-1"),
            ("WAIT_TIMEOUT", "0"),
            ("ROLLBACK", "previous"),
        ])
        .unwrap_err(),
        @r"
    Validation errors:
    ALARMS:
    - needs CANARY: it is watched while traffic is shifted
    ALIAS:
    - unallowed value 7 (an alias has letters, digits, `-` and `_`, and is no number)
    ARCHITECTURE:
    - unallowed value arm (it is `x86_64` or `arm64`)
    CANARY_ERRORS:
    - unallowed value 1 (a share looks like `10%`)
    FUNCTION_NAME:
    - unallowed value orders:live (without `:version` or `:alias`; ALIAS names the alias)
    IMAGE_URI:
    - cannot be given together with ZIP_FILE: there is one source of the code
    MEMORY_SIZE:
    - unallowed value 64 (128 to 32768)
    PUBLISH_FLAG:
    - unallowed value false (COMMAND `deploy` moves an alias, which points to a published version)
    REGIONS:
    - unallowed value europe (a region looks like `eu-west-1`)
    RESERVED_CONCURRENCY:
    - unallowed value -1 (it is a number of instances, or `none`)
    ROLLBACK:
    - is for COMMAND `rollback` only
    S3_BUCKET:
    - required field (S3_KEY is given)
    SMOKE_STATUS:
    - needs SMOKE_TEST, the file with the event
    TIMEOUT:
    - unallowed value 901 (1 to 900)
    WAIT_TIMEOUT:
    - unallowed value 0 (it is at least 1)
    "
    );
    insta::assert_snapshot!(
        config([("FUNCTION_NAME", "orders"), ("COMMAND", "alias"), ("ALIAS", "live"), ("VERSION", "null")]).unwrap_err(),
        @r"
    Validation errors:
    VERSION:
    - unallowed value null (an alias points to a published version; is PUBLISH_FLAG false?)
    "
    );
    insta::assert_snapshot!(
        config([("FUNCTION_NAME", "orders"), ("COMMAND", "update")]).unwrap_err(),
        @r"
    Validation errors:
    ZIP_FILE:
    - required field (or IMAGE_URI, or S3_BUCKET and S3_KEY, or FUNCTION_CONFIGURATION or a variable of the configuration)
    "
    );
}
