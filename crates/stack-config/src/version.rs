//! Version constraints: `>= 1.2, < 2.0`, `~> 1.4`.

use stack_core::{Diagnostic, Diagnostics};

use crate::configuration::Configuration;

/// A text that is no version constraint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a version constraint; write for example \">= 1.2, < 2.0\" or \"~> 1.4\"")]
pub(crate) struct ParseConstraintError {
    /// The part that was not understood.
    pub text: String,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    operator: Operator,
    version: [u64; 3],
    /// How many numbers the text gives.
    given: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    /// `~>`: at least this, and equal in all numbers but the last one given.
    Compatible,
}

const OPERATORS: &[(&str, Operator)] = &[
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("~>", Operator::Compatible),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
];

/// Reads a constraint.
pub(crate) fn parse_constraint(text: &str) -> Result<Vec<Comparison>, ParseConstraintError> {
    text.split(',').map(|part| comparison(part.trim())).collect()
}

fn comparison(text: &str) -> Result<Comparison, ParseConstraintError> {
    let found = OPERATORS
        .iter()
        .find_map(|(sign, operator)| Some((*operator, text.strip_prefix(sign)?)));
    let (operator, version) = found.unwrap_or((Operator::Equal, text));
    let (version, given) = numbers(version.trim()).ok_or_else(|| ParseConstraintError {
        text: text.to_owned(),
    })?;
    Ok(Comparison {
        operator,
        version,
        given,
    })
}

fn numbers(text: &str) -> Option<([u64; 3], usize)> {
    let mut out = [0; 3];
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() > out.len() {
        return None;
    }
    for (slot, part) in out.iter_mut().zip(&parts) {
        *slot = part
            .parse()
            .ok()
            .filter(|_| part.bytes().all(|b| b.is_ascii_digit()))?;
    }
    Some((out, parts.len()))
}

impl Comparison {
    fn holds(&self, version: [u64; 3]) -> bool {
        match self.operator {
            Operator::Equal => version == self.version,
            Operator::NotEqual => version != self.version,
            Operator::Greater => version > self.version,
            Operator::GreaterOrEqual => version >= self.version,
            Operator::Less => version < self.version,
            Operator::LessOrEqual => version <= self.version,
            Operator::Compatible => {
                let fixed = self.given.saturating_sub(1);
                version >= self.version && version[..fixed] == self.version[..fixed]
            }
        }
    }
}

/// Checks `required_version` against the version that runs (`1.2.3`; a suffix behind `-` or `+` is ignored).
pub fn check_version(configuration: &Configuration, running: &str) -> Diagnostics {
    let Some(required) = &configuration.root.settings.required_version else {
        return Diagnostics::new();
    };
    let plain = running.split(['-', '+']).next().unwrap_or(running);
    let (Ok(comparisons), Some((version, _))) = (parse_constraint(&required.text), numbers(plain)) else {
        return Diagnostics::new();
    };
    if comparisons.iter().all(|c| c.holds(version)) {
        return Diagnostics::new();
    }
    Diagnostic::error(
        "STK0115",
        "Unsupported stack version",
        format!(
            "This configuration requires stack {}, but this is stack {running}.",
            required.text
        ),
    )
    .at(required.span)
    .hint("install a version that fits, or change required_version in the stack block")
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_hold_as_documented() {
        let holds = |constraint: &str, version: [u64; 3]| {
            parse_constraint(constraint)
                .unwrap()
                .iter()
                .all(|c| c.holds(version))
        };
        assert!(holds(">= 1.2, < 2.0", [1, 9, 0]));
        assert!(!holds(">= 1.2, < 2.0", [2, 0, 0]));
        assert!(holds("~> 1.4", [1, 9, 3]));
        assert!(!holds("~> 1.4", [2, 0, 0]));
        assert!(holds("~> 1.4.2", [1, 4, 9]));
        assert!(!holds("~> 1.4.2", [1, 5, 0]));
        assert!(!holds("!= 1.0.0", [1, 0, 0]));
        assert!(holds("1.0", [1, 0, 0]));
        for bad in ["", "1.x", ">= ", "1.2.3.4", "latest", "+1.0"] {
            assert!(parse_constraint(bad).is_err(), "{bad}");
        }
    }
}
