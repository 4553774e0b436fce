//! Rights on functions: each with its versions and aliases, and only what the variables ask for.

use super::ecs::{pass_roles, repository};
use super::{Rights, Use};
use crate::iam::policy::{Policy, Statement};
use crate::iam::text::Text;

/// The variables that change the configuration of a function.
const CONFIGURATION: &[&str] = &[
    "FUNCTION_CONFIGURATION",
    "MEMORY_SIZE",
    "TIMEOUT",
    "RUNTIME",
    "HANDLER",
    "ROLE",
    "LAYERS",
    "LAYER_NAME",
    "EPHEMERAL_STORAGE",
    "SNAP_START",
    "TRACING",
    "SUBNET_IDS",
    "SECURITY_GROUP_IDS",
    "DEAD_LETTER_ARN",
    "KMS_KEY_ARN",
    "LOG_FORMAT",
    "LOG_GROUP",
    "FUNCTION_DESCRIPTION",
    "ENVIRONMENT",
    "ENVIRONMENT_UNSET",
    "ENVIRONMENT_REPLACE",
];

pub(super) fn rights(pipe: &Use<'_>) -> Rights {
    let command = pipe.value("COMMAND").unwrap_or_default();
    let is = |name: &str| command.literal().is_none_or(|command| command == name);
    let changes_code = is("update") || is("deploy");
    let moves_alias = is("alias") || is("rollback") || (is("deploy") && pipe.has("ALIAS"));
    let mut policy = Policy::default();
    let mut notes = Vec::new();
    if command.literal() == Some("package") {
        return Rights::Policy(policy, notes);
    }
    let functions = Functions::new(pipe);
    let mut actions = vec!["lambda:GetFunction", "lambda:GetFunctionConfiguration"];
    if changes_code {
        actions.extend([
            "lambda:UpdateFunctionCode",
            "lambda:ListVersionsByFunction",
            "lambda:PublishVersion",
        ]);
        if pipe.has_any(CONFIGURATION) {
            actions.push("lambda:UpdateFunctionConfiguration");
        }
        // The largest package depends on the account.
        policy.add(Statement::on_all(["lambda:GetAccountSettings"]));
    }
    if moves_alias {
        actions.extend([
            "lambda:GetAlias",
            "lambda:CreateAlias",
            "lambda:UpdateAlias",
            "lambda:ListVersionsByFunction",
        ]);
    }
    if pipe.has("SMOKE_TEST") {
        actions.push("lambda:InvokeFunction");
    }
    if pipe.is_on("CREATE") {
        actions.push("lambda:CreateFunction");
    }
    if pipe.has_any(&["TAGS", "TAGS_UNSET", "TAGS_REPLACE"]) {
        actions.extend(["lambda:TagResource", "lambda:UntagResource"]);
    }
    if pipe.has("RESERVED_CONCURRENCY") {
        actions.extend([
            "lambda:PutFunctionConcurrency",
            "lambda:DeleteFunctionConcurrency",
        ]);
    }
    if pipe.has("PROVISIONED_CONCURRENCY") {
        actions.extend([
            "lambda:GetProvisionedConcurrencyConfig",
            "lambda:PutProvisionedConcurrencyConfig",
            "lambda:DeleteProvisionedConcurrencyConfig",
        ]);
    }
    if pipe.has_any(&[
        "FUNCTION_URL",
        "FUNCTION_URL_CORS",
        "FUNCTION_URL_INVOKE_MODE",
    ]) {
        actions.extend([
            "lambda:GetFunctionUrlConfig",
            "lambda:CreateFunctionUrlConfig",
            "lambda:UpdateFunctionUrlConfig",
            "lambda:GetPolicy",
            "lambda:AddPermission",
            "lambda:RemovePermission",
        ]);
    }
    if pipe.has("KEEP_VERSIONS") {
        actions.extend([
            "lambda:ListAliases",
            "lambda:ListProvisionedConcurrencyConfigs",
        ]);
        policy.add(Statement::on_all(["lambda:ListEventSourceMappings"]));
        // On versions only, so that the function itself is safe.
        policy.add(Statement::new(
            ["lambda:DeleteFunction"],
            functions.qualified(pipe),
        ));
    }
    policy.add(Statement::new(actions, functions.all(pipe)));
    if pipe.has_any(&["ROLE", "CREATE", "FUNCTION_CONFIGURATION"]) {
        policy.add(execution_role(pipe));
    }
    if pipe.has("LAYER_NAME") {
        policy.add(layer(pipe, &functions));
    }
    sources(pipe, &functions, &mut policy);
    if pipe.has("CANARY") {
        policy.add(Statement::on_all(["cloudwatch:GetMetricData"]));
        if pipe.has("ALARMS") {
            policy.add(Statement::on_all(["cloudwatch:DescribeAlarms"]));
        }
    }
    if pipe.has_any(&["CODEDEPLOY_GROUP", "CODEDEPLOY_APPLICATION"]) {
        code_deploy(pipe, &mut policy);
    }
    if pipe.has("KMS_KEY_ARN") || pipe.has("FUNCTION_CONFIGURATION") {
        notes.push("a function whose environment is encrypted with a key of yours needs `kms:Encrypt`, `kms:Decrypt` and `kms:CreateGrant` on it: whether yours does the file cannot tell".to_owned());
    }
    Rights::Policy(policy, notes)
}

/// The pipe that ours replaces: `update` is UpdateFunctionCode with `publish`, `alias` moves an alias.
pub(super) fn vendor(pipe: &Use<'_>) -> Rights {
    let mut policy = Policy::default();
    let mut actions = vec!["lambda:GetFunction", "lambda:GetFunctionConfiguration"];
    let command = pipe.value("COMMAND").unwrap_or_default();
    let is = |name: &str| command.literal().is_none_or(|command| command == name);
    if is("update") || command.literal() == Some("") {
        actions.extend(["lambda:UpdateFunctionCode", "lambda:PublishVersion"]);
        if pipe.has("FUNCTION_CONFIGURATION") {
            actions.push("lambda:UpdateFunctionConfiguration");
        }
    }
    if is("alias") {
        actions.extend([
            "lambda:GetAlias",
            "lambda:CreateAlias",
            "lambda:UpdateAlias",
        ]);
    }
    let functions = Functions::new(pipe);
    policy.add(Statement::new(actions, functions.all(pipe)));
    if pipe.has("FUNCTION_CONFIGURATION") {
        policy.add(execution_role(pipe));
    }
    sources(pipe, &functions, &mut policy);
    Rights::Policy(policy, Vec::new())
}

/// Functions, each in each region of the run.
struct Functions {
    names: Vec<Text>,
    regions: Vec<Text>,
}

impl Functions {
    fn new(pipe: &Use<'_>) -> Self {
        let mut names = pipe.list("FUNCTION_NAME");
        if names.is_empty() {
            names.push(pipe.unknown("FUNCTION_NAME"));
        }
        let mut regions = pipe.list("REGIONS");
        if regions.is_empty() {
            regions.push(pipe.region());
        }
        Self { names, regions }
    }

    fn arns(&self, pipe: &Use<'_>) -> Vec<Text> {
        let mut arns = Vec::new();
        for name in &self.names {
            if name.starts_with("arn:") {
                arns.push(name.clone());
                continue;
            }
            for region in &self.regions {
                let resource = Text::from("function:").then(name.clone());
                arns.push(pipe.arn_in("lambda", region.clone(), resource));
            }
        }
        arns
    }

    /// Their versions and aliases.
    fn qualified(&self, pipe: &Use<'_>) -> Vec<Text> {
        self.arns(pipe)
            .into_iter()
            .map(|arn| arn.then(":*"))
            .collect()
    }

    fn all(&self, pipe: &Use<'_>) -> Vec<Text> {
        let mut arns = self.arns(pipe);
        arns.extend(self.qualified(pipe));
        arns
    }
}

fn execution_role(pipe: &Use<'_>) -> Statement {
    let role = pipe
        .value("ROLE")
        .unwrap_or_else(|| pipe.unknown("EXECUTION_ROLE_ARN"));
    pass_roles(vec![role], "lambda.amazonaws.com")
}

fn layer(pipe: &Use<'_>, functions: &Functions) -> Statement {
    let name = pipe.value("LAYER_NAME").unwrap_or_default();
    let mut arns = Vec::new();
    for region in &functions.regions {
        let resource = Text::from("layer:").then(name.clone());
        let arn = pipe.arn_in("lambda", region.clone(), resource);
        arns.push(arn.clone());
        arns.push(arn.then(":*"));
    }
    let mut actions = vec![
        "lambda:ListLayerVersions",
        "lambda:GetLayerVersion",
        "lambda:PublishLayerVersion",
    ];
    if pipe.has("KEEP_VERSIONS") {
        actions.push("lambda:DeleteLayerVersion");
    }
    Statement::new(actions, arns)
}

/// Where the code comes from: a bucket that it goes through, one that it is in, or a repository of images.
fn sources(pipe: &Use<'_>, functions: &Functions, policy: &mut Policy) {
    let none = Text::default;
    if let Some(place) = pipe.value("ARTIFACT_BUCKET") {
        let (bucket, prefix) = match place.split_once('/') {
            Some((bucket, prefix)) => (bucket, prefix.then("/*")),
            None => (place, Text::from("*")),
        };
        for region in &functions.regions {
            let arn = |text: &Text| pipe.global_arn("s3", none(), in_region(text, region));
            let (bucket, objects) = (arn(&bucket), in_region(&prefix, region));
            policy.add(Statement::new(["s3:ListBucket"], [bucket.clone()]));
            policy.add(Statement::new(
                ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
                [bucket.then("/").then(objects)],
            ));
        }
    }
    if let Some(bucket) = pipe.value("S3_BUCKET") {
        let key = pipe.value("S3_KEY").unwrap_or_else(|| Text::from("*"));
        let arn = pipe.global_arn("s3", none(), bucket.then("/").then(key));
        let mut actions = vec!["s3:GetObject"];
        if pipe.has("S3_OBJECT_VERSION") {
            actions.push("s3:GetObjectVersion");
        }
        policy.add(Statement::new(actions, [arn]));
    }
    if let Some(image) = pipe.value("IMAGE_URI") {
        // Lambda looks with the caller's rights whether it may pull the image.
        policy.add(Statement::new(
            [
                "ecr:BatchGetImage",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
                "ecr:GetRepositoryPolicy",
            ],
            [repository(pipe, &image)],
        ));
    }
}

/// `{region}` in a name is the function's region.
fn in_region(text: &Text, region: &Text) -> Text {
    const MARK: &str = "{region}";
    match text.literal() {
        Some(literal) if literal.contains(MARK) => {
            let mut parts = literal.split(MARK).map(Text::from);
            let first = parts.next().unwrap_or_default();
            parts.fold(first, |text, part| text.then(region.clone()).then(part))
        }
        _ => text.clone(),
    }
}

fn code_deploy(pipe: &Use<'_>, policy: &mut Policy) {
    let name = |variable| {
        pipe.value(variable)
            .unwrap_or_else(|| pipe.unknown(variable))
    };
    let application = Text::from("application:").then(name("CODEDEPLOY_APPLICATION"));
    let group = Text::from("deploymentgroup:")
        .then(name("CODEDEPLOY_APPLICATION"))
        .then("/")
        .then(name("CODEDEPLOY_GROUP"));
    policy.add(Statement::new(
        [
            "codedeploy:CreateDeployment",
            "codedeploy:GetDeployment",
            "codedeploy:GetDeploymentGroup",
            "codedeploy:StopDeployment",
        ],
        [pipe.arn("codedeploy", group)],
    ));
    // CreateDeployment of an AppSpec registers it as a revision.
    policy.add(Statement::new(
        [
            "codedeploy:GetApplicationRevision",
            "codedeploy:RegisterApplicationRevision",
        ],
        [pipe.arn("codedeploy", application)],
    ));
    policy.add(Statement::new(
        ["codedeploy:GetDeploymentConfig"],
        [pipe.arn("codedeploy", "deploymentconfig:*")],
    ));
}
