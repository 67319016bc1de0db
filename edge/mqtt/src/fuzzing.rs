//! Entry points for the fuzz targets in `fuzz/`. Each function panics if an invariant is violated.

use bytes::BytesMut;

use crate::{
    codec::{self, Packet, Version},
    topic,
};

/// Maximum packet size in bytes.
const MAX_PACKET: usize = 1 << 20;

/// Decodes the packets at the front of `bytes` as a connection does, and encodes each of them again. Returns the number
/// of packets.
///
/// # Panics
/// If an encoded packet does not decode to the same packet.
pub fn packets(mut bytes: &[u8], version_5: bool) -> usize {
    let mut version = if version_5 { Version::V5 } else { Version::V3 };
    let mut count = 0;
    while let Ok(Some(frame)) = codec::frame(bytes, MAX_PACKET) {
        assert!(frame.header_length <= frame.packet_length, "the header is longer than its packet");
        let Some((whole, rest)) = bytes.split_at_checked(frame.packet_length) else { break };
        let body = whole.get(frame.header_length..).unwrap_or_default();
        let Ok(packet) = codec::decode(frame.first_byte, body, version) else { break };
        if let Packet::Connect(connect) = &packet {
            version = connect.version;
        }
        assert_round_trip(&packet, version);
        count += 1;
        bytes = rest;
    }
    count
}

fn assert_round_trip(packet: &Packet, version: Version) {
    let mut written = BytesMut::new();
    codec::encode(&mut written, version, packet);
    let frame = codec::frame(&written, usize::MAX);
    let Ok(Some(frame)) = frame else { panic!("the encoded packet has no fixed header: {packet:?}: {frame:?}") };
    assert_eq!(frame.packet_length, written.len(), "the encoded length is wrong for {packet:?}");
    let body = written.get(frame.header_length..).unwrap_or_default();
    assert_eq!(
        codec::decode(frame.first_byte, body, version).as_ref(),
        Ok(packet),
        "the encoded packet decodes to another packet"
    );
}

/// Returns whether `topic` is a valid topic name, and the parsed filter with whether it matches `topic` (`None` if the
/// filter is invalid). The returned filter has no `$share/group/` prefix.
pub fn topics(filter: &str, topic: &str) -> (bool, Option<(String, bool)>) {
    let parsed = topic::parse_filter(filter).ok();
    let matched = parsed.map(|parsed| (parsed.filter.to_owned(), topic::matches(parsed.filter, topic)));
    (topic::is_valid_name(topic), matched)
}
