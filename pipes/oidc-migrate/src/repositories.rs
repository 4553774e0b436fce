//! A folder of clones: each is planned, and written if that is wanted, as if it were alone, and one table ends it all. A
//! clone that cannot be done is a row of the table and holds up no other.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use shared::{Failure, Journal, Outcome, log};

use crate::migration::{Count, RewriteArguments, plan, print, write};
use crate::model::Checkout;

/// One row.
struct Row {
    name: String,
    count: Count,
    result: String,
}

/// Does all clones in the folder.
///
/// # Errors
/// When the folder cannot be read or holds no clone with a pipeline file, and after the table when a clone failed.
pub fn run(
    folder: &Path,
    arguments: &RewriteArguments,
    journal: &Journal,
) -> Result<Outcome, Failure> {
    let mut rows = Vec::new();
    let mut failed = 0;
    for path in clones(folder)? {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        log::line(format_args!("== {name}"));
        let row = one(&path, arguments, journal);
        let (count, result) = row.unwrap_or_else(|failure| {
            failed += 1;
            log::line(format_args!("{failure}"));
            (Count::default(), failure.message().to_owned())
        });
        rows.push(Row {
            name,
            count,
            result,
        });
    }
    if rows.is_empty() {
        return Err(
            Failure::new(format!("there is no folder in `{}`", folder.display()))
                .hint("`--all-repositories` wants the folder that the clones are in"),
        );
    }
    log::line(table(&rows));
    let changed: usize = rows.iter().map(|row| row.count.changed).sum();
    let left: usize = rows.iter().map(|row| row.count.left).sum();
    let verb = if arguments.write {
        "rewrote"
    } else {
        "would rewrite"
    };
    let summary = format!(
        "{verb} {changed} files in {} repositories, {left} things left",
        rows.len()
    );
    if failed > 0 {
        return Err(Failure::new(format!(
            "{failed} of {} repositories could not be done; {summary}",
            rows.len()
        )));
    }
    Ok(Outcome {
        summary,
        ..Outcome::default()
    })
}

fn clones(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::new(format!("could not read `{}`: {error}", folder.display()))
    };
    let mut clones = Vec::new();
    for entry in folder.read_dir().map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.is_dir() {
            clones.push(path);
        }
    }
    clones.sort();
    Ok(clones)
}

fn one(
    path: &Path,
    arguments: &RewriteArguments,
    journal: &Journal,
) -> Result<(Count, String), Failure> {
    let checkout = Checkout::read_any(path)?;
    if checkout.files.is_empty() {
        return Ok((Count::default(), "no pipeline file".to_owned()));
    }
    let plans = plan(&checkout, arguments.plan.to)?;
    print(&plans);
    let mut count = Count::of(&plans);
    let result = match count.changed {
        0 => "nothing to change",
        _ if arguments.write => {
            count.changed = write(path, &plans, arguments.force, journal)?;
            "rewritten"
        }
        _ => "would be rewritten",
    };
    Ok((count, result.to_owned()))
}

fn table(rows: &[Row]) -> String {
    let width = rows
        .iter()
        .map(|row| row.name.chars().count())
        .max()
        .unwrap_or_default()
        .max(10);
    let mut table = format!(
        "\n{:width$}  files  changed  edits  left  result",
        "repository"
    );
    for Row {
        name,
        count,
        result,
    } in rows
    {
        let Count {
            files,
            changed,
            done,
            left,
        } = count;
        let _ = write!(
            table,
            "\n{name:width$}  {files:>5}  {changed:>7}  {done:>5}  {left:>4}  {result}"
        );
    }
    table
}
