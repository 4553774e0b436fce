//! Pipeline files: the reader and the rewriter of oidc-migrate, and what is printed of a file.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| oidc_migrate::properties::pipeline_file(input));
