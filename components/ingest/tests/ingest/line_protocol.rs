//! InfluxDB line protocol: integers, and the unit of times.

use crate::common::{self, T, decode, envelope, messages, reading, readings, reasons};
use wheeltapper_ingest::{Ingester, Reason};

#[test]
fn integers_must_be_in_range() {
    let body = "a value=-9223372036854775808i 1700000000\n\
                a value=9223372036854775807i 1700000000\n\
                a value=18446744073709551615u 1700000000\n\
                a value=9223372036854775808i 1700000000\n\
                a value=99999999999999999999i 1700000000\n\
                a value=-9223372036854775809i 1700000000\n\
                a value=18446744073709551616u 1700000000\n\
                a value=-1u 1700000000\n\
                a value=1.5i 1700000000\n\
                a value=infi 1700000000\n\
                a value=i,b=1e20 1700000000\n";
    let decoded = decode(None, body);
    assert_eq!(
        readings(&decoded),
        [
            reading("a", -9_223_372_036_854_775_808.0),
            reading("a", 9_223_372_036_854_775_807.0),
            reading("a", 18_446_744_073_709_551_615.0),
            reading("a/b", 1e20)
        ]
    );
    assert_eq!(reasons(&decoded), (4..=11).map(|line| (line, Reason::Malformed)).collect::<Vec<_>>());
    let texts = messages(&decoded);
    for (text, range) in texts.iter().zip(["-9223372036854775808 to 9223372036854775807"; 3]) {
        assert!(text.contains(range) && text.contains("without the i"), "{text}");
    }
    for text in texts.get(3..5).unwrap_or_default() {
        assert!(text.contains("0 to 18446744073709551615") && text.contains("without the u"), "{text}");
    }
}

#[test]
fn the_precision_parameter_sets_the_unit_of_times() {
    let mut ingester = Ingester::open(r#"{"earliest": "1970-01-01T00:00:00Z"}"#).unwrap();
    for (precision, unit) in [
        ("ns", 1),
        ("n", 1),
        ("us", 1_000),
        ("u", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ] {
        // The size of this number would give another unit.
        let body = format!("a value=1 {}\n", T / unit / 700);
        for format in ["line-protocol", "text/plain; charset=utf-8", "*/*"] {
            let format = format!("{format}; precision={precision}");
            let decoded = ingester.decode([envelope(Some(&format), body.as_bytes())]);
            assert_eq!(readings(&decoded), [("a".to_owned(), T / unit / 700 * unit, 1.0)], "{format} {precision}");
        }
    }
    let quoted = decode(Some("line-protocol; Precision=\"ms\""), "a value=1 1000000000000\n");
    assert_eq!(readings(&quoted), [("a".to_owned(), 1_000_000_000_000_000_000, 1.0)]);
    // A reading without a time gets the arrival, and other formats ignore the parameter.
    assert_eq!(readings(&decode(Some("line-protocol; precision=s"), "a value=1\n"))[0].1, common::NOW);
    let json = decode(Some("application/json; precision=ns"), r#"{"sensor_id":"a","timestamp":1700000000,"values":1}"#);
    assert_eq!(readings(&json), [reading("a", 1.0)]);
}

#[test]
fn an_unknown_precision_or_a_time_that_is_not_an_integer_is_rejected() {
    let odd = decode(Some("line-protocol; precision=minutes"), "a value=1 1700000000\nb value=2 1700000000\n");
    assert_eq!(reasons(&odd), [(0, Reason::Malformed)]);
    assert!(messages(&odd)[0].contains("\"minutes\" is not one of ns, n, us, u, ms, s"), "{:?}", messages(&odd));
    let body = "a value=1 1700000000\na value=1 1.5\na value=1 2026-01-01T00:00:00Z\na value=1 9223372036854775807\n";
    let stamps = decode(Some("line-protocol; precision=s"), body);
    assert_eq!(readings(&stamps), [reading("a", 1.0)]);
    assert_eq!(reasons(&stamps), [2, 3, 4].map(|line| (line, Reason::Malformed)));
    assert!(messages(&stamps)[0].contains("precision=s; got \"1.5\""), "{:?}", messages(&stamps));
}
