//! RULES_FILE of s3-deploy, and `_headers` and `_redirects`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| s3_deploy::properties::rules(input));
