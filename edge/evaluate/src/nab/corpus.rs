//! Reads NAB's files and labels.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    Error,
    read::{self, Csv},
};

/// Anomaly windows by file, such as `realTweets/Twitter_volume_AAPL.csv`: first and last time in nanoseconds since
/// 1970.
pub type Labels = BTreeMap<String, Vec<(i64, i64)>>;

/// One file of the corpus.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// `group/file`.
    pub name: String,
    /// Times as text, unchanged from the file.
    pub time_texts: Vec<String>,
    /// Times in nanoseconds since 1970. Some files repeat an hour.
    pub times: Vec<i64>,
    /// Values as text, unchanged from the file.
    pub value_texts: Vec<String>,
    /// Parsed values; NaN if missing.
    pub values: Vec<f64>,
    /// Anomaly windows in order: first and last time.
    pub windows: Vec<(i64, i64)>,
    /// Whether each row is within an anomaly window.
    pub labels: Vec<bool>,
}

impl Series {
    /// The group of the file: the folder name.
    #[must_use]
    pub fn group(&self) -> &str {
        self.name.split_once('/').map_or("", |(group, _)| group)
    }

    /// Creates a series from its columns and windows.
    #[must_use]
    pub fn new(name: &str, stamps: Vec<String>, times: Vec<i64>, texts: Vec<String>, windows: Vec<(i64, i64)>) -> Self {
        let values = texts.iter().map(|text| read::parse_number(text).unwrap_or(f64::NAN)).collect();
        let within = |time: &i64| windows.iter().any(|(first, last)| (first..=last).contains(&time));
        let labels = times.iter().map(within).collect();
        Self { name: name.to_owned(), time_texts: stamps, times, value_texts: texts, values, windows, labels }
    }
}

/// All labelled files of a folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Corpus {
    /// The series, sorted by name.
    pub series: Vec<Series>,
    /// Notes about skipped and missing files.
    pub notes: Vec<String>,
}

impl Corpus {
    /// Reads a folder of groups. The labels are in `combined_windows.json`: in the folder, in its subfolder `labels`,
    /// or in `labels` next to it.
    ///
    /// # Errors
    /// [`Error`] if labels are missing or a file is not a series.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let labels = read_labels(&labels_file(folder)?)?;
        let mut corpus = Self::default();
        for group in read::folders(folder)? {
            for path in read::files(&group, &[".csv"])? {
                let name = read::relative_name(&path);
                match labels.get(&name) {
                    Some(windows) => corpus.series.push(read_series(&path, &name, windows.clone())?),
                    None => corpus.notes.push(format!("{name} is skipped: it has no labels")),
                }
            }
        }
        let missing: Vec<&String> =
            labels.keys().filter(|name| corpus.series.iter().all(|series| series.name != **name)).collect();
        if let Some(first) = missing.first() {
            corpus.notes.push(format!("{} labelled files are missing, such as {first}", missing.len()));
        }
        if corpus.series.is_empty() {
            return Err(Error::layout(folder, "folders of NAB's CSV files, such as realTweets", "no labelled file"));
        }
        Ok(corpus)
    }
}

fn labels_file(folder: &Path) -> Result<PathBuf, Error> {
    const NAME: &str = "combined_windows.json";
    let candidates = [folder.join(NAME), folder.join("labels").join(NAME), folder.join("../labels").join(NAME)];
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| Error::layout(folder, NAME, "none"))
}

/// Reads `combined_windows.json`.
///
/// # Errors
/// [`Error`] if the file has another layout.
pub(crate) fn read_labels(path: &Path) -> Result<Labels, Error> {
    let wrong = |found: String| Error::layout(path, "files with lists of first and last times, in JSON", found);
    let written: BTreeMap<String, Vec<(String, String)>> =
        serde_json::from_str(&read::read_text(path)?).map_err(|error| wrong(error.to_string()))?;
    let mut labels = Labels::new();
    for (name, windows) in written {
        let mut read = Vec::new();
        for (first, last) in windows {
            let bounds = read::parse_time(&first).zip(read::parse_time(&last)).filter(|(first, last)| first <= last);
            read.push(bounds.ok_or_else(|| wrong(format!("{first} to {last} of {name}")))?);
        }
        labels.insert(name, read);
    }
    Ok(labels)
}

/// Reads a CSV file with columns `timestamp` and `value`.
pub(crate) fn read_series(path: &Path, name: &str, windows: Vec<(i64, i64)>) -> Result<Series, Error> {
    let csv = Csv::read(path, b',')?;
    let (stamp, value) = (csv.required_column("timestamp")?, csv.required_column("value")?);
    let times = csv.times(stamp)?;
    csv.numbers(value)?;
    let cells = |column: usize| csv.records.iter().map(|row| row.get(column).unwrap_or_default().to_owned()).collect();
    Ok(Series::new(name, cells(stamp), times, cells(value), windows))
}
