// SPDX-License-Identifier: LGPL-2.1-or-later
//! Looking at the machine for `vfio setup`, by the functions that the other verbs use: one fact has one answer.

use crate::cards::{self, Card as Seen};
use crate::{cmdline, guest_edit};
use std::collections::BTreeSet;
use std::time::Duration;
use vfio_suite::act::backend::tools::Tools;
use vfio_suite::act::boot::sync::Snapshot;
use vfio_suite::act::definition;
use vfio_suite::act::definition::new::{self, Preview};
use vfio_suite::act::guest::services;
use vfio_suite::act::setup;
use vfio_suite::config::{self, Config, Guest};
use vfio_suite::finding::{codes, Finding, Severity};
use vfio_suite::host::boot::BootSystem;
use vfio_suite::host::function::{is_vfio, Function};
use vfio_suite::host::initramfs::Initramfs;
use vfio_suite::host::leftovers::{self, Leftover, LeftoverKind};
use vfio_suite::host::platform::{Architecture, Platform};
use vfio_suite::host::usage::Use;
use vfio_suite::host::{input, qemu, software, Depth, Host};
use vfio_suite::pci::Address;
use vfio_suite::plan::card::is_apu;
use vfio_suite::plan::definition::new_domain::{next_steps, Wish};
use vfio_suite::plan::definition::Definition;
use vfio_suite::plan::guest::Session;
use vfio_suite::plan::iommu::why_off;
use vfio_suite::plan::setup::{SetupContext, SetupStep};
use vfio_suite::plan::sync::{self, SyncStep};
use vfio_suite::plan::wizard::answers::Answers;
use vfio_suite::plan::wizard::facts::{Card, Facts, Installed, IommuState, Sound};
use vfio_suite::plan::wizard::file;
use vfio_suite::plan::wizard::parts::Previews;
use vfio_suite::plan::wizard::Stop;
use vfio_suite::plan::{input as choice, leftovers as judged, proposal, udev_sizes};
use vfio_suite::root::Root;
use vfio_suite::survey;
use vfio_suite::text::shell_command;

/// Where libvirt keeps its domains.
const DOMAINS: &str = "etc/libvirt/qemu";
/// For a question to libvirt.
const ASK: Duration = Duration::from_secs(30);

/// The machine.
pub fn facts(root: &Root, tools: &dyn Tools, user: Option<&str>) -> anyhow::Result<Facts> {
    let config = config::load(root);
    let (seen, host) = cards::look(root, &config);
    let system = setup::probe_context(root, tools)?;
    // Where there is no logind nobody is known to be logged in.
    let sessions = services::sessions(tools).unwrap_or_default();
    let desktops = desktops(&sessions);
    let user = user.map(str::to_owned).or_else(|| who_asked(root)).or_else(|| match desktops.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    });
    let boot = BootSystem::scan(root);
    let mut loaders: Vec<&'static str> = Vec::new();
    boot.loaders.iter().map(|loader| loader.kind.name()).for_each(|name| {
        if !loaders.contains(&name) {
            loaders.push(name);
        }
    });
    let initramfs = Initramfs::scan(root, None);
    let leftovers = leftovers::find(root);
    Ok(Facts {
        iommu: iommu(&host),
        processor: processor(root),
        loaders,
        initramfs: initramfs.tool.map(|tool| tool.name()),
        secure_boot: boot.secure_boot,
        cards: seen.iter().map(|card| of_card(card, &host, &config)).collect(),
        distribution: software::distribution(root),
        installed: Installed {
            virsh: software::has_program(root, &["virsh"]),
            daemon: software::has_program(root, &["libvirtd", "virtqemud"]),
            qemu: software::has_qemu(root),
            firmware: qemu::has_uefi(root),
            swtpm: software::has_program(root, &["swtpm"]),
            virt_install: software::has_program(root, &["virt-install"]),
            virtio_win: root.exists(new::VIRTIO_WIN.trim_start_matches('/')),
        },
        sound: sound(root, &system, user.as_deref()),
        user,
        desktops,
        usb_hosts: usb_hosts(&host),
        usb_alone: usb_alone(&host),
        inputs: Some(inputs(root)),
        domains: domains(root, tools, &system)?,
        rules: leftovers.iter().filter_map(|leftover| rules(root, leftover, &leftovers)).collect(),
        leftovers,
        modprobe: leftovers::modprobe_files(root),
        rebuild: sync::rebuild(&initramfs),
        system,
        files: config::lasting_files(root),
        written: written(root)?,
    })
}

/// Who became root for this is who wants guests. In a test tree nobody did.
pub fn who_asked(root: &Root) -> Option<String> {
    std::env::var("SUDO_USER").ok().filter(|user| root.is_system() && user != "root")
}

fn desktops(sessions: &[Session]) -> Vec<String> {
    let seated = sessions.iter().filter(|session| session.is_graphical() && !session.seat.is_empty());
    // A greeter's user is none of the machine's people.
    let people = seated.filter(|session| session.uid.parse::<u32>().is_ok_and(|uid| uid >= 1000));
    people.map(|session| session.user.clone()).collect::<BTreeSet<String>>().into_iter().collect()
}

fn iommu(host: &Host) -> IommuState {
    let groups: BTreeSet<u32> = host.functions.iter().filter_map(|function| function.group).collect();
    if host.iommu.active && !groups.is_empty() {
        return IommuState::On(groups.len());
    }
    let said = host.words.intel_iommu_on().is_some() || host.words.iommu_off().is_some();
    if host.iommu.firmware == Some("DMAR") && !said {
        return IommuState::AtNextBoot;
    }
    let (why, hint) = why_off(&host.iommu, &host.words);
    IommuState::Off { why, hint }
}

fn processor(root: &Root) -> &'static str {
    match Platform::scan(root).architecture {
        Architecture::Intel => "Intel",
        Architecture::Amd => "AMD",
        Architecture::Arm => "ARM",
        Architecture::Other => "not known",
    }
}

fn of_card(seen: &Seen, host: &Host, config: &Config) -> Card {
    let display = host.function(seen.address);
    let functions: Vec<_> = seen.functions.iter().map(|function| function.address).collect();
    let holders = || host.holders.iter().filter(|(of, _)| functions.contains(of)).map(|(_, holder)| holder);
    let in_unit =
        |start: &str| holders().any(|holder| holder.unit.as_ref().is_some_and(|unit| unit.starts_with(start)));
    let section = seen.gpu.as_deref().and_then(|name| config.gpu(name));
    let bars = seen.bars.iter().filter(|bar| bar.function == seen.address);
    Card {
        address: Some(seen.address),
        vendor: display.map_or(0, |function| function.vendor),
        ids: seen.ids.clone(),
        kinds: kinds(host, &functions),
        name: seen.name.clone(),
        integrated: seen.address.slot.bus == 0 || display.is_some_and(|function| is_apu(function, host)),
        boot_display: seen.boot_display,
        monitors: seen.monitors.iter().map(|name| without_card(name)).collect(),
        has_session: in_unit("session-"),
        services: services_of_system(host, &functions),
        functions: functions.len(),
        group: seen.group,
        beside: seen.beside.iter().map(|other| format!("{} ({})", other.address, other.kind)).collect(),
        reset: seen.reset_methods.clone().unwrap_or_default(),
        known: seen.known.clone(),
        bars: bars.map(|bar| (bar.index, bar.now, bar.sizes.clone())).collect(),
        refusals: seen.refusals.clone(),
        at_boot: display.is_some_and(|function| proposal::can_bind_at_boot(function, host)),
        with_vfio: seen.functions.iter().any(|function| function.driver.as_deref().is_some_and(is_vfio)),
        section: section.map(|gpu| (gpu.name.clone(), gpu.at.path.trim_start_matches('/').to_owned())),
    }
}

fn usb_hosts(host: &Host) -> Vec<(Address, String)> {
    let hosts = host.functions.iter().filter(|function| function.is_usb_controller() && !function.is_virtual());
    hosts.map(|function| (function.address, function.ids())).collect()
}

/// Those that a guest can be given without anything else.
fn usb_alone(host: &Host) -> Vec<(Address, Vec<String>)> {
    let is_alone = |address: &Address| {
        let group = host.function(*address).and_then(|function| function.group);
        group.is_some_and(|group| host.group(group).filter(|member| !member.is_bridge()).count() == 1)
    };
    let plugged_in = |what: &Use| match what {
        Use::Keyboard { name } | Use::Mouse { name } => Some(name.clone()),
        _ => None,
    };
    let hosts = usb_hosts(host).into_iter().map(|(address, _)| address).filter(is_alone);
    hosts.map(|address| (address, host.usage_of(address).filter_map(plugged_in).collect())).collect()
}

fn kinds(host: &Host, functions: &[Address]) -> Vec<String> {
    functions.iter().filter_map(|address| host.function(*address)).map(Function::ids).collect()
}

/// The connector alone: which number the card has depends on the order of drivers.
fn without_card(name: &str) -> String {
    name.split_once('-')
        .filter(|(card, _)| card.starts_with("card"))
        .map_or(name, |(_, connector)| connector)
        .to_owned()
}

/// Services that hold a card and end with no session: those of the system, but for the display manager.
fn services_of_system(host: &Host, functions: &[Address]) -> Vec<String> {
    let managers = ["gdm", "gdm3", "sddm", "lightdm", "lxdm", "xdm", "greetd", "ly", "display-manager"];
    let mut found: Vec<String> = Vec::new();
    for (_, holder) in host.holders.iter().filter(|(of, _)| functions.contains(of)) {
        let of_system = holder.facts.cgroup.as_ref().is_some_and(|cgroup| cgroup.starts_with("/system.slice/"));
        let Some(unit) = holder.unit.as_deref().filter(|_| of_system && !holder.is_on_behalf()) else { continue };
        let Some(name) = unit.strip_suffix(".service") else { continue };
        if !managers.contains(&name) && !found.iter().any(|known| known == unit) {
            found.push(unit.to_owned());
        }
    }
    found
}

fn sound(root: &Root, system: &SetupContext, user: Option<&str>) -> Option<Sound> {
    let user = user?;
    let uid = system.users.iter().find(|known| known.name == user)?.uid;
    let socket = |name: &str| root.exists(&format!("run/user/{uid}/{name}"));
    let server = match (socket("pipewire-0"), socket("pulse/native")) {
        (true, _) => "pipewire",
        (false, true) => "pulseaudio",
        (false, false) => return None,
    };
    Some(Sound { server, user: user.to_owned() })
}

fn inputs(root: &Root) -> Result<Vec<String>, String> {
    let devices = input::devices(root);
    let chosen = choice::choose(&devices, &input::makers(root)).map_err(|why| why.to_string())?;
    let name =
        |path: &String| devices.iter().find(|device| device.links.contains(path)).map(|device| device.name.clone());
    Ok(chosen.iter().filter_map(|input| name(&input.path)).collect())
}

/// libvirt's domains: it is asked only if it runs, and its own files are read first.
fn domains(root: &Root, tools: &dyn Tools, system: &SetupContext) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let answers = system.libvirt_answers();
    let names = if answers {
        setup::domains(tools, "qemu:///system")?
    } else {
        let files = root.list(DOMAINS).unwrap_or_default();
        files.iter().filter_map(|name| name.strip_suffix(".xml")).map(str::to_owned).collect()
    };
    let text = |name: &String| {
        let file = root.read_regular(&format!("{DOMAINS}/{name}.xml")).ok();
        let file = file.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let words = ["virsh", "--connect", "qemu:///system", "dumpxml", "--inactive", "--", name];
        file.or_else(|| answers.then(|| tools.run(&words, ASK).ok()).flatten())
    };
    Ok(names.into_iter().map(|name| (name.clone(), text(&name))).collect())
}

/// A file of udev rules that does nothing but write sizes.
fn rules(root: &Root, leftover: &Leftover, all: &[Leftover]) -> Option<(String, Vec<udev_sizes::Found>)> {
    let first = all.iter().find(|other| other.path == leftover.path)?;
    if leftover.kind != LeftoverKind::Rule("resourceN_resize") || first != leftover {
        return None;
    }
    let bytes = root.read_regular(leftover.path.trim_start_matches('/')).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let does = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let known = all.iter().filter(|other| other.path == leftover.path && other.kind == leftover.kind).count();
    let (found, problems) = udev_sizes::read(&text);
    (text.lines().filter(does).count() == known && problems.is_empty()).then(|| (leftover.path.clone(), found))
}

fn written(root: &Root) -> anyhow::Result<Vec<(String, String)>> {
    let mut written: Vec<(String, String)> = Vec::new();
    for record in setup::records(root)? {
        if let SetupStep::Write { path, text } = record.step {
            written.retain(|(other, _)| *other != path);
            written.push((path, text));
        }
    }
    Ok(written)
}

/// What the other verbs would do once the file is there; an error is why it must not be.
pub fn previews(
    root: &Root,
    tools: &dyn Tools,
    facts: &Facts,
    answers: &Answers,
) -> anyhow::Result<Result<Previews, Stop>> {
    let mut files = facts.files.clone();
    if let Some(text) = file::text(answers, facts).filter(|_| !answers.is_theirs) {
        files.retain(|(path, _)| *path != answers.path);
        files.push((answers.path.clone(), Some(text.into_bytes())));
    }
    let config = config::parse_lasting(&files);
    let mut previews = Previews { file_now: setup::text_of(root, &answers.path)?, ..Previews::default() };
    let mut host = Host::scan(root, Depth::Full);
    let usb = answers.usb.as_ref().map(|(section, ..)| section.as_str());
    let meant = |name: &str| name == answers.gpu || usb == Some(name);
    for card in crate::plan::cards(root, &config, &mut host).into_iter().filter(|card| meant(&card.plan.gpu)) {
        let off = |finding: &&Finding| facts.iommu == IommuState::AtNextBoot && finding.code == codes::IOMMU_OFF;
        if let Some(refusal) = card.plan.refusals.iter().find(|finding| !off(finding)) {
            return Ok(Err(Stop::of(refusal)));
        }
        // What is not a graphics card was asked for.
        let warnings = card.plan.warnings.iter().filter(|finding| finding.code != codes::NOT_A_GRAPHICS_CARD);
        previews.notes.extend(warnings.map(Finding::sentence));
    }
    if let Some(guest) = answers.guest.as_deref().filter(|_| answers.has_domain).and_then(|name| config.guest(name)) {
        edit(root, tools, facts, &config, guest, &mut previews)?;
    }
    let new = answers.new.as_ref().and_then(|wish| Some((wish, config.guest(answers.guest.as_deref()?)?)));
    if let Some((wish, guest)) = new {
        if let Err(refusal) = define(root, tools, facts, &config, guest, wish, &mut previews)? {
            return Ok(Err(Stop::of(&refusal)));
        }
    }
    boot(root, config.clone(), &mut previews);
    let functions: Vec<_> = host
        .functions
        .iter()
        .filter(|of| answers.card.address.is_some_and(|own| own.slot == of.address.slot))
        .map(|of| of.address)
        .collect();
    for (leftover, finding) in facts.leftovers.iter().filter_map(|leftover| {
        let found = judged::findings(std::slice::from_ref(leftover), &config, &functions);
        Some((leftover, found.into_iter().next()?))
    }) {
        if finding.severity == Severity::Warning {
            previews.leftovers.push((leftover.path.clone(), finding.sentence()));
        }
    }
    Ok(Ok(previews))
}

/// What the guest's domain lacks.
fn edit(
    root: &Root,
    tools: &dyn Tools,
    facts: &Facts,
    config: &Config,
    guest: &Guest,
    previews: &mut Previews,
) -> anyhow::Result<()> {
    let (xml, plan): (String, Definition) = if facts.system.libvirt_answers() {
        let probed = definition::probe(root, tools, config, guest)?;
        let plan = definition::plan(guest, &probed, false)?;
        (probed.xml, plan)
    } else {
        let Some((_, Some(xml))) = facts.domain(&guest.domain) else { return Ok(()) };
        let probed = definition::preview(root, tools, config, guest, xml);
        let plan =
            vfio_suite::plan::definition::plan(xml, &probed.request(guest, false, None)).map_err(anyhow::Error::msg)?;
        (xml.clone(), plan)
    };
    previews.notes.extend(plan.warnings.iter().map(Finding::sentence));
    if plan.changes.is_empty() {
        return Ok(());
    }
    previews.edit_refused = plan.refusals.iter().map(Finding::sentence).collect();
    let lines = plan.changes.iter().map(|change| format!("{}: {}", change.key, change.why)).collect();
    previews.edit = Some((lines, guest_edit::diff(&xml, &plan.apply(&xml))));
    Ok(())
}

/// What the guest's new domain is like. Without libvirt and virt-install it is known from what only.
fn define(
    root: &Root,
    tools: &dyn Tools,
    facts: &Facts,
    config: &Config,
    guest: &Guest,
    wish: &Wish,
    previews: &mut Previews,
) -> anyhow::Result<Result<(), Finding>> {
    let first = |refusals: Vec<Finding>| refusals.into_iter().next().map_or(Ok(()), Err);
    let head = format!("a new domain of libvirt for {}, with the card in it", wish.os);
    if facts.system.libvirt_answers() && facts.installed.virt_install && facts.installed.virsh {
        let new = match new::probe(root, tools, config, guest, wish)? {
            Ok(new) => new,
            Err(refusals) => return Ok(first(refusals)),
        };
        previews.notes.extend(new.definition.warnings.iter().map(Finding::sentence));
        let changes = new.definition.changes.iter().map(|change| format!("{}: {}", change.key, change.why));
        previews.next = next_steps(&new.guest, &new.installation, new.virtio_win.as_deref());
        previews.define = Some((std::iter::once(head).chain(changes).collect(), new.text()));
        return Ok(Ok(()));
    }
    let Preview { installation, warning } = match new::preview(root, guest, wish)? {
        Ok(found) => found,
        Err(refusals) => return Ok(first(refusals)),
    };
    previews.notes.extend(warning.iter().map(Finding::sentence));
    previews.next = next_steps(guest, &installation, wish.virtio_win.as_deref());
    let disk = &installation.disk;
    let mut lines =
        vec![head, format!("{} {}", if disk.made.is_some() { "a new disk," } else { "the disk" }, disk.path)];
    lines.extend(installation.installer.iter().map(|path| format!("installed from {path}")));
    previews.define = Some((lines, String::new()));
    Ok(Ok(()))
}

/// What changes in boot entries and images.
fn boot(root: &Root, config: Config, previews: &mut Previews) {
    let mut snapshot = Snapshot::at(root, true);
    (snapshot.system, snapshot.parameters) = survey::required_parameters(root, &config);
    snapshot.refused = survey::with_data(root, &config, survey::whole(root, &config));
    snapshot.config = config;
    let record = match &snapshot.record {
        Ok(record) => record.clone(),
        Err(error) => return previews.boot_left.push(error.to_string()),
    };
    let plan = sync::plan(&snapshot.config, &snapshot.facts(&record));
    previews.boot_left.extend(plan.notes);
    let (mut lines, mut diffs) = (Vec::new(), String::new());
    for step in &plan.steps {
        match step {
            SyncStep::Hook { path, text } => {
                lines.push(format!("/{path} {}", if text.is_some() { "is written" } else { "is removed" }));
            }
            SyncStep::Words { plan } => {
                lines.extend(plan.changes.iter().map(|change| change.sentence()));
                lines.extend(plan.tools.iter().map(|tool| shell_command(&tool.command)));
                diffs.extend(plan.changes.iter().map(cmdline::diff));
            }
            SyncStep::Initramfs { runs, .. } => {
                previews.builds = true;
                lines.extend(runs.iter().map(|run| shell_command(run)));
            }
        }
    }
    if !plan.steps.is_empty() {
        previews.boot = Some((lines, diffs));
    }
}
