//! The answers.

wit_bindgen::generate!({ path: "../../wit", world: "platform" });

use exports::wheeltapper::pipeline::front::{
    Change, Filter, FrontError, Guest, Receipt, Sample, Submission, Table, Verdict,
};

struct StandIn;

export!(StandIn);

/// Readings of the sensor's course.
const READINGS: i64 = 1_000;
/// 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600_000_000_000;
const SECOND: i64 = 1_000_000_000;

impl Guest for StandIn {
    fn submit(event: Submission) -> Result<Receipt, FrontError> {
        // One reading a line, unread.
        let lines = event.payload.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count();
        Ok(Receipt { accepted: u32::try_from(lines).unwrap_or(u32::MAX), refused: Vec::new() })
    }

    fn look(table: Table, filter: Filter) -> Result<String, FrontError> {
        Ok(match table {
            Table::Readings if filter.offset == 0 => readings(),
            Table::Sensors => r#"[{"name":"bench/m/s","asset":"bench/m","unit":"","kind":""}]"#.to_owned(),
            _ => "[]".to_owned(),
        })
    }

    fn tick(_now: i64) -> Result<(), FrontError> {
        Ok(())
    }

    fn act(_change: Change) -> Result<String, FrontError> {
        Err(FrontError::Absent("there is nothing here".to_owned()))
    }

    fn detect(_sample: Sample) -> Result<Verdict, FrontError> {
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
    let times: Vec<String> = (0..READINGS).map(|at| (BEGIN + at * SECOND).to_string()).collect();
    let values: Vec<String> = (0..READINGS).map(|at| format!("{}.{}", at % 7, at % 10)).collect();
    format!(
        r#"[{{"sensor":"bench/m/s","start_time":{BEGIN},"end_time":{},"count":{READINGS},"times":[{}],"vals":[{}]}}]"#,
        BEGIN + (READINGS - 1) * SECOND,
        times.join(","),
        values.join(",")
    )
}
