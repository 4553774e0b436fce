//! Rights on services of one cluster. The roles and the log groups of the tasks stand in the task definition: where that is
//! a file of the checkout they are read from it.

use super::{Rights, Use};
use crate::iam::policy::{Policy, Statement};
use crate::iam::text::Text;

pub(super) fn rights(pipe: &Use<'_>) -> Rights {
    let command = pipe.value("COMMAND").unwrap_or_default();
    // Of a variable it is not known which it is.
    let is = |name: &str| command.literal().is_none_or(|command| command == name);
    let deploys = is("deploy") || command.literal() == Some("");
    let place = Place::new(pipe);
    let tasks = is("run-task") || pipe.has_any(&["RUN_TASK_BEFORE", "RUN_TASK_AFTER"]);
    let follows = is("rollback")
        || is("status")
        || pipe.has("RUN_TASK_AFTER")
        || pipe.is_any_on(&["WAIT", "ROLLBACK", "ROLLBACK_SIBLINGS", "SCHEDULES"]);
    let mut policy = Policy::default();
    let mut definitions = vec!["ecs:DescribeTaskDefinition"];
    if deploys || is("run-task") {
        definitions.push("ecs:RegisterTaskDefinition");
    }
    if pipe.has("KEEP_REVISIONS") {
        definitions.extend(["ecs:ListTaskDefinitions", "ecs:DeregisterTaskDefinition"]);
    }
    policy.add(Statement::on_all(definitions));

    let mut services = vec![
        "ecs:DescribeServices",
        "ecs:ListServiceDeployments",
        "ecs:DescribeServiceDeployments",
        "ecs:DescribeServiceRevisions",
    ];
    if deploys || is("rollback") {
        services.push("ecs:UpdateService");
    }
    if follows {
        services.push("ecs:StopServiceDeployment");
    }
    if pipe.is_on("CREATE_SERVICE") {
        services.push("ecs:CreateService");
    }
    if pipe.texts("PAUSE_HOOK").any(|text| text != "wait") {
        services.push("ecs:ContinueServiceDeployment");
    }
    policy.add(Statement::new(services, place.services(pipe)));
    if pipe.has_any(&[
        "TAGS",
        "TAGS_UNSET",
        "SERVICE_TAGS",
        "SERVICE_TAGS_UNSET",
        "SERVICE_DEFINITION",
    ]) {
        let family = pipe.arn("ecs", "task-definition/*");
        let tagged = place.service_arns(pipe).into_iter().chain([family]);
        policy.add(Statement::new(
            ["ecs:TagResource", "ecs:UntagResource"],
            tagged,
        ));
    }
    if follows || tasks {
        place.watch(pipe, &mut policy);
        policy.add(Statement::on_all([
            "elasticloadbalancing:DescribeTargetHealth",
        ]));
        let groups = Definition::read(pipe).log_groups(pipe);
        policy.add(Statement::new(["logs:GetLogEvents"], groups));
    }
    if tasks {
        policy.add(Statement::on_all(["ecs:RunTask"]).when(
            "ArnEquals",
            "ecs:cluster",
            [place.cluster_arn(pipe)],
        ));
        policy.add(Statement::new(["ecs:StopTask"], [place.task_arn(pipe)]));
    }
    if deploys || tasks || is("rollback") {
        policy.add(pass_roles(
            Definition::read(pipe).roles(pipe),
            "ecs-tasks.amazonaws.com",
        ));
    }
    if pipe.is_on("PIN_DIGEST") {
        let repositories = repositories(pipe);
        policy.add(Statement::new(
            ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            repositories,
        ));
    }
    schedules(pipe, &mut policy);
    if pipe.is_on("SCHEDULES") && pipe.is_on("CREATE_SERVICE") {
        // A service that does not exist yet cannot name its cluster.
        policy.add(Statement::new(
            ["ecs:DescribeClusters"],
            [place.cluster_arn(pipe)],
        ));
    }
    if pipe.has("KEEP_REVISIONS") {
        // A revision is in use by services and tasks of any cluster.
        policy.add(Statement::on_all([
            "ecs:ListClusters",
            "ecs:ListServices",
            "ecs:DescribeServices",
            "ecs:ListTasks",
            "ecs:DescribeTasks",
        ]));
    }
    let notes = code_deploy(pipe, is("rollback"), &mut policy);
    Rights::Policy(policy, notes)
}

/// The pipe that ours replaces: it registers the file, updates the service, and waits by DescribeServices.
pub(super) fn vendor(pipe: &Use<'_>) -> Rights {
    let mut policy = Policy::default();
    policy.add(Statement::on_all(["ecs:RegisterTaskDefinition"]));
    let place = Place::new(pipe);
    policy.add(Statement::new(
        ["ecs:DescribeServices", "ecs:UpdateService"],
        place.service_arns(pipe),
    ));
    policy.add(pass_roles(
        Definition::read(pipe).roles(pipe),
        "ecs-tasks.amazonaws.com",
    ));
    Rights::Policy(policy, Vec::new())
}

/// Cluster and services by their names.
struct Place {
    cluster: Text,
    services: Vec<Text>,
}

impl Place {
    fn new(pipe: &Use<'_>) -> Self {
        let cluster = pipe
            .value("CLUSTER_NAME")
            .unwrap_or_else(|| pipe.unknown("CLUSTER_NAME"));
        let mut services = pipe.list("SERVICE_NAME");
        if services.is_empty() {
            services.push(pipe.unknown("SERVICE_NAME"));
        }
        Self {
            cluster: last_segment(cluster),
            services: services.into_iter().map(last_segment).collect(),
        }
    }

    fn cluster_arn(&self, pipe: &Use<'_>) -> Text {
        pipe.arn("ecs", Text::from("cluster/").then(self.cluster.clone()))
    }

    fn task_arn(&self, pipe: &Use<'_>) -> Text {
        pipe.arn(
            "ecs",
            Text::from("task/").then(self.cluster.clone()).then("/*"),
        )
    }

    fn of_service(&self, pipe: &Use<'_>, kind: &str, service: &Text, end: &str) -> Text {
        let path = Text::from(format!("{kind}/"))
            .then(self.cluster.clone())
            .then("/");
        pipe.arn("ecs", path.then(service.clone()).then(end))
    }

    fn service_arns(&self, pipe: &Use<'_>) -> Vec<Text> {
        let services = self.services.iter();
        services
            .map(|service| self.of_service(pipe, "service", service, ""))
            .collect()
    }

    /// The services, and what is below them: deployments and revisions have ARNs of their own.
    fn services(&self, pipe: &Use<'_>) -> Vec<Text> {
        let mut arns = self.service_arns(pipe);
        for service in &self.services {
            arns.push(self.of_service(pipe, "service-deployment", service, "/*"));
            arns.push(self.of_service(pipe, "service-revision", service, "/*"));
        }
        arns
    }

    /// ListTasks knows no resource but the cluster, by its condition key.
    fn watch(&self, pipe: &Use<'_>, policy: &mut Policy) {
        let cluster = self.cluster_arn(pipe);
        policy.add(Statement::on_all(["ecs:ListTasks"]).when(
            "ArnEquals",
            "ecs:cluster",
            [cluster],
        ));
        policy.add(Statement::new(["ecs:DescribeTasks"], [self.task_arn(pipe)]));
    }
}

/// A name, also where an ARN was given.
fn last_segment(text: Text) -> Text {
    match text.literal().and_then(|text| text.rsplit_once('/')) {
        Some((_, name)) => Text::from(name),
        None => text,
    }
}

/// What the file of `TASK_DEFINITION` says, if it is one of the checkout.
struct Definition(Option<yaml_serde::Value>);

impl Definition {
    fn read(pipe: &Use<'_>) -> Self {
        let document = pipe
            .file("TASK_DEFINITION")
            .and_then(|text| yaml_serde::from_str(&text).ok());
        Self(document.map(
            |document: yaml_serde::Value| match document.get("taskDefinition") {
                // What describe-task-definition prints.
                Some(definition) => definition.clone(),
                None => document,
            },
        ))
    }

    fn text(value: Option<&yaml_serde::Value>) -> Option<&str> {
        value.and_then(yaml_serde::Value::as_str)
    }

    /// The roles that ECS is told to use; a definition with none passes none.
    fn roles(&self, pipe: &Use<'_>) -> Vec<Text> {
        ["taskRoleArn", "executionRoleArn"]
            .into_iter()
            .filter_map(|member| {
                let variable = if member == "taskRoleArn" {
                    "TASK_ROLE_ARN"
                } else {
                    "EXECUTION_ROLE_ARN"
                };
                let Some(document) = &self.0 else {
                    return Some(pipe.unknown(variable));
                };
                let role = Self::text(document.get(member))?;
                let role = pipe.known.expand(role, variable, pipe.environment);
                // RegisterTaskDefinition takes the name of a role too.
                Some(match role.literal() {
                    Some(name) if !name.starts_with("arn:") => {
                        pipe.global_arn("iam", pipe.account(), Text::from("role/").then(name))
                    }
                    _ => role,
                })
            })
            .collect()
    }

    fn log_groups(&self, pipe: &Use<'_>) -> Vec<Text> {
        let Some(document) = &self.0 else {
            let group = pipe.unknown("LOG_GROUP");
            return vec![pipe.arn("logs", Text::from("log-group:").then(group).then(":*"))];
        };
        let containers = document
            .get("containerDefinitions")
            .and_then(yaml_serde::Value::as_sequence);
        let mut arns = Vec::new();
        for container in containers.into_iter().flatten() {
            let options = container
                .get("logConfiguration")
                .and_then(|log| log.get("options"));
            let Some(group) = Self::text(options.and_then(|options| options.get("awslogs-group")))
            else {
                continue;
            };
            let group = pipe.known.expand(group, "LOG_GROUP", pipe.environment);
            let arn = pipe.arn("logs", Text::from("log-group:").then(group).then(":*"));
            if !arns.contains(&arn) {
                arns.push(arn);
            }
        }
        arns
    }
}

/// Rights to hand roles to a service. <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html>
pub(super) fn pass_roles(roles: Vec<Text>, service: &'static str) -> Statement {
    Statement::new(["iam:PassRole"], roles).when(
        "StringEquals",
        "iam:PassedToService",
        [Text::from(service)],
    )
}

/// The repositories of ECR whose images stand in `IMAGE` and `IMAGES`; those of the account where none does.
fn repositories(pipe: &Use<'_>) -> Vec<Text> {
    let images = pipe.list("IMAGE").into_iter().chain(pipe.list("IMAGES"));
    let mut arns: Vec<Text> = Vec::new();
    for image in images {
        let arn = repository(pipe, &image);
        if !arns.contains(&arn) {
            arns.push(arn);
        }
    }
    if arns.is_empty() {
        arns.push(pipe.arn("ecr", "repository/*"));
    }
    arns
}

/// The ARN for `account.dkr.ecr.region.amazonaws.com/name:tag`, of which an `=` may stand before.
pub(super) fn repository(pipe: &Use<'_>, image: &Text) -> Text {
    let image = image
        .split_once('=')
        .map_or_else(|| image.clone(), |(_, image)| image);
    let name = image
        .split_once('/')
        .map_or_else(|| image.clone(), |(_, name)| name);
    let name = name.split_once('@').map_or(name.clone(), |(name, _)| name);
    let name = name.split_once(':').map_or(name.clone(), |(name, _)| name);
    let registry = image.split_once('/').map(|(registry, _)| registry);
    match registry
        .as_ref()
        .and_then(Text::literal)
        .map(|host| host.split('.').collect::<Vec<_>>())
        .as_deref()
    {
        Some([account, "dkr", "ecr", region, ..]) => Text::from(format!(
            "arn:{}:ecr:{region}:{account}:repository/",
            super::partition(&Text::from(*region))
        ))
        .then(name),
        _ => pipe.arn("ecr", Text::from("repository/").then(name)),
    }
}

fn schedules(pipe: &Use<'_>, policy: &mut Policy) {
    let moves = pipe.is_on("SCHEDULES");
    if !moves && !pipe.has("KEEP_REVISIONS") {
        return;
    }
    policy.add(Statement::on_all([
        "events:ListRuleNamesByTarget",
        "events:ListTargetsByRule",
        "scheduler:ListSchedules",
    ]));
    let schedules = pipe.arn("scheduler", "schedule/*");
    policy.add(Statement::new(
        ["scheduler:GetSchedule"],
        [schedules.clone()],
    ));
    if moves {
        policy.add(Statement::new(
            ["events:PutTargets"],
            [pipe.arn("events", "rule/*")],
        ));
        policy.add(Statement::new(["scheduler:UpdateSchedule"], [schedules]));
        let role = || vec![pipe.unknown("SCHEDULE_ROLE_ARN")];
        for service in ["events.amazonaws.com", "scheduler.amazonaws.com"] {
            policy.add(pass_roles(role(), service));
        }
    }
}

/// The controller of a service is not in the file: only what is set says that it is CodeDeploy.
fn code_deploy(pipe: &Use<'_>, rolls_back: bool, policy: &mut Policy) -> Vec<String> {
    if !pipe.has_any(&[
        "CODEDEPLOY_APPLICATION",
        "CODEDEPLOY_GROUP",
        "CODEDEPLOY_APPSPEC",
    ]) {
        return vec!["a service of the controller CODE_DEPLOY needs rights in CodeDeploy: set CODEDEPLOY_APPLICATION and CODEDEPLOY_GROUP, and they are added".to_owned()];
    }
    let name = |variable| {
        pipe.value(variable)
            .unwrap_or_else(|| pipe.unknown(variable))
    };
    let (application, group) = (name("CODEDEPLOY_APPLICATION"), name("CODEDEPLOY_GROUP"));
    let mut deployments = vec![
        "codedeploy:GetDeploymentGroup",
        "codedeploy:CreateDeployment",
        "codedeploy:GetDeployment",
        "codedeploy:ListDeploymentTargets",
        "codedeploy:BatchGetDeploymentTargets",
        "codedeploy:ContinueDeployment",
        "codedeploy:StopDeployment",
    ];
    let mut revisions = vec!["codedeploy:RegisterApplicationRevision"];
    if rolls_back {
        deployments.push("codedeploy:ListDeployments");
        revisions.push("codedeploy:GetApplicationRevision");
    }
    let of_application = |kind: &str| Text::from(kind).then(application.clone());
    let group = of_application("deploymentgroup:").then("/").then(group);
    policy.add(Statement::new(deployments, [pipe.arn("codedeploy", group)]));
    policy.add(Statement::new(
        revisions,
        [pipe.arn("codedeploy", of_application("application:"))],
    ));
    policy.add(Statement::new(
        ["codedeploy:GetDeploymentConfig"],
        [pipe.arn("codedeploy", "deploymentconfig:*")],
    ));
    Vec::new()
}
