//! Which sampling rates are taken.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{T, decode, envelope, messages, reasons};
use wheeltapper_ingest::{Ingester, Reason};

/// `count` samples as a waveform of its own format.
fn burst(rate: f64, count: u32) -> Vec<u8> {
    let mut body = b"WTW1\x01\x00v".to_vec();
    body.extend(T.to_le_bytes());
    body.extend(rate.to_le_bytes());
    body.extend(count.to_le_bytes());
    (0..count).for_each(|_| body.extend(1_f32.to_le_bytes()));
    body
}

#[test]
fn a_rate_that_no_sensor_has_is_refused() {
    let mut ingester = Ingester::open("").unwrap();
    for rate in [1e-6, 0.5, 25_600.0, 1e9] {
        assert_eq!(ingester.decode([envelope(None, &burst(rate, 2))]).accepted, [2], "{rate}");
    }
    for rate in [f64::NAN, f64::NEG_INFINITY, -1.0, 0.0, 5e-324, 9e-7, 1.1e9, 1e300, f64::INFINITY] {
        let decoded = ingester.decode([envelope(None, &burst(rate, 1))]);
        assert_eq!((reasons(&decoded), decoded.accepted.as_slice()), (vec![(0, Reason::Malformed)], [0].as_slice()));
        let said = messages(&decoded)[0];
        assert!(said.contains("0.000001 to 1000000000 Hz") && said.contains("samples a second"), "{said}");
    }
}

#[test]
fn a_rate_in_json_is_held_to_the_same() {
    for (values, count) in [("1,2", 2), ("1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", 16)] {
        for (rate, taken) in [("1e9", count), ("1e300", 0), ("1e-300", 0), ("0", 0)] {
            let body = format!(
                r#"{{"sensor_id":"v","timestamp":1700000000,"values":[{values}],"metadata":{{"sampling_hz":{rate}}}}}"#
            );
            let decoded = decode(None, &body);
            assert_eq!(decoded.accepted, [taken], "{body}");
            assert!(messages(&decoded).iter().all(|said| said.contains("1000000000 Hz")), "{:?}", messages(&decoded));
        }
    }
}
