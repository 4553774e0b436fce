//! What a run changes: the code, the configuration, tags and concurrency, and what is done with the version.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use shared::edits::{EditFields, Edits};
use shared::{Faults, Field, List};

use super::{Reserved, Traffic, Variables, flag, list};
use crate::aftermath::Aftermath;
use crate::artifact::ArtifactBucket;
use crate::configuration::Wishes;
use crate::function_url::FunctionUrl;
use crate::layer::LayerSettings;
use crate::package::{Architecture, Links};
use crate::smoke::Smoke;

/// All that `update` and `deploy` do.
#[derive(Debug)]
pub struct Change {
    /// The code; nothing to leave it as it is.
    pub code: Option<Code>,
    /// What becomes of symbolic links when a directory is packed.
    pub links: Links,
    /// Where archives go that are too large for a request.
    pub artifacts: Option<ArtifactBucket>,
    /// A layer that is published with the function.
    pub layer: Option<LayerSettings>,
    /// For which processor.
    pub architecture: Option<Architecture>,
    /// The configuration.
    pub wishes: Wishes,
    /// Tags.
    pub tags: Edits,
    /// Reserved concurrency.
    pub reserved: Option<Reserved>,
    /// Whether a function that does not exist is made.
    pub create: bool,
    /// Whether a version is published.
    pub publish: Option<Publish>,
    /// What the version has to answer before anything else is done with it.
    pub smoke: Option<Smoke>,
    /// Where traffic goes afterwards.
    pub traffic: Option<Traffic>,
    /// What is done at last.
    pub aftermath: Aftermath,
}

/// Where the code comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// A zip, or a directory to be packed, and what becomes of its links.
    Path(PathBuf),
    /// A container image.
    Image(String),
    /// A zip in a bucket of the function's region.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// The version of the object.
        version: Option<String>,
    },
}

/// How a version is published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publish {
    /// What people are to read.
    pub description: Option<String>,
}

impl Change {
    pub(super) fn new(
        mut variables: Variables,
        with_traffic: bool,
        faults: &mut Faults,
    ) -> Option<Self> {
        let publish = faults
            .optional("PUBLISH_FLAG", std::mem::take(&mut variables.publish_flag))
            .unwrap_or(true);
        if with_traffic && !publish {
            faults.add(
                "PUBLISH_FLAG",
                "unallowed value false (COMMAND `deploy` moves an alias, which points to a published version)",
            );
        }
        let description =
            faults.optional("DESCRIPTION", std::mem::take(&mut variables.description));
        let smoke = smoke(&mut variables, faults);
        if smoke.is_some() && !publish {
            faults.add(
                "SMOKE_TEST",
                "needs a published version, and PUBLISH_FLAG is false",
            );
        }
        let traffic = Traffic::new(&mut variables, with_traffic, description.clone(), faults);
        let code = code(&mut variables, faults);
        let architecture =
            faults.optional("ARCHITECTURE", std::mem::take(&mut variables.architecture));
        let fields = EditFields {
            set: std::mem::take(&mut variables.tags),
            unset: std::mem::take(&mut variables.tags_unset),
            replace: std::mem::take(&mut variables.tags_replace),
        };
        let tags = Edits::new("TAGS", fields, faults);
        let reserved = faults.optional(
            "RESERVED_CONCURRENCY",
            std::mem::take(&mut variables.reserved_concurrency),
        );
        let create = flag(faults, "CREATE", std::mem::take(&mut variables.create));
        let links = faults
            .optional("SYMLINKS", std::mem::take(&mut variables.symlinks))
            .unwrap_or_default();
        let artifacts = faults.optional(
            "ARTIFACT_BUCKET",
            std::mem::take(&mut variables.artifact_bucket),
        );
        let layer = LayerSettings::new(
            faults.optional("LAYER_NAME", std::mem::take(&mut variables.layer_name)),
            faults.optional("LAYER_PATH", std::mem::take(&mut variables.layer_path)),
            faults,
        );
        let aftermath = aftermath(&mut variables, faults);
        aftermath.check(with_traffic, publish, faults);
        let wishes = wishes(variables, faults);
        let changes_nothing = code.is_none()
            && wishes.file.is_none()
            && wishes.members.is_empty()
            && wishes.environment.is_empty()
            && tags.is_empty()
            && reserved.is_none()
            && layer.is_none()
            && aftermath.is_empty()
            && !with_traffic;
        if changes_nothing {
            faults.add(
                "ZIP_FILE",
                "required field (or IMAGE_URI, or S3_BUCKET and S3_KEY, or FUNCTION_CONFIGURATION or a variable of the configuration)",
            );
        }
        if create && code.is_none() {
            faults.add(
                "CREATE",
                "needs the code: ZIP_FILE, IMAGE_URI, or S3_BUCKET and S3_KEY",
            );
        }
        if with_traffic && traffic.is_none() {
            return None;
        }
        Some(Self {
            code,
            links,
            artifacts,
            layer,
            architecture,
            wishes,
            tags,
            reserved,
            create,
            publish: publish.then_some(Publish { description }),
            smoke,
            traffic,
            aftermath,
        })
    }
}

fn smoke(variables: &mut Variables, faults: &mut Faults) -> Option<Smoke> {
    Smoke::new(
        list(
            faults,
            "SMOKE_TEST",
            std::mem::take(&mut variables.smoke_test),
        ),
        faults.optional("SMOKE_STATUS", std::mem::take(&mut variables.smoke_status)),
        list(
            faults,
            "SMOKE_EXPECT",
            std::mem::take(&mut variables.smoke_expect),
        ),
        faults.optional(
            "SMOKE_TIMEOUT",
            std::mem::take(&mut variables.smoke_timeout),
        ),
        faults,
    )
}

fn aftermath(variables: &mut Variables, faults: &mut Faults) -> Aftermath {
    let cors = faults.optional(
        "FUNCTION_URL_CORS",
        std::mem::take(&mut variables.function_url_cors),
    );
    let invoke_mode = faults.optional(
        "FUNCTION_URL_INVOKE_MODE",
        std::mem::take(&mut variables.function_url_invoke_mode),
    );
    let auth = faults.optional("FUNCTION_URL", std::mem::take(&mut variables.function_url));
    Aftermath {
        provisioned: faults.optional(
            "PROVISIONED_CONCURRENCY",
            std::mem::take(&mut variables.provisioned_concurrency),
        ),
        url: FunctionUrl::new(auth, cors.as_deref(), invoke_mode, faults),
        keep: faults.optional(
            "KEEP_VERSIONS",
            std::mem::take(&mut variables.keep_versions),
        ),
    }
}

fn code(variables: &mut Variables, faults: &mut Faults) -> Option<Code> {
    let zip = faults.optional("ZIP_FILE", std::mem::take(&mut variables.zip_file));
    let image = faults.optional("IMAGE_URI", std::mem::take(&mut variables.image_uri));
    let bucket = faults.optional("S3_BUCKET", std::mem::take(&mut variables.s3_bucket));
    let key = faults.optional("S3_KEY", std::mem::take(&mut variables.s3_key));
    let version = faults.optional(
        "S3_OBJECT_VERSION",
        std::mem::take(&mut variables.s3_object_version),
    );
    let given = [
        ("ZIP_FILE", zip.is_some()),
        ("IMAGE_URI", image.is_some()),
        ("S3_BUCKET", bucket.is_some()),
    ];
    let given: Vec<&str> = given
        .iter()
        .filter_map(|(name, is_given)| is_given.then_some(*name))
        .collect();
    if let [first, second, ..] = given[..] {
        faults.add(
            second,
            format!("cannot be given together with {first}: there is one source of the code"),
        );
    }
    if bucket.is_some() != key.is_some() {
        let (missing, given) = if key.is_none() {
            ("S3_KEY", "S3_BUCKET")
        } else {
            ("S3_BUCKET", "S3_KEY")
        };
        faults.add(missing, format!("required field ({given} is given)"));
    }
    if version.is_some() && key.is_none() {
        faults.add("S3_OBJECT_VERSION", "needs S3_BUCKET and S3_KEY");
    }
    if let Some(path) = zip {
        return Some(Code::Path(PathBuf::from(path.trim())));
    }
    if let Some(uri) = image {
        return Some(Code::Image(uri.trim().to_owned()));
    }
    Some(Code::Object {
        bucket: bucket?.trim().to_owned(),
        key: key?,
        version,
    })
}

/// The single variables, as members of UpdateFunctionConfiguration.
fn wishes(variables: Variables, faults: &mut Faults) -> Wishes {
    let mut members = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    let text = |faults: &mut Faults, name: &str, field: Field<String>| {
        faults.optional(name, field).map(|text| json!(text.trim()))
    };
    let texts = |faults: &mut Faults, name: &str, field: Field<List<String>>| {
        faults.optional(name, field).map(|list| json!(list.0))
    };
    let size = |faults: &mut Faults, name: &str, field: Field<u32>, range: (u32, u32)| {
        let value = faults.optional(name, field)?;
        if !(range.0..=range.1).contains(&value) {
            let (least, most) = range;
            faults.add(name, format!("unallowed value {value} ({least} to {most})"));
        }
        Some(json!(value))
    };
    set(
        "MemorySize",
        size(faults, "MEMORY_SIZE", variables.memory_size, (128, 32_768)),
    );
    set(
        "Timeout",
        size(faults, "TIMEOUT", variables.timeout, (1, 900)),
    );
    set("Runtime", text(faults, "RUNTIME", variables.runtime));
    set("Handler", text(faults, "HANDLER", variables.handler));
    set("Role", text(faults, "ROLE", variables.role));
    set("Layers", texts(faults, "LAYERS", variables.layers));
    set(
        "Description",
        text(
            faults,
            "FUNCTION_DESCRIPTION",
            variables.function_description,
        ),
    );
    set(
        "KMSKeyArn",
        text(faults, "KMS_KEY_ARN", variables.kms_key_arn),
    );
    let storage = size(
        faults,
        "EPHEMERAL_STORAGE",
        variables.ephemeral_storage,
        (512, 10_240),
    );
    set(
        "EphemeralStorage",
        storage.map(|size| json!({"Size": size})),
    );
    let snap_start = faults.optional("SNAP_START", variables.snap_start);
    set(
        "SnapStart",
        snap_start.map(|on| json!({"ApplyOn": if on { "PublishedVersions" } else { "None" }})),
    );
    let tracing = text(faults, "TRACING", variables.tracing);
    set("TracingConfig", tracing.map(|mode| json!({"Mode": mode})));
    let target = text(faults, "DEAD_LETTER_ARN", variables.dead_letter_arn);
    set(
        "DeadLetterConfig",
        target.map(|arn| json!({"TargetArn": arn})),
    );
    let subnets = texts(faults, "SUBNET_IDS", variables.subnet_ids);
    let groups = texts(faults, "SECURITY_GROUP_IDS", variables.security_group_ids);
    set(
        "VpcConfig",
        object([("SubnetIds", subnets), ("SecurityGroupIds", groups)]),
    );
    let format = text(faults, "LOG_FORMAT", variables.log_format);
    let log_group = text(faults, "LOG_GROUP", variables.log_group);
    set(
        "LoggingConfig",
        object([("LogFormat", format), ("LogGroup", log_group)]),
    );
    let fields = EditFields {
        set: variables.environment,
        unset: variables.environment_unset,
        replace: variables.environment_replace,
    };
    let file = faults.optional("FUNCTION_CONFIGURATION", variables.function_configuration);
    Wishes {
        file: file.map(|path| PathBuf::from(path.trim())),
        members,
        environment: Edits::new("ENVIRONMENT", fields, faults),
    }
}

fn object(parts: [(&str, Option<Value>); 2]) -> Option<Value> {
    let given: Map<String, Value> = parts
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    (!given.is_empty()).then_some(Value::Object(given))
}
