//! Limits on a document that are checked before anything expands it.
//!
//! The parser recurses into nested brackets, and validation visits a fragment once for each spread: 27 fragments that
//! each spread the next one twice are 1 KB of text and 134 million fields. Both are counted here first, each fragment
//! once.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned,
    parser::types::{ExecutableDocument, FragmentDefinition, Selection, SelectionSet},
};

/// Maximum nesting of brackets. Fields may be nested 20 deep, each with arguments.
const MAX_BRACKET_DEPTH: usize = 64;
/// Maximum number of fields, inline fragments and spreads after expanding all spreads.
const MAX_SELECTIONS: u64 = 2_000;
/// Maximum nesting of selection sets after expanding all spreads.
const MAX_SELECTION_DEPTH: u32 = 32;

/// Rejects a text whose brackets are nested so deeply that the parser could run out of stack.
///
/// # Errors
/// A message with what was expected, what was received and what to do.
pub(super) fn check_nesting(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' | b'(' => {
                depth += 1;
                if depth > MAX_BRACKET_DEPTH {
                    return Err(format!(
                        "the document nests more than {MAX_BRACKET_DEPTH} brackets at byte {at}; nest selections and lists less deeply"
                    ));
                }
            }
            b']' | b'}' | b')' => depth = depth.saturating_sub(1),
            b'"' => at = end_of_string(bytes, at),
            b'#' => at += bytes.iter().skip(at).take_while(|byte| !matches!(byte, b'\n' | b'\r')).count(),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the end of the string that begins before `at`; the end of the text if the string is not closed.
fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.starts_with(b"\"\"") {
        let mut here = at + 2;
        while let Some(rest) = bytes.get(here..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with(b"\\\"\"\"") {
                here += 4;
            } else if rest.starts_with(b"\"\"\"") {
                return here + 3;
            } else {
                here += 1;
            }
        }
        return bytes.len();
    }
    let mut here = at;
    while let Some(&byte) = bytes.get(here) {
        match byte {
            b'\\' => here += 2,
            // The parser rejects a string that is not closed; brackets on the following lines are counted nevertheless.
            b'"' | b'\n' | b'\r' => return here + 1,
            _ => here += 1,
        }
    }
    bytes.len()
}

/// Rejects a document that expands to more selections, or deeper ones, than allowed.
///
/// # Errors
/// A message with what was expected, what was received and what to do.
pub(super) fn check_expansion(document: &ExecutableDocument) -> Result<(), String> {
    let mut counter = ExpansionCounter { fragments: &document.fragments, fragment_sizes: HashMap::new() };
    let mut total = ExpandedSize::default();
    for (_, operation) in document.operations.iter() {
        total.add(counter.size(&operation.node.selection_set.node)?);
    }
    // Fragments that no operation spreads are validated as well.
    for (name, fragment) in &document.fragments {
        if !counter.fragment_sizes.contains_key(name) {
            total.add(counter.fragment(name, fragment)?);
        }
    }
    if total.selections > MAX_SELECTIONS {
        return Err(format!(
            "the document expands to {} selections, at most {MAX_SELECTIONS} are allowed; spread fragments less often or ask for fewer fields",
            if total.selections == u64::MAX { "too many".to_owned() } else { total.selections.to_string() }
        ));
    }
    if total.depth > MAX_SELECTION_DEPTH {
        return Err(format!(
            "the document is too deep: {} selections within one another, at most {MAX_SELECTION_DEPTH} are allowed; nest less deeply",
            total.depth
        ));
    }
    Ok(())
}

/// The size of a selection set after expansion.
#[derive(Clone, Copy, Debug, Default)]
struct ExpandedSize {
    selections: u64,
    depth: u32,
}

impl ExpandedSize {
    fn add(&mut self, other: Self) {
        self.selections = self.selections.saturating_add(other.selections);
        self.depth = self.depth.max(other.depth);
    }
}

struct ExpansionCounter<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    /// The sizes of counted fragments; `None` while a fragment is being counted.
    fragment_sizes: HashMap<&'a Name, Option<ExpandedSize>>,
}

impl<'a> ExpansionCounter<'a> {
    fn size(&mut self, set: &'a SelectionSet) -> Result<ExpandedSize, String> {
        let mut size = ExpandedSize::default();
        for selection in &set.items {
            let mut inner = match &selection.node {
                Selection::Field(field) => self.size(&field.node.selection_set.node)?,
                Selection::InlineFragment(fragment) => self.size(&fragment.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => {
                    match self.fragments.get_key_value(&spread.node.fragment_name.node) {
                        Some((name, fragment)) => self.fragment(name, fragment)?,
                        // Validation reports an unknown fragment.
                        None => ExpandedSize::default(),
                    }
                }
            };
            inner.selections = inner.selections.saturating_add(1);
            inner.depth = inner.depth.saturating_add(1);
            size.add(inner);
        }
        Ok(size)
    }

    fn fragment(
        &mut self,
        name: &'a Name,
        fragment: &'a Positioned<FragmentDefinition>,
    ) -> Result<ExpandedSize, String> {
        match self.fragment_sizes.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => return Err(format!("the fragment {name} spreads itself; remove the spread")),
            None => {}
        }
        self.fragment_sizes.insert(name, None);
        let size = self.size(&fragment.node.selection_set.node)?;
        self.fragment_sizes.insert(name, Some(size));
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let many = "[".repeat(1_000);
        for text in [
            format!("{{ a(x: \"{many}\") }}"),
            format!("{{ a(x: \"\\\"{many}\") }}"),
            format!("{{ a(x: \"\"\"{many}\\\"\"\" \" {many}\"\"\") }}"),
            format!("{{ a # {many}\n }}"),
            "{ a(x: [1, 2]) { b { c } } }".repeat(100),
        ] {
            assert_eq!(check_nesting(&text), Ok(()), "{text}");
        }
        for text in [
            many.clone(),
            format!("\"\" {many}"),
            format!("\"\"\"x\"\"\" {many}"),
            format!("\"\\\\\" {many}"),
            format!("\"open\n{many}"),
            format!("# x\n{many}"),
            "{(".repeat(40),
        ] {
            assert!(check_nesting(&text).is_err(), "{text}");
        }
        // A string that is not closed is not read past its end.
        for text in ["\"", "\"\\", "\"\"\"", "\"\"\"\\\"\"", "#"] {
            assert_eq!(check_nesting(text), Ok(()));
        }
    }

    #[test]
    fn a_spread_counts_its_expansion() {
        let check = |text: &str| check_expansion(&parse_query(text).unwrap());
        let bomb = |fragments: usize| {
            let last = format!("fragment f{fragments} on Query {{ __typename }}");
            (0..fragments).fold(format!("{{ ...f0 }} {last}"), |text, at| {
                format!("{text} fragment f{at} on Query {{ ...f{0} ...f{0} }}", at + 1)
            })
        };
        assert_eq!(check(&bomb(8)), Ok(()));
        for fragments in [12, 27, 200] {
            assert!(check(&bomb(fragments)).unwrap_err().contains("selections"), "{fragments}");
        }
        assert!(check("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }").is_err());
        assert!(check("{ x } fragment a on Query { ...a }").unwrap_err().contains("spreads itself"));
        assert_eq!(check("{ ...missing }"), Ok(()));
        let chain = (0..40).fold("{ ...f0 } fragment f40 on Query { x }".to_owned(), |text, at| {
            format!("{text} fragment f{at} on Query {{ ...f{} }}", at + 1)
        });
        assert!(check(&chain).unwrap_err().contains("too deep"));
        assert!(check(&format!("{{ {} }}", "a ".repeat(3_000))).unwrap_err().contains("at most 2000"));
    }
}
