//! The lines of a step's script that work with AWS credentials. Nothing is run or expanded: a line is told by the words
//! that stand where a shell would look for a command, and by the key variables that it names.

use std::collections::BTreeSet;

use crate::keys::{looks_like_key, references};
use crate::model::Command;

/// Programs that take access keys from the environment of the step.
const PROGRAMS: &[&str] = &[
    "aws",
    "aws2",
    "awslocal",
    "cdk",
    "chalice",
    "copilot",
    "eb",
    "ecs-cli",
    "eksctl",
    "packer",
    "pulumi",
    "s3cmd",
    "s5cmd",
    "sam",
    "serverless",
    "sls",
    "sst",
    "terraform",
    "terragrunt",
    "tofu",
    "zappa",
];
/// Words behind which the command itself stands.
const BEFORE_COMMANDS: &[&str] = &[
    "sudo", "time", "exec", "env", "then", "do", "else", "if", "while", "!", "npx", "command",
    "nohup", "yes",
];

/// What the lines of one script item do, the first of them in the line `line` of the file.
pub fn commands(text: &str, line: usize, found: &mut Vec<Command>) {
    for (number, text) in text.lines().enumerate() {
        let text = text.trim();
        if text.starts_with('#') {
            continue;
        }
        let keys = key_names(text);
        let kind = kind(text, !keys.is_empty());
        if let Some(kind) = kind {
            found.push(Command {
                line: line + number,
                kind,
                keys: keys.into_iter().map(str::to_owned).collect(),
            });
        }
    }
}

/// Whether a script hands its commands the token of the step, so that they need no keys.
#[must_use]
pub fn brings_token(text: &str) -> bool {
    text.contains("AWS_WEB_IDENTITY_TOKEN_FILE") || text.contains("assume-role-with-web-identity")
}

/// The variables that a line sets: what a pipe is given of these was made in the step.
pub fn assigned(text: &str) -> impl Iterator<Item = &str> {
    text.split(|each: char| each.is_whitespace() || ";&|(".contains(each))
        .filter_map(|word| {
            let (name, _) = word.split_once('=')?;
            let name = name.trim_matches(['"', '\'']);
            let is_name = |each: char| each.is_ascii_alphanumeric() || each == '_';
            (!name.is_empty() && name.chars().all(is_name)).then_some(name)
        })
}

fn key_names(text: &str) -> BTreeSet<&str> {
    let named = references(text).chain(assigned(text));
    named.filter(|name| looks_like_key(name)).collect()
}

fn kind(text: &str, names_keys: bool) -> Option<String> {
    let starts: Vec<Vec<&str>> = text
        .split(['|', ';', '&', '(', '`'])
        .map(command_words)
        .collect();
    let begins = |words: &[&str]| {
        starts.iter().any(|start| {
            words.len() <= start.len() && words.iter().zip(start).all(|(word, found)| word == found)
        })
    };
    if begins(&["docker", "login"]) {
        let is_aws = names_keys
            || text.contains("amazonaws.com")
            || text.contains("ecr")
            || text.to_uppercase().contains("AWS");
        return is_aws.then(|| "docker login".to_owned());
    }
    for words in [
        &["aws", "configure"][..],
        &["aws", "ecr", "get-login"],
        &["aws", "ecr", "get-login-password"],
        &["aws", "sts", "assume-role"],
    ] {
        if begins(words) {
            return Some(words.join(" "));
        }
    }
    if let Some(program) = PROGRAMS.iter().find(|program| begins(&[program])) {
        return Some((*program).to_owned());
    }
    if assigned(text).any(looks_like_key) {
        return Some("export of a key".to_owned());
    }
    names_keys.then(|| "use of a key".to_owned())
}

/// The words of a command without the assignments and the words like `sudo` before it.
fn command_words(text: &str) -> Vec<&str> {
    let words = text
        .split_whitespace()
        .map(|word| word.trim_matches(['"', '\'', '$', '{', '}']));
    words
        .skip_while(|word| {
            word.is_empty() || BEFORE_COMMANDS.contains(word) || assigned(word).next().is_some()
        })
        .map(|word| word.rsplit('/').next().unwrap_or(word))
        .take(3)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String, Vec<String>)> {
        let mut found = Vec::new();
        commands(text, 10, &mut found);
        found
            .into_iter()
            .map(|command| (command.line, command.kind, command.keys))
            .collect()
    }

    #[test]
    fn commands_are_told_by_their_words() {
        for (text, kind) in [
            ("aws s3 ls", Some("aws")),
            ("sudo aws s3 ls", Some("aws")),
            ("cd dist && AWS_PROFILE=x aws s3 sync . s3://b", Some("aws")),
            (
                "eval $(aws ecr get-login --no-include-email)",
                Some("aws ecr get-login"),
            ),
            (
                "aws ecr get-login-password | docker login --username AWS --password-stdin $ECR",
                Some("docker login"),
            ),
            (
                "aws configure set aws_access_key_id $AWS_KEY",
                Some("aws configure"),
            ),
            ("docker login -u $DOCKER_USER -p $DOCKER_PASSWORD", None),
            (
                "export AWS_ACCESS_KEY_ID=$AWS_KEY_STAGING",
                Some("export of a key"),
            ),
            ("./deploy.sh $AWS_SECRET_ACCESS_KEY", Some("use of a key")),
            ("npx serverless deploy", Some("serverless")),
            ("./node_modules/.bin/serverless deploy", Some("serverless")),
            ("pip install awscli", None),
            ("echo aws", None),
            ("# aws s3 ls", None),
        ] {
            let kinds: Vec<String> = found(text).into_iter().map(|(_, kind, _)| kind).collect();
            assert_eq!(
                kinds,
                kind.map(str::to_owned).into_iter().collect::<Vec<_>>(),
                "{text}"
            );
        }
    }

    #[test]
    fn each_line_of_a_block_has_its_own_number() {
        let text = "set -e\nexport AWS_ACCESS_KEY_ID=$QA_AWS_KEY\n\naws s3 ls\n";
        let keys = vec!["AWS_ACCESS_KEY_ID".to_owned(), "QA_AWS_KEY".to_owned()];
        assert_eq!(
            found(text),
            [
                (11, "export of a key".to_owned(), keys),
                (13, "aws".to_owned(), Vec::new())
            ]
        );
    }
}
