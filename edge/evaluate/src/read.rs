//! Helpers for reading the benchmarks' files.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use jiff::{civil::DateTime, tz::Offset};

use crate::Error;

/// Reads a text file; decompresses it if its name ends in `.gz`.
pub(crate) fn read_text(path: &Path) -> Result<String, Error> {
    let bytes = fs::read(path).map_err(Error::io("reading", path))?;
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::MultiGzDecoder::new(bytes.as_slice())
            .read_to_string(&mut text)
            .map_err(Error::io("decompressing", path))?;
        return Ok(text);
    }
    String::from_utf8(bytes).map_err(|error| Error::layout(path, "text in UTF-8", error.to_string()))
}

/// Lists the entries of a folder that pass the filter, sorted by path.
fn entries(folder: &Path, is_selected: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("listing", folder))? {
        let path = entry.map_err(Error::io("listing", folder))?.path();
        if is_selected(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Lists the files of a folder whose names end in one of `endings`, sorted by name.
pub(crate) fn files(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, Error> {
    entries(folder, |path| path.is_file() && endings.iter().any(|ending| file_name(path).ends_with(ending)))
}

/// Lists the subfolders of a folder, sorted by name.
pub(crate) fn folders(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    entries(folder, Path::is_dir)
}

/// Returns the first of `names` that exists in the folder.
pub(crate) fn first_existing(folder: &Path, names: &[&str]) -> Result<PathBuf, Error> {
    let found = names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| Error::layout(folder, names.join(" or "), "neither"))
}

/// The file name of a path.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// `folder/file`, the form in which benchmarks name their files.
pub(crate) fn relative_name(path: &Path) -> String {
    format!("{}/{}", path.parent().map(file_name).unwrap_or_default(), file_name(path))
}

/// Parses a time such as `2014-04-10 07:15:00.000000` as UTC, to nanoseconds since 1970.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let civil: DateTime = text.trim().parse().ok()?;
    i64::try_from(Offset::UTC.to_timestamp(civil).ok()?.as_nanosecond()).ok()
}

/// Parses a number. An empty text, `NA`, `null` and `nan` are missing values (NaN).
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    match text.trim() {
        "" | "NA" | "null" => Some(f64::NAN),
        text => text.parse().ok(),
    }
}

/// A table with a header.
#[derive(Debug)]
pub(crate) struct Csv {
    pub(crate) path: PathBuf,
    pub(crate) header: Vec<String>,
    pub(crate) records: Vec<csv::StringRecord>,
}

impl Csv {
    pub(crate) fn read(path: &Path, delimiter: u8) -> Result<Self, Error> {
        let text = read_text(path)?;
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
        let damaged = |error: csv::Error| Error::layout(path, "a CSV table", error.to_string());
        let head = reader.headers().map_err(damaged)?.iter().map(|name| name.trim().to_owned()).collect();
        let records = reader.records().collect::<Result<_, _>>().map_err(damaged)?;
        Ok(Self { path: path.to_owned(), header: head, records })
    }

    pub(crate) fn column_index(&self, column: &str) -> Option<usize> {
        self.header.iter().position(|name| name == column)
    }

    pub(crate) fn required_column(&self, column: &str) -> Result<usize, Error> {
        self.column_index(column)
            .ok_or_else(|| Error::layout(&self.path, format!("a column {column}"), self.header.join(", ")))
    }

    fn column<T>(&self, index: usize, what: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Error> {
        let parse = |(row, record): (usize, &csv::StringRecord)| {
            let cell = record.get(index).unwrap_or_default();
            parse(cell).ok_or_else(|| Error::layout(&self.path, format!("{what} in row {row}"), format!("'{cell}'")))
        };
        self.records.iter().enumerate().map(parse).collect()
    }

    pub(crate) fn times(&self, index: usize) -> Result<Vec<i64>, Error> {
        self.column(index, "a time such as 2014-04-10 07:15:00", parse_time)
    }

    pub(crate) fn numbers(&self, index: usize) -> Result<Vec<f64>, Error> {
        self.column(index, "a number", parse_number)
    }
}

/// Transposes columns to rows.
pub(crate) fn transpose(columns: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let rows = columns.iter().map(Vec::len).min().unwrap_or(0);
    (0..rows).map(|row| columns.iter().filter_map(|column| column.get(row).copied()).collect()).collect()
}

/// Reads a table of numbers without a header, separated by blanks. All rows must have the same length.
pub(crate) fn read_blank_separated(path: &Path) -> Result<Vec<Vec<f64>>, Error> {
    let text = read_text(path)?;
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let cells: Result<Vec<f64>, _> = line.split_ascii_whitespace().map(str::parse).collect();
        let cells =
            cells.map_err(|error| Error::layout(path, format!("numbers in line {}", at + 1), format!("{error}")))?;
        if cells.is_empty() {
            continue;
        }
        if let Some(first) = rows.first()
            && first.len() != cells.len()
        {
            let expected = format!("{} numbers in line {}, as in the first", first.len(), at + 1);
            return Err(Error::layout(path, expected, cells.len().to_string()));
        }
        rows.push(cells);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_parsed_with_and_without_fraction() {
        assert_eq!(parse_time("1970-01-02 00:00:01"), Some(86_401_000_000_000));
        assert_eq!(parse_time("1970-01-01 00:00:00.500000"), Some(500_000_000));
        assert_eq!(parse_time("yesterday"), None);
    }

    #[test]
    fn missing_numbers_are_nan() {
        assert!(parse_number(" ").is_some_and(f64::is_nan));
        assert!(parse_number("nan").is_some_and(f64::is_nan));
        assert_eq!(parse_number(" 1.5"), Some(1.5));
        assert_eq!(parse_number("x"), None);
    }

    #[test]
    fn ragged_tables_are_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        fs::write(&path, "1 2\n\n3\n").unwrap();
        let message = read_blank_separated(&path).unwrap_err().to_string();
        assert!(message.contains("2 numbers in line 3") && message.contains("found 1"), "{message}");
    }
}
