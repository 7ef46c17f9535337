//! Operators and conditionals.

use super::{MAX_CHAIN, Parsed, Parser};
use crate::expression::{BinaryOperator, Kind, Node};

/// Operators by how tightly they bind, loosest first; longer spellings before their prefixes.
const LEVELS: [&[(&str, BinaryOperator)]; 6] = [
    &[("||", BinaryOperator::Or)],
    &[("&&", BinaryOperator::And)],
    &[("==", BinaryOperator::Equal), ("!=", BinaryOperator::NotEqual)],
    &[
        (">=", BinaryOperator::GreaterOrEqual),
        ("<=", BinaryOperator::LessOrEqual),
        (">", BinaryOperator::Greater),
        ("<", BinaryOperator::Less),
    ],
    &[("+", BinaryOperator::Add), ("-", BinaryOperator::Subtract)],
    &[
        ("*", BinaryOperator::Multiply),
        ("/", BinaryOperator::Divide),
        ("%", BinaryOperator::Modulo),
    ],
];

impl Parser<'_> {
    /// An expression: operators, then perhaps `? :`.
    pub(super) fn expression(&mut self) -> Parsed<Node> {
        self.deeper(|p| {
            p.skip()?;
            let start = p.at;
            let condition = p.operators(0)?;
            p.skip()?;
            if !p.take("?") {
                return Ok(condition);
            }
            let yes = p.expression()?;
            p.skip()?;
            if !p.take(":") {
                return Err(p.error(
                    "Missing false expression in conditional",
                    "The conditional operator (...?...:...) requires a false expression, delimited by a colon.",
                ));
            }
            let no = p.expression()?;
            let span = p.span_from(start);
            Ok(Node { kind: Kind::Conditional(Box::new(condition), Box::new(yes), Box::new(no)), span })
        })
    }

    /// A chain of operators that bind at least as tightly as `level`.
    fn operators(&mut self, level: usize) -> Parsed<Node> {
        self.skip()?;
        let start = self.at;
        let mut left = self.term()?;
        let mut length = 0;
        loop {
            let end = self.at;
            self.skip()?;
            let Some((operator, its_level)) = self.operator(level)? else {
                self.at = end;
                return Ok(left);
            };
            length += 1;
            if length > MAX_CHAIN {
                return Err(self.error(
                    "Expression too long",
                    format!("A chain has at most {MAX_CHAIN} operators."),
                ));
            }
            self.skip()?;
            if self.at >= self.end {
                return Err(self.error(
                    "Missing expression",
                    "Expected the start of an expression, but found the end.",
                ));
            }
            let right = self.deeper(|p| p.operators(its_level + 1))?;
            let span = self.span_from(start);
            left = Node {
                kind: Kind::Binary(operator, Box::new(left), Box::new(right)),
                span,
            };
        }
    }

    /// Takes the operator here, if it binds at least as tightly as `lowest`.
    fn operator(&mut self, lowest: usize) -> Parsed<Option<(BinaryOperator, usize)>> {
        let rest = self.rest();
        if rest.starts_with("=>") || rest.starts_with("=") && !rest.starts_with("==") {
            return Ok(None);
        }
        let single = |c: char| rest.starts_with(c) && !rest[1..].starts_with(c);
        if single('&') || single('|') {
            return Err(self.error(
                "Unsupported operator",
                "Bitwise operators are not supported. Did you mean boolean AND (\"&&\") or OR (\"||\")?",
            ));
        }
        for (level, operators) in LEVELS.iter().enumerate() {
            for (text, operator) in *operators {
                if rest.starts_with(text) {
                    if level < lowest {
                        return Ok(None);
                    }
                    self.at += text.len();
                    return Ok(Some((*operator, level)));
                }
            }
        }
        Ok(None)
    }
}
