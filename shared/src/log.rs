//! Log lines in the form that users of Bitbucket's pipes know: `INFO: …`, all on standard output, so that
//! lines and verdict keep their order. Events of libraries never get here: some of them print headers and bodies.

use std::fmt::{self, Write as _};
use std::io::{BufWriter, IsTerminal, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

use crate::variables::Environment;

/// How lines are printed: with colours or without.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    colours: bool,
}

impl Style {
    /// Colours on a terminal and in Bitbucket, whose log viewer shows them; never with `NO_COLOR`
    /// (<https://no-color.org>: any value that is not empty).
    #[must_use]
    pub fn new(environment: &Environment) -> Self {
        let in_bitbucket = environment.get("BITBUCKET_BUILD_NUMBER").is_some();
        let colours = environment.get("NO_COLOR").is_none()
            && (in_bitbucket || std::io::stdout().is_terminal());
        Self { colours }
    }

    /// Prints `✔ text`.
    pub fn success(self, text: &str) {
        self.coloured(32, &format!("✔ {text}"));
    }

    /// Prints `✖ text`.
    pub fn failure(self, text: &str) {
        self.coloured(31, &format!("✖ {text}"));
    }

    fn coloured(self, colour: u8, text: &str) {
        if self.colours {
            print(format_args!("\x1b[{colour}m{}\x1b[0m", Visible(text)));
        } else {
            line(text);
        }
    }
}

/// Prints one line, or several, with control characters made visible. A reader that has gone away (`| head`) is no
/// reason to stop a deploy.
pub fn line(text: impl fmt::Display) {
    print(Visible(text));
}

fn print(text: impl fmt::Display) {
    // A plan of a million lines is made while it is written, and a call for each of them would be slow.
    let mut out = BufWriter::new(std::io::stdout().lock());
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A name that others have given, such as that of an object in a bucket: line ends in it are made visible too, so that it
/// cannot look like a line of the log.
#[must_use]
pub fn name(text: &str) -> impl fmt::Display {
    fmt::from_fn(move |out| {
        Escaping {
            out,
            also_lines: true,
        }
        .write_str(text)
    })
}

/// A text of which nothing can move the cursor, change a colour or hide what stands before it.
struct Visible<T>(T);

impl<T: fmt::Display> fmt::Display for Visible<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Escaping {
            out,
            also_lines: false,
        };
        write!(out, "{}", self.0)
    }
}

/// Writes control characters as Rust does, `\u{1b}`; line ends and tabs only if they are to be.
struct Escaping<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    also_lines: bool,
}

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_hidden =
            |each: char| each.is_control() && (self.also_lines || !matches!(each, '\n' | '\t'));
        let mut rest = text;
        while let Some(at) = rest.find(is_hidden) {
            let (before, from) = rest.split_at(at);
            self.out.write_str(before)?;
            let mut characters = from.chars();
            if let Some(hidden) = characters.next() {
                write!(self.out, "{}", hidden.escape_default())?;
            }
            rest = characters.as_str();
        }
        self.out.write_str(rest)
    }
}

/// The target of DEBUG lines. They are events of level INFO, since a release has none below that: those of the SDK, for
/// which nobody asks, would be a tenth of what a request costs, and of what a program holds.
const DEBUG: &str = "shared::debug";

/// Prints a DEBUG line, if DEBUG is set.
pub fn debug(text: fmt::Arguments<'_>) {
    tracing::info!(target: DEBUG, "{text}");
}

/// Whether DEBUG is set: a line that takes work to make is better not made otherwise.
#[must_use]
pub fn is_debugging() -> bool {
    tracing::enabled!(target: DEBUG, Level::INFO)
}

/// Installs the printing of `tracing` events for the whole process; with `debug` also those of [`debug`].
pub(crate) fn install(style: Style, pipe: &'static str, debug: bool) {
    let lines = Lines {
        style,
        debug,
        own_crate: pipe.replace('-', "_"),
    };
    // It fails only when a test of the same process has installed one before.
    let _ = tracing::subscriber::set_global_default(registry().with(lines));
}

struct Lines {
    style: Style,
    debug: bool,
    own_crate: String,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _context: Context<'_, S>) -> bool {
        let origin = metadata.target().split("::").next().unwrap_or_default();
        *metadata.level() <= Level::INFO
            && (self.debug || metadata.target() != DEBUG)
            && (origin == env!("CARGO_CRATE_NAME") || origin == self.own_crate)
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        let (colour, label) = match *event.metadata().level() {
            Level::ERROR => (31, "ERROR"),
            Level::WARN => (33, "WARNING"),
            _ if event.metadata().target() == DEBUG => (37, "DEBUG"),
            _ => (34, "INFO"),
        };
        self.style
            .coloured(colour, &format!("{label}: {}", message.0));
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = if field.name() == "message" {
            write!(self.0, "{value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_printed_moves_the_cursor() {
        let text = "upload  a\u{1b}[2K.js\r\n\tb\u{9b}1A\0 \u{7f}ä";
        assert_eq!(
            Visible(text).to_string(),
            "upload  a\\u{1b}[2K.js\\r\n\tb\\u{9b}1A\\u{0} \\u{7f}ä"
        );
    }

    #[test]
    fn a_name_is_no_line_of_the_log() {
        assert_eq!(
            name("a\nINFO: ✔ done\u{85}").to_string(),
            "a\\nINFO: ✔ done\\u{85}"
        );
    }
}
