//! The scorer of the Numenta Anomaly Benchmark, version 1.1 (Lavin and Ahmad 2015, arXiv 1510.03336).
//!
//! It follows the published scorer exactly:
//!
//! - **Probation**: the first `min(⌊0.15 n⌋, 750)` rows neither earn nor cost, including the rows of a window.
//! - **In a window** of `w` rows with right edge `r`, row `i` is at `y = −(r − i + 1)/w`, so −1 on the left edge and
//!   −1/w on the right. The window earns `A_TP σ(y)/σ(−1)` by the best of its detected rows (the first, since σ falls),
//!   or `−A_FN` without any; `σ(y) = 2/(1 + e^(5y)) − 1`.
//! - **Outside**, every detected row costs `A_FP σ(y)` with `y = (i − r)/(w − 1)` by the last window that ended; −1
//!   beyond `y = 3` and before the first window.
//! - **A detection** is a score at or above the threshold. There is one threshold for all files: the highest with the
//!   best total, out of all scores that occur and 1.1 for no detection at all.
//! - **Normalised**: `100 (total − null)/(perfect − null)`; null misses all windows, perfect earns `A_TP` in each.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Write as _},
    path::Path,
};

/// Weights of an application profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Name in the names of columns and files.
    pub name: &'static str,
    /// Reward of a window that is detected at its left edge.
    pub true_positive: f64,
    /// Cost of a row that is detected far from any window.
    pub false_positive: f64,
    /// Cost of a missed window.
    pub false_negative: f64,
}

/// The standard profile.
pub const STANDARD: Profile =
    Profile { name: "standard", true_positive: 1.0, false_positive: 0.11, false_negative: 1.0 };
/// The profile in which false alarms cost twice as much.
pub const LOW_FP: Profile =
    Profile { name: "reward_low_FP_rate", true_positive: 1.0, false_positive: 0.22, false_negative: 1.0 };
/// The profile in which missed windows cost twice as much.
pub const LOW_FN: Profile =
    Profile { name: "reward_low_FN_rate", true_positive: 1.0, false_positive: 0.11, false_negative: 2.0 };
/// All profiles, in the order of the result columns.
pub const PROFILES: [Profile; 3] = [LOW_FP, LOW_FN, STANDARD];

/// Threshold that no score reaches.
const UNREACHABLE: f64 = 1.1;

/// Errors in the data.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    Io(String, io::Error),
    /// A line that is not `timestamp,value`: file, line number.
    Line(String, usize),
    /// A window edge that is not the time of a row, or windows out of order.
    Window(String, String),
    /// The number of scores differs from the number of rows.
    Length(String),
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, cause) => write!(formatter, "{path}: {cause}"),
            Self::Line(name, line) => write!(formatter, "{name}, line {line}: expected timestamp and value"),
            Self::Window(name, edge) => {
                write!(formatter, "{name}: window edge {edge} is not the time of a row, or out of order")
            }
            Self::Length(name) => write!(formatter, "{name}: expected as many scores as rows"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, cause) => Some(cause),
            _ => None,
        }
    }
}

/// A file of the corpus with its windows.
#[derive(Clone, Debug)]
pub struct Series {
    /// `group/file.csv`.
    pub name: String,
    /// Times of the rows in ns since 1970, read as UTC.
    pub times: Vec<i64>,
    /// Values of the rows.
    pub values: Vec<f64>,
    /// Indices of the first and last row of each window.
    pub windows: Vec<(usize, usize)>,
    /// Unparsed lines: timestamp and value.
    lines: Vec<(String, String)>,
}

/// Window of a row, if any, and the sigmoid there: the share of the reward, or minus the share of the cost.
#[derive(Clone, Copy, Debug, PartialEq)]
struct RowPosition {
    window: Option<usize>,
    sigmoid: f64,
}

/// The windows of a corpus by file name, as in `combined_windows.json`.
pub type Windows = BTreeMap<String, Vec<(String, String)>>;

/// Result of a file at a threshold. `tp` to `fn` count rows after the probation, as in NAB.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Score, not normalised.
    pub score: f64,
    /// Detected rows in windows.
    pub tp: usize,
    /// Rows outside that were not detected.
    pub tn: usize,
    /// Detected rows outside.
    pub fp: usize,
    /// Rows in windows that were not detected.
    pub r#fn: usize,
}

/// `2/(1 + e^(5y)) − 1`, and −1 beyond `y = 3`.
fn sigmoid(position: f64) -> f64 {
    if position > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

/// Parses `YYYY-MM-DD HH:MM:SS` to seconds since 1970; a fraction of a second is dropped.
pub fn seconds(timestamp: &str) -> Option<i64> {
    let (date, time) = timestamp.trim().split_once([' ', 'T'])?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut time = time.split('.').next()?.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    let all = (1..=12).contains(&month) && (1..=31).contains(&day) && (0..10_000).contains(&year);
    if !all || !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..=60).contains(&second) {
        return None;
    }
    // Days since 1 March of year 0, so that the leap day is the last day of a year.
    let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = shifted_year.div_euclid(4) - shifted_year.div_euclid(100) + shifted_year.div_euclid(400);
    let days = 365 * shifted_year + leaps + (153 * shifted_month + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
}

impl Series {
    /// Parses the text of a file, whose first line is a header.
    pub fn parse(name: &str, csv: &str, windows: &[(String, String)]) -> Result<Self, Error> {
        let mut series = Self {
            name: name.to_owned(),
            times: Vec::new(),
            values: Vec::new(),
            windows: Vec::new(),
            lines: Vec::new(),
        };
        for (at, line) in csv.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
            let line_error = || Error::Line(name.to_owned(), at + 1);
            let (timestamp, value) = line.trim_end().split_once(',').ok_or_else(line_error)?;
            let second = seconds(timestamp).ok_or_else(line_error)?;
            series.times.push(second.saturating_mul(1_000_000_000));
            series.values.push(value.trim().parse().map_err(|_| line_error())?);
            series.lines.push((timestamp.to_owned(), value.to_owned()));
        }
        let mut next_free = 0;
        for (left, right) in windows {
            let row = |edge: &String| {
                let edge_time = seconds(edge).map(|second| second.saturating_mul(1_000_000_000));
                let found = series.times.iter().position(|&time| Some(time) == edge_time);
                found.ok_or_else(|| Error::Window(name.to_owned(), edge.clone()))
            };
            let (first, last) = (row(left)?, row(right)?);
            if first < next_free || last < first {
                return Err(Error::Window(name.to_owned(), left.clone()));
            }
            next_free = last + 1;
            series.windows.push((first, last));
        }
        Ok(series)
    }

    /// `group` of `group/file.csv`.
    pub fn group(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// Number of rows that do not count. Computed in floating point as in NAB, where 0.15 n may fall short of an
    /// integer.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 750")]
    pub fn probation(&self) -> usize {
        (0.15 * self.values.len() as f64).floor().min(750.0) as usize
    }

    /// Number of windows that reach beyond the probation.
    pub fn scored_windows(&self) -> usize {
        self.windows.iter().filter(|window| window.1 >= self.probation()).count()
    }

    #[allow(clippy::cast_precision_loss, reason = "rows are far below 2^52")]
    fn row_positions(&self) -> Vec<RowPosition> {
        let mut windows = self.windows.iter().copied().enumerate().peekable();
        let mut ended: Option<(usize, usize)> = None;
        (0..self.values.len())
            .map(|row| {
                while let Some((_, window)) = windows.next_if(|(_, window)| window.1 < row) {
                    ended = Some(window);
                }
                match (windows.peek(), ended) {
                    (Some(&(at, (first, last))), _) if first <= row => {
                        let position = -((last - row + 1) as f64) / (last - first + 1) as f64;
                        RowPosition { window: Some(at), sigmoid: sigmoid(position) / sigmoid(-1.0) }
                    }
                    (_, Some((first, last))) if last > first => {
                        RowPosition { window: None, sigmoid: sigmoid((row - last) as f64 / (last - first) as f64) }
                    }
                    _ => RowPosition { window: None, sigmoid: -1.0 },
                }
            })
            .collect()
    }

    /// Reward or cost of each row if detected: the columns `S(t)_…` of NAB's results.
    pub fn row_scores(&self, profile: &Profile) -> Vec<f64> {
        let row_score = |position: RowPosition| match position.window {
            Some(_) => position.sigmoid * profile.true_positive,
            None => position.sigmoid * profile.false_positive,
        };
        self.row_positions().into_iter().map(row_score).collect()
    }

    /// Scores the file at a threshold.
    pub fn outcome(&self, scores: &[f64], threshold: f64, profile: &Profile) -> Result<Outcome, Error> {
        if scores.len() != self.values.len() {
            return Err(Error::Length(self.name.clone()));
        }
        let mut outcome = Outcome::default();
        let mut rewards = vec![None::<f64>; self.windows.len()];
        let row_scores = self.row_scores(profile);
        let rows = self.row_positions().into_iter().zip(row_scores).zip(scores).skip(self.probation());
        for ((position, row_score), &score) in rows {
            let detected = score >= threshold;
            match position.window.and_then(|at| rewards.get_mut(at)) {
                Some(reward) if detected => {
                    outcome.tp += 1;
                    *reward = Some(reward.map_or(row_score, |reward| reward.max(row_score)));
                }
                Some(_) => outcome.r#fn += 1,
                None if detected => {
                    outcome.fp += 1;
                    outcome.score += row_score;
                }
                None => outcome.tn += 1,
            }
        }
        let probation = self.probation();
        let counted = self.windows.iter().zip(rewards).filter(|(window, _)| window.1 >= probation);
        outcome.score += counted.map(|(_, reward)| reward.unwrap_or(-profile.false_negative)).sum::<f64>();
        Ok(outcome)
    }
}

/// Finds the threshold with the best total over all files; returns both.
pub fn optimise(results: &[(&Series, &[f64])], profile: &Profile) -> Result<(f64, f64), Error> {
    /// A row after the probation; windows are numbered across all files.
    struct Row {
        score: f64,
        window: Option<usize>,
        row_score: f64,
    }
    let mut rows = Vec::new();
    let (mut window_count, mut windows) = (0, 0);
    for (series, scores) in results {
        if scores.len() != series.values.len() {
            return Err(Error::Length(series.name.clone()));
        }
        let row_scores = series.row_scores(profile);
        let all = series.row_positions().into_iter().zip(row_scores).zip(scores.iter()).skip(series.probation());
        rows.extend(all.filter(|(_, score)| !score.is_nan()).map(|((position, row_score), &score)| Row {
            score,
            window: position.window.map(|at| at + window_count),
            row_score,
        }));
        window_count += series.windows.len();
        windows += series.scored_windows();
    }
    rows.sort_by(|one, other| other.score.total_cmp(&one.score));

    let mut rewards = vec![-profile.false_negative; window_count];
    let mut total = null(windows, profile);
    let mut best = (UNREACHABLE, total);
    for equal_scores in rows.chunk_by(|one, other| one.score == other.score) {
        for row in equal_scores {
            match row.window.and_then(|at| rewards.get_mut(at)) {
                Some(reward) if row.row_score > *reward => {
                    total += row.row_score - *reward;
                    *reward = row.row_score;
                }
                Some(_) => {}
                None => total += row.row_score,
            }
        }
        if let Some(row) = equal_scores.first().filter(|_| total > best.1) {
            best = (row.score, total);
        }
    }
    Ok(best)
}

#[allow(clippy::cast_precision_loss, reason = "windows are far below 2^52")]
fn null(windows: usize, profile: &Profile) -> f64 {
    -profile.false_negative * windows as f64
}

/// Normalises a total for this many windows: `100 (total − null)/(perfect − null)`.
#[allow(clippy::cast_precision_loss, reason = "windows are far below 2^52")]
pub fn normalise(total: f64, windows: usize, profile: &Profile) -> f64 {
    let null = null(windows, profile);
    100.0 * (total - null) / (profile.true_positive * windows as f64 - null)
}

/// Reads the files that have an entry in `windows`, in the order of their names.
pub fn load(data: &Path, windows: &Windows) -> Result<Vec<Series>, Error> {
    let read = |(name, windows): (&String, &Vec<(String, String)>)| {
        let path = data.join(name);
        let csv = fs::read_to_string(&path).map_err(|cause| Error::Io(path.display().to_string(), cause))?;
        Series::parse(name, &csv, windows)
    };
    windows.iter().map(read).collect()
}

/// Writes `<results>/<detector>/<group>/<detector>_<file>.csv` in NAB's layout.
pub fn write_rows(results: &Path, detector: &str, series: &Series, scores: &[f64]) -> Result<(), Error> {
    if scores.len() != series.values.len() {
        return Err(Error::Length(series.name.clone()));
    }
    let file = series.name.rsplit('/').next().unwrap_or_default();
    let directory = results.join(detector).join(series.group());
    let path = directory.join(format!("{detector}_{file}"));
    let io_error = |cause| Error::Io(path.display().to_string(), cause);
    fs::create_dir_all(&directory).map_err(io_error)?;
    let mut out = io::BufWriter::new(fs::File::create(&path).map_err(io_error)?);
    let headers = PROFILES.map(|profile| format!("S(t)_{}", profile.name)).join(",");
    writeln!(out, "timestamp,value,anomaly_score,label,{headers}").map_err(io_error)?;
    let positions = series.row_positions();
    let [low_fp, low_fn, standard] = PROFILES.map(|profile| series.row_scores(&profile));
    let columns = low_fp.iter().zip(&low_fn).zip(&standard);
    for ((((timestamp, value), score), position), ((low_fp, low_fn), standard)) in
        series.lines.iter().zip(scores).zip(&positions).zip(columns)
    {
        let label = u8::from(position.window.is_some());
        writeln!(out, "{timestamp},{value},{score:?},{label},{low_fp:?},{low_fn:?},{standard:?}").map_err(io_error)?;
    }
    out.flush().map_err(io_error)
}

/// Writes `<results>/<detector>/<detector>_<profile>_scores.csv`, with a line per file and the totals, in NAB's layout.
pub fn write_scores(
    results: &Path,
    detector: &str,
    threshold: f64,
    profile: &Profile,
    all: &[(&Series, &[f64])],
) -> Result<(), Error> {
    let directory = results.join(detector);
    let path = directory.join(format!("{detector}_{}_scores.csv", profile.name));
    let io_error = |cause| Error::Io(path.display().to_string(), cause);
    fs::create_dir_all(&directory).map_err(io_error)?;
    let mut text = String::from("Detector,Profile,File,Threshold,Score,TP,TN,FP,FN,Total_Count\n");
    let mut sum = Outcome::default();
    for (series, scores) in all {
        let Outcome { score, tp, tn, fp, r#fn } = series.outcome(scores, threshold, profile)?;
        let (name, rows) = (&series.name, scores.len());
        let profile = profile.name;
        text += &format!("{detector},{profile},{name},{threshold:?},{score:?},{tp},{tn},{fp},{fn},{rows}\n", fn = r#fn);
        sum.score += score;
        (sum.tp, sum.tn, sum.fp, sum.r#fn) = (sum.tp + tp, sum.tn + tn, sum.fp + fp, sum.r#fn + r#fn);
    }
    let rows: usize = all.iter().map(|(_, scores)| scores.len()).sum();
    text += &format!("Totals,,,,{:?},{},{},{},{},{rows}\n", sum.score, sum.tp, sum.tn, sum.fp, sum.r#fn);
    fs::write(&path, text).map_err(io_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(rows: usize, windows: &[(usize, usize)]) -> Series {
        let time = |row: usize| format!("2014-03-{:02} {:02}:{:02}:00", 1 + row / 1440, row / 60 % 24, row % 60);
        let csv: String = (0..rows).map(|row| format!("{},1.0\n", time(row))).collect();
        let windows: Vec<_> =
            windows.iter().map(|&(first, last)| (time(first) + ".000000", time(last) + ".000000")).collect();
        Series::parse("group/file.csv", &format!("timestamp,value\n{csv}"), &windows).unwrap()
    }

    #[test]
    fn timestamps_are_parsed() {
        assert_eq!(seconds("1970-01-01 00:00:00"), Some(0));
        assert_eq!(seconds("2014-04-10 07:15:00.000000"), Some(1_397_114_100));
        assert_eq!(seconds("2000-02-29 23:59:59"), Some(951_868_799));
        assert_eq!(seconds("1969-12-31 23:59:59"), Some(-1));
        for wrong in ["", "2014-04-10", "2014-13-10 00:00:00", "2014-04-10 25:00:00", "x-y-z a:b:c"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn row_scores_match_the_published_table() {
        let series = series(1000, &[(400, 499)]);
        let row_scores = series.row_scores(&STANDARD);
        // Full reward at the left edge, y = −1/100 at the right edge, and the paper's table of the scaled sigmoid in
        // between.
        assert_eq!(row_scores[400], 1.0);
        assert!((row_scores[450] * 0.986_614_298_151_430_3 - 0.848_283_639_957_513_1).abs() < 1e-12);
        assert!((row_scores[499] - sigmoid(-0.01) / sigmoid(-1.0)).abs() < 1e-15);
        // −0.11 before any window; after a window the cost falls from 0 over the window's length.
        assert_eq!(row_scores[399], -0.11);
        assert!((row_scores[500] + 0.11 * 0.025_249).abs() < 1e-6, "{}", row_scores[500]);
        assert!((row_scores[598] + 0.11 * 0.986_614_298).abs() < 1e-9, "{}", row_scores[598]);
        assert!(row_scores[796] > -0.11 && row_scores[797] == -0.11);
    }

    #[test]
    fn totals_match_a_manual_calculation() {
        let series = series(1000, &[(100, 140), (400, 499), (700, 799)]);
        assert_eq!((series.probation(), series.scored_windows()), (150, 2));
        let mut scores = vec![0.0; 1000];
        // Detections in the probation, twice in a window, and once outside.
        for (row, score) in [(120, 1.0), (400, 0.5), (450, 0.9), (200, 0.4)] {
            scores[row] = score;
        }
        let all = [(&series, &scores[..])];
        // First one window detected at its middle and one missed; then the first detected at its left edge.
        let middle = 0.848_283_639_957_513_1 / 0.986_614_298_151_430_3;
        let found = series.outcome(&scores, 0.9, &STANDARD).unwrap();
        assert!((found.score - (middle - 1.0)).abs() < 1e-12);
        assert_eq!((found.tp, found.tn, found.fp, found.r#fn), (1, 650, 0, 199));
        assert_eq!(optimise(&all, &STANDARD).unwrap(), (0.5, 0.0));
        assert_eq!(optimise(&all, &LOW_FN).unwrap(), (0.5, -1.0));
        let false_alarm = series.outcome(&scores, 0.4, &STANDARD).unwrap().score;
        assert!((false_alarm - 0.11 * sigmoid(60.0 / 40.0)).abs() < 1e-12);
        assert_eq!(normalise(0.0, 2, &STANDARD), 50.0);
        assert_eq!(normalise(-4.0, 2, &LOW_FN), 0.0);
        assert!(optimise(&[(&series, &scores[..150])], &STANDARD).is_err());
    }

    #[test]
    fn no_detection_beats_false_alarms() {
        let series = series(1000, &[(990, 999)]);
        let mut scores = vec![0.0; 1000];
        scores[300..400].fill(1.0);
        assert_eq!(optimise(&[(&series, &scores)], &STANDARD).unwrap(), (UNREACHABLE, -1.0));
    }

    #[test]
    fn invalid_data_is_rejected() {
        for (csv, windows) in [
            ("timestamp,value\nnonsense\n", vec![]),
            ("timestamp,value\n2014-03-01 00:00:00,x\n", vec![]),
            (
                "timestamp,value\n2014-03-01 00:00:00,1\n",
                vec![("2014-03-02 00:00:00".into(), "2014-03-02 00:00:00".into())],
            ),
        ] {
            assert!(Series::parse("group/file.csv", csv, &windows).is_err());
        }
    }
}
