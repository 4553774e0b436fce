//! SITE_URL: where visitors find the site, and how names become URLs and URLs names. Pure.

use percent_encoding::percent_decode_str;
use shared::FromText;
use url::Url;

/// The URL under which the names of the site are served; its path ends in `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteUrl(Url);

impl SiteUrl {
    /// Stands for a site under this prefix whose URL nobody has told: nothing on the web has this name (RFC 6761).
    /// What is above the prefix is not the site's, since nobody knows whether visitors see the prefix.
    pub fn unknown(prefix: &str) -> Option<Self> {
        let url = ["https://site.invalid/", &crate::aws::encoded(prefix)].concat();
        Url::parse(&url).ok().map(Self)
    }

    /// Where the object `name` is served.
    pub fn of(&self, name: &str) -> Option<Url> {
        // Joined as text: as a relative reference a name such as `a:b` would be a URL of its own.
        Url::parse(&[self.0.as_str(), &crate::aws::encoded(name)].concat()).ok()
    }

    /// The name that is served at `url`, if it is one of this site; without query and fragment.
    pub fn name(&self, url: &Url) -> Option<String> {
        if url.origin() != self.0.origin() {
            return None;
        }
        let path = url.path().strip_prefix(self.0.path())?;
        let name = percent_decode_str(path).decode_utf8().ok()?;
        Some(name.into_owned())
    }
}

impl FromText for SiteUrl {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let fault = || {
            format!(
                "unallowed value {text} (a site's URL looks like `https://www.example.com/` or `https://www.example.com/docs/`)"
            )
        };
        let mut url = Url::parse(text).map_err(|_| fault())?;
        let is_web = ["http", "https"].contains(&url.scheme());
        let has_more = url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some();
        if !is_web || has_more {
            return Err(fault());
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Self(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_urls_and_urls_names() {
        let site = SiteUrl::from_text(" https://www.example.com/docs ").unwrap();
        for (name, url) in [
            ("index.html", "https://www.example.com/docs/index.html"),
            (
                "a b/ü?.html",
                "https://www.example.com/docs/a%20b/%C3%BC%3F.html",
            ),
            ("mailto:x", "https://www.example.com/docs/mailto%3Ax"),
            ("100%.html", "https://www.example.com/docs/100%25.html"),
        ] {
            let served = site.of(name).unwrap();
            assert_eq!(served.as_str(), url);
            assert_eq!(site.name(&served).as_deref(), Some(name));
        }
        for other in [
            "https://example.com/docs/index.html",
            "http://www.example.com/docs/index.html",
            "https://www.example.com/index.html",
            "https://www.example.com/docsindex.html",
        ] {
            assert_eq!(site.name(&Url::parse(other).unwrap()), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_site_is_refused() {
        for wrong in [
            "www.example.com",
            "/docs",
            "ftp://example.com/",
            "https://example.com/?page=1",
            "https://example.com/#top",
            "https://user:password@example.com/",
        ] {
            assert!(SiteUrl::from_text(wrong).is_err(), "{wrong}");
        }
    }
}
