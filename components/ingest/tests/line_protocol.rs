//! InfluxDB line protocol: whole numbers.

mod common;

use common::{decode, messages, one, readings, reasons};
use wheeltapper_ingest::Reason;

#[test]
fn whole_numbers_are_held_to_their_range() {
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
            one("a", -9_223_372_036_854_775_808.0),
            one("a", 9_223_372_036_854_775_807.0),
            one("a", 18_446_744_073_709_551_615.0),
            one("a/b", 1e20)
        ]
    );
    assert_eq!(reasons(&decoded), (4..=11).map(|line| (line, Reason::Malformed)).collect::<Vec<_>>());
    let said = messages(&decoded);
    for (said, range) in said.iter().zip(["-9223372036854775808 to 9223372036854775807"; 3]) {
        assert!(said.contains(range) && said.contains("without the i"), "{said}");
    }
    for said in said.get(3..5).unwrap_or_default() {
        assert!(said.contains("0 to 18446744073709551615") && said.contains("without the u"), "{said}");
    }
}
