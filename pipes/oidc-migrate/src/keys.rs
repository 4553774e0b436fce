//! The names under which access keys go about: in a pipe's `variables`, in scripts, in `image.aws`.

/// What a pipe takes keys by, and what is removed from it. A session token belongs to temporary keys.
pub const KEY_NAMES: [&str; 3] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];
/// What takes their place.
pub const ROLE_NAME: &str = "AWS_OIDC_ROLE_ARN";

/// Whether a name is one by which a pipe takes keys.
#[must_use]
pub fn is_key(name: &str) -> bool {
    KEY_NAMES.contains(&name)
}

/// Whether a variable of this name holds a key, by the ways in which people name them: `AWS_KEY_STAGING`,
/// `PROD_AWS_SECRET_ACCESS_KEY`, `AWS_SECRET`.
#[must_use]
pub fn looks_like_key(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    if name.contains("ACCESS_KEY") || name.contains("AWS_SESSION_TOKEN") {
        return true;
    }
    let words: Vec<&str> = name.split('_').collect();
    let has = |word: &str| words.contains(&word);
    has("AWS") && (has("KEY") || has("SECRET")) && !has("KMS") && !has("SSH") && !has("NAME")
}

/// The variable that a value is filled from when it is nothing but that: `$NAME` or `${NAME}`.
#[must_use]
pub fn reference(value: &str) -> Option<&str> {
    let name = value.trim().strip_prefix('$')?;
    let name = match name.strip_prefix('{') {
        Some(name) => name.strip_suffix('}')?,
        None => name,
    };
    let is_name = !name.is_empty() && name.chars().all(is_name_character);
    is_name.then_some(name)
}

/// All variables that a text names: `$NAME`, `${NAME}`, `${NAME:-…}`.
pub fn references(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).filter_map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let end = rest.find(|each| !is_name_character(each));
        let name = &rest[..end.unwrap_or(rest.len())];
        (!name.is_empty()).then_some(name)
    })
}

fn is_name_character(each: char) -> bool {
    each.is_ascii_alphanumeric() || each == '_'
}

/// A line with the literal values of keys taken out, for printing: what is behind `AWS_SECRET_ACCESS_KEY:` or `=`, unless
/// it only names a variable, and anything of the form of a key id.
#[must_use]
pub fn without_secrets(line: &str) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(|each: char| is_name_character(each)) {
        let (before, word) = rest.split_at(at);
        let end = word.find(|each| !is_name_character(each));
        let (word, behind) = word.split_at(end.unwrap_or(word.len()));
        shown.push_str(before);
        rest = behind;
        if is_key_id(word) {
            shown.push_str("(masked)");
            continue;
        }
        shown.push_str(word);
        if looks_like_key(word) {
            rest = masked_value(word, behind, &mut shown);
        }
    }
    shown + rest
}

/// Copies the mark behind a key's name and puts a mask for a literal; gives what is left.
fn masked_value<'text>(word: &str, behind: &'text str, shown: &mut String) -> &'text str {
    let mark = behind.strip_prefix(['"', '\'']).unwrap_or(behind);
    // `aws configure set` has a blank between the two.
    let is_setting = word.chars().all(|each| !each.is_ascii_uppercase()) && mark.starts_with(' ');
    let value = match mark.trim_start().strip_prefix([':', '=']) {
        Some(value) => value,
        None if is_setting => mark,
        None => return behind,
    };
    let value = value.trim_start();
    let value = value.strip_prefix(['"', '\'']).unwrap_or(value);
    if value.is_empty() || value.starts_with(['$', '#', '*', '&', '{', '|', '>']) {
        return behind;
    }
    shown.push_str(&behind[..behind.len() - value.len()]);
    shown.push_str("(masked)");
    let end = value.find(|each: char| each.is_whitespace() || "\"',};&|".contains(each));
    &value[end.unwrap_or(value.len())..]
}

/// The form of a key id: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>.
fn is_key_id(word: &str) -> bool {
    let is_id = |each: u8| each.is_ascii_uppercase() || each.is_ascii_digit();
    word.len() == 20
        && ["AKIA", "ASIA"].iter().any(|form| word.starts_with(form))
        && word.bytes().all(is_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_people_use() {
        for name in [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY_PRODUCTION",
            "AWS_KEY",
            "AWS_KEY_STAGING",
            "QA_AWS_SECRET",
            "aws_secret_key",
        ] {
            assert!(looks_like_key(name), "{name}");
        }
        for name in [
            "AWS_DEFAULT_REGION",
            "API_KEY",
            "AWS_KMS_KEY_ARN",
            "AWS_OIDC_ROLE_ARN",
            "S3_KEY",
        ] {
            assert!(!looks_like_key(name), "{name}");
        }
    }

    #[test]
    fn references_are_found() {
        assert_eq!(reference("$AWS_KEY"), Some("AWS_KEY"));
        assert_eq!(reference(" ${AWS_KEY} "), Some("AWS_KEY"));
        for text in ["AWS_KEY", "$", "${AWS_KEY", "$A-$B", "x$A"] {
            assert_eq!(reference(text), None, "{text}");
        }
        let found: Vec<&str> = references("$A-${B:-x} $$ $C").collect();
        assert_eq!(found, ["A", "B", "C"]);
    }

    #[test]
    fn literal_keys_are_never_shown() {
        for (line, shown) in [
            (
                "AWS_SECRET_ACCESS_KEY: wJalr/x+y",
                "AWS_SECRET_ACCESS_KEY: (masked)",
            ),
            (
                "AWS_SECRET_ACCESS_KEY: 'wJalr/x+y' # old",
                "AWS_SECRET_ACCESS_KEY: '(masked)' # old",
            ),
            (
                "AWS_SECRET_ACCESS_KEY: $AWS_SECRET",
                "AWS_SECRET_ACCESS_KEY: $AWS_SECRET",
            ),
            (
                "- export AWS_SECRET_ACCESS_KEY=wJalr && aws s3 ls",
                "- export AWS_SECRET_ACCESS_KEY=(masked) && aws s3 ls",
            ),
            (
                "aws configure set aws_secret_access_key wJalr",
                "aws configure set aws_secret_access_key (masked)",
            ),
            ("id AKIAIOSFODNN7EXAMPLE,", "id (masked),"),
            (
                "{\"AWS_SESSION_TOKEN\": \"abc\"}",
                "{\"AWS_SESSION_TOKEN\": \"(masked)\"}",
            ),
            ("S3_BUCKET: site", "S3_BUCKET: site"),
        ] {
            assert_eq!(without_secrets(line), shown);
        }
    }
}
