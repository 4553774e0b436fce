//! Two deploys at the same time: the one that was overtaken notices, and flips nothing.

use serde_json::{Value, json};
use shared::testing::Reply;

use crate::step::{Step, failed, last_line, succeeded};
use crate::waiting::{Script, live};

const OTHER_REVISION: &str = "The RevisionId provided does not match the latest RevisionId for the Lambda function or alias.";

fn step(script: impl FnOnce(Script, &str) -> Script) -> Step {
    Step::unmade(|timeline, function| script(Script::new(timeline, function), function).timeline)
}

fn deploy(step: &Step) -> shared::testing::Pipe<'_> {
    step.pipe()
        .env("COMMAND", "deploy")
        .env("MEMORY_SIZE", "256")
        .env("ALIAS", "live")
}

/// A function whose configuration is changed and published as version 2; its alias is at version 1.
fn ordinary(script: Script, function: &str) -> Script {
    let at = |members: Value| Reply::json(&live(function, &members));
    let alias =
        json!({"Name": "live", "FunctionVersion": "1", "Description": "", "RevisionId": "a1"});
    let version = json!({"Version": "2", "MemorySize": 256, "RevisionId": "v2"});
    script
        .on("PUT", "/configuration", [at(json!({"MemorySize": 256, "RevisionId": "r2"}))])
        .on("GET", "/configuration", [
            at(json!({"MemorySize": 256, "RevisionId": "r3"})).times(2),
            Reply::json(&live(function, &version)),
        ])
        .on("GET", "/versions", [Reply::json(&json!({"Versions": [live(function, &json!({"Version": "1"}))]}))])
        .on("GET", "/aliases/live", [Reply::json(&alias)])
        .on("POST", "/versions", [Reply::json(&live(function, &version)).status(201)])
        .on("PUT", "/aliases/live", [Reply::json(
            &json!({"Name": "live", "FunctionVersion": "2", "Description": "[lambda-deploy: 2, previous 1]", "RevisionId": "a2"}),
        )])
}

#[test]
fn every_change_depends_on_the_revision_that_was_seen() {
    let step = step(ordinary);
    succeeded(&deploy(&step).run());
    let body = |method: &str, path: &str| {
        let operation = format!("{method} /2015-03-31/functions/{}{path}", step.function);
        step.proxy.bodies(&operation).remove(0)
    };
    assert_eq!(body("PUT", "/configuration")["RevisionId"], "r1");
    // RevisionId changes once more when an update has come to its end: that one counts.
    let publish = body("POST", "/versions");
    assert_eq!(publish["RevisionId"], "r3");
    assert_eq!(publish["CodeSha256"], "old");
    let flip = body("PUT", "/aliases/live");
    assert_eq!(
        flip,
        json!({"FunctionVersion": "2", "Description": "[lambda-deploy: 2, previous 1]", "RevisionId": "a1",
            "RoutingConfig": {"AdditionalVersionWeights": {}}})
    );
}

#[test]
fn code_of_another_deploy_is_not_published() {
    let step = step(|script, function| {
        let theirs = live(
            function,
            &json!({"MemorySize": 256, "CodeSha256": "theirs", "RevisionId": "r7"}),
        );
        ordinary(script, function)
            .on(
                "POST",
                "/versions",
                [Reply::error(
                    412,
                    "PreconditionFailedException",
                    OTHER_REVISION,
                )],
            )
            .after(
                ("POST", "/versions"),
                "GET",
                "/configuration",
                [Reply::json(&theirs)],
            )
    });
    let output = deploy(&step).run();
    let plain = failed(&output);
    assert!(
        plain.contains(&format!(
            "✖ another deploy won: `{}` was changed while this run deployed it; its code is now `theirs`",
            step.function
        )),
        "{plain}"
    );
    assert_eq!(step.changes(), ["PUT /configuration", "POST /versions"]);
}

#[test]
fn a_revision_that_changed_without_a_difference_is_no_other_deploy() {
    let step = step(|script, function| {
        let same = live(function, &json!({"MemorySize": 256, "RevisionId": "r7"}));
        let version = live(function, &json!({"Version": "2", "MemorySize": 256}));
        ordinary(script, function)
            .on(
                "POST",
                "/versions",
                [
                    Reply::error(412, "PreconditionFailedException", OTHER_REVISION),
                    Reply::json(&version).status(201),
                ],
            )
            .after(
                ("POST", "/versions"),
                "GET",
                "/configuration",
                [Reply::json(&same).times(2), Reply::json(&version)],
            )
    });
    succeeded(&deploy(&step).run());
    let sent = step.proxy.bodies(&format!(
        "POST /2015-03-31/functions/{}/versions",
        step.function
    ));
    let revisions: Vec<&str> = sent
        .iter()
        .map(|body| body["RevisionId"].as_str().unwrap())
        .collect();
    assert_eq!(revisions, ["r3", "r7"]);
}

#[test]
fn the_sha_of_the_code_is_a_condition_too() {
    let step = step(|script, function| {
        ordinary(script, function)
            .on(
                "POST",
                "/versions",
                [Reply::error(
                    400,
                    "InvalidParameterValueException",
                    "CodeSHA256 (old) is different from current CodeSHA256 in $LATEST",
                )],
            )
            .after(
                ("POST", "/versions"),
                "GET",
                "/configuration",
                [Reply::json(&live(
                    function,
                    &json!({"CodeSha256": "theirs", "RevisionId": "r7"}),
                ))],
            )
    });
    let output = deploy(&step).run();
    let plain = failed(&output);
    assert!(plain.contains("✖ another deploy won"), "{plain}");
    assert_eq!(step.changes(), ["PUT /configuration", "POST /versions"]);
}

#[test]
fn an_alias_that_somebody_else_has_moved_is_left_to_them() {
    let step = step(|script, function| {
        ordinary(script, function)
            .on("PUT", "/aliases/live", [Reply::error(412, "PreconditionFailedException", OTHER_REVISION)])
            .after(("PUT", "/aliases/live"), "GET", "/aliases/live", [Reply::json(
                &json!({"Name": "live", "FunctionVersion": "9", "Description": "", "RevisionId": "a9"}),
            )])
    });
    let output = deploy(&step).run();
    let plain = failed(&output);
    assert!(
        plain.contains(&format!(
            "✖ another deploy won: alias `live` of `{}` is at version 9, and this run saw version 1\n  hint: this run did not move it; version 2 stays published",
            step.function
        )),
        "{plain}"
    );
    assert!(last_line(&output).contains("published 1"), "{plain}");
    assert!(!last_line(&output).contains("moved"), "{plain}");
}

#[test]
fn a_flip_whose_answer_was_lost_is_found_to_be_made() {
    let step = step(|script, function| {
        let flipped = json!({"Name": "live", "FunctionVersion": "2", "Description": "[lambda-deploy: 2, previous 1]", "RevisionId": "a2"});
        ordinary(script, function)
            .on(
                "PUT",
                "/aliases/live",
                [
                    Reply::reset(),
                    Reply::error(412, "PreconditionFailedException", OTHER_REVISION),
                ],
            )
            .after(
                ("PUT", "/aliases/live"),
                "GET",
                "/aliases/live",
                [Reply::json(&flipped)],
            )
    });
    let output = deploy(&step).run();
    succeeded(&output);
    assert!(
        last_line(&output).contains("is at version 2 (before: 1)"),
        "{}",
        output.plain()
    );
}

#[test]
fn two_real_deploys_at_once_leave_one_winner_and_one_that_says_so() {
    let step = Step::new();
    succeeded(&step.deploy("first of all").run());
    let one = step.deploy("one").spawn();
    let two = step.deploy("two").spawn();
    let outputs = [one.wait(), two.wait()];
    let won: Vec<bool> = outputs
        .iter()
        .map(|output| output.code == Some(0))
        .collect();
    assert!(
        won.contains(&true),
        "{}\n{}",
        outputs[0].plain(),
        outputs[1].plain()
    );
    let live = step.configuration(&format!(
        "{}:{}",
        step.function,
        step.alias("live")["FunctionVersion"].as_str().unwrap()
    ));
    for (output, won) in outputs.iter().zip(won) {
        if !won {
            assert!(
                output.plain().contains("another deploy won"),
                "{}",
                output.plain()
            );
        }
    }
    assert_eq!(live["State"], "Active");
}
