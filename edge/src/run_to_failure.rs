//! Reads run-to-failure data from CSV files, for the prognosis of remaining useful life.

use anyhow::{Context as _, ensure};
use wheeltapper_config::{Config, FailureRuns};

/// The sensor rows of each file; empty when no files are configured.
///
/// # Errors
/// When a file cannot be read, lacks a sensor's column, or contains a cell that is not a number. The message names the
/// file and the line.
pub fn read(config: &Config) -> anyhow::Result<Vec<Vec<Vec<f64>>>> {
    let Some(runs_to_failure) = &config.detect.run_to_failure else { return Ok(Vec::new()) };
    runs_to_failure
        .files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file);
            let text = text.with_context(|| format!("[detect.run_to_failure] reading {}", file.display()))?;
            parse_run(&text, runs_to_failure).with_context(|| format!("[detect.run_to_failure] {}", file.display()))
        })
        .collect()
}

fn parse_run(text: &str, runs_to_failure: &FailureRuns) -> anyhow::Result<Vec<Vec<f64>>> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    let columns = runs_to_failure.sensors.iter().map(|sensor| {
        let column = header.iter().position(|name| name == sensor);
        column.with_context(|| format!("expected a column {sensor:?}, got the columns {}", header.join(", ")))
    });
    let columns: Vec<usize> = columns.collect::<anyhow::Result<_>>()?;
    let rows = lines.zip(2..).filter(|(line, _)| !line.trim().is_empty()).map(|(line, number)| {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let number_in = |&column: &usize| {
            let cell = cells.get(column).copied().unwrap_or_default();
            let value = cell.parse::<f64>().ok().filter(|value| value.is_finite());
            value.with_context(|| format!("line {number}: expected a number, got {cell:?}"))
        };
        columns.iter().map(number_in).collect::<anyhow::Result<Vec<f64>>>()
    });
    let rows: Vec<Vec<f64>> = rows.collect::<anyhow::Result<_>>()?;
    ensure!(!rows.is_empty(), "expected one row per window, got none");
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_by_its_columns_and_errors_say_where() {
        let runs_to_failure =
            FailureRuns { sensors: vec!["b".into(), "a".into()], files: Vec::new(), horizon_windows: 10.0 };
        assert_eq!(parse_run("a, b,c\n1,2,x\n3,4,y\n\n", &runs_to_failure).unwrap(), [[2.0, 1.0], [4.0, 3.0]]);
        let error = |text: &str| parse_run(text, &runs_to_failure).unwrap_err().to_string();
        assert!(error("a,c\n1,2\n").contains("\"b\""));
        assert!(error("a,b\n1,NaN\n").contains("line 2"));
        assert!(error("a,b\n").contains("none"));
    }
}
