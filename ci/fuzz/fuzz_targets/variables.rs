//! The environment of each pipe.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    s3_deploy::properties::variables(input);
    ecs_deploy::properties::variables(input);
    lambda_deploy::properties::variables(input);
});
