//! From EXTRA_ARGS, flags of `aws s3 sync` in one text, to what they mean for this deploy.
//! The pipe that people come from appended the text to its command line unread. Here whatever has no meaning is refused
//! before the first change: a flag that is passed over in silence may have been the one that kept a file private.

use std::collections::BTreeMap;
use std::vec::IntoIter;

use shared::{FromText, Timestamp};

use crate::config::{ACLS, STORAGE_CLASSES};
use crate::filters::Filters;
use crate::headers::Headers;

/// Faults that are named in one error.
const NAMED_FAULTS: usize = 5;
/// S3's limit for the names and values of an object's metadata together, in bytes.
const LARGEST_METADATA: usize = 2048;
/// Stands for `#` while words are split: any control character, since none is left in the text by then.
const NUMBER_SIGN: &str = "\u{1}";
/// The kinds of server-side encryption; without a value `--sse` means the first, as in aws-cli.
const ENCRYPTIONS: &[&str] = &["AES256", "aws:kms", "aws:kms:dsse"];

/// What EXTRA_ARGS asks for. A flag that is given twice counts as given the last time, as in aws-cli.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own, and none rules out another"
)]
pub struct ExtraArgs {
    /// `--dryrun`.
    pub dry_run: bool,
    /// `--delete`.
    pub delete: bool,
    /// `--exclude` and `--include`, in their order.
    pub filters: Filters,
    /// `--follow-symlinks` or `--no-follow-symlinks`; aws-cli follows links if neither is given.
    pub follow_links: Option<bool>,
    /// `--size-only`: a file of the same size counts as the same.
    pub size_only: bool,
    /// `--exact-timestamps`: in aws-cli it changes downloads only, and an upload may carry it to no effect.
    pub exact_timestamps: bool,
    /// `--no-progress`, `--only-show-errors` and `--quiet`, whichever is the quietest.
    pub quiet: Quiet,
    /// The flags that say what every uploaded object gets; names of metadata are in lower case.
    pub headers: Headers,
}

/// How much is left unsaid; each also leaves unsaid what those before it do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quiet {
    /// Nothing is.
    #[default]
    No,
    /// `--no-progress`: lines of progress are.
    NoProgress,
    /// `--only-show-errors`: all but errors and warnings is.
    OnlyErrors,
    /// `--quiet`: all is, but why a run failed.
    All,
}

/// What follows a flag, and what becomes of it.
enum Kind {
    /// Nothing follows.
    Switch(fn(&mut ExtraArgs)),
    /// A value does.
    Value(Take),
    /// A value may; this one is meant if none does.
    Default(&'static str, Take),
}

type Take = fn(&mut ExtraArgs, &str) -> Result<(), String>;

/// The flags that mean something here.
const FLAGS: &[(&str, Kind)] = &[
    ("--dryrun", Kind::Switch(|args| args.dry_run = true)),
    ("--delete", Kind::Switch(|args| args.delete = true)),
    (
        "--exclude",
        Kind::Value(|args, text| relative(text).map(|pattern| args.filters.exclude(pattern))),
    ),
    (
        "--include",
        Kind::Value(|args, text| relative(text).map(|pattern| args.filters.include(pattern))),
    ),
    (
        "--follow-symlinks",
        Kind::Switch(|args| args.follow_links = Some(true)),
    ),
    (
        "--no-follow-symlinks",
        Kind::Switch(|args| args.follow_links = Some(false)),
    ),
    ("--size-only", Kind::Switch(|args| args.size_only = true)),
    (
        "--exact-timestamps",
        Kind::Switch(|args| args.exact_timestamps = true),
    ),
    (
        "--no-progress",
        Kind::Switch(|args| args.quiet = args.quiet.max(Quiet::NoProgress)),
    ),
    (
        "--only-show-errors",
        Kind::Switch(|args| args.quiet = args.quiet.max(Quiet::OnlyErrors)),
    ),
    ("--quiet", Kind::Switch(|args| args.quiet = Quiet::All)),
    (
        "--acl",
        Kind::Value(|args, text| set(&mut args.headers.acl, one_of(text, ACLS))),
    ),
    (
        "--cache-control",
        Kind::Value(|args, text| set(&mut args.headers.cache_control, header(text))),
    ),
    (
        "--content-type",
        Kind::Value(|args, text| set(&mut args.headers.content_type, header(text))),
    ),
    (
        "--content-encoding",
        Kind::Value(|args, text| set(&mut args.headers.content_encoding, header(text))),
    ),
    (
        "--content-disposition",
        Kind::Value(|args, text| set(&mut args.headers.content_disposition, header(text))),
    ),
    (
        "--content-language",
        Kind::Value(|args, text| set(&mut args.headers.content_language, header(text))),
    ),
    (
        "--expires",
        Kind::Value(|args, text| set(&mut args.headers.expires, Timestamp::from_text(text))),
    ),
    (
        "--metadata",
        Kind::Value(|args, text| metadata(text).map(|map| args.headers.metadata = map)),
    ),
    (
        "--storage-class",
        Kind::Value(|args, text| {
            set(
                &mut args.headers.storage_class,
                one_of(text, STORAGE_CLASSES),
            )
        }),
    ),
    (
        "--sse",
        Kind::Default(ENCRYPTIONS[0], |args, text| {
            set(&mut args.headers.encryption, one_of(text, ENCRYPTIONS))
        }),
    ),
    (
        "--sse-kms-key-id",
        Kind::Value(|args, text| set(&mut args.headers.kms_key_id, header(text))),
    ),
    (
        "--website-redirect",
        Kind::Value(|args, text| set(&mut args.headers.website_redirect, redirect(text))),
    ),
];

const LEAVE_OUT: &str = "it says nothing about an upload; leave it out";
const OWN_KEYS: &str =
    "keys of the customer's own cannot be used; --sse aws:kms with --sse-kms-key-id can";

/// Flags that aws-cli takes and that mean nothing here, with what to do instead.
const REFUSED: &[(&str, &str)] = &[
    (
        "--profile",
        "give AWS_OIDC_ROLE_ARN, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    ("--region", "give AWS_DEFAULT_REGION"),
    ("--endpoint-url", "give AWS_ENDPOINT_URL"),
    ("--ca-bundle", "give AWS_CA_BUNDLE"),
    (
        "--no-verify-ssl",
        "give the certificate of the authority in AWS_CA_BUNDLE",
    ),
    ("--no-sign-request", "every request is signed; leave it out"),
    ("--debug", "give DEBUG: 'true'"),
    ("--grants", "give a canned ACL by ACL or --acl"),
    (
        "--recursive",
        "all of LOCAL_PATH is deployed anyway; leave it out",
    ),
    ("--source-region", LEAVE_OUT),
    ("--metadata-directive", LEAVE_OUT),
    ("--copy-props", LEAVE_OUT),
    ("--ignore-glacier-warnings", LEAVE_OUT),
    ("--force-glacier-transfer", LEAVE_OUT),
    ("--checksum-mode", LEAVE_OUT),
    ("--case-conflict", LEAVE_OUT),
    ("--page-size", "leave it out"),
    ("--output", "leave it out"),
    ("--query", "leave it out"),
    ("--color", "leave it out; NO_COLOR turns colours off"),
    ("--no-paginate", "leave it out"),
    ("--no-cli-pager", "leave it out"),
    ("--cli-read-timeout", "leave it out"),
    ("--cli-connect-timeout", "leave it out"),
    (
        "--checksum-algorithm",
        "every upload has a checksum anyway; leave it out",
    ),
    (
        "--no-guess-mime-type",
        "give the type of all files by --content-type",
    ),
    ("--sse-c", OWN_KEYS),
    ("--sse-c-key", OWN_KEYS),
    ("--sse-c-copy-source", OWN_KEYS),
    ("--sse-c-copy-source-key", OWN_KEYS),
];

impl FromText for ExtraArgs {
    fn from_text(text: &str) -> Result<Self, String> {
        // The shell parts words at blanks and line ends. A list in the pipeline file arrives with a control character
        // between its elements, and a file edited on Windows has one at the end of its lines.
        let text = text.replace(char::is_control, "\n");
        // Nothing is a comment: folded by YAML into one line, it would swallow all flags that come after it.
        let text = text.replace('#', NUMBER_SIGN);
        let words = shell_words::split(&text)
            .map_err(|_| "has a quote that is not closed")?
            .into_iter()
            .map(|word| word.replace(NUMBER_SIGN, "#"))
            .collect::<Vec<_>>();
        let mut reader = Reader {
            words: words.into_iter(),
            args: Self::default(),
            faults: Vec::new(),
        };
        while let Some(word) = reader.words.next() {
            reader.read(&word);
        }
        reader.end()
    }
}

struct Reader {
    words: IntoIter<String>,
    args: ExtraArgs,
    faults: Vec<String>,
}

impl Reader {
    fn read(&mut self, word: &str) {
        if !is_flag(word) {
            self.faults.push(format!(
                "`{word}` belongs to no flag (what goes where is said by LOCAL_PATH and S3_BUCKET)"
            ));
            return;
        }
        let (flag, given) = match word.split_once('=') {
            Some((flag, given)) => (flag, Some(given)),
            None => (word, None),
        };
        match FLAGS.iter().find(|(name, _)| *name == flag) {
            Some((_, kind)) => {
                if let Err(fault) = self.flag(flag, given, kind) {
                    self.faults.push(fault);
                }
            }
            None => self.refuse(flag),
        }
    }

    fn flag(&mut self, flag: &str, given: Option<&str>, kind: &Kind) -> Result<(), String> {
        let (take, value) = match kind {
            Kind::Switch(turn) => {
                if given.is_some() {
                    return Err(format!("`{flag}` takes no value"));
                }
                turn(&mut self.args);
                return Ok(());
            }
            Kind::Value(take) => {
                let value = given
                    .map(str::to_owned)
                    .or_else(|| self.value())
                    .ok_or_else(|| {
                        format!(
                            "`{flag}` has no value (one that begins with `-` is joined to it: `{flag}=-…`)"
                        )
                    })?;
                (take, value)
            }
            Kind::Default(default, take) => {
                let value = given.map(str::to_owned).or_else(|| self.value());
                (take, value.unwrap_or_else(|| (*default).to_owned()))
            }
        };
        if value.trim().is_empty() {
            return Err(format!("`{flag}` has an empty value"));
        }
        // aws-cli puts the content of the file in its place.
        if value.starts_with("file://") || value.starts_with("fileb://") {
            return Err(format!(
                "`{flag}` takes the value itself, not the name of a file"
            ));
        }
        take(&mut self.args, &value).map_err(|fault| format!("`{flag}`: {fault}"))
    }

    /// The next word, unless it is a flag. aws-cli does not take a flag for a value either.
    fn value(&mut self) -> Option<String> {
        let next = self.words.as_slice().first()?;
        if is_flag(next) {
            None
        } else {
            self.words.next()
        }
    }

    fn refuse(&mut self, flag: &str) {
        // What follows are its values, and they may be keys: they are not shown.
        while self.value().is_some() {}
        let hint = REFUSED
            .iter()
            .find(|(name, _)| *name == flag)
            .map(|(_, hint)| format!(" ({hint})"))
            .or_else(|| meant(flag).map(|name| format!(" (did you mean `{name}`?)")))
            .unwrap_or_default();
        self.faults.push(format!("`{flag}` is not supported{hint}"));
    }

    fn end(mut self) -> Result<ExtraArgs, String> {
        let headers = &self.args.headers;
        let is_kms = |encryption: &String| encryption.starts_with("aws:kms");
        // aws-cli sends it as it is, and S3 refuses every upload.
        if self.faults.is_empty()
            && headers.kms_key_id.is_some()
            && !headers.encryption.as_ref().is_some_and(is_kms)
        {
            self.faults
                .push("`--sse-kms-key-id` needs `--sse aws:kms`".to_owned());
        }
        if self.faults.is_empty() {
            return Ok(self.args);
        }
        let more = self.faults.len().saturating_sub(NAMED_FAULTS);
        self.faults.truncate(NAMED_FAULTS);
        if more > 0 {
            self.faults.push(format!("and {more} more"));
        }
        Err(self.faults.join("; "))
    }
}

/// As Python's argparse, which reads the flags of aws-cli, tells flags from values: `-` alone is a value, and so is
/// what begins with `-` and has a blank before any `=`.
fn is_flag(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word);
    name.len() > 1 && name.starts_with('-') && !name.contains(' ')
}

/// The flag that was meant: aws-cli takes `--excl` for `--exclude`, and people write `--dry-run`.
fn meant(flag: &str) -> Option<&'static str> {
    let flag = flag.to_ascii_lowercase();
    let names = || FLAGS.iter().map(|(name, _)| *name);
    let begun = || names().find(|name| flag.len() > "--x".len() && name.starts_with(&flag));
    names()
        .find(|name| strsim::damerau_levenshtein(name, &flag) <= 1)
        .or_else(begun)
}

fn set<T>(place: &mut Option<T>, value: Result<T, String>) -> Result<(), String> {
    *place = Some(value?);
    Ok(())
}

/// aws-cli joins a pattern to the path of the directory, and Python's `os.path.join` drops that path for one that
/// begins with `/`: such a pattern matches nothing, or it holds the whole path of the checkout.
fn relative(text: &str) -> Result<&str, String> {
    if text.starts_with('/') {
        return Err(format!(
            "unallowed value {text} (patterns are relative to LOCAL_PATH, so they do not begin with `/`)"
        ));
    }
    Ok(text)
}

fn one_of(text: &str, allowed: &[&str]) -> Result<String, String> {
    if !allowed.contains(&text) {
        return Err(format!(
            "unallowed value {text} (allowed: {})",
            allowed.join(", ")
        ));
    }
    Ok(text.to_owned())
}

/// A header's value: what S3 would refuse after the first uploads is refused here.
fn header(text: &str) -> Result<String, String> {
    if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err("has a line break or a character that no header may have".to_owned());
    }
    Ok(text.trim().to_owned())
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>, `x-amz-website-redirect-location`.
fn redirect(text: &str) -> Result<String, String> {
    if !["/", "http://", "https://"]
        .iter()
        .any(|start| text.starts_with(start))
    {
        return Err(format!(
            "unallowed value {text} (it begins with `/`, `http://` or `https://`)"
        ));
    }
    header(text)
}

/// The two forms of aws-cli: what begins with a brace is JSON, all else is its shorthand.
fn metadata(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pairs = if text.trim_start().starts_with(['{', '[']) {
        // Numbers and lists are no values: aws-cli says `Invalid type for parameter`.
        serde_json::from_str::<BTreeMap<String, String>>(text)
            .map_err(|error| format!("is not a JSON object of texts: {error}"))?
            .into_iter()
            .collect()
    } else {
        shorthand(text).ok_or_else(|| {
            format!(
                "could not read {text} (it is name=value,name2=value2 or a JSON object; \
                 a value with a comma stands in double quotes, and all in single ones: 'name=\"a, b\"')"
            )
        })?
    };
    let size: usize = pairs
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if size > LARGEST_METADATA {
        return Err(format!(
            "has {size} bytes, more than the {LARGEST_METADATA} that S3 takes"
        ));
    }
    let mut map = BTreeMap::new();
    for (name, value) in pairs {
        // The names that a header may have, RFC 9110 §5.6.2.
        let is_legal =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_legal) {
            return Err(format!("`{name}` is not a name that a header may have"));
        }
        let value = header(&value).map_err(|fault| format!("the value of `{name}` {fault}"))?;
        // S3 keeps the names in lower case, and a comparison with what it gives back must not find a difference.
        let key = name.to_ascii_lowercase();
        if map.insert(key, value).is_some() {
            return Err(format!("`{name}` is given twice"));
        }
    }
    Ok(map)
}

/// `name=value,name2='a, b',name3="c, d",name4=e\, f`, as the `ShorthandParser` of aws-cli reads it; its lists and
/// maps are no values of metadata.
fn shorthand(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = shorthand_value(after.trim_start())?;
        if name.contains(',') {
            return None;
        }
        pairs.push((name.trim().to_owned(), value));
        let after = after.trim_start();
        if after.is_empty() {
            return Some(pairs);
        }
        rest = after.strip_prefix(',')?;
    }
}

/// The value at the start, and what stands after it.
fn shorthand_value(text: &str) -> Option<(String, &str)> {
    if text.starts_with(['[', '{']) {
        return None;
    }
    let quote = text.chars().next().filter(|first| "'\"".contains(*first));
    let inside = &text[quote.map_or(0, char::len_utf8)..];
    let end = quote.unwrap_or(',');
    let mut value = String::new();
    let mut rest = inside.chars();
    loop {
        let before = rest.as_str();
        match rest.next() {
            None if quote.is_some() => return None,
            None => return Some((value.trim_end().to_owned(), "")),
            Some(each) if each == end && quote.is_some() => return Some((value, rest.as_str())),
            Some(each) if each == end => return Some((value.trim_end().to_owned(), before)),
            // A backslash escapes the end, and between quotes itself; before all else it is a backslash.
            Some('\\') => match rest.clone().next() {
                Some(next) if next == end || (next == '\\' && quote.is_some()) => {
                    value.push(next);
                    rest.next();
                }
                _ => value.push('\\'),
            },
            Some(each) => value.push(each),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ExtraArgs {
        ExtraArgs::from_text(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    fn fault(text: &str) -> String {
        ExtraArgs::from_text(text)
            .err()
            .unwrap_or_else(|| panic!("{text} was taken"))
    }

    fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn nothing_asks_for_nothing() {
        assert_eq!(read(" \n"), ExtraArgs::default());
    }

    #[test]
    fn switches_turn_one_thing_each() {
        let quiet = |quiet| ExtraArgs {
            quiet,
            ..ExtraArgs::default()
        };
        let follow = |follow_links| ExtraArgs {
            follow_links: Some(follow_links),
            ..ExtraArgs::default()
        };
        for (text, expected) in [
            (
                "--dryrun",
                ExtraArgs {
                    dry_run: true,
                    ..ExtraArgs::default()
                },
            ),
            (
                "--delete",
                ExtraArgs {
                    delete: true,
                    ..ExtraArgs::default()
                },
            ),
            (
                "--size-only",
                ExtraArgs {
                    size_only: true,
                    ..ExtraArgs::default()
                },
            ),
            (
                "--exact-timestamps",
                ExtraArgs {
                    exact_timestamps: true,
                    ..ExtraArgs::default()
                },
            ),
            ("--follow-symlinks", follow(true)),
            ("--no-follow-symlinks", follow(false)),
            ("--follow-symlinks --no-follow-symlinks", follow(false)),
            ("--no-follow-symlinks --follow-symlinks", follow(true)),
            ("--no-progress", quiet(Quiet::NoProgress)),
            ("--only-show-errors", quiet(Quiet::OnlyErrors)),
            ("--quiet", quiet(Quiet::All)),
            (
                "--quiet --only-show-errors --no-progress",
                quiet(Quiet::All),
            ),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn values_come_in_both_forms() {
        type Get = fn(Headers) -> Option<String>;
        let flags: [(&str, &str, Get); 11] = [
            ("--acl", "public-read", |headers| headers.acl),
            ("--cache-control", "no-cache", |headers| {
                headers.cache_control
            }),
            ("--content-type", "text/html", |headers| {
                headers.content_type
            }),
            ("--content-encoding", "gzip", |headers| {
                headers.content_encoding
            }),
            ("--content-disposition", "inline", |headers| {
                headers.content_disposition
            }),
            ("--content-language", "de", |headers| {
                headers.content_language
            }),
            ("--storage-class", "GLACIER_IR", |headers| {
                headers.storage_class
            }),
            ("--sse", "aws:kms:dsse", |headers| headers.encryption),
            ("--sse", "AES256", |headers| headers.encryption),
            ("--website-redirect", "/new=1", |headers| {
                headers.website_redirect
            }),
            ("--website-redirect", "https://site", |headers| {
                headers.website_redirect
            }),
        ];
        for (flag, value, get) in flags {
            for text in [
                format!("{flag} {value}"),
                format!("{flag}={value}"),
                format!("\"{flag}={value}\" --delete"),
            ] {
                assert_eq!(get(read(&text).headers).as_deref(), Some(value), "{text}");
            }
        }
        for text in ["--expires 2026-12-01", "--expires=2026-12-01T00:00:00Z"] {
            assert_eq!(
                read(text).headers.expires,
                Some(Timestamp::from_text("2026-12-01").unwrap()),
                "{text}"
            );
        }
        for text in [
            "--sse aws:kms --sse-kms-key-id alias/site",
            "--sse-kms-key-id=alias/site --sse=aws:kms",
        ] {
            let headers = read(text).headers;
            assert_eq!(headers.kms_key_id.as_deref(), Some("alias/site"), "{text}");
            assert_eq!(headers.encryption.as_deref(), Some("aws:kms"), "{text}");
        }
    }

    #[test]
    fn a_flag_says_only_what_it_says() {
        assert_eq!(
            read("--acl private").headers,
            Headers {
                acl: Some("private".to_owned()),
                ..Headers::default()
            }
        );
    }

    #[test]
    fn the_last_of_a_kind_counts() {
        let args = read("--acl private --metadata a=1 --acl=public-read --metadata b=2");
        assert_eq!(args.headers.acl.as_deref(), Some("public-read"));
        assert_eq!(args.headers.metadata, map([("b", "2")]));
    }

    #[test]
    fn sse_alone_means_aes256() {
        for text in ["--sse", "--sse --delete", "--delete --sse"] {
            assert_eq!(
                read(text).headers.encryption.as_deref(),
                Some("AES256"),
                "{text}"
            );
        }
    }

    #[test]
    fn words_are_split_as_by_a_shell() {
        for text in [
            r#"--cache-control "max-age=60, public""#,
            r"--cache-control 'max-age=60, public'",
            r"--cache-control max-age=60,\ public",
            r#"--cache-control=max-"age=60, "'public'"#,
            r#""--cache-control=max-age=60, public""#,
            "--cache-control\n  'max-age=60, public'\r\n",
            "--cache-control \\\n 'max-age=60, public' \\\n --quiet\\\n",
            // A list of the pipeline file, as `shared` hands it on.
            "\u{1f}--cache-control='max-age=60, public'\u{1f}--quiet",
        ] {
            assert_eq!(
                read(text).headers.cache_control.as_deref(),
                Some("max-age=60, public"),
                "{text:?}"
            );
        }
        for (text, value) in [
            (r#"--cache-control '"a" \'"#, r#""a" \"#),
            (r#"--cache-control "\"a\" \\ \b""#, r#""a" \ \b"#),
            ("--cache-control=$MAX_AGE", "$MAX_AGE"),
            ("--cache-control ${MAX_AGE}", "${MAX_AGE}"),
            ("--cache-control `date`*", "`date`*"),
            ("--cache-control #1", "#1"),
            (r"--cache-control \#1", "#1"),
            ("--cache-control -", "-"),
            ("--cache-control '-a b'", "-a b"),
            ("--cache-control=--quiet", "--quiet"),
        ] {
            assert_eq!(
                read(text).headers.cache_control.as_deref(),
                Some(value),
                "{text}"
            );
        }
    }

    #[test]
    fn an_open_quote_is_refused() {
        for text in ["--exclude 'a", "--exclude \"a", "'"] {
            assert_eq!(fault(text), "has a quote that is not closed");
        }
    }

    #[test]
    fn filters_keep_their_order() {
        let only_html = read(r#"--exclude "*" --include="*.html""#).filters;
        assert!(only_html.admits("docs/index.html") && !only_html.admits("app.js"));
        let nothing = read(r#"--include="*.html" --delete --exclude "*""#).filters;
        assert!(!nothing.admits("docs/index.html") && !nothing.admits("app.js"));
        let dashes = read("--exclude=-* --exclude '- b'").filters;
        assert!(!dashes.admits("-a") && !dashes.admits("- b") && dashes.admits("a"));
    }

    #[test]
    fn metadata_comes_in_two_forms() {
        for (text, expected) in [
            ("--metadata a=1", map([("a", "1")])),
            ("--metadata=a=1,b=2", map([("a", "1"), ("b", "2")])),
            (
                "--metadata 'a = 1 , b = x y '",
                map([("a", "1"), ("b", "x y")]),
            ),
            ("--metadata a=,b=2", map([("a", ""), ("b", "2")])),
            ("--metadata a=b=c", map([("a", "b=c")])),
            (
                "--metadata 'a=\"1, 2\",b=3'",
                map([("a", "1, 2"), ("b", "3")]),
            ),
            (
                r#"--metadata "a='1, \'2', b=3""#,
                map([("a", "1, '2"), ("b", "3")]),
            ),
            (
                r#"--metadata 'a="\"1\" \\ \n"'"#,
                map([("a", r#""1" \ \n"#)]),
            ),
            (
                r"--metadata 'a=1\,2,b=\\'",
                map([("a", "1,2"), ("b", r"\\")]),
            ),
            ("--metadata Build-Number=7", map([("build-number", "7")])),
            (
                r#"--metadata '{"A": "1, 2", "b": ""}'"#,
                map([("a", "1, 2"), ("b", "")]),
            ),
            ("--metadata {}", map([])),
        ] {
            assert_eq!(read(text).headers.metadata, expected, "{text}");
        }
    }

    #[test]
    fn metadata_of_another_form_is_refused() {
        for (text, value) in [
            ("--metadata a", "a"),
            ("--metadata a=1,b", "a=1,b"),
            ("--metadata a=1,b,c=2", "a=1,b,c=2"),
            ("--metadata a=1,", "a=1,"),
            ("--metadata 'a=\"1'", "a=\"1"),
            ("--metadata 'a=\"1\"2'", "a=\"1\"2"),
            ("--metadata a=[1]", "a=[1]"),
            ("--metadata a={b=1}", "a={b=1}"),
        ] {
            assert_eq!(
                fault(text),
                format!(
                    "`--metadata`: could not read {value} (it is name=value,name2=value2 or a JSON object; a value \
                     with a comma stands in double quotes, and all in single ones: 'name=\"a, b\"')"
                )
            );
        }
        for (text, expected) in [
            (
                r#"--metadata '{"a": 1}'"#,
                "is not a JSON object of texts: invalid type: integer `1`, expected a string at line 1 column 7",
            ),
            (
                r#"--metadata '["a"]'"#,
                "is not a JSON object of texts: invalid type: sequence, expected a map at line 1 column 0",
            ),
            (
                "--metadata '{a: 1}'",
                "is not a JSON object of texts: key must be a string at line 1 column 2",
            ),
            ("--metadata =1", "`` is not a name that a header may have"),
            (
                "--metadata 'a b=1'",
                "`a b` is not a name that a header may have",
            ),
            (
                "--metadata a@=file://b",
                "`a@` is not a name that a header may have",
            ),
            (
                "--metadata a=é",
                "the value of `a` has a line break or a character that no header may have",
            ),
            ("--metadata a=1,A=2", "`A` is given twice"),
        ] {
            assert_eq!(fault(text), format!("`--metadata`: {expected}"));
        }
        assert_eq!(
            fault(&format!("--metadata ab={}", "c".repeat(2047))),
            "`--metadata`: has 2049 bytes, more than the 2048 that S3 takes"
        );
        read(&format!("--metadata ab={}", "c".repeat(2046)));
    }

    #[test]
    fn values_of_another_form_are_refused() {
        for (text, expected) in [
            (
                "--acl public",
                "`--acl`: unallowed value public (allowed: private, public-read, public-read-write, \
                 authenticated-read, aws-exec-read, bucket-owner-read, bucket-owner-full-control, log-delivery-write)",
            ),
            (
                "--storage-class=standard",
                "`--storage-class`: unallowed value standard (allowed: STANDARD, REDUCED_REDUNDANCY, STANDARD_IA, \
                 ONEZONE_IA, INTELLIGENT_TIERING, GLACIER, DEEP_ARCHIVE, OUTPOSTS, GLACIER_IR, SNOW, \
                 EXPRESS_ONEZONE)",
            ),
            (
                "--sse kms",
                "`--sse`: unallowed value kms (allowed: AES256, aws:kms, aws:kms:dsse)",
            ),
            (
                "--expires soon",
                "`--expires`: unallowed value soon (a timestamp looks like `2026-12-01T00:00:00Z`)",
            ),
            (
                "--content-type 'text/html\nX: y'",
                "`--content-type`: has a line break or a character that no header may have",
            ),
            (
                "--website-redirect new.html",
                "`--website-redirect`: unallowed value new.html (it begins with `/`, `http://` or `https://`)",
            ),
            (
                "--exclude '/secret/*'",
                "`--exclude`: unallowed value /secret/* (patterns are relative to LOCAL_PATH, so they do not begin \
                 with `/`)",
            ),
            (
                "--metadata file://metadata.json",
                "`--metadata` takes the value itself, not the name of a file",
            ),
            (
                "--sse-kms-key-id alias/site",
                "`--sse-kms-key-id` needs `--sse aws:kms`",
            ),
            (
                "--sse --sse-kms-key-id alias/site",
                "`--sse-kms-key-id` needs `--sse aws:kms`",
            ),
        ] {
            assert_eq!(fault(text), expected);
        }
    }

    #[test]
    fn a_flag_has_its_value_or_none() {
        for text in [
            "--acl",
            "--acl --delete",
            "--acl --cache-control='a b'",
            "--delete --acl",
        ] {
            assert_eq!(
                fault(text),
                "`--acl` has no value (one that begins with `-` is joined to it: `--acl=-…`)",
                "{text}"
            );
        }
        for text in ["--acl=", "--acl ''", "--acl ' '", "--acl='' --delete"] {
            assert_eq!(fault(text), "`--acl` has an empty value", "{text}");
        }
        assert_eq!(fault("--sse="), "`--sse` has an empty value");
        assert_eq!(fault("--delete=true"), "`--delete` takes no value");
        assert_eq!(fault("--quiet="), "`--quiet` takes no value");
    }

    #[test]
    fn words_of_no_flag_are_refused() {
        assert_eq!(
            fault("dist --delete"),
            "`dist` belongs to no flag (what goes where is said by LOCAL_PATH and S3_BUCKET)"
        );
        assert_eq!(
            fault("--exclude *.map # not public"),
            "`#` belongs to no flag (what goes where is said by LOCAL_PATH and S3_BUCKET); \
             `not` belongs to no flag (what goes where is said by LOCAL_PATH and S3_BUCKET); \
             `public` belongs to no flag (what goes where is said by LOCAL_PATH and S3_BUCKET)"
        );
    }

    #[test]
    fn other_flags_are_named_and_their_values_are_not() {
        for (text, expected) in [
            ("--frob", "`--frob` is not supported"),
            ("--frob=secret", "`--frob` is not supported"),
            ("--frob secret keys --delete", "`--frob` is not supported"),
            ("-v", "`-v` is not supported"),
            ("--", "`--` is not supported"),
            (
                "--dry-run",
                "`--dry-run` is not supported (did you mean `--dryrun`?)",
            ),
            (
                "--excl '*'",
                "`--excl` is not supported (did you mean `--exclude`?)",
            ),
            (
                "--ACL=private",
                "`--ACL` is not supported (did you mean `--acl`?)",
            ),
            (
                "--region eu-west-1",
                "`--region` is not supported (give AWS_DEFAULT_REGION)",
            ),
            (
                "--endpoint-url=http://localhost",
                "`--endpoint-url` is not supported (give AWS_ENDPOINT_URL)",
            ),
            (
                "--profile site",
                "`--profile` is not supported (give AWS_OIDC_ROLE_ARN, or AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY)",
            ),
            (
                "--grants read=uri=http://a full=id=b",
                "`--grants` is not supported (give a canned ACL by ACL or --acl)",
            ),
            (
                "--recursive",
                "`--recursive` is not supported (all of LOCAL_PATH is deployed anyway; leave it out)",
            ),
            (
                "--source-region eu-west-1",
                "`--source-region` is not supported (it says nothing about an upload; leave it out)",
            ),
            (
                "--page-size 100",
                "`--page-size` is not supported (leave it out)",
            ),
            (
                "--sse-c --sse-c-key=secret",
                "`--sse-c` is not supported (keys of the customer's own cannot be used; --sse aws:kms with \
                 --sse-kms-key-id can); `--sse-c-key` is not supported (keys of the customer's own cannot be used; \
                 --sse aws:kms with --sse-kms-key-id can)",
            ),
        ] {
            assert_eq!(fault(text), expected);
        }
    }

    #[test]
    fn no_flag_is_both_taken_and_refused() {
        for (name, _) in REFUSED {
            assert!(FLAGS.iter().all(|(taken, _)| taken != name), "{name}");
        }
    }

    #[test]
    fn the_first_few_faults_are_named() {
        assert_eq!(
            fault("--a --b --delete=1 --acl= x --d --e"),
            "`--a` is not supported; `--b` is not supported; `--delete` takes no value; `--acl` has an empty value; \
             `x` belongs to no flag (what goes where is said by LOCAL_PATH and S3_BUCKET); and 2 more"
        );
    }
}
