// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the kernel says of a machine: any file of it with any content.

use crate::common::desktop;
use crate::common::layouts;
use crate::common::text;
use crate::tree::Any;
use vfio_suite::config;
use vfio_suite::host::Depth;
use vfio_suite::plan::{bind, boot};
use vfio_suite::root::Root;
use vfio_suite::survey;

const CONFIG: &str = "[gpu card]\ndevice = not-boot-display\n\n[gpu other]\ndevice = 0000:03:00.0\nbind = guest\n\n\
                      [guest one]\ngpus = other\ndomain = one\n";

fn machine() -> Any {
    let (_, machine) = layouts::all().into_iter().find(|(name, _)| *name == MACHINE).expect("the machine is there");
    let tree = machine.build();
    tree.config(CONFIG);
    desktop::process(&tree, 700, "Xorg", 0, "/system.slice/gdm.service", &["/dev/dri/card0".to_owned()]);
    Any::new(&text::read(tree.path(), &|path| path.starts_with(".kernel")))
}

/// One with much on it: a layout with disks, networks and keyboards.
const MACHINE: &str = "raphael-b650";

fn look(root: &Root) {
    let config = config::load(root);
    survey::selections(root, &config);
    survey::admitted(root, &config, Depth::Boot);
    let (selections, mut host) = survey::cards_now(root, &config);
    host.find_displays(root);
    host.find_boot_display(root);
    let functions = boot::functions(&selections);
    host.inspect_bars(root, &functions);
    host.find_holders(root, &functions);
    host.find_dead(root, &functions);
    host.find_sleepers(root, &functions);
    let _ = boot::early(&selections, &host);
    let mut host = vfio_suite::host::Host::scan(root, Depth::Full);
    let judged = survey::judged(root, &config, &mut host);
    let _ = bind::asks_for_variants(&judged);
}

/// Everything that is read and decided without a panic.
pub fn check(data: &[u8]) {
    thread_local!(static MACHINE: Any = machine());
    MACHINE.with(|machine| machine.with(data, look));
}
