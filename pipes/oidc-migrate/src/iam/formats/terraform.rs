//! HCL: a variable for each unknown, the account from the caller, policies by `jsonencode`.
//! <https://developer.hashicorp.com/terraform/language/expressions/strings>

use std::fmt::Write as _;

use serde_json::Value;

use super::super::names::{self, Names, Style};
use super::super::roles::Stack;
use super::{description, documents, head, marked, unmarked};

pub(super) fn write(stack: &Stack) -> String {
    let names = Names::new(&stack.holes(), Style::Snake);
    let mut out = head(
        stack,
        &["Terraform or OpenTofu; the AWS provider from 5.81 on needs no thumbprint."],
    );
    out.push_str("\nterraform {\n  required_providers {\n    aws = {\n      source  = \"hashicorp/aws\"\n      version = \">= 5.81\"\n    }\n  }\n}\n");
    out.push_str("\nvariable \"create_provider\" {\n  description = \"false if the account has the identity provider of this workspace already\"\n  type        = bool\n  default     = true\n}\n");
    for (hole, name) in names.iter() {
        let _ = write!(
            out,
            "\nvariable \"{name}\" {{\n  description = {}\n  type        = string\n",
            quoted(&names::description(hole))
        );
        if names::is_uuid(hole) {
            let _ = write!(
                out,
                "\n  validation {{\n    condition     = can(regex(\"^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$\", var.{name}))\n    error_message = \"A UUID in lower case and without braces.\"\n  }}\n"
            );
        }
        out.push_str("}\n");
    }
    let mark = marked(&names);
    let audience = quoted_mark(&mark(&stack.audience));
    let _ = write!(
        out,
        "\ndata \"aws_caller_identity\" \"current\" {{}}\n\nresource \"aws_iam_openid_connect_provider\" \"bitbucket\" {{\n  count          = var.create_provider ? 1 : 0\n  url            = \"https://{}\"\n  client_id_list = [{audience}]\n}}\n",
        stack.provider
    );
    let mut outputs = Vec::new();
    for role in &stack.roles {
        let label =
            Style::Snake.write(&names::words_of(role.name.trim_start_matches("bitbucket-")));
        let (trust, policy) = documents(role, &names);
        let _ = write!(
            out,
            "\nresource \"aws_iam_role\" \"{label}\" {{\n  name        = {}\n  description = {}\n\n  assume_role_policy = jsonencode({})\n\n  depends_on = [aws_iam_openid_connect_provider.bitbucket]\n}}\n",
            quoted(&role.name),
            quoted(&description(role)),
            hcl(&trust, 1)
        );
        if let Some(policy) = policy {
            let _ = write!(
                out,
                "\nresource \"aws_iam_role_policy\" \"{label}\" {{\n  name = \"deploy\"\n  role = aws_iam_role.{label}.id\n  policy = jsonencode({})\n}}\n",
                hcl(&policy, 1)
            );
        }
        let environment = role.environment.as_deref();
        outputs.push((
            quoted(environment.unwrap_or("without a deployment")),
            format!("aws_iam_role.{label}.arn"),
        ));
    }
    if !outputs.is_empty() {
        let _ = write!(
            out,
            "\n# The value of AWS_OIDC_ROLE_ARN in each environment.\noutput \"role_arns\" {{\n  value = {{\n{}  }}\n}}\n",
            aligned(&outputs, "    ")
        );
    }
    out
}

/// A JSON value with marks as an expression.
fn hcl(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth + 1);
    let end = "  ".repeat(depth);
    match value {
        Value::String(text) => quoted_mark(text),
        Value::Array(list) if list.len() == 1 && list[0].is_object() => {
            format!("[{}]", hcl(&list[0], depth))
        }
        Value::Array(list) => {
            let items = list
                .iter()
                .map(|item| format!("{indent}{},\n", hcl(item, depth + 1)));
            format!("[\n{}{end}]", items.collect::<String>())
        }
        Value::Object(members) => {
            let items = members.iter().map(|(key, value)| {
                let key = if key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                    key.clone()
                } else {
                    quoted(key)
                };
                (key, hcl(value, depth + 1))
            });
            let items: Vec<_> = items.collect();
            format!("{{\n{}{end}}}", aligned(&items, &indent))
        }
        other => other.to_string(),
    }
}

/// Names and values as `terraform fmt` has them, which many repositories check: where neighbours take one line each, their
/// `=` stand in one column.
fn aligned(items: &[(String, String)], indent: &str) -> String {
    let is_one_line = |item: &(String, String)| !item.1.contains('\n');
    let mut out = String::new();
    for run in items.chunk_by(|one, other| is_one_line(one) && is_one_line(other)) {
        let width = run.iter().map(|(name, _)| name.chars().count()).max();
        for (name, value) in run {
            let _ = writeln!(out, "{indent}{name:0$} = {value}", width.unwrap_or(0));
        }
    }
    out
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

fn quoted_mark(text: &str) -> String {
    let written = unmarked(text, escaped, |name| match name {
        "" => "${data.aws_caller_identity.current.account_id}".to_owned(),
        name => format!("${{var.{name}}}"),
    });
    format!("\"{written}\"")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .replace("${", "$${")
        .replace("%{", "%%{")
}
