//! The way to AWS: a proxy, a certificate authority of one's own, the user agent. For TLS a server is played that
//! answers one request with a refusal: what counts is whether the pipe trusted it, and what it sent.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::{ServerConnection, StreamOwned};

use crate::step::{Step, text};
use crate::tls::server_config;

#[test]
fn requests_go_through_the_proxy_of_the_environment() {
    let step = Step::new();
    step.file("index.html", "x");
    let pipe = step.pipe().env("HTTP_PROXY", step.proxy.endpoint());
    let output = pipe
        .env("AWS_ENDPOINT_URL", "http://aws.invalid")
        .env("ALLOW_HTTP", "true")
        .env("NO_PROXY", "other.invalid")
        .run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert_eq!(step.keys(), ["index.html"]);
}

#[test]
fn a_way_that_others_can_read_is_refused_before_the_token_is_sent() {
    let step = Step::new();
    step.file("index.html", "x");
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"] {
        let pipe = step.pipe().env("HTTP_PROXY", step.proxy.endpoint());
        let output = pipe.env(name, "http://aws.invalid").run();
        assert_eq!(output.code, Some(1), "{}", output.plain());
        let refusal = format!("{name}:\n- unallowed value http://aws.invalid (it is not encr");
        assert!(output.plain().contains(&refusal), "{}", output.plain());
        assert_eq!(step.proxy.requests(), []);
    }
}

#[test]
fn hosts_of_no_proxy_are_reached_directly() {
    let step = Step::new();
    step.file("index.html", "x");
    let pipe = step
        .pipe()
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("NO_PROXY", "127.0.0.1");
    assert_eq!(pipe.run().code, Some(0));
}

/// A TLS server with a certificate that no machine trusts. Gives its URL, the certificate, and the head of the
/// request that it got, if a client trusted it.
fn private_server(connections: usize) -> (String, String, JoinHandle<Option<String>>) {
    let (config, pem) = server_config(&["localhost"]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let server = std::thread::spawn(move || {
        let mut head = None;
        for _ in 0..connections {
            let (socket, _) = listener.accept().unwrap();
            let mut stream =
                StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), socket);
            let mut buffer = [0; 16 * 1024];
            if let Ok(length) = stream.read(&mut buffer) {
                head = Some(String::from_utf8_lossy(&buffer[..length]).into_owned());
                let answer =
                    "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(answer.as_bytes()).unwrap();
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
        head
    });
    (url, pem, server)
}

#[test]
fn a_certificate_authority_of_ones_own_is_trusted_when_named() {
    let step = Step::new();
    step.file("index.html", "x");
    let (url, pem, server) = private_server(1);
    let bundle = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(bundle.path(), pem).unwrap();
    let pipe = step
        .pipe()
        .env("AWS_ENDPOINT_URL_S3", url)
        .env("MANIFEST", "false")
        .env("AWS_CA_BUNDLE", text(bundle.path()));
    let output = pipe.run();
    assert!(
        output.plain().contains("could not list") && output.plain().contains("HTTP status 403"),
        "{}",
        output.plain()
    );
    let head = server.join().unwrap().unwrap();
    let agent = head
        .lines()
        .find_map(|line| line.strip_prefix("x-amz-user-agent: "))
        .unwrap();
    assert!(
        agent.contains(concat!(
            "app/keyless-pipes-s3-deploy-",
            env!("CARGO_PKG_VERSION")
        )),
        "{agent}"
    );
}

#[test]
fn a_certificate_that_nobody_knows_is_refused() {
    let step = Step::new();
    step.file("index.html", "x");
    let (url, _, server) = private_server(1);
    let output = step
        .pipe()
        .env("AWS_ENDPOINT_URL_S3", url)
        .env("MANIFEST", "false")
        .env("AWS_MAX_ATTEMPTS", "1")
        .run();
    assert!(
        output
            .plain()
            .contains("invalid peer certificate: UnknownIssuer"),
        "{}",
        output.plain()
    );
    assert_eq!(server.join().unwrap(), None);
}
