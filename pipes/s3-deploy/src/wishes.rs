//! Which headers an object is to have, and why: layers from the content type by name, over the variables and
//! EXTRA_ARGS and a `_headers` file, to the rules file; the later layer wins where it says something. Pure.

use crate::compress::Encoding;
use crate::content_type;
use crate::headers::Headers;
use crate::netlify::NetlifyHeaders;
use crate::phase::Phase;
use crate::rules::{Because, Rules, Wish};

/// All layers of one run.
#[derive(Debug, Default)]
pub struct Wishes {
    /// From the variables and EXTRA_ARGS: the same for every object.
    pub common: Headers,
    /// From `_headers`.
    pub netlify: Option<NetlifyHeaders>,
    /// From RULES_FILE.
    pub rules: Option<Rules>,
}

impl Wishes {
    /// Whether any layer adds metadata or tags, of which S3 takes only so many.
    pub fn can_break_limits(&self) -> bool {
        self.rules.is_some() || self.netlify.is_some() || !self.common.metadata.is_empty()
    }

    /// For the file `name`, stored with `encoding` if it is compressed.
    pub fn of_file(
        &self,
        name: &str,
        encoding: Option<Encoding>,
    ) -> (Headers, Phase, Vec<Because>) {
        let mut headers = Headers {
            content_type: Some(content_type::of(name)),
            ..Headers::default()
        };
        headers.overlay(&self.common);
        let mut because = Vec::new();
        if let Some(netlify) = &self.netlify {
            let (layer, reasons) = netlify.wish(name);
            headers.overlay(&layer);
            because.extend(reasons);
        }
        let mut phase = None;
        if let Some(rules) = &self.rules {
            let wish = rules.wish(name);
            headers.overlay(&wish.headers);
            because.extend(wish.because);
            phase = wish.phase;
        }
        // Whatever a layer says: a body that is compressed has to say so.
        if let Some(encoding) = encoding {
            headers.content_encoding = Some(encoding.content_encoding().to_owned());
        }
        (headers, phase.unwrap_or_else(|| Phase::of(name)), because)
    }

    /// Where each header of that file comes from: the layers in their order, and of each header the last.
    pub fn explain(&self, name: &str, encoding: Option<Encoding>) -> Vec<Because> {
        let mut wish = Wish::default();
        let mut explain = |rule: &str, header, value| {
            let rule = rule.to_owned();
            wish.explain(Because {
                rule,
                header,
                value,
            });
        };
        explain("by the name", "content-type", content_type::of(name));
        for (header, value) in self.common.given() {
            explain("variables", header, value);
        }
        let (_, _, because) = self.of_file(name, None);
        for each in because {
            wish.explain(each);
        }
        if let Some(encoding) = encoding {
            wish.explain(Because {
                rule: "COMPRESS".to_owned(),
                header: "content-encoding",
                value: encoding.content_encoding().to_owned(),
            });
        }
        wish.because
    }

    /// For an object that only redirects.
    pub fn of_redirect(&self, name: &str, to: &str) -> (Headers, Phase, Vec<Because>) {
        let (mut headers, _, because) = self.of_file(name, None);
        headers.website_redirect = Some(to.to_owned());
        // Not an entry point: a copy of an object leaves its redirect behind, so no release could keep it.
        (headers, Phase::Ordinary, because)
    }
}
