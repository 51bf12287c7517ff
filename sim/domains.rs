// SPDX-License-Identifier: LGPL-2.1-or-later
//! libvirt's domains. `.kernel/domains/NAME.xml` defines one; `.kernel/domains/NAME` has facts, all optional:
//! `ignores-shutdown`, `transient`, `saved`. While it runs, `.kernel/running/NAME` has `pid PID` and a line `group GROUP` for each IOMMU group
//! that it has open. `.kernel/no-libvirt` means that the daemon does not answer, `.kernel/libvirt-sleeps` that only its
//! socket is there: the next question starts it.
//!
//! A daemon that was not there when QEMU ended notices it later, and resets those of the domain's functions that are with
//! a driver of the host by then: they are listed in `.kernel/reset-in-use`.
//!
//! Functions that are managed and not with vfio are detached from the host's drivers before QEMU starts, all of them before
//! any is used, and attached again when libvirt notices QEMU's end; those that are not managed must be with vfio already
//! (`src/hypervisor/virhostdev.c`, `virHostdevPreparePCIDevicesImpl`; `src/util/virpci.c`, `virPCIDeviceBindToStub` and
//! `virPCIDeviceUnbindFromStub`: the override, an unbind, `drivers_probe`). What was detached is in `.kernel/detached/NAME`.

use crate::device::{Device, NO_GROUP};
use crate::driver;
use crate::error::{failed, unknown};
use crate::tree::Tree;
use crate::{definition, modules, networks, openrc, pages, platform, units};
use std::io;
use vfio_suite::root::IOMMU_GROUPS;

const DOMAINS: &str = ".kernel/domains";
const RUNNING: &str = ".kernel/running";
/// Where libvirt's QEMU driver keeps its state.
const STATE: &str = "run/libvirt/qemu";
/// The fact that only its daemon's socket is there.
const SLEEPS: &str = "libvirt-sleeps";
/// What its daemon has reset while a driver of the host had it.
const RESET: &str = ".kernel/reset-in-use";
/// The functions that its daemon has detached for a domain.
const DETACHED: &str = ".kernel/detached";
/// Processes of guests are numbered from here.
const FIRST_PID: u32 = 7001;

/// `virsh ARGUMENTS`.
pub(crate) fn virsh(tree: &Tree<'_>, arguments: &[&str]) -> io::Result<String> {
    let ["--connect", _, ref request @ ..] = *arguments else { return Err(unknown("virsh", arguments)) };
    let answers =
        !tree.root.exists(".kernel/no-libvirt") && !units::libvirt_is_down(tree)? && !openrc::libvirt_is_down(tree);
    let no_answer = || {
        let text = "error: failed to connect to the hypervisor\nerror: Failed to connect socket to \
                    '/var/run/libvirt/libvirt-sock': No such file or directory";
        Err(failed("virsh", text))
    };
    let (verb, name) = match *request {
        ["list", "--all", "--name"] if answers => return Ok(defined(tree).join("\n") + "\n\n"),
        ["list", "--name"] if answers => return Ok(tree.list(RUNNING).join("\n") + "\n\n"),
        [verb, ..] if answers && verb.starts_with("net-") => return networks::virsh(tree, request),
        ["list", ..] | ["net-start" | "net-destroy" | "net-autostart", ..] => return no_answer(),
        ["domstate", "--", name] => ("domstate", name),
        ["dumpxml", "--inactive", "--", name] | ["dumpxml", "--inactive", "--security-info", "--", name] => {
            ("dumpxml", name)
        }
        ["dominfo", "--", name] => ("dominfo", name),
        ["version", "--daemon"] if answers => return definition::version(tree),
        ["domcapabilities", "--machine", _] if answers => return definition::capabilities(tree),
        ["version" | "domcapabilities", ..] => return no_answer(),
        ["define", "--validate", "--", file] if answers => return define(tree, file, true),
        ["define", "--", file] if answers => return define(tree, file, false),
        ["define", ..] => return no_answer(),
        ["undefine", "--keep-nvram", "--", name] | ["undefine", "--keep-nvram", "--keep-tpm", "--", name] => {
            ("undefine", name)
        }
        ["start", "--", name] => ("start", name),
        ["shutdown", "--mode", "acpi", "--", name] => ("shutdown", name),
        ["destroy", "--", name] => ("destroy", name),
        _ => return Err(unknown("virsh", arguments)),
    };
    if !answers {
        return no_answer();
    }
    notice(tree)?;
    let Some(xml) = definition(tree, name)? else {
        return Err(failed("virsh", &format!("error: failed to get domain '{name}'")));
    };
    let running = tree.root.exists(&format!("{RUNNING}/{name}"));
    match verb {
        "domstate" => Ok(format!("{}\n\n", if running { "running" } else { "shut off" })),
        "dominfo" => definition::info(tree, name, &xml, running),
        "dumpxml" => Ok(format!("{xml}\n")),
        "undefine" => {
            tree.unlink(&format!("{DOMAINS}/{name}.xml"))?;
            Ok(format!("Domain '{name}' has been undefined\n\n"))
        }
        "start" if running => Err(failed("virsh", "error: Domain is already active")),
        "start" => start(tree, name, &xml).map(|()| format!("Domain '{name}' started\n\n")),
        verb if !running => Err(failed(
            "virsh",
            &format!(
                "error: Failed to {verb} domain '{name}'\n\
                 error: Requested operation is not valid: domain is not running"
            ),
        )),
        "destroy" => end(tree, name).map(|()| format!("Domain '{name}' destroyed\n\n")),
        _ => {
            if tree.fact(&format!("domains/{name}"), "ignores-shutdown")?.is_none() {
                end(tree, name)?;
            }
            Ok(format!("Domain '{name}' is being shutdown\n\n"))
        }
    }
}

/// The names of all domains.
fn defined(tree: &Tree<'_>) -> Vec<String> {
    tree.list(DOMAINS).iter().filter_map(|file| file.strip_suffix(".xml")).map(str::to_owned).collect()
}

/// For tests, `guest-ends DOMAIN`: the guest switches itself off.
pub(crate) fn ends_from_inside(tree: &Tree<'_>, arguments: &[&str]) -> io::Result<String> {
    match *arguments {
        [name] if !name.contains('/') && tree.root.exists(&format!("{RUNNING}/{name}")) => {
            end(tree, name).map(|()| String::new())
        }
        _ => Err(failed("guest-ends", "no such domain is running")),
    }
}

/// The domain whose QEMU a process is.
pub(crate) fn of_process(tree: &Tree<'_>, pid: &str) -> io::Result<Option<String>> {
    for name in tree.list(RUNNING) {
        if tree.fact(&format!("running/{name}"), "pid")?.is_some_and(|words| words.iter().any(|word| word == pid)) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The text of a domain is another one from now on.
fn define(tree: &Tree<'_>, file: &str, validate: bool) -> io::Result<String> {
    let (name, xml) = definition::read(tree, file, validate)?;
    tree.mkdir(DOMAINS)?;
    tree.put(&format!("{DOMAINS}/{name}.xml"), &format!("{xml}\n"))?;
    Ok(format!("Domain '{name}' defined from {file}\n\n"))
}

fn definition(tree: &Tree<'_>, name: &str) -> io::Result<Option<String>> {
    if name.contains('/') {
        return Ok(None);
    }
    match tree.root.read(&format!("{DOMAINS}/{name}.xml")) {
        Ok(xml) => Ok(Some(String::from_utf8_lossy(&xml).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn start(tree: &Tree<'_>, name: &str, xml: &str) -> io::Result<()> {
    let refuse = |text: String| Err(failed("virsh", &format!("error: Failed to start domain '{name}'\nerror: {text}")));
    let mut devices = Vec::new();
    for (address, _) in hostdevs(xml) {
        let Some(device) = Device::find(tree, &address) else {
            return refuse(format!("Device {address} not found: could not access /sys/bus/pci/devices/{address}/config: No such file or directory"));
        };
        devices.push(device);
    }
    if let Some(text) = detach_devices(tree, name, xml)? {
        attach_devices(tree, name)?;
        return refuse(text);
    }
    let started = start_qemu(tree, name, xml, &devices);
    if started.is_err() {
        attach_devices(tree, name)?;
    }
    started
}

/// Detaches managed functions from the host's drivers; why that is not done, if so.
fn detach_devices(tree: &Tree<'_>, name: &str, xml: &str) -> io::Result<Option<String>> {
    for (address, managed) in hostdevs(xml) {
        let Some(device) = Device::find(tree, &address) else { continue };
        if driver::is_with_vfio(tree, &device)? {
            continue;
        }
        if !managed {
            return Ok(Some(format!(
                "internal error: Unmanaged PCI device {address} must be manually detached from the host"
            )));
        }
        modules::load(tree, "vfio-pci")?;
        tree.mkdir(DETACHED)?;
        let before = tree.root.read(&format!("{DETACHED}/{name}")).unwrap_or_default();
        tree.put(&format!("{DETACHED}/{name}"), &format!("{}{address}\n", String::from_utf8_lossy(&before)))?;
        bind_again(tree, &device, "vfio-pci")?;
        if !driver::is_with_vfio(tree, &device)? {
            return Ok(Some(format!("internal error: Failed to bind PCI device '{address}' to vfio-pci")));
        }
    }
    Ok(None)
}

/// Gives what was detached for a domain back to the host's drivers.
fn attach_devices(tree: &Tree<'_>, name: &str) -> io::Result<()> {
    for words in tree.facts(&format!("detached/{name}"))? {
        if let Some(device) = Device::find(tree, &words[0]) {
            // One that another program has bound meanwhile is left alone.
            if driver::is_with_vfio(tree, &device)? {
                bind_again(tree, &device, "")?;
            }
        }
    }
    tree.unlink(&format!("{DETACHED}/{name}"))?;
    tree.rmdir(DETACHED)
}

/// Lets one driver, or with no name any, have a function.
fn bind_again(tree: &Tree<'_>, device: &Device, only: &str) -> io::Result<()> {
    device.set_override(tree, only)?;
    driver::release(tree, device)?;
    driver::probe(tree, device)
}

/// Starts QEMU with these functions.
fn start_qemu(tree: &Tree<'_>, name: &str, xml: &str, devices: &[Device]) -> io::Result<()> {
    let refuse = |text: String| Err(failed("virsh", &format!("error: Failed to start domain '{name}'\nerror: {text}")));
    // libvirt is content; the rest is QEMU's.
    let qemu = |device: &Device, text: &str| {
        let address = &device.name;
        refuse(format!("internal error: QEMU unexpectedly closed the monitor (vm='{name}'): vfio {address}: {text}"))
    };
    let mut groups = Vec::new();
    for device in devices {
        let Some(group) = device.group(tree) else { return qemu(device, "no iommu_group found") };
        // QEMU itself starts; the guest's driver does not find its memory.
        if platform::is_in_the_way(tree, device) {
            return qemu(device, "BAR 0: can't reserve");
        }
        if device.owned(tree)? {
            return qemu(device, &format!("failed to open /dev/vfio/{group}: Device or resource busy"));
        }
        if !viable(tree, &group)? {
            return qemu(device, &format!("group {group} is not viable"));
        }
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    if !pages::take(tree, xml)? {
        return refuse(format!(
            "internal error: QEMU unexpectedly closed the monitor (vm='{name}'): unable to map backing store for guest RAM: \
             Cannot allocate memory"
        ));
    }
    let pid = free_pid(tree);
    let nodes = if tree.root.exists(NO_GROUP) {
        devices.iter().filter_map(|device| device.own_node(tree)).collect()
    } else {
        groups.clone()
    };
    show_process(tree, name, pid, &nodes)?;
    tree.mkdir(STATE)?;
    tree.put(&format!("{STATE}/{name}.pid"), &pid.to_string())?;
    let owned = tree.root.read(".kernel/owned").unwrap_or_default();
    let more: String = groups.iter().map(|group| format!("{group}\n")).collect();
    if !more.is_empty() {
        tree.put(".kernel/owned", &format!("{}{more}", String::from_utf8_lossy(&owned)))?;
    }
    // Last, for it says that the domain runs.
    tree.mkdir(RUNNING)?;
    let lines: String = groups.iter().map(|group| format!("group {group}\n")).collect();
    tree.put(&format!("{RUNNING}/{name}"), &format!("pid {pid}\n{lines}"))
}

/// Ends a domain that runs: nothing is left of its process, and the groups can be opened again.
pub(crate) fn end(tree: &Tree<'_>, name: &str) -> io::Result<()> {
    let facts = tree.facts(&format!("running/{name}"))?;
    let values = |key: &str| -> Vec<&String> {
        facts.iter().filter(|words| words[0] == key).filter_map(|words| words.get(1)).collect()
    };
    for pid in values("pid") {
        tree.remove_all(&format!("proc/{pid}"))?;
    }
    let groups = values("group");
    let mut left = tree.facts("owned")?;
    left.retain(|words| !groups.contains(&&words[0]));
    if left.is_empty() {
        tree.unlink(".kernel/owned")?;
    } else {
        let text: String = left.iter().map(|words| format!("{}\n", words.join(" "))).collect();
        tree.put(".kernel/owned", &text)?;
    }
    tree.unlink(&format!("{RUNNING}/{name}"))?;
    tree.rmdir(RUNNING)?;
    pages::leave(tree, &definition(tree, name)?.unwrap_or_default())?;
    let sleeps = ["no-libvirt", SLEEPS].iter().any(|fact| tree.root.exists(&format!(".kernel/{fact}")));
    if sleeps {
        return Ok(());
    }
    notice(tree)
}

/// libvirt's daemon is there, and notices whose QEMU has ended.
fn notice(tree: &Tree<'_>) -> io::Result<()> {
    tree.unlink(&format!(".kernel/{SLEEPS}"))?;
    for file in tree.list(STATE) {
        let Some(name) = file.strip_suffix(".pid") else { continue };
        if tree.root.exists(&format!("{RUNNING}/{name}")) {
            continue;
        }
        attach_devices(tree, name)?;
        for (address, _) in hostdevs(&definition(tree, name)?.unwrap_or_default()) {
            let Some(device) = Device::find(tree, &address) else { continue };
            if device.driver(tree).is_some() && !driver::is_with_vfio(tree, &device)? {
                let before = tree.root.read(RESET).unwrap_or_default();
                tree.put(RESET, &format!("{}{address}\n", String::from_utf8_lossy(&before)))?;
            }
        }
        tree.unlink(&format!("{STATE}/{file}"))?;
    }
    for empty in [STATE, "run/libvirt"] {
        tree.rmdir(empty)?;
    }
    Ok(())
}

/// A group is viable for a guest if no function of it is with a driver of the host; those of bridges do not count.
fn viable(tree: &Tree<'_>, group: &str) -> io::Result<bool> {
    for name in tree.list(&format!("{IOMMU_GROUPS}/{group}/devices")) {
        let Some(device) = Device::find(tree, &name) else { continue };
        let harmless = matches!(device.driver(tree).as_deref(), None | Some("pcieport" | "pci-stub"));
        if !harmless && !driver::is_with_vfio(tree, &device)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn free_pid(tree: &Tree<'_>) -> u32 {
    let taken = |pid: &u32| {
        tree.root.exists(&format!("proc/{pid}")) || tree.root.exists(&format!(".kernel/parked-processes/{pid}"))
    };
    (FIRST_PID..).find(|pid| !taken(pid)).unwrap_or(FIRST_PID)
}

/// QEMU as `/proc` shows it.
fn show_process(tree: &Tree<'_>, name: &str, pid: u32, nodes: &[String]) -> io::Result<()> {
    let directory = format!("proc/{pid}");
    tree.mkdir(&format!("{directory}/fd"))?;
    tree.make_file(&format!("{directory}/comm"), "qemu-system-x86\n", 0o644)?;
    let escaped = name.replace('-', "\\x2d");
    let cgroup = format!("0::/machine.slice/machine-qemu\\x2d1\\x2d{escaped}.scope/libvirt/emulator\n");
    tree.make_file(&format!("{directory}/cgroup"), &cgroup, 0o444)?;
    let status = format!("Name:\tqemu-system-x86\nPid:\t{pid}\nUid:\t64055\t64055\t64055\t64055\n");
    tree.make_file(&format!("{directory}/status"), &status, 0o444)?;
    if nodes.is_empty() {
        return Ok(());
    }
    let nodes = ["vfio"].into_iter().chain(nodes.iter().map(String::as_str));
    for (fd, node) in (30..).zip(nodes) {
        tree.symlink(&format!("{directory}/fd/{fd}"), &format!("/dev/vfio/{node}"))?;
    }
    Ok(())
}

/// The addresses of the PCI functions that a domain's XML gives to it, as sysfs writes them, and whether they are managed.
fn hostdevs(xml: &str) -> Vec<(String, bool)> {
    let part = |text: &str, from: &str, to: &str| -> Option<String> {
        let rest = &text[text.find(from)?..];
        Some(rest[..rest.find(to)?].to_owned())
    };
    let of = |hostdev: &str| {
        let (tag, inside) = hostdev.split_once('>')?;
        if value(tag, "type")? != "pci" {
            return None;
        }
        let source = part(inside, "<source", "</source>")?;
        let address = part(&source, "<address", ">")?;
        let number = |name: &str| u32::from_str_radix(value(&address, name)?.trim_start_matches("0x"), 16).ok();
        let domain = number("domain").unwrap_or(0);
        let address = format!("{domain:04x}:{:02x}:{:02x}.{:x}", number("bus")?, number("slot")?, number("function")?);
        Some((address, value(tag, "managed") == Some("yes")))
    };
    xml.split("<hostdev").skip(1).filter_map(|rest| of(rest.split("</hostdev>").next()?)).collect()
}

/// An attribute's value in a tag.
fn value<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    ['\'', '"'].into_iter().find_map(|quote| {
        let (_, rest) = tag.split_once(&format!(" {name}={quote}"))?;
        Some(rest.split_once(quote)?.0)
    })
}

#[cfg(test)]
mod tests {
    use super::hostdevs;

    #[test]
    fn hostdevs_are_found_by_their_source() {
        let xml = "<devices>\n<hostdev mode='subsystem' type='pci' managed='yes'>\n <source>\n\
            <address domain='0x0000' bus='0x0a' slot='0x00' function='0x1'/>\n </source>\n\
            <address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0'/>\n</hostdev>\n\
            <hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/></source></hostdev>\n\
            <hostdev mode=\"subsystem\" type=\"pci\"><source><address bus=\"10\" slot=\"0x1f\" function=\"7\"/></source></hostdev>";
        assert_eq!(hostdevs(xml), [("0000:0a:00.1".to_owned(), true), ("0000:10:1f.7".to_owned(), false)]);
        assert!(hostdevs("<domain/>").is_empty());
    }
}
