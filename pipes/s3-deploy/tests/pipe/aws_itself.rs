//! What the pipe says only to AWS's own S3, which keeps all of its promises: hosts by the bucket's name, bodies that are
//! not signed over TLS, conditions on copies and deletes, and one checksum over all parts. The local AWS answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, checksum};
use shared::testing::{Fault, Output, Recorded};

use crate::step::{Step, last_line};
use crate::tls::Tunnel;

fn deploy(step: &Step, variables: &[(&str, &str)]) -> Output {
    let tunnel = Tunnel::to(step.proxy.endpoint());
    step.pipe()
        .envs(tunnel.variables())
        .envs(variables.iter().copied())
        .run()
}

fn request(step: &Step, method: &str, path: &str) -> Recorded {
    let requests = step.proxy.requests();
    let found = requests
        .iter()
        .find(|each| each.method == method && each.path == path);
    found
        .unwrap_or_else(|| panic!("no {method} {path} in {requests:#?}"))
        .clone()
}

#[test]
fn uploads_go_to_the_host_of_the_bucket_with_a_checksum_in_place_of_a_signed_body() {
    let step = Step::new();
    step.file("index.html", "page");
    let output = deploy(&step, &[]);
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let put = request(&step, "PUT", "/index.html");
    let host = format!("{}.s3.us-east-1.amazonaws.com", step.bucket);
    assert_eq!(put.headers["host"], host);
    assert_eq!(put.headers["x-amz-content-sha256"], "UNSIGNED-PAYLOAD");
    let crc = checksum(CrcAlgorithm::Crc64Nvme, b"page").to_be_bytes();
    assert_eq!(
        put.headers["x-amz-checksum-crc64nvme"],
        STANDARD.encode(crc)
    );
    assert_eq!(step.keys(), ["index.html"]);
}

#[test]
fn a_copy_for_headers_depends_on_both_ends_being_what_was_listed() {
    let step = Step::new();
    step.file("index.html", "page");
    assert_eq!(deploy(&step, &[]).code, Some(0));
    step.proxy.clear();
    let output = deploy(&step, &[("CACHE_CONTROL", "no-cache")]);
    assert!(
        last_line(&output.plain()).contains("unchanged 0, headers 1"),
        "{}",
        output.plain()
    );
    let copy = request(&step, "PUT", "/index.html");
    let etag = "\"71860c77c6745379b0d44304d66b6a13\"";
    assert_eq!(copy.headers["x-amz-copy-source-if-match"], etag);
    assert_eq!(copy.headers["if-match"], etag);
}

#[test]
fn a_delete_depends_on_the_object_being_what_was_listed() {
    let step = Step::new();
    step.file("index.html", "page");
    step.aws.put_object(&step.bucket, "old.js", b"old", &[]);
    let output = deploy(&step, &[("DELETE_FLAG", "true")]);
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let delete = || {
        let requests = step.proxy.requests();
        let is_delete = |each: &&Recorded| each.query.starts_with("delete");
        requests.iter().find(is_delete).unwrap().body.clone()
    };
    assert!(
        delete().contains("<Key>old.js</Key>")
            && delete().contains("149603e6c03516362a8da23f624db945"),
        "{}",
        delete()
    );
    assert_eq!(step.keys(), ["index.html"]);
    // Without a manifest the right to read may be missing, which a condition needs.
    step.aws.put_object(&step.bucket, "old.js", b"old", &[]);
    step.proxy.clear();
    let output = deploy(&step, &[("DELETE_FLAG", "true"), ("MANIFEST", "false")]);
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert!(!delete().contains("ETag"), "{}", delete());
}

#[test]
fn what_was_written_since_the_listing_is_kept_and_what_is_gone_is_gone() {
    for (code, exit) in [("PreconditionFailed", 1), ("NoSuchKey", 0)] {
        let answer = format!(
            "<DeleteResult><Error><Key>old.js</Key><Code>{code}</Code><Message>no</Message></Error></DeleteResult>"
        );
        let step = Step::with(move |request: &Recorded| {
            let is_delete = request.query.starts_with("delete");
            is_delete.then(|| Fault::Status(200, answer.clone()))
        });
        step.file("index.html", "page");
        step.aws.put_object(&step.bucket, "old.js", b"old", &[]);
        let output = deploy(&step, &[("DELETE_FLAG", "true")]);
        assert_eq!(output.code, Some(exit), "{code}: {}", output.plain());
        let hint =
            "hint: somebody wrote it since it was listed, so it was kept; run this step again";
        assert_eq!(
            output.plain().contains(hint),
            exit == 1,
            "{}",
            output.plain()
        );
    }
}

/// The answer is played: the local AWS knows checksums of checksums only.
#[test]
fn the_parts_of_a_large_file_are_completed_with_the_checksum_of_all_of_it() {
    let step = Step::with(|request: &Recorded| {
        let completed = "<CompleteMultipartUploadResult><ETag>&quot;0123456789abcdef0123456789abcdef-3&quot;</ETag></CompleteMultipartUploadResult>";
        let completes = request.method == "POST" && request.query.starts_with("uploadId=");
        completes.then(|| Fault::Status(200, completed.to_owned()))
    });
    let large = "0123456789abcdef".repeat(1_300_000);
    step.file("large.bin", &large);
    let output = deploy(&step, &[]);
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let requests = step.proxy.requests();
    let of_file = || requests.iter().filter(|each| each.path == "/large.bin");
    let created = of_file()
        .find(|each| each.query.starts_with("uploads"))
        .unwrap();
    assert_eq!(created.headers["x-amz-checksum-algorithm"], "CRC64NVME");
    assert_eq!(created.headers["x-amz-checksum-type"], "FULL_OBJECT");
    let parts = of_file().filter(|each| each.query.contains("partNumber="));
    assert_eq!(parts.count(), 3);
    let completed = of_file()
        .find(|each| each.query.starts_with("uploadId="))
        .unwrap();
    let crc = checksum(CrcAlgorithm::Crc64Nvme, large.as_bytes()).to_be_bytes();
    assert_eq!(
        completed.headers["x-amz-checksum-crc64nvme"],
        STANDARD.encode(crc)
    );
    assert_eq!(completed.headers["x-amz-checksum-type"], "FULL_OBJECT");
}
