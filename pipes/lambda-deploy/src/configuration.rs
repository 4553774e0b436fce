//! What the configuration of a function is to be: a file in the shape of UpdateFunctionConfiguration under single variables
//! under the edits of the environment; and what of it differs from what is live. Only what is named is touched. Pure but
//! for the reading of the file.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use shared::edits::Edits;
use shared::{Environment, Failure, document};

use crate::live::{Configuration, is_empty};

/// The members of UpdateFunctionConfiguration as of version 2015-03-31 of the API, mid 2026. Newer ones are sent on.
const MEMBERS: &[&str] = &[
    "CapacityProviderConfig",
    "DeadLetterConfig",
    "Description",
    "DurableConfig",
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "Handler",
    "ImageConfig",
    "KMSKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "Role",
    "Runtime",
    "SnapStart",
    "Timeout",
    "TracingConfig",
    "VpcConfig",
];

/// Members that are not for this request, and what to do instead.
const OTHERS: &[(&str, &str)] = &[
    (
        "Architectures",
        "set ARCHITECTURE: Lambda takes it with the code",
    ),
    ("Code", "set ZIP_FILE, IMAGE_URI, or S3_BUCKET and S3_KEY"),
    ("CodeSha256", ANSWER),
    ("CodeSize", ANSWER),
    ("ConfigSha256", ANSWER),
    ("FunctionArn", ANSWER),
    (
        "ImageConfigResponse",
        "it is of an answer; the request calls it `ImageConfig`",
    ),
    ("LastModified", ANSWER),
    ("LastUpdateStatus", ANSWER),
    ("LastUpdateStatusReason", ANSWER),
    ("LastUpdateStatusReasonCode", ANSWER),
    ("MasterArn", ANSWER),
    ("PackageType", "it cannot be changed"),
    ("Publish", "set PUBLISH_FLAG"),
    ("RevisionId", "the pipe uses the revision that it sees"),
    ("RuntimeVersionConfig", ANSWER),
    ("SigningJobArn", ANSWER),
    ("SigningProfileVersionArn", ANSWER),
    ("State", ANSWER),
    ("StateReason", ANSWER),
    ("StateReasonCode", ANSWER),
    ("Tags", "set TAGS"),
    ("Version", ANSWER),
    ("ZipFile", "set ZIP_FILE"),
];
const ANSWER: &str = "it is of an answer of Lambda; a request cannot set it";

/// What the variables say.
#[derive(Debug, Default)]
pub struct Wishes {
    /// FUNCTION_CONFIGURATION.
    pub file: Option<PathBuf>,
    /// The single variables, as members.
    pub members: Map<String, Value>,
    /// ENVIRONMENT and its kin.
    pub environment: Edits,
}

/// What the configuration is to be, as far as anything is said.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    members: Map<String, Value>,
    environment: Edits,
    /// Members that this version of the pipe does not know.
    unknown: Vec<String>,
}

/// What differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// For UpdateFunctionConfiguration: the members that differ, whole.
    pub body: Map<String, Value>,
    /// What those members were, in the same shape.
    pub before: Map<String, Value>,
}

impl Wishes {
    /// Reads the file and lays the single variables over it.
    ///
    /// # Errors
    /// When the file is no object of JSON or YAML, is of another function, or has a member that the request cannot have.
    pub fn load(
        &self,
        functions: &[String],
        environment: &Environment,
    ) -> Result<Desired, Failure> {
        let mut members = match &self.file {
            Some(path) => read(path, environment)?,
            None => Map::new(),
        };
        let shown = self
            .file
            .as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default();
        if let Some(name) = members.remove("FunctionName") {
            let names_it = name.as_str().is_some_and(|name| {
                let own = name.rsplit(':').next();
                functions
                    .iter()
                    .all(|function| function == name || function.rsplit(':').next() == own)
            });
            if !names_it {
                return Err(Failure::new(format!(
                    "`{shown}` is of function {name}, and FUNCTION_NAME is `{}`",
                    functions.join(" ")
                ))
                .hint(
                    "take the member `FunctionName` out, or give the file of the right function",
                ));
            }
        }
        let unknown = check(&members, &shown)?;
        for (name, value) in &self.members {
            overlay(&mut members, name, value);
        }
        Ok(Desired {
            members,
            environment: self.environment.clone(),
            unknown,
        })
    }
}

fn read(path: &Path, environment: &Environment) -> Result<Map<String, Value>, Failure> {
    match read_document(path, environment)? {
        Value::Object(members) => Ok(members),
        _ => Err(Failure::new(format!(
            "`{}` is not an object of JSON or YAML with the members of UpdateFunctionConfiguration",
            path.display()
        ))
        .hint("for example `{\"MemorySize\": 256, \"Environment\": {\"Variables\": {\"STAGE\": \"prod\"}}}`")),
    }
}

/// A file of JSON or YAML, its `${NAME}` filled in from the variables of the step.
///
/// # Errors
/// When it cannot be read, with the place of what is wrong.
pub fn read_document(path: &Path, environment: &Environment) -> Result<Value, Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("could not read `{name}`: {error}")))?;
    document::read(&name, &text, environment)
}

/// Refuses what the request cannot have; gives the members that are not known here.
///
/// Lambda ignores a member that it does not know, so `Timout` would be dropped without a word.
fn check(members: &Map<String, Value>, file: &str) -> Result<Vec<String>, Failure> {
    let mut unknown = Vec::new();
    for name in members.keys() {
        if MEMBERS.contains(&name.as_str()) {
            continue;
        }
        let refused = |why: &str| {
            Failure::new(format!(
                "`{file}` has the member `{name}`, which UpdateFunctionConfiguration does not take"
            ))
            .hint(why.to_owned())
        };
        if let Some((_, why)) = OTHERS.iter().find(|(other, _)| other == name) {
            return Err(refused(why));
        }
        let near = MEMBERS.iter().find(|known| {
            known.eq_ignore_ascii_case(name) || strsim::damerau_levenshtein(known, name) <= 2
        });
        if let Some(near) = near {
            return Err(refused(&format!("did you mean `{near}`?")));
        }
        unknown.push(name.clone());
    }
    Ok(unknown)
}

/// Lays `value` over the member: objects are merged, so that `SUBNET_IDS` leaves the security groups alone.
fn overlay(members: &mut Map<String, Value>, name: &str, value: &Value) {
    match (members.get_mut(name), value) {
        (Some(Value::Object(under)), Value::Object(over)) => {
            for (name, value) in over {
                overlay(under, name, value);
            }
        }
        _ => {
            members.insert(name.to_owned(), value.clone());
        }
    }
}

impl Desired {
    /// A member that is one text, such as the role.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name).and_then(Value::as_str)
    }

    /// Whether layers will be on the function.
    pub fn layers(&self) -> Option<usize> {
        let layers = self.members.get("Layers").and_then(Value::as_array);
        layers.map(Vec::len)
    }

    /// Adds a layer that was published in this run behind the ones that are named, or in the place of another version of
    /// itself.
    pub fn add_layer(&mut self, arn: &str, live: Option<&Configuration>) {
        let live = live.map(|live| shaped(live).remove("Layers"));
        let named = self.members.get("Layers").cloned().or(live.flatten());
        let mut layers = match named {
            Some(Value::Array(layers)) => layers,
            _ => Vec::new(),
        };
        let name = |arn: &str| arn.rsplit_once(':').map(|(name, _)| name.to_owned());
        let place = layers
            .iter()
            .position(|layer| layer.as_str().and_then(name) == name(arn));
        match place {
            Some(place) => layers[place] = json!(arn),
            None => layers.push(json!(arn)),
        }
        self.members
            .insert("Layers".to_owned(), Value::Array(layers));
    }

    /// What differs from the live configuration; nothing if it is all there.
    pub fn change(&self, live: &Configuration) -> Option<Change> {
        let live = shaped(live);
        let mut body = Map::new();
        for (name, value) in self.with_environment(&live) {
            let live = live.get(&name).unwrap_or(&Value::Null);
            if !covers(&name, &value, live) {
                body.insert(name.clone(), merged(&name, &value, live));
            }
        }
        let before = body
            .keys()
            .filter_map(|name| Some((name.clone(), live.get(name)?.clone())))
            .collect();
        (!body.is_empty()).then_some(Change { body, before })
    }

    /// The same without members that this version of the pipe does not know: they may look different in an answer.
    pub fn change_of_known(&self, live: &Configuration) -> Option<Change> {
        let mut change = self.change(live)?;
        change.body.retain(|name, _| !self.unknown.contains(name));
        (!change.body.is_empty()).then_some(change)
    }

    /// All members, for a function that is to be made.
    pub fn whole(&self) -> Map<String, Value> {
        self.with_environment(&Map::new())
    }

    /// Members that this version of the pipe does not know and that `live` does not show: Lambda ignores what it does
    /// not know.
    pub fn not_taken<'a>(&'a self, live: &'a Configuration) -> impl Iterator<Item = &'a String> {
        self.unknown
            .iter()
            .filter(|name| !live.members().contains_key(name.as_str()))
    }

    fn with_environment(&self, live: &Map<String, Value>) -> Map<String, Value> {
        let mut members = self.members.clone();
        if !self.environment.is_empty() {
            let under = members.get("Environment").or(live.get("Environment"));
            let variables = under
                .and_then(|environment| environment.get("Variables"))
                .and_then(Value::as_object);
            let pairs = variables.into_iter().flatten();
            let pairs = pairs
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
            let edited: Map<String, Value> = self
                .environment
                .apply(pairs)
                .into_iter()
                .map(|(name, value)| (name, Value::String(value)))
                .collect();
            members.insert("Environment".to_owned(), json!({"Variables": edited}));
        }
        members
    }
}

/// The live configuration in the shape of the request.
fn shaped(live: &Configuration) -> Map<String, Value> {
    let mut members = live.members().clone();
    if let Some(Value::Array(layers)) = members.get_mut("Layers") {
        for layer in layers {
            *layer = layer.get("Arn").cloned().unwrap_or(Value::Null);
        }
    }
    if let Some(Value::Object(environment)) = members.get_mut("Environment") {
        environment.retain(|name, _| name == "Variables");
    }
    if let Some(Value::Object(snap_start)) = members.get_mut("SnapStart") {
        snap_start.remove("OptimizationStatus");
    }
    if let Some(Value::Object(network)) = members.get_mut("VpcConfig") {
        network.remove("VpcId");
    }
    if let Some(image) = members.remove("ImageConfigResponse") {
        let image = image.get("ImageConfig").cloned().unwrap_or(Value::Null);
        members.insert("ImageConfig".to_owned(), image);
    }
    members
}

/// What a member is when the answer does not have it.
fn default_of(name: &str) -> Value {
    match name {
        "EphemeralStorage" => json!({"Size": 512}),
        "TracingConfig" => json!({"Mode": "PassThrough"}),
        "SnapStart" => json!({"ApplyOn": "None"}),
        _ => Value::Null,
    }
}

/// Whether what is desired is live. An environment is desired as a whole; of other objects only what is named counts.
fn covers(name: &str, desired: &Value, live: &Value) -> bool {
    let default = default_of(name);
    let live = if is_empty(live) { &default } else { live };
    if is_empty(desired) {
        return is_empty(live);
    }
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) if name != "Environment" => desired
            .iter()
            .all(|(name, value)| covers(name, value, live.get(name).unwrap_or(&Value::Null))),
        // Lambda gives subnets and groups back in an order of its own; layers and file systems keep theirs.
        (Value::Array(desired), Value::Array(live))
            if matches!(name, "SubnetIds" | "SecurityGroupIds") =>
        {
            let sorted = |list: &[Value]| {
                let mut texts: Vec<String> = list.iter().map(Value::to_string).collect();
                texts.sort_unstable();
                texts
            };
            sorted(desired) == sorted(live)
        }
        (Value::Number(desired), Value::Number(live)) => desired.as_f64() == live.as_f64(),
        (desired, live) => desired == live,
    }
}

/// The member as it is sent: Lambda takes objects whole, so what is not named is sent as it is; `null` takes it away.
fn merged(name: &str, desired: &Value, live: &Value) -> Value {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) if name != "Environment" => {
            let mut whole = live.clone();
            for (name, value) in desired {
                if value.is_null() {
                    whole.remove(name);
                } else {
                    whole.insert(name.clone(), value.clone());
                }
            }
            Value::Object(whole)
        }
        _ => desired.clone(),
    }
}

#[cfg(test)]
mod tests;
