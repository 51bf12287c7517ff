// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio guest notify`: why a start failed, as a notification on the desktop of who has just logged in
//! (`vfio-notify.desktop`). It is silent where there is nothing to say.

use crate::output::Output;
use crate::Answer as Exit;
use anyhow::Context;
use serde::Serialize;
use std::io;
use std::time::Duration;
use vfio_suite::act::backend::tools::{ToolError, Tools};
use vfio_suite::host::run::notice;
use vfio_suite::root::Root;
use vfio_suite::text;

/// The desktop may still be starting.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Serialize)]
struct Answer {
    notices: Vec<Notice>,
}

#[derive(Serialize)]
struct Notice {
    guest: String,
    summary: String,
    body: String,
}

/// Shows what there is to say.
pub fn run(root: &Root, tools: &dyn Tools, out: &Output) -> anyhow::Result<Exit> {
    let notice = |status: &vfio_suite::host::run::guest_status::GuestStatus| {
        let (what, why) = notice::said(status);
        let line = |of: &str| text::line(of).into_owned();
        let body = format!("{}\n'vfio status' says more.", line(&why));
        Notice { guest: status.guest.clone(), summary: format!("vfio: {}", line(&what)), body }
    };
    let notices: Vec<Notice> = notice::guests(root).iter().map(notice).collect();
    if out.is_json() {
        out.json("vfio.guest-notify/1", &Answer { notices })?;
        return Ok(Exit::Done);
    }
    for Notice { summary, body, .. } in &notices {
        show(tools, summary, body).context("no notification can be shown")?;
    }
    Ok(Exit::Done)
}

/// Shows one: by libnotify's program, or where that is not installed by the D-Bus method that it calls (Desktop Notifications
/// Specification, `org.freedesktop.Notifications.Notify`).
fn show(tools: &dyn Tools, summary: &str, body: &str) -> Result<(), ToolError> {
    // A body is markup there.
    let body = body.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let by_program = ["notify-send", "--app-name=vfio", "--icon=dialog-warning", "--", summary, &body];
    match tools.run(&by_program, PATIENCE) {
        Err(ToolError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
        shown => return shown.map(drop),
    }
    const NAME: &str = "org.freedesktop.Notifications";
    let (path, method) = ("/org/freedesktop/Notifications", "Notify");
    let call = ["busctl", "--user", "call", NAME, path, NAME, method, "susssasa{sv}i"];
    let values = ["vfio", "0", "dialog-warning", summary, &body, "0", "0", "-1"];
    tools.run(&[&call[..], &["--"], &values[..]].concat(), PATIENCE).map(drop)
}
