//! Running a case and holding the outcome against what is expected.

use std::{collections::BTreeSet, fmt::Write as _, fs, io};

use anyhow::{Context as _, bail};

use crate::{Case, Found, Host, Step, Table};

/// Differences that are shown of a table.
const SHOWN: usize = 3;

/// Runs a case on a host. With `UPDATE_EXPECTED=1` in the environment, the reference writes what is expected anew.
///
/// # Errors
/// When the host fails, or gives something else than expected; the message shows what.
pub fn check(case: &Case, host: &mut dyn Host) -> anyhow::Result<()> {
    host.start(case).context("starting the host")?;
    let mut receipts = Found::default();
    let mut answers = true;
    for (step, place) in case.steps.iter().zip(1..) {
        match step {
            Step::Event(event) => match host.event(event).with_context(|| format!("event {place}"))? {
                Some(receipt) => receipts.add_receipt(place, &receipt),
                None => answers = false,
            },
            Step::Tick(now) => host.tick(*now).with_context(|| format!("event {place}, a tick"))?,
        }
    }
    let found = host.found().context("reading the store")?;
    let update = host.is_the_reference() && std::env::var_os("UPDATE_EXPECTED").is_some_and(|value| value == "1");
    let mut wrong = String::new();
    for table in Table::ALL {
        let lines = match table {
            Table::Receipts if !answers => continue,
            Table::Receipts => receipts.lines(table),
            table => found.lines(table),
        };
        if update {
            write(case, table, &lines)?;
        } else {
            let expected = read(case, table)?;
            let expected: Vec<&str> = expected.lines().collect();
            if expected != lines {
                differences(table, &expected, &lines, &mut wrong);
            }
        }
    }
    if !wrong.is_empty() {
        bail!("{} ({}):\n{wrong}", case.name, case.shows);
    }
    Ok(())
}

fn read(case: &Case, table: Table) -> anyhow::Result<String> {
    let path = case.folder.join("expected").join(format!("{}.ndjson", table.name()));
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        other => other.with_context(|| format!("reading {}", path.display())),
    }
}

fn write(case: &Case, table: Table, lines: &[String]) -> anyhow::Result<()> {
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

fn differences(table: Table, expected: &[&str], got: &[String], out: &mut String) {
    // Writing to a text does not fail.
    let _ = writeln!(out, "  {}: {} rows expected, {} found", table.name(), expected.len(), got.len());
    let (left, right): (BTreeSet<&str>, BTreeSet<&str>) =
        (expected.iter().copied().collect(), got.iter().map(String::as_str).collect());
    for line in left.difference(&right).take(SHOWN) {
        let _ = writeln!(out, "    - {line}");
    }
    for line in right.difference(&left).take(SHOWN) {
        let _ = writeln!(out, "    + {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Receipt, Refused};

    /// A host that answers and finds nothing.
    struct Deaf;

    impl Host for Deaf {
        fn start(&mut self, _case: &Case) -> anyhow::Result<()> {
            Ok(())
        }
        fn event(&mut self, _event: &Event) -> anyhow::Result<Option<Receipt>> {
            let refused = Refused { position: 1, reason: "late".into(), message: "too late for that".into() };
            Ok(Some(Receipt { accepted: 0, rejected: 1, refused: vec![refused] }))
        }
        fn tick(&mut self, _now: i64) -> anyhow::Result<()> {
            Ok(())
        }
        fn found(&mut self) -> anyhow::Result<Found> {
            Ok(Found::default())
        }
    }

    #[test]
    fn what_differs_is_shown() {
        let cases = Case::all().unwrap();
        let told = check(cases.first().unwrap(), &mut Deaf).unwrap_err().to_string();
        assert!(told.contains("  features: ") && told.contains(" rows expected, 0 found"), "{told}");
        assert!(told.contains("    - {") && told.contains("    + {") && told.contains("too late for that"), "{told}");
    }

    #[test]
    fn every_case_has_what_is_expected() {
        for case in Case::all().unwrap() {
            assert!(case.folder.join("expected/receipts.ndjson").is_file(), "{}", case.name);
            assert!(!case.shows.is_empty() && !case.steps.is_empty(), "{}", case.name);
        }
    }
}
