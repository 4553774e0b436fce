//! Scripts against requests made by hand: which answer comes when.

use std::time::Instant;

use super::*;
use crate::testing::LocalAws;

/// Status and body of a signed request in the JSON protocol.
fn ask(proxy: &Proxy, operation: &str, body: &str) -> (u16, String) {
    let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", target.as_str()),
    ];
    let answer =
        LocalAws::running_at(proxy.endpoint()).call("ecs", "POST", "/", &headers, body.as_bytes());
    (answer.status, answer.text())
}

fn said(text: &str) -> Reply {
    Reply::json(&json!(text))
}

#[test]
fn replies_come_in_order_and_the_last_one_stays() {
    let aws = Timeline::new()
        .on(
            "DescribeServices",
            [said("a").times(2), said("b"), said("c")],
        )
        .start();
    let seen: Vec<String> = (0..6)
        .map(|_| ask(&aws, "DescribeServices", "{}").1)
        .collect();
    assert_eq!(
        seen,
        [r#""a""#, r#""a""#, r#""b""#, r#""c""#, r#""c""#, r#""c""#]
    );
}

#[test]
fn a_part_begins_after_another_request() {
    let aws = Timeline::new()
        .on("DescribeServices", [said("old")])
        .on("UpdateService", [said("updated")])
        .on(
            Call::to("DescribeServices").after("UpdateService"),
            [said("starting"), said("running")],
        )
        .on(
            Call::to("DescribeServices").after_nth(2, "UpdateService"),
            [said("back")],
        )
        .start();
    let describe = || ask(&aws, "DescribeServices", "{}").1;
    let update = || ask(&aws, "UpdateService", r#"{"service": "web"}"#).1;
    assert_eq!(describe(), r#""old""#);
    assert_eq!(update(), r#""updated""#);
    assert_eq!(
        [describe(), describe(), describe()],
        [r#""starting""#, r#""running""#, r#""running""#]
    );
    assert_eq!(update(), r#""updated""#);
    assert_eq!(describe(), r#""back""#);
    assert_eq!(
        aws.operations(),
        [
            "DescribeServices",
            "UpdateService",
            "DescribeServices",
            "DescribeServices",
            "DescribeServices",
            "UpdateService",
            "DescribeServices"
        ]
    );
    assert_eq!(
        aws.bodies("UpdateService"),
        vec![json!({"service": "web"}); 2]
    );
}

#[test]
fn a_part_can_be_for_one_body_or_made_from_it() {
    let aws = Timeline::new()
        .on(
            "DescribeServices",
            [Reply::from(|request| {
                Reply::json(&request.json()["services"][0])
            })],
        )
        .on(
            Call::to("DescribeServices").holding("worker"),
            [said("other")],
        )
        .start();
    assert_eq!(
        ask(&aws, "DescribeServices", r#"{"services": ["web"]}"#).1,
        r#""web""#
    );
    assert_eq!(
        ask(&aws, "DescribeServices", r#"{"services": ["worker"]}"#).1,
        r#""other""#
    );
}

#[test]
fn paths_are_operations_of_services_without_a_target() {
    let aws = Timeline::new()
        .on(
            "PUT /2015-03-31/functions/*/code",
            [Reply::json(&json!({}))
                .status(202)
                .header("x-amzn-requestid", "7")],
        )
        .start();
    let local = LocalAws::running_at(aws.endpoint());
    let put = |path: &str| local.call("lambda", "PUT", path, &[], b"{}");
    let answer = put("/2015-03-31/functions/web/code");
    assert_eq!(
        (answer.status, answer.headers["x-amzn-requestid"].as_str()),
        (202, "7")
    );
    let answer = put("/2015-03-31/functions/web/configuration");
    assert_eq!(answer.status, 400);
    assert!(
        answer
            .text()
            .contains("no answer for PUT /2015-03-31/functions/web/configuration"),
        "{}",
        answer.text()
    );
}

#[test]
fn errors_speak_the_protocol_of_the_request() {
    let aws = Timeline::new()
        .on(
            "UpdateService",
            [Reply::error(400, "AccessDeniedException", "no")],
        )
        .on(
            "GetCallerIdentity",
            [Reply::error(403, "ExpiredToken", "old")],
        )
        .start();
    assert_eq!(
        ask(&aws, "UpdateService", "{}"),
        (
            400,
            r#"{"__type":"AccessDeniedException","message":"no"}"#.to_owned()
        )
    );
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = LocalAws::running_at(aws.endpoint()).call(
        "sts",
        "POST",
        "/",
        &form,
        b"Action=GetCallerIdentity&Version=2011-06-15",
    );
    assert_eq!(answer.status, 403);
    assert!(
        answer.text().contains("<Code>ExpiredToken</Code>"),
        "{}",
        answer.text()
    );
}

#[test]
fn a_reply_can_be_late_and_what_is_not_named_goes_on() {
    let behind = Timeline::new().on("ListClusters", [said("behind")]).start();
    let aws = Timeline::over(behind.endpoint())
        .on(
            "DescribeServices",
            [
                said("late").late(Duration::from_millis(200)),
                Reply::forward(),
            ],
        )
        .start();
    let start = Instant::now();
    assert_eq!(ask(&aws, "DescribeServices", "{}").1, r#""late""#);
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert_eq!(ask(&aws, "DescribeServices", "{}").0, 400);
    assert_eq!(ask(&aws, "ListClusters", "{}").1, r#""behind""#);
    assert_eq!(behind.operations(), ["DescribeServices", "ListClusters"]);
}
