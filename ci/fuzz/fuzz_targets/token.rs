//! The step's OpenID Connect token.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| shared::properties::token(input));
