// SPDX-License-Identifier: LGPL-2.1-or-later
//! Sound servers that a domain plays on.

use super::limits::MOST_DEVICES;
use super::needs::{Domain, NeededFile};
use super::xml::{attribute, is, QEMU};
use roxmltree::Node;

/// What a directory or a socket of a sound server is called.
const PLACE: &str = "sound server's place";

/// Adds the socket of a sound server, each once: PipeWire's in its runtime directory, where it has its usual name
/// (`PIPEWIRE_CORE`), and PulseAudio's own. A place that is no user's own must be there before anybody logs in.
pub(super) fn audio(device: Node<'_, '_>, found: &mut Domain) {
    let (socket, place) = match device.attribute("type") {
        Some("pipewire") => {
            let Some(directory) = attribute(device, "runtimeDir") else { return };
            let socket = format!("{}/pipewire-0", directory.trim_end_matches('/'));
            (socket, NeededFile { directory: true, ..NeededFile::new(directory, PLACE) })
        }
        Some("pulseaudio") => {
            let Some(place) = attribute(device, "serverName").and_then(|name| socket_of_pulseaudio(&name)) else {
                return;
            };
            (place.path.clone(), place)
        }
        _ => return,
    };
    add_socket(socket, found);
    if !place.path.starts_with("/run/user/") {
        found.files.push(place);
    }
}

/// The socket of a PulseAudio server, if its name is one (PulseAudio's "Server Strings").
pub(super) fn socket_of_pulseaudio(name: &str) -> Option<NeededFile> {
    let name = name.trim();
    let path = name.strip_prefix("unix:").unwrap_or(name);
    path.starts_with('/').then(|| NeededFile::new(path, PLACE))
}

/// The variable of QEMU's environment by which JACK's library, where it is PipeWire's, finds its server (pipewire-jack(1)).
pub const JACK: &str = "PIPEWIRE_RUNTIME_DIR";

/// Adds the socket of a JACK that is PipeWire's: libvirt has no element for its directory.
pub(super) fn jack(domain: Node<'_, '_>, found: &mut Domain) {
    let devices = domain.children().filter(|n| is(*n, "devices")).flat_map(|devices| devices.children());
    if !devices.filter(|n| is(*n, "audio")).any(|audio| audio.attribute("type") == Some("jack")) {
        return;
    }
    let lists = domain.children().filter(|n| n.has_tag_name((QEMU, "commandline")));
    let mut variables = lists.flat_map(|list| list.children()).filter(|n| n.has_tag_name((QEMU, "env")));
    let directory = variables.find(|n| n.attribute("name") == Some(JACK)).and_then(|n| attribute(n, "value"));
    if let Some(directory) = directory.filter(|directory| directory.starts_with('/')) {
        add_socket(format!("{}/pipewire-0", directory.trim_end_matches('/')), found);
    }
}

/// Adds a socket, each once.
fn add_socket(socket: String, found: &mut Domain) {
    if !found.sound.contains(&socket) && found.sound.len() < MOST_DEVICES {
        found.sound.push(socket);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::host::domain::tests::domain;

    #[test]
    fn the_sockets_of_sound_servers_are_read() {
        let devices = "<devices><audio id='1' type='pipewire' runtimeDir='/run/user/1000/'/>\
            <audio id='2' type='pulseaudio' serverName='unix:/run/user/1000/pulse/native'/>\
            <audio id='3' type='pulseaudio' serverName='somewhere.example'/><audio id='4' type='spice'/>\
            <audio id='5' type='pipewire' runtimeDir='/run/user/1000'/><audio id='6' type='pipewire'/></devices>";
        assert_eq!(domain(devices).unwrap().sound, ["/run/user/1000/pipewire-0", "/run/user/1000/pulse/native"]);
    }

    #[test]
    fn a_jack_of_pipewires_is_found_by_its_variable() {
        let jack = |kind: &str, directory: &str| {
            let text = format!(
                "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>a</name><devices><audio id='1' type='{kind}'/>\
                 </devices><qemu:commandline><qemu:env name='A' value='/b'/><qemu:env name='PIPEWIRE_RUNTIME_DIR' \
                 value='{directory}'/></qemu:commandline></domain>"
            );
            crate::host::domain::parse(&text).unwrap().sound
        };
        assert_eq!(jack("jack", "/run/user/1000/"), ["/run/user/1000/pipewire-0"]);
        assert_eq!(jack("none", "/run/user/1000"), [""; 0]);
        assert_eq!(jack("jack", "somewhere"), [""; 0]);
    }
}
