//! PRONOSTIA (Nectoux et al. 2012, IEEE PHM challenge): bearings run to failure in hours; waveforms of 0.1 s each two
//! minutes, horizontal and vertical.

use std::path::Path;

use super::{DAY, SECOND, required, stem};
use crate::{
    Error, WaveformReading, npy,
    plants::{
        EventKind, PlantCase, PlantEvent, PlantSet, RateUnit,
        floor::{RMS_DOUBLED, rms_doubled},
    },
    read,
};

const PROTOCOL: &str = "learn the first 20 % of the life; an alert before the last waveform is a hit, an alert before half of the \
                        life is premature; delay h counts from there";
const RATE: f64 = 25_600.0;

pub(super) fn read(folder: &Path) -> Result<PlantSet, Error> {
    let mut cases = Vec::new();
    for path in read::files(folder, &[".npz"])? {
        let (shape, samples) = npy::read_member(&path, "acc_mg")?;
        let (_, seconds) = npy::read_member(&path, "t_s")?;
        let [bursts, length, 2] = shape.as_slice() else {
            return Err(Error::layout(&path, "acc_mg with the shape (bursts, samples, 2)", format!("{shape:?}")));
        };
        if seconds.len() != *bursts || *length == 0 {
            return Err(Error::layout(&path, format!("{bursts} times in t_s"), seconds.len().to_string()));
        }
        let mut waveforms = Vec::new();
        for (burst, time) in samples.chunks_exact(2 * length).zip(&seconds) {
            for sensor in 0..2 {
                // Thousandths of g.
                let samples = burst.iter().skip(sensor).step_by(2).map(|sample| (sample / 1000.0) as f32).collect();
                let start = (time * 1e9) as i64;
                waveforms.push(WaveformReading { sensor: sensor as u32, start, rate: RATE, samples });
            }
        }
        let end = seconds.last().map_or(0, |time| (time * 1e9) as i64);
        cases.push(PlantCase {
            machine: stem(&path),
            sensors: vec!["horizontal-vibration".to_owned(), "vertical-vibration".to_owned()],
            waveforms,
            learn_until: end / 5,
            judged: (end / 5, end / 2),
            events: vec![PlantEvent {
                name: "failure".to_owned(),
                from: end / 2,
                until: end - SECOND,
                kind: EventKind::Fault,
            }],
            ..PlantCase::default()
        });
    }
    let set = PlantSet {
        name: "femto-bearings",
        protocol: PROTOCOL,
        unit: RateUnit::Machine,
        gap: DAY,
        floor: rms_doubled,
        floor_name: RMS_DOUBLED,
        cases,
    };
    required(set, folder, "Bearing1_2.npz")
}
