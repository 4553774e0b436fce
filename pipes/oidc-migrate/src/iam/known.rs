//! What is known of the place that the pipeline runs in: options and Bitbucket's own variables go in, the texts of the
//! file's variables come out. A variable of the file that nobody has named stays a hole; one that differs in each run, such
//! as the branch, is a wildcard.

use std::collections::BTreeMap;
use std::path::Path;

use shared::{Environment, Failure};

use super::text::{Hole, Text};

/// Variables of Bitbucket that are the same in every run of a repository.
const LASTING: &[&str] = &[
    "BITBUCKET_WORKSPACE",
    "BITBUCKET_REPO_SLUG",
    "BITBUCKET_REPO_FULL_NAME",
    "BITBUCKET_REPO_OWNER",
    "BITBUCKET_PROJECT_KEY",
];

/// All that is known.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The slug of the workspace, which the issuer's URL has in it.
    pub workspace: String,
    /// The slug of the repository, for the names of roles.
    pub repository: String,
    account: Option<String>,
    workspace_uuid: Option<String>,
    repository_uuid: Option<String>,
    environment_uuids: BTreeMap<String, String>,
    /// `NAME`, or `environment:NAME`, to its value.
    values: BTreeMap<String, String>,
}

/// The options and variables that fill holes, as they were given.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The slug.
    pub workspace: Option<String>,
    /// With or without braces.
    pub workspace_uuid: Option<String>,
    /// The slug.
    pub repository: Option<String>,
    /// With or without braces.
    pub repository_uuid: Option<String>,
    /// Twelve digits.
    pub account: Option<String>,
    /// `NAME=UUID`.
    pub environments: Vec<String>,
    /// `NAME=value` or `environment:NAME=value`.
    pub values: Vec<String>,
}

impl Known {
    /// From options first, then Bitbucket's variables, then the remote of the clone in `root`.
    ///
    /// # Errors
    /// When an option has not its form, or nothing tells the slug of the workspace.
    pub fn new(given: Given, environment: &Environment, root: &Path) -> Result<Self, Failure> {
        let remote = std::fs::read_to_string(root.join(".git/config"))
            .ok()
            .and_then(|config| remote(&config));
        let (remote_workspace, remote_repository) = remote.unzip();
        let variable = |name| environment.get(name).map(str::to_owned);
        let workspace = given.workspace.or_else(|| variable("BITBUCKET_WORKSPACE")).or(remote_workspace).ok_or_else(|| {
            Failure::new("nothing tells the slug of the workspace, which the identity provider's URL has in it")
                .hint("give it with --workspace (as a pipe: WORKSPACE), or run this in a clone whose remote is at bitbucket.org")
        })?;
        let repository = given
            .repository
            .or_else(|| variable("BITBUCKET_REPO_SLUG"))
            .or(remote_repository)
            .or_else(|| folder_name(root))
            .unwrap_or_else(|| "repository".to_owned());
        let mut known = Self {
            workspace: slug("workspace", workspace)?,
            repository: slug("repository", repository)?,
            account: given.account.map(account).transpose()?,
            workspace_uuid: uuid(given.workspace_uuid)?,
            repository_uuid: uuid(
                given
                    .repository_uuid
                    .or_else(|| variable("BITBUCKET_REPO_UUID")),
            )?,
            ..Self::default()
        };
        for name in LASTING.iter().chain(&["AWS_DEFAULT_REGION", "AWS_REGION"]) {
            if let Some(value) = environment.get(name) {
                known.values.insert((*name).to_owned(), value.to_owned());
            }
        }
        known.add_environments(given.environments, environment)?;
        for entry in given.values {
            let (name, value) = pair("--set", &entry)?;
            known.values.insert(name, value);
        }
        Ok(known)
    }

    fn add_environments(
        &mut self,
        given: Vec<String>,
        environment: &Environment,
    ) -> Result<(), Failure> {
        if let (Some(name), Some(id)) = (
            environment.get("BITBUCKET_DEPLOYMENT_ENVIRONMENT"),
            uuid(
                environment
                    .get("BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID")
                    .map(str::to_owned),
            )?,
        ) {
            self.environment_uuids.insert(name.to_owned(), id);
        }
        for entry in given {
            let (name, value) = pair("--environment", &entry)?;
            if let Some(id) = uuid(Some(value))? {
                self.environment_uuids.insert(name, id);
            }
        }
        Ok(())
    }

    /// Fills the account in once AWS has told it.
    pub fn set_account(&mut self, account: &str) {
        self.account = Some(account.to_owned());
    }

    /// The account that was given.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// A text of the pipeline file, as it is in steps of this environment. `variable` names the pipe's variable that it
    /// is the value of, for what no text can stand for: the output of a command.
    #[must_use]
    pub fn expand(&self, text: &str, variable: &str, environment: Option<&str>) -> Text {
        if text.contains("$(") || text.contains('`') {
            return self.variable(variable, environment);
        }
        let mut expanded = Text::default();
        let mut rest = text;
        while let Some(index) = rest.find('$') {
            let (before, from) = rest.split_at(index);
            expanded = expanded.then(before);
            let (name, after) = reference(&from[1..]);
            expanded = match name {
                "" => expanded.then("$"),
                name => expanded.then(self.variable(name, environment)),
            };
            rest = after;
        }
        expanded.then(rest)
    }

    /// What the variable holds in steps of this environment.
    #[must_use]
    pub fn variable(&self, name: &str, environment: Option<&str>) -> Text {
        let own = environment.and_then(|each| self.values.get(&format!("{each}:{name}")));
        if let Some(value) = own.or_else(|| self.values.get(name)) {
            return Text::from(value.as_str());
        }
        match (name, environment) {
            ("BITBUCKET_DEPLOYMENT_ENVIRONMENT", Some(environment)) => Text::from(environment),
            ("BITBUCKET_WORKSPACE" | "BITBUCKET_REPO_OWNER", _) => {
                Text::from(self.workspace.as_str())
            }
            ("BITBUCKET_REPO_SLUG", _) => Text::from(self.repository.as_str()),
            // Another one in each run.
            (name, _) if name.starts_with("BITBUCKET_") => Text::from("*"),
            _ => Text::hole(Hole::Variable {
                name: name.to_owned(),
                environment: environment.map(str::to_owned),
            }),
        }
    }

    /// The hole, filled if that is known.
    #[must_use]
    pub fn fill(&self, hole: Hole) -> Text {
        let value = match &hole {
            Hole::Account => self.account.as_ref(),
            Hole::WorkspaceUuid => self.workspace_uuid.as_ref(),
            Hole::RepositoryUuid => self.repository_uuid.as_ref(),
            Hole::EnvironmentUuid(name) => self.environment_uuids.get(name),
            Hole::Variable { name, environment } => {
                return self.variable(name, environment.as_deref());
            }
        };
        match value {
            Some(value) => Text::from(value.as_str()),
            None => Text::hole(hole),
        }
    }

    /// The identity provider without its scheme.
    #[must_use]
    pub fn provider(&self) -> String {
        format!(
            "api.bitbucket.org/2.0/workspaces/{}/pipelines-config/identity/oidc",
            self.workspace
        )
    }
}

/// The name behind a `$` and what follows it.
fn reference(text: &str) -> (&str, &str) {
    if let Some((name, rest)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        // `${NAME:-default}` has a default that the step's shell fills in.
        let name = name
            .split([':', '-', '%', '#', '/'])
            .next()
            .unwrap_or_default();
        return (name, rest);
    }
    let end = text
        .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Workspace and repository of the first remote at bitbucket.org.
fn remote(config: &str) -> Option<(String, String)> {
    config.lines().find_map(|line| {
        let (_, url) = line.trim().strip_prefix("url")?.split_once('=')?;
        let (_, path) = url.trim().split_once("bitbucket.org")?;
        let (workspace, repository) = path.trim_start_matches([':', '/']).split_once('/')?;
        let repository = repository.trim_end_matches('/');
        let repository = repository.strip_suffix(".git").unwrap_or(repository);
        Some((workspace.to_owned(), repository.to_owned()))
    })
}

fn folder_name(root: &Path) -> Option<String> {
    let path = root.canonicalize().ok()?;
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let legal = |character: char| {
        if character.is_ascii_alphanumeric() || "._-".contains(character) {
            character
        } else {
            '-'
        }
    };
    Some(name.chars().map(legal).collect())
}

fn pair(option: &str, entry: &str) -> Result<(String, String), Failure> {
    match entry.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(Failure::new(format!(
            "{option} takes NAME=VALUE, and was given `{entry}`"
        ))),
    }
}

fn slug(what: &str, text: String) -> Result<String, Failure> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !text.is_empty() && text.bytes().all(legal) {
        Ok(text)
    } else {
        Err(Failure::new(format!("`{text}` is not the slug of a {what}"))
            .hint(format!("the slug is the {what}'s part of its address, bitbucket.org/<workspace>/<repository>")))
    }
}

fn account(text: String) -> Result<String, Failure> {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text)
    } else {
        Err(Failure::new(format!(
            "`{text}` is not an AWS account: its id has 12 digits"
        )))
    }
}

/// Without braces and in lower case, as the audience has it.
fn uuid(text: Option<String>) -> Result<Option<String>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let bare = text.trim().trim_matches(['{', '}']).to_ascii_lowercase();
    let lengths: Vec<usize> = bare.split('-').map(str::len).collect();
    let is_hexadecimal = bare
        .bytes()
        .all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if is_hexadecimal && lengths == [8, 4, 4, 4, 12] {
        Ok(Some(bare))
    } else {
        Err(Failure::new(format!("`{text}` is not a UUID"))
            .hint("Repository settings → OpenID Connect in Bitbucket shows the UUIDs of workspace, repository and environments"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(given: Given, variables: &[(&str, &str)]) -> Result<Known, Failure> {
        let pairs = variables
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Known::new(
            given,
            &Environment::new(pairs),
            Path::new("/nonexistent/shop"),
        )
    }

    fn shown(text: &Text) -> String {
        text.write(str::to_owned, |hole| match hole {
            Hole::Variable { name, environment } => {
                format!("<{name} {}>", environment.as_deref().unwrap_or("-"))
            }
            hole => format!("<{hole:?}>"),
        })
    }

    #[test]
    fn variables_of_the_file_are_filled_where_somebody_has_told_them() {
        let given = Given {
            workspace: Some("acme".to_owned()),
            values: vec![
                "BUCKET=site".to_owned(),
                "production:BUCKET=live".to_owned(),
            ],
            ..Given::default()
        };
        let known = known(given, &[("BITBUCKET_REPO_SLUG", "shop")]).unwrap();
        for (text, environment, expected) in [
            ("plain", None, "plain"),
            ("$BUCKET/docs", None, "site/docs"),
            ("${BUCKET}-x", Some("staging"), "site-x"),
            ("$BUCKET", Some("production"), "live"),
            (
                "pre-$OTHER/x",
                Some("production"),
                "pre-<OTHER production>/x",
            ),
            ("$BITBUCKET_REPO_SLUG/$BITBUCKET_BRANCH", None, "shop/*"),
            ("$BITBUCKET_DEPLOYMENT_ENVIRONMENT", Some("qa"), "qa"),
            ("$(date +%F)", None, "<S3_BUCKET ->"),
            ("cost$", None, "cost$"),
        ] {
            assert_eq!(
                shown(&known.expand(text, "S3_BUCKET", environment)),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn wrong_options_are_told() {
        let refused = |given| known(given, &[]).unwrap_err().to_string();
        assert!(refused(Given::default()).contains("slug of the workspace"));
        let workspace = || Given {
            workspace: Some("acme".to_owned()),
            ..Given::default()
        };
        let account = Given {
            account: Some("1234".to_owned()),
            ..workspace()
        };
        assert!(refused(account).contains("12 digits"));
        let id = Given {
            repository_uuid: Some("{x}".to_owned()),
            ..workspace()
        };
        assert!(refused(id).contains("not a UUID"));
        let set = Given {
            values: vec!["A".to_owned()],
            ..workspace()
        };
        assert!(refused(set).contains("--set takes NAME=VALUE"));
        let slug = Given {
            workspace: Some("a/b".to_owned()),
            ..Given::default()
        };
        assert!(refused(slug).contains("not the slug of a workspace"));
    }

    #[test]
    fn the_remote_tells_workspace_and_repository() {
        for url in [
            "git@bitbucket.org:acme/shop.git",
            "https://me@bitbucket.org/acme/shop.git",
            "ssh://git@bitbucket.org/acme/shop",
        ] {
            let config = format!("[remote \"origin\"]\n\turl = {url}\n");
            assert_eq!(
                remote(&config),
                Some(("acme".to_owned(), "shop".to_owned())),
                "{url}"
            );
        }
        assert_eq!(remote("\turl = git@github.com:acme/shop.git"), None);
    }
}
