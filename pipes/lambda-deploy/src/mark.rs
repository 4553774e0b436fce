//! What the pipe keeps in an alias itself, behind the description that people gave: which version was there before, and
//! during a canary which run shifts what until when. So a run that was killed can be picked up or undone by any other,
//! without a table or a bucket. Pure.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// "Maximum length of 256" (API reference of Lambda, UpdateAlias).
const LONGEST: usize = 256;
const OPEN: &str = "[lambda-deploy: ";
const CLOSE: char = ']';

/// An alias's description, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// What people wrote.
    pub text: String,
    /// What the pipe wrote.
    pub mark: Option<Mark>,
}

/// What the pipe notes in an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The version that the alias had before it got to version `of`. Others move aliases too, CodeDeploy and people, and
    /// leave the description as it is: at another version than `of` this says nothing.
    Previous {
        /// The version that the pipe brought the alias to.
        of: String,
        /// The one before.
        version: String,
    },
    /// Traffic is being shifted.
    Canary(Canary),
    /// The alias was put back from this version.
    RolledBack(String),
}

/// A shift under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The version that gets more and more.
    pub to: String,
    /// The version that all goes back to.
    pub from: String,
    /// The run that shifts.
    pub run: String,
    /// When its step is over, in whole seconds: a run that is alive has written a later time by then.
    pub until: SystemTime,
}

impl Description {
    /// Takes a description apart.
    pub fn parse(description: &str) -> Self {
        let parts = description
            .trim_end()
            .strip_suffix(CLOSE)
            .and_then(|rest| rest.rsplit_once(OPEN));
        if let Some((text, mark)) = parts
            && let Some(mark) = Mark::parse(mark)
        {
            return Self {
                text: text.trim_end().to_owned(),
                mark: Some(mark),
            };
        }
        Self {
            text: description.to_owned(),
            mark: None,
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(mark) = &self.mark else {
            return out.write_str(&self.text);
        };
        let mark = format!("{OPEN}{mark}{CLOSE}");
        let room = LONGEST.saturating_sub(mark.chars().count() + 1);
        let text: String = self.text.chars().take(room).collect();
        let space = if text.is_empty() { "" } else { " " };
        write!(out, "{text}{space}{mark}")
    }
}

impl Mark {
    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text
            .split([' ', ','])
            .filter(|word| !word.is_empty())
            .collect();
        match words.as_slice() {
            [of, "previous", version] => Some(Self::Previous {
                of: (*of).to_owned(),
                version: (*version).to_owned(),
            }),
            ["rolled", "back", "from", version] => Some(Self::RolledBack((*version).to_owned())),
            ["canary", to, "after", from, "run", run, "until", until] => {
                let until = DateTime::from_str(until, Format::DateTime).ok()?;
                Some(Self::Canary(Canary {
                    to: (*to).to_owned(),
                    from: (*from).to_owned(),
                    run: (*run).to_owned(),
                    until: SystemTime::try_from(until).ok()?,
                }))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Previous { of, version } => write!(out, "{of}, previous {version}"),
            Self::RolledBack(version) => write!(out, "rolled back from {version}"),
            Self::Canary(Canary {
                to,
                from,
                run,
                until,
            }) => {
                let until = time(*until);
                write!(out, "canary {to} after {from}, run {run}, until {until}")
            }
        }
    }
}

/// `2026-11-24T15:00:00Z`.
pub fn time(moment: SystemTime) -> String {
    let seconds = moment
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs();
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    DateTime::from_secs(seconds)
        .fmt(Format::DateTime)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let canary = Canary {
            to: "9".to_owned(),
            from: "7".to_owned(),
            run: "acme/orders#123".to_owned(),
            until: UNIX_EPOCH + Duration::from_hours(498_912),
        };
        for (text, mark, written) in [
            (
                "",
                Some(Mark::Previous {
                    of: "8".to_owned(),
                    version: "7".to_owned(),
                }),
                "[lambda-deploy: 8, previous 7]",
            ),
            (
                "live [eu]",
                Some(Mark::RolledBack("9".to_owned())),
                "live [eu] [lambda-deploy: rolled back from 9]",
            ),
            (
                "live",
                Some(Mark::Canary(canary)),
                "live [lambda-deploy: canary 9 after 7, run acme/orders#123, until 2026-12-01T00:00:00Z]",
            ),
            ("of people", None, "of people"),
        ] {
            let description = Description {
                text: text.to_owned(),
                mark,
            };
            assert_eq!(description.to_string(), written);
            assert_eq!(Description::parse(written), description);
        }
    }

    #[test]
    fn what_the_pipe_did_not_write_is_text() {
        for text in [
            "[lambda-deploy: x]",
            "[lambda-deploy: canary 9 after 7, run 1, until then]",
            "a]",
        ] {
            assert_eq!(
                Description::parse(text),
                Description {
                    text: text.to_owned(),
                    mark: None
                }
            );
        }
    }

    #[test]
    fn the_mark_always_fits() {
        let description = Description {
            text: "ä".repeat(300),
            mark: Some(Mark::Previous {
                of: "8".to_owned(),
                version: "7".to_owned(),
            }),
        };
        let written = description.to_string();
        assert_eq!(written.chars().count(), LONGEST);
        assert_eq!(Description::parse(&written).mark, description.mark);
    }
}
