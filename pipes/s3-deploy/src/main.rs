//! s3
fn main() {}
