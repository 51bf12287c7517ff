// SPDX-License-Identifier: LGPL-2.1-or-later
//! Kernel parameters that are shown in a report. Anything may stand on a kernel's command line, passwords too, so these are
//! the ones that a report is for, and of every other only the key.

use super::MASKED;
use vfio_suite::plan::cmdline::line;

/// Keys whose value is shown, and words without one. A module's parameters are allowed by the module.
const SHOWN: &str = "
    BOOT_IMAGE acpi acpi_enforce_resources acpi_osi acpi_rev_override allow_unsafe_interrupts amd_iommu amd_iommu_dump
    amd_iommu_intr amd_pstate amd_prefcore apparmor apic audit auto clocksource consoleblank cma coherent_pool debug
    default_hugepagesz disable_idle_d3 disable_mtrr_cleanup earlyprintk efi emergency enable_mtrr_cleanup enforcing fips
    fbcon hest_disable hugepages hugepagesz hugetlb_cma ids idle init_on_alloc init_on_free intel_idle.max_cstate
    intel_iommu intel_pstate iomem iommu iommu.forcedac iommu.passthrough iommu.strict irqaffinity irqpoll isolcpus
    kpti lockdown log_buf_len loglevel lsm maxcpus mce mem memmap mem_encrypt mitigations modprobe.blacklist
    module.sig_enforce module_blacklist movable_node mtrr_spare_reg_nr net.ifnames nmi_watchdog noapic noefi nohpet
    nohz nohz_full noibrs nokaslr nolapic nomodeset nopat nopti noquiet noresume nosmp nosmt nospectre_v1 nospectre_v2
    nosplash nowatchdog nox2apic nr_cpus numa numa_balancing nvme_load oops page_poison panic pause_on_oops pci
    pci-stub.ids pci_stub.ids pcie_acs_override pcie_aspm pcie_aspm.policy pcie_bus_perf pcie_hp pcie_pme pcie_port_pm
    pcie_ports pciehp.pciehp_force plymouth.enable preempt processor.max_cstate quiet raid rcu_nocbs rcutree.rcu_idle_gp_delay
    rd.auto rd.debug rd.driver.blacklist rd.driver.post rd.driver.pre rd.modules-load rd.plymouth rd.shell rd.vfio
    rd.vfio.off realloc rescue rhgb ro rootfstype rootwait rw security selinux showopts single skew_tick slub_debug
    softlockup_panic splash srso swiotlb sysrq_always_enabled systemd.show_status systemd.unified_cgroup_hierarchy
    thermal.nocrt threadirqs transparent_hugepage tsc tsx tsx_async_abort usbcore.autosuspend verbose vfio vga video
    vt.global_cursor_default vt.handoff watchdog workqueue.power_efficient x2apic_phys xhci_hcd.quirks zswap.enabled
    model code status result signal driver_override reset_method bind driver device identity functions also
    bar0 bar1 bar2 bar3 bar4 bar5";

/// Modules whose parameters are shown.
const MODULES: [&str; 30] = [
    "amdgpu",
    "amdkfd",
    "ast",
    "bochs",
    "drm",
    "drm_kms_helper",
    "efifb",
    "i915",
    "kvm",
    "kvm_amd",
    "kvm_intel",
    "mgag200",
    "nouveau",
    "nvidia",
    "nvidia_drm",
    "nvidia_modeset",
    "nvidia_uvm",
    "nvme_core",
    "pciehp",
    "radeon",
    "simpledrm",
    "simplefb",
    "snd_hda_intel",
    "snd_intel_dspcfg",
    "vesafb",
    "vfio",
    "vfio_iommu_type1",
    "vfio_pci",
    "vfio_pci_core",
    "xe",
];

/// Whether the value of this key may be seen, or the word itself where it has none.
pub fn is_shown(key: &str) -> bool {
    let module = || key.split_once('.').map(|(module, _)| module.replace('-', "_"));
    SHOWN.split_ascii_whitespace().any(|shown| shown == key)
        || module().is_some_and(|module| MODULES.contains(&module.as_str()))
}

/// Whether the text can be a key; what cannot may be anything.
fn is_key(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    (1..=48).contains(&text.len()) && text.chars().all(fits)
}

/// The words of a command line.
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    line::parameters(line).into_iter().map(|word| &line[word])
}

/// A word's key and value, without the quotes that the kernel takes away.
pub fn parts(word: &str) -> (&str, Option<&str>) {
    let word = word.strip_prefix('"').map_or(word, |inside| inside.strip_suffix('"').unwrap_or(inside));
    match word.split_once('=') {
        Some((key, value)) => (key, Some(value.trim_matches('"'))),
        None => (word, None),
    }
}

/// A command line with what may be seen of it.
pub fn shown(line: &str) -> String {
    let mut ours = true;
    let words = words(line).map(|word| {
        // What follows is for the first program.
        ours &= word != "--";
        match parts(word) {
            _ if !ours => if word == "--" { "--" } else { MASKED }.to_owned(),
            (key, _) if is_shown(key) => word.to_owned(),
            (key, Some(_)) if is_key(key) => format!("{key}={MASKED}"),
            _ => MASKED.to_owned(),
        }
    });
    words.collect::<Vec<String>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_is_not_known_only_the_key_is_shown() {
        let line = "BOOT_IMAGE=/boot/vmlinuz-6.12 root=UUID=2c3a ro quiet intel_iommu=on iommu=pt vfio_pci.ids=10de:1e87 pci-stub.ids=10de:1e87 \
                    rd.iscsi.password=hunter2 dyndbg=\"file a hunter2\" \"net.key=hunter 2\" systemd.set_credential=a:hunter2 \
                    hunter2 amdgpu.gpu_recovery=1 pcie_acs_override=downstream,multifunction hun/ter2=1 -- ro hunter2";
        assert_eq!(
            shown(line),
            "BOOT_IMAGE=/boot/vmlinuz-6.12 root=masked ro quiet intel_iommu=on iommu=pt vfio_pci.ids=10de:1e87 pci-stub.ids=10de:1e87 \
             rd.iscsi.password=masked dyndbg=masked net.key=masked systemd.set_credential=masked \
             masked amdgpu.gpu_recovery=1 pcie_acs_override=downstream,multifunction masked -- masked masked"
        );
    }
}
