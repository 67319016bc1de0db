//! Topic names and filters: MQTT 5.0, section 4.7 (the same in 3.1.1).

use crate::codec::MAX_FIELD_BYTES;

/// Maximum number of levels of a filter; it bounds the recursion depth in the subscription tree.
pub(crate) const MAX_LEVELS: usize = 128;

/// Why a topic filter is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// The filter is empty.
    #[error("the topic filter is empty; write a topic, or \"#\" for all topics")]
    Empty,
    /// The filter is longer than the wire format allows; the value is its length in bytes.
    #[error("the topic filter has {0} bytes; at most 65535 are allowed")]
    TooLong(usize),
    /// The filter has more levels than the broker allows.
    #[error("the topic filter {0:?} has more than 128 levels; shorten it")]
    TooManyLevels(String),
    /// `#` is not at the end or not alone in its level, or `+` is not alone in its level.
    #[error(
        "in the topic filter {0:?} a \"+\" must stand alone between slashes, and \"#\" alone at the end, as in \"a/+/b/#\""
    )]
    MisplacedWildcard(String),
    /// The filter contains U+0000.
    #[error("the topic filter {0:?} contains a NUL character")]
    ContainsNul(String),
    /// A `$share` filter without a group or without a filter.
    #[error("the shared subscription {0:?} must look like \"$share/group/filter\", the group without wildcards")]
    InvalidSharedFilter(String),
}

/// Whether `topic` is a valid topic name for a PUBLISH: not empty, without wildcards.
pub(crate) fn is_valid_name(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= MAX_FIELD_BYTES && !topic.bytes().any(|byte| matches!(byte, b'+' | b'#' | 0))
}

/// Validates a filter that has no `$share` prefix.
pub(crate) fn validate_filter(filter: &str) -> Result<(), TopicError> {
    if filter.is_empty() {
        return Err(TopicError::Empty);
    }
    if filter.len() > MAX_FIELD_BYTES {
        return Err(TopicError::TooLong(filter.len()));
    }
    if filter.contains('\0') {
        return Err(TopicError::ContainsNul(filter.into()));
    }
    let mut levels = filter.split('/').enumerate().peekable();
    while let Some((number, level)) = levels.next() {
        if number >= MAX_LEVELS {
            return Err(TopicError::TooManyLevels(filter.chars().take(64).collect()));
        }
        let wild = level.contains(['+', '#']);
        let well = level == "+" || (level == "#" && levels.peek().is_none());
        if wild && !well {
            return Err(TopicError::MisplacedWildcard(filter.into()));
        }
    }
    Ok(())
}

/// The filter of a subscription, and its group if it is a shared subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParsedFilter<'a> {
    pub(crate) group: Option<&'a str>,
    pub(crate) filter: &'a str,
}

/// Parses a filter, with or without a `$share/group/` prefix, and validates it.
pub(crate) fn parse_filter(text: &str) -> Result<ParsedFilter<'_>, TopicError> {
    let parsed = match text.strip_prefix("$share/") {
        Some(shared) => match shared.split_once('/') {
            Some((group, filter)) if !group.is_empty() && !group.contains(['+', '#']) && !filter.is_empty() => {
                ParsedFilter { group: Some(group), filter }
            }
            _ => return Err(TopicError::InvalidSharedFilter(text.into())),
        },
        None if text == "$share" => return Err(TopicError::InvalidSharedFilter(text.into())),
        None => ParsedFilter { group: None, filter: text },
    };
    validate_filter(parsed.filter)?;
    Ok(parsed)
}

/// Whether a valid filter matches a topic name. A leading wildcard does not match topics that begin with `$`.
pub(crate) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for part in filter.split('/') {
        match part {
            "#" => return true,
            "+" => {
                if levels.next().is_none() {
                    return false;
                }
            }
            literal => {
                if levels.next() != Some(literal) {
                    return false;
                }
            }
        }
    }
    levels.next().is_none()
}

/// Whether at least one topic matches both filters. The filters must be valid and without `$share`.
pub fn filters_overlap(one: &str, other: &str) -> bool {
    let wild = |filter: &str| filter.starts_with(['+', '#']);
    if (one.starts_with('$') && wild(other)) || (other.starts_with('$') && wild(one)) {
        return false;
    }
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            // "a/#" matches "a" too.
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (Some(left), Some(right)) if left == right || left == "+" || right == "+" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, topic, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("sport/#", "sports", false),
            ("#", "a/b", true),
            ("#", "$SYS/a", false),
            ("+/a", "$SYS/a", false),
            ("$SYS/#", "$SYS/a", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("a/b", "a/b", true),
            ("a/b", "a/B", false),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn filters_without_a_common_topic_do_not_overlap() {
        for (one, other) in
            [("a/b", "a/c"), ("a", "a/+"), ("#", "$SYS/#"), ("a/+/c", "a/b/d"), ("+", "a/b"), ("a/b/#", "a")]
        {
            assert!(!filters_overlap(one, other) && !filters_overlap(other, one), "{one} {other}");
        }
        for (one, other) in [("a/#", "a"), ("a/+", "+/b"), ("#", "a/b/c"), ("a/b/#", "a/+")] {
            assert!(filters_overlap(one, other) && filters_overlap(other, one), "{one} {other}");
        }
    }

    #[test]
    fn invalid_filters_are_rejected() {
        for filter in ["", "a#", "a/#/b", "a+/b", "+a", "##", "a\0"] {
            assert!(validate_filter(filter).is_err(), "{filter:?}");
        }
        for filter in ["$share", "$share/", "$share/g", "$share//a", "$share/g/", "$share/+/a", "$share/g/a#"] {
            assert!(parse_filter(filter).is_err(), "{filter:?}");
        }
        assert_eq!(parse_filter("$share/g/a/#"), Ok(ParsedFilter { group: Some("g"), filter: "a/#" }));
        assert!(validate_filter(&"/".repeat(MAX_LEVELS)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(filter in ".{0,40}", topic in ".{0,40}") {
            let _ = parse_filter(&filter);
            let _ = matches(&filter, &topic);
        }

        #[test]
        fn filters_overlap_where_a_topic_matches_both(
            one in "(\\$)?([ab+]/){0,2}[ab+#]", other in "(\\$)?([ab+]/){0,2}[ab+#]",
            topics in proptest::collection::vec("(\\$)?[abc](/[abc]){0,3}", 40),
        ) {
            prop_assume!(validate_filter(&one).is_ok() && validate_filter(&other).is_ok());
            prop_assert_eq!(filters_overlap(&one, &other), filters_overlap(&other, &one));
            for topic in topics {
                if matches(&one, &topic) && matches(&other, &topic) {
                    prop_assert!(filters_overlap(&one, &other), "{} {} {}", one, other, topic);
                }
            }
        }

        #[test]
        fn a_topic_matches_itself(topic in "[a-z/]{1,20}") {
            prop_assert!(matches(&topic, &topic));
        }
    }
}
