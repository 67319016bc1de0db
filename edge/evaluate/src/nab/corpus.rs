//! NAB's files and labels.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    Error,
    read::{self, Csv},
};

/// Anomaly windows by file, such as `realTweets/Twitter_volume_AAPL.csv`: first and last time, nanoseconds since 1970.
pub type Labels = BTreeMap<String, Vec<(i64, i64)>>;

/// One file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// `group/file`.
    pub name: String,
    /// The times as they are written.
    pub stamps: Vec<String>,
    /// Nanoseconds since 1970. Some files repeat an hour.
    pub times: Vec<i64>,
    /// The values as they are written.
    pub texts: Vec<String>,
    /// The values.
    pub values: Vec<f64>,
    /// Anomaly windows, in order.
    pub windows: Vec<(i64, i64)>,
    /// Which rows are within one.
    pub labels: Vec<bool>,
}

impl Series {
    /// The group it is in.
    #[must_use]
    pub fn group(&self) -> &str {
        self.name.split_once('/').map_or("", |(group, _)| group)
    }

    /// A file with its windows.
    #[must_use]
    pub fn new(name: &str, stamps: Vec<String>, times: Vec<i64>, texts: Vec<String>, windows: Vec<(i64, i64)>) -> Self {
        let values = texts.iter().map(|text| read::number(text).unwrap_or(f64::NAN)).collect();
        let within = |time: &i64| windows.iter().any(|(first, last)| (first..=last).contains(&time));
        let labels = times.iter().map(within).collect();
        Self { name: name.to_owned(), stamps, times, texts, values, windows, labels }
    }
}

/// All files that are there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Corpus {
    /// By name.
    pub series: Vec<Series>,
    /// Files that were left out.
    pub notes: Vec<String>,
}

impl Corpus {
    /// Reads a folder of groups. Labels lie in `combined_windows.json` in it, or in `labels` in it or beside it.
    ///
    /// # Errors
    /// [`Error`] when labels are missing or a file is no series.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let labels = read_labels(&labels_file(folder)?)?;
        let mut corpus = Self::default();
        for group in read::folders(folder)? {
            for path in read::files(&group, &[".csv"])? {
                let name = read::relative(&path);
                match labels.get(&name) {
                    Some(windows) => corpus.series.push(read_series(&path, &name, windows.clone())?),
                    None => corpus.notes.push(format!("{name} has no entry among the labels and was left out")),
                }
            }
        }
        let missing: Vec<&String> =
            labels.keys().filter(|name| corpus.series.iter().all(|series| series.name != **name)).collect();
        if let Some(first) = missing.first() {
            corpus.notes.push(format!("{} labelled files are not here, such as {first}", missing.len()));
        }
        if corpus.series.is_empty() {
            return Err(Error::layout(
                folder,
                "folders of NAB's CSV files, such as realTweets",
                "none that is labelled",
            ));
        }
        Ok(corpus)
    }
}

fn labels_file(folder: &Path) -> Result<PathBuf, Error> {
    const NAME: &str = "combined_windows.json";
    let places = [folder.join(NAME), folder.join("labels").join(NAME), folder.join("../labels").join(NAME)];
    places.into_iter().find(|place| place.is_file()).ok_or_else(|| Error::layout(folder, NAME, "none"))
}

/// Reads `combined_windows.json`.
///
/// # Errors
/// [`Error`] when it is not laid out so.
pub(crate) fn read_labels(path: &Path) -> Result<Labels, Error> {
    let wrong = |found: String| Error::layout(path, "files with lists of first and last times, in JSON", found);
    let written: BTreeMap<String, Vec<(String, String)>> =
        serde_json::from_str(&read::text(path)?).map_err(|error| wrong(error.to_string()))?;
    let mut labels = Labels::new();
    for (name, windows) in written {
        let mut read = Vec::new();
        for (first, last) in windows {
            let bounds = read::time(&first).zip(read::time(&last)).filter(|(first, last)| first <= last);
            read.push(bounds.ok_or_else(|| wrong(format!("{first} to {last} of {name}")))?);
        }
        labels.insert(name, read);
    }
    Ok(labels)
}

/// Reads a file of times and values.
pub(crate) fn read_series(path: &Path, name: &str, windows: Vec<(i64, i64)>) -> Result<Series, Error> {
    let csv = Csv::read(path, b',')?;
    let (stamp, value) = (csv.required("timestamp")?, csv.required("value")?);
    let times = csv.times(stamp)?;
    csv.numbers(value)?;
    let cells = |place: usize| csv.records.iter().map(|row| row.get(place).unwrap_or_default().to_owned()).collect();
    Ok(Series::new(name, cells(stamp), times, cells(value), windows))
}
