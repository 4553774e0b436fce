use shared::{Environment, FromText};

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

#[test]
fn the_defaults_are_those_of_the_existing_pipe() {
    let config = config([("CLUSTER_NAME", "main"), ("SERVICE_NAME", "web")]).unwrap();
    assert!(!config.force && config.wait.is_none());
    assert_eq!(config.services, ["web"]);
    assert_eq!(config.command, CommandName::Deploy);
}

#[test]
fn waiting_takes_as_long_as_the_attempts_or_as_it_is_told() {
    for (pairs, seconds) in [
        ([("WAIT", "True"), ("DEBUG", "")], 600),
        ([("WAIT", "true"), ("WAIT_MAX_ATTEMPTS", "80")], 1200),
        ([("WAIT", "true"), ("WAIT_TIMEOUT", "90")], 90),
        ([("ROLLBACK", "true"), ("WAIT_INTERVAL", "1")], 40),
    ] {
        let [one, other] = pairs;
        let config = config([
            ("CLUSTER_NAME", "main"),
            ("SERVICE_NAME", "web"),
            one,
            other,
        ])
        .unwrap();
        assert_eq!(config.wait.unwrap().timeout.as_secs(), seconds, "{pairs:?}");
    }
}

#[test]
fn commands_are_words_of_a_shell_or_json() {
    for (text, words) in [
        ("./manage.py migrate", vec!["./manage.py", "migrate"]),
        ("sh -c 'a && b'", vec!["sh", "-c", "a && b"]),
        (r#"["sh", "-c", "a b"]"#, vec!["sh", "-c", "a b"]),
    ] {
        assert_eq!(CommandLine::from_text(text).unwrap().0, words, "{text}");
    }
}

#[test]
fn every_fault_is_named() {
    insta::assert_snapshot!(
        config([
            ("CLUSTER_NAME", "arn:aws:ecs:eu-west-1:1:service/main/web"),
            ("SERVICE_NAME", "web, worker"),
            ("COMMAND", "update"),
            ("DESIRED_COUNT", "-1"),
            ("WAIT", "false"),
            ("ROLLBACK", "true"),
            ("WAIT_INTERVAL", "0"),
            ("PAUSE_HOOK", "stop"),
            ("RUN_TASK_BEFORE", "sh -c 'migrate"),
        ])
        .unwrap_err(),
        @r"
    Validation errors:
    CLUSTER_NAME:
    - unallowed value arn:aws:ecs:eu-west-1:1:service/main/web (it is not the ARN of an ECS cluster)
    COMMAND:
    - unallowed value update (allowed: deploy, run-task, rollback, diff, status)
    DESIRED_COUNT:
    - must be of integer type
    PAUSE_HOOK:
    - unallowed value stop (it is `wait` or `continue`)
    RUN_TASK_BEFORE:
    - it has a quote that does not end
    SERVICE_NAME:
    - unallowed value web, (the name of a service has letters, digits, `-` and `_`, at most 255)
    WAIT:
    - unallowed value false (ROLLBACK needs the end of the rollout)
    WAIT_INTERVAL:
    - unallowed value 0 (it is at least 1)
    "
    );
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
