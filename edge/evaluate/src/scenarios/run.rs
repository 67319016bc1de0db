//! Runs scenarios on all cores.

use wheeltapper_simulate::{Delivery, Plant, SCENARIOS, Scenario, ScenarioClass};

use super::{report::ScenarioReport, score};
use crate::{
    AlertUpdate, Error,
    alert_history::alert_spans,
    line::{OpenLine, ReadingBatch, WaveformReading},
    parallel,
    random::Random,
};

/// Time between two ticks in s, and so of the deliveries. The host ticks each 15 s; sensors that send each minute are
/// idle at some ticks and slower ones at most, in both cases.
const TICK_SECONDS: f64 = 30.0;

/// What to run.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Scenario and seed of each run.
    pub runs: Vec<(&'static Scenario, u64)>,
    /// Simulated days of each run.
    pub days: f64,
}

impl Selection {
    /// Each of the scenarios with the seeds from 1 to `seeds`.
    #[must_use]
    pub fn all_seeds(scenarios: &[&'static Scenario], seeds: u64, days: f64) -> Self {
        Self { runs: scenarios.iter().flat_map(|each| (1..=seeds).map(move |seed| (*each, seed))).collect(), days }
    }

    /// A fleet: of 8 machines, 4 are healthy, 3 fail and 1 has a failing sensor or no data, each with a behaviour drawn
    /// at random.
    #[must_use]
    pub fn fleet(machines: usize, seed: u64, days: f64) -> Self {
        let mut random = Random::new(seed, 1);
        let of = |classes: &[ScenarioClass]| -> Vec<&'static Scenario> {
            SCENARIOS.iter().filter(|scenario| classes.contains(&scenario.class)).collect()
        };
        let healthy = of(&[ScenarioClass::Healthy]);
        let failing = of(&[ScenarioClass::Fault, ScenarioClass::SlowWear]);
        let sensors = of(&[ScenarioClass::SensorFault, ScenarioClass::NoData]);
        let mut runs = Vec::with_capacity(machines);
        for number in 0..machines {
            let behaviours = match number % 8 {
                0..4 => &healthy,
                4..7 => &failing,
                _ => &sensors,
            };
            let count = u32::try_from(behaviours.len()).unwrap_or(u32::MAX);
            if let Some(scenario) = behaviours.get(random.below(count) as usize) {
                // Other machines than those of the scenarios' own seeds.
                runs.push((*scenario, seed.wrapping_mul(1_000_003).wrapping_add(number as u64 + 1_000)));
            }
        }
        Self { runs, days }
    }
}

/// Runs plants and scores them. The result does not depend on the number of threads.
/// `progress` is called after each run.
///
/// # Errors
/// [`Error::Pipeline`] if the line fails.
pub fn evaluate(
    selection: &Selection,
    open: &OpenLine<'_>,
    progress: &(dyn Fn() + Sync),
) -> Result<ScenarioReport, Error> {
    let results = parallel::map(&selection.runs, |(scenario, seed)| {
        let plant = scenario.plant(*seed, selection.days);
        let truth = plant.truth();
        let result = run_plant(plant, open).map(|updates| score(&truth, &alert_spans(&updates)));
        progress();
        result
    });
    let mut report = ScenarioReport::new(selection.days);
    for ((scenario, seed), result) in selection.runs.iter().zip(results) {
        report.add(scenario, *seed, result?);
    }
    Ok(report)
}

/// Runs a plant through a line. Returns the alerts with the time at which they were known.
pub(super) fn run_plant(mut plant: Plant, open: &OpenLine<'_>) -> Result<Vec<AlertUpdate>, Error> {
    let sensors: Vec<(String, String)> = plant
        .sensors()
        .iter()
        .map(|sensor| (sensor.id.clone(), wheeltapper_config::asset_of(&sensor.id).to_owned()))
        .collect();
    let mut line = open(&plant.config_toml(), &sensors)?;
    let mut all = Vec::new();
    let mut seconds = 0.0;
    while seconds < plant.span_seconds() {
        seconds += TICK_SECONDS;
        let now = plant.start_ns().saturating_add((seconds * 1e9) as i64);
        let batch = batch(plant.advance(seconds));
        let mut updates = if batch.is_empty() { Vec::new() } else { line.push(&batch)? };
        updates.extend(line.tick(now)?);
        all.extend(updates.into_iter().map(|update| AlertUpdate { at: now, ..update }));
    }
    Ok(all)
}

fn batch(delivery: Delivery) -> ReadingBatch {
    let mut batch = ReadingBatch::default();
    for reading in delivery.readings {
        batch.push(u32::try_from(reading.sensor).unwrap_or(u32::MAX), reading.time_ns, reading.value);
    }
    batch.waveforms = delivery
        .waveforms
        .into_iter()
        .map(|waveform| WaveformReading {
            sensor: u32::try_from(waveform.sensor).unwrap_or(u32::MAX),
            start: waveform.start_ns,
            rate: waveform.rate_hz,
            samples: waveform.samples,
        })
        .collect();
    batch
}
