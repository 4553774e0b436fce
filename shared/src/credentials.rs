//! Which credentials a run uses, decided from values before the first request: the step's OIDC token first,
//! access keys only where there is no token to use. The SDK's own chain has the opposite order.
//! Absent falls through, broken stops: a token that is there and wrong never ends in the use of keys.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::arn::{AccountId, RoleArn};
use crate::secret::Secret;
use crate::token::Token;
use crate::variables::{Environment, Faults, Field, FromText, List};

/// The warning that users of Bitbucket's own pipes know.
const OIDC_IS_OFF: &str =
    r#"Parameter "oidc: true" in the step configuration is required for OIDC authentication"#;
/// What STS gives when nothing is asked for, and the most it gives to a role that was left at its default.
pub const DEFAULT_DURATION: Duration = Duration::from_hours(1);
/// The longest session of any role.
const LONGEST_DURATION: Duration = Duration::from_hours(12);

/// The variables from which the credentials of a run are chosen.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct CredentialVariables {
    aws_oidc_role_arn: Field<RoleArn>,
    bitbucket_step_oidc_token: Field<Secret>,
    aws_access_key_id: Field<String>,
    aws_secret_access_key: Field<Secret>,
    aws_session_token: Field<Secret>,
    oidc_only: Field<bool>,
    oidc_fallback: Field<bool>,
    aws_role_session_name: Field<SessionName>,
    aws_oidc_session_duration: Field<u32>,
    aws_role_chain: Field<List<RoleArn>>,
    aws_allowed_account_ids: Field<List<AccountId>>,
}

/// A pair of access keys, with the session token if they are temporary.
#[derive(Clone)]
pub struct AccessKeys {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: Secret,
    /// Set for temporary keys.
    pub session_token: Option<Secret>,
}

impl AccessKeys {
    /// The last four characters of the id: enough to find the key, and all that is ever printed of it.
    #[must_use]
    pub fn last_four(&self) -> &str {
        let start = self
            .id
            .char_indices()
            .rev()
            .nth(3)
            .map_or(0, |(index, _)| index);
        &self.id[start..]
    }
}

/// Where the credentials come from.
#[derive(Clone)]
pub enum Source {
    /// The token is traded for a session of the role.
    Oidc {
        /// The role to assume.
        role: RoleArn,
        /// The step's token.
        token: Box<Token>,
        /// Keys that may be used if STS refuses, with `OIDC_FALLBACK` only.
        fallback: Option<AccessKeys>,
    },
    /// The keys are used as they are.
    Keys(AccessKeys),
}

/// A line for the log, decided before anything happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// For information.
    Info(String),
    /// Something the user should change.
    Warning(String),
}

/// The credentials of a run, all decided and nothing done yet.
#[derive(Clone)]
pub struct Credentials {
    /// Where they come from.
    pub source: Source,
    /// The name of the session, by which `CloudTrail` finds the build.
    pub session_name: SessionName,
    /// How long the session is asked to last.
    pub duration: Duration,
    /// Further roles, each assumed with the credentials of the one before.
    pub chain: Vec<RoleArn>,
    /// The accounts in which the run may end up; any if empty.
    pub allowed_accounts: Vec<AccountId>,
    /// What to tell the user about the choice.
    pub notes: Vec<Note>,
    /// Names of the key variables that OIDC makes superfluous, once it has worked.
    pub superfluous: Option<String>,
}

/// What the choice depends on besides the variables.
pub struct Circumstances<'a> {
    /// The clock.
    pub now: SystemTime,
    /// How long the pipe may run.
    pub deadline: Duration,
    /// Says where in the pipeline file `oidc: true` is missing, if that can be seen.
    pub step_without_oidc: &'a dyn Fn() -> Option<String>,
}

impl Credentials {
    /// Chooses, by the rows of the table in the README; whatever rules a choice out is added to `faults`.
    pub fn choose(
        environment: &Environment,
        circumstances: &Circumstances<'_>,
        faults: &mut Faults,
    ) -> Option<Self> {
        let variables: CredentialVariables = environment.read();
        let only = faults
            .optional("OIDC_ONLY", variables.oidc_only)
            .unwrap_or(false);
        let may_fall_back = faults
            .optional("OIDC_FALLBACK", variables.oidc_fallback)
            .unwrap_or(false);
        if only && may_fall_back {
            faults.add(
                "OIDC_FALLBACK",
                "unallowed value true (OIDC_ONLY is true: the keys are not to be used)",
            );
        }
        let session_name = faults
            .optional("AWS_ROLE_SESSION_NAME", variables.aws_role_session_name)
            .unwrap_or_else(|| SessionName::of_build(environment));
        let duration = duration(
            variables.aws_oidc_session_duration,
            circumstances.deadline,
            faults,
        );
        let chain = faults
            .optional("AWS_ROLE_CHAIN", variables.aws_role_chain)
            .map_or_else(Vec::new, |list| list.0);
        let allowed_accounts = faults
            .optional("AWS_ALLOWED_ACCOUNT_IDS", variables.aws_allowed_account_ids)
            .map_or_else(Vec::new, |list| list.0);

        let keys = Keys::new(
            variables.aws_access_key_id,
            variables.aws_secret_access_key,
            variables.aws_session_token,
        );
        let token = variables.bitbucket_step_oidc_token.value();
        let found = Found {
            role: variables.aws_oidc_role_arn,
            token,
            keys,
            only,
            may_fall_back,
        };
        let superfluous = found.superfluous_keys();
        let (source, notes) = found.choose(circumstances, faults)?;
        let credentials = Self {
            source,
            session_name,
            duration,
            chain,
            allowed_accounts,
            notes,
            superfluous,
        };
        credentials.check_account(faults);
        Some(credentials)
    }

    /// The role whose session the run ends up with, if that can be told without asking AWS.
    #[must_use]
    pub fn last_role(&self) -> Option<&RoleArn> {
        let first = match &self.source {
            Source::Oidc { role, .. } => Some(role),
            Source::Keys(_) => None,
        };
        self.chain.last().or(first)
    }

    fn check_account(&self, faults: &mut Faults) {
        if let Some(role) = self.last_role()
            && !self.allows(role.account())
        {
            let variable = if self.chain.is_empty() {
                "AWS_OIDC_ROLE_ARN"
            } else {
                "AWS_ROLE_CHAIN"
            };
            faults.add(
                variable,
                format!(
                    "unallowed value {role} (AWS_ALLOWED_ACCOUNT_IDS does not list its account)"
                ),
            );
        }
    }

    /// Whether the run may act in `account`.
    #[must_use]
    pub fn allows(&self, account: &AccountId) -> bool {
        self.allowed_accounts.is_empty() || self.allowed_accounts.contains(account)
    }
}

/// What was found in the environment, and the two switches.
struct Found {
    role: Field<RoleArn>,
    token: Option<Secret>,
    keys: Keys,
    only: bool,
    may_fall_back: bool,
}

impl Found {
    fn superfluous_keys(&self) -> Option<String> {
        let by_oidc = !self.role.is_absent() && self.token.is_some();
        self.keys.names().filter(|_| by_oidc)
    }

    /// The rows of the table, in its order.
    fn choose(
        self,
        circumstances: &Circumstances<'_>,
        faults: &mut Faults,
    ) -> Option<(Source, Vec<Note>)> {
        let role_absence = self.role.absence();
        let role = match self.role {
            field if field.is_absent() => None,
            field => Some(faults.optional("AWS_OIDC_ROLE_ARN", field)?),
        };
        let mut notes = Vec::new();
        let source = match (role, self.token, self.keys) {
            (Some(role), Some(token), keys) => {
                let token = checked(token, circumstances.now, faults)?;
                notes.push(Note::Info(
                    "Authenticating with a OpenID Connect (OIDC) Web Identity Provider".to_owned(),
                ));
                Source::Oidc {
                    role,
                    token: Box::new(token),
                    fallback: keys.both().filter(|_| self.may_fall_back),
                }
            }
            (Some(_), None, Keys::Both(keys)) if !self.only => {
                notes.push(Note::Warning(OIDC_IS_OFF.to_owned()));
                notes.push(Note::Info(using_keys()));
                Source::Keys(keys)
            }
            (Some(_), None, _) => {
                let place =
                    (circumstances.step_without_oidc)().unwrap_or_else(|| "the step".to_owned());
                faults.add(
                    "BITBUCKET_STEP_OIDC_TOKEN",
                    format!("{OIDC_IS_OFF}; hint: add `oidc: true` to {place}"),
                );
                return None;
            }
            (None, _, Keys::Both(_)) if self.only => {
                let hint = "required field, since OIDC_ONLY is true and the access keys are not to be used";
                faults.add("AWS_OIDC_ROLE_ARN", format!("{hint}{role_absence}"));
                return None;
            }
            (None, _, Keys::Both(keys)) => {
                notes.push(Note::Info(using_keys()));
                notes.push(Note::Info(
                    "oidc-migrate takes a pipeline from these keys to OIDC, so that they can be deleted".to_owned(),
                ));
                Source::Keys(keys)
            }
            (None, Some(_), _) => {
                let hint = "required field: the step has an OIDC token; hint: set AWS_OIDC_ROLE_ARN to the role to assume";
                faults.add("AWS_OIDC_ROLE_ARN", format!("{hint}{role_absence}"));
                return None;
            }
            (None, None, Keys::Half { missing, present }) => {
                faults.add(
                    missing,
                    format!("required field: {present} is set, and is of no use alone"),
                );
                return None;
            }
            (None, None, Keys::None) => {
                faults.add(
                    "AWS_OIDC_ROLE_ARN",
                    format!("required field{role_absence}; hint: set it to the role to assume and add `oidc: true` to the step, which needs no stored secret"),
                );
                let other_way = "required field, unless AWS_OIDC_ROLE_ARN is used";
                faults.add("AWS_ACCESS_KEY_ID", other_way);
                faults.add("AWS_SECRET_ACCESS_KEY", other_way);
                return None;
            }
        };
        Some((source, notes))
    }
}

fn using_keys() -> String {
    "Using default authentication with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.".to_owned()
}

fn checked(secret: Secret, now: SystemTime, faults: &mut Faults) -> Option<Token> {
    let checked = Token::new(secret).and_then(|token| token.check_expiry(now).map(|()| token));
    checked
        .map_err(|fault| faults.add("BITBUCKET_STEP_OIDC_TOKEN", fault.to_string()))
        .ok()
}

fn duration(asked: Field<u32>, deadline: Duration, faults: &mut Faults) -> Duration {
    match faults.optional("AWS_OIDC_SESSION_DURATION", asked) {
        Some(seconds @ 900..=43_200) => Duration::from_secs(seconds.into()),
        Some(seconds) => {
            let fault = format!("unallowed value {seconds} (a session lasts 900 to 43200 seconds)");
            faults.add("AWS_OIDC_SESSION_DURATION", fault);
            DEFAULT_DURATION
        }
        None => deadline.clamp(DEFAULT_DURATION, LONGEST_DURATION),
    }
}

enum Keys {
    None,
    Half {
        missing: &'static str,
        present: &'static str,
    },
    Both(AccessKeys),
}

impl Keys {
    fn new(id: Field<String>, secret: Field<Secret>, session_token: Field<Secret>) -> Self {
        const NAMES: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        match (id.value(), secret.value()) {
            (Some(id), Some(secret)) => Self::Both(AccessKeys {
                id: id.trim().to_owned(),
                secret,
                session_token: session_token.value(),
            }),
            (Some(_), None) => Self::Half {
                missing: NAMES[1],
                present: NAMES[0],
            },
            (None, Some(_)) => Self::Half {
                missing: NAMES[0],
                present: NAMES[1],
            },
            (None, None) => Self::None,
        }
    }

    fn both(self) -> Option<AccessKeys> {
        match self {
            Self::Both(keys) => Some(keys),
            _ => None,
        }
    }

    /// The names of those that are set.
    fn names(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Half { present, .. } => Some((*present).to_owned()),
            Self::Both(AccessKeys {
                session_token: None,
                ..
            }) => Some("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned()),
            Self::Both(_) => {
                Some("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN".to_owned())
            }
        }
    }
}

/// The name of a session: 2 to 64 characters of `\w+=,.@-`.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionName(String);

impl SessionName {
    const LONGEST: usize = 64;

    /// `bitbucket-<repository slug>-<build number>`, made legal; the build number survives the cut.
    #[must_use]
    pub fn of_build(environment: &Environment) -> Self {
        let legal = |name| {
            environment.get(name).map(|text| {
                text.chars()
                    .map(|each| if Self::is_legal(each) { each } else { '-' })
                    .collect::<String>()
            })
        };
        let build = legal("BITBUCKET_BUILD_NUMBER")
            .map(|number| format!("-{number}"))
            .unwrap_or_default();
        let mut name = legal("BITBUCKET_REPO_SLUG")
            .map_or("bitbucket".to_owned(), |slug| format!("bitbucket-{slug}"));
        name.truncate(Self::LONGEST.saturating_sub(build.len()));
        name.push_str(&build);
        name.truncate(Self::LONGEST);
        Self(name)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_legal(each: char) -> bool {
        each.is_ascii_alphanumeric() || "_+=,.@-".contains(each)
    }
}

impl FromText for SessionName {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if (2..=Self::LONGEST).contains(&text.len()) && text.chars().all(Self::is_legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "unallowed value {text} (2 to 64 letters, digits and `_+=,.@-`)"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    const ROLE: (&str, &str) = ("AWS_OIDC_ROLE_ARN", "arn:aws:iam::123456789012:role/deploy");
    const ID: (&str, &str) = ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
    const SECRET: (&str, &str) = ("AWS_SECRET_ACCESS_KEY", "sample/secret/of/nobody");

    fn token() -> String {
        let claims = serde_json::json!({
            "iss": "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
            "aud": "ari:cloud:bitbucket::workspace/1111", "sub": "{2222}:{3333}", "exp": 1000,
        });
        format!(
            "e30.{}.c2lnbmF0dXJl",
            URL_SAFE_NO_PAD.encode(claims.to_string())
        )
    }

    fn choose_at(now: u64, pairs: &[(&str, &str)]) -> Result<Credentials, String> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let circumstances = Circumstances {
            now: UNIX_EPOCH + Duration::from_secs(now),
            deadline: Duration::from_hours(2),
            step_without_oidc: &|| Some("the step in line 7 of bitbucket-pipelines.yml".to_owned()),
        };
        let mut faults = Faults::default();
        let credentials =
            Credentials::choose(&Environment::new(pairs), &circumstances, &mut faults);
        if faults.is_empty() {
            Ok(credentials.unwrap())
        } else {
            Err(faults.to_string())
        }
    }

    fn choose(pairs: &[(&str, &str)]) -> Result<Credentials, String> {
        choose_at(500, pairs)
    }

    fn warnings(credentials: &Credentials) -> Vec<&str> {
        let mut warnings = Vec::new();
        for note in &credentials.notes {
            if let Note::Warning(text) = note {
                warnings.push(text.as_str());
            }
        }
        warnings
    }

    fn uses_oidc(credentials: &Credentials) -> bool {
        matches!(credentials.source, Source::Oidc { .. })
    }

    #[test]
    fn row_1_role_and_token_are_oidc() {
        let token = token();
        let credentials = choose(&[ROLE, ("BITBUCKET_STEP_OIDC_TOKEN", &token)]).unwrap();
        assert!(uses_oidc(&credentials));
        assert!(warnings(&credentials).is_empty());
    }

    #[test]
    fn row_2_superfluous_keys_are_named_and_not_kept() {
        let token = token();
        let token = ("BITBUCKET_STEP_OIDC_TOKEN", token.as_str());
        for (keys, names) in [
            (
                vec![ID, SECRET],
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ),
            (
                vec![ID, SECRET, ("AWS_SESSION_TOKEN", "x")],
                "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN",
            ),
            (vec![ID], "AWS_ACCESS_KEY_ID"),
        ] {
            let credentials = choose(&[vec![ROLE, token], keys].concat()).unwrap();
            assert_eq!(credentials.superfluous.as_deref(), Some(names));
            assert!(matches!(
                credentials.source,
                Source::Oidc { fallback: None, .. }
            ));
        }
    }

    #[test]
    fn row_3_without_oidc_true_the_keys_are_used_with_the_known_warning() {
        let credentials = choose(&[ROLE, ID, SECRET]).unwrap();
        assert!(!uses_oidc(&credentials));
        assert_eq!(
            warnings(&credentials),
            [
                r#"Parameter "oidc: true" in the step configuration is required for OIDC authentication"#
            ]
        );
    }

    #[test]
    fn row_4_without_oidc_true_and_keys_the_step_is_named() {
        for keys in [vec![], vec![ID], vec![SECRET]] {
            let fault = choose(&[vec![ROLE], keys].concat()).err().unwrap();
            assert_eq!(
                fault,
                "Validation errors:\nBITBUCKET_STEP_OIDC_TOKEN:\n- Parameter \"oidc: true\" in the step configuration \
                 is required for OIDC authentication; hint: add `oidc: true` to the step in line 7 of bitbucket-pipelines.yml"
            );
        }
    }

    #[test]
    fn row_5_without_a_role_the_keys_are_used_and_the_way_out_is_told() {
        let token = token();
        for pairs in [
            vec![ID, SECRET],
            vec![ID, SECRET, ("BITBUCKET_STEP_OIDC_TOKEN", &token)],
        ] {
            let credentials = choose(&pairs).unwrap();
            assert!(!uses_oidc(&credentials));
            let told =
                |note: &Note| matches!(note, Note::Info(text) if text.contains("oidc-migrate"));
            assert!(credentials.notes.iter().any(told));
        }
    }

    #[test]
    fn row_6_a_token_without_a_role_asks_for_the_role() {
        let token = token();
        let fault = choose(&[("BITBUCKET_STEP_OIDC_TOKEN", &token)])
            .err()
            .unwrap();
        assert!(
            fault.contains("AWS_OIDC_ROLE_ARN:\n- required field: the step has an OIDC token"),
            "{fault}"
        );
    }

    #[test]
    fn row_7_half_a_key_pair_names_the_missing_half() {
        let fault = choose(&[ID]).err().unwrap();
        assert!(
            fault.contains("AWS_SECRET_ACCESS_KEY:\n- required field"),
            "{fault}"
        );
        let fault = choose(&[SECRET]).err().unwrap();
        assert!(
            fault.contains("AWS_ACCESS_KEY_ID:\n- required field"),
            "{fault}"
        );
    }

    #[test]
    fn row_8_nothing_at_all_lists_both_ways() {
        let fault = choose(&[]).err().unwrap();
        for name in [
            "AWS_OIDC_ROLE_ARN",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
        ] {
            assert!(
                fault.contains(&format!("{name}:\n- required field")),
                "{fault}"
            );
        }
    }

    #[test]
    fn a_blank_or_unexpanded_role_is_absent() {
        for text in ["", " ", "$AWS_OIDC_ROLE_ARN", "${AWS_OIDC_ROLE_ARN}"] {
            assert!(
                !uses_oidc(&choose(&[("AWS_OIDC_ROLE_ARN", text), ID, SECRET]).unwrap()),
                "{text:?}"
            );
        }
        let fault = choose(&[("AWS_OIDC_ROLE_ARN", "$AWS_OIDC_ROLE_ARN")])
            .err()
            .unwrap();
        assert!(
            fault.contains("the literal `$AWS_OIDC_ROLE_ARN`"),
            "{fault}"
        );
    }

    #[test]
    fn a_broken_role_or_token_never_ends_in_keys() {
        let token = token();
        let broken_role = [
            ("AWS_OIDC_ROLE_ARN", "deploy"),
            ("BITBUCKET_STEP_OIDC_TOKEN", &token),
            ID,
            SECRET,
        ];
        assert!(choose(&broken_role).is_err());
        let broken_token = [ROLE, ("BITBUCKET_STEP_OIDC_TOKEN", "abc"), ID, SECRET];
        assert!(
            choose(&broken_token)
                .err()
                .unwrap()
                .contains("is not a JSON Web Token")
        );
        let expired = [
            ROLE,
            ("BITBUCKET_STEP_OIDC_TOKEN", &token),
            ID,
            SECRET,
            ("OIDC_FALLBACK", "true"),
        ];
        assert!(
            choose_at(1301, &expired)
                .err()
                .unwrap()
                .contains("expired 301 s ago")
        );
    }

    #[test]
    fn oidc_only_turns_every_way_to_the_keys_into_an_error() {
        let only = ("OIDC_ONLY", "true");
        assert!(
            choose(&[only, ROLE, ID, SECRET])
                .err()
                .unwrap()
                .contains("oidc: true")
        );
        assert!(
            choose(&[only, ID, SECRET])
                .err()
                .unwrap()
                .contains("OIDC_ONLY is true")
        );
        let token = token();
        assert!(uses_oidc(
            &choose(&[
                only,
                ROLE,
                ID,
                SECRET,
                ("BITBUCKET_STEP_OIDC_TOKEN", &token)
            ])
            .unwrap()
        ));
        assert!(
            choose(&[only, ID, SECRET, ("OIDC_FALLBACK", "yes")])
                .err()
                .unwrap()
                .contains("OIDC_FALLBACK")
        );
    }

    #[test]
    fn the_session_lasts_as_asked_or_as_long_as_the_run() {
        let token = token();
        let oidc = [ROLE, ("BITBUCKET_STEP_OIDC_TOKEN", token.as_str())];
        let with = |text| [oidc.as_slice(), &[("AWS_OIDC_SESSION_DURATION", text)]].concat();
        assert_eq!(choose(&oidc).unwrap().duration.as_secs(), 7200);
        assert_eq!(choose(&with("900")).unwrap().duration.as_secs(), 900);
        for text in ["899", "43201", "1h"] {
            assert!(
                choose(&with(text))
                    .err()
                    .unwrap()
                    .contains("AWS_OIDC_SESSION_DURATION"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_account_is_checked_before_anything_is_asked() {
        let token = token();
        let oidc = [ROLE, ("BITBUCKET_STEP_OIDC_TOKEN", token.as_str())];
        let with = |name, value| [oidc.as_slice(), &[(name, value)]].concat();
        assert!(
            choose(&with(
                "AWS_ALLOWED_ACCOUNT_IDS",
                "111111111111 123456789012"
            ))
            .is_ok()
        );
        let fault = choose(&with("AWS_ALLOWED_ACCOUNT_IDS", "111111111111"))
            .err()
            .unwrap();
        assert!(fault.contains("does not list its account"), "{fault}");
        // With a chain it is the account of its last role that counts.
        let chain = [
            with("AWS_ROLE_CHAIN", "arn:aws:iam::111111111111:role/site"),
            vec![("AWS_ALLOWED_ACCOUNT_IDS", "111111111111")],
        ];
        assert!(choose(&chain.concat()).is_ok());
    }

    #[test]
    fn the_session_is_named_after_the_build() {
        let name = |slug: &str, build: &str| {
            let environment = [
                ("BITBUCKET_REPO_SLUG", slug),
                ("BITBUCKET_BUILD_NUMBER", build),
            ];
            SessionName::of_build(&Environment::from(environment))
                .as_str()
                .to_owned()
        };
        assert_eq!(name("site", "12"), "bitbucket-site-12");
        assert_eq!(name("süß site/é", "12"), "bitbucket-s---site---12");
        assert_eq!(name("", ""), "bitbucket");
        let long = name(&"x".repeat(100), "123456");
        assert!(long.len() == 64 && long.ends_with("x-123456"), "{long}");
        for wrong in ["a", "a b", "a/b", &"x".repeat(65)] {
            assert!(SessionName::from_text(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_shows_its_last_four_characters_only() {
        let keys = |id: &str| AccessKeys {
            id: id.to_owned(),
            secret: Secret::new("s"),
            session_token: None,
        };
        assert_eq!(keys("AKIAIOSFODNN7EXAMPLE").last_four(), "MPLE");
        assert_eq!(keys("ab").last_four(), "ab");
    }
}
