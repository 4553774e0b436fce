//! In: a ListObjects request of version 1 or 2. Out: a page of at most 1,000 keys and common prefixes in the order of
//! their bytes. A common prefix is skipped as a range, so a page costs what it shows, not what it hides.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Bound;
use std::sync::Arc;

use crate::objects::bucket;
use crate::operation::Target;
use crate::reply::{Fault, Reply, xml};
use crate::store::{Object, Sink};
use crate::text::{iso_time, percent_encode, xml_escape};

/// Sorts behind every key that begins with the text before it.
const LAST: char = char::MAX;

struct Page {
    contents: Vec<(String, Arc<Object>)>,
    prefixes: Vec<String>,
    /// Where the next page starts, exclusive, and what version 1 calls that place.
    next: Option<(String, String)>,
}

fn page(
    objects: &BTreeMap<String, Arc<Object>>,
    prefix: &str,
    delimiter: &str,
    after: &str,
    limit: usize,
) -> Page {
    let mut page = Page {
        contents: Vec::new(),
        prefixes: Vec::new(),
        next: None,
    };
    let mut start = if after < prefix {
        Bound::Included(prefix.to_owned())
    } else {
        Bound::Excluded(after.to_owned())
    };
    let mut last = None;
    'ranges: loop {
        for (key, object) in objects.range::<String, _>((start, Bound::Unbounded)) {
            let Some(rest) = key.strip_prefix(prefix) else {
                break 'ranges;
            };
            if page.contents.len() + page.prefixes.len() == limit {
                page.next = last;
                break 'ranges;
            }
            let folded = if delimiter.is_empty() {
                None
            } else {
                rest.find(delimiter)
            };
            if let Some(position) = folded {
                let common = key[..prefix.len() + position + delimiter.len()].to_owned();
                let end = format!("{common}{LAST}");
                last = Some((end.clone(), common.clone()));
                page.prefixes.push(common);
                start = Bound::Excluded(end);
                continue 'ranges;
            }
            last = Some((key.clone(), key.clone()));
            page.contents.push((key.clone(), Arc::clone(object)));
        }
        break;
    }
    page
}

pub fn list(sink: &Sink, target: &Target, is_second: bool) -> Result<Reply, Fault> {
    let parameter = |name: &str| target.parameter(name).unwrap_or_default();
    let (prefix, delimiter) = (parameter("prefix"), parameter("delimiter"));
    let given = if is_second {
        parameter("start-after")
    } else {
        parameter("marker")
    };
    // A page that ended with a common prefix goes on behind all of its keys.
    let ends_folded = !delimiter.is_empty() && given.ends_with(delimiter) && !is_second;
    let after = match target.parameter("continuation-token") {
        Some(token) if is_second => token.to_owned(),
        _ if ends_folded => format!("{given}{LAST}"),
        _ => given.to_owned(),
    };
    let limit = target
        .parameter("max-keys")
        .and_then(|number| number.parse().ok())
        .unwrap_or(1000)
        .min(1000);
    let found = page(
        bucket(&mut sink.state(), &target.bucket)?,
        prefix,
        delimiter,
        &after,
        limit,
    );

    let encodes = parameter("encoding-type") == "url";
    let shown = |text: &str| {
        if encodes {
            percent_encode(text)
        } else {
            xml_escape(text)
        }
    };
    let mut answer = String::with_capacity(256 + found.contents.len() * 256);
    let _ = write!(
        answer,
        "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{}</Name><Prefix>{}</Prefix>\
         <MaxKeys>{limit}</MaxKeys><IsTruncated>{}</IsTruncated>",
        xml_escape(&target.bucket),
        shown(prefix),
        found.next.is_some(),
    );
    if !delimiter.is_empty() {
        let _ = write!(answer, "<Delimiter>{}</Delimiter>", shown(delimiter));
    }
    if encodes {
        answer.push_str("<EncodingType>url</EncodingType>");
    }
    if is_second {
        let _ = write!(
            answer,
            "<KeyCount>{}</KeyCount>",
            found.contents.len() + found.prefixes.len()
        );
        if !given.is_empty() {
            let _ = write!(answer, "<StartAfter>{}</StartAfter>", shown(given));
        }
        if let Some(token) = target.parameter("continuation-token") {
            let _ = write!(
                answer,
                "<ContinuationToken>{}</ContinuationToken>",
                xml_escape(token)
            );
        }
    } else {
        let _ = write!(answer, "<Marker>{}</Marker>", shown(given));
    }
    match &found.next {
        Some((token, _)) if is_second => {
            let _ = write!(
                answer,
                "<NextContinuationToken>{}</NextContinuationToken>",
                xml_escape(token)
            );
        }
        Some((_, marker)) if !delimiter.is_empty() => {
            let _ = write!(answer, "<NextMarker>{}</NextMarker>", shown(marker));
        }
        _ => {}
    }
    write_entries(&mut answer, &found, &shown);
    answer.push_str("</ListBucketResult>");
    Ok(xml(&answer))
}

fn write_entries(answer: &mut String, found: &Page, shown: &impl Fn(&str) -> String) {
    let (mut second, mut time) = (0, iso_time(0));
    for (key, object) in &found.contents {
        if object.modified != second {
            (second, time) = (object.modified, iso_time(object.modified));
        }
        let _ = write!(
            answer,
            "<Contents><Key>{}</Key><LastModified>{time}</LastModified><ETag>&quot;{}&quot;</ETag>\
             <Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            shown(key),
            object.etag,
            object.size(),
        );
    }
    for common in &found.prefixes {
        let _ = write!(
            answer,
            "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
            shown(common)
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::page;
    use crate::store::{Bucket, Object};

    /// All that a client sees that asks for page after page.
    fn walk(
        keys: &[&str],
        prefix: &str,
        delimiter: &str,
        limit: usize,
    ) -> (Vec<String>, Vec<String>) {
        let object = || Arc::new(Object::new(Vec::new(), String::new(), None, Vec::new()));
        let objects: Bucket = keys
            .iter()
            .map(|key| ((*key).to_owned(), object()))
            .collect();
        let (mut contents, mut prefixes, mut after) = (Vec::new(), Vec::new(), String::new());
        loop {
            let page = page(&objects, prefix, delimiter, &after, limit);
            contents.extend(page.contents.into_iter().map(|(key, _)| key));
            prefixes.extend(page.prefixes);
            match page.next {
                Some((token, _)) => after = token,
                None => return (contents, prefixes),
            }
        }
    }

    #[test]
    fn every_page_size_shows_the_same() {
        let keys = ["a", "b/1", "b/2", "b0", "c/d/e", "c/f", "ü"];
        for limit in 1..=8 {
            assert_eq!(walk(&keys, "", "", limit).0, keys);
            let folded = walk(&keys, "", "/", limit);
            assert_eq!(
                folded,
                (
                    vec!["a".into(), "b0".into(), "ü".into()],
                    vec!["b/".into(), "c/".into()]
                )
            );
            assert_eq!(
                walk(&keys, "c/", "/", limit),
                (vec!["c/f".into()], vec!["c/d/".into()])
            );
        }
    }
}
