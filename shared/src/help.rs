//! The text of `--help`: the README's first paragraph and its section on variables, laid out for a terminal.
//! It is made of the README itself, so that a test which holds that in step with the code holds this too.

use std::fmt::Write as _;

/// Columns of the text; log viewers and terminals both have them.
const WIDTH: usize = 100;

/// The help of a pipe: what it is, how it is called, and every variable with its default and meaning.
#[must_use]
pub fn help(pipe: &str, version: &str, readme: &str) -> String {
    let mut text = format!("{pipe} {version}\n\n");
    paragraph(&mut text, &first_paragraph(readme), 0);
    let _ = write!(
        text,
        "\nIt is set up with environment variables and takes no arguments but these:\n\
         \x20 -h, --help     print this\n\
         \x20 -V, --version  print name and version\n\n"
    );
    text.push_str(&variables(readme));
    text
}

/// The section on variables alone, for a pipe that has arguments of its own.
#[must_use]
pub fn variables(readme: &str) -> String {
    let lines = readme
        .lines()
        .skip_while(|line| *line != "## Variables")
        .skip(1)
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.starts_with("## "));
    let mut text = String::new();
    section(&mut text, lines);
    text.truncate(text.trim_end().len());
    text
}

fn first_paragraph(readme: &str) -> String {
    let lines = readme
        .lines()
        .skip_while(|line| line.is_empty() || line.starts_with('#'))
        .take_while(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// Paragraphs are wrapped anew, rows of tables become entries, and code stays as it is.
fn section<'a>(text: &mut String, lines: impl Iterator<Item = &'a str>) {
    let mut words = String::new();
    let mut in_code = false;
    for line in lines {
        let is_fence = line.starts_with("```");
        if in_code && !is_fence {
            let _ = writeln!(text, "    {line}");
            continue;
        }
        if is_fence || line.is_empty() || line.starts_with('|') {
            paragraph(text, &std::mem::take(&mut words), 0);
        } else {
            // A subheading is a paragraph of its own; so is each point of a list.
            if line.starts_with("- ") {
                paragraph(text, &std::mem::take(&mut words), 0);
            }
            words.push_str(line.trim_start_matches('#').trim_start());
            words.push(' ');
            continue;
        }
        if is_fence {
            in_code = !in_code;
        } else if line.is_empty() {
            if !text.ends_with("\n\n") {
                text.push('\n');
            }
        } else {
            row(text, line);
        }
    }
    paragraph(text, &words, 0);
}

/// One row: the name with its default on a line, the meaning under it. The rows that make the head are left out.
fn row(text: &mut String, line: &str) {
    let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [name, default, meaning] = cells[..] else {
        return;
    };
    if !name.starts_with('`') {
        return;
    }
    let mut title = name.replace('`', "");
    if !default.is_empty() && default != "none" {
        let _ = write!(title, "  [{}]", default.replace('`', ""));
    }
    let _ = writeln!(text, "  {title}");
    paragraph(text, meaning, 6);
}

/// Words in lines of at most [`WIDTH`] columns, each behind `indent` blanks.
fn paragraph(text: &mut String, words: &str, indent: usize) {
    let words = without_links(words);
    let mut column = 0;
    for word in words.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > WIDTH {
            text.push('\n');
            column = 0;
        }
        if column == 0 {
            text.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    if column > 0 {
        text.push('\n');
    }
}

/// `[text](target)` as `text`: its targets are files that an image does not have. Emphasis goes too.
fn without_links(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, link)) = rest.split_once('[') {
        text.push_str(before);
        rest = match link.split_once("](") {
            Some((name, target)) if !name.contains('[') => {
                text.push_str(name);
                target.split_once(')').map_or("", |(_, behind)| behind)
            }
            _ => {
                text.push('[');
                link
            }
        };
    }
    text.push_str(rest);
    text.replace("**", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_on_variables_is_laid_out_for_a_terminal() {
        let readme = "# sample\n\nMakes a sample\nof **it**.\n\n## Example\n\n`X=1`\n\n## Variables\n\n`(*)` has to be given.\n\n\
            | Variable | Default | Meaning |\n|---|---|---|\n| `NAME` (*) | | list of [names](names.md), `a` or `b` |\n\
            | `FLAG` | `false` | do it |\n| `OTHER` | none | a meaning that is so long that it has to go on in a second \
            line, since no terminal is as wide as this |\n\nA list `[a]` of things:\n\n- one,\n  and more\n- two\n\n```yaml\n- a:  1\n```\n\n\
            ### The way\n\nEnd.\n\n## IAM policy\n\nnot this\n";
        insta::assert_snapshot!(help("sample", "1.2.3", readme), @"
        sample 1.2.3

        Makes a sample of it.

        It is set up with environment variables and takes no arguments but these:
          -h, --help     print this
          -V, --version  print name and version

        `(*)` has to be given.

          NAME (*)
              list of names, `a` or `b`
          FLAG  [false]
              do it
          OTHER
              a meaning that is so long that it has to go on in a second line, since no terminal is as wide
              as this

        A list `[a]` of things:

        - one, and more
        - two

            - a:  1

        The way

        End.
        ");
    }
}
