//! A family of task definitions and its revisions: their names, and which of them are superfluous. Pure.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deregister-task-definition-v2.html>

use std::collections::BTreeSet;

/// The active revisions to deregister, oldest first. `active` are ARNs in any order, of which the newest `keep` stay,
/// and whatever is in `in_use`.
#[must_use]
pub fn superfluous(active: &[String], in_use: &BTreeSet<String>, keep: usize) -> Vec<String> {
    let mut revisions: Vec<(u64, &String)> = active
        .iter()
        .filter_map(|arn| Some((revision_of(arn)?, arn)))
        .collect();
    revisions.sort_unstable();
    let old = revisions.len().saturating_sub(keep);
    revisions
        .into_iter()
        .take(old)
        .map(|(_, arn)| arn)
        .filter(|arn| !in_use.contains(*arn))
        .cloned()
        .collect()
}

/// The number at the end of `…:task-definition/web:7`.
#[must_use]
pub fn revision_of(arn: &str) -> Option<u64> {
    arn.rsplit_once(':')?.1.parse().ok()
}

/// The family in `…:task-definition/web:7`, `…:task-definition/web` or `web:7`.
#[must_use]
pub fn family_of(arn: &str) -> &str {
    let name = arn.rsplit_once('/').map_or(arn, |(_, name)| name);
    match name.rsplit_once(':') {
        Some((family, revision)) if revision.bytes().all(|byte| byte.is_ascii_digit()) => family,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn(revision: u64) -> String {
        format!("arn:aws:ecs:eu-west-1:000000000000:task-definition/web:{revision}")
    }

    #[test]
    fn the_newest_and_all_in_use_stay() {
        let active: Vec<String> = [9, 10, 2, 1, 11, 3].map(arn).into();
        let of = |keep, in_use: &[u64]| {
            let in_use = in_use.iter().map(|revision| arn(*revision)).collect();
            superfluous(&active, &in_use, keep)
        };
        assert_eq!(of(2, &[]), [1, 2, 3, 9].map(arn));
        assert_eq!(of(2, &[2, 11]), [1, 3, 9].map(arn));
        assert_eq!(of(6, &[]), [""; 0]);
        assert_eq!(of(100, &[]), [""; 0]);
        assert_eq!(of(1, &[1, 2, 3, 9, 10]), [""; 0]);
    }

    #[test]
    fn families_and_revisions_are_told_apart() {
        assert_eq!(revision_of(&arn(7)), Some(7));
        assert_eq!(
            revision_of("arn:aws:ecs:eu-west-1:0:task-definition/web"),
            None
        );
        for name in [
            arn(7).as_str(),
            "arn:aws:ecs:eu-west-1:0:task-definition/web",
            "web:7",
            "web",
        ] {
            assert_eq!(family_of(name), "web", "{name}");
        }
    }
}
