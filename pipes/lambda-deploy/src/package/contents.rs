//! Whether a function could start with what an archive holds: the file of its handler is there, and its native binaries
//! are for its processor. Lambda takes such an archive without a word and fails each call.

use shared::Failure;

use super::elf::Machine;

/// Binaries that are named in one message.
const NAMED: usize = 3;

/// One entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// With `/` between the parts, and one at the end of a directory.
    pub name: String,
    /// What it is.
    pub kind: ItemKind,
    /// When unpacked, in bytes.
    pub size: u64,
    /// Whether it may be executed.
    pub executable: bool,
    /// Whether others than its owner may read it.
    pub readable: bool,
    /// The processor that it is for, if it is a native binary.
    pub machine: Option<Machine>,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// A file.
    File,
    /// A symbolic link.
    Link,
    /// A directory.
    Directory,
}

/// Lambda's two processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Architecture {
    /// The default.
    #[default]
    X86_64,
    /// Graviton.
    Arm64,
}

impl Architecture {
    const fn machine(self) -> Machine {
        match self {
            Self::X86_64 => Machine::X86_64,
            Self::Arm64 => Machine::Arm64,
        }
    }
}

/// The function as it will be, as far as its code has to fit it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Target<'a> {
    /// Such as `python3.13`.
    pub runtime: Option<&'a str>,
    /// Such as `app.handler`.
    pub handler: Option<&'a str>,
    /// Its processor.
    pub architecture: Architecture,
    /// Whether it has layers, in which the handler may be.
    pub has_layers: bool,
}

/// Looks at handler, modes and processors. Gives what looks wrong and may yet be right.
///
/// # Errors
/// When the function could not start.
pub fn check(items: &[Item], target: &Target<'_>) -> Result<Vec<String>, Failure> {
    let mut warnings = Vec::new();
    if !target.has_layers {
        check_handler(items, target)?;
    }
    let unreadable: Vec<&Item> = items.iter().filter(|item| !item.readable).collect();
    if !unreadable.is_empty() {
        warnings.push(format!(
            "only their owner may read these in the archive, and Lambda runs functions as another user: {}; \
             `chmod -R a+rX` before they are packed",
            some(&unreadable)
        ));
    }
    warnings.extend(check_machines(items, target.architecture)?);
    Ok(warnings)
}

fn check_handler(items: &[Item], target: &Target<'_>) -> Result<(), Failure> {
    let runtime = target.runtime.unwrap_or_default();
    let handler = target.handler.unwrap_or_default();
    if runtime.starts_with("provided") || runtime.starts_with("go") {
        let name = if runtime.starts_with("go") {
            handler
        } else {
            "bootstrap"
        };
        return check_executable(items, name, runtime);
    }
    let Some(wanted) = Wanted::of(runtime, handler) else {
        return Ok(());
    };
    if items.iter().any(|item| wanted.is(&item.name)) {
        return Ok(());
    }
    let failure = Failure::new(format!(
        "the handler `{handler}` is not in the package: `{runtime}` looks for `{}`",
        wanted.shown()
    ));
    let elsewhere = items.iter().find(|item| wanted.is_in_directory(&item.name));
    Err(match elsewhere {
        Some(item) => failure.hint(format!(
            "it has `{}`; pack what is in that directory, not the directory, or set HANDLER",
            item.name
        )),
        None => failure.hint("set HANDLER to the file and function that the package has"),
    })
}

fn check_executable(items: &[Item], name: &str, runtime: &str) -> Result<(), Failure> {
    let Some(item) = items.iter().find(|item| item.name == name) else {
        let elsewhere = items
            .iter()
            .find(|item| item.name.rsplit('/').next() == Some(name));
        let failure = Failure::new(format!(
            "`{name}` is not in the package, and `{runtime}` runs it"
        ));
        return Err(match elsewhere {
            Some(item) => failure.hint(format!(
                "it has `{}`; it has to be at the top: pack what is in that directory",
                item.name
            )),
            None => failure.hint(format!("name the program `{name}` and put it at the top")),
        });
    };
    if item.executable {
        return Ok(());
    }
    Err(Failure::new(format!(
        "`{name}` in the package is not executable, and `{runtime}` runs it"
    ))
    .hint(format!("`chmod +x {name}` before it is packed")))
}

/// The file that a runtime takes the handler from.
struct Wanted {
    /// Its path without what follows.
    stem: String,
    /// What may follow; the first is the usual one.
    endings: &'static [&'static str],
}

impl Wanted {
    /// For runtimes that find it by its name; nothing for others, and for a handler in a place of its own.
    fn of(runtime: &str, handler: &str) -> Option<Self> {
        if handler.is_empty() || handler.starts_with('/') {
            return None;
        }
        let (directory, file) = handler
            .rsplit_once('/')
            .map_or(("", handler), |(directory, file)| (directory, file));
        let under = |file: &str| match directory {
            "" => file.to_owned(),
            directory => format!("{}/{file}", directory.trim_start_matches("./")),
        };
        if runtime.starts_with("python") {
            // The module may have dots, the function has none.
            let (module, _) = file.rsplit_once('.')?;
            return Some(Self {
                stem: under(&module.replace('.', "/")),
                endings: &[
                    ".py",
                    "/__init__.py",
                    ".pyc",
                    ".so",
                    ".cpython-",
                    ".abi3.so",
                ],
            });
        }
        let (file, _) = file.split_once('.')?;
        let endings: &[&str] = if runtime.starts_with("nodejs") {
            &[
                ".js",
                ".mjs",
                ".cjs",
                ".ts",
                ".mts",
                ".cts",
                "/index.js",
                "/package.json",
            ]
        } else if runtime.starts_with("ruby") {
            &[".rb"]
        } else {
            return None;
        };
        Some(Self {
            stem: under(file),
            endings,
        })
    }

    fn is(&self, name: &str) -> bool {
        name.strip_prefix(&self.stem).is_some_and(|rest| {
            self.endings
                .iter()
                .any(|ending| rest == *ending || ending.ends_with('-') && rest.starts_with(ending))
        })
    }

    fn is_in_directory(&self, name: &str) -> bool {
        name.split_once('/')
            .is_some_and(|(_, inside)| self.is(inside) || self.is_in_directory(inside))
    }

    fn shown(&self) -> String {
        [&self.stem, self.endings[0]].concat()
    }
}

/// Binaries for several processors side by side are how many packages are published, and the right one is picked when
/// they start. So it is an error only when there is none for the function's processor.
fn check_machines(items: &[Item], architecture: Architecture) -> Result<Option<String>, Failure> {
    let right = architecture.machine();
    let (fit, others): (Vec<&Item>, Vec<&Item>) = items
        .iter()
        .filter(|item| item.machine.is_some())
        .partition(|item| item.machine == Some(right));
    let Some(machine) = others.first().and_then(|item| item.machine) else {
        return Ok(None);
    };
    let bootstrap = others.iter().find(|item| item.name == "bootstrap");
    if let Some(wrong) = bootstrap.or(others.first().filter(|_| fit.is_empty())) {
        let machine = wrong.machine.unwrap_or(machine);
        let failure = Failure::new(format!(
            "`{}` in the package is for {machine}, and the function runs on {right}",
            wrong.name
        ));
        let failure = if others.len() > 1 {
            failure.fact(format!("the same holds for {} more", others.len() - 1))
        } else {
            failure
        };
        return Err(failure.hint(format!(
            "build for {right}, or set ARCHITECTURE to {machine} if the function is to move"
        )));
    }
    let unnamed: Vec<&Item> = others
        .into_iter()
        .filter(|item| !names_a_platform(&item.name))
        .collect();
    Ok((!unnamed.is_empty()).then(|| {
        format!(
            "these in the package are for another processor than the function's {right}: {}",
            some(&unnamed)
        )
    }))
}

/// Whether the path says which platform it is for, as `prebuilds/linux-arm64/x.node` does.
fn names_a_platform(name: &str) -> bool {
    const WORDS: [&str; 12] = [
        "x64", "x86", "amd64", "i686", "ia32", "arm", "aarch64", "ppc64", "s390x", "riscv64",
        "loong64", "mips",
    ];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

fn some(items: &[&Item]) -> String {
    let names: Vec<String> = items
        .iter()
        .take(NAMED)
        .map(|item| format!("`{}`", item.name))
        .collect();
    match items.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
