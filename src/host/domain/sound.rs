// SPDX-License-Identifier: LGPL-2.1-or-later
//! Sound servers that a domain plays on.

use super::limits::MOST_DEVICES;
use super::xml::attribute;
use roxmltree::Node;

/// The sockets of sound servers: PipeWire's in its runtime directory, where it has its usual name (`PIPEWIRE_CORE`), and
/// PulseAudio's own.
pub(super) fn sound(device: Node<'_, '_>) -> Option<String> {
    match device.attribute("type") {
        Some("pipewire") => {
            let directory = attribute(device, "runtimeDir")?;
            Some(format!("{}/pipewire-0", directory.trim_end_matches('/')))
        }
        Some("pulseaudio") => {
            let server = attribute(device, "serverName")?;
            let path = server.strip_prefix("unix:").unwrap_or(&server);
            path.starts_with('/').then(|| path.to_owned())
        }
        _ => None,
    }
}

/// Adds a sound server, each once.
pub(super) fn add_sound(device: Node<'_, '_>, sockets: &mut Vec<String>) {
    let known = |socket: &String| sockets.contains(socket);
    if let Some(socket) = sound(device).filter(|socket| !known(socket)) {
        if sockets.len() < MOST_DEVICES {
            sockets.push(socket);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::host::domain::{parse, Domain};

    fn domain(inside: &str) -> Result<Domain, String> {
        parse(&format!("<domain><name>a</name>{inside}</domain>"))
    }

    #[test]
    fn the_sockets_of_sound_servers_are_read() {
        let devices = "<devices><audio id='1' type='pipewire' runtimeDir='/run/user/1000/'/>\
            <audio id='2' type='pulseaudio' serverName='unix:/run/user/1000/pulse/native'/>\
            <audio id='3' type='pulseaudio' serverName='somewhere.example'/><audio id='4' type='spice'/>\
            <audio id='5' type='pipewire' runtimeDir='/run/user/1000'/><audio id='6' type='pipewire'/></devices>";
        assert_eq!(domain(devices).unwrap().sound, ["/run/user/1000/pipewire-0", "/run/user/1000/pulse/native"]);
    }
}
