//! Valid settings, their defaults, and every fault by its words.

use shared::Environment;

use super::*;

fn config<const N: usize>(pairs: [(&str, &str); N]) -> Result<Config, String> {
    let mut faults = Faults::default();
    let config = Config::new(Environment::from(pairs).read(), &mut faults);
    if faults.is_empty() {
        Ok(config.unwrap())
    } else {
        Err(faults.to_string())
    }
}

#[test]
fn the_defaults_upload_and_delete_nothing() {
    let config = config([("S3_BUCKET", "site"), ("LOCAL_PATH", "dist")]).unwrap();
    assert!(!config.deletes.asked && !config.dry_run);
    assert_eq!(config.headers, Headers::default());
    assert_eq!(config.timeout, Duration::from_hours(1));
}

#[test]
fn what_needs_the_manifest_is_refused_without_it() {
    let fault = config([
        ("S3_BUCKET", "site"),
        ("LOCAL_PATH", "dist"),
        ("MANIFEST", "false"),
        ("RETAIN", "5"),
        ("DELETE_SCOPE", "deployed"),
        ("SHARD", "true"),
    ])
    .unwrap_err();
    insta::assert_snapshot!(fault, @r"
    Validation errors:
    DELETE_SCOPE:
    - needs the manifest, which MANIFEST switches off
    MANIFEST:
    - unallowed value false (ROLLBACK, SHARD and SHARD_MERGE need the manifest)
    RETAIN:
    - needs the manifest, which MANIFEST switches off
    ");
}

#[test]
fn the_documents_are_in_step() {
    shared::testing::assert_documented(
        include_str!("../../README.md"),
        include_str!("../../pipe.yml"),
        &shared::known_variables::<Config>(),
        env!("CARGO_PKG_VERSION"),
    );
}

#[test]
fn every_fault_is_named() {
    insta::assert_snapshot!(
        config([
            ("S3_BUCKET", "s!"),
            ("LOCAL_PATH", "$LOCAL_PATH"),
            ("ACL", "public"),
            ("CACHE_CONTROL", "max-age=1\nx: y"),
            ("EXPIRES", "soon"),
            ("STORAGE_CLASS", "standard"),
            ("DELETE_FLAG", "1"),
            ("DELETE_SCOPE", "mine"),
            ("SITE_URL", "www.example.com"),
            ("SITE_TIMEOUT", "0"),
            ("BROKEN_LINKS", "fix"),
            ("DRY_RUN", "maybe"),
            ("TIMEOUT", "0"),
            ("EXTRA_ARGS", "--delete"),
            ("PRE_EXECUTION_SCRIPT", "build.sh"),
        ])
        .unwrap_err(),
        @r"
    Validation errors:
    ACL:
    - unallowed value public (allowed: private, public-read, public-read-write, authenticated-read, aws-exec-read, bucket-owner-read, bucket-owner-full-control, log-delivery-write)
    BROKEN_LINKS:
    - unallowed value fix (allowed: warn, refuse, ignore)
    CACHE_CONTROL:
    - has a line break or a character that no header may have
    DELETE_FLAG:
    - must be of boolean type
    DELETE_SCOPE:
    - unallowed value mine (allowed: all, deployed)
    DRY_RUN:
    - must be of boolean type
    EXPIRES:
    - unallowed value soon (a timestamp looks like `2026-12-01T00:00:00Z`)
    LOCAL_PATH:
    - required field (its value is the literal `$LOCAL_PATH`, so that variable is not defined for this step)
    PRE_EXECUTION_SCRIPT:
    - is not supported, since the image has no shell; put its commands into the script of the step, before the pipe
    S3_BUCKET:
    - unallowed value s! (it is `bucket` or `bucket/prefix`, and a bucket's name has letters, digits, `.`, `-`, `_`)
    SITE_TIMEOUT:
    - unallowed value 0 (it is at least 1)
    SITE_URL:
    - unallowed value www.example.com (a site's URL looks like `https://www.example.com/` or `https://www.example.com/docs/`)
    STORAGE_CLASS:
    - unallowed value standard (allowed: STANDARD, REDUCED_REDUNDANCY, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER, DEEP_ARCHIVE, OUTPOSTS, GLACIER_IR, SNOW, EXPRESS_ONEZONE)
    TIMEOUT:
    - unallowed value 0 (it is at least 1)
    "
    );
}
