//! ARNs and account ids as the variables give them, checked before any request.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>

use std::fmt;

use crate::variables::FromText;

/// The ARN of an IAM role, such as `arn:aws:iam::123456789012:role/site/deploy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleArn {
    text: String,
    partition: String,
    account: AccountId,
}

/// The twelve digits of an AWS account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountId(String);

impl RoleArn {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    #[must_use]
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The account that the role is in.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        &self.account
    }

    /// The ARN as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromText for RoleArn {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let fault = |why: &str| format!("unallowed value {text} ({why})");
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, service, region, account, resource] = parts.as_slice() else {
            return Err(fault(
                "a role looks like `arn:aws:iam::123456789012:role/deploy`",
            ));
        };
        if (*service, *region) != ("iam", "") || !partition.starts_with("aws") {
            return Err(fault("it is not the ARN of an IAM role"));
        }
        let account = AccountId::from_text(account)
            .map_err(|_| fault("the account in it is not 12 digits"))?;
        match resource.split_once('/') {
            Some(("role", name)) if !name.is_empty() && !name.ends_with('/') => Ok(Self {
                text: text.to_owned(),
                partition: (*partition).to_owned(),
                account,
            }),
            Some((kind, _)) if kind != "role" => {
                Err(fault(&format!("it is the ARN of a {kind}, not of a role")))
            }
            _ => Err(fault("it names no role")),
        }
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl AccountId {
    /// The account of any ARN, as STS answers it.
    #[must_use]
    pub fn of_arn(arn: &str) -> Option<Self> {
        Self::from_text(arn.split(':').nth(4)?).ok()
    }
}

impl FromText for AccountId {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "unallowed value {text} (an account id has 12 digits)"
            ))
        }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_told_from_other_arns() {
        let role = RoleArn::from_text(" arn:aws-cn:iam::123456789012:role/site/deploy\n").unwrap();
        assert_eq!(
            (role.partition(), role.account().to_string().as_str()),
            ("aws-cn", "123456789012")
        );
        for (text, why) in [
            ("deploy", "a role looks like"),
            (
                "arn:aws:sts::123456789012:assumed-role/a/b",
                "not the ARN of an IAM role",
            ),
            ("arn:aws:iam::123456789012:user/deploy", "the ARN of a user"),
            (
                "arn:aws:iam::123456789012:oidc-provider/api.bitbucket.org",
                "the ARN of a oidc-provider",
            ),
            ("arn:aws:iam::1234:role/deploy", "not 12 digits"),
            ("arn:aws:iam::123456789012:role/", "names no role"),
            ("arn:aws:iam::123456789012:role", "names no role"),
        ] {
            let fault = RoleArn::from_text(text).unwrap_err();
            assert!(fault.contains(why), "{text}: {fault}");
        }
    }
}
