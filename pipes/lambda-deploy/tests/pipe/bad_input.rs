//! Wrong input: one line, a hint, and nothing was changed.

use crate::step::{Step, answering, failed, last_line, text, zip};

#[track_caller]
fn refused(step: &Step, zip_file: &str) -> String {
    step.proxy.clear();
    let output = step
        .pipe()
        .env("COMMAND", "update")
        .env("ZIP_FILE", zip_file)
        .run();
    let plain = failed(&output);
    assert_eq!(last_line(&output), "  nothing was changed", "{plain}");
    assert!(plain.contains("hint: "), "{plain}");
    assert_eq!(step.changes(), [] as [&str; 0]);
    let at = plain.find('✖').unwrap();
    plain[at..].to_owned()
}

#[test]
fn archives_that_cannot_work() {
    let step = Step::new();
    let write = |name: &str, content: &[u8]| text(&step.file(name, content)).to_owned();
    let good = answering("x");
    let archive = |name: &str, files: &[(&str, &str)]| write(name, &zip(files));
    for (path, expected) in [
        (write("text.zip", b"not a zip"), "zip"),
        (archive("empty.zip", &[]), "empty"),
        (
            archive("traversal.zip", &[("../app.py", &good)]),
            "../app.py",
        ),
        (
            archive("twice.zip", &[("app.py", &good), ("app.py", &good)]),
            "twice",
        ),
        (archive("other.zip", &[("main.py", &good)]), "app.py"),
        ("absent.zip".to_owned(), "absent.zip"),
    ] {
        let message = refused(&step, &path);
        assert!(message.contains(expected), "{path}: {message}");
        println!("{message}");
    }
}

#[test]
fn binaries_of_another_processor() {
    let step = Step::new();
    step.file("source/app.py", answering("x"));
    // The head of an ELF file for AArch64.
    let mut elf = vec![
        0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 183, 0,
    ];
    elf.resize(64, 0);
    step.file("source/native/module.so", elf);
    let message = refused(&step, text(&step.directory.path().join("source")));
    assert!(message.contains("native/module.so"), "{message}");
}

#[test]
fn a_version_that_does_not_exist() {
    let step = Step::new();
    let output = step
        .pipe()
        .env("COMMAND", "alias")
        .env("ALIAS", "live")
        .env("VERSION", "12")
        .run();
    let plain = failed(&output);
    assert!(
        plain.contains(&format!(
            "✖ `{}` has no version 12\n  hint: no version has been published yet",
            step.function
        )),
        "{plain}"
    );
    assert_eq!(last_line(&output), "  nothing was changed");
}

#[test]
fn a_function_that_does_not_exist_is_answered_with_near_names() {
    let step = Step::new();
    let mut name = step.function.clone();
    name.pop();
    let output = step
        .pipe()
        .env("COMMAND", "update")
        .env("FUNCTION_NAME", &name)
        .env("ZIP_FILE", step.zip("a.zip", "x"))
        .run();
    let plain = failed(&output);
    assert!(
        plain.contains(&format!("✖ there is no function `{name}` in us-east-1"))
            && plain.contains(&format!("did you mean `{}`", step.function)),
        "{plain}"
    );
    assert_eq!(last_line(&output), "  nothing was changed");
}

#[test]
fn a_configuration_file_with_faults() {
    let step = Step::new();
    for (content, expected) in [
        ("{\"MemorySize\": 256,", "configuration.json"),
        ("{\"Timout\": 5}", "did you mean `Timeout`?"),
        ("[1]", "is not an object"),
        (
            "{\"FunctionName\": \"payments\"}",
            "is of function \"payments\"",
        ),
        ("{\"Role\": \"${NOBODY_SET_THIS}\"}", "NOBODY_SET_THIS"),
    ] {
        let file = step.file("configuration.json", content);
        let output = step
            .pipe()
            .env("COMMAND", "update")
            .env("FUNCTION_CONFIGURATION", text(&file))
            .run();
        let plain = failed(&output);
        assert!(plain.contains(expected), "{plain}");
        assert_eq!(last_line(&output), "  nothing was changed");
    }
}
