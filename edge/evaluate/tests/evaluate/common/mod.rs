//! Trivial pipelines for testing the protocols, and access to the benchmark data.

#![allow(dead_code, reason = "each test file uses only some of the helpers")]

use std::path::PathBuf;

use wheeltapper_evaluate::{Benchmark, Error, Pipeline, Recording, RemainingLife, WaveformRecording, WindowVerdict};

/// The folder of a benchmark. If it does not exist, prints a note and returns `None`.
pub fn benchmark_folder(profile: Benchmark) -> Option<PathBuf> {
    let root = std::env::var_os("WHEELTAPPER_TEST_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let folder = root.join(profile.folder());
    if !folder.is_dir() {
        println!(
            "skipped: {} does not exist; set WHEELTAPPER_TEST_DATA to the folder of the benchmarks",
            folder.display()
        );
        return None;
    }
    Some(folder)
}

fn verdict(end: i64, score: f64, limit: f64) -> WindowVerdict {
    WindowVerdict { end, score, alarm: score > limit, fault_mode: None }
}

/// Scores each row separately: the root mean square of the z-scores of its columns. The limit is the maximum over the
/// fitted rows, times a margin.
pub struct ZScorePipeline {
    pub margin: f64,
}

/// Mean and standard deviation of each column.
fn scales(rows: &[Vec<f64>]) -> Vec<(f64, f64)> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns)
        .map(|column| {
            let values = || rows.iter().map(|row| row[column]).filter(|value| !value.is_nan());
            let count = values().count() as f64;
            let mean = values().sum::<f64>() / count;
            let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
            (mean, deviation.max(1e-9))
        })
        .collect()
}

fn distance(row: &[f64], scales: &[(f64, f64)]) -> f64 {
    let parts = row.iter().zip(scales).map(|(value, (mean, deviation))| (value - mean) / deviation);
    let squares: Vec<f64> = parts.filter(|z| !z.is_nan()).map(|z| z * z).collect();
    if squares.is_empty() { 0.0 } else { (squares.iter().sum::<f64>() / squares.len() as f64).sqrt() }
}

impl Pipeline for ZScorePipeline {
    fn score_rows(&mut self, _: Benchmark, fit: usize, recording: &Recording) -> Result<Vec<WindowVerdict>, Error> {
        let (fitted, scored) = recording.rows.split_at(fit);
        let scales = scales(fitted);
        let limit = self.margin * fitted.iter().map(|row| distance(row, &scales)).fold(0.0, f64::max);
        let verdicts = scored.iter().zip(&recording.times[fit..]);
        Ok(verdicts.map(|(row, end)| verdict(*end, distance(row, &scales), limit)).collect())
    }

    /// Scores RMS and kurtosis of a window; a fault with high kurtosis is reported as an inner race fault.
    fn score_waveforms(
        &mut self,
        _: Benchmark,
        recordings: &[(WaveformRecording, bool)],
        seconds: f64,
    ) -> Result<Vec<Vec<WindowVerdict>>, Error> {
        let features = |waveform: &WaveformRecording| -> Vec<Vec<f64>> {
            let length = (waveform.rate * seconds) as usize;
            let feature = |window: &[f32]| {
                let rms = (window.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / window.len() as f64).sqrt();
                let fourth = window.iter().map(|x| f64::from(*x).powi(4)).sum::<f64>() / window.len() as f64;
                vec![rms, fourth / rms.powi(4)]
            };
            waveform.samples.chunks_exact(length).map(feature).collect()
        };
        let fitted: Vec<Vec<f64>> =
            recordings.iter().filter(|(_, learn)| *learn).flat_map(|(w, _)| features(w)).collect();
        let scales = scales(&fitted);
        let limit = 2.0 * self.margin * fitted.iter().map(|row| distance(row, &scales)).fold(0.0, f64::max);
        let score_recording = |(waveform, _): &(WaveformRecording, bool)| {
            let score_row = |row: &Vec<f64>| WindowVerdict {
                fault_mode: Some(if row[1] > 5.0 { "bearing inner race" } else { "bearing ball" }.to_owned()),
                ..verdict(waveform.start, distance(row, &scales), limit)
            };
            features(waveform).iter().map(score_row).collect()
        };
        Ok(recordings.iter().map(score_recording).collect())
    }

    /// Quantiles of the remaining lives of the histories at the same age.
    fn estimate_remaining_life(
        &mut self,
        histories: &[Recording],
        running: &[Recording],
    ) -> Result<Vec<RemainingLife>, Error> {
        let life = |unit: &Recording| {
            let age = unit.rows.len();
            let left = histories.iter().map(|history| history.rows.len()).filter(|length| *length > age);
            let mut left: Vec<f64> = left.map(|length| (length - age) as f64).collect();
            left.sort_by(f64::total_cmp);
            let quantile = |q: f64| left.get((left.len() as f64 * q) as usize).copied().unwrap_or(0.0);
            RemainingLife {
                end: unit.times.last().copied().unwrap_or(0),
                q10: quantile(0.1),
                q50: quantile(0.5),
                q90: quantile(0.9),
            }
        };
        Ok(running.iter().map(life).collect())
    }
}

/// Raises alarms in these rows, without using a sensor.
pub struct FixedAlarms {
    pub rows: std::ops::RangeInclusive<usize>,
}

impl Pipeline for FixedAlarms {
    fn score_rows(&mut self, _: Benchmark, fit: usize, recording: &Recording) -> Result<Vec<WindowVerdict>, Error> {
        let score_row = |row: usize| verdict(recording.times[row], f64::from(u8::from(self.rows.contains(&row))), 0.5);
        Ok((fit..recording.rows.len()).map(score_row).collect())
    }

    fn score_waveforms(
        &mut self,
        _: Benchmark,
        _: &[(WaveformRecording, bool)],
        _: f64,
    ) -> Result<Vec<Vec<WindowVerdict>>, Error> {
        Ok(Vec::new())
    }

    fn estimate_remaining_life(&mut self, _: &[Recording], _: &[Recording]) -> Result<Vec<RemainingLife>, Error> {
        Ok(Vec::new())
    }
}
