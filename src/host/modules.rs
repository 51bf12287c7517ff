// SPDX-License-Identifier: LGPL-2.1-or-later
//! Kernel modules: which vfio driver fits a function best.

use super::function::attribute;
use crate::pci::Address;
use crate::root::Root;
use std::io::{BufRead, BufReader};

/// A vfio variant driver for a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// The module to load.
    pub module: String,
    /// The name under which it registers with the PCI bus.
    pub driver: String,
}

/// The release of the running kernel.
pub fn release(root: &Root) -> Option<String> {
    root.read_text("proc/sys/kernel/osrelease").ok()
}

/// Whether the running kernel has a module of this name: loaded, built in, or among its files.
pub fn is_known(root: &Root, module: &str) -> bool {
    root.exists(&format!("sys/module/{module}")) || has_file(root, module)
}

/// Whether the running kernel could load a module of this name again, or has it built in.
pub fn has_file(root: &Root, module: &str) -> bool {
    release(root).is_some_and(|release| file(root, &release, module).is_some())
}

/// The file of a module of a kernel, as `modules.dep` or, for what is built in, `modules.builtin` names it: below the
/// kernel's directory in `/lib/modules`, wherever DKMS has put it.
pub fn file(root: &Root, release: &str, module: &str) -> Option<String> {
    let is_it = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path).split_once(".ko").map(|(name, _)| name.replace('-', "_"));
        name.as_deref() == Some(module)
    };
    ["modules.dep", "modules.builtin"].iter().find_map(|list| {
        let file = root.open_file(&format!("lib/modules/{release}/{list}")).ok()?;
        let mut lines = BufReader::new(file).lines().map_while(Result::ok);
        lines.find_map(|line| line.split(':').next().filter(|path| is_it(path)).map(str::to_owned))
    })
}

/// The best vfio driver of each function, from the `vfio_pci:` aliases of the running kernel: the most specific one, as
/// libvirt chooses. Functions for which only vfio-pci itself matches are not in the list.
pub fn variants(root: &Root, functions: &[Address]) -> Vec<(Address, Variant)> {
    let Some(release) = release(root) else { return Vec::new() };
    let best = |address: &Address| {
        let modalias = root.read_text(&attribute(*address, "modalias")).ok()?.replacen("pci:", "vfio_pci:", 1);
        let file = root.open_file(&format!("lib/modules/{release}/modules.alias")).ok()?;
        let mut best: Option<(usize, String)> = None;
        for line in BufReader::new(file).lines().map_while(Result::ok) {
            let Some((pattern, module)) = line.strip_prefix("alias ").and_then(|l| l.split_once(' ')) else { continue };
            let exact = pattern.bytes().filter(|b| *b != b'*').count();
            let better = best.as_ref().is_none_or(|(e, _)| exact > *e);
            let ours = pattern.starts_with("vfio_pci:") && module != "vfio_pci";
            if ours && better && glob(pattern.as_bytes(), modalias.as_bytes()) {
                best = Some((exact, module.to_owned()));
            }
        }
        let (_, module) = best?;
        let driver = driver_name(root, &module);
        Some((*address, Variant { module, driver }))
    };
    functions.iter().filter_map(best).collect()
}

/// The driver's name of a module: what it registered if it is loaded; else Intel's, the one whose name is written with
/// hyphens, is known, and all others take their module's name (`KBUILD_MODNAME`).
fn driver_name(root: &Root, module: &str) -> String {
    let registered = root.list(&format!("sys/module/{module}/drivers")).unwrap_or_default();
    match registered.iter().find_map(|d| d.strip_prefix("pci:")) {
        Some(driver) => driver.to_owned(),
        None if module == "xe_vfio_pci" => "xe-vfio-pci".to_owned(),
        None => module.to_owned(),
    }
}

/// Shell pattern with `*` and `?`, all that `modules.alias` uses for PCI.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => glob(rest, text) || text.split_first().is_some_and(|(_, more)| glob(pattern, more)),
        (Some((p, rest)), Some((t, more))) if p == t || *p == b'?' => glob(rest, more),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::function::is_vfio;
    use super::*;

    /// The drivers in the kernel's tree (drivers/vfio/pci), module and name: each is found, and known for what it is.
    #[test]
    fn all_variant_drivers_are_known() {
        let tree = tempfile::tempdir().unwrap();
        let root = Root::open(tree.path()).unwrap();
        for (module, driver) in [
            ("xe_vfio_pci", "xe-vfio-pci"),
            ("mlx5_vfio_pci", "mlx5_vfio_pci"),
            ("hisi_acc_vfio_pci", "hisi_acc_vfio_pci"),
            ("nvgrace_gpu_vfio_pci", "nvgrace_gpu_vfio_pci"),
            ("virtio_vfio_pci", "virtio_vfio_pci"),
            ("qat_vfio_pci", "qat_vfio_pci"),
            ("pds_vfio_pci", "pds_vfio_pci"),
            ("ism_vfio_pci", "ism_vfio_pci"),
        ] {
            assert_eq!(driver_name(&root, module), driver);
            assert!(is_vfio(driver), "{driver}");
        }
        assert!(is_vfio("vfio-pci") && is_vfio("pds-vfio-pci") && !is_vfio("nvidia-vgpu-vfio") && !is_vfio("vfio"));
    }

    #[test]
    fn patterns_of_modules_alias() {
        let alias = b"vfio_pci:v00008086d0000E211sv00008086sd00001111bc03sc80i00";
        assert!(glob(b"vfio_pci:v*d*sv*sd*bc*sc*i*", alias));
        assert!(glob(b"vfio_pci:v00008086d0000E211sv*sd*bc03sc*i*", alias));
        assert!(!glob(b"vfio_pci:v00008086d0000E212sv*sd*bc*sc*i*", alias));
        assert!(!glob(b"pci:v00008086d0000E211sv*sd*bc*sc*i*", alias));
    }
}
