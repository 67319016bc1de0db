//! Runs a case and compares the results with the expected files.

use std::{collections::BTreeSet, fmt::Write as _, fs, io};

use anyhow::{Context as _, bail};

use crate::{CanonicalTable, CanonicalTables, Case, Host, Step};

/// The maximum number of differences shown for each table and direction.
const MAX_DIFFERENCES: usize = 3;

/// Runs a case on a host and compares its tables. With `UPDATE_EXPECTED=1` in the environment, the reference host
/// writes the expected files instead.
///
/// # Errors
/// If the host fails or a table differs; the message shows the first differences.
pub fn run_case(case: &Case, host: &mut dyn Host) -> anyhow::Result<()> {
    host.start(case).context("starting the host")?;
    let mut receipts = CanonicalTables::default();
    let mut has_receipts = true;
    for (step, number) in case.steps.iter().zip(1..) {
        match step {
            Step::Event(event) => match host.event(event).with_context(|| format!("event {number}"))? {
                Some(receipt) => receipts.add_receipt(number, &receipt),
                None => has_receipts = false,
            },
            Step::Tick(now) => host.tick(*now).with_context(|| format!("event {number}, a tick"))?,
        }
    }
    let store = host.tables().context("reading the store")?;
    let update = host.is_reference() && std::env::var_os("UPDATE_EXPECTED").is_some_and(|value| value == "1");
    let mut differing = String::new();
    for table in CanonicalTable::ALL {
        let lines = match table {
            CanonicalTable::Receipts if !has_receipts => continue,
            CanonicalTable::Receipts => receipts.lines(table),
            table => store.lines(table),
        };
        if update {
            write_expected(case, table, &lines)?;
        } else {
            let expected = read_expected(case, table)?;
            let expected: Vec<&str> = expected.lines().collect();
            if expected != lines {
                append_differences(table, &expected, &lines, &mut differing);
            }
        }
    }
    if !differing.is_empty() {
        bail!("{} ({}):\n{differing}", case.name, case.description);
    }
    Ok(())
}

fn read_expected(case: &Case, table: CanonicalTable) -> anyhow::Result<String> {
    let path = case.folder.join("expected").join(format!("{}.ndjson", table.name()));
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        other => other.with_context(|| format!("reading {}", path.display())),
    }
}

fn write_expected(case: &Case, table: CanonicalTable, lines: &[String]) -> anyhow::Result<()> {
    let folder = case.folder.join("expected");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{}.ndjson", table.name()));
    if lines.is_empty() {
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        };
    }
    let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

fn append_differences(table: CanonicalTable, expected: &[&str], actual: &[String], out: &mut String) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "  {}: {} rows expected, {} found", table.name(), expected.len(), actual.len());
    let (expected_lines, actual_lines): (BTreeSet<&str>, BTreeSet<&str>) =
        (expected.iter().copied().collect(), actual.iter().map(String::as_str).collect());
    for line in expected_lines.difference(&actual_lines).take(MAX_DIFFERENCES) {
        let _ = writeln!(out, "    - {line}");
    }
    for line in actual_lines.difference(&expected_lines).take(MAX_DIFFERENCES) {
        let _ = writeln!(out, "    + {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Receipt, RejectedPart};

    /// A host that rejects every event and stores nothing.
    struct EmptyHost;

    impl Host for EmptyHost {
        fn start(&mut self, _case: &Case) -> anyhow::Result<()> {
            Ok(())
        }
        fn event(&mut self, _event: &Event) -> anyhow::Result<Option<Receipt>> {
            let part = RejectedPart { position: 1, reason: "late".into(), message: "too late for that".into() };
            Ok(Some(Receipt { accepted: 0, rejected: 1, rejected_parts: vec![part] }))
        }
        fn tick(&mut self, _now: i64) -> anyhow::Result<()> {
            Ok(())
        }
        fn tables(&mut self) -> anyhow::Result<CanonicalTables> {
            Ok(CanonicalTables::default())
        }
    }

    #[test]
    fn differences_are_shown() {
        let cases = Case::all().unwrap();
        let error = run_case(cases.first().unwrap(), &mut EmptyHost).unwrap_err().to_string();
        assert!(error.contains("  features: ") && error.contains(" rows expected, 0 found"), "{error}");
        assert!(
            error.contains("    - {") && error.contains("    + {") && error.contains("too late for that"),
            "{error}"
        );
    }

    #[test]
    fn every_case_has_expected_files() {
        for case in Case::all().unwrap() {
            assert!(case.folder.join("expected/receipts.ndjson").is_file(), "{}", case.name);
            assert!(!case.description.is_empty() && !case.steps.is_empty(), "{}", case.name);
        }
    }
}
