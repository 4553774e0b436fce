use std::path::Path;

use serde_json::json;
use shared::Environment;

use super::*;
use crate::iam::known::{Given, Known};
use crate::model::{Checkout, Keys, Pipe, PipelineFile, Step, Variable};

const ID: &str = "2f1c0d5e-6f3a-4b57-9d0a-3c1e8b7a5d42";

fn stack() -> Stack {
    let bucket = Variable {
        name: "S3_BUCKET".to_owned(),
        line: 1,
        values: vec!["site".to_owned()],
    };
    let pipe = Pipe {
        reference: "atlassian/aws-s3-deploy:1.1.0".to_owned(),
        variables: vec![bucket],
        keys: Keys::Defaults,
        ..Pipe::default()
    };
    let step = Step {
        pipes: vec![pipe],
        ..Step::default()
    };
    let file = PipelineFile {
        steps: vec![step],
        ..PipelineFile::default()
    };
    let given = Given {
        workspace: Some("acme".to_owned()),
        workspace_uuid: Some(ID.to_owned()),
        repository: Some("shop".to_owned()),
        repository_uuid: Some(ID.to_owned()),
        account: Some("123456789012".to_owned()),
        ..Given::default()
    };
    let known = Known::new(given, &Environment::default(), Path::new("/nonexistent")).unwrap();
    Stack::new(
        &Checkout {
            files: vec![file],
            ..Checkout::default()
        },
        &known,
        false,
    )
}

/// An account that has all of it.
fn live() -> Live {
    let stack = stack();
    let write = |text: &Text| text.write(str::to_owned, |_| String::new());
    let role = &stack.roles[0];
    let live = LiveRole {
        trust: role.trust.document(&write),
        policy: Some(role.policy.document(&write)),
    };
    Live {
        audiences: Some(vec![format!("ari:cloud:bitbucket::workspace/{ID}")]),
        roles: BTreeMap::from([(role.name.clone(), live)]),
    }
}

#[test]
fn lists_of_one_and_the_order_of_actions_are_no_difference() {
    let mut live = live();
    let role = live.roles.values_mut().next().unwrap();
    let statement = &mut role.trust["Statement"][0];
    statement["Action"] = json!([statement["Action"]]);
    let policy = role.policy.as_mut().unwrap();
    policy["Statement"][1]["Action"]
        .as_array_mut()
        .unwrap()
        .reverse();
    let plan = Plan::new(&stack(), &live).unwrap();
    assert_eq!(plan.actions, Vec::new());
    assert_eq!(plan.to_string(), "unchanged  role bitbucket-shop\n");
}

#[test]
fn a_provider_of_other_audiences_gets_ours_too() {
    let live = Live {
        audiences: Some(vec!["sts.amazonaws.com".to_owned()]),
        ..live()
    };
    let plan = Plan::new(&stack(), &live).unwrap();
    let text = plan.to_string();
    assert!(
        matches!(plan.actions.as_slice(), [Action::AddAudience { .. }]),
        "{text}"
    );
    assert!(
        text.contains(&format!("+ audience ari:cloud:bitbucket::workspace/{ID}")),
        "{text}"
    );
}

#[test]
fn a_trust_policy_that_was_widened_is_narrowed_and_a_strangers_is_not() {
    let mut live = live();
    let role = live.roles.values_mut().next().unwrap();
    let conditions = &mut role.trust["Statement"][0]["Condition"]["StringLike"];
    for pattern in conditions.as_object_mut().unwrap().values_mut() {
        *pattern = json!("*");
    }
    let plan = Plan::new(&stack(), &live).unwrap();
    assert!(
        plan.to_string()
            .contains(&format!("\"*\" → \"{{{ID}}}:*\"")),
        "{plan}"
    );

    let role = live.roles.values_mut().next().unwrap();
    role.trust = json!({"Statement": {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}}});
    let failure = Plan::new(&stack(), &live).unwrap_err().to_string();
    assert!(failure.contains("trusts others"), "{failure}");
}
