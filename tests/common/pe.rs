// SPDX-License-Identifier: LGPL-2.1-or-later
//! Programs of the firmware, as far as anyone looks at them: headers, a table of sections, sections.

/// A PE file with these sections, laid out as ukify lays them out.
pub fn program(sections: &[(&str, &[u8])]) -> Vec<u8> {
    const ALIGNED: usize = 512;
    let mut file = vec![0; 64];
    file[..2].copy_from_slice(b"MZ");
    file[60] = 128;
    file.resize(128, 0);
    file.extend(b"PE\0\0");
    // x86-64, so many sections, no symbols, 240 bytes of optional header.
    file.extend(0x8664_u16.to_le_bytes());
    file.extend(u16::try_from(sections.len()).unwrap().to_le_bytes());
    file.extend([0; 12]);
    file.extend(240_u16.to_le_bytes());
    file.extend([0x22, 0x20]);
    file.extend([0; 240]);
    let table = file.len();
    file.resize((table + 40 * sections.len()).next_multiple_of(ALIGNED), 0);
    for (number, (name, content)) in sections.iter().enumerate() {
        let mut entry = [0; 40];
        entry[..name.len()].copy_from_slice(name.as_bytes());
        let number_at = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
        entry[8..12].copy_from_slice(&number_at(content.len()));
        entry[12..16].copy_from_slice(&number_at(0x1000 * (number + 1)));
        entry[16..20].copy_from_slice(&number_at(content.len().next_multiple_of(ALIGNED)));
        entry[20..24].copy_from_slice(&number_at(file.len()));
        file[table + 40 * number..][..40].copy_from_slice(&entry);
        file.extend(*content);
        file.resize(file.len().next_multiple_of(ALIGNED), 0);
    }
    file
}

/// What a program of systemd's says of itself.
pub fn marker(name_and_version: &str) -> Vec<u8> {
    format!("#### LoaderInfo: {name_and_version} ####\0").into_bytes()
}

/// A unified kernel image with systemd's stub.
pub fn image(stub: &str, command_line: &str) -> Vec<u8> {
    let magic = marker(&format!("systemd-stub {stub}"));
    let cmdline = format!("{command_line}\n\0");
    let (release, kernel) = (&b"NAME=x\n"[..], &[0xcc; 4000][..]);
    program(&[
        (".text", &[0x90; 100]),
        (".sdmagic", &magic),
        (".osrel", release),
        (".cmdline", cmdline.as_bytes()),
        (".initrd", kernel),
        (".linux", kernel),
    ])
}

/// An addon, as ukify builds it.
pub fn addon(command_line: &str) -> Vec<u8> {
    let magic = marker("systemd-addon 257.13-1~deb13u1");
    program(&[(".text", &[0xc3]), (".sdmagic", &magic), (".cmdline", command_line.as_bytes()), (".sbat", b"sbat,1\n")])
}

/// systemd-boot.
pub fn systemd_boot(version: &str) -> Vec<u8> {
    program(&[(".text", &[0x90; 100]), (".sdmagic", &marker(&format!("systemd-boot {version}")))])
}
