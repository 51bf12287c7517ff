// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a machine boots with: any file of its loaders, its kernels and its firmware with any content.

use crate::common::boot_tools::staged;
use crate::common::boots;
use crate::common::text::{Node, Nodes};
use crate::tree::Any;
use vfio_suite::host::boot::BootSystem;
use vfio_suite::plan::cmdline::record::Record;
use vfio_suite::plan::cmdline::{plan, Options};
use vfio_suite::root::Root;

/// All loaders in one machine, as far as their files do not stand in one place.
fn machine() -> Any {
    let mut nodes = Nodes::new();
    for (_, boot) in boots::all() {
        nodes.extend(boot.0);
    }
    let staged = Node::File(0o644, staged("root=UUID=56 rw iommu=pt"));
    nodes.insert("run/ostree/staged-deployment".to_owned(), staged);
    Any::new(&nodes)
}

fn look(root: &Root) {
    let system = BootSystem::scan(root);
    let desired = crate::boot_file::desired();
    let first = plan(&system, &desired, &Record::default(), &Options::default());
    plan(&system, &[], &first.record, &Options { adopt: true, ..Options::default() });
}

/// Everything that is read and planned without a panic.
pub fn check(data: &[u8]) {
    thread_local!(static MACHINE: Any = machine());
    MACHINE.with(|machine| machine.with(data, look));
}
