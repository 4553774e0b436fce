//! With SITE_URL: are the pages that the run changed what visitors get by now? From what was written and the site's
//! answers to a yes, or to what they show instead. Before anything is deleted, since a page that a cache still shows
//! loads what would go.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use shared::wait::{self, Observation, Pace};
use shared::{Failure, Page, Web};
use url::Url;

use crate::compress::decompress;
use crate::digest::{fingerprint, hex};
use crate::entries::Noted;
use crate::headers::Headers;
use crate::manifest::Entry;
use crate::objects::Site;
use crate::phase::Phase;
use crate::plan::{Action, Plan};
use crate::site_url::SiteUrl;

/// Caches are asked again after this pause, and later less often.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Requests under way at once: a site is no load test.
const REQUESTS: usize = 16;
/// Larger ones are no pages.
const LARGEST: u64 = 64 << 20;
const LARGEST_BODY: usize = 64 << 20;
/// As many as browsers follow for sure.
const REDIRECTS: usize = 5;
/// Pages that are named.
const NAMED: usize = 5;

/// A page as visitors are to get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    name: String,
    content: String,
    headers: Vec<(&'static str, String)>,
}

impl Expected {
    /// The page that this entry stands for, if it is one that can be looked at. Of a release that is put back the
    /// headers are not known.
    pub fn new(name: &str, entry: &Entry, headers: Option<&Headers>) -> Option<Self> {
        let is_page = entry.phase == Phase::EntryPoint && entry.size <= LARGEST;
        let header = |name, value: &Option<String>| Some((name, value.clone()?));
        let headers = headers.map_or_else(Vec::new, |wish| {
            let all = [
                header("content-type", &wish.content_type),
                header("cache-control", &wish.cache_control),
                header("content-language", &wish.content_language),
                header("content-disposition", &wish.content_disposition),
            ];
            all.into_iter().flatten().collect()
        });
        is_page.then(|| Self {
            name: name.to_owned(),
            // Behind the digest of the file stands how it was compressed.
            content: entry
                .content
                .split('.')
                .next()
                .unwrap_or_default()
                .to_owned(),
            headers,
        })
    }

    /// The pages that `plan` wrote, and those of the names in `again`, by what was noted of them.
    pub fn of_site<'a>(
        site: &Site,
        plan: &Plan,
        noted: &Noted,
        again: impl Iterator<Item = &'a str>,
    ) -> Vec<Self> {
        let is_page = |action: &&Action| action.phase == Phase::EntryPoint;
        let pages = plan.actions.iter().filter(is_page);
        let written = pages.map(|action| action.number);
        let again = again.filter_map(|name| site.find(name));
        // Each once, in the order of the names.
        let all: BTreeSet<u32> = written.chain(again).collect();
        let expected = |number: u32| {
            let (entry, object) = (noted.get(number)?, site.object(number));
            let (headers, _, _) = site.wish(object);
            Self::new(&site.name(object), &entry, Some(&headers))
        };
        all.into_iter().filter_map(expected).collect()
    }

    /// What is wrong with an answer; nothing if it is the page.
    fn fault(&self, page: &Page) -> Option<String> {
        if page.status != 200 {
            return Some(format!("it answers with status {}", page.status));
        }
        let is_same = |bytes: &[u8]| hex(fingerprint(bytes)) == self.content;
        // The edge may compress, and what was compressed is known by what it was made of.
        let decoded = || decompress(&page.body, page.header("content-encoding")?);
        if !is_same(&page.body) && !decoded().is_some_and(|bytes| is_same(&bytes)) {
            return Some("it has another content".to_owned());
        }
        let differs = |(name, wished): &&(&str, String)| {
            let plain = |value: &str| value.replace(' ', "").to_ascii_lowercase();
            page.header(name)
                .is_none_or(|value| plain(value) != plain(wished))
        };
        let (name, wished) = self.headers.iter().find(differs)?;
        let found = page
            .header(name)
            .map_or("absent".to_owned(), |value| format!("`{value}`"));
        Some(format!("its `{name}` is {found}, not `{wished}`"))
    }
}

/// Looks at all pages until each is as expected.
///
/// # Errors
/// At the deadline, with what the site showed last.
pub async fn check(
    web: &Web,
    site_url: &SiteUrl,
    pages: Vec<Expected>,
    deadline: Duration,
) -> Result<(), Failure> {
    let count = pages.len();
    if count == 0 {
        return Ok(());
    }
    let pace = Pace {
        first: FIRST_PAUSE,
        longest: LONGEST_PAUSE,
        deadline,
    };
    let mut open = pages;
    let looking = wait::until("the site to show what was deployed", pace, async || {
        let looks = stream::iter(&open).map(|page| look(web, site_url, page));
        let looks: Vec<Option<String>> = looks.buffered(REQUESTS).collect().await;
        let mut faults = Vec::new();
        let mut still_open = Vec::new();
        for (page, fault) in open.iter().zip(looks) {
            if let Some(fault) = fault {
                faults.push(fault);
                still_open.push(page.clone());
            }
        }
        open = still_open;
        if faults.is_empty() {
            return Ok(Observation::Done(()));
        }
        let more = faults.len().saturating_sub(NAMED);
        faults.truncate(NAMED);
        if more > 0 {
            faults.push(format!("and {more} more"));
        }
        Ok(Observation::Waiting(faults.join("; ")))
    });
    looking.await.map_err(|failure| {
        failure.hint(
            "SITE_URL has to be where visitors get this bucket; name a CloudFront distribution in \
             CLOUDFRONT_DISTRIBUTION_ID, or raise SITE_TIMEOUT above what other caches keep; the next run looks again",
        )
    })?;
    tracing::info!("The site shows what was deployed: {count} pages");
    Ok(())
}

async fn look(web: &Web, site_url: &SiteUrl, page: &Expected) -> Option<String> {
    let Some(mut url) = site_url.of(&page.name) else {
        return Some(format!("`{}` has no URL", page.name));
    };
    let shown = format!("`{url}`");
    for _ in 0..=REDIRECTS {
        let answer = match web.get(url.as_str(), LARGEST_BODY).await {
            Ok(answer) => answer,
            Err(why) => return Some(format!("{shown}: {why}")),
        };
        match next(&url, &answer) {
            Some(to) => url = to,
            None => return page.fault(&answer).map(|fault| format!("{shown}: {fault}")),
        }
    }
    Some(format!("{shown}: it redirects again and again"))
}

/// Where a redirect leads: hosts take `index.html` or the extension out of the URLs that they show.
fn next(url: &Url, answer: &Page) -> Option<Url> {
    let is_redirect = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
    let to = answer.header("location").filter(|_| is_redirect)?;
    let to = url.join(to).ok()?;
    ["http", "https"].contains(&to.scheme()).then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::{Encoding, compress};

    const HTML: &[u8] = b"<h1>hello</h1>";

    fn expected(content: &str) -> Expected {
        let entry = Entry {
            size: 14,
            etag: String::new(),
            content: content.to_owned(),
            headers: String::new(),
            phase: Phase::EntryPoint,
        };
        let wish = Headers {
            content_type: Some("text/html; charset=utf-8".to_owned()),
            cache_control: Some("no-cache".to_owned()),
            ..Headers::default()
        };
        Expected::new("index.html", &entry, Some(&wish)).unwrap()
    }

    fn page(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Page {
        let own = [
            ("content-type", "text/html;charset=UTF-8"),
            ("cache-control", "no-cache"),
        ];
        // The first of a name counts.
        let headers = headers.iter().chain(&own);
        Page {
            status,
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: body.to_vec(),
        }
    }

    #[test]
    fn a_page_is_judged_by_status_content_and_headers() {
        let plain = hex(fingerprint(HTML));
        let gzip = compress(HTML, Encoding::Gzip).unwrap();
        let brotli = compress(HTML, Encoding::Brotli).unwrap();
        for (content, page, fault) in [
            (plain.clone(), page(200, &[], HTML), None),
            (
                format!("{plain}.gz"),
                page(200, &[("content-encoding", "gzip")], &gzip),
                None,
            ),
            // The edge compresses, or undoes it.
            (
                plain.clone(),
                page(200, &[("content-encoding", "br")], &brotli),
                None,
            ),
            (format!("{plain}.gz"), page(200, &[], HTML), None),
            (
                plain.clone(),
                page(403, &[], HTML),
                Some("it answers with status 403"),
            ),
            (
                plain.clone(),
                page(200, &[], b"<h1>older</h1>"),
                Some("it has another content"),
            ),
            (
                plain.clone(),
                page(200, &[("content-encoding", "gzip")], b"no gzip"),
                Some("it has another content"),
            ),
            (
                plain.clone(),
                page(200, &[("cache-control", "max-age=60")], HTML),
                Some("its `cache-control` is `max-age=60`, not `no-cache`"),
            ),
        ] {
            assert_eq!(
                expected(&content).fault(&page).as_deref(),
                fault,
                "{page:?}"
            );
        }
    }

    #[test]
    fn only_pages_are_looked_at() {
        let entry = |phase, size| Entry {
            size,
            etag: String::new(),
            content: String::new(),
            headers: String::new(),
            phase,
        };
        let is_page = |phase, size| Expected::new("x", &entry(phase, size), None).is_some();
        assert!(is_page(Phase::EntryPoint, 1));
        assert!(!is_page(Phase::Immutable, 1) && !is_page(Phase::Ordinary, 1));
        assert!(!is_page(Phase::EntryPoint, LARGEST + 1));
    }

    #[test]
    fn redirects_are_followed_on_the_web_only() {
        let url = Url::parse("https://www.example.com/a/index.html").unwrap();
        let to = |status, location| next(&url, &page(status, &[("location", location)], b""));
        assert_eq!(
            to(301, "/a/").unwrap().as_str(),
            "https://www.example.com/a/"
        );
        assert_eq!(to(301, "file:///etc/passwd"), None);
        assert_eq!(to(200, "/a/"), None);
    }
}
