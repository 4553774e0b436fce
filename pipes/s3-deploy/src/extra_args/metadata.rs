//! The value of `--metadata`, in both forms that aws-cli reads. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::headers::{Headers, values};

/// The two forms of aws-cli: what begins with a brace is JSON, all else is its shorthand.
pub fn metadata(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pairs = if text.trim_start().starts_with(['{', '[']) {
        // Numbers and lists are no values: aws-cli says `Invalid type for parameter`.
        serde_json::from_str::<BTreeMap<String, String>>(text)
            .map_err(|error| format!("is not a JSON object of texts: {error}"))?
            .into_iter()
            .collect()
    } else {
        shorthand(text).ok_or_else(|| {
            format!(
                "could not read {text} (it is name=value,name2=value2 or a JSON object; \
                 a value with a comma stands in double quotes, and all in single ones: 'name=\"a, b\"')"
            )
        })?
    };
    let mut headers = Headers::default();
    let mut names = BTreeSet::new();
    for (name, value) in pairs {
        let key = values::add_metadata(&mut headers, &name, &value)?;
        if !names.insert(key) {
            return Err(format!("`{name}` is given twice"));
        }
    }
    match values::over_limits(&headers) {
        Some(fault) => Err(fault),
        None => Ok(headers.metadata),
    }
}

/// `name=value,name2='a, b',name3="c, d",name4=e\, f`, as the `ShorthandParser` of aws-cli reads it; its lists and
/// maps are no values of metadata.
fn shorthand(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = shorthand_value(after.trim_start())?;
        if name.contains(',') {
            return None;
        }
        pairs.push((name.trim().to_owned(), value));
        let after = after.trim_start();
        if after.is_empty() {
            return Some(pairs);
        }
        rest = after.strip_prefix(',')?;
    }
}

/// The value at the start, and what stands after it.
fn shorthand_value(text: &str) -> Option<(String, &str)> {
    if text.starts_with(['[', '{']) {
        return None;
    }
    let quote = text.chars().next().filter(|first| "'\"".contains(*first));
    let inside = &text[quote.map_or(0, char::len_utf8)..];
    let end = quote.unwrap_or(',');
    let mut value = String::new();
    let mut rest = inside.chars();
    loop {
        let before = rest.as_str();
        match rest.next() {
            None if quote.is_some() => return None,
            None => return Some((value.trim_end().to_owned(), "")),
            Some(each) if each == end && quote.is_some() => return Some((value, rest.as_str())),
            Some(each) if each == end => return Some((value.trim_end().to_owned(), before)),
            // A backslash escapes the end, and between quotes itself; before all else it is a backslash.
            Some('\\') => match rest.clone().next() {
                Some(next) if next == end || (next == '\\' && quote.is_some()) => {
                    value.push(next);
                    rest.next();
                }
                _ => value.push('\\'),
            },
            Some(each) => value.push(each),
        }
    }
}
