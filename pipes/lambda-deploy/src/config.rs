//! From the pipe's variables to valid settings: pure, and all faults at once.
//! Names and meanings are those of the pipe that people come from, as far as it had them.

mod change;
mod traffic;

use std::time::Duration;

use serde::Deserialize;
use shared::aws::RegionName;
use shared::edits::Entries;
use shared::wait::Pace;
use shared::{Faults, Field, FromText, List, Settings};

pub use self::change::{Change, Code};
pub use self::traffic::{Shift, Traffic};

use crate::artifact::ArtifactBucket;
use crate::canary::{Share, Steps};
use crate::function_url::Auth;
use crate::package::{Architecture, Links};
use crate::prune::Keep;
use crate::rollback::Target;
use crate::smoke::Expectation;

/// Bitbucket stops a step after two hours unless told otherwise.
const DEFAULT_TIMEOUT: u32 = 3600;
/// An image with a VPC takes half a minute, a snapshot some minutes.
const DEFAULT_WAIT: u32 = 600;
/// The longest pause between two looks.
const DEFAULT_INTERVAL: u32 = 5;

/// What envy fills from the environment.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Variables {
    function_name: Field<List<String>>,
    command: Field<CommandName>,
    zip_file: Field<String>,
    image_uri: Field<String>,
    s3_bucket: Field<String>,
    s3_key: Field<String>,
    s3_object_version: Field<String>,
    symlinks: Field<Links>,
    package_file: Field<String>,
    artifact_bucket: Field<ArtifactBucket>,
    layer_name: Field<String>,
    layer_path: Field<String>,
    function_configuration: Field<String>,
    memory_size: Field<u32>,
    timeout: Field<u32>,
    runtime: Field<String>,
    handler: Field<String>,
    role: Field<String>,
    layers: Field<List<String>>,
    architecture: Field<Architecture>,
    ephemeral_storage: Field<u32>,
    snap_start: Field<bool>,
    tracing: Field<String>,
    subnet_ids: Field<List<String>>,
    security_group_ids: Field<List<String>>,
    dead_letter_arn: Field<String>,
    kms_key_arn: Field<String>,
    log_format: Field<String>,
    log_group: Field<String>,
    function_description: Field<String>,
    environment: Field<Entries>,
    environment_unset: Field<List<String>>,
    environment_replace: Field<bool>,
    tags: Field<Entries>,
    tags_unset: Field<List<String>>,
    tags_replace: Field<bool>,
    reserved_concurrency: Field<Reserved>,
    provisioned_concurrency: Field<Reserved>,
    function_url: Field<Auth>,
    function_url_cors: Field<String>,
    function_url_invoke_mode: Field<String>,
    keep_versions: Field<Keep>,
    create: Field<bool>,
    publish_flag: Field<bool>,
    alias: Field<String>,
    version: Field<String>,
    description: Field<String>,
    rollback: Field<Target>,
    smoke_test: Field<List<String>>,
    smoke_status: Field<u32>,
    smoke_expect: Field<List<Expectation>>,
    smoke_timeout: Field<u32>,
    canary: Field<Steps>,
    canary_errors: Field<Share>,
    canary_throttles: Field<Share>,
    canary_duration: Field<u32>,
    alarms: Field<List<String>>,
    codedeploy_application: Field<String>,
    codedeploy_group: Field<String>,
    codedeploy_config: Field<String>,
    regions: Field<List<RegionName>>,
    wait: Field<bool>,
    wait_interval: Field<u32>,
    wait_timeout: Field<u32>,
    deploy_timeout: Field<u32>,
    force: Field<bool>,
    dry_run: Field<bool>,
    fail_on_difference: Field<bool>,
}

/// The settings of one run.
#[derive(Debug)]
pub struct Config {
    /// The functions: names or ARNs.
    pub functions: Vec<String>,
    /// Where they are; the run's own region if it is empty.
    pub regions: Vec<String>,
    /// What the run does.
    pub command: Command,
    /// How updates are waited for.
    pub pace: Pace,
    /// Whether a shift that another run has under way may be taken over.
    pub force: bool,
    /// Whether to stop after the plan.
    pub dry_run: bool,
    /// Whether a plan that would change something is a failure then.
    pub fail_on_difference: bool,
    /// How long the run may take.
    pub timeout: Duration,
}

/// What a run does.
#[derive(Debug)]
pub enum Command {
    /// Changes functions, publishes, and moves traffic, as far as each is wished: `update` and `deploy`.
    Change(Box<Change>),
    /// Lets an alias point to a version that exists.
    Alias(Point),
    /// Puts an alias back.
    RollBack {
        /// The alias.
        alias: String,
        /// Where to.
        target: Target,
    },
}

/// An alias and where it is to point.
#[derive(Debug)]
pub struct Point {
    /// The alias.
    pub alias: String,
    /// The version's number.
    pub version: String,
    /// What people are to read.
    pub description: Option<String>,
}

/// COMMAND.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandName {
    /// Code, configuration, a version.
    Update,
    /// An alias.
    Alias,
    /// Both, with all that is between.
    Deploy,
    /// An alias, back.
    RollBack,
    /// An archive, and nothing else.
    Package,
}

impl FromText for CommandName {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "update" => Ok(Self::Update),
            "alias" => Ok(Self::Alias),
            "deploy" => Ok(Self::Deploy),
            "rollback" => Ok(Self::RollBack),
            "package" => Ok(Self::Package),
            text => Err(format!(
                "unallowed value {text} (it is `update`, `alias`, `deploy`, `rollback` or `package`)"
            )),
        }
    }
}

impl FromText for Links {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "keep" => Ok(Self::Keep),
            "follow" => Ok(Self::Follow),
            other => Err(format!(
                "unallowed value {other} (it is `keep` or `follow`)"
            )),
        }
    }
}

impl FromText for Architecture {
    fn from_text(text: &str) -> Result<Self, String> {
        architecture(text.trim()).ok_or_else(|| {
            format!(
                "unallowed value {} (it is `x86_64` or `arm64`)",
                text.trim()
            )
        })
    }
}

/// The architecture of this name, as Lambda writes it.
pub fn architecture(name: &str) -> Option<Architecture> {
    [Architecture::X86_64, Architecture::Arm64]
        .into_iter()
        .find(|each| architecture_name(*each) == name)
}

/// How Lambda writes it.
pub const fn architecture_name(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "x86_64",
        Architecture::Arm64 => "arm64",
    }
}

/// RESERVED_CONCURRENCY and PROVISIONED_CONCURRENCY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// So many.
    Instances(u32),
    /// None: what the account has left.
    None,
}

impl FromText for Reserved {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "none" => Ok(Self::None),
            number => number.parse().map(Self::Instances).map_err(|_| {
                format!("unallowed value {number} (it is a number of instances, or `none`)")
            }),
        }
    }
}

impl Settings for Config {
    type Variables = Variables;

    fn new(mut variables: Variables, faults: &mut Faults) -> Option<Self> {
        let functions = functions(faults, std::mem::take(&mut variables.function_name));
        let regions = list(faults, "REGIONS", std::mem::take(&mut variables.regions));
        let regions: Vec<String> = regions
            .iter()
            .map(|region| region.as_str().to_owned())
            .collect();
        let interval = at_least_one(
            faults,
            "WAIT_INTERVAL",
            std::mem::take(&mut variables.wait_interval),
            DEFAULT_INTERVAL,
        );
        let wait = at_least_one(
            faults,
            "WAIT_TIMEOUT",
            std::mem::take(&mut variables.wait_timeout),
            DEFAULT_WAIT,
        );
        // What WAIT asked for is always done: a version that is not active is not deployed.
        faults.optional("WAIT", std::mem::take(&mut variables.wait));
        let dry_run = flag(faults, "DRY_RUN", std::mem::take(&mut variables.dry_run));
        let fail_on_difference = flag(
            faults,
            "FAIL_ON_DIFFERENCE",
            std::mem::take(&mut variables.fail_on_difference),
        );
        if fail_on_difference && !dry_run {
            faults.add("FAIL_ON_DIFFERENCE", "needs DRY_RUN: true");
        }
        let force = flag(faults, "FORCE", std::mem::take(&mut variables.force));
        let timeout = std::mem::take(&mut variables.deploy_timeout);
        let is_given = !timeout.is_absent();
        let timeout = at_least_one(faults, "DEPLOY_TIMEOUT", timeout, DEFAULT_TIMEOUT);
        let mut timeout = Duration::from_secs(timeout.into());
        let command = command(variables, faults);
        if let Some(Command::Change(change)) = &command {
            let shift = change.traffic.as_ref().map(Traffic::time);
            let shift = shift.unwrap_or_default();
            if !is_given {
                timeout += shift;
            } else if timeout <= shift {
                faults.add(
                    "DEPLOY_TIMEOUT",
                    format!(
                        "unallowed value {} (the steps of CANARY alone take {} s)",
                        timeout.as_secs(),
                        shift.as_secs()
                    ),
                );
            }
        }
        Some(Self {
            functions: functions?,
            regions,
            command: command?,
            pace: Pace {
                first: Duration::from_millis(500).min(Duration::from_secs(interval.into())),
                longest: Duration::from_secs(interval.into()),
                deadline: Duration::from_secs(wait.into()),
            },
            force,
            dry_run,
            fail_on_difference,
            timeout,
        })
    }

    fn deadline(&self) -> Duration {
        self.timeout
    }
}

fn functions(faults: &mut Faults, field: Field<List<String>>) -> Option<Vec<String>> {
    let functions = faults.required("FUNCTION_NAME", field)?.0;
    for (index, name) in functions.iter().enumerate() {
        if let Err(fault) = function_name(name) {
            faults.add("FUNCTION_NAME", fault);
        }
        if functions[..index].contains(name) {
            faults.add(
                "FUNCTION_NAME",
                format!("unallowed value {name} (it is there twice)"),
            );
        }
    }
    Some(functions)
}

/// A name, a part of an ARN or an ARN, without a version: the pipe decides about those.
fn function_name(name: &str) -> Result<(), String> {
    let (prefix, own) = match name.rsplit_once("function:") {
        Some((prefix, own)) => (Some(prefix), own),
        None => (None, name),
    };
    let is_word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if own.contains(':') {
        return Err(format!(
            "unallowed value {name} (without `:version` or `:alias`; ALIAS names the alias)"
        ));
    }
    if !is_word(own) || own.len() > 64 || prefix.is_some_and(|prefix| !prefix.ends_with(':')) {
        return Err(format!(
            "unallowed value {name} (a function's name has at most 64 letters, digits, `-` and `_`)"
        ));
    }
    Ok(())
}

fn command(mut variables: Variables, faults: &mut Faults) -> Option<Command> {
    let rollback = faults.optional("ROLLBACK", std::mem::take(&mut variables.rollback));
    let named = std::mem::take(&mut variables.command);
    let name = if rollback.is_some() && named.is_absent() {
        Some(CommandName::RollBack)
    } else {
        faults.required("COMMAND", named)
    };
    if rollback.is_some() && !matches!(name, None | Some(CommandName::RollBack)) {
        faults.add("ROLLBACK", "is for COMMAND `rollback` only");
    }
    match name? {
        CommandName::Alias => {
            let alias = alias(faults, variables.alias);
            let version = faults.required("VERSION", variables.version);
            let version = version.and_then(|text| number(faults, text.trim()));
            let description = faults.optional("DESCRIPTION", variables.description);
            Some(Command::Alias(Point {
                alias: alias?,
                version: version?,
                description,
            }))
        }
        CommandName::RollBack => Some(Command::RollBack {
            alias: alias(faults, variables.alias)?,
            target: rollback.unwrap_or(Target::Previous),
        }),
        // It is answered before these settings are read: it needs neither a function nor credentials.
        CommandName::Package => None,
        CommandName::Update => Change::new(variables, false, faults)
            .map(Box::new)
            .map(Command::Change),
        CommandName::Deploy => Change::new(variables, true, faults)
            .map(Box::new)
            .map(Command::Change),
    }
}

fn alias(faults: &mut Faults, field: Field<String>) -> Option<String> {
    let name = faults.required("ALIAS", field)?.trim().to_owned();
    // "(?!^[0-9]+$)([a-zA-Z0-9-_]+)", at most 128
    let is_legal = name.len() <= 128
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        && !name.bytes().all(|byte| byte.is_ascii_digit());
    if !is_legal {
        faults.add(
            "ALIAS",
            format!(
                "unallowed value {name} (an alias has letters, digits, `-` and `_`, and is no number)"
            ),
        );
    }
    Some(name)
}

fn number(faults: &mut Faults, text: &str) -> Option<String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.to_owned());
    }
    // What jq makes of an answer without a version.
    let why = if text == "null" {
        "an alias points to a published version; is PUBLISH_FLAG false?"
    } else {
        "it is the number of a published version"
    };
    faults.add("VERSION", format!("unallowed value {text} ({why})"));
    None
}

fn flag(faults: &mut Faults, name: &str, field: Field<bool>) -> bool {
    faults.optional(name, field).unwrap_or(false)
}

fn list<T: FromText>(faults: &mut Faults, name: &str, field: Field<List<T>>) -> Vec<T> {
    faults
        .optional(name, field)
        .map_or_else(Vec::new, |list| list.0)
}

fn at_least_one(faults: &mut Faults, name: &str, field: Field<u32>, default: u32) -> u32 {
    let value = faults.optional(name, field).unwrap_or(default);
    if value == 0 {
        faults.add(name, "unallowed value 0 (it is at least 1)");
    }
    value
}

#[cfg(test)]
mod tests;
