// SPDX-License-Identifier: LGPL-2.1-or-later
//! Whether mkinitcpio knows of our hook: what can be read of that. What it really runs only its images tell.

use crate::host::boot::assignments::Assignments;
use crate::host::boot::probe::{files, program, text};
use crate::root::Root;

/// What it reads.
const CONFIGURATION: &str = "etc/mkinitcpio.conf";
/// What it reads after that, since version 36, which brings the folder.
const DROP_INS: &str = "etc/mkinitcpio.conf.d";
/// Our hook.
const HOOK: &str = "usr/lib/initcpio/install/vfio";
/// The drop-in of ours. It comes behind what people call theirs: they are read as `sort -V` has them.
pub const DROP_IN: &str = "etc/mkinitcpio.conf.d/zz-vfio.conf";

/// What of it can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hook {
    /// Whether a drop-in can have it run: mkinitcpio reads such files, and the hook is there.
    pub can_be_added: bool,
    /// Whether `HOOKS` has it, as far as can be told without a shell, and without the drop-in of ours.
    pub is_named: bool,
    /// What is in the drop-in of ours; `None` if it is not there.
    pub drop_in: Option<String>,
}

impl Hook {
    /// Looks at mkinitcpio's files.
    pub fn read(root: &Root) -> Hook {
        let reads_drop_ins = || text(root, &program(root, "mkinitcpio")?).map(|script| script.contains("_d_config"));
        Hook {
            can_be_added: root.exists(HOOK) && root.list(DROP_INS).is_ok() && reads_drop_ins() == Some(true),
            is_named: is_named(root),
            drop_in: text(root, DROP_IN),
        }
    }
}

fn is_named(root: &Root) -> bool {
    let mut all = text(root, CONFIGURATION).unwrap_or_default();
    // In any order: ours is added to whatever there is.
    for path in files(root, DROP_INS, ".conf").iter().filter(|path| *path != DROP_IN) {
        all.push('\n');
        all.push_str(&text(root, path).unwrap_or_default());
    }
    Assignments::read(&all).get("HOOKS").is_some_and(|hooks| hooks.words().contains(&"vfio"))
}
