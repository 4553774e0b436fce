//! Sorted names in little memory: of each stands only what differs from the one before, in one text. Every sixteenth is
//! whole, so that one can be found without reading all. Pure.

/// Every so many names one stands whole.
const BLOCK: usize = 16;
/// From here on a number takes one character more.
const MORE: usize = 0x4000;

/// Names, each sorted behind the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// For each name how much of the one before begins it, how much is its own, and that; numbers stand as characters.
    text: String,
    /// Where in the text each block begins.
    blocks: Vec<usize>,
    count: usize,
    last: String,
}

impl Names {
    /// Adds a name, which has to be sorted behind all others; false, and nothing is added, if it is not.
    pub fn push(&mut self, name: &str) -> bool {
        if self.count > 0 && *name <= *self.last {
            return false;
        }
        let shared = if self.count.is_multiple_of(BLOCK) {
            self.blocks.push(self.text.len());
            0
        } else {
            shared(&self.last, name)
        };
        let own = &name[shared..];
        push_number(&mut self.text, shared);
        push_number(&mut self.text, own.len());
        self.text.push_str(own);
        self.last.truncate(shared);
        self.last.push_str(own);
        self.count += 1;
        true
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// The name at `index`.
    pub fn get(&self, index: usize) -> String {
        self.starting_at(index).next().unwrap_or_default()
    }

    /// Where `name` is, or would be.
    pub fn find(&self, name: &str) -> Result<usize, usize> {
        let is_before = |start: &usize| Cursor::new(&self.text[*start..]).parts().1 <= name;
        let block = self.blocks.partition_point(is_before).saturating_sub(1);
        let first = block * BLOCK;
        let mut cursor = self.cursor(block);
        for index in first..self.count.min(first + BLOCK) {
            match cursor.advance().cmp(name) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(index),
                std::cmp::Ordering::Greater => return Err(index),
            }
        }
        Err(self.count.min(first + BLOCK))
    }

    /// The names from `index` on, in their order.
    pub fn starting_at(&self, index: usize) -> impl Iterator<Item = String> {
        let index = index.min(self.count);
        let mut cursor = self.cursor(index / BLOCK);
        for _ in 0..index % BLOCK {
            cursor.advance();
        }
        (index..self.count).map(move |_| cursor.advance().to_owned())
    }

    /// Gives back what was reserved for more.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.blocks.shrink_to_fit();
    }

    fn cursor(&self, block: usize) -> Cursor<'_> {
        let start = self.blocks.get(block).copied();
        Cursor::new(&self.text[start.unwrap_or(self.text.len())..])
    }
}

/// Reads names one after another.
struct Cursor<'a> {
    rest: &'a str,
    name: String,
}

impl<'a> Cursor<'a> {
    const fn new(rest: &'a str) -> Self {
        Self {
            rest,
            name: String::new(),
        }
    }

    /// The next name.
    fn advance(&mut self) -> &str {
        let (shared, own) = self.parts();
        self.name.truncate(shared);
        self.name.push_str(own);
        &self.name
    }

    /// How much of the name before begins the next one, and what is its own.
    fn parts(&mut self) -> (usize, &'a str) {
        let shared = take_number(&mut self.rest);
        let length = take_number(&mut self.rest);
        let (own, rest) = self.rest.split_at(length);
        self.rest = rest;
        (shared, own)
    }
}

/// How many bytes both begin with, up to the end of a character.
fn shared(one: &str, other: &str) -> usize {
    let pairs = one.bytes().zip(other.bytes());
    let mut shared = pairs.take_while(|(one, other)| one == other).count();
    while !other.is_char_boundary(shared) {
        shared -= 1;
    }
    shared
}

/// Writes a number as characters: one for each fourteen bits, of which all but the last are marked.
fn push_number(text: &mut String, mut number: usize) {
    while number >= MORE {
        text.push(digit(number % MORE + MORE));
        number /= MORE;
    }
    text.push(digit(number));
}

fn digit(number: usize) -> char {
    // Below 0x8000 every number is a character.
    let digit = u32::try_from(number).ok().and_then(char::from_u32);
    digit.unwrap_or_default()
}

fn take_number(text: &mut &str) -> usize {
    let (mut number, mut weight) = (0, 1);
    let mut rest = text.chars();
    for digit in rest.by_ref() {
        let digit = digit as usize;
        number += digit % MORE * weight;
        weight *= MORE;
        if digit < MORE {
            break;
        }
    }
    *text = rest.as_str();
    number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(all: &std::collections::BTreeSet<String>) -> Names {
        let mut names = Names::default();
        for name in all {
            assert!(names.push(name));
        }
        names
    }

    proptest! {
        #[test]
        fn names_come_back_and_are_found(
            all in prop::collection::btree_set("[ab/ä€😀]{0,6}", 0..100),
            other in "[ab/ä€😀]{0,6}",
        ) {
            let names = names(&all);
            prop_assert_eq!(names.len(), all.len());
            for (index, name) in all.iter().enumerate() {
                prop_assert_eq!(&names.get(index), name);
                prop_assert_eq!(names.find(name), Ok(index));
                prop_assert!(names.starting_at(index).eq(all.iter().skip(index).cloned()));
            }
            let before = all.iter().filter(|name| **name < other).count();
            if !all.contains(&other) {
                prop_assert_eq!(names.find(&other), Err(before));
            }
        }
    }

    #[test]
    fn what_is_not_sorted_behind_the_last_is_not_taken() {
        let mut names = Names::default();
        assert!(names.push("") && names.push("b"));
        assert!(!names.push("b") && !names.push("a"));
        assert!(names.push("c"));
        assert_eq!(names.starting_at(0).collect::<Vec<_>>(), ["", "b", "c"]);
    }

    #[test]
    fn long_names_are_kept_too() {
        let long = "ä".repeat(MORE * 3);
        let all = [long.clone(), format!("{long}x"), format!("{long}y")];
        let names = names(&all.iter().cloned().collect());
        assert_eq!(names.starting_at(0).collect::<Vec<_>>(), all);
    }

    #[test]
    fn names_of_one_kind_take_few_bytes_each() {
        let mut names = Names::default();
        for number in 0..100_000 {
            names.push(&format!("assets/picture-{number:07}.png"));
        }
        assert!(names.text.len() < 10 * 100_000, "{}", names.text.len());
    }
}
