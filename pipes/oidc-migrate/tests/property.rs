//! Generated pipeline files: whatever their style, the tree differs only as intended, lines that have nothing to do with
//! keys are byte-identical, each step whose pipe got a role gets a token, and a second run changes nothing.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a failed test")]

use oidc_migrate::pipe_edit::Target;
use oidc_migrate::rewrite;
use proptest::prelude::*;
use similar::{ChangeTag, TextDiff};
use yaml_serde::Value;

const KEYS: [&str; 3] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];
const ROLE: &str = "AWS_OIDC_ROLE_ARN";

/// How a file is written; its meaning does not depend on it.
#[derive(Clone, Debug)]
struct Style {
    indent: usize,
    newline: &'static str,
    ends_with_newline: bool,
    mark: bool,
}

#[derive(Clone, Debug)]
struct Pipe {
    reference: &'static str,
    /// Name and value in the order of the file, written as they are.
    variables: Vec<(&'static str, String)>,
    is_flow: bool,
    noise: u8,
}

#[derive(Clone, Debug)]
struct Step {
    name: Option<&'static str>,
    deployment: Option<&'static str>,
    oidc: Option<&'static str>,
    items: Vec<Result<Pipe, &'static str>>,
    is_anchored: bool,
    noise: u8,
}

fn style() -> impl Strategy<Value = Style> {
    (1..5_usize, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(indent, crlf, ends_with_newline, mark)| Style {
            indent,
            newline: if crlf { "\r\n" } else { "\n" },
            ends_with_newline,
            mark,
        },
    )
}

fn value(name: &'static str) -> impl Strategy<Value = String> {
    let written = prop_oneof![
        Just(format!("${name}")),
        Just(format!("'${name}'")),
        Just(format!("\"${{{name}}}\"")),
        Just(format!("${name}_STAGING")),
    ];
    (
        written,
        prop_oneof![4 => Just(""), 1 => Just("  # secret"), 1 => Just("  ")],
    )
        .prop_map(|(written, behind)| written + behind)
}

fn pipe() -> impl Strategy<Value = Pipe> {
    let reference = prop_oneof![
        Just("atlassian/aws-s3-deploy:1.1.0"),
        Just("atlassian/aws-s3-deploy:0.3.8"),
        Just("'atlassian/aws-ecs-deploy:1.8.0'"),
        Just("docker://bitbucketpipelines/aws-lambda-deploy:1.0.0"),
        Just("keylesspipes/s3-deploy:0.1.0"),
        Just("atlassian/slack-notify:2.0.0"),
        Just("acme/aws-thing:1.0.0"),
    ];
    let keys = (
        any::<[bool; 3]>(),
        value(KEYS[0]),
        value(KEYS[1]),
        value(KEYS[2]),
    )
        .prop_map(|(has, id, secret, session)| {
            let all = KEYS.into_iter().zip([id, secret, session]).zip(has);
            all.filter(|(_, has)| *has)
                .map(|(entry, _)| entry)
                .collect::<Vec<_>>()
        });
    let others = prop::sample::subsequence(
        vec![
            ("S3_BUCKET", "site"),
            ("LOCAL_PATH", "'dist'"),
            ("EXTRA_ARGS", "\"--exclude=*.map\""),
            ("WAIT", "true"),
        ],
        0..4,
    );
    (
        reference,
        keys,
        others,
        any::<bool>(),
        any::<u8>(),
        any::<prop::sample::Index>(),
        any::<bool>(),
    )
        .prop_map(|(reference, keys, others, flow, noise, at, has_role)| {
            let mut variables: Vec<(&str, String)> = others
                .into_iter()
                .map(|(name, value)| (name, value.to_owned()))
                .collect();
            for entry in keys {
                variables.insert(at.index(variables.len() + 1), entry);
            }
            if has_role && noise.is_multiple_of(4) {
                variables.push((ROLE, format!("${ROLE}")));
            }
            Pipe {
                reference,
                variables,
                is_flow: flow && noise.is_multiple_of(3),
                noise,
            }
        })
}

fn step() -> impl Strategy<Value = Step> {
    let name = prop_oneof![
        Just(None),
        Just(Some("Deploy")),
        Just(Some("'Deploy: é 🚀'")),
        Just(Some("Deploy  # why"))
    ];
    let deployment = prop_oneof![Just(None), Just(Some("staging")), Just(Some("production"))];
    let oidc = prop_oneof![6 => Just(None), 1 => Just(Some("true")), 1 => Just(Some("false"))];
    let item = prop_oneof![
        2 => pipe().prop_map(Ok),
        1 => prop_oneof![Just("npm ci"), Just("aws s3 ls"), Just("'echo \"a: b\"'"), Just("|\n  set -e\n  make")].prop_map(Err),
    ];
    (
        name,
        deployment,
        oidc,
        prop::collection::vec(item, 1..4),
        any::<bool>(),
        any::<u8>(),
    )
        .prop_map(|(name, deployment, oidc, items, is_anchored, noise)| Step {
            name,
            deployment,
            oidc,
            items,
            is_anchored,
            noise,
        })
}

struct Writer {
    style: Style,
    lines: Vec<String>,
}

impl Writer {
    fn line(&mut self, depth: usize, text: &str) {
        for part in text.lines() {
            self.lines
                .push(" ".repeat(depth * self.style.indent) + part);
        }
    }

    fn noise(&mut self, noise: u8, bit: u8) {
        if noise >> bit & 1 == 1 {
            self.lines
                .push(["", "  # a comment", "   "][usize::from(noise % 3)].to_owned());
        }
    }

    /// An item's further lines stand below its first word, two columns behind the dash.
    fn deeper(&mut self, depth: usize, column: usize, text: &str) {
        self.lines
            .push(" ".repeat(depth * self.style.indent + column) + text);
    }

    fn pipe(&mut self, depth: usize, pipe: &Pipe) {
        self.line(depth, &format!("- pipe: {}", pipe.reference));
        self.noise(pipe.noise, 4);
        if pipe.variables.is_empty() && pipe.noise.is_multiple_of(2) {
            return;
        }
        if pipe.is_flow {
            let bare = |value: &str| value.split("  ").next().unwrap_or_default().to_owned();
            let entries: Vec<String> = pipe
                .variables
                .iter()
                .map(|(name, value)| format!("{name}: {}", bare(value)))
                .collect();
            self.deeper(depth, 2, &format!("variables: {{{}}}", entries.join(", ")));
            return;
        }
        self.deeper(depth, 2, "variables:");
        for (index, (name, value)) in pipe.variables.iter().enumerate() {
            self.noise(pipe.noise, u8::try_from(index).unwrap_or_default() % 8);
            self.deeper(depth, 2 + self.style.indent, &format!("{name}: {value}"));
        }
    }

    fn step(&mut self, depth: usize, step: &Step) {
        for (key, value) in [
            ("name", step.name),
            ("deployment", step.deployment),
            ("oidc", step.oidc),
        ] {
            if let Some(value) = value {
                self.line(depth, &format!("{key}: {value}"));
            }
            self.noise(step.noise, 2);
        }
        self.line(depth, "script:");
        for item in &step.items {
            match item {
                Ok(pipe) => self.pipe(depth + 1, pipe),
                Err(command) => {
                    let (first, rest) = command.split_once('\n').unwrap_or((command, ""));
                    self.line(depth + 1, &format!("- {first}"));
                    for line in rest.lines() {
                        self.deeper(depth + 1, 2, line);
                    }
                }
            }
        }
    }
}

fn written(style: &Style, steps: &[Step]) -> String {
    let mut writer = Writer {
        style: style.clone(),
        lines: Vec::new(),
    };
    if steps.iter().any(|step| step.is_anchored) {
        writer.line(0, "definitions:");
        writer.line(1, "steps:");
        for (number, step) in steps
            .iter()
            .enumerate()
            .filter(|(_, step)| step.is_anchored)
        {
            writer.line(2, &format!("- step: &step{number}"));
            writer.step(5, step);
        }
    }
    writer.line(0, "pipelines:");
    writer.line(1, "default:");
    for (number, step) in steps.iter().enumerate() {
        if !step.is_anchored {
            writer.line(2, "- step:");
            writer.step(5, step);
        } else if step.noise.is_multiple_of(2) {
            writer.line(2, &format!("- step: *step{number}"));
        } else {
            writer.line(2, "- step:");
            writer.line(5, &format!("<<: *step{number}"));
            writer.line(5, "deployment: production");
        }
    }
    let mut text = if style.mark {
        "\u{feff}".to_owned()
    } else {
        String::new()
    };
    text += &writer.lines.join(style.newline);
    if style.ends_with_newline {
        text += style.newline;
    }
    text
}

fn tree(text: &str) -> Value {
    let mut tree: Value = yaml_serde::from_str(text.trim_start_matches('\u{feff}')).unwrap();
    tree.apply_merge().unwrap();
    tree
}

/// All steps of a tree.
fn steps_of(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Mapping(entries) => {
            if entries.contains_key("script") {
                found.push(value.clone());
            }
            entries.values().for_each(|value| steps_of(value, found));
        }
        Value::Sequence(items) => items.iter().for_each(|value| steps_of(value, found)),
        _ => {}
    }
}

/// A step without what an edit may change, and whether each of its pipes has keys and a role.
fn reduced(step: &Value) -> (Value, Vec<(bool, bool)>) {
    let mut step = step.clone();
    let mut pipes = Vec::new();
    let entries = step.as_mapping_mut().unwrap();
    if entries.get("oidc") == Some(&Value::from(true)) {
        entries.shift_remove("oidc");
    }
    let script = entries
        .get_mut("script")
        .unwrap()
        .as_sequence_mut()
        .unwrap();
    for item in script.iter_mut().filter_map(Value::as_mapping_mut) {
        let reference = item.get("pipe").unwrap().as_str().unwrap();
        let name = reference.rsplit_once(':').unwrap().0.to_owned();
        item.insert("pipe".into(), name.into());
        let mut has = (false, false);
        let emptied = match item.get_mut("variables") {
            Some(Value::Mapping(variables)) => {
                has.0 = KEYS.iter().any(|key| variables.contains_key(*key));
                has.1 = variables.contains_key(ROLE);
                for name in KEYS.iter().chain([&ROLE]) {
                    variables.shift_remove(*name);
                }
                variables.is_empty()
            }
            Some(Value::Null) => true,
            _ => false,
        };
        if emptied {
            item.shift_remove("variables");
        }
        pipes.push(has);
    }
    (step, pipes)
}

fn is_about_keys(line: &str) -> bool {
    let line = line.trim();
    KEYS.iter().any(|key| line.starts_with(key))
        || [ROLE, "oidc: true", "variables:", "script:", "- pipe:"]
            .iter()
            .any(|word| line.starts_with(word))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_changes_what_it_should_and_nothing_else(
        style in style(),
        steps in prop::collection::vec(step(), 1..5),
        to_ours in any::<bool>(),
    ) {
        let target = if to_ours { Target::Ours } else { Target::Keep };
        let before = written(&style, &steps);
        let rewrite = rewrite::for_target(&before, target).unwrap();
        let after = rewrite.text;
        prop_assert!(
            !rewrite.left.iter().any(|item| item.text.contains("whole file")),
            "{:?}\n{before}", rewrite.left
        );

        let (mut old, mut new) = (Vec::new(), Vec::new());
        steps_of(&tree(&before), &mut old);
        steps_of(&tree(&after), &mut new);
        prop_assert_eq!(old.len(), new.len());
        for (old, new) in old.iter().zip(&new) {
            let ((same, had), (rest, has)) = (reduced(old), reduced(new));
            let plain = |value: &Value| serde_json::to_string(value).unwrap().replace("keylesspipes/", "").replace("atlassian/aws-", "").replace("bitbucketpipelines/aws-", "");
            prop_assert_eq!(plain(&same), plain(&rest), "{}\n{}", before, after);
            let got_role = had.iter().zip(&has).any(|(had, has)| has.1 && !had.1 || had.0 && !has.0);
            let has_token = new.get("oidc").is_some_and(|oidc| oidc == &Value::from(true));
            prop_assert!(!got_role || has_token, "{}", after);
            for (had, has) in had.iter().zip(&has) {
                prop_assert!(!has.0 || had.0, "keys came");
                prop_assert!(!had.0 || has.0 || has.1, "keys went and no role came:\n{}", after);
            }
        }

        // Whether the last line has a break is looked at below: it stays, whichever line is the last one then.
        let missing = if before.ends_with('\n') { "" } else { style.newline };
        let whole = |text: &str| text.to_owned() + missing;
        let (old, new) = (whole(&before), whole(&after));
        let diff = TextDiff::from_lines(&old, &new);
        for change in diff.iter_all_changes().filter(|change| change.tag() != ChangeTag::Equal) {
            prop_assert!(is_about_keys(change.value().trim_start_matches('\u{feff}')), "{:?}\n{before}\n{after}", change.value());
        }
        // A last line without a break takes the break before it along: an empty line before it is then the end.
        let loses_last_line = before.lines().last().is_some_and(is_about_keys);
        prop_assert!(before.ends_with('\n') == after.ends_with('\n') || !before.ends_with('\n') && loses_last_line);
        prop_assert_eq!(after.contains('\r'), before.contains('\r'));
        if style.newline == "\r\n" {
            prop_assert_eq!(after.matches('\n').count(), after.matches("\r\n").count());
        }

        let again = rewrite::for_target(&after, target).unwrap();
        prop_assert_eq!(again.text, after);
    }

    #[test]
    fn no_text_makes_it_panic(text in "([ \\n\\t]|- |pipelines:|step:|script:|pipe: |variables:|AWS_ACCESS_KEY_ID: |&a |\\*a|<<: |[\\[\\]{},'\"|>#?!%@`]|\\r|[a-z\u{e9}\u{1f680}]){0,60}") {
        let _ = rewrite::of_text(&text);
        let _ = rewrite::of_text(&format!("pipelines:\n  default:\n    - step:\n        script:\n          {text}"));
    }
}
