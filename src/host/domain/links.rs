// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a domain's network interfaces hang on.

use super::needs::{Domain, Link, NeededFile};
use super::xml::{attribute, child};
use roxmltree::Node;

/// An `<interface>` that is no device of the host.
pub(super) fn interface(interface: Node<'_, '_>, found: &mut Domain) {
    let Some(source) = child(interface, "source") else { return };
    let by = child(interface, "virtualport").and_then(|port| port.attribute("type"));
    let link = match interface.attribute("type") {
        Some("network") => attribute(source, "network").map(Link::Network),
        // The bridges of Open vSwitch need not show as interfaces.
        Some("bridge") if by != Some("openvswitch") => attribute(source, "bridge").map(Link::Bridge),
        Some("direct") => attribute(source, "dev").map(Link::Parent),
        Some("vhostuser") if source.attribute("mode") == Some("client") => {
            found.files.extend(attribute(source, "path").map(|path| NeededFile::new(path, "socket of the network")));
            None
        }
        _ => None,
    };
    found.links.extend(link.filter(|link| !found.links.contains(link)));
}
