//! What a pipeline file says, read once and shared by every command: steps with their pipes, commands and keys, each with
//! the line it stands in. Anchors and merge keys are resolved; a place that several steps share knows all of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::catalogue::Reference;
use crate::keys::ROLE_NAME;
use crate::tree::Fault;

/// The pipeline files of one checkout.
#[derive(Debug, Default)]
pub struct Checkout {
    /// The folder that paths are relative to.
    pub root: PathBuf,
    /// Files in the order of their paths.
    pub files: Vec<PipelineFile>,
}

/// One `*pipelines.y(a)ml`.
#[derive(Debug, Default)]
pub struct PipelineFile {
    /// Relative to the checkout.
    pub path: PathBuf,
    /// Every step once for each place that runs it, in the order of the file; a step behind an anchor has the place of its
    /// anchor in `site`.
    pub steps: Vec<Step>,
    /// What is true of the file and not of a step: imports that cannot be seen, services with credentials, keys in
    /// comments, anchors that several environments share.
    pub remarks: Vec<Remark>,
    /// Why it could not be read; it has no steps then.
    pub fault: Option<Fault>,
}

/// A step as it runs: what it inherits by `<<` is in.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// `name`, if it has one.
    pub name: Option<String>,
    /// The line of its `step:` key where it is used, from 1.
    pub line: usize,
    /// The line where the mapping that holds its script begins: another one than `line` for a shared step.
    pub site: usize,
    /// Where in the tree: `default`, `branches/main`, `custom/deploy`, `definitions/steps`, ….
    pub pipeline: String,
    /// `deployment` of the step, or of the stage that it stands in.
    pub deployment: Option<String>,
    /// Whether it gets a token.
    pub oidc: Oidc,
    /// Its `- pipe:` entries, of `script` and `after-script`.
    pub pipes: Vec<Pipe>,
    /// Its commands that use AWS credentials or key variables.
    pub commands: Vec<Command>,
    /// `image.aws` of the step, or of the file for a step that has no image of its own.
    pub image: Option<ImageKeys>,
}

impl Step {
    /// Whether this pipe of the step still works with access keys: they stand in its variables, or they come by its
    /// defaults and nothing shows that it takes a role.
    #[must_use]
    pub fn uses_keys(&self, pipe: &Pipe) -> bool {
        match &pipe.keys {
            Keys::None => false,
            Keys::Given(_) => true,
            Keys::Defaults => !(self.oidc == Oidc::On && pipe.has_role()),
        }
    }
}

/// The `oidc` of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Oidc {
    /// No `oidc` key.
    #[default]
    Absent,
    /// `oidc: false`, also where it hides an inherited `true`.
    Off,
    /// `oidc: true` or a mapping with `audiences`.
    On,
    /// Something else, such as the text `"true"`: Bitbucket's schema knows a boolean and a mapping.
    Invalid,
}

/// One `- pipe:` entry.
#[derive(Clone, Debug, Default)]
pub struct Pipe {
    /// The line of its `pipe` key.
    pub line: usize,
    /// The reference as it is written, such as `atlassian/aws-s3-deploy:1.1.0`.
    pub reference: String,
    /// `variables`, in the order of the file.
    pub variables: Vec<Variable>,
    /// How it gets AWS access keys, if it takes them at all.
    pub keys: Keys,
}

impl Pipe {
    /// Whether it is given a role; the `pipe.yml` of our own pipes passes it on.
    #[must_use]
    pub fn has_role(&self) -> bool {
        Reference::new(&self.reference).is_ours()
            || self
                .variables
                .iter()
                .any(|variable| variable.name == ROLE_NAME)
    }
}

/// One entry of a pipe's `variables`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variable {
    /// Its name, such as `S3_BUCKET`.
    pub name: String,
    /// The line of the name.
    pub line: usize,
    /// Its text, or the texts of a list; a key that is no reference to a variable has none.
    pub values: Vec<String>,
}

/// Where a pipe's access keys come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// It is no pipe that takes AWS credentials.
    #[default]
    None,
    /// By the defaults of its `pipe.yml`: repository or deployment variables of the usual names.
    Defaults,
    /// From its own `variables`: names of the pipe to the variables they are filled from (`AWS_KEY_STAGING`), or to
    /// `None` for a literal, whose text is never kept.
    Given(BTreeMap<String, Option<String>>),
}

/// A line of a script that uses credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Command {
    /// Its line.
    pub line: usize,
    /// What it is: `aws`, `docker login`, `aws configure set`, an `export` of a key, ….
    pub kind: String,
    /// Key variables that it names.
    pub keys: Vec<String>,
}

/// `image.aws`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageKeys {
    /// Its line.
    pub line: usize,
    /// The variables of `access-key` and `secret-key`; none with `oidc-role`.
    pub keys: Vec<String>,
}

/// Something to report that belongs to the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// Its line, from 1.
    pub line: usize,
    /// What it is about.
    pub kind: RemarkKind,
    /// One sentence.
    pub text: String,
}

/// What a remark is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemarkKind {
    /// An import whose file is not in the checkout.
    Import,
    /// A service with credentials, which the token of a step does not reach.
    Service,
    /// A comment with a pipe or a key in it.
    Comment,
    /// A step behind an anchor that several environments run.
    SharedStep,
    /// A key that comes twice in one mapping.
    DuplicateKey,
    /// A step that starts another pipeline, or a pipe that no step runs.
    Unseen,
}
