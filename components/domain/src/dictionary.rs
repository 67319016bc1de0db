//! Name dictionaries of the contracts: the names of a batch in one text, with the offset at which each ends.

/// Appends a name to the text and its end to `ends`; returns its index.
pub fn push_name(text: &mut String, ends: &mut Vec<u32>, name: &str) -> u32 {
    let index = u32::try_from(ends.len()).unwrap_or(u32::MAX);
    text.push_str(name);
    ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
    index
}

/// The names in order. An end that splits a character, or is less than the previous one, gives an empty name.
pub fn iter_names<'a>(text: &'a str, ends: &'a [u32]) -> impl Iterator<Item = &'a str> + Clone {
    let mut start = 0;
    ends.iter().map(move |&end| {
        let name = text.get(start..end as usize).unwrap_or("");
        start = end as usize;
        name
    })
}

/// Expands to the functions on the dictionary type that a driver generates from the contracts:
/// `contract_dictionary!(crate::contracts::types::Dictionary)`.
#[macro_export]
macro_rules! contract_dictionary {
    ($dictionary:path) => {
        use $dictionary as ContractDictionary;

        /// Appends a name and returns its index.
        pub(crate) fn push_name(dictionary: &mut ContractDictionary, name: &str) -> u32 {
            $crate::push_name(&mut dictionary.text, &mut dictionary.ends, name)
        }

        /// The names in order. An end that splits a character, or is less than the previous one, gives an empty name.
        pub(crate) fn names(dictionary: &ContractDictionary) -> impl Iterator<Item = &str> + Clone {
            $crate::iter_names(&dictionary.text, &dictionary.ends)
        }

        /// An empty dictionary.
        pub(crate) fn empty() -> ContractDictionary {
            ContractDictionary { text: String::new(), ends: Vec::new() }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_the_order_in_which_they_were_added() {
        let (mut text, mut ends) = (String::new(), Vec::new());
        let added = ["a/b", "", "ü"].map(|name| push_name(&mut text, &mut ends, name));
        assert_eq!(added, [0, 1, 2]);
        assert_eq!(iter_names(&text, &ends).collect::<Vec<_>>(), ["a/b", "", "ü"]);
    }

    #[test]
    fn an_end_that_is_not_valid_gives_an_empty_name() {
        assert_eq!(iter_names("aüb", &[2, 1, 9, 4]).collect::<Vec<_>>(), ["", "", "", ""]);
        assert_eq!(iter_names("aüb", &[1, 3, 4]).collect::<Vec<_>>(), ["a", "ü", "b"]);
    }
}
