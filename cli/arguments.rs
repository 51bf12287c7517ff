// SPDX-License-Identifier: LGPL-2.1-or-later
//! The command line of `vfio`. vfio(8) has the exit codes of each verb.

use crate::setup::options::SetupOptions;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;
use vfio_suite::config;
use vfio_suite::host::rom::source::Source;
use vfio_suite::plan::definition::new_domain::{self, DiskWish};
use vfio_suite::plan::rom::table::Place;

/// Gives a GPU to a virtual machine, and takes it back.
#[derive(Debug, Parser)]
#[command(name = "vfio", version, max_term_width = 100)]
pub struct Arguments {
    /// Operate on the file tree DIR, or on the report in the file DIR, instead of the running system
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Print JSON for programs instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Without one: show the state of each card
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// The name of a section, checked when the command line is read.
fn section_name(text: &str) -> Result<String, String> {
    if config::is_name(text) {
        Ok(text.to_owned())
    } else {
        Err("this cannot be the name of a section".to_owned())
    }
}

/// A `[gpu]` section.
#[derive(Debug, Args)]
pub struct GpuName {
    /// The name of a [gpu] section
    #[arg(value_parser = section_name)]
    pub name: String,
}

/// A `[guest]` section.
#[derive(Debug, Args)]
pub struct GuestName {
    /// The name of a [guest] section
    #[arg(value_parser = section_name)]
    pub name: String,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Check the configuration, and each card on this machine
    #[command(after_help = "Example: vfio check /root/vfio.conf.new")]
    Check {
        /// Check this file alone, as if it were the configuration
        file: Option<PathBuf>,
    },
    /// Show the graphics cards: what each is to the host, and the lines that give it to a guest
    #[command(after_help = "Example: vfio cards")]
    Cards,
    /// List IOMMU groups: functions, drivers, reset methods, and what keeps a group from guests
    #[command(after_help = "Example: vfio groups --gpu 03:00.0")]
    Groups {
        /// Show the groups of this card only
        #[arg(long, value_name = "ADDRESS")]
        gpu: Option<String>,
    },
    /// Show what the next boot will do with each card, and why
    #[command(after_help = "Example: vfio plan")]
    Plan,
    /// Show the state of each card
    #[command(after_help = "Example: vfio status --json")]
    Status,
    /// Bind a card to vfio now, if no process holds it
    #[command(after_help = "Example: vfio bind big")]
    Bind(GpuName),
    /// Give a card back to the host, from the journal
    #[command(after_help = "Example: vfio restore big")]
    Restore(GpuName),
    /// List the processes that hold a card
    #[command(after_help = "Example: vfio holders big")]
    Holders(GpuName),
    /// List, inspect, start and stop guests
    #[command(subcommand)]
    #[command(after_help = "Example: vfio guest start win10")]
    Guest(GuestVerb),
    /// Inspect and change the kernel command line of every boot entry
    #[command(subcommand)]
    #[command(after_help = "Example: vfio cmdline plan")]
    Cmdline(CmdlineVerb),
    /// Bring boot entries and initramfs images up to date with the configuration
    #[command(after_help = "Example: vfio sync --dry-run")]
    Sync {
        /// Show what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Diagnose the setup and suggest fixes
    #[command(after_help = "Example: vfio doctor --guest win10")]
    Doctor(DoctorOptions),
    /// Explain the code of a message
    #[command(after_help = "Example: vfio explain card-absent")]
    Explain {
        /// The code, as a message has it in brackets; all codes without one
        code: Option<String>,
    },
    /// Show reset methods, or reset one card
    #[command(after_help = "Example: vfio reset big --dry-run")]
    Reset {
        /// The name of a [gpu] section
        #[arg(value_parser = section_name)]
        name: Option<String>,
        /// Use this method instead of the configured one
        #[arg(long, value_name = "METHOD", requires = "name")]
        method: Option<ResetMethod>,
        /// Show what would be done, and do nothing
        #[arg(long, requires = "name")]
        dry_run: bool,
    },
    /// Show how large resizable BARs are and can be, and set them
    #[command(args_conflicts_with_subcommands = true)]
    #[command(after_help = "Example: vfio rebar big")]
    Rebar {
        /// The name of a [gpu] section; all functions with resizable BARs without one
        #[arg(value_parser = section_name)]
        name: Option<String>,
        #[command(subcommand)]
        verb: Option<RebarVerb>,
    },
    /// Show, check, trim and dump option ROMs
    #[command(subcommand)]
    #[command(after_help = "Example: vfio rom show big")]
    Rom(RomVerb),
    /// Find a card and a guest, ask what is open, show a plan, and make it so; or undo that
    #[command(after_help = "Example: vfio setup --vm=win11 --gpu=auto --dry-run")]
    Setup(Box<SetupOptions>),
    /// Print all that a bug report needs, with names, UUIDs and serial numbers masked
    #[command(after_help = "Example: vfio report > report.txt")]
    Report,
    /// Remove a card from the bus and rescan
    #[command(after_help = "Example: vfio rescan big")]
    Rescan(GpuName),
    /// Print what a shell offers for the last of these words
    #[command(hide = true)]
    Complete {
        /// The words after `vfio`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

/// What the doctor looks at.
#[derive(Debug, Default, Args)]
pub struct DoctorOptions {
    /// Look at this part only
    #[arg(long, value_name = "PART")]
    pub only: Option<DoctorPart>,
    /// Look at this guest and its cards only
    #[arg(long, value_name = "NAME", value_parser = section_name)]
    pub guest: Option<String>,
    /// Show why the last start of a guest failed
    #[arg(long, conflicts_with_all = ["only", "all"])]
    pub last: bool,
    /// Show what is well, too
    #[arg(long)]
    pub all: bool,
    /// Run the verbs that are safe and put something right, after a question
    #[arg(long, conflicts_with = "last")]
    pub fix: bool,
    /// Run them without a question
    #[arg(long, requires = "fix")]
    pub yes: bool,
    /// Explain a line of a log
    #[arg(long, value_name = "LINE", conflicts_with_all = ["only", "guest", "last", "all", "fix"])]
    pub explain: Option<String>,
}

/// A part of the machine that the doctor looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DoctorPart {
    /// How it boots: kernel parameters, boot entries, initramfs
    Boot,
    /// How cards are reset, and whether they answer
    Reset,
    /// Which display the firmware uses, and which monitors go dark
    Display,
    /// The cards: whether guests can have them, and whether they are as configured
    Cards,
    /// The guests: whether they can be started, and how their last start went
    Guests,
    /// What guests need of the system, and what other programs have left on it
    System,
    /// What the kernel, libvirt and QEMU have logged of the cards
    Logs,
}

/// A way to reset a card.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ResetMethod {
    /// Function-level reset
    Flr,
    /// Power state D3hot and back
    Pm,
    /// The bus, if the card has one function
    Bus,
    /// The kernel's own for this device
    #[value(name = "device_specific", alias = "device-specific")]
    DeviceSpecific,
    /// The module vendor-reset
    #[value(alias = "vendor_reset")]
    VendorReset,
}

impl From<ResetMethod> for config::Reset {
    fn from(method: ResetMethod) -> config::Reset {
        match method {
            ResetMethod::Flr => config::Reset::Flr,
            ResetMethod::Pm => config::Reset::Pm,
            ResetMethod::Bus => config::Reset::Bus,
            ResetMethod::DeviceSpecific => config::Reset::DeviceSpecific,
            ResetMethod::VendorReset => config::Reset::VendorReset,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum CmdlineVerb {
    /// Show which kernel parameters are required, which boot files have them, and what the running kernel has
    #[command(after_help = "Example: vfio cmdline status")]
    Status,
    /// Show what an apply would change, as a unified diff, and why each parameter is required
    #[command(after_help = "Example: vfio cmdline plan")]
    Plan(CmdlineOptions),
    /// Add the required parameters to every boot entry, and remove those of vfio that are no longer required
    #[command(after_help = "Example: vfio cmdline apply --quiet")]
    Apply(CmdlineOptions),
    /// Remove everything that vfio added, and nothing else
    #[command(after_help = "Example: vfio cmdline revert")]
    Revert,
}

#[derive(Debug, Args)]
pub struct CmdlineOptions {
    /// Adopt required parameters that are there already, so that a revert removes them; drop amd_iommu=on, which no kernel knows
    #[arg(long)]
    pub adopt: bool,
    /// Change entries for emergencies too
    #[arg(long)]
    pub rescue: bool,
    /// Print only problems
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum RebarVerb {
    /// Resize BARs of a card that is bound to no driver of the host; 'vfio restore' undoes it
    #[command(after_help = "Example: vfio rebar set big 0=16G 2=8M --dry-run")]
    Set {
        /// The name of a [gpu] section
        #[arg(value_parser = section_name)]
        name: String,
        /// A BAR and its size, as 0=16G or bar2=8M; also max, min, firmware
        #[arg(required = true, value_name = "BAR=SIZE")]
        sizes: Vec<String>,
        /// Show what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the lines of the configuration that mean what udev rules do that write sizes
    #[command(after_help = "Example: vfio rebar adopt /etc/udev/rules.d/01-amd.rules")]
    Adopt {
        /// The rules
        file: PathBuf,
    },
    /// Give all BARs of a card the sizes that they had before the first was resized
    #[command(after_help = "Example: vfio rebar restore big")]
    Restore(GpuName),
}

#[derive(Debug, Args)]
pub struct DefineOptions {
    /// The name of a [guest] section
    #[arg(value_parser = section_name)]
    pub name: String,
    /// The system that is installed, as libosinfo names it: win11, debian13
    #[arg(long, value_name = "ID", value_parser = new_domain::system_name, required_unless_present = "undo")]
    pub os: Option<String>,
    /// Use this disk, or make one of this size, as 64G
    #[arg(long, value_name = "PATH|SIZE", value_parser = DiskWish::from_str, required_unless_present = "undo")]
    pub disk: Option<DiskWish>,
    /// Install from this image of a CD-ROM
    #[arg(long, value_name = "FILE", value_parser = new_domain::absolute_path)]
    pub iso: Option<String>,
    /// Give the guest this image with the drivers for Windows
    #[arg(long, value_name = "FILE", value_parser = new_domain::absolute_path)]
    pub virtio_win: Option<String>,
    /// Give the guest so much memory, as 8G, instead of what the section or the system asks for
    #[arg(long, value_name = "SIZE", value_parser = config::memory_size)]
    pub memory: Option<u64>,
    /// Show the domain, and make nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Make it without a question
    #[arg(long, conflicts_with = "dry_run")]
    pub yes: bool,
    /// Remove the domain that was made, and its disk if nothing was written to it
    #[arg(long, conflicts_with_all = ["os", "disk", "iso", "virtio_win", "memory"])]
    pub undo: bool,
}

#[derive(Debug, Args)]
pub struct EditOptions {
    /// The name of a [guest] section
    #[arg(value_parser = section_name)]
    pub name: String,
    /// Show what would be changed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Change it without a question
    #[arg(long, conflicts_with = "dry_run")]
    pub yes: bool,
    /// Take back what was changed, and nothing else
    #[arg(long)]
    pub undo: bool,
    /// Let the guest's UEFI variables begin anew, where another firmware is asked for
    #[arg(long, conflicts_with = "undo")]
    pub reset_nvram: bool,
}

#[derive(Debug, Args)]
pub struct StartOptions {
    /// The name of a [guest] section
    #[arg(value_parser = section_name)]
    pub name: String,
    /// Start it without a question, whatever ends for it
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct StatusOptions {
    /// The name of a [guest] section
    #[arg(value_parser = section_name)]
    pub name: String,
    /// Go on showing each step and each change until interrupted
    #[arg(long)]
    pub watch: bool,
}

#[derive(Debug, Subcommand)]
pub enum RomVerb {
    /// Show the images of an option ROM, and which firmware can use them
    #[command(after_help = "Example: vfio rom show big")]
    Show {
        /// A file, or the name of a [gpu] section
        #[arg(value_name = "FILE|GPU")]
        what: PathBuf,
    },
    /// Check an option ROM; without an argument, the file of every 'rom' key
    #[command(after_help = "Example: vfio rom check")]
    Check {
        /// A file, or the name of a [gpu] section
        #[arg(value_name = "FILE|GPU")]
        what: Option<PathBuf>,
    },
    /// Write the part of a file that is the option ROM into a new file
    #[command(after_help = "Example: vfio rom trim dumped.rom big.rom --for big")]
    Trim {
        /// The file to read
        input: PathBuf,
        /// The file to write, which must not exist
        output: PathBuf,
        /// Look for the ROM of this [gpu] section's card
        #[arg(long = "for", value_name = "GPU", value_parser = section_name)]
        gpu: Option<String>,
        /// Keep images that only the card itself uses too
        #[arg(long)]
        keep_all: bool,
    },
    /// Write an ACPI table that gives a guest's driver the option ROM, as a laptop's firmware does
    #[command(after_help = "Example: vfio rom table big.rom /var/lib/vfio/big.aml --at 02.5/00.0")]
    Table {
        /// The file with the option ROM
        input: PathBuf,
        /// The file to write, which must not exist
        output: PathBuf,
        /// Where the card is in the guest: the root port's slot and function, a slash, the card's
        #[arg(long, value_name = "PLACE")]
        at: Place,
        /// Leave the battery out
        #[arg(long)]
        no_battery: bool,
    },
    /// Read a card's own option ROM; show it, or write it into a new file
    #[command(after_help = "Example: vfio rom dump big /var/lib/vfio/big.rom")]
    Dump {
        /// The name of a [gpu] section
        #[arg(value_parser = section_name)]
        gpu: String,
        /// The file to write, which must not exist
        output: Option<PathBuf>,
        /// Read it from here
        #[arg(long, value_name = "SOURCE", default_value = "auto")]
        from: RomSource,
        /// Read it although a driver of the host or a guest uses the card
        #[arg(long)]
        force: bool,
    },
}

/// Where a card's option ROM is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RomSource {
    /// The first of the others that has it
    Auto,
    /// The card itself, by its attribute rom
    Sysfs,
    /// The firmware's table for AMD's cards
    Vfct,
    /// What amdgpu or nouveau has read
    Debugfs,
}

impl From<RomSource> for Option<Source> {
    fn from(source: RomSource) -> Option<Source> {
        match source {
            RomSource::Auto => None,
            RomSource::Sysfs => Some(Source::Sysfs),
            RomSource::Vfct => Some(Source::Vfct),
            RomSource::Debugfs => Some(Source::Debugfs),
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum GuestVerb {
    /// List the guests
    #[command(after_help = "Example: vfio guest list")]
    List,
    /// Show the state of a guest, and why its last start failed
    #[command(after_help = "Example: vfio guest status win10 --watch")]
    Status(StatusOptions),
    /// Show what starting a guest would do, or what forbids it
    #[command(after_help = "Example: vfio guest plan win10")]
    Plan(GuestName),
    /// Make a guest's libvirt domain, after a question
    #[command(after_help = "Example: vfio guest define win11 --os win11 --disk 120G --iso /srv/Win11.iso --dry-run")]
    Define(DefineOptions),
    /// Bring a guest's libvirt domain to what its section says, after a question
    #[command(after_help = "Example: vfio guest edit win10 --dry-run")]
    Edit(EditOptions),
    /// Start a guest, show each step, and wait until it runs
    #[command(after_help = "Example: vfio guest start win10 --yes")]
    Start(StartOptions),
    /// Shut a guest down, and wait until everything is back
    #[command(after_help = "Example: vfio guest stop win10")]
    Stop(GuestName),
    /// Give back what a guest has, from the journal
    #[command(after_help = "Example: vfio guest restore win10")]
    Restore(GuestName),
    /// Show a desktop notification for each guest whose last start failed
    #[command(after_help = "Example: vfio guest notify")]
    Notify,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_verb_that_is_nearly_right_is_offered() {
        let error = Arguments::try_parse_from(["vfio", "gropus"]).unwrap_err().to_string();
        assert!(error.contains("groups"), "{error}");
    }
}
