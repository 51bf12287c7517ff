// SPDX-License-Identifier: LGPL-2.1-or-later
//! The command `vfio`: looks at the machine, says what will happen and why, binds and gives back.

mod act;
mod check;
mod cmdline;
mod doctor;
mod groups;
mod guest;
mod holders;
mod mask;
mod output;
mod plan;
mod rebar;
mod report;
mod reset;
mod setup;
mod status;
mod sync;

use clap::{Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use vfio_suite::act::backend::sysfs;
use vfio_suite::config;
use vfio_suite::logger::complain;
use vfio_suite::logger::{self, Target};
use vfio_suite::root::{Root, ROOT_VARIABLE};
use vfio_suite::text;

/// Gives a GPU to a virtual machine, and takes it back.
#[derive(Debug, Parser)]
#[command(name = "vfio", version, arg_required_else_help = true)]
struct Arguments {
    /// Work on a test tree or a recorded machine instead of the system; nothing outside DIR is touched
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Print JSON for programs instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check the configuration, and each card on this machine: 0 clean, 1 warnings, 2 errors or a card that is refused
    Check,
    /// List IOMMU groups: functions, drivers, reset methods, and what keeps a group from guests
    Groups,
    /// Say what the next boot will do with each card, and why
    Plan,
    /// Say how each card is now: 0 as configured, 1 not, 2 errors in the configuration
    Status,
    /// Bind a card to vfio now, if nobody holds it
    Bind {
        /// The name of a [gpu] section
        name: String,
    },
    /// Give a card back to the host, from the journal
    Restore {
        /// The name of a [gpu] section
        name: String,
    },
    /// Say who holds a card: 0 nobody, 1 somebody
    Holders {
        /// The name of a [gpu] section
        name: String,
    },
    /// Guests: what there is, how each is, start and stop
    #[command(subcommand)]
    Guest(GuestVerb),
    /// The kernel's command line in every boot entry: what is wanted, what is there
    #[command(subcommand)]
    Cmdline(CmdlineVerb),
    /// Bring boot entries and initramfs up to date with the configuration: 1 something is left to do by hand
    Sync,
    /// Say what is well and what is not, why, and what to do: 0 well, 1 warnings, 2 errors
    Doctor {
        /// Look at this part only
        #[arg(long, value_name = "PART")]
        only: Option<DoctorPart>,
    },
    /// Say how each card can be reset; with a name, reset that card now: 0 reset, 1 refused, 2 it did not work
    Reset {
        /// The name of a [gpu] section
        name: Option<String>,
        /// How, instead of what is configured
        #[arg(long, value_name = "METHOD", requires = "name")]
        method: Option<ResetMethod>,
        /// Only say what would be done
        #[arg(long, requires = "name")]
        dry_run: bool,
    },
    /// Show how large resizable BARs are and can be, and set them
    #[command(args_conflicts_with_subcommands = true)]
    Rebar {
        /// The name of a [gpu] section; all functions with resizable BARs without one
        name: Option<String>,
        #[command(subcommand)]
        verb: Option<RebarVerb>,
    },
    /// Make the system ready for guests, or as it was before: 1 something is left to do by hand
    Setup(SetupOptions),
    /// Print all that a bug report needs, with names, UUIDs and serial numbers masked
    Report,
    /// Take a card off the bus and find it again; a host driver that is faster loses it at once
    Rescan {
        /// The name of a [gpu] section
        name: String,
    },
}

/// A part of the machine that the doctor looks at.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum DoctorPart {
    /// How it boots: words of the kernel, boot entries, initramfs
    Boot,
    /// How cards are reset, and whether they answer
    Reset,
    /// Which display the firmware uses, and which monitors go dark
    Display,
}

/// A way to reset a card.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ResetMethod {
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
enum CmdlineVerb {
    /// Say which words are wanted, where they are, and what the running kernel has: 0 all as wanted, 1 not
    Status,
    /// Show what an apply would change, as a unified diff, and why each word is wanted
    Plan(CmdlineOptions),
    /// Put the wanted words into every boot entry, and take out those of ours that are not wanted any more
    Apply(CmdlineOptions),
    /// Take out everything that was put in, and nothing else
    Revert,
}

#[derive(Debug, clap::Args)]
struct CmdlineOptions {
    /// Take words that are there already for ours, so that a revert takes them out; drop amd_iommu=on, which no kernel knows
    #[arg(long)]
    adopt: bool,
    /// Change entries for emergencies too
    #[arg(long)]
    rescue: bool,
    /// Print nothing but problems
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, clap::Args)]
struct SetupOptions {
    /// libvirt at every boot, its network "default", a user in the groups kvm, input and libvirt
    #[arg(long, required = true)]
    services: bool,
    /// Who is added to the groups; without it whoever called sudo
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Undo what was done, and nothing else
    #[arg(long, conflicts_with = "user")]
    undo: bool,
}

#[derive(Debug, Subcommand)]
enum RebarVerb {
    /// Resize BARs of a card that no driver of the host has; 'vfio restore' undoes it
    Set {
        /// The name of a [gpu] section
        name: String,
        /// As 0=16G or bar2=8M; max, min, firmware
        #[arg(required = true, value_name = "BAR=SIZE")]
        sizes: Vec<String>,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the lines of the configuration that mean what udev rules do that write sizes
    Adopt {
        /// The rules
        file: PathBuf,
    },
    /// Give all BARs of a card the sizes that they had before the first was resized
    Restore {
        /// The name of a [gpu] section
        name: String,
    },
}

#[derive(Debug, Subcommand)]
enum GuestVerb {
    /// List the guests
    List,
    /// Say how a guest is: 0 runs or is off, 1 its last start did not work
    Status {
        /// The name of a [guest] section
        name: String,
    },
    /// Say what starting a guest would do, or what forbids it
    Plan {
        /// The name of a [guest] section
        name: String,
    },
    /// Start a guest, and wait until it runs
    Start {
        /// The name of a [guest] section
        name: String,
    },
    /// Shut a guest down, and wait until everything is back
    Stop {
        /// The name of a [guest] section
        name: String,
    },
    /// Give back what a guest has, from the journal
    Restore {
        /// The name of a [guest] section
        name: String,
    },
}

impl GuestVerb {
    fn name(&self) -> Option<&str> {
        match self {
            GuestVerb::List => None,
            GuestVerb::Status { name }
            | GuestVerb::Plan { name }
            | GuestVerb::Start { name }
            | GuestVerb::Stop { name }
            | GuestVerb::Restore { name } => Some(name),
        }
    }
}

/// Exit codes: 0 done, or nothing to do.
const DONE: u8 = 0;
/// Exit codes: warnings, or "no".
const NO: u8 = 1;
/// Exit codes: errors.
const ERRORS: u8 = 2;
/// Exit codes: wrong usage.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    if let Some(code) = sysfs::run_as_child() {
        return code;
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; clap prints them on stdout.
            let code = if error.use_stderr() { USAGE } else { DONE };
            // Of a wrong argument clap says what it is: one that shows. It stays as wrong as it was.
            let shown = std::env::args_os().map(|argument| text::line(&argument.to_string_lossy()).into_owned());
            let error = Arguments::try_parse_from(shown).err().unwrap_or(error);
            let text = error.render().to_string();
            match error.use_stderr() {
                true => text.trim_end().lines().for_each(complain),
                // A reader that has gone is no error.
                false => drop(std::io::stdout().write_all(text.as_bytes())),
            }
            return ExitCode::from(code);
        }
    };
    match run(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(format_args!("vfio: {error:#}"));
            ExitCode::from(ERRORS)
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let root = match Root::from_option(arguments.root.as_deref()) {
        Ok(root) => root,
        Err(error) => {
            let variable = std::env::var_os(ROOT_VARIABLE).map(PathBuf::from).unwrap_or_default();
            let path = arguments.root.as_deref().unwrap_or(&variable);
            anyhow::bail!("{}: {error}; --root and {ROOT_VARIABLE} want an existing directory", path.display());
        }
    };
    logger::start("vfio", Target::Stderr, root.is_system());
    let out = output::Output::new(arguments.json);
    let (kind, name) = match &arguments.verb {
        Verb::Bind { name } | Verb::Restore { name } | Verb::Rescan { name } | Verb::Holders { name } => {
            ("gpu", Some(name.as_str()))
        }
        Verb::Reset { name, .. } => ("gpu", name.as_deref()),
        Verb::Rebar { verb: Some(RebarVerb::Set { name, .. } | RebarVerb::Restore { name }), .. } => {
            ("gpu", Some(name.as_str()))
        }
        Verb::Rebar { verb: Some(RebarVerb::Adopt { .. }), .. } => ("", None),
        Verb::Rebar { name, verb: None } => ("gpu", name.as_deref()),
        Verb::Guest(verb) => ("guest", verb.name()),
        Verb::Check
        | Verb::Groups
        | Verb::Plan
        | Verb::Status
        | Verb::Cmdline(_)
        | Verb::Sync
        | Verb::Doctor { .. }
        | Verb::Setup(_)
        | Verb::Report => ("", None),
    };
    if let Some(name) = name.filter(|name| !config::is_name(name)) {
        complain(format_args!("vfio: '{name}' cannot be the name of a [{kind}] section"));
        return Ok(USAGE);
    }
    match &arguments.verb {
        Verb::Check => check::run(&root, &out),
        Verb::Groups => groups::run(&root, &out),
        Verb::Plan => plan::run(&root, &out),
        Verb::Status => status::run(&root, &out),
        Verb::Bind { name } => act::bind(&root, &out, name),
        Verb::Restore { name } => act::restore(&root, &out, name),
        Verb::Rescan { name } => act::rescan(&root, &out, name),
        Verb::Reset { name: None, .. } => reset::show(&root, &out),
        Verb::Reset { name: Some(name), method, dry_run } => {
            reset::run(&root, &out, name, method.map(Into::into), *dry_run)
        }
        Verb::Holders { name } => holders::run(&root, &out, name),
        Verb::Rebar { name, verb } => rebar::run(&root, &out, name.as_deref(), verb.as_ref()),
        Verb::Sync => sync::run(&root, &out),
        Verb::Doctor { only } => doctor::run(&root, &out, *only),
        Verb::Setup(options) => setup::run(&root, &out, options),
        Verb::Report => report::run(&root, &out),
        Verb::Cmdline(verb) => cmdline::run(&root, &out, verb),
        Verb::Guest(verb) => guest::run(&root, &out, verb),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
