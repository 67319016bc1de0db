//! The subscriptions of all clients, as a tree with one node per filter level. The cost of a publish grows with the
//! number of levels of its topic (times the wildcards in use), not with the number of subscriptions.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::topic::ParsedFilter;

/// The options of a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SubscriptionOptions {
    pub(crate) qos: u8,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    /// Subscription identifier; 0 means none.
    pub(crate) subscription_id: u32,
}

/// A subscription that matches a topic.
#[derive(Clone, Debug)]
pub(crate) struct MatchingSubscription<T> {
    pub(crate) key: u64,
    pub(crate) subscriber: T,
    pub(crate) options: SubscriptionOptions,
    pub(crate) shared: bool,
}

#[derive(Debug)]
pub(crate) struct SubscriptionTree<T> {
    root: Node<T>,
    count: usize,
}

#[derive(Debug)]
struct Node<T> {
    children: HashMap<Box<str>, Node<T>>,
    single_level: Option<Box<Node<T>>>,
    /// Filters that end at this node.
    exact: Leaf<T>,
    /// Filters whose last level, below this node, is `#`.
    multi_level: Leaf<T>,
}

#[derive(Debug)]
struct Leaf<T> {
    unshared: BTreeMap<u64, (T, SubscriptionOptions)>,
    groups: BTreeMap<Arc<str>, SharedGroup<T>>,
}

#[derive(Debug)]
struct SharedGroup<T> {
    members: Vec<(u64, T, SubscriptionOptions)>,
    next_member: AtomicUsize,
}

impl<T> Default for Leaf<T> {
    fn default() -> Self {
        Self { unshared: BTreeMap::new(), groups: BTreeMap::new() }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { children: HashMap::new(), single_level: None, exact: Leaf::default(), multi_level: Leaf::default() }
    }
}

impl<T> Default for SubscriptionTree<T> {
    fn default() -> Self {
        Self { root: Node::default(), count: 0 }
    }
}

impl<T> Leaf<T> {
    fn is_empty(&self) -> bool {
        self.unshared.is_empty() && self.groups.is_empty()
    }
}

impl<T> Node<T> {
    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.single_level.is_none() && self.exact.is_empty() && self.multi_level.is_empty()
    }

    fn leaf_mut(&mut self, filter: &str) -> &mut Leaf<T> {
        let mut node = self;
        for level in filter.split('/') {
            match level {
                "#" => return &mut node.multi_level,
                "+" => node = node.single_level.get_or_insert_default(),
                name => node = node.children.entry(name.into()).or_default(),
            }
        }
        &mut node.exact
    }

    /// Calls `change` with the leaf of the filter, then removes empty nodes.
    fn change_and_prune(&mut self, filter: Option<&str>, change: &mut dyn FnMut(&mut Leaf<T>)) {
        let Some(filter) = filter else { return change(&mut self.exact) };
        let (level, rest) = match filter.split_once('/') {
            Some((level, rest)) => (level, Some(rest)),
            None => (filter, None),
        };
        match level {
            "#" => change(&mut self.multi_level),
            "+" => {
                if let Some(node) = &mut self.single_level {
                    node.change_and_prune(rest, change);
                    if node.is_empty() {
                        self.single_level = None;
                    }
                }
            }
            name => {
                if let Some(node) = self.children.get_mut(name) {
                    node.change_and_prune(rest, change);
                    if node.is_empty() {
                        self.children.remove(name);
                    }
                }
            }
        }
    }
}

impl<T: Clone> SubscriptionTree<T> {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Adds or replaces a subscription. Returns whether it is new.
    pub(crate) fn insert(
        &mut self,
        filter: ParsedFilter<'_>,
        key: u64,
        subscriber: T,
        options: SubscriptionOptions,
    ) -> bool {
        let leaf = self.root.leaf_mut(filter.filter);
        let new = match filter.group {
            None => leaf.unshared.insert(key, (subscriber, options)).is_none(),
            Some(name) => {
                let group = leaf
                    .groups
                    .entry(name.into())
                    .or_insert_with(|| SharedGroup { members: Vec::new(), next_member: AtomicUsize::new(0) });
                match group.members.iter_mut().find(|(member, ..)| *member == key) {
                    Some(member) => {
                        *member = (key, subscriber, options);
                        false
                    }
                    None => {
                        group.members.push((key, subscriber, options));
                        true
                    }
                }
            }
        };
        self.count += usize::from(new);
        new
    }

    /// Removes a subscription. Returns whether it existed.
    pub(crate) fn remove(&mut self, filter: ParsedFilter<'_>, key: u64) -> bool {
        let mut removed = false;
        self.root.change_and_prune(Some(filter.filter), &mut |leaf| match filter.group {
            None => removed = leaf.unshared.remove(&key).is_some(),
            Some(name) => {
                if let Some(group) = leaf.groups.get_mut(name) {
                    let before = group.members.len();
                    group.members.retain(|(member, ..)| *member != key);
                    removed = group.members.len() < before;
                    if group.members.is_empty() {
                        leaf.groups.remove(name);
                    }
                }
            }
        });
        self.count -= usize::from(removed);
        removed
    }

    /// Appends the subscriptions that match `topic` to `out`, except those of subscribers for which `can_read` is
    /// false. Of each shared group it selects one member in round-robin order and prefers members for which
    /// `is_connected` is true.
    pub(crate) fn matches(
        &self,
        topic: &str,
        can_read: &dyn Fn(&T) -> bool,
        is_connected: &dyn Fn(&T) -> bool,
        out: &mut Vec<MatchingSubscription<T>>,
    ) {
        let mut walk = MatchWalk { can_read, is_connected, out };
        walk.visit_node(&self.root, Some(topic), topic.starts_with('$'));
    }
}

struct MatchWalk<'a, T> {
    can_read: &'a dyn Fn(&T) -> bool,
    is_connected: &'a dyn Fn(&T) -> bool,
    out: &'a mut Vec<MatchingSubscription<T>>,
}

impl<T: Clone> MatchWalk<'_, T> {
    /// The recursion depth is at most the number of filter levels, which [`crate::topic::MAX_LEVELS`] bounds.
    fn visit_node(&mut self, node: &Node<T>, topic: Option<&str>, no_wildcard: bool) {
        if !no_wildcard {
            self.visit_leaf(&node.multi_level);
        }
        let Some(topic) = topic else { return self.visit_leaf(&node.exact) };
        let (level, rest) = match topic.split_once('/') {
            Some((level, rest)) => (level, Some(rest)),
            None => (topic, None),
        };
        if let Some(child) = node.children.get(level) {
            self.visit_node(child, rest, false);
        }
        if let Some(plus) = node.single_level.as_ref().filter(|_| !no_wildcard) {
            self.visit_node(plus, rest, false);
        }
    }

    fn visit_leaf(&mut self, leaf: &Leaf<T>) {
        for (key, (subscriber, options)) in
            leaf.unshared.iter().filter(|(_, (subscriber, _))| (self.can_read)(subscriber))
        {
            self.out.push(MatchingSubscription {
                key: *key,
                subscriber: subscriber.clone(),
                options: *options,
                shared: false,
            });
        }
        for group in leaf.groups.values() {
            let start = group.next_member.fetch_add(1, Ordering::Relaxed) % group.members.len().max(1);
            let (before, from) = group.members.split_at_checked(start).unwrap_or_default();
            let mut order = from.iter().chain(before).filter(|(_, subscriber, _)| (self.can_read)(subscriber));
            let chosen =
                order.clone().find(|(_, subscriber, _)| (self.is_connected)(subscriber)).or_else(|| order.next());
            if let Some((key, subscriber, options)) = chosen {
                self.out.push(MatchingSubscription {
                    key: *key,
                    subscriber: subscriber.clone(),
                    options: *options,
                    shared: true,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::topic;

    fn matching_keys(tree: &SubscriptionTree<u64>, topic: &str) -> Vec<u64> {
        let mut out = Vec::new();
        tree.matches(topic, &|_| true, &|_| true, &mut out);
        let mut keys: Vec<u64> = out.into_iter().map(|found| found.key).collect();
        keys.sort_unstable();
        keys
    }

    fn plain(filter: &str) -> ParsedFilter<'_> {
        ParsedFilter { group: None, filter }
    }

    proptest! {
        #[test]
        fn the_tree_agrees_with_matching_each_filter(
            filters in vec("([ab+]/){0,3}[ab+#]", 1..20),
            topics in vec("(\\$)?[ab](/[ab]){0,4}", 1..10),
            gone in vec(any::<bool>(), 20),
        ) {
            let mut tree = SubscriptionTree::default();
            for (key, filter) in (0u64..).zip(&filters) {
                prop_assert!(tree.insert(plain(filter), key, key, SubscriptionOptions::default()));
            }
            let mut left = Vec::new();
            for ((key, filter), gone) in (0u64..).zip(&filters).zip(&gone) {
                if *gone {
                    prop_assert!(tree.remove(plain(filter), key));
                    prop_assert!(!tree.remove(plain(filter), key));
                } else {
                    left.push((key, filter));
                }
            }
            prop_assert_eq!(tree.len(), left.len());
            for topic in &topics {
                let expected: Vec<u64> = left.iter().filter(|(_, filter)| topic::matches(filter, topic)).map(|(key, _)| *key).collect();
                prop_assert_eq!(matching_keys(&tree, topic), expected);
            }
            for (key, filter) in left {
                tree.remove(plain(filter), key);
            }
            prop_assert!(tree.root.is_empty());
        }
    }

    #[test]
    fn a_shared_group_rotates_among_connected_members() {
        let mut tree = SubscriptionTree::default();
        let filter = ParsedFilter { group: Some("g"), filter: "a/#" };
        for key in 1..=3u64 {
            tree.insert(filter, key, key, SubscriptionOptions::default());
        }
        let mut out = Vec::new();
        for _ in 0..6 {
            tree.matches("a/b", &|_| true, &|key| *key != 2, &mut out);
        }
        let keys: Vec<u64> = out.iter().map(|found| found.key).collect();
        assert_eq!(keys, [1, 3, 3, 1, 3, 3]);
        out.clear();
        tree.matches("a/b", &|_| true, &|_| false, &mut out);
        assert_eq!(out.len(), 1);
        // A member without the right to read is skipped, even if no other member is connected.
        out.clear();
        for _ in 0..3 {
            tree.matches("a/b", &|key| *key == 2, &|key| *key != 2, &mut out);
        }
        assert_eq!(out.iter().map(|found| found.key).collect::<Vec<_>>(), [2, 2, 2]);
        out.clear();
        tree.matches("a/b", &|_| false, &|_| true, &mut out);
        assert!(out.is_empty());
    }
}
