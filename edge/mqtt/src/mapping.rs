//! Which sensor and which format a topic stands for.

use crate::topic::{self, TopicError};

/// One rule: what the topics that match a filter mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingRule {
    /// Topic filter with `+` and `#`.
    pub filter: String,
    /// Template of the sensor's name: `{1}`, `{2}` and so on are what the first, second `+` stood for, `{#}` what the `#`
    /// stood for, `{topic}` the whole topic.
    pub sensor: Option<String>,
    /// Name of the payload's format, taken as it is.
    pub format: Option<String>,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// Its filter.
    #[error("rule {rule}: {source}")]
    Filter {
        /// Number of the rule, from 1.
        rule: usize,
        /// What is wrong with it.
        source: TopicError,
    },
    /// The template names a wildcard that the filter lacks.
    #[error("rule {rule}: the sensor {template:?} uses {{{name}}}, but the filter {filter:?} has {has}")]
    Wildcard {
        /// Number of the rule, from 1.
        rule: usize,
        /// The template.
        template: String,
        /// What it names.
        name: String,
        /// The filter.
        filter: String,
        /// What wildcards that filter has.
        has: String,
    },
    /// Something else in braces, or a brace left open.
    #[error("rule {rule}: the sensor {template:?} must use {{1}}, {{2}}, ..., {{#}} or {{topic}}, not {name:?}")]
    Template {
        /// Number of the rule, from 1.
        rule: usize,
        /// The template.
        template: String,
        /// What was found.
        name: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// Index of a level of the topic.
    Level(usize),
    /// All levels from this index on.
    Rest(usize),
    Topic,
}

#[derive(Clone, Debug)]
struct Rule {
    filter: String,
    sensor: Option<Vec<Piece>>,
    format: Option<String>,
}

/// Rules in their order; the first that matches a topic counts. The default has none.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    rules: Vec<Rule>,
}

impl Mapping {
    /// Checks the rules.
    ///
    /// # Errors
    /// An invalid filter, or a template that names a wildcard which its filter lacks.
    pub fn new(rules: Vec<MappingRule>) -> Result<Self, MappingError> {
        let rules = rules.into_iter().zip(1..).map(|(rule, number)| compile(rule, number)).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// The sensor and the format of the first rule whose filter matches `topic`; `None` when none does.
    pub fn map(&self, topic: &str) -> Option<(Option<String>, Option<String>)> {
        let rule = self.rules.iter().find(|rule| topic::matches(&rule.filter, topic))?;
        let sensor = rule.sensor.as_ref().map(|pieces| render(pieces, topic));
        Some((sensor, rule.format.clone()))
    }
}

fn compile(rule: MappingRule, number: usize) -> Result<Rule, MappingError> {
    topic::check_filter(&rule.filter).map_err(|source| MappingError::Filter { rule: number, source })?;
    let sensor = rule.sensor.as_deref().map(|template| pieces(template, &rule.filter, number)).transpose()?;
    Ok(Rule { filter: rule.filter, sensor, format: rule.format })
}

fn pieces(template: &str, filter: &str, rule: usize) -> Result<Vec<Piece>, MappingError> {
    let single: Vec<usize> = filter.split('/').enumerate().filter(|(_, part)| *part == "+").map(|(at, _)| at).collect();
    let rest = filter.split('/').position(|part| part == "#");
    let mut pieces = Vec::new();
    let mut remaining = template;
    while let Some((text, tail)) = remaining.split_once('{') {
        if !text.is_empty() {
            pieces.push(Piece::Text(text.into()));
        }
        let odd = |name: &str| MappingError::Template { rule, template: template.into(), name: name.into() };
        let Some((name, tail)) = tail.split_once('}') else { return Err(odd(&format!("{{{tail}"))) };
        let lacking = || MappingError::Wildcard {
            rule,
            template: template.into(),
            name: name.into(),
            filter: filter.into(),
            has: format!("{} \"+\" and {} \"#\"", single.len(), if rest.is_some() { "a" } else { "no" }),
        };
        pieces.push(match name {
            "topic" => Piece::Topic,
            "#" => Piece::Rest(rest.ok_or_else(lacking)?),
            number if !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()) => {
                let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
                Piece::Level(index.and_then(|index| single.get(index).copied()).ok_or_else(lacking)?)
            }
            other => return Err(odd(&format!("{{{other}}}"))),
        });
        remaining = tail;
    }
    if !remaining.is_empty() {
        pieces.push(Piece::Text(remaining.into()));
    }
    Ok(pieces)
}

fn render(pieces: &[Piece], topic: &str) -> String {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Level(index) => out.push_str(topic.split('/').nth(*index).unwrap_or_default()),
            Piece::Rest(index) => {
                for (number, level) in topic.split('/').skip(*index).enumerate() {
                    if number > 0 {
                        out.push('/');
                    }
                    out.push_str(level);
                }
            }
            Piece::Topic => out.push_str(topic),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(filter: &str, sensor: &str) -> MappingRule {
        MappingRule { filter: filter.into(), sensor: Some(sensor.into()), format: Some("json".into()) }
    }

    #[test]
    fn wildcards_become_names() {
        let mapping =
            Mapping::new(vec![rule("plant/+/pump/+/#", "{2}@{1}:{#}"), rule("+/x", "{1}"), rule("#", "{topic}!")])
                .unwrap();
        let sensor = |topic| mapping.map(topic).unwrap().0.unwrap();
        assert_eq!(sensor("plant/a/pump/7/temp/in"), "7@a:temp/in");
        assert_eq!(sensor("plant/a/pump/7"), "7@a:");
        assert_eq!(sensor("q/x"), "q");
        assert_eq!(sensor("other/y/z"), "other/y/z!");
        assert_eq!(mapping.map("$SYS/y"), None);
        assert_eq!(Mapping::default().map("a"), None);
        let plain = Mapping::new(vec![MappingRule { filter: "a".into(), ..MappingRule::default() }]).unwrap();
        assert_eq!(plain.map("a"), Some((None, None)));
    }

    #[test]
    fn wrong_rules_are_told() {
        let told = |filter, sensor| Mapping::new(vec![rule("ok", "ok"), rule(filter, sensor)]).unwrap_err().to_string();
        assert!(told("a/#/b", "x").starts_with("rule 2: in the topic filter"));
        assert_eq!(
            told("a/+", "{2}"),
            "rule 2: the sensor \"{2}\" uses {2}, but the filter \"a/+\" has 1 \"+\" and no \"#\""
        );
        assert!(told("a/+", "{0}").contains("uses {0}"));
        assert!(told("a/+", "{#}").contains("uses {#}"));
        assert!(told("a/+", "{name}").contains("{name}"));
        assert!(told("a/+", "{1").contains("{1"));
    }

    proptest! {
        #[test]
        fn any_rule_is_judged_without_panic(filter in ".{0,20}", sensor in "[{}#a-z0-9]{0,20}", topic in ".{0,20}") {
            if let Ok(mapping) = Mapping::new(vec![rule(&filter, &sensor)]) {
                let _ = mapping.map(&topic);
            }
        }
    }
}
