//! From EXTRA_ARGS, flags of `aws s3 sync` in one text, to what they mean for this deploy.
//! The pipe that people come from appended the text to its command line unread. Here whatever has no meaning is refused
//! before the first change: a flag that is passed over in silence may have been the one that kept a file private.

mod metadata;

use std::vec::IntoIter;

use shared::FromText;

use self::metadata::metadata;
use crate::filters::Filters;
use crate::headers::{Headers, values};

/// Faults that are named in one error.
const NAMED_FAULTS: usize = 5;
/// Stands for `#` while words are split: any control character, since none is left in the text by then.
const NUMBER_SIGN: &str = "\u{1}";

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
        Kind::Value(|args, text| values::set(&mut args.headers, "acl", text)),
    ),
    (
        "--cache-control",
        Kind::Value(|args, text| values::set(&mut args.headers, "cache-control", text)),
    ),
    (
        "--content-type",
        Kind::Value(|args, text| values::set(&mut args.headers, "content-type", text)),
    ),
    (
        "--content-encoding",
        Kind::Value(|args, text| values::set(&mut args.headers, "content-encoding", text)),
    ),
    (
        "--content-disposition",
        Kind::Value(|args, text| values::set(&mut args.headers, "content-disposition", text)),
    ),
    (
        "--content-language",
        Kind::Value(|args, text| values::set(&mut args.headers, "content-language", text)),
    ),
    (
        "--expires",
        Kind::Value(|args, text| values::set(&mut args.headers, "expires", text)),
    ),
    (
        "--metadata",
        Kind::Value(|args, text| metadata(text).map(|map| args.headers.metadata = map)),
    ),
    (
        "--storage-class",
        Kind::Value(|args, text| values::set(&mut args.headers, "storage-class", text)),
    ),
    (
        "--sse",
        Kind::Default("AES256", |args, text| {
            values::set(&mut args.headers, "encryption", text)
        }),
    ),
    (
        "--sse-kms-key-id",
        Kind::Value(|args, text| values::set(&mut args.headers, "kms-key-id", text)),
    ),
    (
        "--website-redirect",
        Kind::Value(|args, text| values::set(&mut args.headers, "website-redirect", text)),
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

#[cfg(test)]
mod tests;
