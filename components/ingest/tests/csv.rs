//! CSV: what is no text.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{envelope, messages, one, readings, reasons};
use wheeltapper_ingest::{Decoded, Ingester, Reason};

fn bytes(payload: &[u8]) -> Decoded {
    Ingester::open("").unwrap().decode([envelope(Some("csv"), payload)])
}

#[test]
fn a_row_that_is_not_utf8_is_refused() {
    // Latin-1, as spreadsheets write it; the last row is UTF-8.
    let long = bytes(
        b"sensor_id,timestamp,value,note\n\xf6l,1700000000,1,\na,1700000000,1,K\xe4lte\na,17000000\xb200,1,\n\xc3\xb6l,1700000000,2,\n",
    );
    assert_eq!(readings(&long), [one("\u{f6}l", 2.0)]);
    assert_eq!(reasons(&long), [(2, Reason::Malformed), (3, Reason::Malformed), (4, Reason::Malformed)]);
    assert!(messages(&long).iter().all(|said| said.contains("UTF-8")), "{:?}", messages(&long));
    // Bytes that are a letter only across two cells.
    let wide = bytes(b"time,a,b,c\n1700000000,1,2,\n1700000000,1,2\xc3,\xb6\n1700000001,3,,\n");
    assert_eq!((wide.accepted.as_slice(), wide.refusals[0].readings), ([3].as_slice(), 3));
    assert_eq!(reasons(&wide), [(3, Reason::Malformed)]);
}

#[test]
fn a_header_that_is_not_utf8_refuses_the_file() {
    for header in [b"time,\xf6l,b\n1700000000,1,2\n".as_slice(), b"sensor_id,value,\xf6l\na,1,2\n"] {
        let decoded = bytes(header);
        assert_eq!((reasons(&decoded), readings(&decoded)), (vec![(0, Reason::Malformed)], vec![]));
        assert!(messages(&decoded)[0].contains("UTF-8"), "{:?}", messages(&decoded));
    }
}
