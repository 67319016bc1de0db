//! Sparkplug B: the aliases of births, and the deaths that remove them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::common::{T, envelope, messages, reading, readings, reasons};
use wheeltapper_ingest::{Decoded, Envelope, Ingester, Reason};

/// An event on a Sparkplug topic.
fn event<'a>(topic: &'a str, payload: &'a [u8]) -> Envelope<'a> {
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

/// A payload with only `bdSeq`.
fn bd_seq(number: u64) -> Vec<u8> {
    let mut metric = b"\x0a\x05bdSeq\x58".to_vec();
    varint(number, &mut metric);
    let mut body = vec![0x12, u8::try_from(metric.len()).unwrap()];
    body.extend(metric);
    body
}

/// An ingester after the births of node `n` (`bdSeq` 1, alias 1) and its devices `d` (alias 2) and `e` (alias 3).
fn ingester_with_births() -> Ingester {
    let node = [bd_seq(1), sparkplug(&[(Some("load"), 1, 0.5)])].concat();
    let (d, e) = (sparkplug(&[(Some("temp"), 2, 20.0)]), sparkplug(&[(Some("flow"), 3, 30.0)]));
    let mut ingester = Ingester::open("").unwrap();
    let decoded = ingester.decode([
        event("spBv1.0/g/NBIRTH/n", &node),
        event("spBv1.0/g/DBIRTH/n/d", &d),
        event("spBv1.0/g/DBIRTH/n/e", &e),
    ]);
    assert_eq!(
        readings(&decoded),
        [reading("g/n/load", 0.5), reading("g/n/d/temp", 20.0), reading("g/n/e/flow", 30.0)]
    );
    ingester
}

/// Sends data of the node and of its devices, by alias.
fn data(ingester: &mut Ingester) -> Decoded {
    let [load, temp, flow] = [1, 2, 3].map(|alias| sparkplug(&[(None, alias, 1.0)]));
    ingester.decode([
        event("spBv1.0/g/NDATA/n", &load),
        event("spBv1.0/g/DDATA/n/d", &temp),
        event("spBv1.0/g/DDATA/n/e", &flow),
    ])
}

#[test]
fn the_death_of_a_node_removes_all_its_aliases() {
    let mut ingester = ingester_with_births();
    assert_eq!(data(&mut ingester).accepted, [1, 1, 1]);
    let decoded = ingester.decode([event("spBv1.0/g/NDEATH/n", &bd_seq(1))]);
    assert!(decoded.state_changed && decoded.rejected.is_empty());
    let decoded = data(&mut ingester);
    assert_eq!(decoded.accepted, [0, 0, 0]);
    assert!(messages(&decoded).iter().all(|message| message.contains("Rebirth")), "{:?}", messages(&decoded));
    // A restart does not restore it.
    assert_eq!(data(&mut Ingester::restore("", &ingester.snapshot()).unwrap()).accepted, [0, 0, 0]);
    assert!(!ingester.decode([event("spBv1.0/g/NDEATH/n", &bd_seq(1))]).state_changed);
}

#[test]
fn the_death_of_a_device_removes_only_its_aliases() {
    let mut ingester = ingester_with_births();
    let decoded = ingester.decode([event("spBv1.0/g/DDEATH/n/d", b"")]);
    assert!(decoded.state_changed && decoded.rejected.is_empty());
    assert_eq!(data(&mut ingester).accepted, [1, 0, 1]);
    let other = ingester.decode([event("spBv1.0/g/DDEATH/n/x", b""), event("spBv1.0/g/DDEATH/m/e", b"")]);
    assert!(!other.state_changed);
}

#[test]
fn a_death_of_another_session_is_ignored() {
    let mut ingester = Ingester::restore("", &ingester_with_births().snapshot()).unwrap();
    for number in [0, 2] {
        let decoded = ingester.decode([event("spBv1.0/g/NDEATH/n", &bd_seq(number))]);
        assert!(!decoded.state_changed && decoded.rejected.is_empty());
        assert_eq!(data(&mut ingester).accepted, [1, 1, 1]);
    }
    // A death without `bdSeq` applies to any session.
    assert!(ingester.decode([event("spBv1.0/g/NDEATH/n", b"")]).state_changed);
    assert_eq!(data(&mut ingester).accepted, [0, 0, 0]);
}

#[test]
fn an_invalid_death_is_rejected() {
    let mut ingester = ingester_with_births();
    let decoded = ingester.decode([event("spBv1.0/g/NDEATH/n", b"\xff\xff"), event("spBv1.0/g/NDEATH/n/d", b"")]);
    assert_eq!(reasons(&decoded), [(0, Reason::Malformed), (0, Reason::Malformed)]);
    assert_eq!(data(&mut ingester).accepted, [1, 1, 1]);
}

#[test]
fn an_alias_of_another_device_is_rejected() {
    let mut ingester = ingester_with_births();
    let [load, temp] = [1, 2].map(|alias| sparkplug(&[(None, alias, 1.0)]));
    let decoded = ingester.decode([
        event("spBv1.0/g/DDATA/n/e", &temp),
        event("spBv1.0/g/DDATA/n/e", &load),
        event("spBv1.0/g/NDATA/n", &temp),
    ]);
    assert_eq!((readings(&decoded), decoded.ends.len()), (vec![], 0));
    let texts = messages(&decoded);
    assert!(texts[0].contains("declared by device d, but is used by device e"), "{texts:?}");
    assert!(texts[0].contains("Rebirth"), "{texts:?}");
    assert!(texts[1].contains("declared by the node, but is used by device e"), "{texts:?}");
    assert!(texts[2].contains("declared by device d, but is used by the node"), "{texts:?}");
}

#[test]
fn snapshots_of_version_1_are_still_read() {
    // One node, g/n, with alias 7: temp of device d, a double.
    let before = b"\x01\x01\x03g/n\x01\x07\x01\x01d\x04temp\x0a";
    let mut ingester = Ingester::restore("", before).unwrap();
    let temp = sparkplug(&[(None, 7, 21.0)]);
    assert_eq!(readings(&ingester.decode([event("spBv1.0/g/DDATA/n/d", &temp)])), [reading("g/n/d/temp", 21.0)]);
    let mut ingester = Ingester::restore("", &ingester.snapshot()).unwrap();
    assert_eq!(ingester.decode([event("spBv1.0/g/DDATA/n/d", &temp)]).time, [T]);
    // Version 1 has no `bdSeq`, so any death removes the aliases.
    ingester.decode([event("spBv1.0/g/NDEATH/n", &bd_seq(4))]);
    assert_eq!(ingester.decode([event("spBv1.0/g/DDATA/n/d", &temp)]).accepted, [0]);
}

#[test]
fn sparkplug_aliases_survive_a_restart() {
    let birth = sparkplug(&[(Some("temp"), 7, 20.0), (Some("bdSeq"), 8, 1.0)]);
    let data = sparkplug(&[(None, 7, 21.0), (None, 9, 1.0)]);
    let mut ingester = Ingester::open("").unwrap();
    let born = ingester.decode([event("spBv1.0/g/DBIRTH/n/d", birth.as_slice())]);
    assert!(born.state_changed);
    assert_eq!(readings(&born), [reading("g/n/d/temp", 20.0)]);
    let mut ingester = Ingester::restore("", &ingester.snapshot()).unwrap();
    let decoded = ingester.decode([event("spBv1.0/g/DDATA/n/d", data.as_slice())]);
    assert!(!decoded.state_changed);
    assert_eq!(readings(&decoded), [reading("g/n/d/temp", 21.0)]);
    assert_eq!(reasons(&decoded), [(2, Reason::Malformed)]);
    assert_eq!(
        reasons(&ingester.decode([event("spBv1.0/g/DDATA/n/d", b"\xff\xff".as_slice())])),
        [(0, Reason::Malformed)]
    );
    assert!(Ingester::restore("", &[9]).is_err());
}
