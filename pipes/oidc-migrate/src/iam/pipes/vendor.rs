//! Pipes that this project has none for. Where the variables say for certain what is called there is a policy; where a
//! template or a chart decides it, none is made.

use super::s3::invalidation;
use super::{Rights, Use};
use crate::iam::policy::{Policy, Statement};
use crate::iam::text::Text;

pub(super) fn rights(pipe: &Use<'_>, name: &str) -> Rights {
    match name {
        "cloudfront-invalidate" => {
            let mut distributions = pipe.list("DISTRIBUTION_ID");
            if distributions.is_empty() {
                distributions.push(pipe.unknown("DISTRIBUTION_ID"));
            }
            let statement = invalidation(pipe, distributions, &["cloudfront:CreateInvalidation"]);
            policy([statement])
        }
        "ecr-push-image" => ecr(pipe),
        "code-deploy" => code_deploy(pipe),
        "cloudformation-deploy" => Rights::Unknown(
            "what it may do is decided by the template: every resource of the stack needs rights of its own",
        ),
        "sam-deploy" => Rights::Unknown(
            "what it may do is decided by the template: every resource of the stack needs rights of its own",
        ),
        "elasticbeanstalk-deploy" => Rights::Unknown(
            "an update of an environment acts on load balancers, groups and stacks with the caller's rights: start from the managed policy `AdministratorAccess-AWSElasticBeanstalk` and narrow it",
        ),
        "eks-kubectl-run" => Rights::Unknown(
            "it needs `eks:DescribeCluster` and, within the cluster, an access entry for the role: the second is not given by IAM",
        ),
        _ if pipe.pipe.keys != crate::model::Keys::None => {
            Rights::Unknown("it is given AWS keys, and what it does with them is not known here")
        }
        _ => Rights::NotAws,
    }
}

fn policy(statements: impl IntoIterator<Item = Statement>) -> Rights {
    let mut policy = Policy::default();
    for statement in statements {
        policy.add(statement);
    }
    Rights::Policy(policy, Vec::new())
}

/// A push of layers and manifest.
/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html>
fn ecr(pipe: &Use<'_>) -> Rights {
    let name = pipe
        .value("IMAGE_NAME")
        .unwrap_or_else(|| pipe.unknown("IMAGE_NAME"));
    let name = name.split_once(':').map_or(name.clone(), |(name, _)| name);
    policy([
        // A token is for the registry, and knows no resource.
        Statement::on_all(["ecr:GetAuthorizationToken"]),
        Statement::new(
            [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:CompleteLayerUpload",
                "ecr:InitiateLayerUpload",
                "ecr:PutImage",
                "ecr:UploadLayerPart",
            ],
            [pipe.arn("ecr", Text::from("repository/").then(name))],
        ),
    ])
}

/// `upload` puts the bundle into its bucket and registers it, `deploy` deploys it.
fn code_deploy(pipe: &Use<'_>) -> Rights {
    let command = pipe.value("COMMAND").unwrap_or_default();
    let is = |name: &str| command.literal().is_none_or(|command| command == name);
    let application = pipe
        .value("APPLICATION_NAME")
        .unwrap_or_else(|| pipe.unknown("APPLICATION_NAME"));
    let revisions = pipe.arn(
        "codedeploy",
        Text::from("application:").then(application.clone()),
    );
    let mut statements = Vec::new();
    if is("upload") {
        let bucket = pipe.value("S3_BUCKET").unwrap_or_else(|| {
            let name = application.literal().map(str::to_lowercase);
            let name = name.map_or_else(|| application.clone(), Text::from);
            name.then("-codedeploy-deployment")
        });
        let folder = pipe
            .value("FOLDER")
            .map_or_else(Text::default, |folder| folder.then("/"));
        let objects = pipe.global_arn(
            "s3",
            Text::default(),
            bucket.then("/").then(folder).then("*"),
        );
        statements.push(Statement::new(["s3:PutObject"], [objects]));
        statements.push(Statement::new(
            ["codedeploy:RegisterApplicationRevision"],
            [revisions.clone()],
        ));
    }
    if is("deploy") {
        let group = pipe
            .value("DEPLOYMENT_GROUP")
            .unwrap_or_else(|| pipe.unknown("DEPLOYMENT_GROUP"));
        let group = Text::from("deploymentgroup:")
            .then(application)
            .then("/")
            .then(group);
        statements.push(Statement::new(
            ["codedeploy:CreateDeployment", "codedeploy:GetDeployment"],
            [pipe.arn("codedeploy", group)],
        ));
        statements.push(Statement::new(
            ["codedeploy:GetApplicationRevision"],
            [revisions],
        ));
        statements.push(Statement::new(
            ["codedeploy:GetDeploymentConfig"],
            [pipe.arn("codedeploy", "deploymentconfig:*")],
        ));
    }
    policy(statements)
}
