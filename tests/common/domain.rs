// SPDX-License-Identifier: LGPL-2.1-or-later
//! Domains of libvirt on a tree (`sim/domains.rs` has the format).

use super::Tree;

/// A domain with 8 GiB of memory that is given these functions of the host; its disk, firmware, variables and emulator are
/// there, and the machine has memory enough; it gets a mouse, if that is plugged in. `facts` are the model's, as `ignores-shutdown`. More than one may have one card.
pub fn domain(tree: &Tree, name: &str, hostdevs: &[&str], facts: &[&str]) {
    let disk = format!("var/lib/libvirt/images/{name}.qcow2");
    let variables = format!("var/lib/libvirt/qemu/nvram/{name}_VARS.fd");
    let code = "usr/share/OVMF/OVMF_CODE_4M.fd";
    let emulator = "usr/bin/qemu-system-x86_64";
    for file in [disk.as_str(), variables.as_str(), code, emulator] {
        tree.write(file, "");
    }
    if !tree.exists("proc/meminfo") {
        tree.write("proc/meminfo", MEMORY);
    }
    let hostdevs: String = hostdevs.iter().map(|address| hostdev(address)).collect();
    define(
        tree,
        name,
        &format!(
            "<domain type='kvm'>
  <name>{name}</name>
  <uuid>6d0d9f0c-2f0a-4f6d-9d0b-3f1f6c1f4a10</uuid>
  <memory unit='KiB'>8388608</memory>
  <currentMemory unit='KiB'>8388608</currentMemory>
  <vcpu placement='static'>8</vcpu>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <loader readonly='yes' type='pflash'>/{code}</loader>
    <nvram>/{variables}</nvram>
  </os>
  <devices>
    <emulator>/{emulator}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/{disk}'/>
      <target dev='vda' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
    </disk>
    <hostdev mode='subsystem' type='usb' managed='yes'>
      <source startupPolicy='optional'>
        <vendor id='0x046d'/>
        <product id='0xc077'/>
      </source>
    </hostdev>
{hostdevs}  </devices>
</domain>
"
        ),
    );
    let facts: String = facts.iter().map(|fact| format!("{fact}\n")).collect();
    if !facts.is_empty() {
        tree.write(&format!(".kernel/domains/{name}"), &facts);
    }
}

/// Defines a domain by its XML, well-formed or not.
pub fn define(tree: &Tree, name: &str, xml: &str) {
    tree.write(&format!(".kernel/domains/{name}.xml"), xml);
}

/// Has a domain's memory come from huge pages of 2 MiB.
pub fn in_huge_pages(tree: &Tree, name: &str) {
    let xml = tree.read(&format!(".kernel/domains/{name}.xml"));
    let pages = "<memoryBacking><hugepages><page size='2' unit='M'/></hugepages><source type='memfd'/></memoryBacking>\n  <vcpu";
    define(tree, name, &xml.replace("<vcpu", pages));
}

/// Whether a domain runs.
pub fn runs(tree: &Tree, name: &str) -> bool {
    tree.exists(&format!(".kernel/running/{name}"))
}

/// The process of a domain that runs.
pub fn pid(tree: &Tree, name: &str) -> u32 {
    let text = tree.read(&format!(".kernel/running/{name}"));
    text.lines().find_map(|line| line.strip_prefix("pid ")).unwrap().parse().unwrap()
}

/// The `<hostdev>` of a function, managed as virt-manager writes it.
pub fn hostdev(address: &str) -> String {
    let (domain, rest) = address.split_once(':').unwrap();
    let (bus, rest) = rest.split_once(':').unwrap();
    let (slot, function) = rest.split_once('.').unwrap();
    format!(
        "    <hostdev mode='subsystem' type='pci' managed='yes'>
      <source>
        <address domain='0x{domain}' bus='0x{bus}' slot='0x{slot}' function='0x{function}'/>
      </source>
      <address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x{function}'/>
    </hostdev>
"
    )
}

/// 32 GiB, of which 24 are free.
const MEMORY: &str = "MemTotal:       32838016 kB
MemFree:        20971520 kB
MemAvailable:   25165824 kB
HugePages_Total:       0
HugePages_Free:        0
Hugepagesize:       2048 kB
";
