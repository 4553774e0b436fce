//! From the `--exclude` and `--include` of EXTRA_ARGS to whether a path takes part in the deploy.
//! The patterns are those of Python's `fnmatch`, which aws-cli hands them to: `*` crosses `/`, nothing escapes, braces
//! are braces, and `[^a]` is no negation. No glob crate reads them so, and a pattern read differently publishes a file
//! that was to stay at home, or deletes an object that was to stay.

use std::str::Chars;

/// Excludes and includes in the order in which they were given.
///
/// As in aws-cli, everything takes part at first, and the last pattern that matches decides. A pattern has to match the
/// whole path below LOCAL_PATH, or the whole key below the prefix: `a.js` is not `lib/a.js`, and `lib/` is not what is
/// in it, `lib/*` is.
///
/// They are for the files and for the objects alike: an excluded file is not uploaded, and an excluded object is not
/// deleted by `--delete`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(Vec<Filter>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    pattern: Pattern,
    admits: bool,
}

impl Filters {
    /// Leaves out what matches, unless a later pattern takes it in again.
    pub fn exclude(&mut self, pattern: &str) {
        self.add(pattern, false);
    }

    /// Takes in again what matches, unless a later pattern leaves it out.
    pub fn include(&mut self, pattern: &str) {
        self.add(pattern, true);
    }

    /// Whether the file at this path below LOCAL_PATH, or the object with this key below the prefix, takes part.
    pub fn admits(&self, relative: &str) -> bool {
        self.0
            .iter()
            .rfind(|filter| filter.pattern.matches(relative))
            .is_none_or(|filter| filter.admits)
    }

    fn add(&mut self, pattern: &str, admits: bool) {
        self.0.push(Filter {
            pattern: Pattern::new(pattern),
            admits,
        });
    }
}

/// A pattern of `fnmatch.fnmatchcase`: every text is one. <https://docs.python.org/3/library/fnmatch.html>
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// `*`: any characters, `/` among them, or none.
    Star,
    /// `?`: one character, whichever.
    Any,
    /// This character.
    One(char),
    /// `[…]`: a character in one of the ranges, or for `[!…]` in none of them.
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    fn new(text: &str) -> Self {
        let mut tokens = Vec::new();
        let mut rest = text.chars();
        while let Some(each) = rest.next() {
            tokens.push(match each {
                '*' => Token::Star,
                '?' => Token::Any,
                // A bracket that nothing closes is a bracket.
                '[' => set(&mut rest).unwrap_or(Token::One('[')),
                other => Token::One(other),
            });
        }
        Self(tokens)
    }

    fn matches(&self, text: &str) -> bool {
        let (mut tokens, mut rest) = (self.0.as_slice(), text.chars());
        // What follows the last star, and where in the text that was tried last. Only the last one is ever moved:
        // whatever an earlier star could still take, the last one can take as well.
        let mut star: Option<(&[Token], Chars<'_>)> = None;
        loop {
            match tokens.split_first() {
                Some((Token::Star, after)) => {
                    tokens = after;
                    star = Some((after, rest.clone()));
                    continue;
                }
                Some((token, after)) => {
                    let mut next = rest.clone();
                    if next.next().is_some_and(|each| token.matches(each)) {
                        (tokens, rest) = (after, next);
                        continue;
                    }
                }
                None if rest.as_str().is_empty() => return true,
                None => {}
            }
            let Some((after, tried)) = &mut star else {
                return false;
            };
            if tried.next().is_none() {
                return false;
            }
            (tokens, rest) = (*after, tried.clone());
        }
    }
}

impl Token {
    fn matches(&self, each: char) -> bool {
        match self {
            Self::Star | Self::Any => true,
            Self::One(one) => *one == each,
            Self::Set { negated, ranges } => {
                let is_in = ranges
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&each));
                is_in != *negated
            }
        }
    }
}

/// The set after a `[`, moving past its `]`; nothing, and not moving, if there is no `]`.
fn set(rest: &mut Chars<'_>) -> Option<Token> {
    let text = rest.as_str();
    let inside = text.strip_prefix('!').unwrap_or(text);
    let negated = inside.len() < text.len();
    // A `]` that comes first is a member: the set would be empty otherwise.
    let first = inside.chars().next()?;
    let end = first.len_utf8() + inside[first.len_utf8()..].find(']')?;
    let members: Vec<char> = inside[..end].chars().collect();
    *rest = inside[end + 1..].chars();
    let mut ranges = Vec::new();
    let mut members = members.as_slice();
    // A range that runs backwards, such as `z-a`, stays here and holds nothing, as in Python since 3.10.
    while let [first, after @ ..] = members {
        let (last, after) = match after {
            ['-', last, after @ ..] => (last, after),
            _ => (first, after),
        };
        ranges.push((*first, *last));
        members = after;
    }
    Some(Token::Set { negated, ranges })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pattern, text, and what `fnmatch.fnmatchcase(text, pattern)` of Python 3.11 says.
    const PYTHON: &[(&str, &str, bool)] = &[
        ("*", "index.html", true),
        ("*", "a/b/c.txt", true),
        ("*", "", true),
        ("", "", true),
        ("", "a", false),
        ("?", "", false),
        ("?", "/", true),
        ("?", "é", true),
        ("??", "é", false),
        ("*.html", "index.html", true),
        ("*.html", "docs/index.html", true),
        ("*.html", "index.html.bak", false),
        ("*.html", ".html", true),
        ("*.HTML", "index.html", false),
        ("index.html", "docs/index.html", false),
        ("*/index.html", "index.html", false),
        ("*/index.html", "a/b/index.html", true),
        ("docs/*", "docs/a/b", true),
        ("docs/*", "docs", false),
        ("docs/*", "docs/", true),
        ("docs/", "docs/a", false),
        ("docs", "docs/a", false),
        ("**/*.js", "a.js", false),
        ("**/*.js", "a/b.js", true),
        ("a**b", "ab", true),
        ("a*b*c", "a/b/x/c", true),
        ("a*b*c", "acb", false),
        ("*a*b", "aXbXab", true),
        ("*ab", "aab", true),
        ("*.git/*", ".git/config", true),
        ("*.git/*", "x/.git/config", true),
        (".*", ".env", true),
        ("*", ".env", true),
        ("a?c", "a/c", true),
        ("a?c", "ac", false),
        ("[abc].js", "b.js", true),
        ("[abc].js", "d.js", false),
        ("[!abc].js", "d.js", true),
        ("[!abc].js", "a.js", false),
        ("[!a]", "/", true),
        ("[^a]", "a", true),
        ("[^a]", "^", true),
        ("[^a]", "b", false),
        ("[a-c]x", "bx", true),
        ("[a-c]x", "dx", false),
        ("[!a-c]x", "dx", true),
        ("[c-a]", "b", false),
        ("[c-a]", "-", false),
        ("[!c-a]", "b", true),
        ("[a-]", "-", true),
        ("[-a]", "-", true),
        ("[!-a]", "-", false),
        ("[]]", "]", true),
        ("[!]]", "]", false),
        ("[!]]", "a", true),
        ("[]-a]", "^", true),
        ("[]", "[]", true),
        ("[!]", "[!]", true),
        ("[", "[", true),
        ("a[b", "a[b", true),
        ("a[", "a[", true),
        ("[a", "a", false),
        ("[[]", "[", true),
        ("[[]a]", "[a]", true),
        ("[a]]", "a]", true),
        ("[*]", "*", true),
        ("[*]", "a", false),
        ("[?]", "?", true),
        ("[/]", "/", true),
        ("\\*", "*", false),
        ("\\*", "\\x", true),
        ("a\\b", "a\\b", true),
        ("[\\]", "\\", true),
        ("[a\\]]", "\\]", true),
        ("[\\-a]", "]", true),
        ("{a,b}", "a", false),
        ("{a,b}", "{a,b}", true),
        ("*.{js,css}", "a.js", false),
        ("*.{js,css}", "a.{js,css}", true),
        ("a.c", "abc", false),
        ("a+b", "a+b", true),
        ("a+b", "aab", false),
        ("(a|b)", "a", false),
        ("^a$", "a", false),
        ("$NAME", "$NAME", true),
        ("a\nb", "a\nb", true),
        ("*", "a\nb", true),
        ("a", "a\n", false),
        ("[a-z-9]", "-", true),
        ("[a-z-9]", "5", false),
        ("[a-c-e]", "d", false),
        ("[--a]", "A", true),
        ("[a&&b]", "&", true),
        ("[é-ü]", "ö", true),
        ("*ö*", "schön", true),
        ("[!!]", "!", false),
        ("[a!]", "!", true),
    ];

    #[test]
    fn patterns_match_as_in_python() {
        for (pattern, text, expected) in PYTHON {
            assert_eq!(
                Pattern::new(pattern).matches(text),
                *expected,
                "{pattern:?} {text:?}"
            );
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = Pattern::new(&"*a".repeat(200));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(1000))));
    }

    #[test]
    fn without_patterns_everything_takes_part() {
        assert!(Filters::default().admits("index.html"));
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let mut only_html = Filters::default();
        only_html.exclude("*");
        only_html.include("*.html");
        assert!(only_html.admits("index.html") && only_html.admits("docs/index.html"));
        assert!(!only_html.admits("app.js"));

        let mut nothing = Filters::default();
        nothing.include("*.html");
        nothing.exclude("*");
        assert!(!nothing.admits("index.html") && !nothing.admits("app.js"));

        let mut alternating = Filters::default();
        alternating.exclude("docs/*");
        alternating.include("docs/api/*");
        alternating.exclude("*.map");
        assert!(alternating.admits("index.html") && alternating.admits("docs/api/index.html"));
        assert!(!alternating.admits("docs/index.html") && !alternating.admits("docs/api/a.map"));
    }

    #[test]
    fn an_include_alone_leaves_nothing_out() {
        let mut filters = Filters::default();
        filters.include("*.html");
        assert!(filters.admits("app.js"));
    }
}
