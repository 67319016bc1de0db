//! What `fuzz/` drives of this crate's insides. Each function panics where the code breaks a promise.

use bytes::BytesMut;

use crate::{
    codec::{self, Packet, Version},
    topic,
};

/// The largest packet that is taken here, in bytes.
const LARGEST: usize = 1 << 20;

/// Reads all packets at the front of `bytes`, as a connection would, and writes each again. Returns how many there were.
///
/// # Panics
/// When a packet that was read is written as bytes that are read as another packet, or as none.
pub fn packets(mut bytes: &[u8], version_5: bool) -> usize {
    let mut version = if version_5 { Version::V5 } else { Version::V3 };
    let mut count = 0;
    while let Ok(Some(frame)) = codec::frame(bytes, LARGEST) {
        assert!(frame.header <= frame.length, "the header is longer than its packet");
        let Some((whole, rest)) = bytes.split_at_checked(frame.length) else { break };
        let body = whole.get(frame.header..).unwrap_or_default();
        let Ok(packet) = codec::decode(frame.first, body, version) else { break };
        if let Packet::Connect(connect) = &packet {
            version = connect.version;
        }
        again(&packet, version);
        count += 1;
        bytes = rest;
    }
    count
}

fn again(packet: &Packet, version: Version) {
    let mut written = BytesMut::new();
    codec::encode(&mut written, version, packet);
    let frame = codec::frame(&written, usize::MAX);
    let Ok(Some(frame)) = frame else { panic!("what was written has no fixed header: {packet:?}: {frame:?}") };
    assert_eq!(frame.length, written.len(), "the length that was written is not that of {packet:?}");
    let body = written.get(frame.header..).unwrap_or_default();
    assert_eq!(codec::decode(frame.first, body, version).as_ref(), Ok(packet), "it is read back as another packet");
}

/// Whether `topic` may be published to, and whether the filter of a subscription matches it: none where the filter is
/// refused. The filter's group, where it is shared, is left out.
pub fn topics(filter: &str, topic: &str) -> (bool, Option<(String, bool)>) {
    let parsed = topic::parse_filter(filter).ok();
    let matched = parsed.map(|parsed| (parsed.filter.to_owned(), topic::matches(parsed.filter, topic)));
    (topic::is_name(topic), matched)
}
