// SPDX-License-Identifier: LGPL-2.1-or-later
//! mkinitcpio, as far as it decides what is in which image: presets, the configuration with its drop-ins, hooks and modules
//! that are not found, command lines of unified kernel images; and what it prints of these.
//!
//! After the real program, version 41 (archlinux/mkinitcpio: `mkinitcpio`, `functions`), which was run in a tree of Debian
//! 13 with the same configurations: an array and a text as `HOOKS`, drop-ins as `sort -V` has them and a last line without
//! an end, options of presets, a missing module (an error, and a good image), each source of a command line.

use crate::images::{self, Kind};
use crate::tree::Tree;
use std::cmp::Ordering;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use vfio_suite::host::boot::assignments::{Assignments, Value};

const CONF: &str = "etc/mkinitcpio.conf";
/// Its own hooks, as far as tests name them, and ours.
const HOOKS: [&str; 12] = [
    "base",
    "udev",
    "systemd",
    "autodetect",
    "microcode",
    "modconf",
    "kms",
    "keyboard",
    "block",
    "filesystems",
    "fsck",
    "vfio",
];

/// Prints the two variables, each element with a zero behind it.
const ARRAYS: &str = r#"
. /dev/stdin
for name in HOOKS MODULES; do
    declare -n it=$name
    [[ ${it@a} == *a* ]] || IFS=' ' read -r -a it <<<"$it"
    (( ${#it[@]} == 0 )) || printf '%s\0' "${it[@]}"
    printf '\1'
done
"#;

/// `mkinitcpio -P`: whether all went well, and what it printed.
pub(crate) fn all_presets(tree: &Tree<'_>) -> io::Result<(bool, String)> {
    let mut run = Run { tree, printed: String::new() };
    let names = tree.list("etc/mkinitcpio.d");
    let presets: Vec<String> = names.into_iter().filter(|name| name.ends_with(".preset")).collect();
    if presets.is_empty() {
        run.say("==> ERROR: No presets found in /etc/mkinitcpio.d");
        return Ok((false, run.printed));
    }
    let mut well = true;
    for name in presets {
        well &= run.preset(&format!("etc/mkinitcpio.d/{name}"))?;
    }
    Ok((well, run.printed))
}

#[derive(Default)]
struct Options {
    kernel: String,
    config: Option<String>,
    image: Option<String>,
    uki: Option<String>,
    cmdline: Option<String>,
    no_cmdline: bool,
    add: Vec<String>,
    skip: Vec<String>,
}

struct Run<'t, 'r> {
    tree: &'t Tree<'r>,
    printed: String,
}

impl Run<'_, '_> {
    fn say(&mut self, line: &str) {
        self.printed.push_str(line);
        self.printed.push('\n');
    }

    fn text(&self, path: &str) -> Option<String> {
        self.tree.root.read(path.trim_start_matches('/')).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn exists(&self, path: &str) -> bool {
        self.tree.root.exists(path.trim_start_matches('/'))
    }

    /// All images of one file.
    fn preset(&mut self, file: &str) -> io::Result<bool> {
        let set = Assignments::read(&self.text(file).unwrap_or_default());
        let names: Vec<String> = set.get("PRESETS").map(list).unwrap_or_default();
        if names.is_empty() {
            self.say(&format!("==> WARNING: Preset file '/{file}' is empty or does not contain any presets."));
        }
        let mut well = true;
        for name in &names {
            self.say(&format!("==> Building image from preset: /{file}: '{name}'"));
            let own = |key: &str| set.text(&format!("{name}_{key}")).map(str::to_owned);
            let or_all = |key: &str| own(key).or_else(|| set.text(&format!("ALL_{key}")).map(str::to_owned));
            let Some(kernel) = or_all("kver") else {
                self.say(&format!("==> WARNING: No kernel version specified. Skipping image '{name}'"));
                continue;
            };
            let mut words = vec!["-k".to_owned(), kernel];
            match or_all("config") {
                Some(config) => {
                    self.say(&format!("==> Using configuration file: '{config}'"));
                    words.extend(["-c".to_owned(), config]);
                }
                None => self.say(&format!("==> Using default configuration file: '/{CONF}'")),
            }
            let uki = if set.get(&format!("{name}_uki")).is_some() { own("uki") } else { own("efi_image") };
            let image = own("image");
            if image.is_none() && uki.is_none() {
                self.say(&format!("==> WARNING: No image or UKI specified. Skipping image '{name}'"));
                continue;
            }
            for (option, value) in [("-U", uki), ("--cmdline", or_all("cmdline")), ("-g", image)] {
                words.extend(value.into_iter().flat_map(|value| [option.to_owned(), value]));
            }
            words.extend(set.get(&format!("{name}_options")).map(list).unwrap_or_default());
            self.say(&format!("  -> {}", words.join(" ")));
            well &= self.build(&read_options(&words))?;
        }
        Ok(well)
    }

    /// What it says of a path that is not there.
    fn is_refused(&mut self, option: &str, path: &str) -> bool {
        let missing = !self.exists(path);
        if missing {
            self.say(&format!("==> ERROR: Invalid option {option} -- '{path}' must be readable"));
        }
        missing
    }

    fn configuration(&mut self, options: &Options) -> String {
        if let Some(config) = &options.config {
            return self.text(config).unwrap_or_default();
        }
        let mut text = self.text(CONF).unwrap_or_default();
        let mut names = self.tree.list(&format!("{CONF}.d"));
        names.retain(|name| name.ends_with(".conf"));
        names.sort_by(|a, b| by_version(a, b));
        for name in names {
            // cat(1): no line end comes between two files.
            text.push_str(&self.text(&format!("{CONF}.d/{name}")).unwrap_or_default());
            self.say(&format!("==> Using drop-in configuration file: '{name}'"));
        }
        text
    }

    /// `HOOKS` and `MODULES`, as bash has them (`arrayize_config`). A configuration may ask for a file of mkinitcpio's.
    fn arrays(&self, configuration: &str) -> io::Result<[Vec<String>; 2]> {
        let own = format!("{}/usr/lib/initcpio/", self.tree.root.path().display());
        let mut bash =
            Command::new("bash").args(["-c", ARRAYS]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        if let Some(mut input) = bash.stdin.take() {
            input.write_all(configuration.replace("/usr/lib/initcpio/", &own).as_bytes())?;
        }
        let printed = bash.wait_with_output()?.stdout;
        let text = String::from_utf8_lossy(&printed);
        let mut lists = text.split('\x01').map(|list| list.split_terminator('\0').map(str::to_owned).collect());
        Ok([(); 2].map(|()| lists.next().unwrap_or_default()))
    }

    /// One image, or one of each kind; whether there was no error.
    fn build(&mut self, options: &Options) -> io::Result<bool> {
        let readable = [("-c", options.config.as_ref()), ("--cmdline", options.cmdline.as_ref())];
        let kernel = options.kernel.starts_with('/').then_some(&options.kernel);
        for (option, path) in [("-k", kernel)].into_iter().chain(readable) {
            if path.is_some_and(|path| self.is_refused(option, path)) {
                return Ok(false);
            }
        }
        for path in [&options.image, &options.uki].into_iter().flatten() {
            let above = path.rsplit_once('/').map_or("", |(above, _)| above);
            if !self.exists(above) {
                self.say(&format!("==> ERROR: Invalid option -g -- '{path}' must be writable"));
                return Ok(false);
            }
        }
        let release = self.release(&options.kernel);
        let configuration = self.configuration(options);
        let [hooks, modules] = self.arrays(&configuration)?;
        let hooks: Vec<String> = hooks.into_iter().chain(options.add.iter().cloned()).collect();
        let hooks: Vec<String> = hooks.into_iter().filter(|hook| !options.skip.contains(hook)).collect();
        if hooks.is_empty() {
            self.say("==> ERROR: Invalid config: No hooks found");
            return Ok(false);
        }
        self.say(&format!("==> Starting build: '{release}'"));
        let mut well = true;
        for hook in &hooks {
            if HOOKS.contains(&hook.as_str()) || self.exists(&format!("usr/lib/initcpio/install/{hook}")) {
                self.say(&format!("  -> Running build hook: [{hook}]"));
            } else {
                self.say(&format!("==> ERROR: Hook '{hook}' cannot be found"));
                well = false;
            }
        }
        for module in modules {
            if !self.exists(&format!("lib/modules/{release}/{module}.ko")) {
                self.say(&format!("==> ERROR: module not found: '{module}'"));
                well = false;
            }
        }
        let named = |name: &str| hooks.iter().any(|hook| hook == name);
        let kind = if named("systemd") { Kind::Systemd } else { Kind::Busybox };
        let initramfs = images::image(self.tree, kind, named("vfio"))?;
        if let Some(path) = &options.image {
            self.say(&format!("==> Creating uncompressed initcpio image: '{path}'"));
            self.tree.put(path.trim_start_matches('/'), &initramfs)?;
        }
        if well {
            self.say("==> Initcpio image generation successful");
        } else {
            self.say("==> WARNING: errors were encountered during the build. The image may not be complete.");
        }
        if let Some(path) = &options.uki {
            self.say(&format!("==> Creating unified kernel image: '{path}'"));
            let line = self.command_line(options);
            images::put_uki(self.tree, path, &release, line.as_deref(), &initramfs)?;
            self.say("==> Unified kernel image generation successful");
        }
        Ok(well)
    }

    fn release(&self, kernel: &str) -> String {
        let releases = self.tree.list("lib/modules");
        let package = |release: &&String| {
            let package = self.text(&format!("lib/modules/{release}/pkgbase"));
            package.is_some_and(|package| kernel.ends_with(&format!("vmlinuz-{}", package.trim())))
        };
        let named = releases.iter().find(|release| kernel.ends_with(release.as_str()));
        named.or_else(|| releases.iter().find(package)).or(releases.first()).cloned().unwrap_or_default()
    }

    /// The section `.cmdline`.
    fn command_line(&mut self, options: &Options) -> Option<String> {
        if options.no_cmdline {
            // ukify has its own configuration, which counts where it is told nothing.
            let conf = self.exists("usr/bin/ukify").then(|| self.text("etc/kernel/uki.conf")).flatten()?;
            return conf.lines().find_map(|line| line.strip_prefix("Cmdline=")).map(str::to_owned);
        }
        let mut files = Vec::new();
        let mut folder = "etc/cmdline.d".to_owned();
        match &options.cmdline {
            Some(path) if self.tree.root.list(path.trim_start_matches('/')).is_ok() => {
                path.trim_matches('/').clone_into(&mut folder);
            }
            Some(path) => {
                files.push(path.trim_start_matches('/').to_owned());
                folder.clear();
            }
            None => {
                let usual = ["etc/kernel/cmdline", "usr/lib/kernel/cmdline"].into_iter().find(|path| self.exists(path));
                files.extend(usual.map(str::to_owned));
            }
        }
        // find(1) does not go into a link.
        if !folder.is_empty() && self.tree.root.read_link(&folder).is_err() {
            let mut found = self.below(&folder);
            found.sort_by(|a, b| by_version(a, b));
            files.extend(found);
        }
        if files.is_empty() {
            self.say("==> WARNING: Note: no cmdline files were found and --cmdline is not set!");
            self.say("==> WARNING: Reusing current kernel cmdline from /proc/cmdline");
            files.push("proc/cmdline".to_owned());
        }
        let texts: Vec<String> = files.iter().filter_map(|file| self.text(file)).collect();
        let lines =
            texts.iter().flat_map(|text| text.lines()).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Some(format!("{}\n\0", lines.map(|line| format!("{line} ")).collect::<String>()))
    }

    fn below(&self, folder: &str) -> Vec<String> {
        let paths = self.tree.list(folder).into_iter().map(|name| format!("{folder}/{name}"));
        let each = paths.map(|path| match self.tree.root.list(&path) {
            Ok(_) => self.below(&path),
            Err(_) if path.ends_with(".conf") => vec![path],
            Err(_) => Vec::new(),
        });
        each.flatten().collect()
    }
}

fn list(value: &Value) -> Vec<String> {
    value.words().into_iter().map(str::to_owned).collect()
}

fn read_options(words: &[String]) -> Options {
    let mut options = Options::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (option, value) = word.split_once('=').map_or((word.as_str(), None), |(o, v)| (o, Some(v.to_owned())));
        let mut next = || value.clone().or_else(|| words.next().cloned()).unwrap_or_default();
        let parts = |text: String| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        match option {
            "-k" | "--kernel" => options.kernel = next(),
            "-c" | "--config" => options.config = Some(next()),
            "-g" | "--generate" => options.image = Some(next()),
            "-U" | "--uki" => options.uki = Some(next()),
            "--cmdline" => options.cmdline = Some(next()),
            "--no-cmdline" => options.no_cmdline = true,
            "-A" | "--addhooks" => options.add.extend(parts(next())),
            "-S" | "--skiphooks" => options.skip.extend(parts(next())),
            "--splash" => drop(next()),
            _ => {}
        }
    }
    options
}

/// `sort -V`, for names of letters and numbers.
fn by_version(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| {
        let mut parts: Vec<(String, u64)> = vec![(String::new(), 0)];
        for c in text.chars() {
            let last = parts.len() - 1;
            match c.to_digit(10) {
                Some(digit) => parts[last].1 = parts[last].1.saturating_mul(10).saturating_add(digit.into()),
                None if parts[last].1 > 0 => parts.push((c.to_string(), 0)),
                None => parts[last].0.push(c),
            }
        }
        parts
    };
    parts(a).cmp(&parts(b)).then_with(|| a.cmp(b))
}
