//! A text that must never be printed: no `Display`, no `Debug`, wiped from memory when dropped.

use secrecy::{ExposeSecret, SecretString};

/// A token or a key. There is one way to its text, and the name of it shows up in a review.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes over `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself, for the one request that needs it; never for a message.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}
