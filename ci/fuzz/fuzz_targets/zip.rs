//! ZIP_FILE of lambda-deploy.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lambda_deploy::properties::zip(input));
