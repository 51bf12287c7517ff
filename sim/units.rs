// SPDX-License-Identifier: LGPL-2.1-or-later
//! Units of systemd. `.kernel/units/NAME` has, a line each and all optional:
//!
//! | line | what |
//! |---|---|
//! | `state STATE [spent]` | `active`, `inactive`, `failed`, ...; inactive if not said. `spent`: see `restart-needs-reset` |
//! | `load STATE` | `masked`, `error`, ...; loaded if not said |
//! | `alias OTHER` | another name of the unit OTHER; no other line counts |
//! | `process PID` | a process that ends and starts with it |
//! | `session ID` | a login session that ends and starts with it |
//! | `greets ID` | a login session, its greeter's, that starts when nobody is left on its seat, and ends with the unit |
//! | `enabled` | it starts at every boot |
//! | `also OTHER` | enabling or disabling it does so with OTHER |
//! | `brings OTHER` | OTHER is started before it, and does not stop with it |
//! | `ends STARTS` | it starts, and has failed a moment later, so many times |
//! | `restart-needs-reset` | it was started too often: once stopped, it starts only after `reset-failed` |
//!
//! `.kernel/allowed-cpus/NAME` has the CPUs that a unit may use, if it may not use all (`AllowedCPUs=`).
//! `.kernel/system-state` has the state of the whole if it is not `running`.

use crate::error::{failed, unknown};
use crate::tree::Tree;
use crate::{logins, networks, processes, udev};
use std::io;

/// Where libvirt answers; the first question to a socket starts its daemon.
const LIBVIRT: [&str; 4] = ["libvirtd.service", "libvirtd.socket", "virtqemud.service", "virtqemud.socket"];

/// The CPUs that units may use.
const ALLOWED: &str = ".kernel/allowed-cpus";

/// One unit.
struct Unit {
    name: String,
    lines: Vec<Vec<String>>,
}

impl Unit {
    /// A unit by one of its names.
    fn find(tree: &Tree<'_>, name: &str) -> io::Result<Option<Unit>> {
        let mut name = name.to_owned();
        // An alias of an alias is none in systemd either, but a loop must end.
        for _ in 0..4 {
            if name.contains('/') || !tree.root.exists(&format!(".kernel/units/{name}")) {
                return Ok(None);
            }
            let unit = Unit { lines: tree.facts(&format!("units/{name}"))?, name };
            let other = unit.values("alias").next().map(str::to_owned);
            match other {
                Some(other) => name = other,
                None => return Ok(Some(unit)),
            }
        }
        Ok(None)
    }

    /// The first word after each such key.
    fn values<'u>(&'u self, key: &'u str) -> impl Iterator<Item = &'u str> {
        self.lines.iter().filter(move |words| words[0] == key).filter_map(|words| words.get(1)).map(String::as_str)
    }

    fn state(&self) -> &str {
        self.values("state").next().unwrap_or("inactive")
    }

    fn load(&self) -> &str {
        self.values("load").next().unwrap_or("loaded")
    }

    fn is_active(&self) -> bool {
        !matches!(self.state(), "inactive" | "failed")
    }

    fn is_spent(&self) -> bool {
        self.lines.iter().any(|words| words[0] == "state" && words.get(2).is_some_and(|word| word == "spent"))
    }

    fn has(&self, key: &str) -> bool {
        self.lines.iter().any(|words| words[0] == key)
    }

    /// Replaces the line of the state, and nothing else of the file.
    fn set_state(&self, tree: &Tree<'_>, state: &str) -> io::Result<()> {
        self.set(tree, "state", &format!("state {state}\n"))
    }

    /// Replaces the line of a key, which is added if it is not there.
    fn set(&self, tree: &Tree<'_>, key: &str, line: &str) -> io::Result<()> {
        let file = format!(".kernel/units/{}", self.name);
        let text = tree.root.read(&file)?;
        let text = String::from_utf8_lossy(&text);
        let is_it = |old: &str| old.split_whitespace().next() == Some(key);
        let mut new: String = text.split_inclusive('\n').map(|old| if is_it(old) { line } else { old }).collect();
        if !text.lines().any(is_it) {
            new.push_str(line);
        }
        tree.put(&file, &new)
    }

    /// Whether it starts at every boot from now on, and what it says of others.
    fn enable(&self, tree: &Tree<'_>, on: bool) -> io::Result<()> {
        if self.load() == "masked" && on {
            let text = format!("Failed to enable unit: Unit file /etc/systemd/system/{} is masked.", self.name);
            return Err(failed("systemctl", &text));
        }
        if self.has("enabled") != on {
            self.set(tree, "enabled", if on { "enabled\n" } else { "" })?;
        }
        for other in self.values("also") {
            match Unit::find(tree, other)? {
                Some(other) if other.has("enabled") != on => other.enable(tree, on)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn file_state(&self) -> &str {
        match self.load() {
            "masked" => "masked",
            _ if self.has("enabled") => "enabled",
            _ => "disabled",
        }
    }

    fn stop(&self, tree: &Tree<'_>) -> io::Result<()> {
        if !self.is_active() {
            return Ok(());
        }
        self.values("session").chain(self.values("greets")).try_for_each(|id| logins::end(tree, id))?;
        // systemd kills in the end who does not listen.
        self.values("process").try_for_each(|pid| processes::park(tree, pid))?;
        self.set_state(tree, if self.has("restart-needs-reset") { "inactive spent" } else { "inactive" })
    }

    fn start(&self, tree: &Tree<'_>) -> io::Result<()> {
        let name = &self.name;
        if self.is_active() {
            return Ok(());
        }
        if self.load() == "masked" {
            return Err(failed("systemctl", &format!("Failed to start {name}: Unit {name} is masked.")));
        }
        if state_of_all(tree)? == "stopping" {
            return Err(failed(
                "systemctl",
                &format!("Failed to start {name}: Transaction for {name}/start is destructive (poweroff.target has 'start' job queued, but 'stop' is included in transaction)."),
            ));
        }
        if self.is_spent() {
            self.set_state(tree, "failed spent")?;
            return Err(failed(
                "systemctl",
                &format!(
                    "Job for {name} failed because start of the service was attempted too often.\n\
                     See \"systemctl status {name}\" and \"journalctl -xeu {name}\" for details.\n\
                     To force a start use \"systemctl reset-failed {name}\"\n\
                     followed by \"systemctl start {name}\" again."
                ),
            ));
        }
        let of_sessions = self.values("session").map(|id| logins::parked_processes(tree, id));
        let of_sessions = of_sessions.collect::<io::Result<Vec<_>>>()?.concat();
        let mut desired = self.values("process").chain(of_sessions.iter().map(String::as_str));
        if desired.any(|pid| processes::missing_display(tree, pid).is_some()) {
            self.set_state(tree, "failed")?;
            return Err(failed(
                "systemctl",
                &format!(
                    "Job for {name} failed because the control process exited with error code.\n\
                     See \"systemctl status {name}\" and \"journalctl -xeu {name}\" for details."
                ),
            ));
        }
        for other in self.values("brings") {
            Unit::find(tree, other)?.map_or(Ok(()), |other| other.start(tree))?;
        }
        self.values("process").try_for_each(|pid| processes::unpark(tree, pid))?;
        self.values("session").try_for_each(|id| logins::revive(tree, id))?;
        match self.values("ends").next().and_then(|starts| starts.parse::<u32>().ok()) {
            Some(starts) if starts > 0 => {
                self.set(tree, "ends", &format!("ends {}\n", starts - 1))?;
                self.set_state(tree, "active ending")?;
            }
            _ => self.set_state(tree, "active")?,
        }
        if LIBVIRT.contains(&name.as_str()) {
            networks::daemon_starts(tree)
        } else {
            Ok(())
        }
    }

    fn reset_failed(&self, tree: &Tree<'_>) -> io::Result<()> {
        match self.state() {
            "failed" => self.set_state(tree, "inactive"),
            state if self.is_spent() => self.set_state(tree, state),
            _ => Ok(()),
        }
    }
}

/// Whether libvirt's daemon is a unit, and none of its units is active.
pub(crate) fn libvirt_is_down(tree: &Tree<'_>) -> io::Result<bool> {
    let mut units = Vec::new();
    for name in LIBVIRT {
        units.extend(Unit::find(tree, name)?);
    }
    Ok(!units.is_empty() && !units.iter().any(Unit::is_active))
}

/// What `systemctl is-system-running` says.
fn state_of_all(tree: &Tree<'_>) -> io::Result<String> {
    Ok(tree.facts("system-state")?.concat().into_iter().next().unwrap_or_else(|| "running".to_owned()))
}

/// Starts or stops a user's manager with their sessions; one that is not a unit of the tree has nothing to end.
pub(crate) fn switch(tree: &Tree<'_>, name: &str, on: bool) -> io::Result<()> {
    match Unit::find(tree, name)? {
        Some(unit) if on => unit.start(tree),
        Some(unit) => unit.stop(tree),
        None => Ok(()),
    }
}

/// Display managers greet somebody on a seat on which nobody is left and which is there, or do so no longer.
pub(crate) fn greet(tree: &Tree<'_>, seat: &str, on: bool) -> io::Result<()> {
    for name in tree.list(".kernel/units") {
        let Some(unit) = Unit::find(tree, &name)?.filter(|unit| unit.name == name && unit.is_active()) else {
            continue;
        };
        for id in unit.values("greets") {
            match logins::seat_of(tree, id)? {
                Some(its) if its != seat => {}
                _ if !on => logins::end(tree, id)?,
                _ if logins::is_used(tree, seat)? || udev::is_gone(tree, seat)? => {}
                _ => logins::revive(tree, id)?,
            }
        }
    }
    Ok(())
}

/// `systemctl ARGUMENTS`.
pub(crate) fn systemctl(tree: &Tree<'_>, arguments: &[&str]) -> io::Result<String> {
    match *arguments {
        ["show", "--property=Id,LoadState,ActiveState", "--", ref names @ ..] if !names.is_empty() => {
            let blocks = names.iter().map(|name| show(tree, name)).collect::<io::Result<Vec<_>>>()?;
            return Ok(blocks.join("\n"));
        }
        ["show", "--property=Id,LoadState,ActiveState,UnitFileState", "--", ref names @ ..] if !names.is_empty() => {
            let block = |name: &&str| {
                let state = Unit::find(tree, name)?.map_or(String::new(), |unit| unit.file_state().to_owned());
                Ok(format!("{}UnitFileState={state}\n", show(tree, name)?))
            };
            return Ok(names.iter().map(block).collect::<io::Result<Vec<_>>>()?.join("\n"));
        }
        ["show", "--property=ActiveState,NRestarts", "--", name] => {
            let Some(unit) = Unit::find(tree, name)? else { return Ok("ActiveState=inactive\n".to_owned()) };
            if unit.lines.iter().any(|words| words[0] == "state" && words.get(2).is_some_and(|word| word == "ending")) {
                unit.stop(tree)?;
                unit.set_state(tree, "failed")?;
                return Ok("ActiveState=failed\nNRestarts=0\n".to_owned());
            }
            return Ok(format!("ActiveState={}\nNRestarts=0\n", unit.state()));
        }
        [verb @ ("enable" | "disable"), "--", ref names @ ..] if !names.is_empty() => {
            for name in names {
                match Unit::find(tree, name)? {
                    Some(unit) => unit.enable(tree, verb == "enable")?,
                    None => {
                        let text = format!("Failed to {verb} unit: Unit file {name} does not exist.");
                        return Err(failed("systemctl", &text));
                    }
                }
            }
            return Ok(String::new());
        }
        // Several at once: if one of them fails, the others have their jobs.
        [verb @ ("start" | "stop"), "--", _, _, ..] => {
            let each = arguments[2..].iter().map(|name| systemctl(tree, &[verb, "--", name]));
            return each.collect::<Vec<_>>().into_iter().collect::<io::Result<String>>();
        }
        ["show", "--property=Id,AllowedCPUs", "--", ref names @ ..] if !names.is_empty() => {
            let allowed = |name: &&str| tree.root.read_text(&format!("{ALLOWED}/{name}")).unwrap_or_default();
            let blocks = names.iter().map(|name| format!("Id={name}\nAllowedCPUs={}\n", allowed(name)));
            return Ok(blocks.collect::<Vec<_>>().join("\n"));
        }
        ["set-property", "--runtime", "--", name, setting] => {
            let Some(cpus) = setting.strip_prefix("AllowedCPUs=") else { return Err(unknown("systemctl", arguments)) };
            if cpus.is_empty() {
                tree.unlink(&format!("{ALLOWED}/{name}"))?;
                tree.rmdir(ALLOWED)?;
            } else {
                tree.mkdir(ALLOWED)?;
                tree.put(&format!("{ALLOWED}/{name}"), &format!("{cpus}\n"))?;
            }
            return Ok(String::new());
        }
        ["show", "--property=SystemState"] => return Ok(format!("SystemState={}\n", state_of_all(tree)?)),
        ["is-system-running"] => {
            // Anything but "running" is an exit status, too, without a word on standard error.
            return match state_of_all(tree)?.as_str() {
                "running" => Ok("running\n".to_owned()),
                _ => Err(failed("systemctl", "")),
            };
        }
        _ => {}
    }
    let (waits, arguments) = match *arguments {
        ["--no-block", ref rest @ ..] => (false, rest),
        _ => (true, arguments),
    };
    let [verb @ ("start" | "stop" | "reset-failed"), "--", name] = *arguments else {
        return Err(unknown("systemctl", arguments));
    };
    let Some(unit) = Unit::find(tree, name)? else {
        return Err(failed(
            "systemctl",
            &match verb {
                "start" => format!("Failed to start {name}: Unit {name} not found."),
                "stop" => format!("Failed to stop {name}: Unit {name} not loaded."),
                _ => format!("Failed to reset failed state of unit {name}: Unit {name} not loaded."),
            },
        ));
    };
    let done = match verb {
        "start" => unit.start(tree),
        "stop" => unit.stop(tree),
        _ => unit.reset_failed(tree),
    };
    match done {
        // Who does not wait does not hear how the job ends.
        Err(error) if waits || error.raw_os_error().is_some() => Err(error),
        _ => Ok(String::new()),
    }
}

fn show(tree: &Tree<'_>, name: &str) -> io::Result<String> {
    let unit = Unit::find(tree, name)?;
    let of_session = logins::has_scope(tree, name)?;
    let (id, load, state) = match &unit {
        Some(unit) => (unit.name.as_str(), unit.load(), unit.state()),
        None if of_session => (name, "loaded", "active"),
        None => (name, "not-found", "inactive"),
    };
    Ok(format!("Id={id}\nLoadState={load}\nActiveState={state}\n"))
}
