//! Archives that are too large for a request: by way of ARTIFACT_BUCKET, once for each content.

use shared::testing::{Pipe, unique};

use crate::step::{Step, answering, failed, succeeded};

/// Bytes that cannot be compressed, and more than a request may have.
fn noise() -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let words = (0..(52 << 20) / 8).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.collect()
}

fn large(step: &Step) {
    step.file("dist/app.py", answering("second"));
    step.file("dist/model.bin", noise());
}

fn update(step: &Step) -> Pipe<'_> {
    step.pipe().env("COMMAND", "update").env("ZIP_FILE", "dist")
}

#[test]
fn a_large_archive_is_uploaded_once_in_parts_and_used_again() {
    let step = Step::new();
    let bucket = unique("artifacts");
    step.aws.create_bucket(&bucket);
    large(&step);
    let other = unique("invoices");
    step.create(&other);
    let output = update(&step)
        .env("FUNCTION_NAME", format!("{} {other}", step.function))
        .env("ARTIFACT_BUCKET", &bucket)
        .run();
    let plain = succeeded(&output);
    let keys = step.aws.keys(&bucket);
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert!(keys[0].starts_with("lambda-deploy/"), "{keys:?}");
    assert!(
        plain.contains(&format!("artifact   s3://{bucket}/{}  (new)", keys[0])),
        "{plain}"
    );
    let changes = step.changes();
    let parts = changes
        .iter()
        .filter(|each| each.starts_with(&format!("PUT /{bucket}/")));
    assert_eq!(parts.count(), 7, "{changes:?}");
    let first_change = changes
        .iter()
        .position(|each| each.ends_with("/code"))
        .unwrap();
    let last_part = changes
        .iter()
        .rposition(|each| each.contains("uploadId="))
        .unwrap();
    assert!(last_part < first_change, "{changes:?}");
    let code = |name: &str| step.configuration(name)["CodeSha256"].clone();
    assert_eq!(code(&step.function), code(&other));

    step.proxy.clear();
    let third = unique("refunds");
    step.create(&third);
    let output = update(&step)
        .env("FUNCTION_NAME", &third)
        .env("ARTIFACT_BUCKET", &bucket)
        .run();
    let plain = succeeded(&output);
    assert!(plain.contains("(unchanged)"), "{plain}");
    let changes = step.changes();
    assert!(
        !changes.iter().any(|each| each.contains("upload")),
        "{changes:?}"
    );
    assert_eq!(code(&third), code(&other));
}

#[test]
fn without_a_bucket_it_is_refused_before_anything_is_changed() {
    let step = Step::new();
    large(&step);
    let plain = failed(&update(&step).run());
    assert!(
        plain.contains("Lambda takes 50 MB with a request\n  hint: set ARTIFACT_BUCKET"),
        "{plain}"
    );
    assert!(plain.contains("nothing was changed"), "{plain}");
    assert_eq!(step.changes(), [] as [&str; 0]);
}

#[test]
fn a_bucket_is_never_created() {
    let step = Step::new();
    large(&step);
    let bucket = unique("misspelt");
    let plain = failed(&update(&step).env("ARTIFACT_BUCKET", &bucket).run());
    assert!(plain.contains("NoSuchBucket"), "{plain}");
    assert!(
        plain.contains("hint: check ARTIFACT_BUCKET: a bucket is never created"),
        "{plain}"
    );
    assert!(plain.contains("nothing was changed"), "{plain}");
    let before = step.configuration(&step.function)["CodeSha256"].clone();
    assert!(before.is_string());
}
