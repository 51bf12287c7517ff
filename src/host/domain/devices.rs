// SPDX-License-Identifier: LGPL-2.1-or-later
//! Devices of a domain behind which files, nodes and programs of the host are: input, sound, TPM, shared directories.

use super::needs::{Domain, NeededFile};
use super::xml::{attribute, child, text};
use roxmltree::Node;

/// What a program is called that libvirt runs beside QEMU. One without a directory is looked for where programs are.
pub const PROGRAM: &str = "program";

/// An emulated display. One of the model `none` is said to be none.
pub(super) fn video(video: Node<'_, '_>, found: &mut Domain) {
    let model = child(video, "model").and_then(|model| attribute(model, "type"));
    found.displays.extend(model.filter(|model| model != "none"));
}

/// Whether a domain is made for Windows: by the id that virt-manager and others leave in its metadata (libosinfo), or by what
/// makes it look like Hyper-V, which no other system uses.
pub(super) fn is_windows(domain: Node<'_, '_>) -> bool {
    let ids = child(domain, "metadata").into_iter().flat_map(|metadata| metadata.descendants());
    let id = ids.filter(|node| node.tag_name().name() == "os").find_map(|node| node.attribute("id"));
    let hyperv = child(domain, "features").is_some_and(|features| child(features, "hyperv").is_some());
    id.map_or(hyperv, |id| id.contains("microsoft.com/win"))
}

/// A keyboard or a mouse of the host.
pub(super) fn input(input: Node<'_, '_>, found: &mut Domain) {
    let key = match input.attribute("type") {
        Some("evdev") => "dev",
        Some("passthrough") => "evdev",
        _ => return,
    };
    found.has_input = true;
    let path = child(input, "source").and_then(|source| attribute(source, key));
    found.files.extend(path.map(|path| NeededFile::new(path, "input device")));
}

/// The machine's own TPM (libvirt's default is `/dev/tpm0`), or the program that emulates one.
pub(super) fn tpm(tpm: Node<'_, '_>, found: &mut Domain) {
    let Some(backend) = child(tpm, "backend") else { return };
    match backend.attribute("type") {
        Some("passthrough") => {
            let path = child(backend, "device").and_then(|device| attribute(device, "path"));
            found.files.push(NeededFile::new(path.unwrap_or_else(|| "/dev/tpm0".to_owned()), "TPM"));
        }
        Some("emulator") => {
            found.files.extend(["swtpm", "swtpm_setup"].map(|name| NeededFile::new(name, PROGRAM)));
        }
        _ => {}
    }
}

/// A directory of the host that is shared, and what shares it.
pub(super) fn filesystem(filesystem: Node<'_, '_>, found: &mut Domain) {
    let source = child(filesystem, "source");
    let by_virtiofs = child(filesystem, "driver").and_then(|driver| driver.attribute("type")) == Some("virtiofs");
    if !matches!(filesystem.attribute("type"), None | Some("mount")) {
        return;
    }
    let shared = source.and_then(|source| attribute(source, "dir"));
    if by_virtiofs {
        if let Some(socket) = source.and_then(|source| attribute(source, "socket")) {
            // Somebody else runs the program.
            found.files.push(NeededFile::new(socket, "socket of virtiofsd"));
            return;
        }
        match child(filesystem, "binary").and_then(|binary| attribute(binary, "path")) {
            Some(path) => found.files.push(NeededFile::new(path, PROGRAM)),
            None => found.virtiofsd = true,
        }
    }
    let directory = |path| NeededFile { directory: true, ..NeededFile::new(path, "shared directory") };
    found.files.extend(shared.map(directory));
}

/// What makes the domain's random numbers, if that is a file.
pub(super) fn rng(rng: Node<'_, '_>, found: &mut Domain) {
    let backend = child(rng, "backend").filter(|backend| backend.attribute("model") == Some("random"));
    let path = backend.map(text).filter(|path| !path.is_empty());
    found.files.extend(path.map(|path| NeededFile::new(path, "source of random numbers")));
}
