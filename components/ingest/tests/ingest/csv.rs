//! CSV: cells that are not UTF-8, and cells that are not numbers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{decode, envelope, messages, reading, readings, reasons};
use wheeltapper_ingest::{Decoded, Envelope, Ingester, Reason};

fn bytes(payload: &[u8]) -> Decoded {
    Ingester::open("").unwrap().decode([envelope(Some("csv"), payload)])
}

#[test]
fn a_row_that_is_not_utf8_is_rejected() {
    // Latin-1, as spreadsheets write it; the last row is UTF-8.
    let long = bytes(
        b"sensor_id,timestamp,value,note\n\xf6l,1700000000,1,\na,1700000000,1,K\xe4lte\na,17000000\xb200,1,\n\xc3\xb6l,1700000000,2,\n",
    );
    assert_eq!(readings(&long), [reading("\u{f6}l", 2.0)]);
    assert_eq!(reasons(&long), [(2, Reason::Malformed), (3, Reason::Malformed), (4, Reason::Malformed)]);
    assert!(messages(&long).iter().all(|message| message.contains("UTF-8")), "{:?}", messages(&long));
    // The two bytes of a character, split across two cells.
    let wide = bytes(b"time,a,b,c\n1700000000,1,2,\n1700000000,1,2\xc3,\xb6\n1700000001,3,,\n");
    assert_eq!((wide.accepted.as_slice(), wide.rejected[0].readings), ([3].as_slice(), 3));
    assert_eq!(reasons(&wide), [(3, Reason::Malformed)]);
}

#[test]
fn a_file_whose_header_is_not_utf8_is_rejected() {
    for header in [b"time,\xf6l,b\n1700000000,1,2\n".as_slice(), b"sensor_id,value,\xf6l\na,1,2\n"] {
        let decoded = bytes(header);
        assert_eq!((reasons(&decoded), readings(&decoded)), (vec![(0, Reason::Malformed)], vec![]));
        assert!(messages(&decoded)[0].contains("UTF-8"), "{:?}", messages(&decoded));
    }
}

#[test]
fn a_decimal_comma_is_named_in_the_message() {
    let decoded =
        decode(None, "time;a;b\n1700000000;1,5;2\n1700000000;-1.234,5e3;2\n1700000000;1,2,3;x\n1700000000;,;1.5\n");
    assert_eq!(decoded.accepted, [3]);
    let texts = messages(&decoded);
    let explained: Vec<bool> = texts.iter().map(|text| text.contains("decimal point")).collect();
    assert_eq!(explained, [true, true, false, false, false], "{texts:?}");
    assert!(texts[0].contains("\"1,5\"") && texts[0].contains("1.5"), "{texts:?}");
    let long = Envelope { sensor: Some("a"), ..envelope(Some("csv"), b"time;value\n1700000000;1,5\n") };
    let long = Ingester::open("").unwrap().decode([long]);
    assert!(messages(&long)[0].contains("decimal point"), "{:?}", messages(&long));
}
