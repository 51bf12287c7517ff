// SPDX-License-Identifier: LGPL-2.1-or-later
//! Commands and kernel parameters: values that others read, with what is probably a mistake in them.

use super::report::clip;
use super::values::{Parsed, Wrong};
use super::{HostSection, Iommu};
use crate::config::split::{split, split_kernel, Word};
use crate::finding::codes;

/// A value, and warnings about it.
pub(super) type WithWarnings<T> = (T, Vec<Wrong>);

/// What only a shell understands; nobody runs one here.
const SHELL: [&str; 12] = ["&&", "||", "|", "&", ">", ">>", "<", "<<", "2>", "2>&1", "&>", ">&2"];

/// `command`: one command.
pub(super) fn command(text: &str) -> Parsed<WithWarnings<Vec<String>>> {
    let (words, warnings) = checked_words(text)?;
    if let Some(word) = words.iter().find(|word| word.bare && word.text == ";") {
        let text = format!("the '{}' would separate commands, but the guest is one command", word.text);
        return Err(Wrong::new(text).hint("quote it as ';'"));
    }
    Ok((program(words)?, warnings))
}

/// `before`, `after`: commands with a `;` between them.
pub(super) fn commands(text: &str) -> Parsed<WithWarnings<Vec<Vec<String>>>> {
    let (words, warnings) = checked_words(text)?;
    if let Some(word) = words.iter().find(|word| word.bare && word.text.len() > 1 && word.text.ends_with(';')) {
        let text = format!("in '{}' the ';' belongs to the word", clip(&word.text));
        return Err(Wrong::new(text).hint("put a blank before it, or quote it"));
    }
    let mut all = Vec::new();
    let mut rest = words.as_slice();
    while !rest.is_empty() {
        let end = rest.iter().position(|word| word.bare && word.text == ";").unwrap_or(rest.len());
        if end == 0 {
            return Err(Wrong::new("there is no command before a ';'"));
        }
        all.push(program(rest[..end].to_vec())?);
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    Ok((all, warnings))
}

/// Splits, and refuses or warns of what a shell would have done something with.
fn checked_words(text: &str) -> Parsed<WithWarnings<Vec<Word>>> {
    let words = split(text)?;
    let mut warnings = Vec::new();
    for word in words.iter().filter(|word| word.bare) {
        if word.text.starts_with('#') {
            return Err(comment(&word.text).hint("put comments on lines of their own, or quote the word"));
        }
        if SHELL.contains(&word.text.as_str()) {
            let text = format!("'{}' is passed to the program as it is: no shell runs this", word.text);
            warnings.push(Wrong::new(text).code(codes::SHELL_SYNTAX).hint("use sh -c '...'"));
        }
    }
    Ok((words, warnings))
}

/// What begins with a `#` behind other words.
fn comment(word: &str) -> Wrong {
    Wrong::new(format!("'{}' is not a comment here", clip(word))).code(codes::COMMENT_IN_VALUE)
}

/// The words of one command, whose first is a program.
fn program(words: Vec<Word>) -> Parsed<Vec<String>> {
    match words.first() {
        None => return Err(Wrong::new("there is no command")),
        Some(first) if first.text.is_empty() => return Err(Wrong::new("the program's name is empty")),
        // There is no working directory that a relative path could mean.
        Some(first) if first.text.contains('/') && !first.text.starts_with('/') => {
            let text = format!("'{}' is a relative path", clip(&first.text));
            return Err(Wrong::new(text).hint("write the program with its absolute path"));
        }
        Some(_) => {}
    }
    Ok(words.into_iter().map(|word| word.text).collect())
}

/// `kernel-parameters`, which must be judged after the other keys of `[host]`: some parameters are theirs.
pub(super) fn kernel_parameters(text: &str, host: &HostSection) -> Parsed<WithWarnings<Vec<String>>> {
    if let Some(wrong) = text.chars().find(|c| !c.is_ascii()) {
        return Err(Wrong::new("the kernel's command line is ASCII").hint(format!("remove the '{wrong}'")));
    }
    let mut own = Vec::new();
    let mut warnings = Vec::new();
    for parameter in split_kernel(text)? {
        if parameter.starts_with('#') {
            return Err(comment(parameter).hint("put comments on lines of their own"));
        }
        if parameter == "--" {
            return Err(Wrong::new("'--' ends the kernel's own parameters").hint("remove it"));
        }
        let left_out = match parameter {
            "amd_iommu=on" => Some((": the kernel knows no such value, an AMD IOMMU is on by itself", "")),
            "iommu=pt" => Some(("", "write iommu-passthrough = yes instead")),
            "intel_iommu=on" => Some(("", "write iommu = on instead")),
            "intel_iommu=off" => Some((": nothing can be given to a guest without the IOMMU", "")),
            _ => None,
        };
        if let Some((why, hint)) = left_out {
            let text = format!("'{parameter}' is left out{why}");
            warnings.push(Wrong::new(text).code(codes::KERNEL_PARAMETER_LEFT_OUT).hint(hint));
            continue;
        }
        if parameter.starts_with("intel_iommu=") && host.iommu != Iommu::Off {
            let shown = clip(parameter);
            let text = format!("'{shown}' comes in addition to the kernel parameter that 'iommu' adds");
            warnings.push(Wrong::new(text).code(codes::KERNEL_PARAMETER_TWICE).hint("write iommu = off with it"));
        }
        own.push(parameter.to_owned());
    }
    Ok((own, warnings))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_command() {
        let (words, warnings) =
            command("/usr/bin/qemu-system-x86_64 -name 'win 10' -device vfio-pci,host={bdf}").unwrap();
        assert_eq!(words, ["/usr/bin/qemu-system-x86_64", "-name", "win 10", "-device", "vfio-pci,host={bdf}"]);
        assert_eq!(warnings, []);
        assert_eq!(command("qemu > /dev/null").unwrap().1.len(), 1);
        assert_eq!(command("qemu '>' '#x' ';'").unwrap().1.len(), 0);
        for text in ["''", "./qemu", "bin/qemu x", "qemu # mine", "# mine", "qemu ; reboot", "qemu 'x", ""] {
            assert!(command(text).is_err(), "{text}");
        }
    }

    #[test]
    fn several_commands() {
        let all = |text| commands(text).unwrap().0;
        assert_eq!(all("a b ; /c 'd ;' ;"), [vec!["a", "b"], vec!["/c", "d ;"]]);
        assert_eq!(all(r"find / -exec true \;"), [["find", "/", "-exec", "true", ";"]]);
        assert_eq!(commands("a && b").unwrap().1.len(), 1);
        for text in ["; a", "a ; ; b", "a; b", "a ; ./b", "a ; '' b", "a # b", "a 'b"] {
            assert!(commands(text).is_err(), "{text}");
        }
    }

    #[test]
    fn parameters_for_the_kernel() {
        let mut host = HostSection::default();
        let words = |text, host: &HostSection| kernel_parameters(text, host).unwrap();
        let text = "pcie_acs_override=downstream,multifunction x=\"a b\"";
        assert_eq!(words(text, &host).0, ["pcie_acs_override=downstream,multifunction", "x=\"a b\""]);
        for managed in ["amd_iommu=on", "iommu=pt", "intel_iommu=on", "intel_iommu=off"] {
            let (own, warnings) = words(managed, &host);
            assert_eq!((own.len(), warnings.len()), (0, 1), "{managed}");
        }
        let finer = "intel_iommu=on,sm_on";
        assert_eq!(words(finer, &host).1.len(), 1);
        host.iommu = Iommu::Off;
        assert_eq!(words(finer, &host), (vec![finer.to_owned()], vec![]));
        for text in ["a # b", "a -- b", "a=\"b", "a=ü"] {
            assert!(kernel_parameters(text, &host).is_err(), "{text}");
        }
    }
}
