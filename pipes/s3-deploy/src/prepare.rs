//! From the settings to the wished site: rules and `_headers` are read, the directory is walked, and files become
//! objects. All of it before the first request.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use shared::Failure;

use crate::compress::{self, Encoding, VariantSource};
use crate::config::Config;
use crate::headers::values::over_limits;
use crate::manifest::FOLDER;
use crate::netlify::{self, NetlifyHeaders};
use crate::objects::{Object, Objects, Redirect, Shape, Site};
use crate::rules::Rules;
use crate::tree::{Tree, Walk, plain};
use crate::wishes::Wishes;

/// The Netlify files, at the root of the site; they are followed, not uploaded.
const NETLIFY_FILES: [&str; 2] = ["_headers", "_redirects"];

/// The site that `config` describes, found on a thread of its own: however long a directory takes to walk, the deadline of
/// the run holds, and a signal ends it.
///
/// # Errors
/// When the directory, a file in it, or one of the files with rules cannot be used.
pub async fn site_beside(config: &Arc<Config>, root: &Path) -> Result<Site, Failure> {
    let (config, root) = (Arc::clone(config), root.to_owned());
    let preparing = tokio::task::spawn_blocking(move || site(&config, &root));
    preparing.await.unwrap_or_else(|_| {
        Err(Failure::new(
            "could not read LOCAL_PATH: a thread ended early",
        ))
    })
}

fn site(config: &Config, root: &Path) -> Result<Site, Failure> {
    let rules = config.rules_file.as_deref().map(read_rules).transpose()?;
    let rules_name = config
        .rules_file
        .as_deref()
        .and_then(|path| name_inside(path, root));
    let prefix = config.destination.prefix.as_str().to_owned();
    let admits = |name: &str| {
        let is_instruction = config.netlify_files && NETLIFY_FILES.contains(&name)
            || rules_name.as_deref() == Some(Path::new(name));
        config.filters.admits(name) && !is_instruction
    };
    let walk = Walk {
        follow_links: config.follow_links,
        prefix_length: prefix.len(),
        admits: &admits,
    };
    let tree = Tree::new(root, &walk)?;
    if tree.has_under(FOLDER) {
        return Err(Failure::new(format!(
            "LOCAL_PATH holds `{FOLDER}`, the folder that the pipe keeps for itself in the bucket"
        ))
        .hint("leave it out of the site: it was perhaps downloaded with it"));
    }
    if tree.has_under(".git/") {
        tracing::warn!(
            "the site holds `.git`, the whole history of the repository; LOCAL_PATH may be one directory too high"
        );
    }
    let (netlify, redirects) = if config.netlify_files {
        netlify(root)?
    } else {
        (None, Vec::new())
    };
    let wishes = Wishes {
        common: config.headers.clone(),
        netlify,
        rules,
    };
    let mut site = Site {
        prefix,
        tree,
        objects: Objects::Files(0),
        redirects,
        wishes,
    };
    add_objects(&mut site, &config.compress)?;
    site.sort();
    check_limits(&site)?;
    Ok(site)
}

/// The name of the rules file, if it lies in the site: it is not part of it.
fn name_inside(path: &Path, root: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    path.strip_prefix(root.canonicalize().ok()?)
        .ok()
        .map(Path::to_owned)
}

/// No single rule can know the sum of metadata and tags, and S3 says it only at the upload.
fn check_limits(site: &Site) -> Result<(), Failure> {
    if site.wishes.can_break_limits() {
        for (_, object) in site.objects.numbered() {
            if let Some(fault) = over_limits(&site.wish(object).0) {
                return Err(Failure::new(format!(
                    "could not give `{}` its headers: {fault}",
                    site.name(object)
                )));
            }
        }
    }
    Ok(())
}

fn read_rules(path: &Path) -> Result<Rules, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(format!(
            "could not read RULES_FILE `{shown}`: {}",
            plain(&error)
        ))
    })?;
    Rules::parse(&text)
        .map_err(|faults| Failure::new(format!("could not use RULES_FILE `{shown}`")).fact(faults))
}

fn netlify(root: &Path) -> Result<(Option<NetlifyHeaders>, Vec<Redirect>), Failure> {
    let read = |name: &str| match std::fs::read_to_string(root.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(format!(
            "could not read `{}`: {}",
            root.join(name).display(),
            plain(&error)
        ))),
    };
    let mut warnings = Vec::new();
    let headers = read(NETLIFY_FILES[0])?.map(|text| {
        let (headers, more) = NetlifyHeaders::parse(&text);
        warnings.extend(more);
        headers
    });
    let redirects = read(NETLIFY_FILES[1])?.map_or_else(Vec::new, |text| {
        let (redirects, more) = netlify::redirects(&text);
        warnings.extend(more);
        redirects
    });
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let redirects = redirects.into_iter().map(|redirect| Redirect {
        name: redirect.key,
        to: redirect.to,
        forced: redirect.forced,
    });
    Ok((headers, redirects.collect()))
}

fn add_objects(site: &mut Site, wanted: &[Encoding]) -> Result<(), Failure> {
    let Site {
        tree,
        objects,
        redirects,
        wishes,
        ..
    } = site;
    // A file wins over a redirect of its name, unless that is forced (`301!`), as on Netlify.
    redirects.retain(|redirect| {
        let is_file = tree.find(&redirect.name).is_some();
        if is_file && !redirect.forced {
            tracing::warn!(
                "`_redirects` names `{}`, which is a file of the site; the file is kept",
                redirect.name
            );
        }
        !is_file || redirect.forced
    });
    number(tree.len())?;
    if wanted.is_empty() && redirects.is_empty() {
        *objects = Objects::Files(tree.len());
        return Ok(());
    }
    let mut listed = Vec::with_capacity(tree.len() + redirects.len());
    for (index, name) in tree.names_from(0).enumerate() {
        if redirects.iter().any(|redirect| redirect.name == name) {
            continue;
        }
        // A rule that names an encoding speaks of the bytes as they are.
        if wanted.is_empty() || wishes.of_file(&name, None).0.content_encoding.is_some() {
            listed.push(Object::file(number(index)?));
        } else {
            add_encoded(tree, index, wanted, &mut listed)?;
        }
    }
    for index in 0..redirects.len() {
        listed.push(Object {
            name: number(index)?,
            source: 0,
            shape: Shape::Redirect,
        });
    }
    *objects = Objects::Listed(listed);
    Ok(())
}

/// The objects of one file when text is to be compressed.
fn add_encoded(
    tree: &Tree,
    index: usize,
    wanted: &[Encoding],
    objects: &mut Vec<Object>,
) -> Result<(), Failure> {
    let file = tree.file(index);
    let (name, text) = (number(index)?, file.name());
    let exists = |name: &str| tree.find(name).is_some();
    if let Some((_, encoding)) = compress::original_of_sibling(&text, &exists) {
        objects.push(Object {
            name,
            source: name,
            shape: Shape::PrecompressedBeside(encoding),
        });
        return Ok(());
    }
    let variants = compress::variants(&text, file.size, &exists, wanted);
    if variants
        .iter()
        .all(|variant| !variant.key_suffix.is_empty())
    {
        objects.push(Object::file(name));
    }
    for variant in variants {
        let encoding = variant.encoding;
        let (source, shape) = match (variant.source, variant.key_suffix) {
            (VariantSource::Sibling(sibling), "") => (
                number(tree.find(&sibling).unwrap_or(index))?,
                Shape::Precompressed(encoding),
            ),
            // A sibling beside the object is an object already, by its own name.
            (VariantSource::Sibling(_), _) => continue,
            (VariantSource::Compressed, "") => (name, Shape::Compressed(encoding)),
            (VariantSource::Compressed, _) => (name, Shape::CompressedBeside(encoding)),
        };
        objects.push(Object {
            name,
            source,
            shape,
        });
    }
    Ok(())
}

fn number(index: usize) -> Result<u32, Failure> {
    u32::try_from(index)
        .map_err(|_| Failure::new("LOCAL_PATH holds more files than this pipe can count"))
}
