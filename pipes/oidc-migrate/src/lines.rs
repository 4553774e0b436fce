//! A text becomes its lines, each with the break that ends it, so that they can be put together again byte by byte.
//! YAML 1.2 knows three breaks (section 5.4): LF, CR LF, and a lone CR.

/// One line and what ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'text> {
    /// Without the break.
    pub content: &'text str,
    /// `\n`, `\r\n`, `\r`, or nothing for a last line without one.
    pub ending: &'text str,
}

/// The lines of a text; no line for an empty rest behind the last break.
#[must_use]
pub fn split(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let (content, behind) = rest.split_at(end);
        let length = if behind.starts_with("\r\n") {
            2
        } else {
            behind.len().min(1)
        };
        let (ending, next) = behind.split_at(length);
        lines.push(Line { content, ending });
        rest = next;
    }
    lines
}

/// The lines of a text, and what is behind the last break as one more, be it empty: two texts with the same lines are the
/// same to their last byte.
#[must_use]
pub fn with_end(text: &str) -> Vec<Line<'_>> {
    let mut lines = split(text);
    if lines.last().is_none_or(|line| !line.ending.is_empty()) {
        lines.push(Line {
            content: "",
            ending: "",
        });
    }
    lines
}

/// Where in the line its character number `column` (from 0) begins, in bytes.
#[must_use]
pub fn byte_of(content: &str, column: usize) -> usize {
    content
        .char_indices()
        .nth(column)
        .map_or(content.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_put_together_are_the_text() {
        for text in [
            "",
            "a",
            "a\n",
            "\n\n",
            "a\r\nb",
            "a\rb\r",
            "a\r\r\nb\n\r",
            "é\n",
        ] {
            let together: String = split(text)
                .iter()
                .map(|line| line.content.to_owned() + line.ending)
                .collect();
            assert_eq!(together, text);
        }
        assert_eq!(split("a\r\nb\rc\n\n").len(), 4);
    }
}
