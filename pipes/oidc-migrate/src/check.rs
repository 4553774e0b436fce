//! `check`: fails while a step still works with access keys, with one line for each place, and tells pull requests of it.
//! Uses that a baseline names are let stand, so that the rule can be switched on before all is migrated.

mod baseline;
mod insights;
mod uses;

use std::path::PathBuf;

use shared::log;
use shared::{Environment, Failure, Journal, Outcome};

use crate::model::Checkout;
use baseline::Baseline;
pub use uses::{Use, uses};

/// What `check` is asked for.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Arguments {
    /// File with uses that are let stand
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Write the uses of now to the --baseline file instead of failing because of them
    #[arg(long, requires = "baseline")]
    pub write_baseline: bool,
}

impl Arguments {
    /// Looks at every step.
    ///
    /// # Errors
    /// When there are uses that the baseline does not name, and when the baseline cannot be read or written.
    pub async fn run(
        &self,
        checkout: &Checkout,
        environment: &Environment,
        journal: &Journal,
    ) -> Result<Outcome, Failure> {
        let uses = uses(checkout);
        if let (Some(path), true) = (&self.baseline, self.write_baseline) {
            let shown = path.display().to_string();
            let pending = journal.begin("write", &shown);
            Baseline::of(&uses).write(path)?;
            pending.done("wrote", &shown);
            return Ok(outcome(format!(
                "{} let stand by `{shown}`",
                count(uses.len(), "use")
            )));
        }
        let baseline = match &self.baseline {
            Some(path) => Baseline::read(path)?,
            None => Baseline::default(),
        };
        let verdict = baseline.judge(uses);
        insights::send(environment, &verdict.new).await;
        for left in &verdict.gone {
            tracing::info!("no longer there, and can be taken from the baseline: {left}");
        }
        for each in &verdict.new {
            log::line(each);
        }
        if !verdict.new.is_empty() {
            let files = checkout.files.len();
            return Err(Failure::new(format!(
                "{} of AWS access keys in {}",
                count(verdict.new.len(), "use"),
                count(files, "pipeline file"),
            ))
            .hint("`oidc-migrate plan` shows the edit, `oidc-migrate work-order` the way; --baseline lets old uses stand"));
        }
        let summary = match verdict.known {
            0 => "no step uses AWS access keys".to_owned(),
            known => format!(
                "no new use of AWS access keys; {} let stand by the baseline",
                count(known, "old one")
            ),
        };
        Ok(outcome(summary))
    }
}

fn outcome(summary: String) -> Outcome {
    Outcome {
        summary,
        ..Outcome::default()
    }
}

fn count(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests;
