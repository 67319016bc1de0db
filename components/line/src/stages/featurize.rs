//! The featurize stage: readings to features. It also stores the readings, because only here late and repeated readings
//! are recognised.

use wheeltapper_domain::{DeadLetter, content_id, encode_waveform, reading_line};

use crate::{
    Topic, Value,
    contract_mapping::reason_name,
    contracts::{
        featurize::{Featurized, Featurizer, Rejected},
        types::{Arrival, Dictionary, FeatureBatch, ReadingBatch, SensorTable},
    },
    dictionary::{self, names},
    error::describe_stage_error,
    events::{DetectEvent, FeaturizeEvent, FollowUp},
    queue::QueuedEvent,
    rows::{DEAD_LETTERS, FEATURE_LISTS, READINGS, RowBatch, WAVEFORMS, WINDOWS, doubles_blob, text_value},
    stage_driver::{Stage, StageOutput},
};

pub(crate) struct FeaturizeStage(Featurizer);

impl Stage for FeaturizeStage {
    const INPUT: Topic = Topic::Raw;
    const OUTPUT: Option<Topic> = Some(Topic::Processed);
    const NAME: &'static str = "featurize";

    fn open(config: &str, snapshot: Option<&[u8]>) -> Result<Self, String> {
        let opened = match snapshot {
            None => Featurizer::open(config),
            Some(snapshot) => Featurizer::restore(config, snapshot),
        };
        opened.map(Self).map_err(|error| describe_stage_error(&error))
    }

    fn process(&self, key: &str, event: &QueuedEvent, rows: &mut RowBatch) -> Result<StageOutput, String> {
        let mut raw: FeaturizeEvent = postcard::from_bytes(&event.body).map_err(|error| error.to_string())?;
        let (featurized, follow_up) = match &mut raw {
            FeaturizeEvent::Push(batch) => {
                batch.arrivals = vec![Arrival { first: 0, time: event.time }];
                (self.0.push(batch), FollowUp::Nothing)
            }
            FeaturizeEvent::Tick(now) => (self.0.tick(*now), FollowUp::Tick(*now)),
            // Featurize learns nothing. The event goes on in the queues, so that it keeps its place among the windows.
            FeaturizeEvent::ResetBaseline(now) => return detect_event(empty_features(), FollowUp::ResetBaseline(*now)),
        };
        let mut featurized = featurized.map_err(|error| describe_stage_error(&error))?;
        while featurized.has_more {
            let rest = self.0.resume().map_err(|error| describe_stage_error(&error))?;
            append_output(&mut featurized, rest);
        }
        if let FeaturizeEvent::Push(batch) = &raw {
            // Late readings are stored like any others; repeated ones are stored already.
            let rejected = featurized.rejected.iter().map(|rejected| rejected.index);
            add_readings(batch, rejected.chain(featurized.repeated.iter().copied()), event, rows);
            for rejected in &featurized.rejected {
                add_dead_letter(batch, rejected, rows);
            }
        }
        add_windows(&featurized.features, key, rows);
        let has_windows = featurized.features.blocks.iter().any(|block| !block.sensor.is_empty());
        if follow_up == FollowUp::Nothing && !has_windows {
            return Ok(StageOutput::default());
        }
        detect_event(featurized.features, follow_up)
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.snapshot()
    }

    fn to_dead_letter(event: &QueuedEvent) -> (Option<&'static str>, Vec<u8>, u32) {
        let Ok(FeaturizeEvent::Push(batch)) = postcard::from_bytes(&event.body) else {
            return (None, event.body.clone(), 0);
        };
        let sensors: Vec<&str> = names(&batch.sensors.names).collect();
        let name = |sensor: u32| sensors.get(sensor as usize).copied().unwrap_or("");
        let columns = &batch.readings;
        match batch.waveforms.as_slice() {
            [] => {}
            [waveform] if columns.sensor.is_empty() => {
                let payload = encode_waveform(name(waveform.sensor), waveform.start, waveform.rate, &waveform.samples);
                return (Some("waveform"), payload, count(waveform.samples.len()));
            }
            // No single format can hold all of them.
            _ => return (None, event.body.clone(), 0),
        }
        let rows = columns.sensor.iter().zip(&columns.time).zip(&columns.value);
        let lines = rows.map(|((&sensor, &time), &value)| reading_line(name(sensor), time, value)).collect::<String>();
        (Some("ndjson"), lines.into_bytes(), count(columns.sensor.len()))
    }
}

/// The output with the event for detect.
fn detect_event(features: FeatureBatch, follow_up: FollowUp) -> Result<StageOutput, String> {
    let next = postcard::to_allocvec(&DetectEvent { features, follow_up }).map_err(|error| error.to_string())?;
    Ok(StageOutput { next_event: Some(next), ..StageOutput::default() })
}

fn empty_features() -> FeatureBatch {
    let sensors = SensorTable { names: dictionary::empty(), assets: dictionary::empty(), asset: Vec::new() };
    FeatureBatch { sensors, blocks: Vec::new() }
}

/// Appends the next part of an output that featurize returned in several parts.
fn append_output(total: &mut Featurized, rest: Featurized) {
    let shift = |dictionary: &Dictionary| u32::try_from(dictionary.ends.len()).unwrap_or(u32::MAX);
    let (sensors, assets) = (shift(&total.features.sensors.names), shift(&total.features.sensors.assets));
    let table = rest.features.sensors;
    for name in names(&table.names) {
        dictionary::push_name(&mut total.features.sensors.names, name);
    }
    for asset in names(&table.assets) {
        dictionary::push_name(&mut total.features.sensors.assets, asset);
    }
    total.features.sensors.asset.extend(table.asset.into_iter().map(|asset| asset + assets));
    total.features.blocks.extend(rest.features.blocks.into_iter().map(|mut block| {
        block.sensor.iter_mut().for_each(|sensor| *sensor += sensors);
        block
    }));
    total.rejected.extend(rest.rejected);
    total.repeated.extend(rest.repeated);
    total.late.extend(rest.late);
    total.has_more = rest.has_more;
}

/// Adds the readings that are not skipped: one chunk for each sensor and event, and one row for each waveform.
fn add_readings(batch: &ReadingBatch, skipped: impl Iterator<Item = u32>, event: &QueuedEvent, rows: &mut RowBatch) {
    let mut skipped: Vec<usize> = skipped.map(|index| index as usize).collect();
    skipped.sort_unstable();
    let is_stored = |index: usize| skipped.binary_search(&index).is_err();
    let columns = &batch.readings;
    let sensors: Vec<&str> = names(&batch.sensors.names).collect();
    let mut chunks: Vec<Vec<(i64, f64)>> = vec![Vec::new(); sensors.len()];
    for (index, ((&sensor, &time), &value)) in columns.sensor.iter().zip(&columns.time).zip(&columns.value).enumerate()
    {
        if is_stored(index)
            && let Some(chunk) = chunks.get_mut(sensor as usize)
        {
            chunk.push((time, value));
        }
    }
    for (name, mut chunk) in sensors.iter().zip(chunks) {
        chunk.sort_by_key(|&(time, _)| time);
        let (Some(&(start, _)), Some(&(end, _))) = (chunk.first(), chunk.last()) else { continue };
        let values: Vec<f64> = chunk.iter().map(|&(_, value)| value).collect();
        rows.add(
            READINGS,
            vec![
                text_value(*name),
                Value::Integer(start),
                Value::Integer(end),
                text_value(event.id.as_str()),
                Value::Integer(length_i64(chunk.len())),
                Value::Blob(chunk.iter().flat_map(|(time, _)| time.to_le_bytes()).collect()),
                doubles_blob(&values),
            ],
        );
    }
    for (index, waveform) in batch.waveforms.iter().enumerate() {
        if let Some(name) = sensors.get(waveform.sensor as usize).filter(|_| is_stored(columns.sensor.len() + index)) {
            rows.add(
                WAVEFORMS,
                vec![
                    text_value(*name),
                    Value::Integer(waveform.start),
                    Value::Real(waveform.rate),
                    Value::Integer(length_i64(waveform.samples.len())),
                    Value::Blob(waveform.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()),
                ],
            );
        }
    }
}

/// Adds the dead letter of a reading or waveform that contradicts another, in a form that can be sent again.
fn add_dead_letter(batch: &ReadingBatch, rejected: &Rejected, rows: &mut RowBatch) {
    let columns = &batch.readings;
    let at = rejected.index as usize;
    let name = |sensor: u32| names(&batch.sensors.names).nth(sensor as usize).unwrap_or("").to_owned();
    let (sensor, time, payload, readings, format) =
        match (columns.sensor.get(at), columns.time.get(at), columns.value.get(at)) {
            (Some(&sensor), Some(&time), Some(&value)) => {
                let name = name(sensor);
                let line = reading_line(&name, time, value);
                (name, time, line.into_bytes(), 1, "ndjson")
            }
            _ => match at.checked_sub(columns.sensor.len()).and_then(|at| batch.waveforms.get(at)) {
                Some(waveform) => {
                    let name = name(waveform.sensor);
                    let payload = encode_waveform(&name, waveform.start, waveform.rate, &waveform.samples);
                    (name, waveform.start, payload, count(waveform.samples.len()), "waveform")
                }
                None => return,
            },
        };
    let reason = reason_name(rejected.rejection.reason);
    let mut content = format!("{reason}|{sensor}|").into_bytes();
    content.extend_from_slice(&payload);
    let row = DeadLetter {
        id: content_id(&content),
        time,
        source: "line".to_owned(),
        reason: reason.to_owned(),
        message: rejected.rejection.message.clone(),
        payload,
        readings,
        sensor: Some(sensor),
        format: Some(format.to_owned()),
    };
    rows.add(DEAD_LETTERS, row.into_values());
}

fn add_windows(batch: &FeatureBatch, asset: &str, rows: &mut RowBatch) {
    let sensors: Vec<&str> = names(&batch.sensors.names).collect();
    for block in &batch.blocks {
        let width = block.features.len();
        if width == 0 || block.sensor.is_empty() {
            continue;
        }
        let list = block.features.join(",");
        let id = content_id(list.as_bytes());
        rows.add(FEATURE_LISTS, vec![text_value(id.as_str()), text_value(list)]);
        let columns = block.sensor.iter().zip(&block.start).zip(&block.end).zip(&block.count);
        for ((((sensor, &start), &end), &readings), values) in columns.zip(block.values.chunks_exact(width)) {
            let Some(name) = sensors.get(*sensor as usize) else { continue };
            rows.add(
                WINDOWS,
                vec![
                    text_value(*name),
                    text_value(asset),
                    Value::Integer(start),
                    Value::Integer(end),
                    text_value(id.as_str()),
                    Value::Integer(i64::from(readings)),
                    doubles_blob(values),
                ],
            );
        }
    }
}

fn length_i64(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// A number of readings in a dead letter.
fn count(readings: usize) -> u32 {
    u32::try_from(readings).unwrap_or(u32::MAX)
}
