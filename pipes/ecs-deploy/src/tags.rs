//! Tags of a service, which UpdateService does not take: what to set and to take away, and the way back from that. Pure.

use serde_json::{Value, json};

use crate::service::Service;

/// Tags to set and to take away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagChange {
    /// To set.
    pub set: Vec<(String, String)>,
    /// Keys to take away.
    pub unset: Vec<String>,
}

impl TagChange {
    /// Whether all is as wished.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.unset.is_empty()
    }

    /// What brings `live` to `wished`. Tags of AWS itself stay: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html>.
    pub fn between(live: &[(String, String)], wished: Vec<(String, String)>) -> Self {
        let is_gone = |key: &String| {
            !key.starts_with("aws:") && !wished.iter().any(|(other, _)| other == key)
        };
        Self {
            unset: live
                .iter()
                .map(|(key, _)| key)
                .filter(|key| is_gone(key))
                .cloned()
                .collect(),
            set: wished
                .into_iter()
                .filter(|pair| !live.contains(pair))
                .collect(),
        }
    }

    /// What gives a service that had the tags `before` what this change takes from it.
    pub fn back(&self, before: &Service) -> Self {
        let live = pairs(&before.raw["tags"]);
        let had = |key: &str| live.iter().find(|(other, _)| other == key).cloned();
        let touched = self.set.iter().map(|(key, _)| key).chain(&self.unset);
        Self {
            set: touched.clone().filter_map(|key| had(key)).collect(),
            unset: touched.filter(|key| had(key).is_none()).cloned().collect(),
        }
    }

    /// For the log.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let set = self
            .set
            .iter()
            .map(|(key, value)| format!("+ tags[{key}]: {value:?}"));
        let unset = self.unset.iter().map(|key| format!("- tags[{key}]"));
        set.chain(unset)
    }
}

/// Tags as pairs.
fn pairs(tags: &Value) -> Vec<(String, String)> {
    let text = |tag: &Value, name: &str| tag[name].as_str().unwrap_or_default().to_owned();
    tags.as_array()
        .into_iter()
        .flatten()
        .map(|tag| (text(tag, "key"), text(tag, "value")))
        .collect()
}

/// Pairs as tags.
pub fn of_pairs(pairs: &[(String, String)]) -> Value {
    pairs
        .iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        text.iter().map(owned).collect()
    }

    #[test]
    fn the_way_back_gives_what_was_there_and_takes_what_was_not() {
        let live = tags(&[
            ("team", "web"),
            ("old", "1"),
            ("aws:made-by", "x"),
            ("kept", "k"),
        ]);
        let change = TagChange::between(
            &live,
            tags(&[("team", "shop"), ("new", "2"), ("kept", "k")]),
        );
        assert_eq!(change.set, tags(&[("team", "shop"), ("new", "2")]));
        assert_eq!(change.unset, ["old"]);
        let before =
            Service::from_answer(json!({"serviceName": "web", "tags": of_pairs(&live)})).unwrap();
        let back = change.back(&before);
        assert_eq!(back.set, tags(&[("team", "web"), ("old", "1")]));
        assert_eq!(back.unset, ["new"]);
        assert!(TagChange::default().back(&before).is_empty());
    }
}
