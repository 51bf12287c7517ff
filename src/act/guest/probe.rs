// SPDX-License-Identifier: LGPL-2.1-or-later
//! Looking around before a hand-over: services, sessions, libvirt, files, memory.

use crate::act::backend::tools::{ToolError, Tools};
use crate::act::backend::{apart, child};
use crate::act::definition::facts;
use crate::act::guest::needs;
use crate::act::guest::roms;
use crate::act::guest::runner::Libvirt;
use crate::act::guest::services;
use crate::act::guest::{self, account};
use crate::config::{self, DisplayManager, Guest, Handover, Runner};
use crate::host::display;
use crate::host::domain::{self, Domain, HugePages, NeededFile, KVMFR, PROGRAM};
use crate::host::{
    accounts, apparmor, bars, cpus, home, modules, numa, pages, process, programs, qemu, qemu_conf, shared_memory,
    software, way_in, Host,
};
use crate::pci::Address;
use crate::plan::boot;
use crate::plan::definition;
use crate::plan::definition::request::{Card, Request};
use crate::plan::display::goes_dark;
use crate::plan::guest::{
    is_up, with_host, Console, CpuContext, DomainState, FileProblem, GuestContext, GuestStep, Memory, Session, Shared,
    SoundServer, Unit, NVIDIA_MODULES, NVIDIA_UNITS,
};
use crate::plan::packages::Program;
use crate::plan::rom;
use crate::plan::selection::Selection;
use crate::root::{Root, PCI_DRIVERS};
use rustix::fs::FileType;
use std::io;

/// Where the domain's description comes from.
#[derive(Debug, Clone, Copy)]
pub enum Source<'t> {
    /// libvirt is asked.
    Libvirt,
    /// libvirt gave it to its hook, which may not ask.
    Hook(&'t str),
}

/// Looks at all that a plan for this guest needs. `selections` are its cards.
pub fn probe_context(
    root: &Root,
    tools: &dyn Tools,
    guest: &Guest,
    selections: &[Selection<'_>],
    host: &Host,
    source: Source<'_>,
) -> GuestContext {
    let functions = boot::functions(selections);
    let loaded = |m: &&&str| root.exists(&format!("sys/module/{m}"));
    let loaded: Vec<String> = NVIDIA_MODULES.iter().filter(loaded).map(|m| (*m).to_owned()).collect();
    let mut context = GuestContext {
        claims: crate::host::run::claims::claims(root),
        unloadable_missing: loaded.iter().filter(|m| !modules::has_file(root, m)).cloned().collect(),
        modules: loaded,
        vfio_available: vfio_available(root),
        lacks_bus: apart::lacks_bus(root),
        memory: memory(root),
        consoles: consoles(root),
        ..GuestContext::default()
    };
    let libvirt = Libvirt { tools, uri: &guest.uri, domain: &guest.domain, guest: &guest.name };
    let has_domain = guest.runner == Runner::Libvirt;
    let domain = || has_domain.then(|| domain_state(root, libvirt, source)).unzip();
    let xml;
    if with_host(&functions, host).is_empty() {
        (context.domain, xml) = domain();
    } else {
        // Where nobody holds anything, `auto` ends nobody but who is about to show something on the only display.
        let held = host.holders.iter().any(|(_, holder)| holder.pid.is_some());
        let end = match guest.handover {
            Handover::Steal => true,
            Handover::Auto => held || goes_dark(selections, host),
            Handover::Hot | Handover::None => false,
        };
        context.seats = seats(root, &functions);
        ((context.domain, xml), ()) = both(root, domain, || desktop(root, tools, guest, end, &mut context));
    }
    // The hook is given another text than the one that is edited.
    if let (Some(xml), Source::Libvirt, true) = (&xml, source, guest.definition != config::Definition::default()) {
        let cards = Card::of(selections, host);
        let facts = facts::of_machine(root, tools, guest, &cards, xml);
        let request = Request { guest, cards: &cards, facts: &facts, reset_variables: false, installation: None };
        // A text that is no domain has been refused already.
        context.definition = definition::plan(xml, &request).unwrap_or_default();
    }
    if guest.runner == Runner::Command {
        context.user = account::find(root, tools, &guest.user);
    }
    let roms = selections.iter().filter_map(|selection| Some(selection.gpu.rom.as_ref()?.value.clone()));
    if let Some(DomainState::Known { domain, .. }) = &context.domain {
        if guest.definition.cpus_isolate == Some(true) {
            context.cpus = cpu_context(root, &guest.name);
        }
        context.sound = sound_servers(root, domain, libvirt.is_local());
        if !context.sound.is_empty() {
            context.qemu_user = qemu_conf::user(root);
        }
        // A session's QEMU is the user's own.
        if libvirt.is_local() && !domain.shared.is_empty() {
            let user = qemu_conf::user(root);
            let found = shared_memory::look(root, &domain.shared, user.as_ref());
            context.shared = Shared { found, user, group: shared_memory::group(root) };
        }
        if domain.huge_pages != HugePages::No {
            context.pages = pages::read(root);
            context.nodes = numa::nodes(root);
            context.card_node = functions.first().and_then(|function| numa::of_function(root, *function));
        }
        context.host = needs::look(root, domain, libvirt.is_local());
    }
    if goes_dark(selections, host) {
        context.way_in = way_in::look(root);
    }
    let displays = selections.iter().filter_map(|selection| rom::function(selection, host));
    for display in displays {
        context.bar2.extend(bars::size(root, display.address, 2).map(|size| (display.address, size)));
        context.no_rom.extend(roms::lacks(root, display).map(|why| (display.address, why)));
    }
    context.roms = roms::look(root, selections, context.domain.as_ref());
    context.files = needed(root, roms, context.domain.as_ref());
    context
}

/// Asks two at the same time. The simulator is asked one after the other: its tests count the questions.
fn both<A: Send, B>(root: &Root, one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B) -> (A, B) {
    if root.is_system() {
        child::both(one, other)
    } else {
        (one(), other())
    }
}

/// Services and sessions that use the host's display, or, where no session can end, only services.
fn desktop(root: &Root, tools: &dyn Tools, guest: &Guest, end: bool, context: &mut GuestContext) {
    const ALIAS: &str = "display-manager.service";
    let mut names: Vec<&str> = guest.stop_units.iter().map(String::as_str).collect();
    // Of units that are not there systemd would look for files.
    if !context.modules.is_empty() {
        names.extend(NVIDIA_UNITS);
    }
    let desired = match &guest.display_manager {
        DisplayManager::Unit(unit) => Some(unit.as_str()),
        DisplayManager::Auto => Some(ALIAS),
        DisplayManager::None => None,
    };
    names.extend(desired);
    let sessions = || if end { services::sessions(tools) } else { Ok(Vec::new()) };
    let booted = apart::may_ask_systemd(root);
    let units = || if booted { services::units(tools, &names) } else { Ok(Vec::new()) };
    let (sessions, units) = both(root, sessions, units);
    let units = match units {
        Ok(units) => units,
        Err(error) => {
            context.no_systemd = Some(error.to_string());
            return;
        }
    };
    let manages = units.iter().find(|(name, unit)| Some(name.as_str()) == desired && is_up(&unit.state));
    context.display_manager = manages.map(|(_, unit)| unit.id.clone());
    context.units = units.into_iter().map(|(name, unit)| Unit { name, id: unit.id, state: unit.state }).collect();
    context.sessions = sessions.unwrap_or_else(|error| {
        context.no_logind = Some(error.to_string());
        Vec::new()
    });
    let opened: Vec<Option<String>> = context.sessions.iter().map(|s| manager(root, s.leader?)).collect();
    if end && context.display_manager.is_none() && guest.display_manager == DisplayManager::Auto {
        let shown = |s: &Session| s.is_graphical() && context.seats.contains(&s.seat);
        let mut opened = context.sessions.iter().zip(&opened);
        context.display_manager = opened.find_map(|(session, unit)| unit.clone().filter(|_| shown(session)));
    }
    for (session, opened) in context.sessions.iter_mut().zip(opened) {
        session.managed = match opened {
            Some(unit) => context.display_manager == Some(unit),
            None => !session.leader.is_some_and(|leader| is_login(root, leader)),
        };
    }
    if !booted {
        let named =
            || guest.stop_units.first().cloned().or_else(|| desired.filter(|name| *name != ALIAS).map(str::to_owned));
        let greeter = |s: &&Session| s.managed && s.is_graphical() && context.seats.contains(&s.seat);
        let opened = || Some(format!("the display manager of session {}", context.sessions.iter().find(greeter)?.id));
        context.only_systemd_stops = named().or_else(opened);
    }
}

/// Whether a session was opened by hand, on a text console or from elsewhere: no display manager has it. By the program,
/// since a command's name is anybody's to take.
fn is_login(root: &Root, leader: u32) -> bool {
    let program = root.link_name(&format!("proc/{leader}/exe")).unwrap_or_default();
    let program = program.trim_end_matches(" (deleted)");
    matches!(program, "login" | "sshd" | "sshd-session" | "su")
}

/// The seats of cards: udev's property `ID_SEAT` of their DRM nodes, else the first seat (sd-login(3)).
fn seats(root: &Root, functions: &[Address]) -> Vec<String> {
    let cards = functions.iter().flat_map(|function| display::cards(root, *function));
    let nodes = cards.filter_map(|card| root.read_text(&format!("{card}/dev")).ok());
    let seat = |number: String| {
        let data = root.read_text(&format!("run/udev/data/c{number}")).unwrap_or_default();
        data.lines().find_map(|line| line.strip_prefix("E:ID_SEAT=")).unwrap_or("seat0").to_owned()
    };
    let mut seats: Vec<String> = nodes.map(seat).collect();
    if seats.is_empty() {
        seats.push("seat0".to_owned());
    }
    seats.sort_unstable();
    seats.dedup();
    seats
}

/// The system service from which a session was opened: the first above its leader, by parents.
fn manager(root: &Root, leader: u32) -> Option<String> {
    let mut pid = leader;
    // Deep enough for any chain of wrappers, and an end if parents ever form a circle.
    for _ in 0..16 {
        let path = home::cgroup(root, pid)?;
        let service = path.strip_prefix("/system.slice/").and_then(|rest| rest.rsplit('/').next());
        if let Some(service) = service.filter(|s| s.ends_with(".service")) {
            return Some(service.to_owned());
        }
        pid = process::parent(root, pid).filter(|parent| *parent > 1)?;
    }
    None
}

/// What libvirt says of the domain, and the text that it describes it by.
fn domain_state(root: &Root, libvirt: Libvirt<'_>, source: Source<'_>) -> (DomainState, String) {
    let described = match source {
        // The hook is called for a domain that is about to start.
        Source::Hook(xml) => Ok(("shut off".to_owned(), xml.to_owned())),
        // The system's libvirt has a file for each domain that is not off.
        Source::Libvirt if libvirt.is_up(root) == Some(false) => {
            libvirt.description().map(|description| ("shut off".to_owned(), description))
        }
        Source::Libvirt => libvirt.state().and_then(|state| Ok((state, libvirt.description()?))),
    };
    match described {
        Err(error) => (DomainState::Unknown(no_domain(root, libvirt, &error)), String::new()),
        Ok((state, xml)) => match domain::parse(&xml) {
            Ok(domain) => (DomainState::Known { state, domain: Box::new(domain) }, xml),
            Err(sentence) => (DomainState::Unknown(sentence), xml),
        },
    }
}

/// Why there is no domain: virsh is not installed, libvirt has others, or what libvirt says.
fn no_domain(root: &Root, libvirt: Libvirt<'_>, error: &ToolError) -> String {
    match error {
        ToolError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
            let (text, todo) = Program::Virsh.missing(software::distribution(root));
            format!("{text}: {todo}")
        }
        ToolError::Failed { .. } => match libvirt.names() {
            Ok(names) if names.iter().any(|name| name == libvirt.domain) => error.to_string(),
            Ok(names) if names.is_empty() => "libvirt has no domain".to_owned(),
            Ok(names) => format!("libvirt has no such domain; it has {}", names.join(", ")),
            Err(_) => error.to_string(),
        },
        error => error.to_string(),
    }
}

/// What is wrong with files that the guest needs: option ROMs of its cards, and what its domain names. Each is looked at once.
fn needed(root: &Root, roms: impl Iterator<Item = String>, domain: Option<&DomainState>) -> Vec<FileProblem> {
    let mut files: Vec<NeededFile> = roms.map(|rom| NeededFile::new(rom, "option ROM")).collect();
    if let Some(DomainState::Known { domain, .. }) = domain {
        let there = |path: &String| root.exists(path.trim_start_matches('/'));
        let needed = domain.files.iter().filter(|f| !f.optional && !f.unless.as_ref().is_some_and(there));
        files.extend(needed.cloned());
    }
    let mut seen: Vec<&str> = Vec::new();
    let mut problems = Vec::new();
    for file in &files {
        if !seen.contains(&file.path.as_str()) {
            seen.push(&file.path);
            problems.extend(problem(root, file));
        }
    }
    problems
}

/// The CPUs of which the guest is to have some for itself.
fn cpu_context(root: &Root, name: &str) -> CpuContext {
    let controllers = root.read_text("sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let has_cpus = |other: &String| {
        let records = guest::records(root, other).unwrap_or_default();
        records.iter().any(|record| matches!(record.step, GuestStep::SpeedUp { .. } | GuestStep::Confine { .. }))
    };
    CpuContext {
        online: cpus::read(root).numbers(),
        confines: root.exists("run/systemd/system") && controllers.split(' ').any(|name| name == "cpuset"),
        taken_by: guest::with_journal(root).into_iter().find(|other| other != name && has_cpus(other)),
    }
}

/// The sound servers in users' own directories that a domain plays on.
fn sound_servers(root: &Root, domain: &Domain, system: bool) -> Vec<SoundServer> {
    let rules = if domain.sound.is_empty() || !system { None } else { apparmor::rules(root) };
    let users = accounts::users(root).unwrap_or_default();
    let server = |socket: &String| {
        let uid = socket.strip_prefix("/run/user/")?.split_once('/')?.0.parse().ok()?;
        let user = users.iter().find(|user| user.uid == uid).map(|user| user.name.clone());
        Some(SoundServer {
            confined: rules.as_ref().is_some_and(|rules| !rules.allow(socket)),
            listens: root.exists(socket.trim_start_matches('/')),
            lingers: user.as_ref().is_some_and(|name| root.exists(&format!("var/lib/systemd/linger/{name}"))),
            socket: socket.clone(),
            uid,
            user,
        })
    };
    domain.sound.iter().filter_map(server).collect()
}

/// What is wrong with a file that the guest needs.
fn problem(root: &Root, file: &NeededFile) -> Option<FileProblem> {
    let relative = file.path.trim_start_matches('/');
    let what = file.what;
    let by_name = what == PROGRAM && !file.path.contains('/');
    let problem = match root.stat(relative) {
        _ if by_name && programs::find(root, relative).is_some() => return None,
        _ if by_name => "is not installed".to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "is not there".to_owned(),
        Err(error) => format!("cannot be read: {error}"),
        Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() != file.directory => {
            if file.directory { "is not a directory" } else { "is a directory" }.to_owned()
        }
        // The path is somebody else's: nothing but a file is opened.
        Ok(_) if what == "option ROM" => match root.open_regular(relative) {
            // What is in it is judged elsewhere.
            Ok(_) => return None,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => "is not a file".to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        },
        Ok(_) if what == KVMFR && !qemu_conf::gives(root, &file.path) => qemu_conf::how_to_give(&file.path),
        Ok(_) if what == KVMFR => {
            let user = qemu_conf::user(root).filter(|user| !qemu::may_use(root, user, &file.path))?;
            format!("may not be used by '{}', who runs QEMU", user.name)
        }
        Ok(_) => return None,
    };
    Some(FileProblem { path: file.path.clone(), what, problem })
}

/// Whether vfio-pci is there, or can be loaded by the running kernel.
fn vfio_available(root: &Root) -> bool {
    root.exists(&format!("{PCI_DRIVERS}/vfio-pci")) || modules::is_known(root, "vfio_pci")
}

fn memory(root: &Root) -> Memory {
    let text = root.read_text("proc/meminfo").unwrap_or_default();
    let bytes = |key: &str| pages::field(&text, key).map_or(0, |kib| kib.saturating_mul(1024));
    Memory { total: bytes("MemTotal"), available: bytes("MemAvailable") }
}

fn consoles(root: &Root) -> Vec<Console> {
    const CLASS: &str = "sys/class/vtconsole";
    let console = |name: String| Console {
        // The kernel's names: "(S) dummy device", "(M) frame buffer device".
        framebuffer: root.read_text(&format!("{CLASS}/{name}/name")).is_ok_and(|text| text.contains("frame buffer")),
        bound: root.read_text(&format!("{CLASS}/{name}/bind")).is_ok_and(|text| text == "1"),
        name,
    };
    root.list(CLASS).unwrap_or_default().into_iter().map(console).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    /// sd-login(3): a display without a seat of its own is on the first, and so is one whose driver has no DRM node.
    #[test]
    fn a_card_is_on_the_seat_that_udev_says_or_on_the_first() {
        let tree = tempfile::tempdir().unwrap();
        let function: Address = "0000:03:00.0".parse().unwrap();
        let put = |path: &str, text: &str| {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let of_card = || seats(&Root::open(tree.path()).unwrap(), &[function]);
        assert_eq!(of_card(), ["seat0"], "no DRM node");
        put("sys/bus/pci/devices/0000:03:00.0/drm/card1/dev", "226:1\n");
        assert_eq!(of_card(), ["seat0"], "udev has not dealt with it");
        put("run/udev/data/c226:1", "I:1\nE:ID_SEAT=seat1\n");
        assert_eq!(of_card(), ["seat1"]);
    }
}
