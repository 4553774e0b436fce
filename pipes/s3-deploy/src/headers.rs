//! What an object carries besides its bytes: the wished state, layered from the variables, the rules and the file.
//! A wish that is not given is left to S3, and does not count as a difference.

pub mod values;

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use shared::Timestamp;

use crate::digest::{fingerprint, hex};

/// The wished headers of one object, or a layer of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Expires`.
    pub expires: Option<Timestamp>,
    /// Canned ACL.
    pub acl: Option<String>,
    /// Storage class.
    pub storage_class: Option<String>,
    /// Where the website endpoint redirects requests for this object: a path or a URL.
    pub website_redirect: Option<String>,
    /// `AES256`, `aws:kms` or `aws:kms:dsse`; the bucket's default if not given.
    pub encryption: Option<String>,
    /// The key for `aws:kms`.
    pub kms_key_id: Option<String>,
    /// User metadata, without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// Object tags.
    pub tags: BTreeMap<String, String>,
}

impl Headers {
    /// Lays `over` on top: what it gives wins, what it does not give stays.
    pub fn overlay(&mut self, over: &Self) {
        let fields = [
            (&mut self.content_type, &over.content_type),
            (&mut self.cache_control, &over.cache_control),
            (&mut self.content_encoding, &over.content_encoding),
            (&mut self.content_disposition, &over.content_disposition),
            (&mut self.content_language, &over.content_language),
            (&mut self.acl, &over.acl),
            (&mut self.storage_class, &over.storage_class),
            (&mut self.website_redirect, &over.website_redirect),
            (&mut self.encryption, &over.encryption),
            (&mut self.kms_key_id, &over.kms_key_id),
        ];
        for (field, value) in fields {
            if value.is_some() {
                field.clone_from(value);
            }
        }
        self.expires = over.expires.or(self.expires);
        self.metadata.extend(over.metadata.clone());
        self.tags.extend(over.tags.clone());
    }

    /// All that is given, by the names of RULES_FILE.
    pub fn given(&self) -> Vec<(&'static str, String)> {
        let pair = |(name, value): (&String, &String)| format!("{name}={value}");
        let texts = self.texts().into_iter();
        let texts = texts.filter_map(|(name, value)| Some((name, value.clone()?)));
        let expires = self.expires.map(|time| ("expires", time.http_date()));
        let metadata = self.metadata.iter().map(pair);
        let tags = self.tags.iter().map(pair);
        texts
            .chain(expires)
            .chain(metadata.map(|pair| ("metadata", pair)))
            .chain(tags.map(|pair| ("tags", pair)))
            .collect()
    }

    fn texts(&self) -> [(&'static str, &Option<String>); 10] {
        [
            ("content-type", &self.content_type),
            ("cache-control", &self.cache_control),
            ("content-encoding", &self.content_encoding),
            ("content-disposition", &self.content_disposition),
            ("content-language", &self.content_language),
            ("acl", &self.acl),
            ("storage-class", &self.storage_class),
            ("website-redirect", &self.website_redirect),
            ("encryption", &self.encryption),
            ("kms-key-id", &self.kms_key_id),
        ]
    }

    /// What the manifest keeps of the wish, to notice that it changed: 32 hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut lines = String::new();
        let mut add = |name: &str, value: &str| {
            for part in [name, "\0", value, "\n"] {
                lines.push_str(part);
            }
        };
        for (name, value) in self.texts() {
            if let Some(value) = value {
                add(name, value);
            }
        }
        if let Some(Timestamp(time)) = self.expires {
            let seconds = time
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs();
            add("expires", &seconds.to_string());
        }
        self.metadata
            .iter()
            .for_each(|(name, value)| add(&format!("metadata {name}"), value));
        self.tags
            .iter()
            .for_each(|(name, value)| add(&format!("tag {name}"), value));
        hex(fingerprint(lines.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_layer_wins_where_it_says_something() {
        let text = |text: &str| Some(text.to_owned());
        let mut headers = Headers {
            cache_control: text("max-age=60"),
            acl: text("private"),
            metadata: BTreeMap::from([
                ("a".to_owned(), "1".to_owned()),
                ("b".to_owned(), "1".to_owned()),
            ]),
            ..Headers::default()
        };
        headers.overlay(&Headers {
            cache_control: text("no-cache"),
            metadata: BTreeMap::from([("b".to_owned(), "2".to_owned())]),
            ..Headers::default()
        });
        assert_eq!(headers.cache_control.as_deref(), Some("no-cache"));
        assert_eq!(headers.acl.as_deref(), Some("private"));
        assert_eq!(headers.metadata["a"], "1");
        assert_eq!(headers.metadata["b"], "2");
    }
}
