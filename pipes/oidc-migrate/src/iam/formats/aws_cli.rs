//! A shell script with aws-cli: a variable of the environment for each unknown, the account from the caller. What is there
//! is updated, so that it can be run again.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::names::{self, Names, Style};
use super::super::roles::Stack;
use super::{description, documents, head, marked, unmarked};

pub(super) fn write(stack: &Stack) -> String {
    let names = Names::new(&stack.holes(), Style::Upper);
    let mut out = String::from("#!/usr/bin/env bash\n");
    out.push_str(&head(
        stack,
        &["A script for aws-cli; it can be run again."],
    ));
    out.push_str("set -euo pipefail\n\n");
    for (hole, name) in names.iter() {
        let _ = write!(
            out,
            ": \"${{{name}:?set it to the {}}}\"\n",
            names::description(hole)
        );
        if names::is_uuid(hole) {
            let _ = write!(out, "{name}=$(tr -d '{{}}' <<<\"${name}\")\n");
        }
    }
    out.push_str("ACCOUNT=$(aws sts get-caller-identity --query Account --output text)\n");
    let mark = marked(&names);
    let _ = write!(
        out,
        "provider={}\naudience={}\n\n# One identity provider serves all repositories of the workspace.\nknown=$(aws iam get-open-id-connect-provider --open-id-connect-provider-arn \"$provider\" --query ClientIDList --output text 2> /dev/null || true)\nif [ -z \"$known\" ]; then\n  aws iam create-open-id-connect-provider --url {} --client-id-list \"$audience\" > /dev/null\nelif ! tr '\\t' '\\n' <<<\"$known\" | grep -qxF \"$audience\"; then\n  aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn \"$provider\" --client-id \"$audience\"\nfi\n",
        quoted(&mark(&stack.provider_arn)),
        quoted(&mark(&stack.audience)),
        word(&format!("https://{}", stack.provider)),
    );
    for role in &stack.roles {
        let (trust, policy) = documents(role, &names);
        let name = word(&role.name);
        let _ = write!(
            out,
            "\ntrust=$(cat <<EOF\n{}\nEOF\n)\nif aws iam get-role --role-name {name} > /dev/null 2>&1; then\n  aws iam update-assume-role-policy --role-name {name} --policy-document \"$trust\"\nelse\n  aws iam create-role --role-name {name} --description {} --assume-role-policy-document \"$trust\" > /dev/null\nfi\n",
            heredoc(&trust),
            word(&description(role)),
        );
        if let Some(policy) = policy {
            let _ = write!(
                out,
                "policy=$(cat <<EOF\n{}\nEOF\n)\naws iam put-role-policy --role-name {name} --policy-name deploy --policy-document \"$policy\"\n",
                heredoc(&policy)
            );
        }
        let of = role
            .environment
            .as_deref()
            .unwrap_or("steps without a deployment");
        let _ = write!(
            out,
            "printf '%s  AWS_OIDC_ROLE_ARN of %s\\n' \"$(aws iam get-role --role-name {name} --query Role.Arn --output text)\" {}\n",
            word(of)
        );
    }
    out
}

/// A document in the body of `<<EOF`, where the shell still fills `$` in.
fn heredoc(document: &Value) -> String {
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    unmarked(&text, escaped, filled)
}

/// A text with marks as one word of the shell.
fn quoted(text: &str) -> String {
    let written = unmarked(
        text,
        |literal| escaped(literal).replace('"', "\\\""),
        filled,
    );
    format!("\"{written}\"")
}

/// A literal as one word of the shell.
fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('$', "\\$")
        .replace('`', "\\`")
}

fn filled(name: &str) -> String {
    match name {
        "" => "${ACCOUNT}".to_owned(),
        name => format!("${{{name}}}"),
    }
}
