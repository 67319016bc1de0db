//! Building and reading the contracts' dictionaries of names.

use crate::components::wit::types::Dictionary;

/// Appends a name; gives its index.
pub(crate) fn push(dictionary: &mut Dictionary, name: &str) -> u32 {
    let index = u32::try_from(dictionary.ends.len()).unwrap_or(u32::MAX);
    dictionary.text.push_str(name);
    dictionary.ends.push(u32::try_from(dictionary.text.len()).unwrap_or(u32::MAX));
    index
}

/// The names in order. An end that cuts a character, or lies before the one before it, gives an empty name.
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
