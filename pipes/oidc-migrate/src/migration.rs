//! The commands `plan` and `rewrite`: every file of a checkout, or of a folder of clones, is planned before the first is
//! written, and what could not be done is said with its line.

use std::path::{Path, PathBuf};

use clap::Args;
use shared::{Failure, Journal, Outcome, log};

use crate::diff;
use crate::model::Checkout;
use crate::pipe_edit::Target;
use crate::plan::{COMMANDS_HINT, Item};
use crate::rewrite::{self, Rewrite};
use crate::tree::Fault;
use crate::work_order;
use crate::write::{self, WorkTree};

/// The arguments of `plan`.
#[derive(Clone, Debug, Default, Args)]
pub struct Arguments {
    /// Whose pipes the files use afterwards.
    #[arg(long, value_enum, default_value_t)]
    pub to: Target,
    /// Work on every clone in this folder instead of one checkout.
    #[arg(long, value_name = "DIR")]
    pub all_repositories: Option<PathBuf>,
}

/// The arguments of `rewrite`.
#[derive(Clone, Debug, Default, Args)]
pub struct RewriteArguments {
    /// Those of `plan`.
    #[command(flatten)]
    pub plan: Arguments,
    /// Write the files; without it the command shows what it would write.
    #[arg(long)]
    pub write: bool,
    /// Write in a work tree with changes that are not committed.
    #[arg(long)]
    pub force: bool,
}

/// One file of a checkout and what is to become of it.
pub struct FilePlan {
    /// Relative to the checkout.
    pub path: PathBuf,
    /// What it is now.
    pub before: Vec<u8>,
    /// What is to become of it.
    pub after: Result<Rewrite, Fault>,
}

impl FilePlan {
    /// The text that is to be written, if it differs.
    #[must_use]
    pub fn new_text(&self) -> Option<&str> {
        let after = self.after.as_ref().ok()?;
        (after.text.as_bytes() != self.before).then_some(&after.text)
    }
}

/// Plans every file of a checkout.
///
/// # Errors
/// When the checkout cannot be read.
pub fn plan(checkout: &Checkout, target: Target) -> Result<Vec<FilePlan>, Failure> {
    let files = checkout.files.iter().map(|file| {
        let path = checkout.root.join(&file.path);
        let bytes = std::fs::read(&path).map_err(|error| {
            Failure::new(format!("could not read `{}`: {error}", path.display()))
        })?;
        Ok(FilePlan {
            path: file.path.clone(),
            after: rewrite::of_bytes(&bytes, target),
            before: bytes,
        })
    });
    files.collect()
}

/// Prints diffs and what is left.
pub fn print(plans: &[FilePlan]) {
    let mut keys_are_needed = false;
    for plan in plans {
        let path = plan.path.display();
        let rewrite = match &plan.after {
            Ok(rewrite) => rewrite,
            Err(fault) => {
                log::line(format_args!(
                    "{path}:{}: left as it is: {}",
                    fault.line, fault.text
                ));
                continue;
            }
        };
        keys_are_needed |= rewrite.keys_are_needed;
        let before = String::from_utf8_lossy(&plan.before);
        let diff = diff::unified(&plan.path, &before, &rewrite.text);
        if !diff.is_empty() {
            log::line(diff.trim_end());
        }
        for (title, items) in [("left", &rewrite.left), ("look", &rewrite.notes)] {
            for Item { line, step, text } in items {
                let step = step
                    .as_ref()
                    .map_or_else(String::new, |name| format!("step `{name}`: "));
                log::line(format_args!("{path}:{line}: {title}: {step}{text}"));
            }
        }
    }
    if keys_are_needed {
        log::line(format_args!("hint: {COMMANDS_HINT}"));
    }
}

/// Numbers of one checkout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Files that were read.
    pub files: usize,
    /// Files that differ afterwards.
    pub changed: usize,
    /// Single edits.
    pub done: usize,
    /// Things that were left.
    pub left: usize,
}

impl Count {
    /// Counts.
    #[must_use]
    pub fn of(plans: &[FilePlan]) -> Self {
        let mut count = Self::default();
        for plan in plans {
            count.files += 1;
            count.changed += usize::from(plan.new_text().is_some());
            match &plan.after {
                Ok(rewrite) => {
                    count.done += rewrite.done.len();
                    count.left += rewrite.left.len();
                }
                Err(_) => count.left += 1,
            }
        }
        count
    }
}

/// Writes what is planned, after all that can be refused was refused.
///
/// # Errors
/// When the work tree is not clean, when a file may not be written, or when writing fails.
pub fn write(
    root: &Path,
    plans: &[FilePlan],
    force: bool,
    journal: &Journal,
) -> Result<usize, Failure> {
    let changed: Vec<(&FilePlan, &str)> = plans
        .iter()
        .filter_map(|plan| Some((plan, plan.new_text()?)))
        .collect();
    if changed.is_empty() {
        return Ok(0);
    }
    if !force {
        refuse_dirty(root)?;
    }
    for (plan, _) in &changed {
        write::refuse(&root.join(&plan.path))?;
    }
    for (plan, text) in &changed {
        let path = root.join(&plan.path);
        let name = path.display().to_string();
        let pending = journal.begin("write", &name);
        match write::replace(&path, &plan.before, text) {
            Ok(()) => pending.done("written", name),
            Err(failure) => {
                pending.refused();
                return Err(failure);
            }
        }
    }
    Ok(changed.len())
}

fn refuse_dirty(root: &Path) -> Result<(), Failure> {
    match WorkTree::of(root)? {
        WorkTree::Clean | WorkTree::None => Ok(()),
        WorkTree::Dirty => Err(Failure::new(format!(
            "`{}` has changes that are not committed, and an edit beside them would be hard to take back",
            root.display()
        ))
        .hint("commit or stash them, or write all the same with `--force`")),
        WorkTree::NoGit => {
            tracing::warn!("there is no `git` here, so it was not looked whether the work tree is clean");
            Ok(())
        }
    }
}

impl Arguments {
    /// Runs `plan`.
    ///
    /// # Errors
    /// When the checkout cannot be read.
    pub fn run(&self, repository: &Path, journal: &Journal) -> Result<Outcome, Failure> {
        let arguments = RewriteArguments {
            plan: self.clone(),
            ..RewriteArguments::default()
        };
        arguments.run(repository, journal)
    }
}

impl RewriteArguments {
    /// Runs `rewrite`.
    ///
    /// # Errors
    /// When the checkout cannot be read, or when a file may not be written.
    pub fn run(&self, repository: &Path, journal: &Journal) -> Result<Outcome, Failure> {
        if let Some(folder) = &self.plan.all_repositories {
            return crate::repositories::run(folder, self, journal);
        }
        let checkout = Checkout::read(repository)?;
        let plans = plan(&checkout, self.plan.to)?;
        print(&plans);
        let count = Count::of(&plans);
        let summary = if count.changed == 0 {
            format!(
                "nothing to change in {} files, {} things left",
                count.files, count.left
            )
        } else if self.write {
            let written = write(repository, &plans, self.force, journal)?;
            // From what the files were: the variables that are not named any more are those to delete.
            log::line(work_order::text(&checkout).trim_end());
            format!(
                "rewrote {written} of {} files with {} edits, {} things left",
                count.files, count.done, count.left
            )
        } else {
            log::line(work_order::text(&checkout).trim_end());
            format!(
                "would rewrite {} of {} files with {} edits, {} things left; `rewrite --write` does it",
                count.changed, count.files, count.done, count.left
            )
        };
        Ok(Outcome {
            summary,
            ..Outcome::default()
        })
    }
}
