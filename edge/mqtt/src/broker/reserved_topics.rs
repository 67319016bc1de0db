//! Topics of the broker itself.

/// Topics to which only the broker and its host publish, including all topics below them.
const RESERVED_TOPICS: [&str; 2] = ["$SYS", "wheeltapper"];

/// Whether only the broker and its host may publish to this topic.
pub(crate) fn is_reserved(topic: &str) -> bool {
    RESERVED_TOPICS
        .iter()
        .any(|name| topic.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}
