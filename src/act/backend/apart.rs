// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the configuration has us run is run apart from us: in units of systemd's of its own, with none of the restrictions of
//! ours, and without what only ours may have (our OOM score, the socket by which systemd is told things).
//!
//! The guest that is a command runs as its user and may lock all the memory that it maps, which vfio needs; it gets no more
//! rights by running something with a setuid bit. `before` and `after` are root's.

use crate::plan::guest::ROOT;
use crate::root::Root;
use std::path::Path;
use std::time::Duration;

/// Where the system's D-Bus listens (dbus-daemon(1)).
const BUS: &str = "run/dbus/system_bus_socket";

/// Whether systemd is there to make units (sd_booted(3)).
pub fn is_possible() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whether systemd can be asked what runs. A test tree's machine has it unless OpenRC has left its mark there.
pub fn may_ask_systemd(root: &Root) -> bool {
    if root.is_system() {
        is_possible()
    } else {
        !root.exists("run/openrc")
    }
}

/// Whether systemd is there and cannot be asked to run anything: `systemd-run --wait` asks it by D-Bus (`src/run/run.c`), which
/// a small installation may lack.
pub fn lacks_bus(root: &Root) -> bool {
    root.is_system() && is_possible() && !root.exists(BUS)
}

/// The unit of a guest that is a command.
pub fn unit(guest: &str) -> String {
    format!("vfio-guest-{guest}-command.service")
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A command as systemd has to be told it: systemd puts variables of its own environment where an argument has `$NAME` or
/// `${NAME}`, and makes one dollar of two (`replace_env_argv()`), while nothing is expanded in our configuration. It takes the
/// program's name as it is. `systemd-run --expand-environment=no` came with systemd 254 only.
fn told<S: AsRef<str>>(command: &[S]) -> impl Iterator<Item = String> + '_ {
    let (program, arguments) = command.split_at(command.len().min(1));
    let as_is = program.iter().map(|word| word.as_ref().to_owned());
    as_is.chain(arguments.iter().map(|word| word.as_ref().replace('$', "$$")))
}

/// A command that is run once and waited for, so long at most; its output comes back to us.
pub fn once(command: &[&str], deadline: Duration) -> Vec<String> {
    let mut words = owned(&["systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--service-type=exec"]);
    words.push(format!("--property=RuntimeMaxSec={}", deadline.as_secs().max(1)));
    words.push("--".to_owned());
    words.extend(told(command));
    words
}

/// A guest that is a command, by systemd: what is started here waits for it and ends as it does. At a shutdown it outlives the
/// unit that shuts it down. Its messages have their own place in the journal: through a pipe they would end with us.
///
/// It has `/run/vfio-guest/NAME` for its sockets and `/var/lib/vfio-guest/NAME` for its files; a user other than root has the
/// groups that are named here besides its own.
pub fn guest(name: &str, user: &str, groups: &[&str], command: &[String]) -> Vec<String> {
    let mut words = owned(&["systemd-run", "--quiet", "--wait", "--collect", "--service-type=exec"]);
    words.push(format!("--unit={}", unit(name)));
    words.push(format!("--description=Guest {name}, its command"));
    words.push(format!("--uid={user}"));
    words.extend(owned(&["--slice=machine.slice", "--property=LimitMEMLOCK=infinity", "--property=OOMScoreAdjust=0"]));
    for property in ["RuntimeDirectory", "StateDirectory"] {
        words.push(format!("--property={property}=vfio-guest/{name}"));
    }
    words.push(format!("--property=Before=vfio-guest@{name}.service"));
    if user != ROOT {
        words.push("--property=NoNewPrivileges=yes".to_owned());
        words.extend(groups.iter().map(|group| format!("--property=SupplementaryGroups={group}")));
    }
    words.push("--".to_owned());
    words.extend(told(command));
    words
}

/// The same where there is no systemd: util-linux changes the limit and the user, and becomes the command. root needs neither.
pub fn guest_without_systemd(user: &str, command: &[String]) -> Vec<String> {
    let mut words = Vec::new();
    if user != ROOT {
        words.extend(owned(&["prlimit", "--memlock=unlimited:unlimited", "--"]));
        words.extend(owned(&["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--no-new-privs", "--"]));
    }
    words.extend(command.iter().cloned());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest_words(user: &str) -> String {
        guest("win10", user, &["kvm"], &["/usr/bin/qemu".to_owned(), "-name".to_owned(), "a b".to_owned()]).join("|")
    }

    #[test]
    fn a_guest_runs_as_its_user_and_may_lock_memory() {
        let words = guest_words("vfio-guest");
        for part in
            ["--uid=vfio-guest|", "LimitMEMLOCK=infinity|", "OOMScoreAdjust=0|", "NoNewPrivileges=yes|", "Groups=kvm|"]
        {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert!(words.contains("|--unit=vfio-guest-win10-command.service|"), "{words}");
        assert!(words.ends_with("|--|/usr/bin/qemu|-name|a b"), "{words}");
        assert!(!guest_words("root").contains("NoNewPrivileges"));
    }

    #[test]
    fn a_command_has_an_end() {
        let words = once(&["/bin/sleep", "-1"], Duration::from_millis(100)).join("|");
        assert!(words.ends_with("|--property=RuntimeMaxSec=1|--|/bin/sleep|-1"), "{words}");
    }

    /// Regression: `/bin/sh -c "echo $$ ${HOME}"` was not run as it is written.
    #[test]
    fn systemd_expands_nothing() {
        let command = ["/bin/s$h", "-c", "echo $$ ${HOME}", "$HOME"];
        let told = "--|/bin/s$h|-c|echo $$$$ $${HOME}|$$HOME";
        assert!(once(&command, Duration::from_secs(1)).join("|").ends_with(told));
        assert!(guest("win10", "root", &[], &command.map(str::to_owned)).join("|").ends_with(told));
        assert_eq!(guest_without_systemd("root", &command.map(str::to_owned)), command);
    }

    #[test]
    fn without_systemd_nobody_else_is_asked() {
        let command = ["/usr/bin/qemu".to_owned()];
        assert_eq!(guest_without_systemd("root", &command), command);
        let words = guest_without_systemd("ada", &command).join(" ");
        assert!(
            words.contains("-- setpriv --reuid ada --regid ada --init-groups --no-new-privs -- /usr/bin/qemu"),
            "{words}"
        );
    }
}
