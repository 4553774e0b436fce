//! EXTRA_ARGS of s3-deploy.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| s3_deploy::properties::extra_args(input));
