//! FUNCTION_URL: the function's own HTTPS address, on the alias if there is one. Open to everyone only when the variable
//! says so. What differs is decided here, without AWS.

use serde_json::{Map, Value, json};
use shared::{Failure, explained};
use shared::{Faults, FromText, Journal};

use crate::target::Target;

/// The statements that let everyone in, by the names that the console of Lambda gives them. Since October 2025 both are
/// needed: <https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html>
pub const PUBLIC_STATEMENTS: [(&str, &str); 2] = [
    ("FunctionURLAllowPublicAccess", "lambda:InvokeFunctionUrl"),
    (
        "FunctionURLInvokeAllowPublicAccess",
        "lambda:InvokeFunction",
    ),
];

/// Who may call the address: AuthType.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Callers that IAM knows.
    Iam,
    /// Everyone.
    None,
}

impl FromText for Auth {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "AWS_IAM" => Ok(Self::Iam),
            "NONE" => Ok(Self::None),
            text => Err(format!(
                "unallowed value {text} (it is `AWS_IAM`, or `NONE` to let everyone call it)"
            )),
        }
    }
}

impl Auth {
    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iam => "AWS_IAM",
            Self::None => "NONE",
        }
    }
}

/// What the address is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionUrl {
    /// Who may call it.
    pub auth: Auth,
    /// Which web pages may call it, as the API writes it; nothing to leave that as it is.
    pub cors: Option<Value>,
    /// `BUFFERED` or `RESPONSE_STREAM`; nothing to leave it as it is.
    pub invoke_mode: Option<String>,
}

impl FunctionUrl {
    /// From FUNCTION_URL, FUNCTION_URL_CORS and FUNCTION_URL_INVOKE_MODE.
    pub fn new(
        auth: Option<Auth>,
        cors: Option<&str>,
        invoke_mode: Option<String>,
        faults: &mut Faults,
    ) -> Option<Self> {
        let cors = cors.and_then(|text| {
            let members = serde_json::from_str::<Map<String, Value>>(text);
            if members.is_err() {
                faults.add(
                    "FUNCTION_URL_CORS",
                    "must be an object of JSON, such as `{\"AllowOrigins\": [\"https://example.com\"]}`",
                );
            }
            members.ok().map(Value::Object)
        });
        let invoke_mode = invoke_mode.map(|mode| mode.trim().to_owned());
        if let Some(mode) = &invoke_mode
            && !["BUFFERED", "RESPONSE_STREAM"].contains(&mode.as_str())
        {
            faults.add(
                "FUNCTION_URL_INVOKE_MODE",
                format!("unallowed value {mode} (it is `BUFFERED` or `RESPONSE_STREAM`)"),
            );
        }
        let Some(auth) = auth else {
            for (name, is_given) in [
                ("FUNCTION_URL_CORS", cors.is_some()),
                ("FUNCTION_URL_INVOKE_MODE", invoke_mode.is_some()),
            ] {
                if is_given {
                    faults.add(name, "needs FUNCTION_URL");
                }
            }
            return None;
        };
        Some(Self {
            auth,
            cors,
            invoke_mode,
        })
    }

    /// The members of the request that differ from what is `live`; nothing if none does.
    pub fn change(&self, live: Option<&Value>) -> Option<Value> {
        let wished = [
            ("AuthType", Some(json!(self.auth.as_str()))),
            ("Cors", self.cors.clone()),
            (
                "InvokeMode",
                self.invoke_mode.as_ref().map(|mode| json!(mode)),
            ),
        ];
        let members: Map<String, Value> = wished
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .filter(|(name, value)| live.is_none_or(|live| live.get(name) != Some(value)))
            .collect();
        (!members.is_empty()).then_some(Value::Object(members))
    }
}

/// Makes the address what it is to be, and gives it.
///
/// # Errors
/// When Lambda refuses. Traffic has been moved by then, and stays.
pub async fn apply(
    target: &Target,
    wished: &FunctionUrl,
    alias: Option<&str>,
    journal: &Journal,
) -> Result<String, Failure> {
    let (lambda, name) = (&target.lambda, &target.function);
    let live = lambda.url(name, alias).await?;
    let mut url = live.clone().unwrap_or_default();
    if let Some(change) = wished.change(live.as_ref()) {
        let is_new = live.is_none();
        let pending = journal.begin("change", &format!("the URL of {target}"));
        url = match lambda.set_url(name, alias, &change, is_new).await {
            Ok(url) => {
                pending.done("changed", format!("the URL of {target}"));
                url
            }
            Err(refusal) => {
                if refusal.changed_nothing() {
                    pending.refused();
                }
                let action = if is_new {
                    "lambda:CreateFunctionUrlConfig"
                } else {
                    "lambda:UpdateFunctionUrlConfig"
                };
                return Err(explained(
                    &refusal,
                    format!("could not set the URL of `{target}`"),
                    action,
                ));
            }
        };
    }
    let policy = lambda.policy_statements(name, alias).await?;
    for (statement, action) in PUBLIC_STATEMENTS {
        let is_there = policy.iter().any(|id| id == statement);
        let shown = format!("{statement} of {target}");
        let (pending, made, needs) = match (wished.auth, is_there) {
            (Auth::None, false) => (
                journal.begin("allow", &shown),
                lambda.allow_public(name, alias, statement, action).await,
                "lambda:AddPermission",
            ),
            (Auth::Iam, true) => (
                journal.begin("disallow", &shown),
                lambda.disallow(name, alias, statement).await,
                "lambda:RemovePermission",
            ),
            _ => continue,
        };
        match made {
            Ok(()) => pending.done(
                if wished.auth == Auth::None {
                    "allowed"
                } else {
                    "disallowed"
                },
                shown,
            ),
            Err(refusal) => {
                if refusal.changed_nothing() {
                    pending.refused();
                }
                let doing = format!("could not change who may call the URL of `{target}`");
                return Err(explained(&refusal, doing, needs));
            }
        }
    }
    let url = url
        .get("FunctionUrl")
        .and_then(Value::as_str)
        .unwrap_or_default();
    tracing::info!("`{target}` has the URL {url} ({})", wished.auth.as_str());
    Ok(url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(cors: Option<&str>) -> (Option<FunctionUrl>, Faults) {
        let mut faults = Faults::default();
        let url = FunctionUrl::new(Some(Auth::Iam), cors, None, &mut faults);
        (url, faults)
    }

    #[test]
    fn only_what_is_named_and_differs_is_sent() {
        let wished = url(Some(r#"{"AllowOrigins": ["*"]}"#)).0.unwrap();
        assert_eq!(
            wished.change(None),
            Some(json!({"AuthType": "AWS_IAM", "Cors": {"AllowOrigins": ["*"]}}))
        );
        let live = json!({"AuthType": "AWS_IAM", "Cors": {"AllowOrigins": ["*"]}, "InvokeMode": "BUFFERED"});
        assert_eq!(wished.change(Some(&live)), None);
        let live = json!({"AuthType": "NONE", "Cors": {"AllowOrigins": ["*"]}});
        assert_eq!(
            wished.change(Some(&live)),
            Some(json!({"AuthType": "AWS_IAM"}))
        );
    }

    #[test]
    fn faults_are_those_of_one_variable_each() {
        assert!(url(Some("[1]")).1.to_string().contains("FUNCTION_URL_CORS"));
        let mut faults = Faults::default();
        FunctionUrl::new(None, Some("{}"), Some("FAST".to_owned()), &mut faults);
        insta::assert_snapshot!(faults, @r"
        Validation errors:
        FUNCTION_URL_CORS:
        - needs FUNCTION_URL
        FUNCTION_URL_INVOKE_MODE:
        - unallowed value FAST (it is `BUFFERED` or `RESPONSE_STREAM`)
        - needs FUNCTION_URL
        ");
    }
}
