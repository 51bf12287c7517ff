// SPDX-License-Identifier: LGPL-2.1-or-later
//! kernel-install(8)'s plugin: a boot entry that was just written gets the parameters that `/etc/vfio.conf` wants.
//!
//! Called as `95-vfio.install add VERSION ENTRY-DIRECTORY IMAGE...`, after what writes entries (90). A kernel update never
//! fails because of us, and 77, which would stop the plugins after us, is never answered.

use std::env;
use std::io::Write;
use std::process::ExitCode;
use vfio_suite::act::backend::tools_for;
use vfio_suite::act::boot::cmdline;
use vfio_suite::config::{self, Config, Severity};
use vfio_suite::host::boot::{entry, BootFile, BootSystem, Format, Role};
use vfio_suite::host::run::taken_out;
use vfio_suite::logger;
use vfio_suite::plan::cmdline::new_entry::{of_new_entries, NewEntries};
use vfio_suite::plan::cmdline::rescue_entry;
use vfio_suite::root::Root;
use vfio_suite::survey;
use vfio_suite::text;

fn main() -> ExitCode {
    let verbose = variable("VERBOSE").is_some_and(|value| value != "0");
    let arguments: Vec<String> = env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["add", version, ..] => add(version, verbose),
        ["remove", ..] => forget(verbose),
        // Verbs that come in later versions.
        _ => Ok(()),
    };
    if let Err(sentence) = done {
        logger::complain(format_args!("95-vfio.install: {sentence}; fix this, then run 'vfio cmdline apply'"));
    }
    ExitCode::SUCCESS
}

/// A variable that kernel-install sets for its plugins.
fn variable(name: &str) -> Option<String> {
    env::var(format!("KERNEL_INSTALL_{name}")).ok().filter(|value| !value.is_empty())
}

/// A path of the system as one below the root.
fn below(root: &Root, path: &str) -> Result<String, String> {
    let inside = std::path::Path::new(path).strip_prefix(root.path()).ok().and_then(|inside| inside.to_str());
    inside
        .map(|inside| inside.trim_end_matches('/').to_owned())
        .ok_or_else(|| format!("{path} is not below {}", root.path().display()))
}

fn open() -> Result<Root, String> {
    let root = Root::from_option(None).map_err(|error| format!("the root cannot be opened: {error}"))?;
    logger::start("95-vfio.install");
    Ok(root)
}

/// The names that an entry of this kernel may have: systemd's, since 262 told by kernel-install; Fedora's.
fn names(version: &str) -> Vec<String> {
    let with = |token: String| format!("{token}-{version}");
    let names = [variable("ENTRY_NAME"), variable("ENTRY_TOKEN").map(with), variable("MACHINE_ID").map(with)];
    // EndeavourOS writes one more, with an image for other machines (90-ucode-loaderentry-fallback.install).
    names.into_iter().flatten().flat_map(|name| [format!("{name}-fallback"), name]).collect()
}

/// What the entry's command line was made from.
fn source(root: &Root) -> Result<Option<BootFile>, String> {
    let directories = match variable("CONF_ROOT") {
        Some(path) => vec![below(root, &path)?],
        None => vec!["etc/kernel".to_owned(), "usr/lib/kernel".to_owned()],
    };
    let files = directories.iter().map(|directory| format!("{directory}/cmdline"));
    let found = files.map(|path| BootFile::read(root, &path, Format::Plain, Role::Source));
    Ok(found.into_iter().find(|boot_file| boot_file.content.is_some()))
}

fn say(verbose: bool, sentence: &str) {
    if verbose {
        // A reader that has gone must not stop a change in the middle.
        let _ = writeln!(std::io::stdout(), "vfio: {}", text::line(sentence));
    }
}

fn add(version: &str, verbose: bool) -> Result<(), String> {
    let say = |sentence: &str| say(verbose, sentence);
    let layout = variable("LAYOUT").unwrap_or_else(|| "bls".to_owned());
    if layout == "uki" {
        // Its parameters come from /etc/kernel/cmdline, or from an addon beside it: both are there before it is built.
        say("a unified kernel image keeps no entry that could be changed");
        return Ok(());
    }
    if layout != "bls" && layout != "other" {
        say(&format!("layout {layout} is not known: nothing is changed"));
        return Ok(());
    }
    let root = open()?;
    let boot = variable("BOOT_ROOT").ok_or("KERNEL_INSTALL_BOOT_ROOT is not set")?;
    let directory = format!("{}/loader/entries", below(&root, &boot)?);
    let directory = directory.trim_start_matches('/');
    let config = config::load(&root);
    if config.worst() == Some(Severity::Error) {
        return Err(
            "/etc/vfio.conf has errors ('vfio check' lists them), so the new boot entry is left as it is".to_owned()
        );
    }
    let _lock = cmdline::lock(&root).map_err(|error| error.to_string())?;
    let entries = entry::find(&root, directory, &names(version));
    if entries.is_empty() {
        say(&format!("no entry of kernel {version} in /{directory}"));
        return Ok(());
    }
    let record = cmdline::load_record(&root).map_err(|error| error.to_string())?;
    let (_, parameters) = survey::required_parameters(&root, &config);
    let parameters: Vec<String> = parameters.into_iter().map(|parameter| parameter.parameter).collect();
    let is_new = |other: &BootFile| entries.iter().any(|entry| entry.path == other.path);
    let new = NewEntries {
        others: entry::all(&root, directory).into_iter().filter(|other| !is_new(other)).collect(),
        source: source(&root)?,
        taken_out: taken_out::read(&root),
        entries,
    };
    let plan = of_new_entries(&new, &parameters, &record);
    if let Some(problem) = plan.problems.first() {
        return Err(problem.clone());
    }
    let tools = tools_for(&root);
    cmdline::apply(&root, tools.as_ref(), &plan, &mut |sentence| say(sentence)).map_err(|error| error.to_string())?;
    renew_rescue_entry(&root, &config, &say)
}

/// The boot entry without us is that of the newest kernel, which may be another one now.
fn renew_rescue_entry(root: &Root, config: &Config, say: &dyn Fn(&str)) -> Result<(), String> {
    let record = cmdline::load_record(root).map_err(|error| error.to_string())?;
    let is_wanted = config.host.needs_rescue_entry();
    if !is_wanted && record.rescue_entries.is_empty() {
        return Ok(());
    }
    let plan = rescue_entry::plan(&BootSystem::scan(root), is_wanted, &record);
    cmdline::apply(root, tools_for(root).as_ref(), &plan, &mut |sentence| say(sentence))
        .map(drop)
        .map_err(|error| error.to_string())
}

/// The entry is gone: nothing in it is ours any more.
fn forget(verbose: bool) -> Result<(), String> {
    let root = open()?;
    let _lock = cmdline::lock(&root).map_err(|error| error.to_string())?;
    cmdline::forget_what_is_gone(&root).map_err(|error| error.to_string())?;
    let config = config::load(&root);
    match config.worst() {
        Some(Severity::Error) => Ok(()),
        _ => renew_rescue_entry(&root, &config, &|sentence| say(verbose, sentence)),
    }
}
