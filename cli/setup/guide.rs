// SPDX-License-Identifier: LGPL-2.1-or-later
//! Options that are taken so that a guide's command line works: what they say is known, and counts only where it is known.

use super::options::SetupOptions;
use vfio_suite::host::{process, software};
use vfio_suite::logger::complain;
use vfio_suite::plan::wizard::answers::decide;
use vfio_suite::plan::wizard::facts::Facts;
use vfio_suite::root::Root;

/// Desktops by the program that each always runs.
const DESKTOPS: [(&str, &str); 6] = [
    ("gnome-shell", "gnome"),
    ("plasmashell", "plasma"),
    ("kwin_wayland", "plasma"),
    ("kwin_x11", "plasma"),
    ("xfce4-session", "xfce"),
    ("cinnamon", "cinnamon"),
];

/// Says once what differs from what was found.
pub fn warn(options: &SetupOptions, facts: &Facts, root: &Root) {
    let mut differs = Vec::new();
    if let (Some(said), Some(found)) = (options.os.as_deref(), facts.distribution) {
        if software::of_word(&said.to_ascii_lowercase()).is_some_and(|said| said != found) {
            differs.push(format!("--os={said} ({found:?})"));
        }
    }
    if let Some(said) = options.de.as_deref().map(str::to_ascii_lowercase) {
        let (found, name) = (desktops(root), if said == "kde" { "plasma" } else { said.as_str() });
        if !found.is_empty() && !found.contains(&name) {
            differs.push(format!("--de={said} ({})", found.join(", ")));
        }
    }
    if let (Some(said), Ok(answers)) = (options.amd6000, decide(facts, &options.request())) {
        let found = vfio_suite::plan::udev_sizes::is_of_amd_6000(&answers.card.ids);
        if said != found {
            differs.push(format!("--amd6000={said} ({})", answers.card.ids));
        }
    }
    if !differs.is_empty() {
        complain(format_args!(
            "vfio: warning: these are not as found, and what was found counts: {}",
            differs.join(", ")
        ));
    }
}

/// The desktops that run, of those that are known.
fn desktops(root: &Root) -> Vec<&'static str> {
    let running = process::commands(root);
    let known = DESKTOPS.iter().filter(|(program, _)| running.iter().any(|name| name == program));
    known.map(|(_, desktop)| *desktop).collect()
}
