// SPDX-License-Identifier: LGPL-2.1-or-later
//! What mkinitcpio printed while it made images (version 41, `process_preset` and `run_build_hook`), read for why one of
//! them has nothing of ours. Its configuration is a shell's: only mkinitcpio knows what it says.

use crate::host::boot::mkinitcpio_hook::Hook;

/// What begins the comment of the drop-in of ours: a file of its name without it is another's.
const OURS: &str = "# Written by 'vfio sync'";

/// The drop-in of ours. It may come behind a file whose last line has no end. `HOOKS` may be a text, and mkinitcpio makes an array of
/// that only later; a hook that is not found would be an error, and so would a last command that fails.
pub const DROP_IN: &str = "
# Written by 'vfio sync', which removes it when no card is bound at boot: has mkinitcpio run the hook 'vfio'.
if [[ -e /usr/lib/initcpio/install/vfio && \" ${HOOKS[*]} \" != *' vfio '* ]]; then
    if [[ ${HOOKS@a} == *a* ]]; then HOOKS+=(vfio); else HOOKS+=' vfio'; fi
fi
";

/// What has to become of the drop-in of ours, whether images are built now, and whether they are to have the hook: its new
/// content, if it changes; `None` in that if it goes.
pub fn drop_in(hook: &Hook, is_required: bool, builds: bool) -> Option<Option<&'static str>> {
    match &hook.drop_in {
        None => (is_required && builds && hook.can_be_added && !hook.is_named).then_some(Some(DROP_IN)),
        Some(text) if !text.lines().any(|line| line.starts_with(OURS)) => None,
        Some(_) if !is_required => Some(None),
        Some(text) => (builds && hook.can_be_added && text != DROP_IN).then_some(Some(DROP_IN)),
    }
}

/// Why an image does not have what our hook puts in: what comes after a sentence about it. `None` if that hook ran, or if
/// what was printed does not tell.
pub fn why_without(printed: &str, image: &str) -> Option<String> {
    let lines: Vec<&str> = printed.lines().collect();
    let begins = |line: &&str| line.starts_with("==> Building image from preset: ");
    let is_its =
        |block: &&[&str]| block.iter().any(|line| arguments(line).is_some_and(|mut all| all.any(|a| a == image)));
    let mut blocks = lines.chunk_by(|_, next| !begins(next));
    let block = blocks.find(|block| block.first().is_some_and(begins) && is_its(block))?;
    if block.iter().any(|line| hook(line) == Some("vfio")) || !block.iter().any(|line| hook(line).is_some()) {
        return None;
    }
    if let Some(option) = block.iter().find_map(|line| skipped(line)) {
        let preset = block[0].rsplit_once(": ").map_or("", |(preset, _)| preset);
        let preset = preset.rsplit(' ').next().unwrap_or_default();
        return Some(format!("{preset} leaves the hook 'vfio' out of it ({option})"));
    }
    let named = |what: &str| block.iter().find_map(|line| line.strip_prefix(what)?.strip_suffix('\''));
    Some(match named("==> Using configuration file: '") {
        Some(file) => format!("mkinitcpio ran no hook 'vfio' for it: add 'vfio' to HOOKS in {file}"),
        // To a text such an array is no addition: mkinitcpio would look for one hook, "base udev".
        None => {
            "mkinitcpio ran no hook 'vfio' for it: add 'vfio' to HOOKS in /etc/mkinitcpio.conf, or, if HOOKS is an array \
             there, write HOOKS+=(vfio) into /etc/mkinitcpio.conf.d/vfio.conf (mkinitcpio 36)"
                .to_owned()
        }
    })
}

/// The arguments with which mkinitcpio builds one image: `  -> -k KERNEL -g IMAGE`.
fn arguments(line: &str) -> Option<impl Iterator<Item = &str>> {
    let rest = line.strip_prefix("  -> ").filter(|rest| rest.starts_with('-'))?;
    Some(rest.split(' '))
}

/// The hook that runs.
fn hook(line: &str) -> Option<&str> {
    let path = line.strip_prefix("  -> Running build hook: [")?.strip_suffix(']')?;
    // With -v it is the script.
    path.rsplit('/').next()
}

/// The option that leaves ours out.
fn skipped(line: &str) -> Option<String> {
    let mut all = arguments(line)?;
    while let Some(argument) = all.next() {
        let (option, hooks) = match (argument, argument.strip_prefix("-S"), argument.strip_prefix("--skiphooks=")) {
            ("-S" | "--skiphooks", _, _) => (argument, all.next()?),
            (_, Some(hooks), _) => ("-S", hooks),
            (_, _, Some(hooks)) => ("--skiphooks", hooks),
            _ => continue,
        };
        if hooks.split(',').any(|hook| hook == "vfio") {
            return Some(format!("{option} {hooks}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As mkinitcpio 41 printed it.
    const PRINTED: &str = "==> ERROR: module not found: 'nonesuch'\n\
        ==> Building image from preset: /etc/mkinitcpio.d/linux.preset: 'default'\n\
        ==> Using default configuration file: '/etc/mkinitcpio.conf'\n\
        \x20 -> -k /boot/vmlinuz-linux -g /boot/initramfs-linux.img\n\
        ==> Using drop-in configuration file: '9-vfio.conf'\n\
        ==> Using drop-in configuration file: '10-other.conf'\n\
        ==> Starting build: '6.12.117'\n\
        \x20 -> Running build hook: [base]\n\
        ==> Building image from preset: /etc/mkinitcpio.d/linux.preset: 'other'\n\
        ==> Using configuration file: '/etc/other.conf'\n\
        \x20 -> -k /boot/vmlinuz-linux -c /etc/other.conf -g /boot/other.img\n\
        ==> Starting build: '6.12.117'\n\
        \x20 -> Running build hook: [base]\n\
        ==> Building image from preset: /etc/mkinitcpio.d/lts.preset: 'default'\n\
        ==> Using default configuration file: '/etc/mkinitcpio.conf'\n\
        \x20 -> -k /boot/vmlinuz-lts -U /efi/EFI/Linux/lts.efi -S autodetect,vfio\n\
        ==> Starting build: '6.12.117'\n\
        \x20 -> Running build hook: [base]\n\
        ==> Building image from preset: /etc/mkinitcpio.d/zen.preset: 'default'\n\
        \x20 -> -k /boot/vmlinuz-zen -g /boot/zen.img\n\
        ==> Starting build: '6.12.117'\n\
        \x20 -> Running build hook: [/usr/lib/initcpio/install/vfio]\n\
        ==> Building image from preset: /etc/mkinitcpio.d/gone.preset: 'default'\n\
        \x20 -> -k /boot/vmlinuz-gone -g /boot/gone.img\n\
        ==> ERROR: Invalid option -k -- '/boot/vmlinuz-gone' must be readable\n";

    #[test]
    fn when_the_drop_in_comes_and_goes() {
        let hook = |can_be_added: bool, is_named: bool, there: Option<&str>| Hook {
            can_be_added,
            is_named,
            drop_in: there.map(str::to_owned),
        };
        let older = "\n# Written by 'vfio sync', once\nHOOKS+=(vfio)\n";
        let others = "HOOKS+=(vfio)\n";
        for (hook, is_required, builds, then) in [
            (hook(true, false, None), true, true, Some(Some(DROP_IN))),
            (hook(true, true, None), true, true, None),
            (hook(false, false, None), true, true, None),
            (hook(true, false, None), true, false, None),
            (hook(true, false, None), false, true, None),
            (hook(true, false, Some(DROP_IN)), true, true, None),
            (hook(true, false, Some(older)), true, true, Some(Some(DROP_IN))),
            (hook(true, false, Some(older)), true, false, None),
            (hook(false, true, Some(DROP_IN)), false, false, Some(None)),
            (hook(true, false, Some(others)), true, true, None),
            (hook(true, false, Some(others)), false, true, None),
        ] {
            assert_eq!(drop_in(&hook, is_required, builds), then, "{hook:?} {is_required} {builds}");
        }
    }

    #[test]
    fn the_reason_is_where_the_image_was_made() {
        let why = |image: &str| why_without(PRINTED, image).unwrap_or_default();
        assert!(why("/boot/initramfs-linux.img").ends_with("into /etc/mkinitcpio.conf.d/vfio.conf (mkinitcpio 36)"));
        assert!(why("/boot/other.img").ends_with("add 'vfio' to HOOKS in /etc/other.conf"));
        assert_eq!(
            why("/efi/EFI/Linux/lts.efi"),
            "/etc/mkinitcpio.d/lts.preset leaves the hook 'vfio' out of it (-S autodetect,vfio)"
        );
        // It ran, nothing ran, or the image is none of these.
        assert_eq!(["/boot/zen.img", "/boot/gone.img", "/boot/none.img"].map(why), ["", "", ""]);
        assert_eq!(why_without("", "/boot/zen.img"), None);
    }
}
