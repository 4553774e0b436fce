//! What the pipes' own tests stand on: a local AWS, an issuer of signed tokens, a proxy that records requests and
//! makes them fail, a script of answers for what no local AWS shows, and the compiled binary in a clean environment, whose output is searched for secrets.
//!
//! Nothing here resets anything: each test has names of its own from [`unique`], so tests run side by side.

mod actions;
mod corpus;
mod documentation;
mod exchange;
mod faults;
mod issuer;
mod killed;
mod local_aws;
mod matrix;
mod pipe;
mod proxy;
mod running;
mod subject;
mod timeline;

pub use corpus::replay;
pub use documentation::assert_documented;
pub use exchange::{Answer, Headers};
pub use issuer::{Issuer, StepToken};
pub use killed::kill;
pub use local_aws::LocalAws;
pub use matrix::{Focus, tried};
pub use pipe::Pipe;
pub use proxy::{Body, Fault, Proxy, Recorded};
pub use running::{Output, Running};
pub use subject::{Subject, Things, Trap};
pub use timeline::{Call, Reply, Timeline};

/// A name that no other test has: `prefix`, a dash and twelve hexadecimal digits; good for buckets and roles.
#[must_use]
pub fn unique(prefix: &str) -> String {
    let bits = u64::from_be_bytes(random()) >> 16;
    format!("{prefix}-{bits:012x}")
}

/// A random UUID in braces, as Bitbucket writes them.
#[must_use]
pub fn uuid() -> String {
    let bits = u128::from_be_bytes(random());
    // Version 4, variant 1 (RFC 9562, 5.4).
    let bits = bits & !(0xf000_c000 << 48) & !(0xf << 76) | (0x4 << 76) | (0x8 << 60);
    let digits = format!("{bits:032x}");
    format!(
        "{{{}-{}-{}-{}-{}}}",
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..]
    )
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_its_form_and_names_differ() {
        let uuid = uuid();
        let parts: Vec<&str> = uuid.trim_matches(['{', '}']).split('-').collect();
        assert_eq!(
            parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
            [8, 4, 4, 4, 12]
        );
        assert!(parts[2].starts_with('4'), "{uuid}");
        assert!(parts[3].starts_with(['8', '9', 'a', 'b']), "{uuid}");
        assert_ne!(unique("site"), unique("site"));
    }
}
