// SPDX-License-Identifier: LGPL-2.1-or-later
//! The script that prints the boot entry without us when GRUB's menu is made: the first entry that `10_linux` prints, with
//! another title and id. So it is that of the newest kernel whenever a menu is made, and as the distribution writes entries.

use super::first_line;
use crate::host::boot::rescue_entry::TITLE;

/// What the entry is called by (`grub-reboot vfio-off`).
pub(super) const ID: &str = "vfio-off";

/// Its text. `ours`: our parameters in `GRUB_CMDLINE_LINUX_DEFAULT`.
pub(super) fn text(ours: &[String]) -> String {
    let take_out = if ours.is_empty() {
        String::new()
    } else {
        let list: Vec<String> = ours.iter().map(|parameter| quoted(parameter)).collect();
        format!(
            "for parameter in {}; do\n    case $parameters in\n    *\" $parameter \"*)\n        \
             parameters=\"${{parameters%\" $parameter \"*}} ${{parameters##*\" $parameter \"}}\"\n        ;;\n    esac\ndone\n",
            list.join(" ")
        )
    };
    format!(
        r#"#!/bin/sh
{comment}
# It prints one more entry for GRUB's menu: the first that 10_linux prints (10_linux_zfs on ZFS), without vfio's kernel
# parameters and with vfio=off. Where there is none it prints nothing, and it never fails: the menu is made all the same.

parameters=" ${{GRUB_CMDLINE_LINUX_DEFAULT-}} "
{take_out}# The entry must not become the default by having been chosen once.
GRUB_CMDLINE_LINUX_DEFAULT="${{parameters# }}vfio=off"
GRUB_SAVEDEFAULT=''
export GRUB_CMDLINE_LINUX_DEFAULT GRUB_SAVEDEFAULT

for script in "${{0%/*}}"/*linux*; do
    [ -x "$script" ] || continue
    entry=$("$script" 2>/dev/null </dev/null |
        sed -n '/^menuentry /,/^}}/{{p;/^}}/q;}}' |
        sed "1s/^\(menuentry '.*\)\('[^']*[$]{{\{{0,1\}}menuentry_id_option}}\{{0,1\}} '\)[^']*\('.*\)/\1{TITLE}\2{ID}\3/")
    # One that has no other id would take the place of the first.
    case $entry in
    *"'{ID}'"*vfio=off*)
        printf '%s\n' "$entry"
        break
        ;;
    esac
done
exit 0
"#,
        comment = first_line(),
    )
}

/// A word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
