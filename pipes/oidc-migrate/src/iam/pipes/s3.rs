//! Rights on a bucket: the prefix of `S3_BUCKET` and nothing beside it.

use super::{Maker, Rights, Use};
use crate::iam::policy::{Policy, Statement};
use crate::iam::text::Text;

/// The `--sse-kms-key-id` of `EXTRA_ARGS`, which is the last flag of that name.
const KEY_FLAG: &str = "--sse-kms-key-id";

pub(super) fn rights(pipe: &Use<'_>, maker: Maker) -> Rights {
    let is_ours = maker == Maker::Ours;
    let place = pipe
        .value("S3_BUCKET")
        .unwrap_or_else(|| pipe.unknown("S3_BUCKET"));
    let (bucket, prefix) = match place.split_once('/') {
        Some((bucket, prefix)) => (bucket, folder(&prefix)),
        None => (place, Text::default()),
    };
    let none = Text::default();
    let bucket_arn = pipe.global_arn("s3", none, bucket);
    let objects = bucket_arn.clone().then("/").then(prefix.clone()).then("*");
    let mut policy = Policy::default();
    let list = Statement::new(["s3:ListBucket"], [bucket_arn.clone()]);
    policy.add(if prefix.literal() == Some("") {
        list
    } else {
        list.when("StringLike", "s3:prefix", [prefix.then("*")])
    });
    if is_ours {
        // AWS gives this one no `s3:prefix` to compare.
        policy.add(Statement::new(
            ["s3:ListBucketMultipartUploads"],
            [bucket_arn],
        ));
    }

    let flags = pipe.texts("EXTRA_ARGS").collect::<Vec<_>>().join(" ");
    // Rules lie in a file of the checkout; where that cannot be read they may hold anything.
    let rules = match pipe.file("RULES_FILE") {
        _ if !is_ours => String::new(),
        Some(text) => text,
        None if pipe.has("RULES_FILE") => "acl: tags: kms-key-id:".to_owned(),
        None => String::new(),
    };
    let mut actions = vec!["s3:PutObject", "s3:AbortMultipartUpload"];
    if pipe.has("ACL") || flags.contains("--acl") || rules.contains("acl:") {
        actions.push("s3:PutObjectAcl");
    }
    let deletes = pipe.is_on("DELETE_FLAG") || flags.contains("--delete");
    if is_ours {
        actions.push("s3:GetObject");
        if rules.contains("tags:") {
            actions.push("s3:PutObjectTagging");
        }
    }
    if deletes || (is_ours && (pipe.has("RETAIN") || pipe.is_any_on(&["SHARD", "SHARD_MERGE"]))) {
        actions.push("s3:DeleteObject");
    }
    policy.add(Statement::new(actions, [objects]));

    if is_ours {
        let distributions = pipe.list("CLOUDFRONT_DISTRIBUTION_ID");
        policy.add(invalidation(
            pipe,
            distributions,
            &[
                "cloudfront:CreateInvalidation",
                "cloudfront:GetDistribution",
                "cloudfront:GetInvalidation",
            ],
        ));
    }
    let mut notes = Vec::new();
    if let Some(key) = key(pipe, &flags, &rules) {
        policy.add(Statement::new(
            ["kms:Decrypt", "kms:GenerateDataKey"],
            [key],
        ));
    } else {
        notes.push("a bucket whose default encryption is a KMS key needs `kms:GenerateDataKey` and `kms:Decrypt` on it: the file cannot tell".to_owned());
    }
    Rights::Policy(policy, notes)
}

/// Rights on distributions of CloudFront.
pub(super) fn invalidation(
    pipe: &Use<'_>,
    distributions: Vec<Text>,
    actions: &[&'static str],
) -> Statement {
    let arns = distributions.into_iter().map(|id| {
        pipe.global_arn(
            "cloudfront",
            pipe.account(),
            Text::from("distribution/").then(id),
        )
    });
    Statement::new(actions.iter().copied(), arns)
}

/// A prefix as the pipe takes it: it always ends in a slash.
fn folder(prefix: &Text) -> Text {
    let ends = prefix
        .write(str::to_owned, |_| "x".to_owned())
        .ends_with('/');
    if ends || prefix.literal() == Some("") {
        prefix.clone()
    } else {
        prefix.clone().then("/")
    }
}

fn key(pipe: &Use<'_>, flags: &str, rules: &str) -> Option<Text> {
    let of_flag = flags.split_once(KEY_FLAG).map(|(_, rest)| {
        let rest = rest.trim_start_matches(['=', ' ']);
        rest.split_whitespace()
            .next()
            .unwrap_or_default()
            .trim_matches(['"', '\''])
    });
    let of_rules = rules.split_once("kms-key-id:").map(|(_, rest)| {
        rest.lines()
            .next()
            .unwrap_or_default()
            .split(['#', '}', ','])
            .next()
            .unwrap_or_default()
            .trim()
            .trim_matches(['"', '\''])
    });
    let name = of_flag.or(of_rules)?;
    let key = match name {
        "" => pipe.unknown("KMS_KEY_ARN"),
        name => pipe.known.expand(name, "KMS_KEY_ARN", pipe.environment),
    };
    Some(if key.starts_with("arn:") {
        key
    } else if key.starts_with("alias/") {
        // The right is on the key, which an alias does not name.
        pipe.unknown("KMS_KEY_ARN")
    } else if key.literal().is_some() {
        pipe.arn("kms", Text::from("key/").then(key))
    } else {
        key
    })
}
