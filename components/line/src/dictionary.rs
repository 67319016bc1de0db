//! Builds and reads the contracts' dictionaries of names.

use crate::contracts::types::Dictionary;

/// Appends a name.
pub(crate) fn push(dictionary: &mut Dictionary, name: &str) {
    dictionary.text.push_str(name);
    dictionary.ends.push(u32::try_from(dictionary.text.len()).unwrap_or(u32::MAX));
}

/// Returns the names in order. An end that cuts a character or precedes the one before it yields an empty name.
pub(crate) fn iter_names(dictionary: &Dictionary) -> impl Iterator<Item = &str> {
    let mut start = 0;
    dictionary.ends.iter().map(move |&end| {
        let name = dictionary.text.get(start..end as usize).unwrap_or("");
        start = end as usize;
        name
    })
}

pub(crate) fn empty() -> Dictionary {
    Dictionary { text: String::new(), ends: Vec::new() }
}
