//! Which IAM actions the requests of a pipe need: when the variable `RECORDED_ACTIONS` names a file, each action that passes
//! a proxy is added to it once, as `pipe action`. `ci/actions.sh` compares them with the lists that policies are made from.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/>

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::proxy::Recorded;

/// Notes what `request` needs; an unsigned one needs no permission.
pub(super) fn note(request: &Recorded) {
    static FILE: OnceLock<Option<(String, String)>> = OnceLock::new();
    static NOTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    #[expect(
        clippy::disallowed_methods,
        reason = "set by ci/check.sh and by cargo for all tests of a run"
    )]
    let file = FILE.get_or_init(|| {
        Some((
            std::env::var("RECORDED_ACTIONS").ok()?,
            std::env::var("CARGO_PKG_NAME").ok()?,
        ))
    });
    let (Some((file, pipe)), false) = (file, request.service.is_empty()) else {
        return;
    };
    for action in actions(request) {
        let line = format!("{pipe} {action}\n");
        let is_new = NOTED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(line.clone());
        if is_new {
            // One write, so that lines of other test processes do not mix with it.
            let opened = OpenOptions::new().create(true).append(true).open(file);
            let written = opened.and_then(|mut file| file.write_all(line.as_bytes()));
            written.unwrap_or_else(|error| panic!("{file} cannot be written: {error}"));
        }
    }
}

fn actions(request: &Recorded) -> Vec<String> {
    let names: Vec<String> = match request.service.as_str() {
        "s3" => s3(request)
            .into_iter()
            .map(|action| format!("s3:{action}"))
            .collect(),
        "lambda" => vec![format!("lambda:{}", lambda(request))],
        "scheduler" => vec![format!("scheduler:{}", scheduler(request))],
        "cloudfront" => vec![format!("cloudfront:{}", cloudfront(request))],
        // It needs no permission.
        "sts" if request.operation() == "GetCallerIdentity" => Vec::new(),
        "monitoring" => vec![format!("cloudwatch:{}", request.operation())],
        service => vec![format!("{service}:{}", request.operation())],
    };
    // Of a request that no table knows all is shown that helps to add it.
    let tell = |name: String| match name.strip_suffix('?') {
        Some(service) => format!("{service}? {} {}", request.method, request.path),
        None => name,
    };
    names.into_iter().map(tell).collect()
}

/// By the table "Amazon S3 API operations and permissions" of S3's user guide.
fn s3(request: &Recorded) -> Vec<&'static str> {
    // The bucket is the first part of the host, or of the path.
    let host = request.headers.get("host").map_or("", String::as_str);
    let path = request.path.trim_start_matches('/');
    let key = if host.contains(".s3.") {
        path
    } else {
        path.split_once('/').map_or("", |(_, key)| key)
    };
    let is_object = !key.is_empty();
    let has = |name: &str| {
        request
            .query
            .split('&')
            .any(|part| part.split('=').next() == Some(name))
    };
    let with = |header: &str| request.headers.contains_key(header);
    match (request.method.as_str(), is_object) {
        ("GET", false) if has("uploads") => vec!["ListBucketMultipartUploads"],
        ("GET" | "HEAD", false) => vec!["ListBucket"],
        ("POST", _) if has("delete") => vec!["DeleteObject"],
        ("GET", true) if has("uploadId") => vec!["ListMultipartUploadParts"],
        ("GET" | "HEAD", true) if has("versionId") => vec!["GetObjectVersion"],
        ("GET" | "HEAD", true) => vec!["GetObject"],
        ("DELETE", true) if has("uploadId") => vec!["AbortMultipartUpload"],
        ("DELETE", true) => vec!["DeleteObject"],
        ("PUT" | "POST", true) => {
            let mut actions = vec!["PutObject"];
            if with("x-amz-copy-source") {
                actions.push("GetObject");
            }
            if with("x-amz-acl") {
                actions.push("PutObjectAcl");
            }
            if with("x-amz-tagging") {
                actions.push("PutObjectTagging");
            }
            actions
        }
        _ => vec!["?"],
    }
}

/// The segments of a path that begins with the version of the API, without that.
fn below_version(request: &Recorded) -> Vec<&str> {
    let segments = request.path.split('/');
    segments
        .filter(|segment| !segment.is_empty())
        .skip(1)
        .collect()
}

fn lambda(request: &Recorded) -> &'static str {
    let segments = below_version(request);
    let lists = request.query.contains("List=ALL");
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["functions"]) => "ListFunctions",
        ("POST", ["functions"]) => "CreateFunction",
        ("GET", ["functions", _]) => "GetFunction",
        ("DELETE", ["functions", _]) => "DeleteFunction",
        ("GET", ["functions", _, "configuration"]) => "GetFunctionConfiguration",
        ("PUT", ["functions", _, "configuration"]) => "UpdateFunctionConfiguration",
        ("PUT", ["functions", _, "code"]) => "UpdateFunctionCode",
        ("GET", ["functions", _, "versions"]) => "ListVersionsByFunction",
        ("POST", ["functions", _, "versions"]) => "PublishVersion",
        ("GET", ["functions", _, "aliases"]) => "ListAliases",
        ("POST", ["functions", _, "aliases"]) => "CreateAlias",
        ("GET", ["functions", _, "aliases", _]) => "GetAlias",
        ("PUT", ["functions", _, "aliases", _]) => "UpdateAlias",
        ("POST", ["functions", _, "invocations"]) => "InvokeFunction",
        ("GET", ["functions", _, "policy"]) => "GetPolicy",
        ("POST", ["functions", _, "policy"]) => "AddPermission",
        ("DELETE", ["functions", _, "policy", _]) => "RemovePermission",
        ("GET", ["functions", _, "url"]) => "GetFunctionUrlConfig",
        ("POST", ["functions", _, "url"]) => "CreateFunctionUrlConfig",
        ("PUT", ["functions", _, "url"]) => "UpdateFunctionUrlConfig",
        ("PUT", ["functions", _, "concurrency"]) => "PutFunctionConcurrency",
        ("DELETE", ["functions", _, "concurrency"]) => "DeleteFunctionConcurrency",
        ("GET", ["functions", _, "concurrency"]) => "GetFunctionConcurrency",
        ("GET", ["functions", _, "provisioned-concurrency"]) if lists => {
            "ListProvisionedConcurrencyConfigs"
        }
        ("GET", ["functions", _, "provisioned-concurrency"]) => "GetProvisionedConcurrencyConfig",
        ("PUT", ["functions", _, "provisioned-concurrency"]) => "PutProvisionedConcurrencyConfig",
        ("DELETE", ["functions", _, "provisioned-concurrency"]) => {
            "DeleteProvisionedConcurrencyConfig"
        }
        ("GET", ["event-source-mappings"]) => "ListEventSourceMappings",
        ("GET", ["layers", _, "versions"]) => "ListLayerVersions",
        ("POST", ["layers", _, "versions"]) => "PublishLayerVersion",
        ("GET", ["layers"] | ["layers", _, "versions", _]) => "GetLayerVersion",
        ("DELETE", ["layers", _, "versions", _]) => "DeleteLayerVersion",
        ("GET", ["account-settings"]) => "GetAccountSettings",
        ("GET", ["tags", ..]) => "ListTags",
        ("POST", ["tags", ..]) => "TagResource",
        ("DELETE", ["tags", ..]) => "UntagResource",
        _ => "?",
    }
}

fn scheduler(request: &Recorded) -> &'static str {
    let segments = request
        .path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .count();
    match (request.method.as_str(), segments) {
        ("GET", 1) => "ListSchedules",
        ("GET", 2) => "GetSchedule",
        ("PUT", 2) => "UpdateSchedule",
        _ => "?",
    }
}

fn cloudfront(request: &Recorded) -> &'static str {
    let segments = below_version(request);
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["distribution", _]) => "GetDistribution",
        ("POST", ["distribution", _, "invalidation"]) => "CreateInvalidation",
        ("GET", ["distribution", _, "invalidation", _]) => "GetInvalidation",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(service: &str, method: &str, path: &str, headers: &[&str]) -> Recorded {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Recorded {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            action: String::new(),
            service: service.to_owned(),
            headers: headers
                .iter()
                .map(|&name| (name.to_owned(), String::new()))
                .collect(),
            body: super::super::Body::default(),
            status: None,
        }
    }

    #[test]
    fn requests_are_known_by_their_actions() {
        for (service, method, path, headers, expected) in [
            (
                "s3",
                "GET",
                "/site?list-type=2&prefix=a%2F",
                &[][..],
                "s3:ListBucket",
            ),
            (
                "s3",
                "PUT",
                "/site/a",
                &["x-amz-copy-source", "x-amz-acl"],
                "s3:PutObject s3:GetObject s3:PutObjectAcl",
            ),
            ("s3", "POST", "/site?delete=", &[], "s3:DeleteObject"),
            (
                "s3",
                "GET",
                "/site?prefix=a&uploads=",
                &[],
                "s3:ListBucketMultipartUploads",
            ),
            (
                "s3",
                "POST",
                "/site/a?uploads=",
                &["x-amz-tagging"],
                "s3:PutObject s3:PutObjectTagging",
            ),
            (
                "s3",
                "DELETE",
                "/site/a?uploadId=1",
                &[],
                "s3:AbortMultipartUpload",
            ),
            (
                "lambda",
                "GET",
                "/2015-03-31/functions/web/configuration?Qualifier=1",
                &[],
                "lambda:GetFunctionConfiguration",
            ),
            (
                "lambda",
                "GET",
                "/2019-09-30/functions/web/provisioned-concurrency?List=ALL",
                &[],
                "lambda:ListProvisionedConcurrencyConfigs",
            ),
            (
                "lambda",
                "PATCH",
                "/2015-03-31/functions/web",
                &[],
                "lambda:? PATCH /2015-03-31/functions/web",
            ),
            (
                "cloudfront",
                "POST",
                "/2020-05-31/distribution/E1/invalidation",
                &[],
                "cloudfront:CreateInvalidation",
            ),
            (
                "scheduler",
                "PUT",
                "/schedules/report",
                &[],
                "scheduler:UpdateSchedule",
            ),
        ] {
            assert_eq!(
                actions(&request(service, method, path, headers)).join(" "),
                expected,
                "{method} {path}"
            );
        }
    }
}
