// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a hand-over does for a domain besides its card: the CPUs that its vCPUs are bound to, and users' sound servers.

use super::limits::MOST_DEVICES;
use super::xml::{attribute, child, clip, is};
use crate::host::cpu_list::parse_list;
use roxmltree::Node;

/// The CPUs of the host that `<vcpupin>`, or `<vcpu cpuset=...>` for those without one, binds the vCPUs to; sorted, each once.
pub(super) fn vcpu_cpus(domain: Node<'_, '_>) -> Result<Vec<u32>, String> {
    let tuned = child(domain, "cputune").into_iter().flat_map(|tune| tune.children());
    let pins = tuned.filter(|n| is(*n, "vcpupin")).chain(child(domain, "vcpu"));
    let mut bound: Vec<bool> = Vec::new();
    for cpus in pins.filter_map(|pin| attribute(pin, "cpuset")) {
        for cpu in named(&cpus)
            .ok_or_else(|| format!("its XML binds a vCPU to '{}', which is not a list of CPUs", clip(&cpus)))?
        {
            let at = cpu as usize;
            if bound.len() <= at {
                bound.resize(at + 1, false);
            }
            bound[at] = true;
        }
    }
    Ok((0..).zip(bound).filter(|(_, bound)| *bound).map(|(cpu, _)| cpu).collect())
}

/// A list of CPUs as libvirt takes it: `^3` takes one out (formatdomain, "cpuset").
fn named(text: &str) -> Option<Vec<u32>> {
    let (out, of): (Vec<&str>, Vec<&str>) = text.split(',').partition(|part| part.trim().starts_with('^'));
    let out: Vec<String> = out.iter().map(|part| part.trim().trim_start_matches('^').to_owned()).collect();
    let (out, mut all) = (parse_list(&out.join(","))?, parse_list(&of.join(","))?);
    all.retain(|cpu| out.binary_search(cpu).is_err());
    Some(all)
}

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
    fn the_cpus_of_the_vcpus_are_read() {
        let tune = "<cputune><vcpupin vcpu='0' cpuset='4,12'/><vcpupin vcpu='1' cpuset='5-7,^6'/>\
                    <emulatorpin cpuset='0-3'/></cputune>";
        assert_eq!(domain(tune).unwrap().vcpu_cpus, [4, 5, 7, 12]);
        assert_eq!(domain("<vcpu placement='static' cpuset='1-2'>2</vcpu>").unwrap().vcpu_cpus, [1, 2]);
        assert!(domain("<vcpu>2</vcpu>").unwrap().vcpu_cpus.is_empty());
        let error = domain("<vcpu cpuset='0-9999'>2</vcpu>").unwrap_err();
        assert_eq!(error, "its XML binds a vCPU to '0-9999', which is not a list of CPUs");
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
