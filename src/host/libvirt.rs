// SPDX-License-Identifier: LGPL-2.1-or-later
//! What virsh(1) answers: versions, what is so of a domain beside its XML, what QEMU can do here.

use super::domain::document;
use super::domain::xml::{child, text};
use serde::Serialize;
use std::fmt;

/// A version of libvirt or QEMU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Version {
    fn parse(text: &str) -> Option<Version> {
        let mut parts = text.trim().split('.').map(|part| part.parse().ok());
        Some(Version(parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)))
    }
}

/// The versions of the daemon and of QEMU, as `virsh version --daemon` tells them; `None` what it does not tell.
pub fn versions(answer: &str) -> (Option<Version>, Option<Version>) {
    let after = |mark: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(mark))?;
        Version::parse(line.rsplit(' ').next()?)
    };
    (after("Running against daemon:").or_else(|| after("Using library:")), after("Running hypervisor:"))
}

/// What is so of a domain beside its XML (`virsh dominfo`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DomainInfo {
    /// `shut off`, `running`, ...
    pub state: String,
    /// Its UUID.
    pub uuid: String,
    /// Whether it stays when it ends.
    pub persistent: bool,
    /// Whether a saved state is kept with which it goes on at its next start.
    pub saved: bool,
}

impl DomainInfo {
    /// Reads the lines `Name:  value`.
    pub fn parse(answer: &str) -> DomainInfo {
        let value = |key: &str| {
            let line = answer.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.unwrap_or_default().trim().to_owned()
        };
        DomainInfo {
            state: value("State"),
            uuid: value("UUID"),
            persistent: value("Persistent") == "yes",
            saved: value("Managed save") == "yes",
        }
    }
}

/// What QEMU can do on this machine (`virsh domcapabilities`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// libvirt finds a UEFI firmware by its features.
    pub efi: bool,
    /// One that checks signatures is among them.
    pub secure_boot: bool,
    /// libvirt finds the program for an emulated TPM.
    pub emulated_tpm: bool,
}

impl Capabilities {
    /// Reads the XML. `None` where it cannot be read.
    pub fn parse(answer: &str) -> Option<Capabilities> {
        let document = document(answer).ok()?;
        let root = document.root_element();
        let has = |path: &[&str], kind: &str, value: &str| {
            let place = path.iter().try_fold(root, |node, name| child(node, name));
            let values = place.into_iter().flat_map(|place| place.children());
            values
                .filter(|n| n.has_tag_name("enum") && n.attribute("name") == Some(kind))
                .flat_map(|n| n.children())
                .any(|n| n.has_tag_name("value") && text(n) == value)
        };
        Some(Capabilities {
            efi: has(&["os"], "firmware", "efi"),
            secure_boot: has(&["os", "loader"], "secure", "yes"),
            emulated_tpm: has(&["devices", "tpm"], "backendModel", "emulator"),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_version_counts() {
        let answer =
            "Compiled against library: libvirt 12.8.0\nUsing library: libvirt 12.8.0\nUsing API: QEMU 12.8.0\n\
                      Running hypervisor: QEMU 11.1.3\nRunning against daemon: 11.3.0\n\n";
        assert_eq!(versions(answer), (Some(Version(11, 3, 0)), Some(Version(11, 1, 3))));
        assert_eq!(versions("Using library: libvirt 9.0.0\n"), (Some(Version(9, 0, 0)), None));
        assert_eq!(versions("nonsense"), (None, None));
        assert!(Version(7, 10, 0) > Version(7, 9, 9));
    }

    #[test]
    fn what_is_so_of_a_domain() {
        let answer = "Id:             -\nName:           a\nUUID:           6d0d9f0c-2f0a-4f6d-9d0b-3f1f6c1f4a10\n\
                      OS Type:        hvm\nState:          shut off\nPersistent:     yes\nManaged save:   no\n\n";
        let info = DomainInfo::parse(answer);
        assert_eq!((info.state.as_str(), info.persistent, info.saved), ("shut off", true, false));
        assert_eq!(info.uuid, "6d0d9f0c-2f0a-4f6d-9d0b-3f1f6c1f4a10");
    }

    #[test]
    fn what_qemu_can_do() {
        let answer = "<domainCapabilities><os supported='yes'><enum name='firmware'><value>efi</value></enum>\
                      <loader supported='yes'><enum name='secure'><value>no</value></enum></loader></os><devices>\
                      <tpm supported='yes'><enum name='backendModel'><value>emulator</value></enum></tpm></devices>\
                      </domainCapabilities>";
        let found = Capabilities::parse(answer).unwrap();
        assert_eq!((found.efi, found.secure_boot, found.emulated_tpm), (true, false, true));
        assert_eq!(Capabilities::parse("<a"), None);
    }
}
