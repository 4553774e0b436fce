//! A text becomes the edited text, or stays what it is with the reasons: read, plan, edit by lines, then hold the result
//! against the intent with another parser, against the lines that no edit names, and against a second run.

use crate::pipe_edit::Target;
use crate::plan::{Item, plan};
use crate::read::{self, BYTE_ORDER_MARK, document};
use crate::tree::Fault;
use crate::verify::verify;

/// What became of one text.
#[derive(Debug, Default)]
pub struct Rewrite {
    /// The text as it is to be; the same as before if nothing is done.
    pub text: String,
    /// What is done.
    pub done: Vec<Item>,
    /// What is left as it is, and why.
    pub left: Vec<Item>,
    /// What is worth a look afterwards.
    pub notes: Vec<Item>,
    /// Whether commands of the file work with access keys, done or not.
    pub keys_are_needed: bool,
}

/// Edits a text and keeps whose pipes it uses.
///
/// # Errors
/// When it is no pipeline file; nothing else is one, since what cannot be done is left.
pub fn of_text(text: &str) -> Result<Rewrite, Fault> {
    for_target(text, Target::Keep)
}

/// Edits the bytes of a file for these pipes.
///
/// # Errors
/// When they are no text, or the text is no pipeline file.
pub fn of_bytes(bytes: &[u8], target: Target) -> Result<Rewrite, Fault> {
    read::text(bytes)?;
    for_target(&String::from_utf8_lossy(bytes), target)
}

/// Edits a text for these pipes.
///
/// # Errors
/// When it is no pipeline file.
pub fn for_target(text: &str, target: Target) -> Result<Rewrite, Fault> {
    let body = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mark = &text[..text.len() - body.len()];
    let tree = document(body)?;
    let plan = plan(body, &tree, target);
    let mut rewrite = Rewrite {
        text: text.to_owned(),
        left: plan.left,
        keys_are_needed: plan.keys_are_needed,
        ..Rewrite::default()
    };
    if plan.edits.is_empty() {
        rewrite.notes = plan.notes;
        return Ok(rewrite);
    }
    let edited = plan.edits.apply(body);
    let mut whole = |line, text: String| {
        rewrite.left.push(Item {
            line,
            step: None,
            text,
        });
        rewrite.left.sort();
    };
    if let Some(&key) = tree.duplicates.first() {
        let name = tree.text(key).unwrap_or_default();
        whole(
            tree.line(key),
            format!(
                "the whole file is left: the key `{name}` comes twice, and parsers disagree on which counts"
            ),
        );
    } else if let Some(line) = lone_return(body) {
        whole(
            line,
            "the whole file is left: a carriage return without a line feed ends a line".to_owned(),
        );
    } else if let Err(reason) = verify(&tree, &plan.intent, body, &edited) {
        whole(
            1,
            format!("the whole file is left, since the edit could not be proved right: {reason}"),
        );
    } else if !plan.edits.is_all(body, &edited) || !is_settled(&edited, target) {
        whole(1, "the whole file is left, since the edit could not be proved right: it would touch more than it should".to_owned());
    } else {
        rewrite.text = mark.to_owned() + &edited;
        rewrite.done = plan.done;
        rewrite.notes = plan.notes;
    }
    Ok(rewrite)
}

/// Parsers disagree on whether such a line ends.
fn lone_return(text: &str) -> Option<usize> {
    let lines = crate::lines::split(text);
    lines
        .iter()
        .position(|line| line.ending == "\r")
        .map(|index| index + 1)
}

/// Whether a second run would do nothing.
fn is_settled(text: &str, target: Target) -> bool {
    document(text).is_ok_and(|tree| plan(text, &tree, target).edits.is_empty())
}
