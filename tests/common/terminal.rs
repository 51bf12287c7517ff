// SPDX-License-Identifier: LGPL-2.1-or-later
//! A terminal, and a person who answers when something is asked.

use super::Tree;
use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};

/// Runs a program on a terminal. Each answer is given when a line that ends in `> ` waits for one; after the last the terminal's
/// end of file is. Gives what the terminal showed, and the exit code.
pub fn converse(tree: &Tree, program: &str, arguments: &[&str], answers: &[&str]) -> (String, Option<i32>) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let side = || OpenOptions::new().read(true).write(true).open(&name).unwrap();
    let mut child = tree.command(program).args(arguments).stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
    let mut master = File::from(master);
    let (mut shown, mut bytes) = (String::new(), [0; 4096]);
    let mut answers = answers.iter();
    // An error is the end: nobody has the other side open any more.
    while let Ok(length @ 1..) = master.read(&mut bytes) {
        shown.push_str(&String::from_utf8_lossy(&bytes[..length]));
        if shown.ends_with("> ") {
            match answers.next() {
                Some(answer) => writeln!(master, "{answer}").unwrap(),
                None => master.write_all(&[4]).unwrap(),
            }
        }
    }
    let status = child.wait().unwrap();
    (shown.replace('\r', "").replace(&tree.path().display().to_string(), "ROOT"), status.code())
}
