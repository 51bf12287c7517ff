// SPDX-License-Identifier: LGPL-2.1-or-later
//! What mkinitcpio printed while it made images (version 41, `process_preset` and `run_build_hook`), read for why one of
//! them has nothing of ours. Its configuration is a shell's: only mkinitcpio knows what it says.

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
