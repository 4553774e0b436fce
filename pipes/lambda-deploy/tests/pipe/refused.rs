//! A denied request names the IAM action that is missing, and says what was changed before it.

use serde_json::json;

use crate::step::{Step, failed, last_line};

#[test]
fn each_denied_request_names_its_action() {
    let all = [
        "lambda:GetFunction",
        "lambda:ListVersionsByFunction",
        // What the local AWS takes GetAlias for.
        "lambda:ListAliases",
        "lambda:UpdateFunctionConfiguration",
        "lambda:GetFunctionConfiguration",
        "lambda:UpdateFunctionCode",
        "lambda:PublishVersion",
        "lambda:CreateAlias",
    ];
    let step = Step::new();
    let mut changed = Vec::new();
    for (index, denied) in all.iter().enumerate() {
        step.allow(
            &json!([{"Effect": "Allow", "Action": all[..index], "Resource": "*"},
            {"Effect": "Deny", "Action": denied, "Resource": "*"}]),
        );
        let output = step
            .deploy(&format!("try {index}"))
            .env("MEMORY_SIZE", (256 + index).to_string())
            .run();
        let plain = failed(&output);
        assert!(
            plain.contains(&format!("hint: allow `{denied}`")),
            "{denied}: {plain}"
        );
        changed.push(last_line(&output));
    }
    assert_eq!(changed[..4], ["  nothing was changed"; 4], "{changed:?}");
    let name = &step.function;
    assert_eq!(
        changed[7],
        format!(
            "  changed before that: changed 2 (`the configuration of {name}`, `the code of {name}`), published 1 (`{name} version 1`)"
        )
    );
}
