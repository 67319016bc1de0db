//! Builds and reads the name dictionaries of the WIT contracts.

use crate::components::wit::types::Dictionary;

/// Appends a name and returns its index.
pub(crate) fn push_name(dictionary: &mut Dictionary, name: &str) -> u32 {
    let index = u32::try_from(dictionary.ends.len()).unwrap_or(u32::MAX);
    dictionary.text.push_str(name);
    dictionary.ends.push(u32::try_from(dictionary.text.len()).unwrap_or(u32::MAX));
    index
}

/// The names in order. An end offset that splits a character, or is less than the previous one, gives an empty name.
pub(crate) fn names(dictionary: &Dictionary) -> impl Iterator<Item = &str> + Clone {
    let mut start = 0;
    dictionary.ends.iter().map(move |&end| {
        let name = dictionary.text.get(start..end as usize).unwrap_or("");
        start = end as usize;
        name
    })
}

/// An empty dictionary.
pub(crate) fn empty() -> Dictionary {
    Dictionary { text: String::new(), ends: Vec::new() }
}
