//! The last retained message of each topic.

use std::{collections::BTreeMap, ops::Bound, sync::Arc, time::Instant};

use super::message::Message;
use crate::topic;

#[derive(Debug)]
pub(crate) struct RetainedMessages {
    messages: BTreeMap<Arc<str>, Arc<Message>>,
    bytes: usize,
    max_messages: usize,
    max_bytes: usize,
}

impl RetainedMessages {
    pub(crate) fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self { messages: BTreeMap::new(), bytes: 0, max_messages, max_bytes }
    }

    /// Replaces the retained message of the topic. An empty payload removes it. Returns `false` if a limit is reached;
    /// the old message is removed in that case too, because it is outdated.
    pub(crate) fn set(&mut self, message: &Arc<Message>) -> bool {
        if let Some(earlier) = self.messages.remove(&message.topic) {
            self.bytes -= earlier.size();
        }
        if message.payload.is_empty() {
            return true;
        }
        if self.messages.len() >= self.max_messages || self.bytes + message.size() > self.max_bytes {
            return false;
        }
        self.bytes += message.size();
        self.messages.insert(Arc::clone(&message.topic), Arc::clone(message));
        true
    }

    /// Number of retained messages and their size in bytes.
    pub(crate) fn count_and_bytes(&self) -> (usize, usize) {
        (self.messages.len(), self.bytes)
    }

    /// Calls `each` for every message whose topic matches the filter. Expired messages are removed.
    pub(crate) fn for_each_matching(&mut self, filter: &str, mut each: impl FnMut(&Arc<Message>)) {
        // Every matching topic begins with the text before the first wildcard; "a/#" also matches "a".
        let literal = filter.split(['+', '#']).next().unwrap_or_default();
        let prefix = if literal.len() < filter.len() { literal.strip_suffix('/').unwrap_or(literal) } else { literal };
        let now = Instant::now();
        let mut expired = Vec::new();
        let from = (Bound::Included(prefix), Bound::Unbounded);
        for (name, message) in self.messages.range::<str, _>(from).take_while(|(name, _)| name.starts_with(prefix)) {
            if message.is_expired(now) {
                expired.push(Arc::clone(name));
            } else if topic::matches(filter, name) {
                each(message);
            }
        }
        for name in expired {
            if let Some(gone) = self.messages.remove(&name) {
                self.bytes -= gone.size();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Properties;

    fn message(topic: &str, payload: &str) -> Arc<Message> {
        Arc::new(Message { topic: topic.into(), payload: payload.to_owned().into(), ..Message::default() })
    }

    fn names(retained: &mut RetainedMessages, filter: &str) -> Vec<String> {
        let mut names = Vec::new();
        retained.for_each_matching(filter, |message| names.push(message.topic.to_string()));
        names
    }

    #[test]
    fn filters_find_retained_messages() {
        let mut retained = RetainedMessages::new(10, 100);
        for topic in ["a", "a/b", "a/c/d", "ab", "b", "$x/y"] {
            assert!(retained.set(&message(topic, "1")));
        }
        assert_eq!(names(&mut retained, "a/#"), ["a", "a/b", "a/c/d"]);
        assert_eq!(names(&mut retained, "a/+"), ["a/b"]);
        assert_eq!(names(&mut retained, "+"), ["a", "ab", "b"]);
        assert_eq!(names(&mut retained, "a"), ["a"]);
        assert_eq!(names(&mut retained, "$x/#"), ["$x/y"]);
        assert!(retained.set(&message("a/b", "")));
        assert_eq!(names(&mut retained, "a/+"), Vec::<String>::new());
    }

    #[test]
    fn number_and_bytes_are_bounded() {
        let mut retained = RetainedMessages::new(2, 6);
        assert!(retained.set(&message("a", "123")));
        assert!(!retained.set(&message("b", "123")));
        assert!(retained.set(&message("a", "12345")));
        assert!(retained.set(&message("a", "1")));
        assert!(retained.set(&message("b", "1")));
        assert!(!retained.set(&message("c", "1")));
        assert_eq!(retained.count_and_bytes(), (2, 4));
        // Properties count too: otherwise a message with a payload of one byte could take megabytes.
        let properties = Properties { user: vec![("k".into(), "v".repeat(100))], ..Properties::default() };
        let fat = Message { properties: Some(Box::new(properties)), ..Message::clone(&message("a", "1")) };
        assert!(!retained.set(&Arc::new(fat)));
    }
}
