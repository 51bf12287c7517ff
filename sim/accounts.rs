// SPDX-License-Identifier: LGPL-2.1-or-later
//! `gpasswd`, as far as it changes who is in a group.

use crate::error::{failed, unknown};
use crate::tree::Tree;
use std::io;

/// `gpasswd -a|-d USER GROUP`.
pub(crate) fn gpasswd(tree: &Tree<'_>, arguments: &[&str]) -> io::Result<String> {
    let [verb @ ("-a" | "-d"), user, group] = *arguments else { return Err(unknown("gpasswd", arguments)) };
    let users = tree.root.read_text("etc/passwd")?;
    if !users.lines().any(|line| line.split(':').next() == Some(user)) {
        return Err(failed("gpasswd", &format!("gpasswd: user '{user}' does not exist")));
    }
    let groups = tree.root.read("etc/group")?;
    let groups = String::from_utf8_lossy(&groups);
    let (mut text, mut found) = (String::new(), false);
    for line in groups.lines() {
        let (head, members) = line.rsplit_once(':').unwrap_or((line, ""));
        let mut members: Vec<&str> = members.split(',').filter(|member| !member.is_empty()).collect();
        if head.split(':').next() == Some(group) {
            found = true;
            match (verb, members.iter().position(|member| *member == user)) {
                ("-a", None) => members.push(user),
                ("-d", Some(at)) => drop(members.remove(at)),
                ("-d", None) => {
                    return Err(failed("gpasswd", &format!("gpasswd: user '{user}' is not a member of '{group}'")));
                }
                _ => {}
            }
        }
        text.push_str(&format!("{head}:{}\n", members.join(",")));
    }
    if !found {
        return Err(failed("gpasswd", &format!("gpasswd: group '{group}' does not exist in /etc/group")));
    }
    tree.put("etc/group", &text)?;
    Ok(match verb {
        "-a" => format!("Adding user {user} to group {group}\n"),
        _ => format!("Removing user {user} from group {group}\n"),
    })
}
