//! Where a site goes: S3_BUCKET as a bucket and the prefix of all its keys. Pure.

use shared::FromText;

/// `bucket` or `bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The bucket's name.
    pub bucket: String,
    /// Before every key.
    pub prefix: Prefix,
}

/// Empty, or ending in `/`: without the slash `site` would also mean `site-old/…`, and delete it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// The prefix as it stands before keys.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn new(text: &str) -> Self {
        let text = text.trim_matches('/');
        Self(if text.is_empty() {
            String::new()
        } else {
            format!("{text}/")
        })
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "s3://{}/{}", self.bucket, self.prefix.0)
    }
}

impl FromText for Destination {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let fault = |why: &str| Err(format!("unallowed value {text} ({why})"));
        if text.starts_with("arn:") {
            return fault("an access point is named by its alias, not by its ARN");
        }
        let path = text.strip_prefix("s3://").unwrap_or(text);
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        // The rules for names of today and of old buckets in us-east-1 together.
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if !(3..=255).contains(&bucket.len()) || !bucket.bytes().all(is_legal) {
            return fault(
                "it is `bucket` or `bucket/prefix`, and a bucket's name has letters, digits, `.`, `-`, `_`",
            );
        }
        if prefix.chars().any(char::is_control) {
            return fault("the prefix has a control character");
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: Prefix::new(prefix),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_always_ends_in_a_slash() {
        for (text, bucket, prefix) in [
            ("site", "site", ""),
            ("site/", "site", ""),
            ("site/docs", "site", "docs/"),
            ("site/docs/v1/", "site", "docs/v1/"),
            ("s3://site/docs", "site", "docs/"),
            (" site//docs// ", "site", "docs/"),
        ] {
            let destination = Destination::from_text(text).unwrap();
            assert_eq!(
                (destination.bucket.as_str(), destination.prefix.as_str()),
                (bucket, prefix),
                "{text}"
            );
        }
    }
}
