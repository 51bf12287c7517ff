// SPDX-License-Identifier: LGPL-2.1-or-later
//! A boot file by itself, as a loader that has nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use vfio_suite::host::boot::{BootFile, BootSystem, Content, Format, Loader, LoaderKind, Role};
use vfio_suite::plan::cmdline::record::Record;
use vfio_suite::plan::cmdline::{plan, CmdlinePlan, Options};

/// Where the file is.
pub const PATH: &str = "boot/file";

/// The grammars that are looked for in files of others, by name.
pub fn grammars() -> BTreeMap<String, Format> {
    use Format::*;
    let all = [
        Plain,
        FirstLine,
        ReadLines,
        Bls,
        GrubDefault,
        GrubLinux,
        GrubCfg,
        RefindLinux,
        Refind,
        Limine,
        LimineDefault,
        LimineShell,
        VoidHook,
        SdbootManage,
        Kernelstub,
        RpmOstree,
    ];
    all.into_iter().map(|g| (serde_json::to_value(g).unwrap().as_str().unwrap().to_owned(), g)).collect()
}

/// A machine with nothing but this file.
pub fn system(format: Format, text: &str) -> BootSystem {
    let role = if format == Format::GrubCfg { Role::Generated } else { Role::Source };
    let kind = match format {
        Format::Kernelstub => LoaderKind::Kernelstub,
        Format::RpmOstree => LoaderKind::RpmOstree,
        _ => LoaderKind::GrubFile,
    };
    let place = BootFile { path: PATH.to_owned(), format, role, content: Some(Content::Text(text.to_owned())) };
    let loader = Loader { kind, boot_files: vec![place], tools: Vec::new(), missing: Vec::new(), check: None };
    BootSystem { loaders: vec![loader], ..BootSystem::default() }
}

/// What has to be done to the file so that it has these words.
pub fn planned(format: Format, text: &str, words: &[String], record: &Record, adopt: bool) -> CmdlinePlan {
    plan(&system(format, text), words, record, &Options { adopt, ..Options::default() })
}

/// The file after that, or why it is left alone.
pub fn after(plan: &CmdlinePlan, text: &str) -> Result<String, String> {
    match (plan.problems.first(), plan.changes.first()) {
        (Some(problem), _) => Err(problem.clone()),
        (None, Some(change)) => {
            assert_eq!(change.old.as_deref(), Some(text));
            Ok(change.new.clone().unwrap())
        }
        (None, None) => Ok(text.to_owned()),
    }
}

/// Applies words to a text and checks that doing so again changes nothing, and that a revert gives the text back, byte for
/// byte. Gives the text with the words, or why there is none.
pub fn applied(format: Format, text: &str, words: &[String]) -> Result<String, String> {
    let first = planned(format, text, words, &Record::default(), false);
    let new = after(&first, text)?;
    let again = planned(format, &new, words, &first.record, false);
    assert_eq!(after(&again, &new), Ok(new.clone()), "{format:?}: applied twice:\n{text}");
    assert_eq!(again.record, first.record, "{format:?}: the record changes:\n{text}");
    let back = planned(format, &new, &[], &first.record, false);
    assert_eq!(after(&back, &new), Ok(text.to_owned()), "{format:?}: reverted");
    assert!(back.record.is_empty(), "{format:?}: something is still ours:\n{text}");
    Ok(new)
}

/// The trees of golden files: grammar, case, directory.
pub fn cases() -> Vec<(Format, String, PathBuf)> {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cmdline");
    let mut cases = Vec::new();
    for (name, format) in grammars() {
        for entry in std::fs::read_dir(golden.join(&name)).unwrap_or_else(|e| panic!("{name}: {e}")) {
            let path = entry.unwrap().path();
            cases.push((format, format!("{name}/{}", path.file_name().unwrap().to_str().unwrap()), path));
        }
    }
    cases.sort_by(|a, b| a.1.cmp(&b.1));
    cases
}
