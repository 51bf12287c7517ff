// SPDX-License-Identifier: LGPL-2.1-or-later
//! How libvirt takes a domain's definition, as far as an edit depends on it: comments go, everything else stays as it was
//! written (what libvirt itself adds is in the dump already), and what does not go together is refused in its words, which are
//! a recording of libvirt 12.8 (`tests/libvirt.sh` has the real one judge the same definitions).
//!
//! `.kernel/libvirt` has facts, all optional: `version V`, `qemu V`, `no-swtpm`, `no-efi`, `no-secure-boot`, and `drops NAME`:
//! an element of `<devices>` that libvirt accepts and leaves out.

use crate::error::failed;
use crate::tree::Tree;
use roxmltree::{Document, Node};
use std::io;

/// A version as of Debian 13.
const LIBVIRT: &str = "11.3.0";
const QEMU: &str = "10.0.13";

fn fact(tree: &Tree<'_>, key: &str) -> io::Result<Option<String>> {
    Ok(tree.fact("libvirt", key)?.map(|words| words.first().cloned().unwrap_or_default()))
}

/// `virsh version --daemon`.
pub(crate) fn version(tree: &Tree<'_>) -> io::Result<String> {
    let libvirt = fact(tree, "version")?.unwrap_or_else(|| LIBVIRT.to_owned());
    let qemu = fact(tree, "qemu")?.unwrap_or_else(|| QEMU.to_owned());
    Ok(format!(
        "Compiled against library: libvirt {libvirt}\nUsing library: libvirt {libvirt}\nUsing API: QEMU {libvirt}\n\
         Running hypervisor: QEMU {qemu}\nRunning against daemon: {libvirt}\n\n"
    ))
}

/// `virsh domcapabilities`, the part of it that is about firmware and TPM.
pub(crate) fn capabilities(tree: &Tree<'_>) -> io::Result<String> {
    let value = |key: &str, value: &str| {
        Ok::<_, io::Error>(if fact(tree, key)?.is_some() { String::new() } else { format!("<value>{value}</value>") })
    };
    Ok(format!(
        "<domainCapabilities>\n  <os supported='yes'>\n    <enum name='firmware'>{}</enum>\n    <loader supported='yes'>\n      \
         <enum name='secure'>{}<value>no</value></enum>\n    </loader>\n  </os>\n  <devices>\n    <tpm supported='yes'>\n      \
         <enum name='backendModel'><value>passthrough</value>{}</enum>\n    </tpm>\n  </devices>\n</domainCapabilities>\n\n",
        value("no-efi", "efi")?,
        value("no-secure-boot", "yes")?,
        value("no-swtpm", "emulator")?,
    ))
}

/// `virsh dominfo`, the lines of it that are asked for.
pub(crate) fn info(tree: &Tree<'_>, name: &str, xml: &str, running: bool) -> io::Result<String> {
    let has = |key: &str| Ok::<_, io::Error>(tree.fact(&format!("domains/{name}"), key)?.is_some());
    let word = |yes: bool| if yes { "yes" } else { "no" };
    let state = if running { "running" } else { "shut off" };
    Ok(format!(
        "Id:             -\nName:           {name}\nUUID:           {}\nOS Type:        hvm\nState:          {state}\n\
         Persistent:     {}\nAutostart:      disable\nManaged save:   {}\n\n",
        uuid(xml),
        word(!has("transient")?),
        word(has("saved")?),
    ))
}

/// Its UUID; libvirt makes one where the text has none.
fn uuid(xml: &str) -> String {
    let own =
        xml.split_once("<uuid>").and_then(|(_, rest)| rest.split_once("</uuid>")).map(|(uuid, _)| uuid.to_owned());
    own.unwrap_or_else(|| "00000000-0000-4000-8000-000000000000".to_owned())
}

fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().namespace().is_none() && node.tag_name().name() == name
}

fn child<'a, 'd>(node: Node<'a, 'd>, name: &str) -> Option<Node<'a, 'd>> {
    node.children().find(|n| is(n, name))
}

/// `virsh define [--validate] -- FILE`: the domain's name and its text as libvirt has it from now on.
pub(crate) fn read(tree: &Tree<'_>, file: &str, validate: bool) -> io::Result<(String, String)> {
    let inside = file.strip_prefix(&tree.root.path().display().to_string()).unwrap_or(file).trim_start_matches('/');
    let text = match tree.root.read(inside) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => {
            return Err(failed("virsh", &format!("error: Failed to open file '{file}': No such file or directory")));
        }
    };
    let refuse = |why: String| failed("virsh", &format!("error: Failed to define domain from {file}\nerror: {why}"));
    let document = Document::parse(&text).map_err(|error| refuse(format!("at line {}: {error}", error.pos().row)))?;
    let domain = document.root_element();
    // The schema wants a path there; libvirt itself takes the empty one.
    if validate && domain.descendants().any(|n| is(&n, "rom") && n.attribute("file") == Some("")) {
        let schema = "XML document failed to validate against schema: Unable to validate doc against \
                      /usr/share/libvirt/schemas/domain.rng\nExtra element devices in interleave\n\
                      Element domain failed to validate content";
        return Err(refuse(schema.to_owned()));
    }
    if let Some(why) = wrong(domain) {
        return Err(refuse(why));
    }
    let name = child(domain, "name").and_then(|name| name.text()).unwrap_or_default().trim().to_owned();
    if name.is_empty() || name.contains('/') {
        return Err(refuse("XML error: missing domain name".to_owned()));
    }
    let drops = fact(tree, "drops")?;
    let is_left_out = |node: &Node<'_, '_>| {
        node.is_comment()
            || (node.parent().is_some_and(|p| is(&p, "devices")) && drops.as_deref().is_some_and(|d| is(node, d)))
    };
    let mut left: Vec<_> = document.descendants().filter(is_left_out).map(|node| node.range()).collect();
    left.sort_by_key(|range| range.start);
    let (mut out, mut at) = (String::new(), 0);
    for range in left {
        let before = text[at..range.start].trim_end_matches([' ', '\t']);
        // A line of its own goes with it.
        out.push_str(if text[range.end..].starts_with('\n') {
            before.strip_suffix('\n').unwrap_or(before)
        } else {
            before
        });
        at = range.end;
    }
    out.push_str(&text[at..]);
    Ok((name, out.trim_end().to_owned()))
}

/// What libvirt refuses, in its words.
fn wrong(domain: Node<'_, '_>) -> Option<String> {
    if !is(&domain, "domain") {
        return Some("XML document failed to validate against schema".to_owned());
    }
    let devices = child(domain, "devices");
    let devices = || devices.iter().flat_map(|devices| devices.children()).filter(Node::is_element);
    let of = |name: &'static str| devices().filter(move |n| is(n, name));
    let mut aliases: Vec<&str> = devices().filter_map(|device| child(device, "alias")?.attribute("name")).collect();
    aliases.sort_unstable();
    if let Some(twice) = aliases.windows(2).find(|pair| pair[0] == pair[1]) {
        return Some(format!("unsupported configuration: non unique alias detected: {}", twice[0]));
    }
    let spice = of("graphics").any(|graphics| graphics.attribute("type") == Some("spice"));
    let of_spice = |n: &Node<'_, '_>| matches!(n.attribute("type"), Some("spicevmc" | "spiceport"));
    if let Some(device) = devices().find(|n| of_spice(n) && !spice) {
        let kind = device.attribute("type").unwrap_or_default();
        return Some(format!("unsupported configuration: chardev '{kind}' not supported without spice graphics"));
    }
    if !spice && of("audio").any(|audio| audio.attribute("type") == Some("spice")) {
        return Some("unsupported configuration: Spice audio is not supported without spice graphics".to_owned());
    }
    let mut ids: Vec<&str> = of("audio").filter_map(|audio| audio.attribute("id")).collect();
    ids.sort_unstable();
    if let Some(twice) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
        return Some(format!("XML error: audio ID {} is used multiple times", twice[0]));
    }
    let named = of("sound").filter_map(|sound| child(sound, "audio")?.attribute("id"));
    if let Some(id) = named.into_iter().find(|id| !ids.contains(id)) {
        return Some(format!("XML error: no audio device with ID {id}"));
    }
    processors(domain).or_else(|| of("shmem").find_map(shared_memory))
}

fn processors(domain: Node<'_, '_>) -> Option<String> {
    let number =
        |node: Option<Node<'_, '_>>| node.and_then(|n| n.text()).and_then(|text| text.trim().parse::<u64>().ok());
    let count = number(child(domain, "vcpu")).unwrap_or(1);
    if let Some(topology) = child(domain, "cpu").and_then(|cpu| child(cpu, "topology")) {
        let part = |name: &str| topology.attribute(name).and_then(|n| n.parse::<u64>().ok()).unwrap_or(1);
        if ["sockets", "dies", "clusters", "cores", "threads"].iter().map(|name| part(name)).product::<u64>() != count {
            return Some("unsupported configuration: CPU topology doesn't match maximum vcpu count".to_owned());
        }
    }
    let threads = number(child(domain, "iothreads")).unwrap_or(0);
    let tune = child(domain, "cputune");
    let pins = tune.iter().flat_map(|tune| tune.children()).filter(|n| is(n, "iothreadpin"));
    let mut named = pins.filter_map(|pin| pin.attribute("iothread")?.parse::<u64>().ok());
    let missing = named.find(|thread| *thread > threads)?;
    Some(format!("unsupported configuration: Cannot find 'iothread' : {missing}"))
}

fn shared_memory(shmem: Node<'_, '_>) -> Option<String> {
    let size = child(shmem, "size")?;
    let number: u64 = size.text()?.trim().parse().ok()?;
    (!number.is_power_of_two())
        .then(|| "XML error: shmem size must be a power of 2 and at least 1 MiB (1024 KiB)".to_owned())
}
