//! Checks `spin.toml` by Spin's rules for version 2 of the manifest: unknown keys, ids, references, allowed hosts.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

/// The manifest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    spin_manifest_version: u32,
    application: Application,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    trigger: BTreeMap<String, Vec<toml::Table>>,
    #[serde(default)]
    component: BTreeMap<String, Component>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Application {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default, rename = "authors")]
    _authors: Vec<String>,
    #[serde(default)]
    trigger: BTreeMap<String, toml::Table>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    #[serde(default)]
    required: bool,
    default: Option<String>,
    #[serde(default, rename = "secret")]
    _secret: bool,
    #[serde(default, rename = "description")]
    _description: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Component {
    source: String,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default, rename = "environment")]
    _environment: BTreeMap<String, String>,
    #[serde(default, rename = "files")]
    _files: Vec<toml::Value>,
    #[serde(default)]
    allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    key_value_stores: Vec<String>,
    #[serde(default)]
    sqlite_databases: Vec<String>,
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
    #[serde(rename = "build")]
    _build: Option<Build>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    #[serde(rename = "command")]
    _command: String,
    #[serde(rename = "workdir")]
    _workdir: Option<String>,
    #[serde(default, rename = "watch")]
    _watch: Vec<String>,
}

/// Returns the required and the optional keys of a trigger, or `None` for an unknown kind of trigger.
fn trigger_keys(kind: &str) -> Option<(&'static [&'static str], &'static [&'static str])> {
    Some(match kind {
        "http" => (&["component", "route"], &["id", "executor"]),
        "redis" => (&["component", "channel"], &["id", "address"]),
        "mqtt" => (&["component", "topic", "qos"], &["id"]),
        "cron" => (&["component", "cron_expression"], &["id"]),
        _ => return None,
    })
}

/// Returns the keys of a trigger's table under `[application.trigger]`; all are required.
fn application_trigger_keys(kind: &str) -> &'static [&'static str] {
    match kind {
        "redis" => &["address"],
        "mqtt" => &["address", "username", "password", "keep_alive_interval"],
        _ => &[],
    }
}

/// Returns the faults of a manifest, none if it is valid. Relative paths are resolved from the manifest's folder.
///
/// # Errors
/// If the file cannot be read or is not a manifest.
pub fn manifest_faults(path: &Path) -> wasmtime::Result<Vec<String>> {
    let text = fs::read_to_string(path).map_err(|error| wasmtime::format_err!("{}: {error}", path.display()))?;
    let manifest: Manifest =
        toml::from_str(&text).map_err(|error| wasmtime::format_err!("{}: {error}", path.display()))?;
    let mut faults = Vec::new();
    if manifest.spin_manifest_version != 2 {
        faults.push(format!("spin_manifest_version is {}, not 2", manifest.spin_manifest_version));
    }
    if manifest.application.name.is_empty() || manifest.application.version.split('.').count() != 3 {
        faults.push("the application has no name, or a version that is not like 0.1.0".to_owned());
    }
    for (name, variable) in &manifest.variables {
        check_identifier(name, '_', true, &mut faults);
        if variable.required == variable.default.is_some() {
            faults.push(format!("variable {name} must be required or have a default, and not both"));
        }
    }
    for (kind, settings) in &manifest.application.trigger {
        check_keys(
            &format!("[application.trigger.{kind}]"),
            settings,
            application_trigger_keys(kind),
            &[],
            &mut faults,
        );
        for value in settings.values() {
            check_variables(value.as_str().unwrap_or(""), &manifest, &mut faults);
        }
    }
    for (kind, triggers) in &manifest.trigger {
        let Some((required, optional)) = trigger_keys(kind) else {
            faults.push(format!("the trigger {kind} is unknown"));
            continue;
        };
        let settings = application_trigger_keys(kind);
        if !settings.is_empty() && !manifest.application.trigger.contains_key(kind) {
            faults.push(format!("[application.trigger.{kind}] is missing"));
        }
        for trigger in triggers {
            check_keys(&format!("[[trigger.{kind}]]"), trigger, required, optional, &mut faults);
            let component = trigger.get("component").and_then(toml::Value::as_str).unwrap_or("");
            if !manifest.component.contains_key(component) {
                faults.push(format!("a {kind} trigger names component {component:?}, which does not exist"));
            }
        }
    }
    for (name, component) in &manifest.component {
        check_identifier(name, '-', false, &mut faults);
        check_component(name, component, &manifest, path, &mut faults);
    }
    Ok(faults)
}

fn check_component(name: &str, component: &Component, manifest: &Manifest, path: &Path, faults: &mut Vec<String>) {
    let named = |trigger: &toml::Table| trigger.get("component").and_then(toml::Value::as_str) == Some(name);
    if !manifest.trigger.values().flatten().any(named) {
        faults.push(format!("no trigger names component {name}"));
    }
    let source = path.parent().unwrap_or(Path::new(".")).join(&component.source);
    if !source.is_file() {
        faults.push(format!("{name}: {} is missing; run `cargo xtask compose`", source.display()));
    }
    for (variable, value) in &component.variables {
        check_identifier(variable, '_', true, faults);
        check_variables(value, manifest, faults);
    }
    for host in &component.allowed_outbound_hosts {
        check_variables(host, manifest, faults);
        let resolved = resolve_templates(host, manifest);
        if !is_valid_host(&resolved) {
            faults.push(format!("{name}: allowed host {resolved:?} is not scheme://host:port"));
        }
    }
    for store in component.key_value_stores.iter().chain(&component.sqlite_databases) {
        if store != "default" {
            faults.push(format!("{name}: store {store} needs a runtime configuration; only \"default\" always exists"));
        }
    }
    for dependency in component.dependencies.keys() {
        let package = dependency.contains(':') && !dependency.starts_with(':');
        if !package {
            check_identifier(dependency, '-', false, faults);
        }
    }
}

/// Checks an id: words of letters and digits that begin with a letter, joined by `delimiter`.
fn check_identifier(name: &str, delimiter: char, lower: bool, faults: &mut Vec<String>) {
    let word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_alphabetic())
            && word.chars().all(|each| each.is_ascii_alphanumeric())
            && (word.chars().all(|each| !each.is_ascii_uppercase())
                || (!lower && word.chars().all(|each| !each.is_ascii_lowercase())))
    };
    if !name.split(delimiter).all(word) {
        faults.push(format!("{name:?} is not an id of words joined by {delimiter:?}"));
    }
}

fn check_keys(name: &str, table: &toml::Table, required: &[&str], optional: &[&str], faults: &mut Vec<String>) {
    for key in required.iter().filter(|key| !table.contains_key(**key)) {
        faults.push(format!("{name} has no {key}"));
    }
    for (key, value) in table {
        if !required.contains(&key.as_str()) && !optional.contains(&key.as_str()) {
            faults.push(format!("{name} has the key {key}, which Spin does not know"));
        }
        if !value.is_str() {
            faults.push(format!("{name}: {key} must be a string"));
        }
    }
}

/// Returns the names between `{{` and `}}`.
fn template_names(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0.trim()))
}

fn check_variables(text: &str, manifest: &Manifest, faults: &mut Vec<String>) {
    if text.matches("{{").count() != text.matches("}}").count() {
        faults.push(format!("{text:?} opens a template that it does not close"));
    }
    for name in template_names(text).filter(|name| !manifest.variables.contains_key(*name)) {
        faults.push(format!("{text:?} names the variable {name}, which does not exist"));
    }
}

fn resolve_templates(text: &str, manifest: &Manifest) -> String {
    template_names(text).fold(text.to_owned(), |resolved, name| {
        let value = manifest.variables.get(name).and_then(|variable| variable.default.as_deref()).unwrap_or("x");
        resolved.replace(&format!("{{{{ {name} }}}}"), value)
    })
}

fn is_valid_host(host: &str) -> bool {
    let Some((scheme, rest)) = host.split_once("://") else { return false };
    let (name, port) = rest.rsplit_once(':').unwrap_or((rest, "443"));
    let scheme = scheme == "*" || (!scheme.is_empty() && scheme.chars().all(|each| each.is_ascii_alphanumeric()));
    let name = !name.is_empty() && !name.contains(['/', '?', '#', '@', ' ']);
    scheme && name && (port == "*" || port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs;

    use super::manifest_faults;

    const VALID: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "app"
        version = "0.1.0"
        [application.trigger.redis]
        address = "{{ where }}"
        [variables]
        where = { default = "redis://h:1" }
        [[trigger.redis]]
        channel = "c"
        component = "one-two"
        [component.one-two]
        source = "a.wasm"
        allowed_outbound_hosts = ["{{ where }}"]
        [component.one-two.variables]
        bus = "{{ where }}"
    "#;

    fn faults_of(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.wasm"), b"").unwrap();
        let path = folder.path().join("spin.toml");
        fs::write(&path, text).unwrap();
        manifest_faults(&path).map_or_else(|error| format!("{error:#}"), |faults| faults.join("; "))
    }

    #[test]
    fn each_fault_is_reported() {
        assert_eq!(faults_of(VALID), "");
        for (from, to, expected) in [
            ("channel = \"c\"", "chanel = \"c\"", "chanel"),
            ("name = \"app\"", "nmae = \"app\"", "nmae"),
            ("component = \"one-two\"", "component = \"three\"", "three"),
            ("component.one-two", "component.one_two", "one_two"),
            ("bus = \"{{ where }}\"", "bus = \"{{ there }}\"", "there"),
            ("source = \"a.wasm\"", "source = \"b.wasm\"", "b.wasm"),
            ("redis://h:1", "redis//h:1", "redis//h:1"),
            ("where = { default = \"redis://h:1\" }", "where = { }", "must be required or have a default"),
            (
                "[application.trigger.redis]\n        address = \"{{ where }}\"",
                "",
                "[application.trigger.redis] is missing",
            ),
            ("spin_manifest_version = 2", "spin_manifest_version = 1", "not 2"),
        ] {
            let invalid = VALID.replace(from, to);
            assert_ne!(invalid, VALID, "{from}");
            let faults = faults_of(&invalid);
            assert!(faults.contains(expected), "{from} as {to}: {faults:?}");
        }
    }
}
