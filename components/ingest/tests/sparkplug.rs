//! Sparkplug B: which births the aliases are of, and what ends them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{T, envelope, messages, one, readings, reasons};
use wheeltapper_ingest::{Decoded, Envelope, Ingester, Reason};

fn of<'a>(topic: &'a str, payload: &'a [u8]) -> Envelope<'a> {
    Envelope { source: topic, ..envelope(None, payload) }
}

/// A Sparkplug payload: metrics of (name, alias, double).
fn sparkplug(metrics: &[(Option<&str>, u64, f64)]) -> Vec<u8> {
    let mut body = vec![0x08];
    varint(1_700_000_000_000, &mut body);
    for (name, alias, value) in metrics {
        let mut metric = Vec::new();
        if let Some(name) = name {
            metric.extend([0x0a, u8::try_from(name.len()).unwrap()]);
            metric.extend(name.bytes());
        }
        metric.push(0x10);
        varint(*alias, &mut metric);
        metric.extend([0x20, 10, 0x69]);
        metric.extend(value.to_le_bytes());
        body.push(0x12);
        varint(metric.len() as u64, &mut body);
        body.extend(metric);
    }
    body
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A payload with nothing but a birth's number.
fn numbered(number: u64) -> Vec<u8> {
    let mut metric = b"\x0a\x05bdSeq\x58".to_vec();
    varint(number, &mut metric);
    let mut body = vec![0x12, u8::try_from(metric.len()).unwrap()];
    body.extend(metric);
    body
}

/// A node `n` born as number 1 with alias 1, its devices `d` with alias 2 and `e` with alias 3.
fn born() -> Ingester {
    let node = [numbered(1), sparkplug(&[(Some("load"), 1, 0.5)])].concat();
    let (d, e) = (sparkplug(&[(Some("temp"), 2, 20.0)]), sparkplug(&[(Some("flow"), 3, 30.0)]));
    let mut ingester = Ingester::open("").unwrap();
    let decoded = ingester.decode([
        of("spBv1.0/g/NBIRTH/n", &node),
        of("spBv1.0/g/DBIRTH/n/d", &d),
        of("spBv1.0/g/DBIRTH/n/e", &e),
    ]);
    assert_eq!(readings(&decoded), [one("g/n/load", 0.5), one("g/n/d/temp", 20.0), one("g/n/e/flow", 30.0)]);
    ingester
}

/// What the node and its devices say by their aliases.
fn data(ingester: &mut Ingester) -> Decoded {
    let [load, temp, flow] = [1, 2, 3].map(|alias| sparkplug(&[(None, alias, 1.0)]));
    ingester.decode([
        of("spBv1.0/g/NDATA/n", &load),
        of("spBv1.0/g/DDATA/n/d", &temp),
        of("spBv1.0/g/DDATA/n/e", &flow),
    ])
}

#[test]
fn after_a_nodes_death_no_alias_is_known() {
    let mut ingester = born();
    assert_eq!(data(&mut ingester).accepted, [1, 1, 1]);
    let died = ingester.decode([of("spBv1.0/g/NDEATH/n", &numbered(1))]);
    assert!(died.state_changed && died.refusals.is_empty());
    let decoded = data(&mut ingester);
    assert_eq!(decoded.accepted, [0, 0, 0]);
    assert!(messages(&decoded).iter().all(|message| message.contains("Rebirth")), "{:?}", messages(&decoded));
    // A restart does not bring it back.
    assert_eq!(data(&mut Ingester::restore("", &ingester.snapshot()).unwrap()).accepted, [0, 0, 0]);
    assert!(!ingester.decode([of("spBv1.0/g/NDEATH/n", &numbered(1))]).state_changed);
}

#[test]
fn after_a_devices_death_only_its_aliases_are_unknown() {
    let mut ingester = born();
    let died = ingester.decode([of("spBv1.0/g/DDEATH/n/d", b"")]);
    assert!(died.state_changed && died.refusals.is_empty());
    assert_eq!(data(&mut ingester).accepted, [1, 0, 1]);
    let other = ingester.decode([of("spBv1.0/g/DDEATH/n/x", b""), of("spBv1.0/g/DDEATH/m/e", b"")]);
    assert!(!other.state_changed);
}

#[test]
fn a_will_of_another_session_is_no_death() {
    let mut ingester = Ingester::restore("", &born().snapshot()).unwrap();
    for number in [0, 2] {
        let died = ingester.decode([of("spBv1.0/g/NDEATH/n", &numbered(number))]);
        assert!(!died.state_changed && died.refusals.is_empty());
        assert_eq!(data(&mut ingester).accepted, [1, 1, 1]);
    }
    // Without a number it may be of any session.
    assert!(ingester.decode([of("spBv1.0/g/NDEATH/n", b"")]).state_changed);
    assert_eq!(data(&mut ingester).accepted, [0, 0, 0]);
}

#[test]
fn a_death_that_cannot_be_read_is_refused() {
    let mut ingester = born();
    let decoded = ingester.decode([of("spBv1.0/g/NDEATH/n", b"\xff\xff"), of("spBv1.0/g/NDEATH/n/d", b"")]);
    assert_eq!(reasons(&decoded), [(0, Reason::Malformed), (0, Reason::Malformed)]);
    assert_eq!(data(&mut ingester).accepted, [1, 1, 1]);
}

#[test]
fn an_alias_of_another_device_names_no_sensor() {
    let mut ingester = born();
    let [load, temp] = [1, 2].map(|alias| sparkplug(&[(None, alias, 1.0)]));
    let decoded = ingester.decode([
        of("spBv1.0/g/DDATA/n/e", &temp),
        of("spBv1.0/g/DDATA/n/e", &load),
        of("spBv1.0/g/NDATA/n", &temp),
    ]);
    assert_eq!((readings(&decoded), decoded.ends.len()), (vec![], 0));
    let said = messages(&decoded);
    assert!(said[0].contains("born by device d, not by device e") && said[0].contains("Rebirth"), "{said:?}");
    assert!(said[1].contains("born by the node, not by device e"), "{said:?}");
    assert!(said[2].contains("born by device d, not by the node"), "{said:?}");
}

#[test]
fn snapshots_of_version_1_are_still_read() {
    // Of one node, g/n, with alias 7: temp of device d, a double.
    let before = b"\x01\x01\x03g/n\x01\x07\x01\x01d\x04temp\x0a";
    let mut ingester = Ingester::restore("", before).unwrap();
    let temp = sparkplug(&[(None, 7, 21.0)]);
    assert_eq!(readings(&ingester.decode([of("spBv1.0/g/DDATA/n/d", &temp)])), [one("g/n/d/temp", 21.0)]);
    let mut ingester = Ingester::restore("", &ingester.snapshot()).unwrap();
    assert_eq!(ingester.decode([of("spBv1.0/g/DDATA/n/d", &temp)]).time, [T]);
    // Which birth they are of was not kept: any death ends them.
    ingester.decode([of("spBv1.0/g/NDEATH/n", &numbered(4))]);
    assert_eq!(ingester.decode([of("spBv1.0/g/DDATA/n/d", &temp)]).accepted, [0]);
}

#[test]
fn sparkplug_aliases_outlive_a_restart() {
    let birth = sparkplug(&[(Some("temp"), 7, 20.0), (Some("bdSeq"), 8, 1.0)]);
    let data = sparkplug(&[(None, 7, 21.0), (None, 9, 1.0)]);
    let mut ingester = Ingester::open("").unwrap();
    let born = ingester.decode([of("spBv1.0/g/DBIRTH/n/d", birth.as_slice())]);
    assert!(born.state_changed);
    assert_eq!(readings(&born), [one("g/n/d/temp", 20.0)]);
    let mut ingester = Ingester::restore("", &ingester.snapshot()).unwrap();
    let decoded = ingester.decode([of("spBv1.0/g/DDATA/n/d", data.as_slice())]);
    assert!(!decoded.state_changed);
    assert_eq!(readings(&decoded), [one("g/n/d/temp", 21.0)]);
    assert_eq!(reasons(&decoded), [(2, Reason::Malformed)]);
    assert_eq!(
        reasons(&ingester.decode([of("spBv1.0/g/DDATA/n/d", b"\xff\xff".as_slice())])),
        [(0, Reason::Malformed)]
    );
    assert!(Ingester::restore("", &[9]).is_err());
}
