// SPDX-License-Identifier: LGPL-2.1-or-later
//! Programs of the firmware: unified kernel images, addons, systemd-boot.

use vfio_suite::host::boot::pe::Program;

/// Whatever it says of itself lies in it.
pub fn check(data: &[u8]) {
    let Some(program) = Program::parse(data) else { return };
    for name in [".cmdline", ".initrd", ".linux", ".osrel", ".uname", ".sdmagic", ".rodata", ".data"] {
        let section = program.section(name);
        assert!(section.is_none() || program.has(name));
        if let (Some(section), Some((_, length))) = (section, program.place(name)) {
            assert_eq!(section.len() as u64, length);
            assert!(section.len() <= data.len());
        }
    }
    program.marker();
    if let Some(Ok(line)) = program.command_line() {
        assert!(line.ends_with('\n'));
    }
}
