//! Operators and conditionals.

use super::{Parsed, Parser};
use crate::expression::{BinaryOperator, Kind, Link, Node};

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
        let first = self.term()?;
        let mut links = Vec::new();
        loop {
            let end = self.at;
            self.skip()?;
            let Some((operator, its_level)) = self.operator(level)? else {
                self.at = end;
                let span = links.last().map_or(first.span, |link: &Link| link.span);
                return Ok(if links.is_empty() {
                    first
                } else {
                    Node {
                        kind: Kind::Binary(Box::new(first), links),
                        span,
                    }
                });
            };
            self.skip()?;
            if self.at >= self.end {
                return Err(self.error(
                    "Missing expression",
                    "Expected the start of an expression, but found the end.",
                ));
            }
            let right = self.deeper(|p| p.operators(its_level + 1))?;
            links.push(Link {
                operator,
                right,
                span: self.span_from(start),
            });
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
