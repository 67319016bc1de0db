//! Valid and invalid sampling rates.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{T, decode, envelope, messages, reasons};
use wheeltapper_ingest::{Ingester, Reason};

/// A waveform of `count` samples, in the format `waveform`.
fn waveform(rate: f64, count: u32) -> Vec<u8> {
    let mut body = b"WTW1\x01\x00v".to_vec();
    body.extend(T.to_le_bytes());
    body.extend(rate.to_le_bytes());
    body.extend(count.to_le_bytes());
    (0..count).for_each(|_| body.extend(1_f32.to_le_bytes()));
    body
}

#[test]
fn a_rate_out_of_range_is_rejected() {
    let mut ingester = Ingester::open("").unwrap();
    for rate in [1e-6, 0.5, 25_600.0, 1e9] {
        assert_eq!(ingester.decode([envelope(None, &waveform(rate, 2))]).accepted, [2], "{rate}");
    }
    for rate in [f64::NAN, f64::NEG_INFINITY, -1.0, 0.0, 5e-324, 9e-7, 1.1e9, 1e300, f64::INFINITY] {
        let decoded = ingester.decode([envelope(None, &waveform(rate, 1))]);
        assert_eq!((reasons(&decoded), decoded.accepted.as_slice()), (vec![(0, Reason::Malformed)], [0].as_slice()));
        let text = messages(&decoded)[0];
        assert!(text.contains("0.000001 to 1000000000 Hz") && text.contains("samples per second"), "{text}");
    }
}

#[test]
fn a_rate_in_json_has_the_same_range() {
    for (values, count) in [("1,2", 2), ("1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", 16)] {
        for (rate, accepted) in [("1e9", count), ("1e300", 0), ("1e-300", 0), ("0", 0)] {
            let body = format!(
                r#"{{"sensor_id":"v","timestamp":1700000000,"values":[{values}],"metadata":{{"sampling_hz":{rate}}}}}"#
            );
            let decoded = decode(None, &body);
            assert_eq!(decoded.accepted, [accepted], "{body}");
            assert!(messages(&decoded).iter().all(|text| text.contains("1000000000 Hz")), "{:?}", messages(&decoded));
        }
    }
}
