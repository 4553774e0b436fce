//! Before anything is changed: does everything exist that the pages load from their own site? From the plan and the files
//! of the pages to references that nothing will answer. A build that forgot a file is the commonest way to a broken site
//! with a green pipeline.

mod references;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::{Failure, FromText};

use self::references::References;
use crate::aws::Bucket;
use crate::config::Config;
use crate::digest;
use crate::objects::{Object, Shape, Site};
use crate::plan::{Plan, Reason};
use crate::site_url::SiteUrl;

/// Pages are read whole; larger ones are no pages that anybody wrote.
const LARGEST_PAGE: u64 = 16 << 20;
/// Pages that one thread reads at a time.
const CHUNK: usize = 64;
/// References that are looked up in the bucket; with more the build is broken in any case.
const LOOKED_UP: usize = 100;
/// Listings under way at once.
const LISTINGS: usize = 16;
/// References that are named.
const NAMED: usize = 10;

/// What is done about references that nothing will answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BrokenLinks {
    /// They are named in a warning.
    #[default]
    Warn,
    /// The run is refused.
    Refuse,
    /// Nobody looks.
    Ignore,
}

impl FromText for BrokenLinks {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "warn" => Ok(Self::Warn),
            "refuse" => Ok(Self::Refuse),
            "ignore" => Ok(Self::Ignore),
            other => Err(format!(
                "unallowed value {other} (allowed: warn, refuse, ignore)"
            )),
        }
    }
}

/// Names that nothing in the site has, each with a page that loads it.
type Missing = BTreeMap<String, String>;

/// Looks at the pages that the run uploads, and at all of them if it deletes anything: an old page may need that.
///
/// # Errors
/// With the references, if the user wants it so; when a page cannot be read, or the bucket cannot be listed.
pub async fn check(
    config: &Config,
    site: &Arc<Site>,
    plan: &Plan,
    bucket: &Bucket,
) -> Result<(), Failure> {
    if config.broken_links == BrokenLinks::Ignore {
        return Ok(());
    }
    let missing = missing(config, site, plan).await?;
    let deleted: BTreeSet<&str> = plan.deletes.iter().map(|each| each.name.as_str()).collect();
    let asked = missing.iter().take(LOOKED_UP).map(|(name, page)| {
        let is_kept = plan.retired.contains_key(name);
        let is_deleted = deleted.contains(name.as_str());
        async move {
            // What the site does not hold may still be in the bucket: left alone, excluded, or of another tool.
            let exists = is_kept || (!is_deleted && bucket.holds(name).await?);
            Ok::<_, Failure>((!exists).then_some((name, page)))
        }
    });
    let answers = stream::iter(asked).buffered(LISTINGS);
    let broken: Vec<(&String, &String)> = answers
        .try_filter_map(|broken| async move { Ok(broken) })
        .try_collect()
        .await?;
    if broken.is_empty() {
        return Ok(());
    }
    let prefix = &site.prefix;
    let named = broken.iter().take(NAMED);
    let mut facts: Vec<String> = named
        .map(|(name, page)| format!("`{prefix}{page}` loads `{prefix}{name}`"))
        .collect();
    if broken.len() > NAMED {
        facts.push(format!("and {} more", broken.len() - NAMED));
    }
    let what = format!(
        "{} files that pages load will be neither in the site nor in the bucket",
        broken.len()
    );
    if config.broken_links == BrokenLinks::Refuse {
        let failure = Failure::new(format!("refused, since {what}"));
        return Err(facts
            .into_iter()
            .fold(failure, Failure::fact)
            .hint("look for them in the build; BROKEN_LINKS: warn deploys all the same"));
    }
    tracing::warn!("{what}:\n  {}", facts.join("\n  "));
    Ok(())
}

async fn missing(config: &Config, site: &Arc<Site>, plan: &Plan) -> Result<Missing, Failure> {
    let is_page = |object: &Object| is_page(site, *object);
    let pages: Vec<Object> = if plan.deletes.is_empty() {
        let actions = plan.actions.iter();
        let uploaded = actions.filter(|each| each.reason != Reason::HeadersDiffer);
        let objects = uploaded.map(|action| site.object(action.number));
        objects.filter(is_page).collect()
    } else {
        let objects = site.objects.numbered().map(|(_, object)| object);
        objects.filter(is_page).collect()
    };
    let unknown = || SiteUrl::unknown(&site.prefix);
    let base = config.site_url.clone().or_else(unknown);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let chunks: Vec<Vec<Object>> = pages.chunks(CHUNK).map(<[Object]>::to_vec).collect();
    let reading = stream::iter(chunks).map(|chunk| {
        let (site, base) = (Arc::clone(site), base.clone());
        tokio::task::spawn_blocking(move || missing_of(&site, &chunk, base.as_ref()))
    });
    let mut reading = reading.buffered(threads);
    let mut all = Missing::new();
    while let Some(missing) = reading.next().await {
        let missing = missing
            .map_err(|_| Failure::new("could not read the pages: a thread ended early"))??;
        all.extend(missing);
    }
    Ok(all)
}

fn is_page(site: &Site, object: Object) -> bool {
    let is_own_body = matches!(
        object.shape,
        Shape::Plain | Shape::Compressed(_) | Shape::Precompressed(_)
    );
    let file = site.tree.file(object.name as usize);
    let name = file.name().to_ascii_lowercase();
    is_own_body
        && file.size <= LARGEST_PAGE
        && [".html", ".htm", ".xhtml"]
            .iter()
            .any(|extension| name.ends_with(extension))
}

fn missing_of(site: &Site, pages: &[Object], base: Option<&SiteUrl>) -> Result<Missing, Failure> {
    let mut missing = Missing::new();
    let Some(base) = base else {
        return Ok(missing);
    };
    for page in pages {
        let file = site.tree.file(page.name as usize);
        let page = file.name();
        let contents = digest::contents(file)?;
        // The tokens are those of UTF-8, and nearly every page is.
        let Ok(html) = std::str::from_utf8(&contents) else {
            continue;
        };
        for name in names(html, &page, base) {
            if !forms(&name).iter().any(|form| site.find(form).is_some()) {
                missing.entry(name).or_insert_with(|| page.clone());
            }
        }
    }
    Ok(missing)
}

/// The names within the site of what the page `name` loads.
fn names(html: &str, name: &str, site: &SiteUrl) -> BTreeSet<String> {
    let references = References::of(html);
    let Some(page) = site.of(name) else {
        return BTreeSet::new();
    };
    let base = match &references.base {
        Some(base) => page.join(base).unwrap_or(page),
        None => page,
    };
    let urls = references.urls.iter();
    urls.filter_map(|url| site.name(&base.join(url).ok()?))
        .collect()
}

/// The names by which a file may be meant: a frame may name a directory or leave out the extension.
fn forms(name: &str) -> Vec<String> {
    if name.is_empty() || name.ends_with('/') {
        return vec![format!("{name}index.html")];
    }
    vec![
        name.to_owned(),
        format!("{name}.html"),
        format!("{name}/index.html"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_against_the_page_and_its_base() {
        let names = |html: &str, page: &str, site: &str| {
            let site = SiteUrl::from_text(site).unwrap();
            names(html, page, &site).into_iter().collect::<Vec<_>>()
        };
        let root = "https://www.example.com/";
        for (html, page, expected) in [
            ("<img src=a.png>", "index.html", vec!["a.png"]),
            ("<img src=a.png>", "blog/index.html", vec!["blog/a.png"]),
            ("<img src=../a.png>", "blog/index.html", vec!["a.png"]),
            ("<img src=/a.png?v=1#x>", "blog/index.html", vec!["a.png"]),
            (
                "<base href=/docs/><img src=a.png>",
                "blog/index.html",
                vec!["docs/a.png"],
            ),
            (
                "<img src='a%20b.png'><img src='a b.png'>",
                "x.html",
                vec!["a b.png"],
            ),
            (
                "<img src=https://www.example.com/a.png>",
                "x.html",
                vec!["a.png"],
            ),
            ("<img src=//www.example.com/a.png>", "x.html", vec!["a.png"]),
            ("<img src=https://cdn.example.com/a.png>", "x.html", vec![]),
            (
                "<base href=https://cdn.example.com/><img src=a.png>",
                "x.html",
                vec![],
            ),
            ("<img src=data:image/png;base64,AA==>", "x.html", vec![]),
            ("<iframe src=about:blank></iframe>", "x.html", vec![]),
        ] {
            assert_eq!(names(html, page, root), expected, "{html} in {page}");
        }
        // Under a path of the host only what is below it is this site's.
        let docs = "https://www.example.com/docs/";
        let html = "<img src=a.png><img src=/docs/b.png><img src=/c.png>";
        assert_eq!(names(html, "x.html", docs), ["a.png", "b.png"]);
        let unknown = SiteUrl::unknown("docs/").unwrap();
        let found = super::names(html, "x.html", &unknown);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a.png", "b.png"]);
    }

    #[test]
    fn a_frame_may_name_a_directory() {
        assert_eq!(forms(""), ["index.html"]);
        assert_eq!(forms("a/"), ["a/index.html"]);
        assert_eq!(forms("a"), ["a", "a.html", "a/index.html"]);
    }
}
