//! The wished content of the bucket: an object for each file, and with compression or redirects some more, in the
//! order of their keys. An object is a few bytes, so that a million fit; its key and its headers are made when asked for.

use std::cmp::Ordering;

use crate::compress::Encoding;
use crate::digest::Fingerprint;
use crate::headers::Headers;
use crate::phase::Phase;
use crate::rules::Because;
use crate::tree::{LocalFile, Tree};
use crate::wishes::Wishes;

/// How the body and the key of an object come from files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// The file as it is.
    Plain,
    /// A file that was compressed by the build, under the name of the original.
    Precompressed(Encoding),
    /// The file, compressed here, under its own name.
    Compressed(Encoding),
    /// A file that was compressed by the build, under its own name.
    PrecompressedBeside(Encoding),
    /// The file, compressed here, under its name with the extension of the encoding.
    CompressedBeside(Encoding),
    /// Nothing but a redirect.
    Redirect,
}

impl Shape {
    /// How its body is encoded.
    pub const fn encoding(self) -> Option<Encoding> {
        match self {
            Self::Plain | Self::Redirect => None,
            Self::Precompressed(encoding)
            | Self::Compressed(encoding)
            | Self::PrecompressedBeside(encoding)
            | Self::CompressedBeside(encoding) => Some(encoding),
        }
    }
}

/// One object of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// Index of the file, or redirect, that gives the name.
    pub name: u32,
    /// Index of the file that gives the bytes.
    pub source: u32,
    /// How.
    pub shape: Shape,
}

impl Object {
    /// That file as it is.
    pub const fn file(index: u32) -> Self {
        Self {
            name: index,
            source: index,
            shape: Shape::Plain,
        }
    }

    /// Files are sorted by name, and so are objects that have the name of one.
    const fn has_name_of_file(self) -> bool {
        !matches!(self.shape, Shape::Redirect | Shape::CompressedBeside(_))
    }
}

/// An object that only redirects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Its name.
    pub name: String,
    /// Where requests for it are sent.
    pub to: String,
    /// Whether it stands in the place of a file of the same name.
    pub forced: bool,
}

/// Objects by their numbers, in the order of their names.
#[derive(Debug)]
pub enum Objects {
    /// Each file is one, as it is.
    Files(usize),
    /// These.
    Listed(Vec<Object>),
}

impl Objects {
    /// How many there are.
    pub const fn len(&self) -> usize {
        match self {
            Self::Files(count) => *count,
            Self::Listed(objects) => objects.len(),
        }
    }

    /// All of them with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (u32, Object)> {
        let numbers = (0..=u32::MAX).take(self.len());
        numbers.map(|number| (number, self.get(number)))
    }

    fn get(&self, number: u32) -> Object {
        match self {
            Self::Files(_) => Object::file(number),
            Self::Listed(objects) => objects[number as usize],
        }
    }
}

/// Everything that is wished for, known before the first request.
pub struct Site {
    /// Before every key.
    pub prefix: String,
    /// The files.
    pub tree: Tree,
    /// The objects, sorted by name.
    pub objects: Objects,
    /// The redirects that `Shape::Redirect` names.
    pub redirects: Vec<Redirect>,
    /// What gives each object its headers.
    pub wishes: Wishes,
}

impl Site {
    /// The object of this number.
    pub fn object(&self, number: u32) -> Object {
        self.objects.get(number)
    }

    /// The number of the object with this name.
    pub fn find(&self, name: &str) -> Option<u32> {
        let number = match &self.objects {
            Objects::Files(_) => self.tree.find(name),
            Objects::Listed(objects) => objects
                .binary_search_by(|object| self.compare_name(*object, name))
                .ok(),
        };
        u32::try_from(number?).ok()
    }

    /// The name of an object: its key without the prefix.
    pub fn name(&self, object: Object) -> String {
        let (mut name, suffix) = self.name_parts(object);
        name.push_str(suffix);
        name
    }

    /// The key of an object.
    pub fn key(&self, object: Object) -> String {
        let (name, suffix) = self.name_parts(object);
        [&self.prefix, name.as_str(), suffix].concat()
    }

    /// Compares the name of an object with another.
    pub fn compare_name(&self, object: Object, other: &str) -> Ordering {
        self.name(object).as_str().cmp(other)
    }

    /// Compares the names of two objects.
    fn compare(&self, one: Object, other: Object) -> Ordering {
        if one.has_name_of_file() && other.has_name_of_file() {
            return one.name.cmp(&other.name);
        }
        self.name(one).cmp(&self.name(other))
    }

    /// The file whose bytes the object has; none for a redirect.
    pub fn file(&self, object: Object) -> Option<LocalFile<'_>> {
        (object.shape != Shape::Redirect).then(|| self.tree.file(object.source as usize))
    }

    /// Its headers, its phase, and which layer gave what.
    pub fn wish(&self, object: Object) -> (Headers, Phase, Vec<Because>) {
        if object.shape == Shape::Redirect {
            let redirect = &self.redirects[object.name as usize];
            return self.wishes.of_redirect(&redirect.name, &redirect.to);
        }
        let name = self.original_name(object);
        self.wishes.of_file(&name, object.shape.encoding())
    }

    /// Where each of its headers comes from.
    pub fn explain(&self, object: Object) -> Vec<Because> {
        if object.shape != Shape::Redirect {
            let name = self.original_name(object);
            return self.wishes.explain(&name, object.shape.encoding());
        }
        let redirect = &self.redirects[object.name as usize];
        let mut because = self.wishes.explain(&redirect.name, None);
        because.push(Because {
            rule: "_redirects".to_owned(),
            header: "website-redirect",
            value: redirect.to.clone(),
        });
        because
    }

    /// Sorts the objects by name: the merge join with the listing needs it.
    pub fn sort(&mut self) {
        let objects = std::mem::replace(&mut self.objects, Objects::Files(0));
        self.objects = match objects {
            Objects::Files(count) => Objects::Files(count),
            Objects::Listed(mut objects) => {
                // They are nearly sorted, and a stable sort makes use of it.
                objects.sort_by(|one, other| self.compare(*one, *other));
                Objects::Listed(objects)
            }
        };
    }

    /// The name by which rules see it: the original's, also for a compressed sibling.
    fn original_name(&self, object: Object) -> String {
        let mut name = self.tree.name(object.name as usize);
        if let Shape::PrecompressedBeside(encoding) = object.shape
            && let Some(original) = name.strip_suffix(encoding.extension())
        {
            name.truncate(original.len());
        }
        name
    }

    fn name_parts(&self, object: Object) -> (String, &'static str) {
        match object.shape {
            Shape::Redirect => (self.redirects[object.name as usize].name.clone(), ""),
            Shape::CompressedBeside(encoding) => {
                (self.tree.name(object.name as usize), encoding.extension())
            }
            _ => (self.tree.name(object.name as usize), ""),
        }
    }
}

/// What the manifest keeps of a content: the fingerprint of the file, and how it was compressed here.
pub fn content_id(fingerprint: Fingerprint, shape: Shape) -> String {
    let hex = crate::digest::hex(fingerprint);
    match shape {
        Shape::Compressed(encoding) | Shape::CompressedBeside(encoding) => {
            format!("{hex}{}", encoding.extension())
        }
        _ => hex,
    }
}
