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

/// Everything that is wished for, known before the first request.
pub struct Site {
    /// Before every key.
    pub prefix: String,
    /// The files.
    pub tree: Tree,
    /// The objects, sorted by name.
    pub objects: Vec<Object>,
    /// The redirects that `Shape::Redirect` names.
    pub redirects: Vec<Redirect>,
    /// What gives each object its headers.
    pub wishes: Wishes,
}

impl Site {
    /// The object with this name.
    pub fn find(&self, name: &str) -> Option<Object> {
        let found = self
            .objects
            .binary_search_by(|object| self.compare_name(*object, name));
        found.ok().map(|index| self.objects[index])
    }

    /// The name of an object: its key without the prefix.
    pub fn name(&self, object: Object) -> String {
        let (name, suffix) = self.name_parts(object);
        [name, suffix].concat()
    }

    /// The key of an object.
    pub fn key(&self, object: Object) -> String {
        let (name, suffix) = self.name_parts(object);
        [&self.prefix, name, suffix].concat()
    }

    /// Compares the name of an object with another, without making it.
    pub fn compare_name(&self, object: Object, other: &str) -> Ordering {
        let (name, suffix) = self.name_parts(object);
        if suffix.is_empty() {
            name.cmp(other)
        } else {
            name.bytes().chain(suffix.bytes()).cmp(other.bytes())
        }
    }

    /// Compares the names of two objects, without making them.
    pub fn compare(&self, object: Object, other: Object) -> Ordering {
        let (name, suffix) = self.name_parts(other);
        if suffix.is_empty() {
            return self.compare_name(object, name);
        }
        let (own, own_suffix) = self.name_parts(object);
        let own = own.bytes().chain(own_suffix.bytes());
        own.cmp(name.bytes().chain(suffix.bytes()))
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
        self.wishes
            .of_file(self.original_name(object), object.shape.encoding())
    }

    /// Where each of its headers comes from.
    pub fn explain(&self, object: Object) -> Vec<Because> {
        if object.shape != Shape::Redirect {
            let name = self.original_name(object);
            return self.wishes.explain(name, object.shape.encoding());
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
        let mut objects = std::mem::take(&mut self.objects);
        let plain = objects.iter().all(|object| object.shape == Shape::Plain);
        if !plain {
            objects.sort_unstable_by(|one, other| self.compare(*one, *other));
        }
        self.objects = objects;
    }

    /// The name by which rules see it: the original's, also for a compressed sibling.
    fn original_name(&self, object: Object) -> &str {
        let name = self.tree.file(object.name as usize).name;
        match object.shape {
            Shape::PrecompressedBeside(encoding) => {
                name.strip_suffix(encoding.extension()).unwrap_or(name)
            }
            _ => name,
        }
    }

    fn name_parts(&self, object: Object) -> (&str, &'static str) {
        match object.shape {
            Shape::Redirect => (&self.redirects[object.name as usize].name, ""),
            Shape::CompressedBeside(encoding) => (
                self.tree.file(object.name as usize).name,
                encoding.extension(),
            ),
            _ => (self.tree.file(object.name as usize).name, ""),
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
