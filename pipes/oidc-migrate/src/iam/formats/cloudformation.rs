//! A template in YAML: a parameter for each unknown, the account by `AWS::AccountId`. Texts are written as JSON strings,
//! which are YAML too. <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/>

use std::fmt::Write as _;

use serde_json::Value;

use super::super::names::{self, Names, Style};
use super::super::roles::Stack;
use super::{description, documents, head, marked, unmarked};

pub(super) fn write(stack: &Stack) -> String {
    let names = Names::new(&stack.holes(), Style::Pascal);
    let mut out = head(
        stack,
        &[
            "aws cloudformation deploy --capabilities CAPABILITY_NAMED_IAM --stack-name … --template-file …",
        ],
    );
    out.push_str("AWSTemplateFormatVersion: \"2010-09-09\"\nDescription: Bitbucket Pipelines without stored keys\nParameters:\n");
    out.push_str("  CreateProvider:\n    Type: String\n    AllowedValues: [\"true\", \"false\"]\n    Default: \"true\"\n    Description: false if the account has the identity provider of this workspace already\n");
    for (hole, name) in names.iter() {
        let _ = write!(
            out,
            "  {name}:\n    Type: String\n    Description: {}\n",
            json(&names::description(hole))
        );
        if names::is_uuid(hole) {
            out.push_str("    AllowedPattern: \"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\"\n    ConstraintDescription: a UUID in lower case and without braces\n");
        }
    }
    let audience = scalar(&marked(&names)(&stack.audience));
    let _ = write!(
        out,
        "Conditions:\n  HasNoProvider: !Equals [!Ref CreateProvider, \"true\"]\nResources:\n  Provider:\n    Type: AWS::IAM::OIDCProvider\n    Condition: HasNoProvider\n    # Other repositories of the workspace use it too.\n    DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain\n    Properties:\n      Url: {}\n      ClientIdList:\n        - {audience}\n",
        json(&format!("https://{}", stack.provider))
    );
    let mut outputs = String::new();
    for role in &stack.roles {
        let label = Style::Pascal
            .write(&names::words_of(role.name.trim_start_matches("bitbucket-")))
            + "Role";
        let (trust, policy) = documents(role, &names);
        let _ = write!(
            out,
            "  {label}:\n    Type: AWS::IAM::Role\n    Properties:\n      RoleName: {}\n      Description: {}\n      AssumeRolePolicyDocument:{}",
            json(&role.name),
            json(&description(role)),
            yaml(&trust, 4)
        );
        if let Some(policy) = policy {
            let _ = write!(
                out,
                "      Policies:\n        - PolicyName: deploy\n          PolicyDocument:{}",
                yaml(&policy, 6)
            );
        }
        let of = role
            .environment
            .as_deref()
            .unwrap_or("steps without a deployment");
        let _ = write!(
            outputs,
            "  {label}Arn:\n    Description: {}\n    Value: !GetAtt {label}.Arn\n",
            json(&format!("AWS_OIDC_ROLE_ARN of {of}"))
        );
    }
    if !outputs.is_empty() {
        let _ = write!(out, "Outputs:\n{outputs}");
    }
    out
}

/// What stands behind a colon or a dash: a text in the same line, anything else in lines below.
fn yaml(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) => members.iter().fold("\n".to_owned(), |out, (key, value)| {
            let key = if key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                key.clone()
            } else {
                json(key)
            };
            out + &format!("{indent}{key}:{}", yaml(value, depth + 1))
        }),
        Value::Array(list) => list.iter().fold("\n".to_owned(), |out, item| {
            let text = yaml(item, depth + 1);
            // A mapping begins in the line of its dash.
            let text = match text.strip_prefix('\n') {
                Some(lines) => format!(" {}", lines.trim_start()),
                None => text,
            };
            out + &format!("{indent}-{text}")
        }),
        Value::String(text) => format!(" {}\n", scalar(text)),
        other => format!(" {other}\n"),
    }
}

/// A text with marks; with a hole in it `!Sub` fills it, for which `${!` is a literal `${`.
fn scalar(text: &str) -> String {
    if !text.contains(super::OPEN) {
        return json(text);
    }
    let written = unmarked(
        text,
        |literal| literal.replace("${", "${!"),
        |name| match name {
            "" => "${AWS::AccountId}".to_owned(),
            name => format!("${{{name}}}"),
        },
    );
    format!("!Sub {}", json(&written))
}

fn json(text: &str) -> String {
    Value::from(text).to_string()
}
