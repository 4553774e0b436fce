//! JSON and YAML with placeholders: what is under the task definition of ecs-deploy.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| shared::properties::documents(input));
