// SPDX-License-Identifier: LGPL-2.1-or-later
//! Debian's packages of another suite than the host's, from the mirror that the host itself uses.

use crate::tools;
use anyhow::{bail, Result};
use std::path::{Path, PathBuf};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The mirror of Debian in the host's own apt configuration, or `$VFIO_LAB_MIRROR`.
pub fn mirror() -> Result<String> {
    if let Ok(mirror) = std::env::var("VFIO_LAB_MIRROR") {
        return Ok(mirror);
    }
    let format = "$(ORIGIN)|$(LABEL)|$(REPO_URI)";
    let targets = tools::output(tools::command("apt-get")?.args(["indextargets", "--format", format]))?;
    let targets: Vec<Vec<&str>> = targets.lines().map(|line| line.splitn(3, '|').collect()).collect();
    // Before the first `apt-get update` the origin is unknown; then a mirror of Debian is known by its path.
    let named = targets.iter().find(|t| t[0] == "Debian" && t[1] == "Debian");
    let looks = || targets.iter().find(|t| t.last().is_some_and(|uri| uri.trim_end_matches('/').ends_with("/debian")));
    match named.or_else(looks) {
        Some(target) => Ok(target[target.len() - 1].trim_end_matches('/').to_owned()),
        None => bail!("apt knows no mirror of Debian here; name one in VFIO_LAB_MIRROR"),
    }
}

/// The host's proxy settings for apt, each as `Name "value";`.
pub fn proxies() -> Result<Vec<String>> {
    let dump = tools::output(tools::command("apt-config")?.args(["dump", "Acquire"]))?;
    Ok(dump.lines().filter(|line| line.contains("Proxy")).map(str::to_owned).collect())
}

/// One `deb` line for a suite. A mirror of the unstable one may be some days behind, which is all the same here.
pub fn source(suite: &str) -> Result<String> {
    if !Path::new(KEYRING).exists() {
        bail!("the lab needs {KEYRING}; install it with `apt-get install debian-archive-keyring`");
    }
    let more = if suite == "sid" { " check-valid-until=no" } else { "" };
    Ok(format!("deb [signed-by={KEYRING}{more}] {} {suite} main\n", mirror()?))
}

/// Downloads into `dir` the packages of `suite` that `package` depends on, directly or not, and that are `desired`.
/// apt works on lists of its own there; the host's are not touched.
pub fn download(suite: &str, dir: &Path, package: &str, desired: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    for inner in ["lists/partial", "cache/archives/partial"] {
        std::fs::create_dir_all(dir.join(inner))?;
    }
    std::fs::write(dir.join("sources.list"), source(suite)?)?;
    std::fs::write(dir.join("status"), "")?;
    let at = |name: &str| dir.join(name).display().to_string();
    let options = [
        format!("Dir::Etc::sourcelist={}", at("sources.list")),
        "Dir::Etc::sourceparts=/dev/null".to_owned(),
        "Dir::Etc::preferences=/dev/null".to_owned(),
        "Dir::Etc::preferencesparts=/dev/null".to_owned(),
        format!("Dir::State::lists={}", at("lists")),
        format!("Dir::State::status={}", at("status")),
        format!("Dir::Cache={}", at("cache")),
        "APT::Architecture=amd64".to_owned(),
        "Acquire::Languages=none".to_owned(),
        // The directory belongs to whoever runs the lab; apt's own user may not write there.
        "APT::Sandbox::User=root".to_owned(),
    ];
    let run = |tool: &str, arguments: &[&str]| -> Result<String> {
        let mut command = tools::command(tool)?;
        for option in &options {
            command.args(["-o", option]);
        }
        tools::output(command.args(arguments).current_dir(dir).env("LC_ALL", "C"))
    };
    run("apt-get", &["-q", "update"])?;
    let mut names: Vec<String> = vec![package.to_owned()];
    let mut at = 0;
    while at < names.len() {
        let depends = run("apt-cache", &["depends", "--important", &names[at]])?;
        for name in depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: ")) {
            if desired(name) && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        at += 1;
    }
    let names: Vec<&str> = names.iter().skip(1).map(String::as_str).collect();
    if names.is_empty() {
        bail!("{package} of {suite} depends on nothing that the lab looks for");
    }
    run("apt-get", &[&["-q", "download"], names.as_slice()].concat())?;
    let entries = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(entries.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect())
}
