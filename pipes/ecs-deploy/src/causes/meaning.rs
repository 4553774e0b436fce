//! What exit codes and ECS's texts mean, and what to do about them.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html>

/// What an exit code says: those above 128 are a signal's number plus 128. `reason` is ECS's word about the container.
pub fn of_exit_code(code: i64, reason: &str) -> Option<&'static str> {
    Some(match code {
        0 => "it ended by itself, but an essential container has to keep running",
        1 => "an error of the program",
        125 => "the container could not be run",
        126 => "the command is not executable",
        127 => "the command was not found in the image",
        134 => "it aborted (SIGABRT)",
        137 if reason.contains("OutOfMemory") => {
            "it was killed, since it used more memory than it may"
        }
        137 => {
            "it was killed (SIGKILL): more memory than it may use, or it did not end within stopTimeout after SIGTERM"
        }
        139 => "it crashed (SIGSEGV, a segmentation fault)",
        143 => "it was told to stop (SIGTERM) and did",
        255 => {
            "it ended with -1, or its start failed; often the image is for another processor architecture"
        }
        _ => return None,
    })
}

/// Texts of ECS, and what to do. The first that is contained counts.
const ADVICE: &[(&str, &str)] = &[
    (
        "does not contain descriptor matching platform",
        "the image has no variant for this processor architecture: build it for that of runtimePlatform, or change runtimePlatform",
    ),
    (
        "exec format error",
        "the image is for another processor architecture: build it for that of runtimePlatform, or change runtimePlatform",
    ),
    (
        "toomanyrequests",
        "the registry limits pulls: give the task credentials of the registry, or keep a copy of the image in ECR",
    ),
    (
        "no basic auth credentials",
        "the execution role may not pull: allow `ecr:GetAuthorizationToken`, `ecr:BatchGetImage` and `ecr:GetDownloadUrlForLayer` in its policy",
    ),
    (
        "AccessDenied",
        "the execution role lacks a permission: it needs `ecr:GetAuthorizationToken`, `ecr:BatchGetImage`, `ecr:GetDownloadUrlForLayer`, `logs:CreateLogStream`, `logs:PutLogEvents`, and `secretsmanager:GetSecretValue` or `ssm:GetParameters` for secrets",
    ),
    (
        "pull access denied",
        "the repository does not exist, or the execution role may not read it",
    ),
    (
        "not found",
        "there is no such thing by this name: check the repository and the tag of the image, or the name of the secret or log group",
    ),
    (
        "manifest unknown",
        "the repository has no such tag: was the image pushed by an earlier step?",
    ),
    (
        "failed to validate logger args",
        "create the log group, or set the option `awslogs-create-group` and allow `logs:CreateLogGroup`",
    ),
    (
        "log group does not exist",
        "create the log group, or set the option `awslogs-create-group` and allow `logs:CreateLogGroup`",
    ),
    (
        "i/o timeout",
        "the task has no way to the registry: it needs a public address, a NAT gateway, or VPC endpoints for ECR, S3 and CloudWatch Logs",
    ),
    (
        "context deadline exceeded",
        "the task has no way to the registry: it needs a public address, a NAT gateway, or VPC endpoints for ECR, S3 and CloudWatch Logs",
    ),
    (
        "unable to pull secrets or registry auth",
        "the task cannot reach Secrets Manager, SSM or ECR, or its execution role may not: it needs a NAT gateway or VPC endpoints, and the permissions",
    ),
    (
        "no space left on device",
        "the image is larger than the disk: raise ephemeralStorage, or make the image smaller",
    ),
    (
        "OutOfMemory",
        "raise the memory of the task or the container, or make the program use less",
    ),
    (
        "ELB health checks",
        "the target group does not get the answer that it expects in time: check the path, the port and the security group, and healthCheckGracePeriodSeconds for a slow start",
    ),
    (
        "container health checks",
        "the command of the healthCheck failed: it runs inside the container, so the image needs the tool that it calls",
    ),
];

/// What to do about a text of ECS.
pub fn of_text(text: &str) -> Option<&'static str> {
    ADVICE
        .iter()
        .find(|(part, _)| text.contains(part))
        .map(|(_, advice)| *advice)
}
