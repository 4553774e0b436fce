//! The proxy against the local AWS, which checks the signatures of what comes through it.

use super::super::pipe::tests::{complaint, script};
use super::*;
use crate::testing::{Issuer, LocalAws, unique, uuid};
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn signed_requests_pass_and_are_recorded() {
    let aws = LocalAws::start();
    let proxy = Proxy::start(aws.endpoint());
    let through = aws.at(proxy.endpoint());
    let bucket = unique("proxy");
    through.create_bucket(&bucket);
    through.put_object(
        &bucket,
        "a b/é+.txt",
        b"content",
        &[("cache-control", "no-cache")],
    );
    let head = through.head(&bucket, "a b/é+.txt").unwrap();
    assert_eq!(head["content-length"], "7");
    let (headers, body) = through.get_object(&bucket, "a b/é+.txt");
    assert_eq!(
        (headers["cache-control"].as_str(), &body[..]),
        ("no-cache", &b"content"[..])
    );
    assert_eq!(through.keys(&bucket), ["a b/é+.txt"]);
    let requests = proxy.requests();
    let seen: Vec<_> = requests
        .iter()
        .map(|each| (each.method.as_str(), each.query.as_str(), each.status))
        .collect();
    assert_eq!(
        seen,
        [
            ("PUT", "", Some(200)),
            ("PUT", "", Some(200)),
            ("HEAD", "", Some(200)),
            ("GET", "", Some(200)),
            ("GET", "encoding-type=url&list-type=2", Some(200)),
        ]
    );
    assert_eq!(requests[1].path, format!("/{bucket}/a%20b/%C3%A9%2B.txt"));
    proxy.clear();
    assert_eq!(proxy.requests(), []);
}

#[test]
fn secrets_of_sts_are_noted_and_trust_is_checked() {
    let aws = LocalAws::start();
    let proxy = Proxy::start(aws.endpoint());
    let issuer = Issuer::new(&unique("acme"), &uuid());
    let (repository, bucket) = (uuid(), unique("site"));
    let role = aws.site_role(
        &issuer,
        &unique("role"),
        &bucket,
        &format!("{repository}:*"),
    );
    let assume = |token: &str| {
        let form = format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={role}\
             &RoleSessionName=test&WebIdentityToken={token}"
        );
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        aws.at(proxy.endpoint())
            .call("sts", "POST", "/", &headers, form.as_bytes())
    };
    assert_eq!(assume(&issuer.step(&uuid()).sign()).status, 403);
    assert_eq!(proxy.secrets(), [""; 0]);
    let answer = assume(&issuer.step(&repository).sign());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let secrets = proxy.secrets();
    let [secret_key, session_token] = secrets.as_slice() else {
        panic!("{} secrets", secrets.len());
    };
    assert!(secrets.iter().all(|secret| answer.text().contains(secret)));
    assert!(
        proxy
            .requests()
            .iter()
            .all(|request| request.action == "AssumeRoleWithWebIdentity")
    );
    for secret in &secrets {
        let directory = tempfile::tempdir().unwrap();
        let pipe = script(&directory, "echo \"$LEAK\"")
            .through(&proxy)
            .env("LEAK", secret);
        let complaint = complaint(move || drop(pipe.run()));
        assert!(complaint.contains("a secret key or session token from STS is in standard output"));
    }
    // The signature of a session covers path, host and body, and it is checked.
    aws.create_bucket(&bucket);
    let text = answer.text();
    let key_id = elements(&text, "AccessKeyId").next().unwrap();
    let put = |secret_key: &str, session_token: &str| {
        let session = aws
            .at(proxy.endpoint())
            .session(key_id, secret_key, session_token);
        let path = format!("/{bucket}/a%20b");
        session.call(
            "s3",
            "PUT",
            &path,
            &[("content-type", "text/plain")],
            b"content",
        )
    };
    assert_eq!(put(secret_key, session_token).status, 200);
    assert_eq!(put("another-key", session_token).status, 403);
}

#[test]
fn chosen_requests_fail() {
    let aws = LocalAws::start();
    let puts = AtomicUsize::new(0);
    let proxy = Proxy::with(aws.endpoint(), move |request| {
        let is_object = request.method == "PUT" && request.path.matches('/').count() == 2;
        match is_object.then(|| puts.fetch_add(1, Ordering::Relaxed))? {
            0 => Some(Fault::Status(503, "<Code>SlowDown</Code>".to_owned())),
            1 => Some(Fault::Delay(Duration::from_millis(200))),
            _ => None,
        }
    });
    let through = aws.at(proxy.endpoint());
    let bucket = unique("proxy");
    through.create_bucket(&bucket);
    let path = format!("/{bucket}/key");
    assert_eq!(
        through.call("s3", "PUT", &path, &[], b"1").text(),
        "<Code>SlowDown</Code>"
    );
    assert_eq!(aws.head(&bucket, "key"), None);
    let start = std::time::Instant::now();
    assert_eq!(through.call("s3", "PUT", &path, &[], b"2").status, 200);
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert_eq!(&aws.get_object(&bucket, "key").1[..], b"2");
}

#[test]
fn a_reset_is_no_answer() {
    use std::io::{Read, Write};
    let proxy = Proxy::with("http://127.0.0.1:9", |_| Some(Fault::Reset));
    let address = proxy.endpoint().strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, b"");
    assert_eq!(proxy.requests()[0].status, None);
}

#[test]
fn chunks_and_100_continue_are_understood() {
    use std::io::{Read, Write};
    let (aws, bucket) = (LocalAws::start(), unique("proxy"));
    aws.create_bucket(&bucket);
    let proxy = Proxy::start(aws.endpoint());
    let address = proxy.endpoint().strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let head = format!(
        "PUT /{bucket}/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\n\
                Transfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"3\r\nabc\r\n0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    // Unsigned, so it is refused, but by the local AWS and not by the proxy.
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[test]
fn many_requests_at_a_time_all_pass() {
    let aws = LocalAws::start();
    let proxy = Proxy::start(aws.endpoint());
    let through = aws.at(proxy.endpoint());
    let bucket = unique("proxy");
    aws.create_bucket(&bucket);
    std::thread::scope(|scope| {
        for thread in 0..64 {
            let (through, bucket) = (&through, &bucket);
            scope.spawn(move || {
                for number in 0..20 {
                    through.put_object(bucket, &format!("{thread}/{number}"), b"x", &[]);
                }
            });
        }
    });
    assert_eq!(proxy.requests().len(), 1280);
    assert!(proxy.requests().iter().all(|each| each.status == Some(200)));
    assert_eq!(aws.keys(&bucket).len(), 1280);
}
