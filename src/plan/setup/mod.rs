// SPDX-License-Identifier: LGPL-2.1-or-later
//! What `vfio setup` does, as steps that are written down before they are made, and what guests need of the system beside
//! cards: libvirt at every boot, its network, and a user who may use them. What is so already is left alone, now and when it
//! is undone. `plan::wizard` decides about all else.

mod step;

pub use step::{Record, SetupStep, ASIDE};

use crate::host::accounts::{Group, User};
use crate::host::networks::Network;

/// libvirt's network that a new guest is given.
pub const NETWORK: &str = "default";
/// The groups that a person needs: `/dev/kvm`, input devices for evdev, libvirt's socket.
pub const GROUPS: [&str; 3] = ["kvm", "input", "libvirt"];
/// What libvirt's modular daemons are for (libvirt.org/daemons.html): `virtqemud` and so on.
pub const DRIVERS: [&str; 7] = ["qemu", "interface", "network", "nodedev", "nwfilter", "secret", "storage"];
/// The units of libvirt in one daemon, and those that both forms use.
pub const UNITS: [&str; 10] = [
    "libvirtd.service",
    "libvirtd.socket",
    "libvirtd-ro.socket",
    "libvirtd-admin.socket",
    "virtlogd.service",
    "virtlogd.socket",
    "virtlogd-admin.socket",
    "virtlockd.service",
    "virtlockd.socket",
    "virtlockd-admin.socket",
];
/// What the units of one of its drivers end in.
const OF_DRIVER: [&str; 4] = ["d.service", "d.socket", "d-ro.socket", "d-admin.socket"];
/// OpenRC's services of libvirt; one that needs another comes first.
pub const OPENRC_SERVICES: [&str; 3] = ["libvirtd", "virtlogd", "virtlockd"];
const VIRSH: [&str; 3] = ["virsh", "--connect", "qemu:///system"];

/// The units of an SSH server: by Debian's name, and by everybody else's.
pub const SSH: [&str; 4] = ["ssh.service", "sshd.service", "ssh.socket", "sshd.socket"];

/// The units that systemd is asked after.
pub fn units() -> Vec<String> {
    let of_drivers = DRIVERS.iter().flat_map(|driver| OF_DRIVER.map(|end| format!("virt{driver}{end}")));
    UNITS.iter().chain(&SSH).map(|unit| (*unit).to_owned()).chain(of_drivers).collect()
}

/// Whether a unit is one of [`units`].
pub fn is_unit(name: &str) -> bool {
    let of = |driver: &&str| name.strip_prefix("virt").and_then(|rest| rest.strip_prefix(*driver));
    UNITS.contains(&name) || SSH.contains(&name) || DRIVERS.iter().filter_map(of).any(|end| OF_DRIVER.contains(&end))
}

/// Who starts services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// systemd.
    Systemd,
    /// OpenRC.
    OpenRc,
}

/// A service of libvirt that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its unit, or OpenRC's name.
    pub name: String,
    /// Whether it starts at every boot.
    pub enabled: bool,
    /// Whether it runs, or listens.
    pub active: bool,
    /// Whether an administrator forbids it.
    pub masked: bool,
}

/// What there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetupContext {
    /// Who starts services; none in a chroot.
    pub init: Option<Init>,
    /// libvirt's services.
    pub services: Vec<Service>,
    /// libvirt's network, or why that is not known.
    pub network: Option<Result<Network, String>>,
    /// All users.
    pub users: Vec<User>,
    /// All groups.
    pub groups: Vec<Group>,
}

/// Whether a unit is an SSH server's, and not libvirt's.
fn is_ssh(name: &str) -> bool {
    SSH.contains(&name)
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetupPlan {
    /// In this order.
    pub steps: Vec<SetupStep>,
    /// What cannot be done, and what to do instead: a sentence each.
    pub notes: Vec<String>,
    /// That nobody was named who is to be in groups, and how to do that. A machine without such a user may be right as it is.
    pub nobody: Option<&'static str>,
}

impl SetupContext {
    fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// Whether one is there and may be started.
    fn usable(&self, name: &str) -> bool {
        self.service(name).is_some_and(|service| !service.masked)
    }

    fn is_enabled(&self, name: &str) -> bool {
        self.service(name).is_some_and(|service| service.enabled)
    }

    /// Whether it runs, or would by the first question: the socket of a daemon that ends when nobody asks, the daemon of a socket.
    fn answers(&self, name: &str) -> bool {
        let daemon = name.trim_end_matches(".service").trim_end_matches(".socket");
        let names = [name.to_owned(), format!("{daemon}.service"), format!("{daemon}.socket")];
        self.services.iter().any(|service| service.active && names.contains(&service.name))
    }

    /// Whether libvirt can be asked something.
    pub fn libvirt_answers(&self) -> bool {
        ["libvirtd", "virtqemud"].iter().any(|name| self.answers(name))
    }

    fn enabled(&self) -> Vec<String> {
        self.services.iter().filter(|service| service.enabled).map(|service| service.name.clone()).collect()
    }

    fn active(&self) -> Vec<String> {
        self.services.iter().filter(|service| service.active).map(|service| service.name.clone()).collect()
    }

    fn known_network(&self) -> Option<Network> {
        self.network.as_ref()?.as_ref().ok().copied()
    }

    /// Whether a user is in a group by its list of members, and whether as their own group.
    fn membership(&self, user: &str, group: &Group) -> (bool, bool) {
        let own = self.users.iter().any(|known| known.name == user && known.gid == group.gid);
        (group.members.iter().any(|member| member == user), own)
    }

    /// Whether it is so already.
    pub fn is_so(&self, step: &SetupStep) -> bool {
        match step {
            SetupStep::Enable { services } => services.iter().all(|name| self.is_enabled(name)),
            SetupStep::Start { services } => services.iter().all(|name| self.answers(name)),
            SetupStep::NetworkStart => self.known_network().is_some_and(|network| network.active),
            SetupStep::NetworkAutostart => self.known_network().is_some_and(|network| network.autostart),
            SetupStep::Join { user, group } => self
                .groups
                .iter()
                .filter(|known| known.name == *group)
                .any(|group| matches!(self.membership(user, group), (true, _) | (_, true))),
            SetupStep::Install { .. }
            | SetupStep::Write { .. }
            | SetupStep::Aside { .. }
            | SetupStep::Define { .. }
            | SetupStep::Edit { .. }
            | SetupStep::Images { .. }
            | SetupStep::Sync
            | SetupStep::Bind { .. } => false,
        }
    }

    /// A step as it is written down before it is made.
    pub fn record(&self, step: &SetupStep) -> Record {
        let before = match step {
            SetupStep::Enable { .. } => self.enabled(),
            SetupStep::Start { .. } => self.active(),
            _ => Vec::new(),
        };
        Record { step: step.clone(), before, made: Vec::new() }
    }
}

/// What makes an SSH server answer now and at every boot; nothing if it does already, or if there is none.
pub fn ssh(now: &SetupContext) -> Option<Vec<SetupStep>> {
    let unit = SSH.iter().find(|name| name.ends_with(".service") && now.usable(name))?;
    let services = vec![(*unit).to_owned()];
    let steps = [SetupStep::Enable { services: services.clone() }, SetupStep::Start { services }];
    let open: Vec<SetupStep> = steps.into_iter().filter(|step| !now.is_so(step)).collect();
    // One that waits at its socket answers.
    let listens = now.answers(unit) && SSH.iter().any(|name| now.is_enabled(name));
    (!listens && !open.is_empty()).then_some(open)
}

/// The services that make libvirt start: one daemon, or a socket for each of several. One form is never put beside the
/// other, which would keep it from starting.
fn daemons(now: &SetupContext) -> Result<Vec<String>, String> {
    const ONE: &str = "libvirtd.service";
    const INSTALL: &str = "libvirt is not installed: install it, and run this again";
    match now.init {
        None => Err("neither systemd nor OpenRC runs here: libvirt is left alone".to_owned()),
        Some(Init::OpenRc) if now.usable(OPENRC_SERVICES[0]) => Ok(vec![OPENRC_SERVICES[0].to_owned()]),
        Some(Init::OpenRc) => Err(INSTALL.to_owned()),
        Some(Init::Systemd) => {
            let used = |names: [&str; 2]| names.iter().any(|name| now.is_enabled(name) || now.answers(name));
            let sockets = DRIVERS.iter().map(|driver| format!("virt{driver}d.socket"));
            let sockets: Vec<String> = sockets.filter(|socket| now.usable(socket)).collect();
            let several = now.usable("virtqemud.socket");
            let one = now.usable(ONE);
            let selected = used(["virtqemud.socket", "virtqemud.service"]) && !used([ONE, "libvirtd.socket"]);
            match (one, several) {
                (_, true) if selected || !one => Ok(sockets),
                (true, _) => Ok(vec![ONE.to_owned()]),
                _ if now.service(ONE).is_some() => {
                    Err(format!("{ONE} is masked: 'systemctl unmask {ONE}' lets it start"))
                }
                _ => Err(INSTALL.to_owned()),
            }
        }
    }
}

/// What has to be done for it, and for a user to be in the groups that there are.
pub fn plan(now: &SetupContext, user: Option<&str>) -> SetupPlan {
    let mut plan = SetupPlan::default();
    match daemons(now) {
        Ok(daemons) => of_libvirt(now, &daemons, &mut plan),
        Err(note) => plan.notes.push(note),
    }
    match user {
        None => plan.nobody = Some("nobody is added to groups: say who with --user NAME"),
        Some(user) if user.starts_with('-') || !now.users.iter().any(|known| known.name == user) => {
            plan.notes.push(format!("there is no user '{user}' in /etc/passwd: nobody is added to groups"));
        }
        Some(user) => {
            let there = GROUPS.iter().filter(|group| now.groups.iter().any(|known| known.name == **group));
            let joins = there.map(|group| SetupStep::Join { user: user.to_owned(), group: (*group).to_owned() });
            plan.steps.extend(joins.filter(|step| !now.is_so(step)));
        }
    }
    plan
}

fn of_libvirt(now: &SetupContext, daemons: &[String], plan: &mut SetupPlan) {
    let without = |has: &dyn Fn(&str) -> bool| daemons.iter().filter(|name| !has(name)).cloned().collect::<Vec<_>>();
    let enable = without(&|name| now.is_enabled(name));
    let start = without(&|name| now.answers(name));
    if !enable.is_empty() {
        plan.steps.push(SetupStep::Enable { services: enable });
    }
    if !start.is_empty() {
        plan.steps.push(SetupStep::Start { services: start });
    }
    match &now.network {
        Some(Ok(_)) => {
            let steps = [SetupStep::NetworkStart, SetupStep::NetworkAutostart];
            plan.steps.extend(steps.into_iter().filter(|step| !now.is_so(step)));
        }
        Some(Err(why)) => plan.notes.push(format!("libvirt's network '{NETWORK}' is left alone: {why}")),
        None => plan.notes.push(format!(
            "libvirt has no network '{NETWORK}': 'virsh net-define' with libvirt's own default.xml makes it; run this again then"
        )),
    }
}

fn words(command: &[&str], more: &[String]) -> Vec<String> {
    command.iter().map(|word| (*word).to_owned()).chain(more.iter().cloned()).collect()
}

fn virsh(request: &[&str]) -> Vec<String> {
    words(&[&VIRSH[..], request, &["--", NETWORK]].concat(), &[])
}

/// The commands that do something to services.
fn of_services(init: Option<Init>, verb: &str, services: &[String]) -> Vec<Vec<String>> {
    let each = |command: fn(&str, &str) -> Vec<String>| services.iter().map(|name| command(verb, name)).collect();
    match (init, verb) {
        _ if services.is_empty() => Vec::new(),
        (Some(Init::OpenRc), "enable") => each(|_, name| words(&["rc-update", "add", name, "default"], &[])),
        (Some(Init::OpenRc), "disable") => each(|_, name| words(&["rc-update", "del", name, "default"], &[])),
        (Some(Init::OpenRc), _) => each(|verb, name| words(&["rc-service", name, verb], &[])),
        _ => vec![words(&["systemctl", verb, "--"], services)],
    }
}

/// The commands that make a step so.
pub fn commands(step: &SetupStep, now: &SetupContext) -> Vec<Vec<String>> {
    match step {
        SetupStep::Enable { services } => of_services(now.init, "enable", services),
        SetupStep::Start { services } => of_services(now.init, "start", services),
        SetupStep::NetworkStart => vec![virsh(&["net-start"])],
        SetupStep::NetworkAutostart => vec![virsh(&["net-autostart"])],
        SetupStep::Join { user, group } => vec![words(&["gpasswd", "-a", user, group], &[])],
        SetupStep::Install { command, .. } => vec![command.clone()],
        SetupStep::Images { commands } => commands.clone(),
        SetupStep::Write { .. }
        | SetupStep::Aside { .. }
        | SetupStep::Define { .. }
        | SetupStep::Edit { .. }
        | SetupStep::Sync
        | SetupStep::Bind { .. } => Vec::new(),
    }
}

/// The question which guests of libvirt run.
pub fn running_guests() -> Vec<String> {
    words(&[&VIRSH[..], &["list", "--name"]].concat(), &[])
}

/// Whether undoing it takes something from guests that run.
pub fn disturbs_guests(record: &Record) -> bool {
    match &record.step {
        SetupStep::Start { services } => !services.iter().all(|name| is_ssh(name)),
        step => *step == SetupStep::NetworkStart,
    }
}

/// Whether undoing it must wait for what could not be undone of the network.
pub fn waits_for_network(record: &Record, left: &[Record]) -> bool {
    let of_network = |step: &SetupStep| matches!(step, SetupStep::NetworkStart | SetupStep::NetworkAutostart);
    matches!(record.step, SetupStep::Enable { .. } | SetupStep::Start { .. })
        && left.iter().any(|other| of_network(&other.step))
}

/// The commands that undo a step, as far as it is not undone yet.
pub fn undo(record: &Record, now: &SetupContext) -> Vec<Vec<String>> {
    // What was done to libvirt's services says nothing of an SSH server, which may be the last way in, and the other way round.
    let of_it = |services: &[String], name: &String| is_ssh(name) == services.iter().all(|name| is_ssh(name));
    let ours = |services: &[String], names: Vec<String>| -> Vec<String> {
        names.into_iter().filter(|name| of_it(services, name) && !record.before.contains(name)).collect()
    };
    match &record.step {
        SetupStep::Enable { services } => {
            let disable = of_services(now.init, "disable", &ours(services, now.enabled()));
            if !disable.is_empty() {
                return disable;
            }
            // systemd disables others along.
            let lost = record.before.iter().filter(|name| of_it(services, name));
            let lost = lost.filter(|name| now.usable(name) && !now.is_enabled(name));
            of_services(now.init, "enable", &lost.cloned().collect::<Vec<_>>())
        }
        SetupStep::Start { services } => of_services(now.init, "stop", &ours(services, now.active())),
        SetupStep::NetworkStart if now.is_so(&record.step) => vec![virsh(&["net-destroy"])],
        SetupStep::NetworkAutostart if now.is_so(&record.step) => vec![virsh(&["net-autostart", "--disable"])],
        SetupStep::Join { user, group } => {
            let group = now.groups.iter().find(|known| known.name == *group);
            match group.filter(|group| now.membership(user, group).0) {
                Some(group) => vec![words(&["gpasswd", "-d", user, &group.name], &[])],
                None => Vec::new(),
            }
        }
        SetupStep::NetworkStart
        | SetupStep::NetworkAutostart
        | SetupStep::Install { .. }
        | SetupStep::Write { .. }
        | SetupStep::Aside { .. }
        | SetupStep::Define { .. }
        | SetupStep::Edit { .. }
        | SetupStep::Images { .. }
        | SetupStep::Sync
        | SetupStep::Bind { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
