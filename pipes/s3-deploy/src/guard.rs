//! What is refused after the plan is known and before the first change: too many deletes, an older build than the one
//! that is live, and a second deploy beside one that is under way. Pure.

use shared::{Failure, FromText};

use crate::manifest::{Lease, Manifest};

/// With the default limit, so few deletes are always allowed: a quarter of a small site is one page.
const ALWAYS_ALLOWED: usize = 10;

/// How many objects one run may delete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeleteLimit {
    /// A quarter of the objects that are there, but at least ten.
    #[default]
    Default,
    /// So many.
    Count(usize),
    /// So many of a hundred of the objects that are there.
    Percent(usize),
}

impl FromText for DeleteLimit {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let limit = match text.strip_suffix('%') {
            Some(percent) => percent
                .trim()
                .parse()
                .ok()
                .filter(|percent| *percent <= 100)
                .map(Self::Percent),
            None => text.parse().ok().map(Self::Count),
        };
        limit.ok_or_else(|| format!("unallowed value {text} (a limit looks like `100` or `25%`)"))
    }
}

impl DeleteLimit {
    /// How many deletes it allows in a bucket of `listed` objects.
    pub const fn allows(self, listed: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => listed * percent / 100,
            Self::Default => {
                let quarter = listed / 4;
                if quarter > ALWAYS_ALLOWED {
                    quarter
                } else {
                    ALWAYS_ALLOWED
                }
            }
        }
    }

    /// Refuses the whole run when it would delete more.
    ///
    /// # Errors
    /// With both numbers.
    pub fn check(self, deletes: usize, listed: usize) -> Result<(), Failure> {
        let allowed = self.allows(listed);
        if deletes <= allowed {
            return Ok(());
        }
        Err(Failure::new(format!(
            "refused to delete {deletes} of the {listed} objects: DELETE_LIMIT allows {allowed}"
        ))
        .hint("look at the plan above; if it is right, raise DELETE_LIMIT (a number, or a percentage such as `50%`) for this run"))
    }
}

/// Who is about to change the site.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The build number; 0 outside of Bitbucket.
    pub build: u64,
    /// Tells this run from all others.
    pub run: String,
    /// Seconds since 1970.
    pub now: u64,
    /// How long the run may take, in seconds.
    pub seconds: u64,
    /// Whether the user overrides the refusals below.
    pub force: bool,
}

impl Claim {
    /// Refuses a build that is older than the live one, and a site that somebody else is changing.
    ///
    /// # Errors
    /// With the builds, and when the other's right ends.
    pub fn check(&self, manifest: &Manifest) -> Result<(), Failure> {
        if self.force {
            return Ok(());
        }
        if let Some(live) = &manifest.release
            && self.build > 0
            && live.build > self.build
        {
            return Err(Failure::new(format!(
                "build {} is older than build {}, which is live",
                self.build, live.build
            ))
            .hint("run the newest pipeline; FORCE deploys this one all the same, and ROLLBACK puts an earlier release back"));
        }
        if let Some(lease) = &manifest.lease
            && lease.ends > self.now
            && !self.may_take_over(lease)
        {
            return Err(Failure::new(format!(
                "another deploy of this site is under way: build {}, for at most {} s more",
                lease.build,
                lease.ends - self.now
            ))
            .hint("wait for it and run this step again; if it was killed, FORCE does not wait"));
        }
        Ok(())
    }

    /// The same build again: its first run was stopped, or the step would not have been started again.
    const fn may_take_over(&self, lease: &Lease) -> bool {
        self.build > 0 && lease.build == self.build
    }

    /// The right that this run takes.
    pub fn lease(&self) -> Lease {
        Lease {
            build: self.build,
            run: self.run.clone(),
            ends: self.now + self.seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Release;

    #[test]
    fn limits_are_counts_or_percents() {
        assert_eq!(DeleteLimit::from_text("100"), Ok(DeleteLimit::Count(100)));
        assert_eq!(
            DeleteLimit::from_text(" 50 % "),
            Ok(DeleteLimit::Percent(50))
        );
        for wrong in ["", "x", "-1", "101%", "%", "1.5"] {
            assert!(DeleteLimit::from_text(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_default_is_a_quarter_and_at_least_ten() {
        for (listed, allowed) in [(0, 10), (40, 10), (44, 11), (1000, 250)] {
            assert_eq!(DeleteLimit::Default.allows(listed), allowed);
        }
        assert_eq!(DeleteLimit::Percent(25).allows(3), 0);
        assert_eq!(DeleteLimit::Count(0).allows(1000), 0);
        assert!(DeleteLimit::Default.check(250, 1000).is_ok());
        assert_eq!(
            DeleteLimit::Default
                .check(251, 1000)
                .unwrap_err()
                .to_string()
                .lines()
                .next()
                .unwrap(),
            "refused to delete 251 of the 1000 objects: DELETE_LIMIT allows 250"
        );
    }

    fn claim(build: u64) -> Claim {
        Claim {
            build,
            run: "me".to_owned(),
            now: 1000,
            seconds: 600,
            force: false,
        }
    }

    #[test]
    fn an_older_build_is_refused() {
        let live = Manifest {
            release: Some(Release {
                build: 7,
                ..Release::default()
            }),
            ..Manifest::default()
        };
        assert!(claim(8).check(&live).is_ok());
        assert!(claim(7).check(&live).is_ok());
        assert!(
            claim(0).check(&live).is_ok(),
            "a run outside of Bitbucket has no number"
        );
        assert!(
            claim(6)
                .check(&live)
                .unwrap_err()
                .to_string()
                .starts_with("build 6 is older than build 7")
        );
        assert!(
            Claim {
                force: true,
                ..claim(6)
            }
            .check(&live)
            .is_ok()
        );
    }

    #[test]
    fn a_second_deploy_is_refused_until_the_first_ends() {
        let held = |ends| Manifest {
            lease: Some(Lease {
                build: 7,
                run: "other".to_owned(),
                ends,
            }),
            ..Manifest::default()
        };
        let refused = claim(8).check(&held(1100)).unwrap_err().to_string();
        assert!(
            refused.starts_with(
                "another deploy of this site is under way: build 7, for at most 100 s more"
            ),
            "{refused}"
        );
        assert!(claim(8).check(&held(1000)).is_ok(), "it has ended");
        assert!(
            claim(7).check(&held(1100)).is_ok(),
            "the same build takes over from its stopped run"
        );
        assert!(
            Claim {
                force: true,
                ..claim(8)
            }
            .check(&held(1100))
            .is_ok()
        );
    }
}
