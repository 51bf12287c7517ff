// SPDX-License-Identifier: LGPL-2.1-or-later
//! mkinitcpio's presets: which images `mkinitcpio -P` makes, and what it reads for a command line in them. As version 41
//! does it (`process_preset` and `build_uki` of its program).

use crate::host::boot::assignments::Assignments;
use crate::host::boot::probe::{files, text};
use crate::root::Root;

/// Where a preset of each kernel is.
pub const PRESETS: &str = "etc/mkinitcpio.d";

/// What `mkinitcpio -P` makes at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// The file, below the root.
    pub file: String,
    /// Its name in that file: `default`, `fallback`.
    pub name: String,
    /// The initramfs, below the root.
    pub image: Option<String>,
    /// The unified kernel image, below the root.
    pub uki: Option<String>,
    /// What that takes its command line from.
    pub cmdline: Cmdline,
}

/// Where a unified kernel image has its command line from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cmdline {
    /// `/etc/kernel/cmdline`, or the one in `/usr/lib`, and `/etc/cmdline.d`.
    Usual,
    /// A file or, since 41, a folder, below the root; nothing else is read then.
    From(String),
    /// None is put in (`--no-cmdline`), unless ukify's own configuration names one.
    Nowhere,
}

impl Preset {
    /// Whether it is one of this kernel's package (`pkgbase`).
    pub fn is_of(&self, package: &str) -> bool {
        let name = self.file.rsplit('/').next().unwrap_or_default();
        name.strip_suffix(".preset") == Some(package)
    }

    /// Whether it is made for emergencies.
    pub fn is_fallback(&self) -> bool {
        self.name.contains("fallback")
    }
}

/// The presets of all files, in the order in which they are built.
pub fn presets(root: &Root) -> Vec<Preset> {
    let paths = files(root, PRESETS, ".preset");
    paths.into_iter().filter_map(|path| Some(of_file(&path, &text(root, &path)?))).flatten().collect()
}

fn of_file(path: &str, text: &str) -> Vec<Preset> {
    let set = Assignments::read(text);
    let names = set.get("PRESETS").map(|names| names.words()).unwrap_or_default();
    names.into_iter().filter_map(|name| preset(path, &set, name)).collect()
}

fn preset(path: &str, set: &Assignments, name: &str) -> Option<Preset> {
    let own = |key: &str| set.text(&format!("{name}_{key}"));
    let or_all = |key: &str| own(key).or_else(|| set.text(&format!("ALL_{key}")));
    let below = |path: &str| path.trim_start_matches('/').to_owned();
    // Without a kernel it makes nothing.
    or_all("kver")?;
    let uki = if set.get(&format!("{name}_uki")).is_some() { own("uki") } else { own("efi_image") };
    let (image, uki) = (own("image").map(below), uki.map(below));
    if image.is_none() && uki.is_none() {
        return None;
    }
    let mut cmdline = or_all("cmdline").map_or(Cmdline::Usual, |path| Cmdline::From(below(path)));
    let options = set.get(&format!("{name}_options")).map(|options| options.words()).unwrap_or_default();
    let mut nowhere = false;
    let mut rest = options.into_iter();
    while let Some(option) = rest.next() {
        // What comes later counts; `--no-cmdline` does either way.
        match option.strip_prefix("--cmdline") {
            Some("") => cmdline = rest.next().map_or(cmdline, |path| Cmdline::From(below(path))),
            Some(value) => cmdline = value.strip_prefix('=').map_or(cmdline, |path| Cmdline::From(below(path))),
            None => nowhere |= option == "--no-cmdline",
        }
    }
    let cmdline = if nowhere { Cmdline::Nowhere } else { cmdline };
    Some(Preset { file: path.to_owned(), name: name.to_owned(), image, uki, cmdline })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, initramfs, unified kernel image, command line.
    fn shown(text: &str) -> Vec<String> {
        let show = |preset: Preset| {
            let cmdline = match &preset.cmdline {
                Cmdline::Usual => "usual".to_owned(),
                Cmdline::From(path) => path.clone(),
                Cmdline::Nowhere => "nowhere".to_owned(),
            };
            let [image, uki] = [preset.image, preset.uki].map(Option::unwrap_or_default);
            format!("{} {image}|{uki}|{cmdline}", preset.name)
        };
        of_file("a.preset", &format!("ALL_kver=/boot/vmlinuz-linux\n{text}")).into_iter().map(show).collect()
    }

    #[test]
    fn presets_as_mkinitcpio_reads_them() {
        for (text, said) in [
            ("PRESETS=('default')\ndefault_image=\"/boot/a.img\"\n", &["default boot/a.img||usual"][..]),
            // One that is not in the list is not made.
            ("PRESETS=(default)\ndefault_image=/a\nfallback_image=/b\n", &["default a||usual"]),
            (
                "PRESETS=(default fallback)\ndefault_uki=/a\nfallback_uki=/b\n",
                &["default |a|usual", "fallback |b|usual"],
            ),
            ("PRESETS=(default)\ndefault_efi_image=/a\n", &["default |a|usual"]),
            ("PRESETS=(default)\ndefault_uki=\ndefault_efi_image=/a\n", &[]),
            ("PRESETS=(default)\n", &[]),
            ("default_image=/a\n", &[]),
            ("PRESETS=(default)\nALL_image=/a\n", &[]),
            ("PRESETS=(default)\ndefault_uki=/a\nALL_cmdline=/etc/all\n", &["default |a|etc/all"]),
            ("PRESETS=(default)\ndefault_uki=/a\nALL_cmdline=/b\ndefault_cmdline=/c\n", &["default |a|c"]),
            ("PRESETS=(default)\ndefault_uki=/a\ndefault_options=\"-S autodetect --cmdline /b\"\n", &["default |a|b"]),
            ("PRESETS=(d)\nd_uki=/a\nd_cmdline=/c\nd_options=(--cmdline=/b --splash x)\n", &["d |a|b"]),
            ("PRESETS=(d)\nd_uki=/a\nd_options=\"--no-cmdline --cmdline /b\"\n", &["d |a|nowhere"]),
            ("PRESETS=(d)\np=linux\nd_image=/boot/$p.img\n", &["d boot/linux.img||usual"]),
        ] {
            assert_eq!(shown(text), said, "{text}");
        }
        assert!(of_file("a", "PRESETS=(d)\nd_image=/a\n").is_empty(), "no kernel");
    }
}
