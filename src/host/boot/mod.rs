// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the machine boots with: the loaders that are installed, the files in which they keep the kernel's command line,
//! the kernels and what they were built with.
//!
//! Only read here. What is to be changed is `plan::cmdline`'s business.

pub mod assignments;
pub(super) mod builder;
pub mod efi;
pub mod emergency;
pub mod entry;
pub mod esp;
pub mod generated;
mod grub;
mod gvariant;
pub mod identity;
mod kernels;
mod kernelstub;
mod limine;
mod limine_tool;
pub mod mkinitcpio;
pub mod mkinitcpio_hook;
pub mod next_kernel;
pub(super) mod ostree;
pub mod pe;
mod probe;
mod proxmox;
mod refind;
pub mod rescue_entry;
mod scan;
mod sdbootutil;
mod systemd_boot;
pub(super) mod uki;
mod uki_conf;
mod unmounted;
mod void;

pub use grub::sets_anew;
pub use uki::SIGNING_KEY;
pub use unmounted::Unmounted;

use super::platform::Platform;
use crate::host::kernel_cmdline::KernelCmdline;
use serde::{Deserialize, Serialize};

/// How a command line stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The file is the command line: `/etc/kernel/cmdline` (kernel-install(8)); lines that begin with `#` are comments.
    Plain,
    /// The first line of the file is the command line, whatever it begins with; nothing else of it is read: `/etc/kernel/cmdline`
    /// as proxmox-boot-tool reads it.
    FirstLine,
    /// The file is the command line, but for comments and for a last line without a line end: as sdbootutil, a script, reads
    /// `/etc/kernel/cmdline` and drop-ins (`while read`).
    ReadLines,
    /// `options` of a boot entry (UAPI Boot Loader Specification, type 1).
    Bls,
    /// An assignment of `GRUB_CMDLINE_LINUX_DEFAULT` in a file that a shell reads: `/etc/default/grub`.
    GrubDefault,
    /// The same of `GRUB_CMDLINE_LINUX`, which Fedora's tools read.
    GrubLinux,
    /// `linux` lines of a `grub.cfg`; looked at, never changed.
    GrubCfg,
    /// The options of `refind_linux.conf`: a title and a command line a line, each in quotes.
    RefindLinux,
    /// `options` of the stanzas of `refind.conf`.
    Refind,
    /// `cmdline:` or `kernel_cmdline:` of a `limine.conf`.
    Limine,
    /// `KERNEL_CMDLINE[...]` of `/etc/default/limine` and its like, which limine-entry-tool reads.
    LimineDefault,
    /// `LIMINE_CMDLINE_LINUX_DEFAULT` of `/etc/default/limine`, which another tool's shell reads.
    LimineShell,
    /// `CMDLINE` of `/etc/default/systemd-boot`, which the shell of Void's kernel hook reads.
    VoidHook,
    /// `LINUX_OPTIONS` of `/etc/sdboot-manage.conf`, which a shell reads.
    SdbootManage,
    /// `user.kernel_options` of kernelstub's configuration, JSON; changed by kernelstub.
    Kernelstub,
    /// `options` of an ostree deployment's boot entry; changed by rpm-ostree.
    RpmOstree,
    /// A file of ours alone that adds to `GRUB_CMDLINE_LINUX_DEFAULT`: a drop-in below `/etc/default/grub.d`.
    GrubDropIn,
    /// A file of ours alone that adds to `KERNEL_CMDLINE[default]`: a drop-in below `/etc/limine-entry-tool.d`.
    LimineDropIn,
    /// A file of ours alone with nothing but our parameters: `/etc/cmdline.d/*.conf`, `/etc/kernel/cmdline.d/*`.
    DropIn,
    /// A file of ours alone: an addon for systemd-stub, a PE file that ukify builds.
    Addon,
    /// A script of ours alone that prints an entry of GRUB's menu, below `/etc/grub.d`.
    GrubScript,
}

impl Format {
    /// Whether the whole file is ours: it comes and goes with our parameters.
    pub fn is_ours_alone(self) -> bool {
        matches!(self, Format::GrubDropIn | Format::LimineDropIn | Format::DropIn | Format::Addon)
    }

    /// Whether its command lines are boot entries, among which there may be those of other systems.
    pub fn has_entries(self) -> bool {
        matches!(self, Format::Bls | Format::Limine | Format::RefindLinux | Format::Refind)
    }

    /// Whether a tool makes the change, and the file is only looked at.
    pub fn is_changed_by_a_tool(self) -> bool {
        matches!(self, Format::Kernelstub | Format::RpmOstree)
    }
}

/// What a file is to its loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// What boot entries are made from.
    Source,
    /// A boot entry itself.
    Entry,
    /// A boot entry for emergencies: left alone unless asked for.
    Rescue,
    /// The boot entry without vfio, which is ours alone (`[host] rescue-entry`).
    WithoutVfio,
    /// Only looked at: what stands there is part of every entry as well.
    Base,
    /// Only looked at: made by a tool from the sources.
    #[serde(rename = "outcome")]
    Generated,
}

/// A file with command lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFile {
    /// The file, below the root.
    pub path: String,
    /// How the command line stands in it.
    pub format: Format,
    /// What it is to its loader.
    pub role: Role,
    /// What is in it; `None` if it is not there. Of an addon only its command line.
    pub content: Option<Content>,
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text(String),
    /// It is not to be read, or nothing is to be put into it: why, and what to do, to be said after its path.
    Unreadable(String),
}

/// A boot loader, or whatever keeps its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoaderKind {
    /// rpm-ostree, or bootc with it.
    RpmOstree,
    /// bootc without rpm-ostree.
    Bootc,
    /// bootc with composefs: parameters come with the image.
    BootcImage,
    /// Proxmox's proxmox-boot-tool, with systemd-boot.
    Proxmox,
    /// Pop!_OS's kernelstub.
    Kernelstub,
    /// openSUSE's sdbootutil.
    Sdbootutil,
    /// GRUB whose configuration tool reads `/etc/default/grub.d`: Debian, Ubuntu.
    GrubDropIn,
    /// GRUB with nothing but `/etc/default/grub`: Arch, Gentoo, openSUSE.
    GrubFile,
    /// GRUB with boot entries: Fedora.
    GrubBls,
    /// systemd-boot with type 1 entries.
    SystemdBoot,
    /// A unified kernel image that takes addons.
    UkiAddon,
    /// A unified kernel image that is rebuilt.
    UkiRebuild,
    /// Limine.
    Limine,
    /// rEFInd.
    Refind,
    /// NixOS, whatever loader it has: entries are made from its configuration.
    Nixos,
    /// Solus's clr-boot-manager.
    ClrBootManager,
    /// ZFSBootMenu.
    ZfsBootMenu,
}

impl LoaderKind {
    /// Whether a tool makes its menu from shell scripts, in which everybody may have a part.
    pub fn makes_a_menu(self) -> bool {
        matches!(self, LoaderKind::GrubDropIn | LoaderKind::GrubFile)
    }

    /// How the loader, or the stub, calls itself in the firmware's variables (`LoaderInfo`, `StubInfo`). A tool keeps the files
    /// of whichever loader there is, and has no such name.
    pub fn own_name(self) -> Option<&'static str> {
        match self {
            LoaderKind::GrubDropIn | LoaderKind::GrubFile | LoaderKind::GrubBls => Some("GRUB"),
            LoaderKind::SystemdBoot => Some("systemd-boot"),
            LoaderKind::Limine => Some("Limine"),
            LoaderKind::Refind => Some("rEFInd"),
            LoaderKind::UkiAddon | LoaderKind::UkiRebuild => Some("stub"),
            LoaderKind::RpmOstree
            | LoaderKind::Bootc
            | LoaderKind::BootcImage
            | LoaderKind::Proxmox
            | LoaderKind::Kernelstub
            | LoaderKind::Sdbootutil
            | LoaderKind::Nixos
            | LoaderKind::ClrBootManager
            | LoaderKind::ZfsBootMenu => None,
        }
    }

    /// The names of all loaders that have one.
    pub fn own_names() -> impl Iterator<Item = &'static str> {
        let kinds = [LoaderKind::GrubFile, LoaderKind::SystemdBoot, LoaderKind::Limine, LoaderKind::Refind];
        kinds.into_iter().filter_map(LoaderKind::own_name)
    }

    /// Its name, as people know it.
    pub fn name(self) -> &'static str {
        match self {
            LoaderKind::RpmOstree => "rpm-ostree",
            LoaderKind::Bootc | LoaderKind::BootcImage => "bootc",
            LoaderKind::Proxmox => "proxmox-boot-tool",
            LoaderKind::Kernelstub => "kernelstub",
            LoaderKind::Sdbootutil => "sdbootutil",
            LoaderKind::GrubDropIn | LoaderKind::GrubFile => "GRUB",
            LoaderKind::GrubBls => "GRUB with boot entries",
            LoaderKind::SystemdBoot => "systemd-boot",
            LoaderKind::UkiAddon | LoaderKind::UkiRebuild => "the unified kernel image",
            LoaderKind::Limine => "Limine",
            LoaderKind::Refind => "rEFInd",
            LoaderKind::Nixos => "NixOS",
            LoaderKind::ClrBootManager => "clr-boot-manager",
            LoaderKind::ZfsBootMenu => "ZFSBootMenu",
        }
    }
}

/// A loader that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loader {
    /// Which.
    pub kind: LoaderKind,
    /// Its files, in the order in which they are changed.
    pub boot_files: Vec<BootFile>,
    /// What has to run after a source has changed, in order: programs with their arguments. Of addons the one program that
    /// builds them, with its first arguments.
    pub tools: Vec<Vec<String>>,
    /// Of `tools`, or of what builds an addon, what is not there: the program's name.
    pub missing: Vec<String>,
    /// A check for a changed file, with the file as its last argument, if the loader has one: `grub-script-check`.
    pub check: Option<Vec<String>>,
}

/// Whose IOMMU the machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Vendor {
    /// Intel.
    Intel,
    /// AMD.
    Amd,
    /// Another, or not known.
    #[default]
    Other,
}

/// What a kernel does with Intel's IOMMU when no parameter says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntelDefault {
    /// `CONFIG_INTEL_IOMMU_DEFAULT_ON`.
    On,
    /// `CONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF`: on, but not for the processor's own graphics.
    OnButIntegrated,
    /// Off.
    Off,
    /// Its configuration is not to be found.
    Unknown,
}

/// A kernel that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelBuild {
    /// Its release: `6.12.48+deb13-amd64`.
    pub release: String,
    /// What it does with Intel's IOMMU.
    pub intel: IntelDefault,
}

/// What the machine boots with.
#[derive(Debug, Clone, Default)]
pub struct BootSystem {
    /// The loaders that are installed, the one first that booted.
    pub loaders: Vec<Loader>,
    /// Which of them booted, by the firmware's variables: its own name and version (`LoaderInfo`).
    pub booted: Option<String>,
    /// The stub of a unified kernel image that booted (`StubInfo`).
    pub stub: Option<String>,
    /// The entry that was chosen (`LoaderEntrySelected`).
    pub entry: Option<String>,
    /// Whether the firmware checks signatures.
    pub secure_boot: bool,
    /// Whose IOMMU it has.
    pub vendor: Vendor,
    /// What the machine is built on.
    pub platform: Platform,
    /// Whether an IOMMU works, or the firmware shows one.
    pub has_iommu: bool,
    /// The kernels.
    pub kernels: Vec<KernelBuild>,
    /// Directories of boot files, below the root, that the caller may not read: an EFI system partition that is mounted
    /// for root alone, Fedora's boot entries. What is in them is not known.
    pub closed: Vec<String>,
    /// File systems with a loader that are not taken for this machine's own.
    pub left_alone: Vec<esp::LeftAlone>,
    /// File systems with boot files that are not mounted.
    pub unmounted: Vec<Unmounted>,
    /// The running kernel's command line.
    pub parameters: KernelCmdline,
    /// This boot's id; empty where there is none.
    pub boot_id: String,
    /// Which system it is.
    pub identity: identity::Identity,
    /// The loaders that started this boot, by the firmware's variables; none if these do not say so.
    pub started: Vec<LoaderKind>,
    /// Loaders that did not, and whose tool is gone: what is left of them is not changed.
    pub left_over: Vec<LoaderKind>,
    /// Which file the entry of the next kernel is made from, where file times decide that.
    pub next_kernel: Option<next_kernel::NextKernel>,
    /// What nobody but a person can change.
    pub by_hand: Vec<generated::ByHand>,
}

impl BootSystem {
    /// Whether another loader than this one is known to have started this boot.
    pub fn did_not_start(&self, kind: LoaderKind) -> bool {
        !self.started.is_empty() && !self.started.contains(&kind)
    }
}
