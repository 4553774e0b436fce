//! TASK_DEFINITION of ecs-deploy.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ecs_deploy::properties::definition(input));
