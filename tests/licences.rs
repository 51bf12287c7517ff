// SPDX-License-Identifier: LGPL-2.1-or-later
//! The crates we are built from: their licences are those that `deny.toml` allows, they come from the registry and not
//! from somebody's repository, and none needs a newer compiler than we promise.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// The packages of `Cargo.lock` that are built here, us among them.
fn packages() -> Vec<Value> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", &target])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let built: BTreeSet<&str> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap()).collect();
    let all = metadata["packages"].as_array().unwrap();
    all.iter().filter(|p| built.contains(p["id"].as_str().unwrap())).cloned().collect()
}

fn name(package: &Value) -> String {
    format!("{} {}", package["name"].as_str().unwrap(), package["version"].as_str().unwrap())
}

/// `allow` of `[licenses]`.
fn allowed() -> BTreeSet<String> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).unwrap();
    let (_, list) = text.split_once("\nallow = [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    list.split(',').map(|word| word.trim().trim_matches('"').to_owned()).filter(|word| !word.is_empty()).collect()
}

/// Whether an SPDX expression can be fulfilled with licences of which `ok` holds. An exception (`WITH`) only permits more.
fn fulfilled(expression: &str, ok: &mut dyn FnMut(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let result = any(&words, &mut at, ok);
    assert_eq!(at, words.len(), "cannot read the licence '{expression}'");
    result
}

fn any(words: &[&str], at: &mut usize, ok: &mut dyn FnMut(&str) -> bool) -> bool {
    let mut result = all(words, at, ok);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        result |= all(words, at, ok);
    }
    result
}

fn all(words: &[&str], at: &mut usize, ok: &mut dyn FnMut(&str) -> bool) -> bool {
    let mut result = one(words, at, ok);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(words, at, ok);
    }
    result
}

fn one(words: &[&str], at: &mut usize, ok: &mut dyn FnMut(&str) -> bool) -> bool {
    let word = words.get(*at).copied().unwrap_or_default();
    *at += 1;
    if word == "(" {
        let result = any(words, at, ok);
        assert_eq!(words.get(*at), Some(&")"), "a bracket is not closed in {words:?}");
        *at += 1;
        return result;
    }
    if words.get(*at) == Some(&"WITH") {
        *at += 2;
    }
    ok(word)
}

#[test]
fn licences_are_allowed() {
    let allowed = allowed();
    assert!(allowed.len() > 1, "deny.toml allows {allowed:?}");
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or("none");
        let mut ok = |id: &str| {
            let found = allowed.get(id);
            used.extend(found.cloned());
            found.is_some()
        };
        if !fulfilled(licence, &mut ok) {
            wrong.push(format!("{}: {licence}", name(&package)));
        }
    }
    assert!(wrong.is_empty(), "licences that deny.toml does not allow: {wrong:#?}");
    assert_eq!(used, allowed, "deny.toml allows licences that nothing has");
}

#[test]
fn expressions_are_understood() {
    let mut ok = |id: &str| id == "MIT" || id == "A";
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("B/MIT", true),
        ("MIT AND B", false),
        ("(MIT OR B) AND A", true),
        ("(C OR B) AND A", false),
        ("B OR MIT AND C", false),
        ("A WITH LLVM-exception OR B", true),
    ] {
        assert_eq!(fulfilled(expression, &mut ok), expected, "{expression}");
    }
}

#[test]
fn crates_come_from_the_registry_and_build_with_our_compiler() {
    let minimum = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap()).collect() };
    let packages = packages();
    let ours = packages.iter().find(|p| p["name"] == env!("CARGO_PKG_NAME")).unwrap();
    let msrv = minimum(ours["rust_version"].as_str().unwrap());
    for package in &packages {
        let source = package["source"].as_str();
        assert!(package == ours || source.is_some_and(|s| s.starts_with("registry+")), "{}", name(package));
        if let Some(needs) = package["rust_version"].as_str() {
            // 1.85 means 1.85.0.
            let (mut needs, mut has) = (minimum(needs), msrv.clone());
            needs.resize(3, 0);
            has.resize(3, 0);
            assert!(needs <= has, "{} needs rustc {needs:?}", name(package));
        }
    }
}
