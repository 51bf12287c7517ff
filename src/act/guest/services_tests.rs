// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is made of answers of systemctl and loginctl that do not come, or not whole.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::act::guest::answers::Answers;
use std::io;

const LIST: &str = "2 1000 ada seat0\n3 1001 eva seat1\n";
const TWO: &str = "Id=2\nUser=1000\nName=ada\nSeat=seat0\nLeader=2050\nType=wayland\nState=active\n";
const THREE: &str = "Id=3\nUser=1001\nName=eva\nSeat=seat1\nLeader=3050\nType=wayland\nState=closing\n";

fn ids(sessions: &[Session]) -> Vec<&str> {
    sessions.iter().map(|session| session.id.as_str()).collect()
}

#[test]
fn a_session_that_has_ended_meanwhile_is_none() {
    let ended = Err(io::ErrorKind::Other);
    let tools = Answers::new(&[Ok(LIST), ended, Ok(TWO), ended, Ok("2 1000 ada seat0\n")]);
    assert_eq!(ids(&sessions(&tools).unwrap()), ["2"]);
    assert!(tools.all_given());
}

/// Else a compositor would be asked to end as if it were in no session, and nothing would start the desktop again afterwards.
#[test]
fn a_session_of_which_logind_does_not_tell_is_not_taken_for_ended() {
    let late = Err(io::ErrorKind::TimedOut);
    let tools = Answers::new(&[Ok(LIST), late, late, Ok(LIST)]);
    assert!(matches!(sessions(&tools).unwrap_err(), ToolError::Io(error) if error.kind() == io::ErrorKind::TimedOut));
    // An answer of which only a part came.
    let tools = Answers::new(&[Ok(LIST), Ok(TWO), Ok(TWO), Ok(""), Ok(LIST)]);
    assert_eq!(sessions(&tools).unwrap_err().to_string(), "loginctl: it told of 0 of 1");
    assert!(tools.all_given());
}

#[test]
fn a_session_that_is_closing_is_none() {
    let both = [TWO, THREE].join("\n").leak();
    assert_eq!(ids(&sessions(&Answers::new(&[Ok(LIST), Ok(both)])).unwrap()), ["2"]);
    assert!(sessions(&Answers::new(&[Ok("")])).unwrap().is_empty());
}

#[test]
fn half_an_answer_about_units_is_an_error() {
    let gdm = "Id=gdm.service\nLoadState=loaded\nActiveState=active\n";
    let names = ["display-manager.service", "no-such.service"];
    let whole: &str = format!("{gdm}\nId=no-such.service\nLoadState=not-found\nActiveState=inactive\n").leak();
    let known = units(&Answers::new(&[Ok(whole)]), &names).unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].0.as_str(), known[0].1.id.as_str()), ("display-manager.service", "gdm.service"));
    for answer in ["", gdm] {
        let error = units(&Answers::new(&[Ok(answer)]), &names).unwrap_err();
        assert!(matches!(error, ToolError::NotAllTold { .. }), "{error}");
    }
}
