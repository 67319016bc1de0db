//! Splits readings by partition.

use std::mem;

use crate::{
    components::wit::ingest::Decoded,
    intake::exchanges::StoreRequest,
    name_dictionary,
    registry::{Registry, SensorLocation},
    topics::{RawRecord, encode_readings},
};

/// Columns of one partition.
#[derive(Debug, Default)]
struct ReadingBuffer {
    sensor: Vec<u32>,
    time: Vec<i64>,
    value: Vec<f64>,
}

/// Splits decoded readings by partition; reuses its buffers.
#[derive(Debug)]
pub(super) struct Splitter {
    columns: Vec<ReadingBuffer>,
}

impl Splitter {
    pub(super) fn new(partitions: u16) -> Self {
        Self { columns: (0..partitions).map(|_| ReadingBuffer::default()).collect() }
    }

    /// Returns framed records for each partition that has any.
    pub(super) fn split(&mut self, decoded: Decoded, arrival: i64, registry: &Registry) -> Vec<(usize, Vec<u8>)> {
        let mut parts: Vec<(usize, Vec<u8>)> = Vec::new();
        self.for_each_record(decoded, arrival, registry, |partition, payload| {
            wheeltapper_log::encode_frame(payload, partition_buffer(&mut parts, partition));
        });
        parts
    }

    /// Like [`Self::split`], for the message of a QoS 2 exchange: each record is tagged with the exchange, and records
    /// that are already stored are left out. Also returns the number of records of the whole message.
    pub(super) fn split_tagged(
        &mut self,
        decoded: Decoded,
        arrival: i64,
        registry: &Registry,
        request: &StoreRequest,
    ) -> (Vec<(usize, Vec<u8>)>, u16) {
        let mut records = Vec::new();
        self.for_each_record(decoded, arrival, registry, |partition, payload| {
            records.push((partition, mem::take(payload)))
        });
        let count = u16::try_from(records.len()).unwrap_or(u16::MAX);
        let mut parts: Vec<(usize, Vec<u8>)> = Vec::new();
        for (number, (partition, record)) in
            (0..count).zip(&records).filter(|(number, _)| !request.is_stored(*number, count))
        {
            let tagged = RawRecord::encode_tagged(&request.tag, number, count, record);
            wheeltapper_log::encode_frame(&tagged, partition_buffer(&mut parts, *partition));
        }
        (parts, count)
    }

    /// Calls `take` with each record and its partition.
    fn for_each_record(
        &mut self,
        decoded: Decoded,
        arrival: i64,
        registry: &Registry,
        mut take: impl FnMut(usize, &mut Vec<u8>),
    ) {
        let locations = registry.lookup(name_dictionary::names(&decoded.sensors));
        let readings = &decoded.readings;
        for ((&sensor, &time), &value) in readings.sensor.iter().zip(&readings.time).zip(&readings.value) {
            if let Some(location) = locations.get(sensor as usize).copied().flatten()
                && let Some(columns) = self.columns.get_mut(usize::from(location.partition))
            {
                columns.sensor.push(location.sensor);
                columns.time.push(time);
                columns.value.push(value);
            }
        }
        let mut payload = Vec::new();
        for (partition, columns) in self.columns.iter_mut().enumerate() {
            if columns.sensor.is_empty() {
                continue;
            }
            payload.clear();
            encode_readings(arrival, &columns.sensor, &columns.time, &columns.value, &mut payload);
            take(partition, &mut payload);
            columns.sensor.clear();
            columns.time.clear();
            columns.value.clear();
        }
        for waveform in decoded.waveforms {
            let Some(SensorLocation { sensor, partition, .. }) =
                locations.get(waveform.sensor as usize).copied().flatten()
            else {
                continue;
            };
            let record = RawRecord::Waveform {
                arrival,
                sensor,
                start: waveform.start,
                rate: waveform.rate,
                samples: waveform.samples,
            };
            payload.clear();
            record.encode(&mut payload);
            take(usize::from(partition), &mut payload);
        }
    }
}

fn partition_buffer(parts: &mut Vec<(usize, Vec<u8>)>, partition: usize) -> &mut Vec<u8> {
    let index = match parts.iter().position(|(index, _)| *index == partition) {
        Some(index) => index,
        None => {
            parts.push((partition, Vec::new()));
            parts.len() - 1
        }
    };
    &mut parts[index].1
}
