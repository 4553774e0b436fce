//! One header as text, by the name it has in RULES_FILE (the variables and EXTRA_ARGS use the same names), becomes a wish in [`Headers`], or a fault.
//! What S3 would refuse in the middle of a deploy is refused here, before its first request.

use shared::{FromText as _, Timestamp};

use super::Headers;

/// The canned ACLs of S3. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl>
const ACLS: &[&str] = &[
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "log-delivery-write",
];

/// The storage classes of PutObject. <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>
const STORAGE_CLASSES: &[&str] = &[
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "OUTPOSTS",
    "GLACIER_IR",
    "SNOW",
    "EXPRESS_ONEZONE",
];

/// The headers that are one text each.
pub const HEADERS: &[&str] = &[
    "cache-control",
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "expires",
    "acl",
    "storage-class",
    "website-redirect",
    "encryption",
    "kms-key-id",
];

/// What PutObject takes as `x-amz-server-side-encryption`.
const ENCRYPTIONS: &[&str] = &["AES256", "aws:kms", "aws:kms:dsse"];

/// The most that all keys and values of an object's metadata may have together, in bytes.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const LARGEST_METADATA: usize = 2048;
/// The most tags of one object, and the characters of a key and of a value.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>
const MOST_TAGS: usize = 10;
const LONGEST_TAG: (usize, usize) = (128, 256);

/// Sets the header `name`, one of [`HEADERS`].
///
/// # Errors
/// Says what is wrong with the value.
pub fn set(headers: &mut Headers, name: &str, value: &str) -> Result<(), String> {
    let value = value.trim();
    printable(value)?;
    let field = match name {
        "cache-control" => &mut headers.cache_control,
        "content-type" => &mut headers.content_type,
        "content-encoding" => &mut headers.content_encoding,
        "content-disposition" => &mut headers.content_disposition,
        "content-language" => &mut headers.content_language,
        "expires" => {
            headers.expires = Some(Timestamp::from_text(value)?);
            return Ok(());
        }
        "acl" => {
            one_of(value, ACLS)?;
            &mut headers.acl
        }
        "storage-class" => {
            one_of(value, STORAGE_CLASSES)?;
            &mut headers.storage_class
        }
        "website-redirect" => {
            let is_target = ["/", "http://", "https://"]
                .iter()
                .any(|start| value.starts_with(start));
            if !is_target {
                return Err(format!(
                    "unallowed value {value} (a redirect leads to a path that begins with `/`, or to a URL)"
                ));
            }
            &mut headers.website_redirect
        }
        "encryption" => {
            one_of(value, ENCRYPTIONS)?;
            &mut headers.encryption
        }
        "kms-key-id" => &mut headers.kms_key_id,
        _ => return Err(format!("`{name}` is no header of an object")),
    };
    *field = Some(value.to_owned());
    Ok(())
}

/// Adds one entry of user metadata; gives the key as S3 keeps it, which is in lower case.
///
/// # Errors
/// Says what is wrong with the key or the value.
pub fn add_metadata(headers: &mut Headers, key: &str, value: &str) -> Result<String, String> {
    let key = key.trim().to_ascii_lowercase();
    let value = value.trim();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if key.is_empty() || !key.bytes().all(is_token) {
        return Err(format!(
            "the key `{key}` has a character that the name of a header may not have"
        ));
    }
    if key.starts_with("x-amz-meta-") {
        return Err(format!("the key `{key}` is given without `x-amz-meta-`"));
    }
    // S3 keeps an empty value; no other header has one.
    legal(value).map_err(|why| format!("`{key}` {why}"))?;
    headers.metadata.insert(key.clone(), value.to_owned());
    Ok(key)
}

/// Adds one tag.
///
/// # Errors
/// Says what is wrong with the key or the value.
pub fn add_tag(headers: &mut Headers, key: &str, value: &str) -> Result<(), String> {
    let is_legal = |each: char| {
        each.is_alphanumeric()
            || each.is_whitespace() && !each.is_control()
            || "+-=._:/@".contains(each)
    };
    let length = |text: &str| text.encode_utf16().count();
    if key.is_empty() || length(key) > LONGEST_TAG.0 || length(value) > LONGEST_TAG.1 {
        return Err(format!(
            "the tag `{key}` is too long or has no key (a key has 1 to {} characters, a value up to {})",
            LONGEST_TAG.0, LONGEST_TAG.1
        ));
    }
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Err(format!(
            "the tag `{key}` begins with `aws:`, which only AWS may give"
        ));
    }
    if !key.chars().chain(value.chars()).all(is_legal) {
        return Err(format!(
            "the tag `{key}` has a character other than letters, digits, blanks and + - = . _ : / @"
        ));
    }
    headers.tags.insert(key.to_owned(), value.to_owned());
    Ok(())
}

/// Why S3 would refuse these headers as a whole: to be asked when all layers of a file are laid.
pub fn over_limits(headers: &Headers) -> Option<String> {
    let metadata: usize = headers
        .metadata
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if metadata > LARGEST_METADATA {
        return Some(format!(
            "has {metadata} bytes of metadata, more than the {LARGEST_METADATA} that S3 takes"
        ));
    }
    let tags = headers.tags.len();
    (tags > MOST_TAGS).then(|| format!("has {tags} tags, more than the {MOST_TAGS} that S3 takes"))
}

fn one_of(value: &str, allowed: &[&str]) -> Result<(), String> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(format!(
        "unallowed value {value} (allowed: {})",
        allowed.join(", ")
    ))
}

fn printable(value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err("has no value".to_owned());
    }
    legal(value)
}

fn legal(value: &str) -> Result<(), String> {
    if value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Ok(());
    }
    Err("has a line break or a character that no header may have".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_can_be_set() {
        for (name, value) in HEADERS.iter().zip([
            "no-cache",
            "text/plain",
            "gzip",
            "inline",
            "de",
            "2026-12-01",
            "public-read",
            "STANDARD_IA",
            "/there",
            "aws:kms",
            "alias/site",
        ]) {
            let mut headers = Headers::default();
            set(&mut headers, name, &format!(" {value}\n")).unwrap();
            assert_ne!(headers, Headers::default(), "{name}");
        }
    }

    #[test]
    fn what_s3_would_refuse_is_refused() {
        let fault = |name, value| set(&mut Headers::default(), name, value).unwrap_err();
        assert_eq!(fault("cache-control", " "), "has no value");
        for value in ["a\nb: c", "naïve", "a\tb"] {
            assert_eq!(
                fault("content-disposition", value),
                "has a line break or a character that no header may have"
            );
        }
        assert!(fault("acl", "public").starts_with("unallowed value public (allowed: private, "));
        assert!(fault("storage-class", "standard").contains("allowed: STANDARD, "));
        assert!(fault("encryption", "kms").contains("allowed: AES256, aws:kms, aws:kms:dsse"));
        assert!(fault("expires", "soon").contains("a timestamp looks like"));
        assert!(fault("website-redirect", "there").contains("begins with `/`"));
        assert!(fault("x-frame-options", "DENY").contains("no header of an object"));
    }

    #[test]
    fn metadata_has_keys_in_lower_case() {
        let mut headers = Headers::default();
        assert_eq!(add_metadata(&mut headers, "Build", "12").unwrap(), "build");
        assert_eq!(headers.metadata["build"], "12");
        add_metadata(&mut headers, "empty", "").unwrap();
        for (key, value) in [("a b", "1"), ("", "1"), ("x-amz-meta-a", "1"), ("a", "é")] {
            assert!(
                add_metadata(&mut headers, key, value).is_err(),
                "{key}: {value}"
            );
        }
    }

    #[test]
    fn tags_are_of_the_legal_characters() {
        let mut headers = Headers::default();
        add_tag(&mut headers, "team:a/b", "Büro 1").unwrap();
        add_tag(&mut headers, "empty", "").unwrap();
        let long = "x".repeat(129);
        for (key, value) in [
            ("", "1"),
            ("aws:x", "1"),
            ("a", "b;c"),
            ("a", "b\nc"),
            (&long, "1"),
        ] {
            assert!(add_tag(&mut headers, key, value).is_err(), "{key}: {value}");
        }
        assert_eq!(headers.tags.len(), 2);
    }

    #[test]
    fn the_sum_of_all_layers_has_limits() {
        let mut headers = Headers::default();
        assert_eq!(over_limits(&headers), None);
        for number in 0..11 {
            add_tag(&mut headers, &number.to_string(), "").unwrap();
        }
        assert_eq!(
            over_limits(&headers).unwrap(),
            "has 11 tags, more than the 10 that S3 takes"
        );
        add_metadata(&mut headers, "k", &"x".repeat(2048)).unwrap();
        assert_eq!(
            over_limits(&headers).unwrap(),
            "has 2049 bytes of metadata, more than the 2048 that S3 takes"
        );
    }
}
