// SPDX-License-Identifier: LGPL-2.1-or-later
//! The systemd generator: turns `[gpu]` sections with `bind = boot` into units that are wanted at boot.
//!
//! Called as `vfio-generator NORMAL [EARLY LATE]` (systemd.generator(7)), at boot and at every daemon-reload. It writes
//! units only, into its first argument only, and exits 0 whatever the configuration looks like.

use std::path::Path;
use std::process::ExitCode;
use vfio_suite::config::{self, Severity};
use vfio_suite::logger;
use vfio_suite::logger::boot::Target;
use vfio_suite::plan::{boot, idle, reset};
use vfio_suite::root::{Root, RUN};
use vfio_suite::survey;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (1 | 3, Some(normal)) = (arguments.len(), arguments.first()) else {
        logger::complain("vfio-generator: give one output directory, or three (systemd.generator(7))");
        return ExitCode::from(64);
    };
    let root = match Root::from_option(None) {
        Ok(root) => root,
        Err(error) => {
            logger::complain(format_args!("vfio-generator: the root cannot be opened: {error}"));
            return ExitCode::FAILURE;
        }
    };
    logger::boot::start("vfio-generator", Target::Kernel, root.is_system());
    // In the initramfs the unit that matters is linked statically by the initramfs module.
    if std::env::var_os("SYSTEMD_IN_INITRD").is_some_and(|v| v == "1") {
        log::debug!("in the initramfs: nothing to generate");
        return ExitCode::SUCCESS;
    }
    for (path, content) in units(&root) {
        if let Err(error) = content.write(&Path::new(normal).join(&path)) {
            log::error!("{path} cannot be written: {error}");
        }
    }
    ExitCode::SUCCESS
}

/// The units for this machine; says in the log what is refused and why.
fn units(root: &Root) -> Vec<(String, output::Content)> {
    let config = config::load(root);
    for diagnostic in &config.diagnostics {
        match diagnostic.severity {
            Severity::Error => log::error!("{}", diagnostic.line()),
            Severity::Warning => log::warn!("{}", diagnostic.line()),
            Severity::Note | Severity::Ok => log::debug!("{}", diagnostic.line()),
        }
    }
    // Written only in the initramfs so far: what its older configuration reserved may be wanted no more.
    let reserved = root.list(&format!("{RUN}/journal")).is_ok_and(|names| !names.is_empty());
    if !config.gpus.iter().any(|g| g.bind == config::Bind::Boot) {
        return output::units(reserved, None);
    }
    let (selections, host) = survey::selections(root, &config);
    if let Some(why) = idle(&config, &host) {
        log::info!("{why}");
        return output::units(reserved, None);
    }
    let mut names = Vec::new();
    for selection in &selections {
        match &selection.selected {
            Ok(_) => {
                let module = if reset::asks_for_module(selection, &host) { "vendor_reset" } else { "vfio_pci" };
                let late = boot::waits_for_file_systems(selection, &host);
                names.push(output::Card { name: &selection.gpu.name, source: &selection.gpu.at.path, module, late });
            }
            Err(finding) if finding.is_absent() && selection.gpu.optional => {}
            Err(finding) if finding.is_absent() => log::info!("{}", finding.line()),
            Err(finding) => log::warn!("{}", finding.line()),
        }
    }
    // A card that is not there yet may be plugged in later: all but its own unit is for it too.
    output::units(true, Some(&names))
}

/// What is written: pure, then one dumb writer.
mod output {
    use std::io;
    use std::path::Path;

    /// Where the static units are, told by the build (`make install`), else where every distribution has them.
    const UNITS: &str = match option_env!("VFIO_UNITDIR") {
        Some(dir) if !dir.is_empty() => dir,
        _ => "/usr/lib/systemd/system",
    };

    /// A file, or a link to a static unit.
    pub enum Content {
        /// A drop-in.
        File(String),
        /// A link to this.
        Link(String),
    }

    impl Content {
        /// Writes it; a link that is there already is as wished.
        pub fn write(&self, path: &Path) -> io::Result<()> {
            if let Some(dir) = path.parent() {
                std::fs::create_dir_all(dir)?;
            }
            match self {
                Content::File(text) => std::fs::write(path, text),
                Content::Link(target) => match std::os::unix::fs::symlink(target, path) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                    other => other,
                },
            }
        }
    }

    /// A card that is bound at boot.
    pub struct Card<'c> {
        /// The section's name.
        pub name: &'c str,
        /// The file of the section.
        pub source: &'c str,
        /// The module to load before.
        pub module: &'static str,
        /// It has functions that are taken only when it is known what is mounted.
        pub late: bool,
    }

    /// Units: the early one if it has something to do, and those for cards bound at boot. Where the module is vendor-reset, `vfio-bind` itself loads vfio-pci after it has chosen the reset
    /// method: vfio-pci takes what waits for it as soon as it is loaded.
    pub fn units(early: bool, gpus: Option<&[Card<'_>]>) -> Vec<(String, Content)> {
        let want = |target: &str, unit: &str, template: &str| {
            (format!("{target}.wants/{unit}"), Content::Link(format!("{UNITS}/{template}")))
        };
        let mut units = Vec::new();
        if early {
            units.push(want("sysinit.target", "vfio-early.service", "vfio-early.service"));
        }
        let Some(gpus) = gpus else { return units };
        units.push(want("default.target", "vfio-boot-ok.service", "vfio-boot-ok.service"));
        for Card { name, source, module, late } in gpus {
            let unit = format!("vfio-bind@{name}.service");
            units.push(want("sysinit.target", &unit, "vfio-bind@.service"));
            let text = format!(
                "# Automatically generated by vfio-generator\n\n[Unit]\nSourcePath={}\n\
                 Wants=modprobe@{module}.service\nAfter=modprobe@{module}.service\n{}",
                source.replace('%', "%%"),
                if *late { "After=local-fs.target swap.target\n" } else { "" }
            );
            units.push((format!("{unit}.d/50-vfio.conf"), Content::File(text)));
        }
        units
    }
}
