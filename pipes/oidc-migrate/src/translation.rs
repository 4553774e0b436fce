//! What differs between a pipe of the vendor and ours of the same use, as far as `variables` are concerned. Names and
//! meanings are the same otherwise; a variable that ours does not know it warns of, as the vendor's ignores it.

use crate::edits::Edits;
use crate::intent::Intent;
use crate::source::Source;
use crate::tree::NodeId;

/// What is different about one variable.
enum Difference {
    /// It has another name.
    Renamed(&'static str),
    /// It has nothing that takes its place: the pipe cannot be exchanged.
    Missing(&'static str),
    /// It is understood, and something about it is worth knowing.
    Note(&'static str),
}

/// The table: our pipe, the variable of the vendor's, the difference.
const DIFFERENCES: &[(&str, &str, Difference)] = &[
    (
        "s3-deploy",
        "PRE_EXECUTION_SCRIPT",
        Difference::Missing(
            "ours has no shell for PRE_EXECUTION_SCRIPT; put its commands before the pipe",
        ),
    ),
    (
        "s3-deploy",
        "EXTRA_ARGS",
        Difference::Note(
            "EXTRA_ARGS is read by ours and not run: a flag that has no meaning for it is an error",
        ),
    ),
    ("ecs-deploy", "IMAGE_NAME", Difference::Renamed("IMAGE")),
    (
        "lambda-deploy",
        "WAIT",
        Difference::Note("ours always waits, whatever WAIT says"),
    ),
];

/// The edits that `variables` need.
#[derive(Debug, Default)]
pub struct Translated {
    /// By lines.
    pub edits: Edits,
    /// By nodes.
    pub intent: Intent,
    /// What is done.
    pub done: Vec<(usize, String)>,
    /// What is worth a look.
    pub notes: Vec<(usize, String)>,
}

/// Looks each variable up.
///
/// # Errors
/// When the pipe cannot be exchanged, with the reason.
pub fn translate(
    source: &Source<'_>,
    ours: &str,
    entries: &[(NodeId, NodeId)],
) -> Result<Translated, String> {
    let mut translated = Translated::default();
    for &(key, _) in entries {
        let name = source.tree.text(key).unwrap_or_default();
        let line = source.tree.line(key);
        let difference = DIFFERENCES
            .iter()
            .find(|(pipe, variable, _)| *pipe == ours && *variable == name);
        match difference {
            None => {}
            Some((.., Difference::Missing(reason))) => return Err((*reason).to_owned()),
            Some((.., Difference::Note(note))) => translated.notes.push((line, (*note).to_owned())),
            Some((.., Difference::Renamed(new))) => {
                let bytes = source.bytes(key);
                let written = source.written(key).and_then(|written| written.find(name));
                let (Some(bytes), Some(offset)) = (bytes, written) else {
                    return Err(format!("`{name}` is not written in one piece"));
                };
                let start = bytes.start + offset;
                translated
                    .edits
                    .splice(line, start..start + name.len(), *new);
                translated.intent.renamed.insert(key, (*new).to_owned());
                translated
                    .done
                    .push((line, format!("{name} becomes {new}")));
            }
        }
    }
    Ok(translated)
}
