// SPDX-License-Identifier: LGPL-2.1-or-later
//! What lines of logs mean: a rule for each trouble, in one table per area.
//!
//! A rule is an entry of one of these tables and nothing else: its code with its explanation (docs/MESSAGES.md, `vfio explain`)
//! and the parts of a line that it is known by. `plan::logs` looks for them; `plan/logs/rules_tests.rs` has for each rule a line
//! that it knows, and one like it that it must not know.
//!
//! Parts are what stays the same from version to version: names before a message and words around it change.

use super::{Code, Explanation};
use crate::finding::Severity;

/// Who writes a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSource {
    /// The kernel.
    Kernel,
    /// libvirt's daemons, our units that start guests, and systemd about them.
    Libvirt,
    /// QEMU, in the domain's log; libvirt quotes it in its own.
    Qemu,
    /// The kernel's audit messages, which go to auditd, the journal or the kernel's log.
    Audit,
}

/// A trouble, and how a log shows it.
#[derive(Debug)]
pub struct Rule {
    /// Its code.
    pub code: Code,
    /// Who writes the line.
    pub source: LogSource,
    /// How bad it is; `Ok` for lines that mean no harm, which are only explained.
    pub severity: Severity,
    /// Fewer lines than this are worth a note only.
    pub many: u32,
    /// Parts of the line, of which one must fit: `*` stands for anything within the line.
    pub patterns: &'static [&'static str],
    /// Troubles that bring this one with them: beside one of those it is not told apart.
    pub follows: &'static [Code],
}

/// An area's rules: constants of the codes, their explanations, and how they are found.
///
/// `NAME "code" source severity [patterns] (many NUMBER)? (follows [NAMES])? "what it means" "what to do";`
macro_rules! rules {
    ($($name:ident $code:literal $source:ident $severity:ident [$($pattern:literal),+] $(many $many:literal)?
       $(follows [$($cause:ident),+])? $means:literal $todo:literal;)*) => {
        codes! { $($name $code $means $todo;)* }
        /// The rules of this file; of two that fit one line the first counts.
        pub const RULES: &[super::Rule] = &[$(super::Rule {
            code: $name,
            source: super::LogSource::$source,
            severity: crate::finding::Severity::$severity,
            many: 1 $(- 1 + $many)?,
            patterns: &[$($pattern),+],
            follows: &[$($($cause),+)?],
        }),*];
    };
}

mod address_space;
mod drivers;
mod harmless;
mod iommu;
mod libvirt;
mod qemu;
mod reset;

pub use address_space::*;
pub use drivers::*;
pub use harmless::*;
pub use iommu::*;
pub use libvirt::*;
pub use qemu::*;
pub use reset::*;

/// All rules, the most specific first.
pub const RULES: [&[Rule]; 7] =
    [iommu::RULES, reset::RULES, address_space::RULES, drivers::RULES, qemu::RULES, libvirt::RULES, harmless::RULES];

/// What docs/MESSAGES.md and `vfio explain` say of them.
pub const ALL: [(&str, &[Explanation]); 7] = [
    ("Logs: the IOMMU", iommu::ALL),
    ("Logs: power, resets and the link", reset::ALL),
    ("Logs: BARs and option ROMs", address_space::ALL),
    ("Logs: drivers of the host", drivers::ALL),
    ("Logs: QEMU", qemu::ALL),
    ("Logs: libvirt and what confines it", libvirt::ALL),
    ("Logs: lines that mean no harm", harmless::ALL),
];

/// What is known of a code of these tables.
pub fn explanation(code: Code) -> Option<&'static Explanation> {
    ALL.iter().flat_map(|(_, codes)| *codes).find(|of| of.code == code)
}
