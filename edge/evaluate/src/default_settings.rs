//! The benchmarks with the settings of the first day, scored by the alerts that a user would see.

use crate::{
    Benchmark, Error, Pipeline, Recording, RemainingLife, WaveformReading, WaveformRecording, WindowVerdict,
    alert_history::{AlertSpan, alert_spans},
    diagnosis::Diagnosis,
    line::{OpenLine, ReadingBatch},
    plants::sensor_id,
};

/// Rows that are passed in one call.
const ROWS_PER_CALL: usize = 500;
const SECOND_NS: i64 = 1_000_000_000;

/// A pipeline that imports a recording into a line with the default configuration. Its alarm is an open alert, and its
/// score is 1 with an alarm, else 0. In NAB, where each alarm costs, only the moment at which an alert opens counts.
///
/// The line decides by itself how long it learns: nobody tells it the benchmark's number of rows for learning.
pub struct DefaultSettings<'a> {
    open: &'a OpenLine<'a>,
}

impl std::fmt::Debug for DefaultSettings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DefaultSettings").finish_non_exhaustive()
    }
}

impl<'a> DefaultSettings<'a> {
    /// Uses lines that `open` opens.
    #[must_use]
    pub fn new(open: &'a OpenLine<'a>) -> Self {
        Self { open }
    }
}

impl Pipeline for DefaultSettings<'_> {
    fn score_rows(
        &mut self,
        profile: Benchmark,
        fit: usize,
        recording: &Recording,
    ) -> Result<Vec<WindowVerdict>, Error> {
        let sensors: Vec<(String, String)> =
            recording.sensors.iter().map(|name| (sensor_id(&recording.asset, name), recording.asset.clone())).collect();
        let mut line = (self.open)("", &sensors)?;
        let mut updates = Vec::new();
        // Some benchmarks repeat a time; a reading with a known time would be a duplicate.
        let times = increasing(&recording.times);
        for (rows, times) in recording.rows.chunks(ROWS_PER_CALL).zip(times.chunks(ROWS_PER_CALL)) {
            let mut batch = ReadingBatch::default();
            for (row, time) in rows.iter().zip(times) {
                for (sensor, value) in (0..).zip(row).filter(|(_, value)| value.is_finite()) {
                    batch.push(sensor, *time, *value);
                }
            }
            updates.extend(line.push(&batch)?);
        }
        updates.extend(line.flush()?);
        let spans = alert_spans(&updates);
        let mut last = i64::MIN;
        let verdicts = times.iter().map(|&time| {
            let alarm = match profile {
                Benchmark::Nab => spans.iter().any(|span| last < span.opened && span.opened <= time),
                _ => spans.iter().any(|span| span.is_open_at(time)),
            };
            last = time;
            verdict(time, alarm, &spans)
        });
        Ok(verdicts.skip(fit).collect())
    }

    fn score_waveforms(
        &mut self,
        _: Benchmark,
        recordings: &[(WaveformRecording, bool)],
        seconds: f64,
    ) -> Result<Vec<Vec<WindowVerdict>>, Error> {
        let Some((first, _)) = recordings.first() else { return Ok(Vec::new()) };
        let learnt: Vec<&WaveformRecording> =
            recordings.iter().filter(|(_, learn)| *learn).map(|(recording, _)| recording).collect();
        let asset = "site/hall/machine".to_owned();
        let sensors = [(format!("{asset}/vibration"), asset.clone()), (format!("{asset}/speed"), asset)];
        let config = machine_config(first);
        let mut verdicts = Vec::with_capacity(recordings.len());
        // Each recording follows the healthy ones on a machine of its own: a fault must not hide the next one.
        for (recording, learn) in recordings {
            let mut line = (self.open)(&config, &sensors)?;
            let mut now = first.start;
            let mut updates = Vec::new();
            let mut ends = Vec::new();
            let before: &[&WaveformRecording] = if *learn { &[] } else { &learnt };
            for (part, scored) in before.iter().map(|part| (*part, false)).chain([(recording, true)]) {
                let samples = ((part.rate * seconds).round() as usize).max(1);
                for window in part.samples.chunks_exact(samples) {
                    let mut batch = ReadingBatch::default();
                    batch.push(1, now, part.rpm);
                    let samples = window.to_vec();
                    batch.waveforms.push(WaveformReading { sensor: 0, start: now, rate: part.rate, samples });
                    now += SECOND_NS;
                    updates.extend(line.push(&batch)?);
                    if scored {
                        ends.push(now);
                    }
                }
            }
            updates.extend(line.flush()?);
            let spans = alert_spans(&updates);
            let of_end = |end: i64| verdict(end, spans.iter().any(|span| span.is_open_at(end)), &spans);
            verdicts.push(ends.into_iter().map(of_end).collect());
        }
        Ok(verdicts)
    }

    /// The default settings estimate no remaining life from the histories of other machines: those are part of a
    /// configuration.
    fn estimate_remaining_life(&mut self, _: &[Recording], _: &[Recording]) -> Result<Vec<RemainingLife>, Error> {
        Err(Error::Pipeline {
            recording: "C-MAPSS".to_owned(),
            reason: "remaining lives from histories need [detect.run_to_failure]".to_owned(),
        })
    }
}

/// What a user enters about a machine with an accelerometer: its speed and its bearing.
fn machine_config(recording: &WaveformRecording) -> String {
    format!(
        "[[site]]\nname = \"site\"\n[[site.area]]\nname = \"hall\"\n[[site.area.machine]]\nname = \"machine\"\n\
         rated_rpm = {:.1}\nbearing = \"6205\"\n\
         [[site.area.machine.sensor]]\nname = \"vibration\"\nkind = \"vibration\"\nunit = \"g\"\n\
         [[site.area.machine.sensor]]\nname = \"speed\"\nkind = \"speed\"\nunit = \"rpm\"\n",
        recording.rpm
    )
}

/// The verdict at a time: the cause is the one that the newest open alert named last.
fn verdict(time: i64, alarm: bool, spans: &[AlertSpan]) -> WindowVerdict {
    let open = spans.iter().rfind(|span| span.is_open_at(time));
    let mark = open.and_then(|span| span.marks.iter().rfind(|mark| mark.at <= time));
    let fault_mode = mark.filter(|_| alarm).and_then(|mark| match &mark.diagnosis {
        Diagnosis::Machine(mode) => Some(mode.clone()),
        Diagnosis::Sensor => Some("sensor-fault".to_owned()),
        Diagnosis::NoData => Some("no-data".to_owned()),
        Diagnosis::Unnamed | Diagnosis::NewState => None,
    });
    WindowVerdict { end: time, score: f64::from(u8::from(alarm)), alarm, fault_mode }
}

/// Times that increase by at least a second where the recording's do not.
fn increasing(times: &[i64]) -> Vec<i64> {
    let mut last = i64::MIN;
    let next = times.iter().map(|time| {
        last = if *time > last { *time } else { last.saturating_add(SECOND_NS) };
        last
    });
    next.collect()
}

#[cfg(test)]
mod tests {
    use wheeltapper_alert::Severity;

    use super::*;
    use crate::{AlertUpdate, PlantLine};

    /// Opens an alert at the first value above 10 and closes it at the next one below.
    struct Threshold {
        open: bool,
    }

    impl PlantLine for Threshold {
        fn push(&mut self, batch: &ReadingBatch) -> Result<Vec<AlertUpdate>, Error> {
            let mut updates = Vec::new();
            for (time, value) in batch.time.iter().zip(&batch.value) {
                let above = *value > 10.0;
                if above != self.open {
                    self.open = above;
                    updates.push(AlertUpdate {
                        id: "a".to_owned(),
                        asset: "m".to_owned(),
                        sensor: String::new(),
                        severity: Severity::Low,
                        is_open: above,
                        at: *time,
                        fault_mode: Some("imbalance".to_owned()),
                        message: String::new(),
                    });
                }
            }
            Ok(updates)
        }

        fn tick(&mut self, _: i64) -> Result<Vec<AlertUpdate>, Error> {
            Ok(Vec::new())
        }

        fn flush(&mut self) -> Result<Vec<AlertUpdate>, Error> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn an_alarm_is_an_open_alert_and_in_nab_its_opening() {
        let open = |_: &str, _: &[(String, String)]| Ok(Box::new(Threshold { open: false }) as Box<dyn PlantLine>);
        let recording = Recording {
            asset: "m".to_owned(),
            sensors: vec!["a".to_owned()],
            // One time repeats.
            times: [0, 1, 2, 2, 4, 5].map(|second| second * SECOND_NS).to_vec(),
            rows: [0.0, 0.0, 20.0, 20.0, f64::NAN, 0.0].map(|value| vec![value]).to_vec(),
        };
        let alarms = |profile| -> Vec<bool> {
            let verdicts = DefaultSettings::new(&open).score_rows(profile, 1, &recording).unwrap();
            verdicts.iter().map(|verdict| verdict.alarm).collect()
        };
        assert_eq!(alarms(Benchmark::Skab), [false, true, true, true, false]);
        assert_eq!(alarms(Benchmark::Nab), [false, true, false, false, false]);
        let verdicts = DefaultSettings::new(&open).score_rows(Benchmark::Skab, 0, &recording).unwrap();
        assert_eq!(verdicts[2].fault_mode.as_deref(), Some("imbalance"));
        assert_eq!(verdicts[5].fault_mode, None);
    }
}
