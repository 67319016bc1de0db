//! A case with Sparkplug B: births with names, data with aliases.

use crate::{
    plant,
    script::{CaseScript, START},
    signal::Noise,
};

pub(crate) fn script() -> CaseScript {
    let mut script = CaseScript::new(
        "sparkplug",
        "data before any birth is rejected; after the births it is read by alias, until a new birth reassigns the \
         aliases",
        plant::unknown(),
    );
    let mut noise = Noise::new(5);
    let send = |script: &mut CaseScript, topic: &str, second: i64, metrics: &[Vec<u8>]| {
        let mut payload = varint_field(1, u64::try_from((START + second) * 1000).unwrap_or(0));
        for metric in metrics {
            payload.extend(bytes_field(2, metric));
        }
        payload.extend(varint_field(3, u64::try_from(second).unwrap_or(0)));
        script.bytes(topic, None, &payload);
    };
    let mut value = |around: f64| around + (noise.next(500) as f64) / 1024.0;
    send(&mut script, "spBv1.0/plant/DDATA/gateway/press", 0, &[metric(None, Some(1), 10, Value::Double(1.0))]);
    send(
        &mut script,
        "spBv1.0/plant/NBIRTH/gateway",
        1,
        &[
            metric(Some("bdSeq"), None, 8, Value::Long(0)),
            metric(Some("load"), Some(7), 9, Value::Float(0.25)),
            metric(Some("Node Control/Rebirth"), None, 11, Value::Boolean(false)),
        ],
    );
    let birth = [
        metric(Some("temperature"), Some(1), 10, Value::Double(value(40.0))),
        metric(Some("offset"), Some(2), 3, Value::Int(-5_i32 as u32)),
        metric(Some("serial"), Some(3), 12, Value::Text("A-1")),
    ];
    send(&mut script, "spBv1.0/plant/DBIRTH/gateway/press", 2, &birth);
    for second in 3..20 {
        let data = [
            metric(None, Some(1), 0, Value::Double(value(40.0))),
            metric(None, Some(2), 0, Value::Int((second as i32 % 3 - 1) as u32)),
        ];
        send(&mut script, "spBv1.0/plant/DDATA/gateway/press", second, &data);
        send(&mut script, "spBv1.0/plant/NDATA/gateway", second, &[metric(None, Some(7), 0, Value::Float(0.5))]);
    }
    send(&mut script, "spBv1.0/plant/NDEATH/gateway", 20, &[]);
    // The node restarts, and the metric with alias 1 gets alias 9.
    send(&mut script, "spBv1.0/plant/NBIRTH/gateway", 21, &[metric(Some("load"), Some(8), 9, Value::Float(0.75))]);
    let birth = [metric(Some("temperature"), Some(9), 10, Value::Double(value(40.0)))];
    send(&mut script, "spBv1.0/plant/DBIRTH/gateway/press", 22, &birth);
    for second in 23..30 {
        let data = [
            metric(None, Some(9), 0, Value::Double(value(40.0))),
            metric(None, Some(1), 0, Value::Double(value(40.0))),
        ];
        send(&mut script, "spBv1.0/plant/DDATA/gateway/press", second, &data);
    }
    script.bytes("spBv1.0/plant/DDATA/gateway/press", None, &[0x0a, 0xff]);
    script.tick(40);
    script.tick(60);
    script
}

enum Value<'a> {
    Int(u32),
    Long(u64),
    Float(f32),
    Double(f64),
    Boolean(bool),
    Text(&'a str),
}

/// Encodes a metric by the field numbers of Sparkplug's protobuf schema. The data type 0 is left out.
fn metric(name: Option<&str>, alias: Option<u64>, datatype: u64, value: Value<'_>) -> Vec<u8> {
    let mut out = name.map(|name| bytes_field(1, name.as_bytes())).unwrap_or_default();
    out.extend(alias.map(|alias| varint_field(2, alias)).unwrap_or_default());
    if datatype > 0 {
        out.extend(varint_field(4, datatype));
    }
    match value {
        Value::Int(value) => out.extend(varint_field(10, value.into())),
        Value::Long(value) => out.extend(varint_field(11, value)),
        Value::Float(value) => out.extend([vec![12 << 3 | 5], value.to_le_bytes().to_vec()].concat()),
        Value::Double(value) => out.extend([vec![13 << 3 | 1], value.to_le_bytes().to_vec()].concat()),
        Value::Boolean(value) => out.extend(varint_field(14, value.into())),
        Value::Text(value) => out.extend(bytes_field(15, value.as_bytes())),
    }
    out
}

fn varint_field(field: u8, value: u64) -> Vec<u8> {
    let mut out = vec![field << 3];
    varint(value, &mut out);
    out
}

fn bytes_field(field: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    varint(value.len() as u64, &mut out);
    out.extend_from_slice(value);
    out
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}
