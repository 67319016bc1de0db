//! SenML, RFC 8428: mandatory labels, and sums.

use crate::common::{decode, messages, reading, readings, reasons};
use wheeltapper_ingest::Reason;

#[test]
fn a_pack_with_a_mandatory_label_is_rejected() {
    for label in ["scale_", "bct_", "_", "scale\\u005f", "scale\\u005F"] {
        let body = format!(
            r#"[{{"bn":"a/","bt":1.7e9}},{{"n":"x","v":1}},{{"n":"y","v":2,"{label}":{{"by":[1000]}}}},{{"n":"z","v":1}}]"#
        );
        let decoded = decode(Some("senml"), &body);
        assert_eq!((readings(&decoded), reasons(&decoded)), (vec![], vec![(0, Reason::Malformed)]), "{body}");
        // The dictionary has no name of a rejected reading.
        assert!(decoded.ends.is_empty());
        assert_eq!(decoded.rejected.iter().map(|rejected| rejected.readings).sum::<u32>(), 4);
        let text = messages(&decoded).concat();
        let name = label.replace("\\u005f", "_").replace("\\u005F", "_");
        assert!(text.contains("record 3") && text.contains(&format!("{name:?}")), "{text}");
    }
}

#[test]
fn other_labels_are_ignored() {
    let body = r#"[{"n":"a_","t":1.7e9,"u":"_","v":1,"ct":"_","x_y":1,"more":{"inner_":"z_"}}]"#;
    assert_eq!(readings(&decode(Some("senml"), body)), [reading("a_", 1.0)]);
}

#[test]
fn the_base_sum_is_added_to_sums() {
    let body = r#"[{"bn":"a/","bt":1.7e9,"bs":100,"bv":7,"n":"x","s":1},{"n":"y","s":2.5},{"n":"z","v":1,"s":2},{"bs":-1,"n":"x","s":0},{"n":"w"}]"#;
    let decoded = decode(Some("senml"), body);
    assert_eq!(
        readings(&decoded),
        [reading("a/x", 101.0), reading("a/y", 102.5), reading("a/z", 8.0), reading("a/x", -1.0)]
    );
    assert_eq!(reasons(&decoded), [(5, Reason::Malformed)]);
}
