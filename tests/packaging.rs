// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is said in more than one place is said alike: verbs and options in help, manual and completions, the version,
//! the licence in every file; and `make install` does not install into nowhere.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_vfio")).args(arguments).arg("--help").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The verbs that `vfio --help` lists, or `vfio VERB --help` for a verb that has others below it.
fn verbs(above: &[&str]) -> Vec<String> {
    let text = help(above);
    let lines = text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A continued description is indented further than a verb.
    let verb = |line: &str| line.strip_prefix("  ").filter(|l| !l.starts_with(' ')).map(str::to_owned);
    lines.filter_map(verb).map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

/// The long options in a help text.
fn options(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let mut options: Vec<_> = words.filter(|word| word.starts_with("--")).map(|word| word[2..].to_owned()).collect();
    options.sort();
    options.dedup();
    options
}

/// Whether `word` stands in `text` by itself.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).any(|part| part.trim_start_matches('-') == word)
}

/// The manual of all verbs. The completions ask the command line itself.
const MANUAL: &str = "man/vfio.8";

#[test]
fn verbs_and_options_are_in_the_manual() {
    let verbs = verbs(&[]);
    assert!(verbs.len() >= 7, "{verbs:?}");
    let text = read(MANUAL);
    for verb in verbs.iter().filter(|verb| *verb != "help") {
        assert!(has_word(&text, verb), "{MANUAL} does not have the verb {verb}");
    }
    for option in options(&help(&[])) {
        assert!(has_word(&text, &option), "{MANUAL} does not have the option --{option}");
    }
}

/// Verbs that have others below them.
const GROUPS: [&str; 4] = ["guest", "cmdline", "rebar", "rom"];

/// Every verb below another is listed where those are, not just somewhere.
#[test]
fn the_verbs_below_others_are_in_the_manual() {
    let text = read(MANUAL);
    for group in GROUPS {
        let verbs = verbs(&[group]);
        assert!(verbs.len() >= 3, "{verbs:?}");
        let start = format!(".Cm {group} {}", verbs[0]);
        let rest = &text[text.find(&start).unwrap_or_else(|| panic!("no '{start}'"))..];
        let listed = &rest[..rest.find(".Sh DESCRIPTION").expect("a description")];
        for verb in verbs.iter().filter(|verb| *verb != "help") {
            assert!(has_word(listed, verb), "{MANUAL} does not have the verb {group} {verb}");
        }
    }
}

/// Those of a verb with a page of its own may be there.
#[test]
fn the_options_of_verbs_are_in_the_manual() {
    let common = options(&help(&[]));
    let mut all: Vec<Vec<String>> = verbs(&[]).into_iter().map(|verb| vec![verb]).collect();
    for group in GROUPS {
        all.extend(verbs(&[group]).into_iter().map(|verb| vec![group.to_owned(), verb]));
    }
    for verb in all.iter().filter(|words| words.last().is_some_and(|last| last != "help")) {
        let words: Vec<&str> = verb.iter().map(String::as_str).collect();
        for option in options(&help(&words)).iter().filter(|option| !common.contains(option)) {
            let own = std::fs::read_to_string(format!("man/vfio-{}.8", words[0])).unwrap_or_default();
            let told = has_word(&read(MANUAL), option) || has_word(&own, option);
            assert!(told, "{MANUAL} does not have --{option} of vfio {}", words.join(" "));
        }
    }
}

/// One that has others below it is checked as such.
#[test]
fn no_other_verb_has_verbs_below_it() {
    for verb in verbs(&[]).iter().filter(|verb| *verb != "help" && !GROUPS.contains(&verb.as_str())) {
        assert!(!help(&[verb]).contains("Commands:"), "vfio {verb} has verbs below it");
    }
}

#[test]
fn the_packages_have_the_version() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, expected) in [
        ("debian/changelog", format!("vfio-suite ({version}) ")),
        ("rpm/vfio-suite.spec", format!("Version:        {version}\n")),
        ("PKGBUILD", format!("pkgver={version}\n")),
    ] {
        assert!(read(file).contains(&expected), "{file} does not have '{}'", expected.trim_end());
    }
    assert!(read("debian/changelog").starts_with("vfio-suite ("), "the changelog's newest entry is not its first");
}

/// The user that guests run as is the one that all packages make.
#[test]
fn the_packages_make_the_user_of_guests() {
    let user = vfio_suite::config::DEFAULT_USER;
    let lines = read("units/vfio-sysusers.conf");
    let lines: Vec<&str> = lines.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.len() == 1 && lines[0].starts_with(&format!("u {user} - ")), "{lines:?}");
    assert!(lines[0].ends_with(" /var/lib/vfio-guest /usr/sbin/nologin"), "{lines:?}");
    let useradd = read("docs/PACKAGING.md");
    let useradd = useradd.lines().find(|line| line.starts_with("    useradd ")).unwrap();
    let end = format!(" --home-dir /var/lib/vfio-guest --no-create-home --shell /usr/sbin/nologin {user}");
    assert!(useradd.ends_with(&end), "{useradd}");
    for category in ["acct-user", "acct-group"] {
        read(&format!("gentoo/{category}/{user}/{user}-0.ebuild"));
    }
}

#[test]
fn every_source_file_names_its_licence() {
    let folders =
        "src cli generators udev units libvirt kernel-install dracut initramfs-tools mkinitcpio openrc completions man \
         packaging rpm gentoo tests benches fuzz .ci";
    let mut files: Vec<PathBuf> =
        ["build.rs", "Makefile", "Cargo.toml", "PKGBUILD", "debian/rules"].iter().map(PathBuf::from).collect();
    for folder in folders.split(' ') {
        collect(Path::new(folder), &mut files);
    }
    assert!(files.len() > 60, "only {} files found", files.len());
    let without = |path: &&PathBuf| {
        let text = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        // In the first lines: after "#!", or after what a completion must begin with.
        let head = String::from_utf8_lossy(&text[..text.len().min(300)]).into_owned();
        !head.contains("SPDX-License-Identifier: LGPL-2.1-or-later")
    };
    let without: Vec<_> = files.iter().filter(without).collect();
    assert!(without.is_empty(), "no SPDX line in {without:#?}");
}

/// The list of what programs are made of: all crates of it are in Cargo.lock with their checksums, each is needed by another,
/// and what only tests and macros need is not in it.
#[test]
fn the_bill_of_materials_is_whole() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("packaging/sbom.sh")).current_dir(root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bill: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).unwrap();
    let components = bill["components"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut needed: Vec<String> = Vec::new();
    for dependency in bill["dependencies"].as_array().unwrap() {
        needed.extend(dependency["dependsOn"].as_array().unwrap().iter().map(text));
    }
    for component in components {
        let (name, version) = (text(&component["name"]), text(&component["version"]));
        let checksum = text(&component["hashes"][0]["content"]);
        let entry = lock.split("[[package]]").find(|entry| {
            entry.contains(&format!("name = \"{name}\"\n")) && entry.contains(&format!("version = \"{version}\"\n"))
        });
        assert!(entry.is_some_and(|entry| entry.contains(&checksum)), "{component}");
        assert!(needed.contains(&text(&component["bom-ref"])), "nothing needs {name}");
        assert!(!text(&component["licenses"][0]["expression"]).is_empty(), "{component}");
    }
    let names: Vec<String> = components.iter().map(|component| text(&component["name"])).collect();
    for (name, there) in [("rustix", true), ("serde_json", true), ("proptest", false), ("serde_derive", false)] {
        assert_eq!(names.iter().any(|other| other == name), there, "{name}");
    }
    let known = |reference: &String| components.iter().any(|component| component["bom-ref"] == **reference);
    assert!(needed.iter().all(known), "{needed:?}");
}

/// What the documents say of a test is worth something only if the test is there.
#[test]
fn what_the_page_on_security_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/SECURITY.md")).unwrap();
    let mut named = 0;
    for (number, line) in text.lines().enumerate() {
        let pieces: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        for (at, piece) in pieces.iter().enumerate() {
            if !["tests/", "src/", "benches/", "udev/"].iter().any(|folder| piece.starts_with(folder)) {
                continue;
            }
            named += 1;
            assert!(root.join(piece).exists(), "docs/SECURITY.md:{}: {piece} is not there", number + 1);
            // A test of that file by its name.
            let name = pieces
                .get(at + 1)
                .filter(|name| name.len() > 15 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            if let (Some(name), true) = (name, piece.ends_with(".rs")) {
                let source = std::fs::read_to_string(root.join(piece)).unwrap();
                assert!(
                    source.contains(&format!("fn {name}(")),
                    "docs/SECURITY.md:{}: {name} is not in {piece}",
                    number + 1
                );
            }
        }
    }
    assert!(named > 40, "{named}");
}

/// Every source file below a folder; test data is none.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().unwrap().is_dir() {
            if !matches!(
                name.as_str(),
                "golden" | "hosts" | "corpus" | "seeds" | "regressions" | "artifacts" | "target" | "cache" | "data"
            ) {
                collect(&path, files);
            }
        } else if !name.ends_with(".md") && !name.ends_with(".lock") && !name.starts_with(".git") {
            files.push(path);
        }
    }
}

fn make_install(variables: &[&str], dest: &Path) -> Output {
    Command::new("make")
        .args(["--no-print-directory", "install", "NOBUILD=1"])
        .arg(format!("DESTDIR={}", dest.display()))
        .args(variables)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

/// Without pkg-config the directories would be empty, and the generator would land in the root of the image.
#[test]
fn install_fails_loudly_without_directories() {
    let dest = tempfile::tempdir().unwrap();
    let output = make_install(&["PKG_CONFIG=false"], dest.path());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("GENERATORDIR is empty"), "{said}");
    assert_eq!(std::fs::read_dir(dest.path()).unwrap().count(), 0, "something was installed all the same");
}

/// Regression, seen in the lab: `ProtectHome=read-only` takes /run/user too, whatever `ReadWritePaths=` says, and no guest could play
/// on a user's sound server.
#[test]
fn the_guests_unit_may_share_what_is_below_run_user() {
    let unit = read("units/vfio-guest@.service.in");
    let values = |key: &str| unit.lines().filter_map(|line| line.strip_prefix(key)).collect::<Vec<_>>();
    assert_eq!(values("ProtectSystem="), ["strict"], "which leaves /home, /root and /run/user as they are");
    assert_eq!(values("ReadOnlyPaths="), ["-/home -/root"]);
    assert_eq!([values("ProtectHome="), values("InaccessiblePaths=")].concat(), [""; 0]);
}
