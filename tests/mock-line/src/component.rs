//! The constant responses.

wit_bindgen::generate!({ path: "../../wit", world: "platform" });

use exports::wheeltapper::pipeline::line_api::{
    ActionRequest, DetectRequest, Filter, Guest, LineApiError, Receipt, Submission, Table, Verdict,
};

struct MockLine;

export!(MockLine);

/// The number of readings of the sensor.
const READINGS: i64 = 1_000;
/// The time of the first reading: 2026-01-01T00:00:00Z, in nanoseconds since 1970.
const START: i64 = 1_767_225_600_000_000_000;
const SECOND: i64 = 1_000_000_000;

impl Guest for MockLine {
    fn submit(event: Submission) -> Result<Receipt, LineApiError> {
        // Counts each line as a reading, without parsing it.
        let lines = event.payload.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count();
        Ok(Receipt { accepted: u32::try_from(lines).unwrap_or(u32::MAX), rejections: Vec::new() })
    }

    fn query(table: Table, filter: Filter) -> Result<String, LineApiError> {
        Ok(match table {
            Table::Readings if filter.offset == 0 => readings(),
            Table::Sensors => r#"[{"name":"bench/m/s","asset":"bench/m","unit":"","kind":""}]"#.to_owned(),
            _ => "[]".to_owned(),
        })
    }

    fn tick(_now: i64) -> Result<(), LineApiError> {
        Ok(())
    }

    fn perform_action(_request: ActionRequest) -> Result<String, LineApiError> {
        Err(LineApiError::NotFound("the mock line has no data".to_owned()))
    }

    fn detect(_request: DetectRequest) -> Result<Verdict, LineApiError> {
        Ok(Verdict {
            asset: "bench/m".to_owned(),
            sensor: "bench/m/s".to_owned(),
            score: 0.5,
            threshold: 0.999,
            confidence: 0.9,
            model: "ensemble".to_owned(),
            explanation: r#"{"message":"nothing stands out","fault_mode":null,"contributions":[]}"#.to_owned(),
        })
    }
}

fn readings() -> String {
    let times: Vec<String> = (0..READINGS).map(|at| (START + at * SECOND).to_string()).collect();
    let values: Vec<String> = (0..READINGS).map(|at| format!("{}.{}", at % 7, at % 10)).collect();
    format!(
        r#"[{{"sensor":"bench/m/s","start_time":{START},"end_time":{},"count":{READINGS},"times":[{}],"vals":[{}]}}]"#,
        START + (READINGS - 1) * SECOND,
        times.join(","),
        values.join(",")
    )
}
