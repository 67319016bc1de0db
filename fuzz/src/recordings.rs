//! Recordings that `wheeltapper replay` reads: CSV and NumPy.

use std::{fs, path::Path};

use wheeltapper_ingest::{Envelope, Ingester};
use wheeltapper_simulate::{Chunk, CsvOptions, CsvRecording, NpyOptions, NpyRecording, RecordingError};

use crate::{NOW, bounds, temp_folder};

/// Reads a CSV file.
pub fn csv(bytes: &[u8]) {
    let options = CsvOptions {
        asset: "a".into(),
        sensor: "{asset}/{column}".into(),
        ignore: vec!["label".into()],
        rows_per_chunk: 8,
        ..CsvOptions::default()
    };
    read_file(bytes, |path| Ok(ingest_chunks(CsvRecording::open(path, options.clone())?)));
}

/// Reads a NumPy file.
pub fn npy(bytes: &[u8]) {
    let options =
        NpyOptions { sensor: "s".into(), rate: 100.0, start_ns: 1_577_836_800_000_000_000, waveform_seconds: 0.25 };
    read_file(bytes, |path| Ok(ingest_chunks(NpyRecording::open(path, options.clone())?)));
}

/// Writes the input to a file and reads it.
fn read_file(bytes: &[u8], read: impl Fn(&Path) -> Result<(), RecordingError>) {
    let folder = temp_folder();
    let path = folder.path().join("recording");
    let write_and_read = |bytes: &[u8]| {
        if let Err(error) = fs::write(&path, bytes) {
            panic!("the recording cannot be written: {error}");
        }
        read(&path)
    };
    if let Err(error) = bounds::linear(bytes, write_and_read) {
        assert!(error.to_string().contains("recording"), "the error does not name the file: {error}");
    }
}

/// Asserts for each chunk that its number of readings is the number that ingest accepts and rejects.
fn ingest_chunks(chunks: impl Iterator<Item = Result<Chunk, RecordingError>>) {
    let mut ingester = match Ingester::open("") {
        Ok(ingester) => ingester,
        Err(error) => panic!("ingest does not open without a configuration: {error}"),
    };
    for chunk in chunks {
        let Ok(chunk) = chunk else { return };
        let format = Some(chunk.content_type);
        let event = Envelope { source: "replay", format, sensor: None, arrival: NOW, payload: &chunk.body };
        let decoded = ingester.decode([event]);
        let accepted: u64 = decoded.accepted.iter().map(|&count| u64::from(count)).sum();
        let rejected: u64 = decoded.rejected.iter().map(|part| u64::from(part.readings)).sum();
        assert_eq!(
            accepted + rejected,
            chunk.readings,
            "the counts do not add up: {accepted} accepted, {rejected} rejected"
        );
    }
}
