// SPDX-License-Identifier: LGPL-2.1-or-later
//! QEMU's machine protocol over its standard input and output: no socket, no path to keep short.

use anyhow::{bail, Context, Result};
use serde_json::{json, Value};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{channel, Receiver};
use std::time::Duration;

/// QEMU answers at once, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The conversation with one QEMU.
pub struct Qmp {
    to: ChildStdin,
    from: Receiver<String>,
    greeted: bool,
}

impl Qmp {
    /// Takes the pipes of a QEMU that was started with its monitor on them.
    pub fn new(child: &mut Child) -> Result<Self> {
        let to = child.stdin.take().context("QEMU has no standard input")?;
        let output = child.stdout.take().context("QEMU has no standard output")?;
        let (send, from) = channel();
        // Ends with QEMU's standard output.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Qmp { to, from, greeted: false })
    }

    /// Carries out one command and gives what it returns.
    pub fn execute(&mut self, command: &str, arguments: Option<Value>) -> Result<Value> {
        if !self.greeted {
            self.greeted = true;
            self.execute("qmp_capabilities", None)?;
        }
        let mut request = json!({ "execute": command });
        if let Some(arguments) = arguments {
            request["arguments"] = arguments;
        }
        writeln!(self.to, "{request}").context("QEMU does not listen")?;
        loop {
            let line = self.from.recv_timeout(PATIENCE).with_context(|| format!("no answer to {command}"))?;
            let answer: Value = serde_json::from_str(&line).with_context(|| format!("QEMU said {line:?}"))?;
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = answer.get("error") {
                bail!("{command}: {}", error["desc"].as_str().unwrap_or(&line));
            }
            // The greeting, or an event.
        }
    }
}
