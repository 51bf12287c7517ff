// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where a process belongs, by its control group: a login session, a user's manager, a unit of the system (cgroups(7),
//! systemd.special(7)). What ends with what follows from it.

use crate::root::Root;

/// Where a process belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// A login session by its id: `session-2.scope`. It ends with it.
    Session(String),
    /// The manager of the user with this number, `user@1000.service`, and what is below it: `session.slice/pipewire.service`.
    Manager {
        /// The user's number.
        uid: String,
        /// The rest of the path.
        below: String,
    },
    /// The system: no session's end ends it. Its control group.
    System(String),
    /// Nobody says: there is no unified hierarchy, or it has ended.
    Unknown,
}

impl Home {
    /// Where the process of a control group belongs.
    pub fn of(cgroup: Option<&str>) -> Home {
        let Some(path) = cgroup else { return Home::Unknown };
        Home::of_user(path).unwrap_or_else(|| Home::System(path.to_owned()))
    }

    /// A part of the host's own users' slice: containers have users, managers and sessions with the same names.
    fn of_user(path: &str) -> Option<Home> {
        let between =
            |part: &str, before: &str, after: &str| Some(part.strip_prefix(before)?.strip_suffix(after)?.to_owned());
        let mut parts = path.strip_prefix("/user.slice/")?.splitn(3, '/');
        between(parts.next()?, "user-", ".slice")?;
        let unit = parts.next()?;
        if let Some(uid) = between(unit, "user@", ".service") {
            return Some(Home::Manager { uid, below: parts.next().unwrap_or_default().to_owned() });
        }
        between(unit, "session-", ".scope").map(Home::Session)
    }

    /// Whether it is a part of this unit.
    pub fn is_of(&self, unit: &str) -> bool {
        matches!(self, Home::System(path) if path.split('/').any(|part| part == unit))
    }

    /// Whether a container or a virtual machine of the system has it: such have units that cannot be started again.
    pub fn is_contained(&self) -> bool {
        const ENGINES: [&str; 8] =
            ["docker", "libpod", "crio", "cri-containerd", "kubepods", "lxc", "machine", "nspawn"];
        let Home::System(path) = self else { return false };
        // docker-HASH.scope, /docker/HASH, kubepods.slice, lxc.payload.NAME; docker.service is the engine's own.
        let engine = |part: &str| {
            let name = part.strip_prefix("systemd-").unwrap_or(part);
            let rest = ENGINES.iter().find_map(|engine| name.strip_prefix(engine));
            rest.is_some_and(|rest| rest != ".service" && !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        };
        path.split('/').any(engine)
    }
}

/// The path of a process in the unified hierarchy of control groups, or in systemd's own where both are there.
pub fn cgroup(root: &Root, pid: u32) -> Option<String> {
    let text = root.read_text(&format!("proc/{pid}/cgroup")).ok()?;
    let path = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        matches!(controllers, "" | "name=systemd").then(|| path.to_owned())
    };
    // In a hybrid hierarchy the line of the unified one comes last, and may have no more than the root.
    text.lines().filter_map(path).find(|path| path != "/").or_else(|| text.lines().find_map(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups() {
        const NSPAWN: &str = "/machine.slice/systemd-nspawn@box.service/payload";
        let user = "/user.slice/user-1000.slice";
        let manager = |below: &str| Home::Manager { uid: "1000".to_owned(), below: below.to_owned() };
        for (path, home) in [
            (format!("{user}/session-c2.scope"), Home::Session("c2".to_owned())),
            (format!("{user}/user@1000.service/app.slice/a.service"), manager("app.slice/a.service")),
            (format!("{user}/user@1000.service"), manager("")),
            // A container has users, too, who are not the host's.
            (format!("{NSPAWN}{user}/session-c2.scope"), Home::System(format!("{NSPAWN}{user}/session-c2.scope"))),
            (format!("{NSPAWN}{user}/user@1000.service"), Home::System(format!("{NSPAWN}{user}/user@1000.service"))),
            // And a user may give a control group any name.
            (format!("{user}/user@1000.service/app.slice/session-3.scope"), manager("app.slice/session-3.scope")),
            ("/system.slice/ollama.service".to_owned(), Home::System("/system.slice/ollama.service".to_owned())),
            ("/".to_owned(), Home::System("/".to_owned())),
        ] {
            assert_eq!(Home::of(Some(&path)), home);
        }
        assert_eq!(Home::of(None), Home::Unknown);
    }

    #[test]
    fn containers_are_told_from_their_engines() {
        for (path, contained) in [
            ("/system.slice/docker-0123.scope", true),
            ("/docker/0123", true),
            ("/system.slice/docker.service", false),
            ("/machine.slice/libpod-0123.scope/container", true),
            ("/machine.slice/machine-qemu\\x2d1\\x2dwin10.scope/libvirt/emulator", true),
            ("/machine.slice/systemd-nspawn@box.service/payload", true),
            ("/kubepods.slice/kubepods-besteffort.slice/cri-containerd-01.scope", true),
            ("/lxc.payload.box/system.slice/a.service", true),
            ("/system.slice/dockerish.service", false),
            ("/system.slice/ollama.service", false),
        ] {
            assert_eq!(Home::of(Some(path)).is_contained(), contained, "{path}");
        }
    }
}
