// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio complete`: what a shell offers for the last word of a command line. The command line itself says which verbs and options
//! there are, the machine and its configuration say the names.
//!
//! A line for each offer: the word, and after a tab what it is. The line `:files` has the shell offer files too. What cannot be
//! read offers nothing, and nothing is said: somebody is typing.

use crate::arguments::Arguments;
use crate::output::Output;
use crate::Answer;
use clap::builder::PossibleValue;
use clap::{Arg, Command, CommandFactory, ValueHint};
use std::path::Path;
use vfio_suite::config;
use vfio_suite::finding::codes;
use vfio_suite::host::{accounts, function};
use vfio_suite::root::Root;

/// Numbers of users, not of the system's services (login.defs(5), `UID_MIN`).
const USERS: std::ops::Range<u32> = 1000..60000;

/// A word, and what it is.
type Offer = (String, String);

/// Where the command line is at its last word.
struct Place<'c> {
    command: &'c Command,
    /// The verbs that led there.
    verbs: Vec<&'c str>,
    /// How many arguments of the last verb are there already.
    arguments: usize,
    /// The option whose value the last word is.
    value_of: Option<&'c Arg>,
    /// What `--root` says.
    root: Option<&'c str>,
}

/// An option by how it is written, with two dashes or with one.
fn option<'c>(command: &'c Command, word: &str) -> Option<&'c Arg> {
    let named = |arg: &&Arg| match word.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => arg.get_short().is_some_and(|short| word.strip_prefix('-') == Some(short.to_string().as_str())),
    };
    command.get_arguments().find(named)
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

/// Follows all words but the last.
fn follow<'c>(command: &'c Command, words: &'c [String]) -> Place<'c> {
    let mut place = Place { command, verbs: Vec::new(), arguments: 0, value_of: None, root: None };
    for word in words {
        if let Some(arg) = place.value_of.take() {
            place.root = place.root.or((arg.get_id() == "root").then_some(word.as_str()));
        } else if let Some(value) = word.strip_prefix("--root=") {
            place.root = Some(value);
        } else if word.starts_with('-') {
            place.value_of = option(place.command, word).filter(|arg| takes_value(arg));
        } else if let Some(verb) = place.command.find_subcommand(word).filter(|_| place.arguments == 0) {
            place.verbs.push(verb.get_name());
            place.command = verb;
        } else {
            place.arguments += 1;
        }
    }
    place
}

/// The argument of the last verb that comes next; the last one may come again.
fn next_argument<'c>(place: &Place<'c>) -> Option<&'c Arg> {
    let mut positionals: Vec<&Arg> = place.command.get_positionals().collect();
    positionals.sort_by_key(|arg| arg.get_index());
    let repeats = |arg: &&&Arg| arg.get_num_args().is_some_and(|number| number.max_values() > 1);
    positionals.get(place.arguments).or_else(|| positionals.last().filter(repeats)).copied()
}

fn plain(words: impl IntoIterator<Item = String>) -> Vec<Offer> {
    words.into_iter().map(|word| (word, String::new())).collect()
}

/// The first line of a help text.
fn help(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

/// The addresses of displays.
fn displays(root: &Root) -> Vec<Offer> {
    let class = |address| root.read_text(&function::attribute(address, "class")).unwrap_or_default();
    let addresses = function::addresses(root).into_iter().filter(|address| class(*address).starts_with("0x03"));
    plain(addresses.map(|address| address.to_string()))
}

/// The names of sections, those with errors too: whoever asks for one of these is told what is wrong.
fn sections(root: &Root, kind: &str) -> Vec<Offer> {
    let config = config::load(root);
    let gpus = config.gpus.into_iter().map(|gpu| ("gpu", gpu.name));
    let guests = config.guests.into_iter().map(|guest| ("guest", guest.name));
    let disabled = config.disabled.into_iter().map(|section| (section.kind, section.name));
    plain(gpus.chain(guests).chain(disabled).filter(|(of, _)| *of == kind).map(|(_, name)| name))
}

fn gpus(root: &Root) -> Vec<Offer> {
    sections(root, "gpu")
}

fn guests(root: &Root) -> Vec<Offer> {
    sections(root, "guest")
}

fn users(root: &Root) -> Vec<Offer> {
    let users = accounts::users(root).unwrap_or_default().into_iter();
    plain(users.filter(|user| USERS.contains(&user.uid)).map(|user| user.name))
}

/// The values that an argument can have, as far as they are known.
fn values(root: Option<&Root>, verbs: &[&str], arg: &Arg) -> Vec<Offer> {
    let named = |names: fn(&Root) -> Vec<Offer>| root.map(names).unwrap_or_default();
    let offer = |value: PossibleValue| (value.get_name().to_owned(), help(value.get_help()));
    match (verbs, arg.get_id().as_str()) {
        (["groups"], "gpu") => named(displays),
        (["setup"], "gpu") => {
            let mut cards = plain(["auto", "nvidia", "amd", "intel"].map(str::to_owned));
            cards.extend(named(displays));
            cards
        }
        (["setup"], "input") => plain(["auto", "evdev", "none", "usb:"].map(str::to_owned)),
        (["setup"], "guest_os") | (["guest", "define"], "os") => {
            plain(["win11", "win10", "debian13", "generic"].map(str::to_owned))
        }
        (["setup"], "user") => named(users),
        (["explain"], _) => codes::all().map(|of| (of.code.name().to_owned(), of.means.to_owned())).collect(),
        (["rebar", "set"], "sizes") => plain((0..6).map(|bar| format!("{bar}="))),
        (["guest", ..], "name") | (["setup"], "vm") | (_, "guest") => named(guests),
        (_, "name" | "gpu" | "what") => named(gpus),
        _ => arg.get_possible_values().into_iter().map(offer).collect(),
    }
}

/// Whether files are such values.
fn are_files(arg: &Arg) -> bool {
    let hint = arg.get_value_hint();
    matches!(hint, ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath)
        || arg
            .get_value_names()
            .is_some_and(|names| names.iter().any(|name| name.contains("FILE") || name.contains("PATH")))
}

/// What is offered for the last of these words, and whether files are.
fn offers(words: &[String]) -> (Vec<Offer>, bool) {
    let mut command = Arguments::command();
    command.build();
    let (word, before) = words.split_last().map_or(("", words), |(last, before)| (last.as_str(), before));
    let place = follow(&command, before);
    // A report is not unpacked while somebody types: there are no names then.
    let root = Root::from_option(place.root.map(Path::new)).ok();
    let root = root.as_ref();
    let (mut found, files): (Vec<Offer>, bool) = if let Some(arg) = place.value_of {
        (values(root, &place.verbs, arg), are_files(arg))
    } else if let Some((name, begin)) = word.split_once('=').filter(|_| word.starts_with("--")) {
        let Some(arg) = option(place.command, name) else { return (Vec::new(), false) };
        let values = values(root, &place.verbs, arg).into_iter();
        let whole = values.map(|(value, help)| (format!("{name}={value}"), help)).collect();
        (whole, are_files(arg) && begin.is_empty())
    } else if word.starts_with('-') {
        let shown = place.command.get_arguments().filter(|arg| !arg.is_hide_set());
        let named = shown.filter_map(|arg| Some((format!("--{}", arg.get_long()?), help(arg.get_help()))));
        (named.collect(), false)
    } else {
        let shown = place.command.get_subcommands().filter(|verb| !verb.is_hide_set() && place.arguments == 0);
        let verbs = shown.map(|verb| (verb.get_name().to_owned(), help(verb.get_about())));
        let next = next_argument(&place);
        let values = next.map(|arg| values(root, &place.verbs, arg)).unwrap_or_default();
        (verbs.chain(values).collect(), next.is_some_and(are_files))
    };
    found.retain(|(offer, _)| offer.starts_with(word));
    (found, files)
}

/// Prints them.
pub fn run(out: &Output, words: &[String]) -> anyhow::Result<Answer> {
    let (offers, files) = offers(words);
    let mut text = out.lines();
    for (word, help) in offers {
        text.lines(&if help.is_empty() { word } else { format!("{word}\t{help}") });
    }
    if files {
        text.line(":files");
    }
    out.text(&text)?;
    Ok(Answer::Done)
}
