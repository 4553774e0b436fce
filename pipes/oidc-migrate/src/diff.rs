//! Two texts become a unified diff for a person to read. Literal keys in it are masked: they would stay in the log of a CI
//! for as long as the log is kept.

use std::path::Path;

use similar::TextDiff;

use crate::keys::without_secrets;

/// The diff of one file, with the names that `git diff` gives it; nothing if the texts are equal.
#[must_use]
pub fn unified(path: &Path, before: &str, after: &str) -> String {
    let name = path.display();
    let diff = TextDiff::from_lines(before, after);
    let text = diff
        .unified_diff()
        .context_radius(3)
        .header(&format!("a/{name}"), &format!("b/{name}"))
        .to_string();
    text.split_inclusive('\n').map(without_secrets).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_shows_lines_and_no_keys() {
        let before = "variables:\n  AWS_SECRET_ACCESS_KEY: wJalrXUtn/FEMI\n  S3_BUCKET: site";
        let after = "variables:\n  AWS_OIDC_ROLE_ARN: $AWS_OIDC_ROLE_ARN\n  S3_BUCKET: site";
        insta::assert_snapshot!(unified(Path::new("x.yml"), before, after), @r"
        --- a/x.yml
        +++ b/x.yml
        @@ -1,3 +1,3 @@
         variables:
        -  AWS_SECRET_ACCESS_KEY: (masked)
        +  AWS_OIDC_ROLE_ARN: $AWS_OIDC_ROLE_ARN
           S3_BUCKET: site
        \ No newline at end of file
        ");
        assert_eq!(unified(Path::new("x.yml"), before, before), "");
    }
}
