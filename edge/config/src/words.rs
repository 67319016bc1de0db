//! What serde and the parser of TOML say, in the words of whoever wrote the file.

/// What is wrong, and what to write instead. `came`: what the file has there.
pub(crate) fn explain(said: &str, came: &str) -> (String, String) {
    let came = came.lines().next().unwrap_or("").trim();
    if said.starts_with("unknown field") || said.starts_with("unknown variant") {
        return unknown(said);
    }
    if said.starts_with("missing field") {
        let name = quoted(said).next().unwrap_or("");
        return (format!("`{name}` is missing"), format!("add `{name} = ...` to this table"));
    }
    if let Some((_, expected)) = said.strip_prefix("invalid ").and_then(|rest| rest.split_once(", expected "))
        && (said.starts_with("invalid type:") || said.starts_with("invalid value:"))
    {
        return mistyped(expected, came);
    }
    syntax(said, came)
}

fn quoted(said: &str) -> impl Iterator<Item = &str> {
    said.split('`').skip(1).step_by(2)
}

fn unknown(said: &str) -> (String, String) {
    let mut quoted = quoted(said);
    let what = if said.starts_with("unknown field") { "key" } else { "value" };
    let wrong = quoted.next().unwrap_or("");
    let message = format!("unknown {what} `{wrong}`");
    if ["password", "secret", "token"].contains(&wrong) {
        let help = format!(
            "secrets do not belong in this file: use `{wrong}_env` (an environment variable) or `{wrong}_file`"
        );
        return (message, help);
    }
    let known: Vec<&str> = quoted.collect();
    let help = match nearest(wrong, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    };
    (message, help)
}

/// The one of `known` that `wrong` was probably meant to be.
pub(crate) fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|word| (strsim::jaro_winkler(wrong, word), *word));
    scored.filter(|(likeness, _)| *likeness > 0.75).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word)
}

/// A value of another type or out of its range.
fn mistyped(expected: &str, came: &str) -> (String, String) {
    let bare = came.trim_matches(['"', '\'']);
    let whole = |to: &str| (format!("a whole number from 0 to {to}"), number(came, "30"));
    let (words, help) = match expected {
        "u8" => whole("255"),
        "u16" => whole("65535"),
        "u32" => whole("4294967295"),
        "u64" | "usize" => whole("9223372036854775807"),
        "i32" | "i64" => ("a whole number".to_owned(), number(came, "60")),
        "f64" => ("a number".to_owned(), number(came, "0.5")),
        "a boolean" => ("true or false".to_owned(), boolean(bare)),
        // A list may stand for a table, so that the first thing missed is that of the table's first key.
        "a string" if came.starts_with("[[") => {
            let one = came.replace("[[", "[").replace("]]", "]");
            ("one table".to_owned(), format!("there is just one of it: write {one}"))
        }
        "a string" => ("a text in quotes".to_owned(), text(came)),
        "a sequence" => ("a list".to_owned(), list(came)),
        table if table.starts_with("struct ") || table == "a map" => {
            let help = "write it as a table: its name in brackets on a line of its own, its keys below".to_owned();
            ("a table".to_owned(), help)
        }
        other => (other.to_owned(), measured(other, bare)),
    };
    (format!("expected {words}, got {came}"), help)
}

fn number(came: &str, example: &str) -> String {
    let bare = came.trim_matches(['"', '\'']);
    match bare.parse::<f64>() {
        Ok(number) if bare != came && number >= 0.0 => format!("write {bare}, without quotes"),
        _ => format!("write a number such as {example}, without quotes"),
    }
}

fn boolean(bare: &str) -> String {
    match bare.to_ascii_lowercase().as_str() {
        "yes" | "on" | "1" | "true" => "write true, without quotes".to_owned(),
        "no" | "off" | "0" | "false" => "write false, without quotes".to_owned(),
        _ => "write true or false, without quotes".to_owned(),
    }
}

fn text(came: &str) -> String {
    match came {
        "" => "write it in quotes".to_owned(),
        _ if came.starts_with(['[', '{']) => "write one text in quotes".to_owned(),
        _ => format!("write \"{came}\""),
    }
}

fn list(came: &str) -> String {
    match came.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(name) => format!("there may be several: write [[{name}]] above each"),
        None => format!("write it in brackets: [{came}]"),
    }
}

/// A time or a size, and what else says itself what it expects.
fn measured(expected: &str, bare: &str) -> String {
    let digits = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
    if expected.starts_with("a duration") {
        return match digits {
            true => format!("write its unit: \"{bare}s\""),
            false => "write a whole number and its unit, in quotes: ms, s, min, h, days".to_owned(),
        };
    }
    if expected.starts_with("a size") {
        return "write a whole number and its unit, in quotes: KiB, MiB, GiB, TiB, or kB, MB, GB, TB".to_owned();
    }
    format!("write {expected}")
}

/// What is no TOML.
fn syntax(said: &str, came: &str) -> (String, String) {
    let rule = |starts: &str| said.starts_with(starts);
    let (message, help) = match () {
        () if rule("unclosed table") => ("this table's name is not closed", "close it with ], as in [http]"),
        () if rule("unclosed array table") => ("this table's name is not closed", "close it with ]], as in [[site]]"),
        () if rule("unclosed array") => ("this list is not closed", "close it with ]"),
        () if rule("unclosed inline table") => ("this table is not closed", "close it with }"),
        () if rule("string values must be quoted") => return unquoted(came),
        () if rule("invalid boolean") => ("this is neither true nor false", "write true or false, in small letters"),
        () if rule("invalid basic string") => ("this text is not closed", "close it with \" on the same line"),
        () if rule("invalid literal string") => ("this text is not closed", "close it with ' on the same line"),
        () if rule("missing escaped value") => (
            "a backslash stands for something else here",
            "write \\\\ for one, or the text in '...' instead of \"...\"",
        ),
        () if rule("key with no value") => {
            ("a key without a value", "write key = value; a table's name stands in brackets, as in [http]")
        }
        () if rule("duplicate key") => {
            let help = "write each key and each table once: put what belongs to it below the first".to_owned();
            return (format!("`{came}` is there twice"), help);
        }
        () if rule("unexpected key or value") => {
            ("something follows a value on its line", "begin a new line here; numbers have a point, not a comma: 0.9")
        }
        () if rule("invalid mantissa") => ("this is no number", "write a digit before the point and behind it: 0.9"),
        () if rule("wanted string or table") => {
            ("expected a text in quotes", "write one of the words that it knows, in quotes")
        }
        () => {
            let help = "`wheeltapper config example` prints a whole configuration to compare with".to_owned();
            return (said.to_owned(), help);
        }
    };
    (message.to_owned(), help.to_owned())
}

fn unquoted(came: &str) -> (String, String) {
    let message = format!("{came} is neither a number, nor true or false, nor a text in quotes");
    match came.to_ascii_lowercase().as_str() {
        "" => ("a value is missing".to_owned(), "write it behind the =, a text in quotes".to_owned()),
        "yes" | "on" => (message, "write true".to_owned()),
        "no" | "off" => (message, "write false".to_owned()),
        _ => (message, format!("write \"{came}\"")),
    }
}
