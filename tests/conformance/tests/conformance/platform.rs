//! The reader of a platform's store agrees with the line's schema.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rusqlite::{Connection, params};
use wheeltapper_conformance::{CanonicalTable, Sqlite, platform_store};
use wheeltapper_line::{Dialect, schema};

#[test]
fn every_table_of_the_schema_is_read() {
    let store = Connection::open_in_memory().unwrap();
    for statement in schema::statements(Dialect::Sqlite) {
        store.execute_batch(&statement).unwrap();
    }
    let blob = |numbers: &[[u8; 8]]| numbers.concat();
    let times = blob(&[1_i64, 60_000_000_000].map(i64::to_le_bytes));
    let values = blob(&[0.1_f64, -0.0].map(f64::to_le_bytes));
    store.execute("INSERT INTO readings VALUES ('a/s', 1, 2, 'e', 2, ?1, ?2)", params![times, values]).unwrap();
    store.execute("INSERT INTO waveforms VALUES ('a/s', 3, 1000.0, 1, x'0000803f')", []).unwrap();
    store.execute("INSERT INTO feature_lists VALUES ('l', 'mean,skewness')", []).unwrap();
    let values = blob(&[2.5_f64, f64::NAN].map(f64::to_le_bytes));
    store.execute("INSERT INTO windows VALUES ('a/s', 'a', 0, 5, 'l', 2, ?1)", params![values]).unwrap();
    store
        .execute_batch(
            "INSERT INTO anomalies VALUES ('i', 5, 'a/s', 'a', 0, 5, 1.0, 'm', 'high', 0, 0.9, 0.5, NULL, 'w', '{\"trend\":null,\"contributions\":[]}');
             INSERT INTO alerts VALUES ('l', 'a', 'a/s', 'high', 'open', 5, 6, NULL, 1, 1.0, 'i', NULL, 't', 'm', 'r', 7);
             INSERT INTO drifts VALUES ('d', 'a', 5, 'kept', '[\"a/s\"]', 0.01, 'm');
             INSERT INTO prognoses VALUES ('a', 5, 0.5, NULL, 2.0, 3.0, 'degradation');
             INSERT INTO work_orders VALUES ('o', 'l', 'a', 'inspection', 2, 'planned', 9, 60, 'Ada', '[\"mechanic\"]', '[]', 60.0, 'n', 8, 0);
             INSERT INTO dead_letters VALUES ('x', 1, 'src', 'late', 'm', x'ff', 1, NULL, 'json');",
        )
        .unwrap();
    let found = platform_store::read_tables(&mut Sqlite::from(store)).unwrap();
    assert_eq!(
        found.lines(CanonicalTable::Readings),
        [r#"{"readings":[[1,0.1]],"sensor":"a/s"}"#, r#"{"readings":[[60000000000,-0.0]],"sensor":"a/s"}"#]
    );
    let features = found.lines(CanonicalTable::Features);
    assert!(features[0].contains(r#""names":["mean","skewness"]"#), "{features:?}");
    assert!(features[1].contains(r#""values":[2.5,"NaN"]"#), "{features:?}");
    assert!(found.lines(CanonicalTable::Waveforms)[0].contains(r#""count":1"#));
    assert!(found.lines(CanonicalTable::Anomalies)[0].contains(r#""metadata":{"contributions":[],"trend":null}"#));
    assert!(found.lines(CanonicalTable::Alerts)[0].contains(r#""resolved":null"#));
    assert!(found.lines(CanonicalTable::Drifts)[0].contains(r#""sensors":["a/s"]"#));
    assert!(found.lines(CanonicalTable::Prognoses)[0].contains(r#""p10_hours":null,"p50_hours":2.0"#));
    assert!(found.lines(CanonicalTable::WorkOrders)[0].contains(r#""skills":["mechanic"]"#));
    assert_eq!(
        found.lines(CanonicalTable::DeadLetters),
        [r#"{"message":"m","payload":"/w==","readings":1,"reason":"late","sensor":null,"source":"src"}"#]
    );
}
