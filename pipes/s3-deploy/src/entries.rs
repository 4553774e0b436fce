//! What is known of many objects, in little memory: names in one text, digests as bytes, and the texts that many share,
//! such as the digests of headers, once. Outside of here an entry is an [`Entry`]. Pure.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::{from_hex, hex};
use crate::manifest::Entry;
use crate::names::Names;
use crate::phase::Phase;

/// Entries by name, in the order of the names. A clone shares them.
#[derive(Clone, Default)]
pub struct Entries(Arc<Packed>);

#[derive(Default)]
struct Packed {
    names: Names,
    rows: Rows,
}

impl Entries {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.names.len()
    }

    /// The entry of the object with this name.
    pub fn get(&self, name: &str) -> Option<Entry> {
        let index = self.0.names.find(name).ok()?;
        Some(self.0.rows.get(index))
    }

    /// Whether there is an entry of that name.
    pub fn has(&self, name: &str) -> bool {
        self.0.names.find(name).is_ok()
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.0.names.starting_at(0)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (String, Entry)> {
        self.starting_at(0)
    }

    /// Those from `index` on.
    pub fn starting_at(&self, index: usize) -> impl Iterator<Item = (String, Entry)> {
        let numbers = index..self.len();
        let rows = numbers.map(|index| self.0.rows.get(index));
        self.0.names.starting_at(index).zip(rows)
    }

    /// All of these and of `others`, which win.
    #[must_use]
    pub fn with(&self, others: &Self) -> Self {
        match (self.len(), others.len()) {
            (0, _) => others.clone(),
            (_, 0) => self.clone(),
            _ => united(self.iter(), others.iter()).done(),
        }
    }
}

impl FromIterator<(String, Entry)> for Entries {
    fn from_iter<All: IntoIterator<Item = (String, Entry)>>(entries: All) -> Self {
        let mut building = Building::default();
        for (name, entry) in entries {
            building.add(name, entry);
        }
        building.done()
    }
}

impl<const COUNT: usize> From<[(String, Entry); COUNT]> for Entries {
    fn from(entries: [(String, Entry); COUNT]) -> Self {
        entries.into_iter().collect()
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.iter().eq(other.iter())
    }
}

impl Eq for Entries {}

impl fmt::Debug for Entries {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, entry) in self.iter() {
            map.serialize_entry(&name, &entry)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Objects;
        impl<'de> Visitor<'de> for Objects {
            type Value = Entries;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a map of objects")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut building = Building::default();
                while let Some((name, entry)) = map.next_entry()? {
                    building.add(name, entry);
                }
                Ok(building.done())
            }
        }
        deserializer.deserialize_map(Objects)
    }
}

/// Entries as they come. Those that come late are few, if there are any: whatever writes them sorts them.
#[derive(Default)]
struct Building {
    packed: Packed,
    late: BTreeMap<String, Entry>,
}

impl Building {
    fn add(&mut self, name: String, entry: Entry) {
        if self.packed.names.push(&name) {
            self.packed.rows.push(0, &entry);
        } else {
            self.late.insert(name, entry);
        }
    }

    fn done(mut self) -> Entries {
        self.packed.names.shrink();
        self.packed.rows.rows.shrink_to_fit();
        let entries = Entries(Arc::new(self.packed));
        if self.late.is_empty() {
            entries
        } else {
            united(entries.iter(), self.late.into_iter()).done()
        }
    }
}

/// Joins two sorted lists; of two entries of one name the second list's counts.
fn united(
    one: impl Iterator<Item = (String, Entry)>,
    other: impl Iterator<Item = (String, Entry)>,
) -> Building {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    let mut building = Building::default();
    loop {
        let from_one = match (one.peek(), other.peek()) {
            (Some((one, _)), Some((other, _))) => one < other,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return building,
        };
        let next = if from_one {
            one.next()
        } else {
            let next = other.next();
            one.next_if(|(name, _)| next.as_ref().is_some_and(|(next, _)| next == name));
            next
        };
        if let Some((name, entry)) = next {
            building.add(name, entry);
        }
    }
}

/// What is known of objects of a site, by their numbers in it.
#[derive(Debug, Default)]
pub struct Noted {
    rows: Rows,
    /// So many of them are sorted.
    sorted: usize,
}

impl Noted {
    /// Nothing yet, with room for so many, since a list that doubles has both at its last step.
    pub fn with_room(count: usize) -> Self {
        let mut noted = Self::default();
        noted.rows.rows.reserve_exact(count);
        noted
    }

    /// Notes this of the object, instead of what was noted of it before it was [sorted](Self::sort).
    pub fn set(&mut self, number: u32, entry: &Entry) {
        match self.find(number) {
            Some(index) => self.rows.rows[index] = self.rows.texts.pack(number, entry),
            None => self.rows.push(number, entry),
        }
    }

    /// What was noted of the object before it was sorted.
    pub fn get(&self, number: u32) -> Option<Entry> {
        self.find(number).map(|index| self.rows.get(index))
    }

    /// Sorts by the numbers, so that each object can be found.
    pub fn sort(&mut self) {
        self.rows.rows.sort_unstable_by_key(|row| row.number);
        self.sorted = self.rows.rows.len();
    }

    /// All of it, by the names that `name` gives to the numbers in an order of their own.
    pub fn into_entries(mut self, name: impl Fn(u32) -> String) -> Entries {
        self.sort();
        let mut names = Names::default();
        self.rows.rows.retain(|row| names.push(&name(row.number)));
        names.shrink();
        let rows = self.rows;
        Entries(Arc::new(Packed { names, rows }))
    }

    fn find(&self, number: u32) -> Option<usize> {
        let sorted = &self.rows.rows[..self.sorted];
        sorted.binary_search_by_key(&number, |row| row.number).ok()
    }
}

#[derive(Debug, Default)]
struct Rows {
    rows: Vec<Row>,
    texts: Texts,
}

impl Rows {
    fn push(&mut self, number: u32, entry: &Entry) {
        let row = self.texts.pack(number, entry);
        self.rows.push(row);
    }

    fn get(&self, index: usize) -> Entry {
        let Row {
            size,
            etag,
            content,
            headers,
            phase,
            ..
        } = self.rows[index];
        Entry {
            size,
            etag: self.texts.unpack(etag),
            content: self.texts.unpack(content),
            headers: self.texts.get(headers).to_owned(),
            phase,
        }
    }
}

/// An entry in 60 bytes.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(4))]
struct Row {
    size: u64,
    etag: Digest,
    content: Digest,
    headers: u32,
    number: u32,
    phase: Phase,
}

/// A text that begins with 32 hexadecimal digits, or any other.
#[derive(Clone, Copy, Debug)]
struct Digest {
    digits: [u8; 16],
    /// What stands behind the digits, or the whole text, see [`WHOLE`].
    rest: u32,
}

/// Marks a text without digits.
const WHOLE: u32 = 1 << 31;

/// Texts that many entries share.
#[derive(Debug, Default)]
struct Texts {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Texts {
    fn pack(&mut self, number: u32, entry: &Entry) -> Row {
        Row {
            size: entry.size,
            etag: self.digest(&entry.etag),
            content: self.digest(&entry.content),
            headers: self.number(&entry.headers),
            number,
            phase: entry.phase,
        }
    }

    fn digest(&mut self, text: &str) -> Digest {
        let digits = text.get(..32).and_then(from_hex);
        // Capitals would come back as small letters.
        match digits.filter(|_| !text[..32].bytes().any(|byte| byte.is_ascii_uppercase())) {
            Some(digits) => Digest {
                digits,
                rest: self.number(&text[32..]),
            },
            None => Digest {
                digits: [0; 16],
                rest: self.number(text) | WHOLE,
            },
        }
    }

    fn unpack(&self, digest: Digest) -> String {
        let rest = self.get(digest.rest & !WHOLE);
        if digest.rest & WHOLE != 0 {
            return rest.to_owned();
        }
        let mut text = hex(digest.digits);
        text.push_str(rest);
        text
    }

    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        // There are fewer texts than three for each object, and no memory for so many objects.
        let number = u32::try_from(self.texts.len()).unwrap_or(WHOLE - 1);
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    fn get(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(etag: &str, content: &str) -> Entry {
        Entry {
            size: u64::MAX,
            etag: etag.to_owned(),
            content: content.to_owned(),
            headers: "h".to_owned(),
            phase: Phase::EntryPoint,
        }
    }

    const MD5: &str = "5d41402abc4b2a76b9719d911017c592";

    #[test]
    fn an_entry_takes_60_bytes_and_comes_back() {
        assert_eq!(size_of::<Row>(), 60);
        let parts = format!("{MD5}-12");
        let compressed = format!("{MD5}.br");
        let capitals = MD5.to_ascii_uppercase();
        let longer = format!("{}ä", &MD5[..31]);
        for text in ["", "e", MD5, &parts, &compressed, &capitals, &longer] {
            let wished = entry(text, text);
            let entries = Entries::from([("a".to_owned(), wished.clone())]);
            assert_eq!(entries.get("a"), Some(wished));
        }
    }

    #[test]
    fn entries_are_sorted_and_the_last_of_a_name_counts() {
        let all = ["c", "a", "d", "b", "d"];
        let numbered = all.iter().enumerate();
        let entries: Entries = numbered
            .map(|(number, name)| ((*name).to_owned(), entry(&number.to_string(), "")))
            .collect();
        assert_eq!(entries.names().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        let etag = |name| entries.get(name).unwrap().etag;
        assert_eq!((etag("c"), etag("d")), ("0".to_owned(), "4".to_owned()));
        assert!(entries.has("b") && !entries.has("e"));
        let more = entries.with(&Entries::from([("b".to_owned(), entry("new", ""))]));
        assert_eq!(
            (more.len(), more.get("b").unwrap().etag.as_str()),
            (4, "new")
        );
        let json = serde_json::to_string(&more).unwrap();
        assert_eq!(serde_json::from_str::<Entries>(&json).unwrap(), more);
    }

    #[test]
    fn what_was_noted_is_replaced_once_it_is_sorted() {
        let mut noted = Noted::with_room(3);
        noted.set(7, &entry("7", ""));
        noted.set(3, &entry("3", ""));
        noted.sort();
        noted.set(7, &entry("new", ""));
        noted.set(5, &entry("5", ""));
        assert_eq!(noted.get(7).unwrap().etag, "new");
        let entries = noted.into_entries(|number| number.to_string());
        let etags: Vec<_> = entries.iter().map(|(_, entry)| entry.etag).collect();
        assert_eq!(etags, ["3", "5", "new"]);
    }
}
