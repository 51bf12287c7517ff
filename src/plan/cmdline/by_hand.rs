// SPDX-License-Identifier: LGPL-2.1-or-later
//! Kernel parameters that only a person can add, because boot entries are made from what we do not write: what exactly to do.

use super::missing;
use super::own::own_parameters;
use crate::host::boot::generated::ByHand;
use crate::host::boot::{BootSystem, LoaderKind};

/// A sentence for each thing that is still to be done.
pub fn sentences(system: &BootSystem, required: &[String]) -> Vec<String> {
    let of = |by_hand: &ByHand| {
        let there = already_there(system, by_hand);
        let lacking = missing(required, &there);
        (!lacking.is_empty()).then(|| sentence(by_hand, &lacking))
    };
    system.by_hand.iter().filter_map(of).collect()
}

/// What the next boot has, as far as can be seen.
fn already_there(system: &BootSystem, by_hand: &ByHand) -> Vec<String> {
    match by_hand {
        ByHand::Nixos => {
            let loaders = system.loaders.iter().filter(|loader| loader.kind == LoaderKind::Nixos);
            let made = loaders.flat_map(|loader| &loader.boot_files);
            made.filter_map(|boot_file| own_parameters(boot_file, &system.identity).ok()).flatten().flatten().collect()
        }
        // The property is in the pool.
        ByHand::ZfsBootMenu { .. } => system.parameters.iter().map(str::to_owned).collect(),
        ByHand::Void(_) => Vec::new(),
    }
}

/// A parameter as a string of TOML or Nix.
pub(super) fn quoted(parameter: &str) -> String {
    format!("\"{}\"", parameter.replace('\\', "\\\\").replace('"', "\\\""))
}

fn sentence(by_hand: &ByHand, lacking: &[String]) -> String {
    let line = lacking.join(" ");
    match by_hand {
        ByHand::Nixos => {
            let list: Vec<String> = lacking.iter().map(|parameter| quoted(parameter)).collect();
            format!(
                "NixOS makes its boot entries from its configuration: add boot.kernelParams = [ {} ]; to it, then run \
                 'nixos-rebuild boot'",
                list.join(" ")
            )
        }
        ByHand::ZfsBootMenu { dataset, has_program: true } => format!(
            "ZFSBootMenu takes the command line from a property of {dataset}: run zbm-kcl -a '{line}' {dataset}, then \
             reboot"
        ),
        ByHand::ZfsBootMenu { dataset, has_program: false } => format!(
            "ZFSBootMenu takes the command line from a property of {dataset}: add '{line}' to its \
             org.zfsbootmenu:commandline (zfs get, zfs set), then reboot"
        ),
        ByHand::Void(before) => format!(
            "/etc/default/systemd-boot: sets no CMDLINE, so that the entry of the next kernel will be made without \
             these parameters: add the line CMDLINE=\"{before} {line}\" to it"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_is_one_line_to_copy() {
        let system = |by_hand: ByHand| BootSystem { by_hand: vec![by_hand], ..BootSystem::default() };
        let required = ["iommu=pt".to_owned(), "a=\"b c\"".to_owned()];
        let said = |by_hand: ByHand| sentences(&system(by_hand), &required).concat();
        assert!(said(ByHand::Nixos).contains(r#"boot.kernelParams = [ "iommu=pt" "a=\"b c\"" ];"#));
        let dataset = "zroot/ROOT/void".to_owned();
        let with = said(ByHand::ZfsBootMenu { dataset: dataset.clone(), has_program: true });
        assert!(with.contains("run zbm-kcl -a 'iommu=pt a=\"b c\"' zroot/ROOT/void,"), "{with}");
        let without = said(ByHand::ZfsBootMenu { dataset, has_program: false });
        assert!(without.contains("org.zfsbootmenu:commandline"), "{without}");
        assert!(said(ByHand::Void("root=x rw".to_owned())).contains("CMDLINE=\"root=x rw iommu=pt a=\"b c\"\""));
        assert!(sentences(&system(ByHand::Nixos), &[]).is_empty());
    }
}
