// SPDX-License-Identifier: LGPL-2.1-or-later
//! Command lines that a tool keeps: kernelstub's, rpm-ostree's, bootc's. The tool is told parameters; no file is written by us.

use crate::host::boot::{BootFile, LoaderKind};
use crate::plan::cmdline::edit_line::{after, shares, Shares};
use crate::plan::cmdline::format::{self, Problem};
use crate::plan::cmdline::record::Owned;
use crate::plan::cmdline::{text_of, Options, ToolRun};

/// What to run, and what is ours afterwards.
pub(super) fn change(
    loader: LoaderKind,
    boot_file: &BootFile,
    required: &[String],
    ours: &[Owned],
    options: &Options,
) -> Result<(Vec<ToolRun>, Vec<Owned>), Problem> {
    let lines = format::lines(boot_file.format, text_of(boot_file)?)?;
    let parameters: Vec<String> = lines.into_iter().flat_map(|line| line.parameters).collect();
    let shares = shares(&parameters, required, ours.first(), options);
    let owned = Owned { key: String::new(), parameters: shares.add.clone(), before: None };
    let owned = if owned.parameters.is_empty() { Vec::new() } else { vec![owned] };
    let run = match loader {
        LoaderKind::Kernelstub => kernelstub(&parameters, &shares)?,
        LoaderKind::Bootc => bootc(&shares),
        _ => rpm_ostree(&shares),
    };
    let run = run.map(|(command, undo)| ToolRun { loader, command, undo });
    Ok((run.into_iter().collect(), owned))
}

/// A command, and the one that takes its effect back.
type Commands = Option<(Vec<String>, Vec<String>)>;

/// One call makes one new deployment, whatever number of parameters it changes (rpm-ostree(1)). It is made of the one that is
/// staged, if there is one.
fn rpm_ostree(shares: &Shares) -> Commands {
    let (adds, mut removes) = (shares.adds(), shares.removes());
    // Which of two equal parameters it takes out is its own affair, and whether it leaves the other.
    removes.retain(|parameter| !shares.add.contains(parameter));
    let command = |adds: &[String], removes: &[String]| {
        let removes = removes.iter().map(|parameter| format!("--delete-if-present={parameter}"));
        let adds = adds.iter().map(|parameter| format!("--append-if-missing={parameter}"));
        ["rpm-ostree", "kargs"].map(str::to_owned).into_iter().chain(removes).chain(adds).collect()
    };
    (!adds.is_empty() || !removes.is_empty()).then(|| (command(&adds, &removes), command(&removes, &adds)))
}

/// It keeps which parameters are whose: those of a source are given all at once, or none, and then the source is gone
/// (bootc-loader-entries-set-options-for-source(8)).
fn bootc(shares: &Shares) -> Commands {
    let command = |ours: &[String]| {
        let words = ["bootc", "loader-entries", "set-options-for-source", "--source", "vfio"];
        let mut command = words.map(str::to_owned).to_vec();
        if !ours.is_empty() {
            command.extend(["--options".to_owned(), ours.join(" ")]);
        }
        command
    };
    (!shares.are_right()).then(|| (command(&shares.add), command(&shares.ours)))
}

/// The whole list by one `-o`, which keeps its order: `-d` makes it again from a set (kernelstub/application.py).
fn kernelstub(parameters: &[String], shares: &Shares) -> Result<Commands, Problem> {
    if shares.are_right() {
        return Ok(None);
    }
    let new = after(parameters, &shares.removes(), &shares.adds());
    if kernelstub_reads(&new) != new {
        let message =
            "has a value in quotes whose blanks kernelstub would change ('kernelstub -p' shows what it makes of it): \
                       write that value without blanks"
                .to_owned();
        return Err(Problem { line: 0, message });
    }
    // An empty list is none to `-o`, which changes nothing then.
    let all = |list: &[String], gone: &[String]| {
        let (option, list) = if list.is_empty() { ("-d", gone) } else { ("-o", list) };
        vec!["kernelstub".to_owned(), option.to_owned(), list.join(" ")]
    };
    Ok(Some((all(&new, parameters), all(parameters, &new))))
}

/// What kernelstub makes of a list that is given as one text: it splits at blanks, and joins what has a quote with what comes
/// next until there is another one, also where the first word has both (`parse_options`). An entry gets it joined by blanks.
fn kernelstub_reads(list: &[String]) -> Vec<String> {
    let mut words: Vec<String> = list.join(" ").split_whitespace().map(str::to_owned).collect();
    for at in 0..words.len() {
        if words[at].contains('"') {
            let mut next = at + 1;
            while next < words.len() {
                let word = std::mem::take(&mut words[next]);
                let ends = word.contains('"');
                words[at].push(' ');
                words[at].push_str(&word);
                next += 1;
                if ends {
                    break;
                }
            }
        }
    }
    format::parameters(&words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kernelstub_makes_of_quotes() {
        let reads = |line: &str| kernelstub_reads(&format::parameters(line)).join(" ");
        // Seen with kernelstub of November 2025.
        for (line, made) in [
            ("quiet a=\"b c\" iommu=pt", "quiet a=\"b c\" iommu=pt"),
            ("a=\"b\" quiet iommu=pt x=\"1 2\" last", "a=\"b\" quiet iommu=pt x=\"1    2\" last"),
            ("quiet a=\"b\"", "quiet a=\"b\""),
            (
                "hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=64",
                "hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=64",
            ),
        ] {
            assert_eq!(reads(line), made, "{line}");
        }
    }

    #[test]
    fn one_list_in_its_order_and_back() {
        let list = |line: &str| format::parameters(line);
        let shares = |ours: &str, add: &str| Shares { ours: list(ours), dropped: Vec::new(), add: list(add) };
        let commands = |line: &str, shares: &Shares| {
            let (command, undo) = kernelstub(&list(line), shares).ok().flatten().unwrap_or_default();
            (command.join("|"), undo.join("|"))
        };
        let said = |command: &str, undo: &str| (command.to_owned(), undo.to_owned());
        assert_eq!(
            commands("b a b", &shares("", "iommu=pt")),
            said("kernelstub|-o|b a b iommu=pt", "kernelstub|-o|b a b")
        );
        assert_eq!(
            commands("b iommu=pt a", &shares("iommu=pt", "")),
            said("kernelstub|-o|b a", "kernelstub|-o|b iommu=pt a")
        );
        assert_eq!(
            commands("iommu=pt", &shares("iommu=pt", "")),
            said("kernelstub|-d|iommu=pt", "kernelstub|-o|iommu=pt")
        );
        assert_eq!(commands("a", &shares("", "")), said("", ""));
    }
}
