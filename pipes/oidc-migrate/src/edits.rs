//! Edits of whole lines and of stretches within one line, put into a text at once. What no edit names comes out byte by
//! byte as it went in: breaks of its own kind, trailing blanks, a last line without a break.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::lines;

/// Edits by the number of their line, from 1.
#[derive(Clone, Debug, Default)]
pub struct Edits(BTreeMap<usize, LineEdit>);

#[derive(Clone, Debug, Default)]
struct LineEdit {
    before: Vec<String>,
    is_removed: bool,
    /// Stretches in bytes of the line, and what takes their place.
    splices: Vec<(Range<usize>, String)>,
    after: Vec<String>,
}

impl Edits {
    /// Puts a line before this one.
    pub fn insert_before(&mut self, line: usize, text: impl Into<String>) {
        self.of(line).before.push(text.into());
    }

    /// Puts a line behind this one.
    pub fn insert_after(&mut self, line: usize, text: impl Into<String>) {
        self.of(line).after.push(text.into());
    }

    /// Takes this line away with its break.
    pub fn remove(&mut self, line: usize) {
        self.of(line).is_removed = true;
    }

    /// Puts a text in the place of these bytes of the line; an empty range is a place before its first byte.
    pub fn splice(&mut self, line: usize, bytes: Range<usize>, text: impl Into<String>) {
        self.of(line).splices.push((bytes, text.into()));
    }

    /// Adds all edits of another set.
    pub fn extend(&mut self, other: Self) {
        for (line, edit) in other.0 {
            let own = self.of(line);
            own.before.extend(edit.before);
            own.after.extend(edit.after);
            own.splices.extend(edit.splices);
            own.is_removed |= edit.is_removed;
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(&mut self, line: usize) -> &mut LineEdit {
        self.0.entry(line).or_default()
    }

    /// The text with all edits in it.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        let lines = lines::split(text);
        let usual = lines.first().map_or("\n", |line| line.ending);
        let usual = if usual.is_empty() { "\n" } else { usual };
        let mut edited: Vec<(String, &str)> = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let ending = if line.ending.is_empty() {
                usual
            } else {
                line.ending
            };
            let Some(edit) = self.0.get(&(index + 1)) else {
                edited.push((line.content.to_owned(), line.ending));
                continue;
            };
            let inserted = |texts: &[String]| {
                texts
                    .iter()
                    .map(|text| (text.clone(), ending))
                    .collect::<Vec<_>>()
            };
            edited.extend(inserted(&edit.before));
            if !edit.is_removed {
                edited.push((spliced(line.content, &edit.splices), line.ending));
            }
            edited.extend(inserted(&edit.after));
        }
        // The end of the file stays what it was, whatever line is last now.
        let has_last_break = lines.last().is_none_or(|line| !line.ending.is_empty());
        let count = edited.len();
        let mut whole = String::with_capacity(text.len());
        for (index, (content, ending)) in edited.into_iter().enumerate() {
            let is_last = index + 1 == count;
            whole.push_str(&content);
            whole.push_str(match ending {
                _ if is_last && !has_last_break => "",
                "" => usual,
                ending => ending,
            });
        }
        whole
    }

    /// Whether `edited` differs from `text` in the lines of these edits and nowhere else: each other line is there byte
    /// by byte, in its place, and nothing is there that no edit put there.
    #[must_use]
    pub fn is_all(&self, text: &str, edited: &str) -> bool {
        let (old, new) = (lines::with_end(text), lines::with_end(edited));
        let mut at = 0;
        for (index, line) in old.iter().enumerate() {
            let edit = self.0.get(&(index + 1));
            let edit = edit.cloned().unwrap_or_default();
            at += edit.before.len();
            if !edit.is_removed {
                let Some(found) = new.get(at) else {
                    return false;
                };
                let is_last = index + 1 == old.len() || at + 1 == new.len();
                let same_content = !edit.splices.is_empty() || found.content == line.content;
                if !same_content || !is_last && found.ending != line.ending {
                    return false;
                }
                at += 1;
            }
            at += edit.after.len();
        }
        at == new.len()
    }
}

fn spliced(content: &str, splices: &[(Range<usize>, String)]) -> String {
    let mut splices: Vec<_> = splices.iter().collect();
    splices.sort_by_key(|(bytes, _)| (bytes.start, bytes.end));
    let mut whole = String::new();
    let mut at = 0;
    for (bytes, text) in splices {
        whole.push_str(content.get(at..bytes.start).unwrap_or_default());
        whole.push_str(text);
        at = bytes.end.max(at);
    }
    whole + content.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Edits {
        let mut edits = Edits::default();
        edits.insert_before(1, "new");
        edits.remove(2);
        edits.splice(3, 1..2, "xy");
        edits
    }

    #[test]
    fn only_what_is_named_changes() {
        for (text, edited) in [
            ("abc\ndef\nghi\n", "new\nabc\ngxyi\n"),
            ("abc\r\ndef\r\nghi", "new\r\nabc\r\ngxyi"),
            ("abc \ndef\nghi\t\n\n", "new\nabc \ngxyi\t\n\n"),
        ] {
            assert_eq!(sample().apply(text), edited);
            assert!(sample().is_all(text, edited));
        }
    }

    #[test]
    fn the_end_of_the_file_stays_what_it_was() {
        let mut edits = Edits::default();
        edits.remove(2);
        assert_eq!(edits.apply("a\nb"), "a");
        edits.remove(1);
        assert_eq!(edits.apply("a\nb\n"), "");
        let mut edits = Edits::default();
        edits.remove(3);
        assert_eq!(edits.apply("a\n\nb"), "a\n");
        assert!(edits.is_all("a\n\nb", "a\n"));
        assert!(!edits.is_all("a\n\nb", "a\n\n"));
        let mut edits = Edits::default();
        edits.insert_after(2, "c");
        assert_eq!(edits.apply("a\nb"), "a\nb\nc");
        assert_eq!(edits.apply("a\nb\n"), "a\nb\nc\n");
        assert!(edits.is_all("a\nb", "a\nb\nc"));
        assert!(!edits.is_all("a\nb", "a\nb\nc\n"));
    }

    #[test]
    fn another_change_is_seen() {
        let text = "abc\ndef\nghi\n";
        for edited in [
            "new\nabc \ngxyi\n",
            "new\nabc\r\ngxyi\n",
            "new\nabc\ngxyi",
            "new\nabc\ngxyi\n\n",
            "abc\ngxyi\n",
        ] {
            assert!(!sample().is_all(text, edited), "{edited:?}");
        }
    }
}
