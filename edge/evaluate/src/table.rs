//! Formats a report as a text table.

use std::fmt::{self, Write as _};

use crate::{Column, Report, Row};

impl Report {
    /// Formats the report: figures of the evaluated pipeline, published figures, and figures by file if `files` is set.
    #[must_use]
    pub fn table(&self, files: bool) -> String {
        let mut table = String::new();
        // Writing to a String does not fail.
        let _ = self.write(&mut table, files);
        table
    }

    fn write(&self, to: &mut String, files: bool) -> fmt::Result {
        let sections: [(&str, &[Row]); 4] = [
            ("default settings, alerts", &self.default_settings),
            ("settings chosen for this benchmark (in-sample)", &self.ours),
            ("published", &self.published),
            ("chosen settings, by file", if files { &self.files } else { &[] }),
        ];
        let rows = || sections.iter().flat_map(|(_, rows)| rows.iter());
        let visible: Vec<&Column> =
            self.columns.iter().filter(|column| rows().any(|row| row.figures.contains_key(column.key))).collect();
        let names = rows().map(|row| row.name.chars().count()).chain(sections.iter().map(|(title, _)| title.len()));
        let name_width = names.max().unwrap_or(0);
        let widths: Vec<usize> = visible
            .iter()
            .map(|column| {
                rows().map(|row| format_figure(row, column).len()).max().unwrap_or(0).max(column.title.chars().count())
            })
            .collect();

        write_wrapped(to, &format!("{}: {}", self.benchmark.folder(), self.protocol))?;
        for (title, rows) in sections.iter().filter(|(_, rows)| !rows.is_empty()) {
            write!(to, "\n{title:name_width$}")?;
            for (column, width) in visible.iter().zip(&widths) {
                write!(to, "  {:>width$}", column.title)?;
            }
            let line = name_width + widths.iter().map(|width| width + 2).sum::<usize>();
            writeln!(to, "\n{}", "-".repeat(line))?;
            for row in *rows {
                write!(to, "{:name_width$}", row.name)?;
                for (column, width) in visible.iter().zip(&widths) {
                    write!(to, "  {:>width$}", format_figure(row, column))?;
                }
                // Remove trailing blanks.
                to.truncate(to.trim_end().len());
                writeln!(to)?;
            }
        }
        writeln!(to)?;
        for column in visible {
            writeln!(to, "{}: {}", column.title, column.meaning)?;
        }
        for note in &self.notes {
            write_wrapped(to, &format!("- {note}"))?;
        }
        Ok(())
    }
}

/// Writes text in lines of at most 100 characters.
fn write_wrapped(to: &mut String, text: &str) -> fmt::Result {
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        match width {
            0 => write!(to, "{word}")?,
            width if width + 1 + length <= 100 => write!(to, " {word}")?,
            _ => {
                write!(to, "\n  {word}")?;
                width = 1;
            }
        }
        width += length + 1;
    }
    writeln!(to)
}

/// Formats a figure: empty if not measured, a dash if not defined.
fn format_figure(row: &Row, column: &Column) -> String {
    match row.figures.get(column.key) {
        None => String::new(),
        Some(figure) if figure.is_nan() => "-".to_owned(),
        Some(figure) => format!("{figure:.*}", column.digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Benchmark;

    fn report() -> Report {
        let columns = [
            Column { key: "f1", title: "F1", meaning: "0 to 1", digits: 3 },
            Column { key: "far", title: "FAR %", meaning: "false alarms", digits: 1 },
            Column { key: "never", title: "never", meaning: "not measured", digits: 1 },
        ];
        let mut report = Report::new(Benchmark::Skab, "as its README says", &columns);
        report.default_settings.push(Row::new("plain", &[("f1", 0.25)]));
        report.ours.push(Row::new("plain", &[("f1", 0.5), ("far", f64::NAN)]));
        report.publish(["f1", "far"], &[("Conv-AE", [0.781, 14.17]), ("other", [f64::NAN, 100.0])]);
        report.files.push(Row::new("valve1/0.csv", &[("f1", 1.0)]));
        report.notes.push("seen".to_owned());
        report
    }

    #[test]
    fn columns_are_aligned() {
        let expected = "\
skab: as its README says

default settings, alerts                           F1  FAR %
------------------------------------------------------------
plain                                           0.250

settings chosen for this benchmark (in-sample)     F1  FAR %
------------------------------------------------------------
plain                                           0.500      -

published                                          F1  FAR %
------------------------------------------------------------
Conv-AE                                         0.781   14.2
other                                                  100.0

chosen settings, by file                           F1  FAR %
------------------------------------------------------------
valve1/0.csv                                    1.000

F1: 0 to 1
FAR %: false alarms
- seen
";
        assert_eq!(report().table(true), expected);
        assert!(!report().table(false).contains("valve1"));
    }

    #[test]
    fn the_report_is_converted_to_json() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["benchmark"], "skab");
        assert_eq!(json["ours"][0]["f1"], 0.5);
        assert!(json["ours"][0]["far"].is_null());
        assert_eq!(json["files"][0]["name"], "valve1/0.csv");
    }
}
