//! Recordings that `wheeltapper replay` reads: CSV and NumPy.

use std::{fs, path::Path};

use wheeltapper_ingest::{Envelope, Ingester};
use wheeltapper_simulate::{Chunk, CsvOptions, CsvRecording, NpyOptions, NpyRecording, RecordingError};

use crate::{NOW, bounds, folder};

/// A CSV file.
pub fn csv(bytes: &[u8]) {
    let options = CsvOptions {
        asset: "a".into(),
        sensor: "{asset}/{column}".into(),
        ignore: vec!["label".into()],
        rows_per_chunk: 8,
        ..CsvOptions::default()
    };
    file(bytes, |path| Ok(feed(CsvRecording::open(path, options.clone())?)));
}

/// A NumPy file.
pub fn npy(bytes: &[u8]) {
    let options =
        NpyOptions { sensor: "s".into(), rate: 100.0, start_ns: 1_577_836_800_000_000_000, waveform_seconds: 0.25 };
    file(bytes, |path| Ok(feed(NpyRecording::open(path, options.clone())?)));
}

fn file(bytes: &[u8], read: impl Fn(&Path) -> Result<(), RecordingError>) {
    let place = folder();
    let path = place.path().join("recording");
    let read = |bytes: &[u8]| {
        if let Err(error) = fs::write(&path, bytes) {
            panic!("the recording cannot be written: {error}");
        }
        read(&path)
    };
    if let Err(error) = bounds::linear(bytes, read) {
        assert!(error.to_string().contains("recording"), "an error that does not name the file: {error}");
    }
}

/// What a recording says that it holds is what ingest takes and refuses of it.
fn feed(chunks: impl Iterator<Item = Result<Chunk, RecordingError>>) {
    let mut ingester = match Ingester::open("") {
        Ok(ingester) => ingester,
        Err(error) => panic!("ingest without a configuration: {error}"),
    };
    for chunk in chunks {
        let Ok(chunk) = chunk else { return };
        let format = Some(chunk.content_type);
        let event = Envelope { source: "replay", format, sensor: None, arrival: NOW, payload: &chunk.body };
        let decoded = ingester.decode([event]);
        let accepted: u64 = decoded.accepted.iter().map(|&count| u64::from(count)).sum();
        let refused: u64 = decoded.rejected.iter().map(|refusal| u64::from(refusal.readings)).sum();
        assert_eq!(
            accepted + refused,
            chunk.readings,
            "the counts do not add up: {accepted} accepted, {refused} refused"
        );
    }
}
