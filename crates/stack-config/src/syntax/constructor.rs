//! Tuples, objects and `for` expressions.

use std::sync::Arc;

use stack_core::Value;

use super::{Parsed, Parser};
use crate::expression::{For, Kind, Node};

impl Parser<'_> {
    pub(super) fn tuple(&mut self) -> Parsed<Kind> {
        let start = self.at;
        self.at += 1;
        self.across_lines(|p| {
            p.skip()?;
            let first = p.at;
            if p.keyword("for") {
                return p.for_expression(first, "]");
            }
            let mut members = Vec::new();
            loop {
                p.skip()?;
                if p.take("]") {
                    return Ok(Kind::Tuple(members));
                }
                if p.at >= p.end {
                    return Err(p.error_at(start, "Unterminated tuple constructor expression", "There is no corresponding closing bracket before the end of the file. This may be caused by incorrect bracket nesting elsewhere in this file."));
                }
                members.push(p.expression()?);
                p.skip()?;
                if !p.take(",") && !p.looking_at("]") {
                    if p.at >= p.end {
                        return Err(p.error_at(start, "Unterminated tuple constructor expression", "There is no corresponding closing bracket before the end of the file."));
                    }
                    return Err(p.error("Missing item separator", "Expected a comma to mark the beginning of the next item."));
                }
            }
        })
    }

    pub(super) fn object(&mut self) -> Parsed<Kind> {
        let start = self.at;
        self.at += 1;
        let first = self.across_lines(|p| {
            p.skip()?;
            Ok(p.at)
        })?;
        if self.keyword("for") {
            let after = self.at;
            let mut rest = self.rest().trim_start();
            rest = rest.trim_start_matches(['\r', '\n']);
            // A key may be named `for`.
            if !rest.starts_with(['=', ':']) {
                return self.across_lines(|p| p.for_expression(first, "}"));
            }
            self.at = after;
        }
        self.at = start + 1;
        let before = std::mem::replace(&mut self.across_lines, false);
        let items = self.items(start);
        self.across_lines = before;
        items.map(Kind::Object)
    }

    fn items(&mut self, start: usize) -> Parsed<Vec<(Node, Node)>> {
        let unterminated = |p: &Self| {
            p.error_at(start, "Unterminated object constructor expression", "There is no corresponding closing brace before the end of the file. This may be caused by incorrect brace nesting elsewhere in this file.")
        };
        let mut items = Vec::new();
        loop {
            self.across_lines(Self::skip)?;
            if self.take("}") {
                return Ok(items);
            }
            if self.at >= self.end {
                return Err(unterminated(self));
            }
            let key = self.object_key()?;
            self.skip()?;
            if !self.take("=") && !self.take(":") {
                if self.at >= self.end {
                    return Err(unterminated(self));
                }
                if matches!(self.peek(), Some('\n' | '\r' | ',')) {
                    return Err(self.error(
                        "Missing attribute value",
                        "Expected an attribute value, introduced by an equals sign (\"=\").",
                    ));
                }
                return Err(self.error(
                    "Missing key/value separator",
                    "Expected an equals sign (\"=\") to mark the beginning of the attribute value.",
                ));
            }
            let value = self.expression()?;
            items.push((key, value));
            self.skip()?;
            let line_ends = self.looking_at("\n") || self.looking_at("\r\n");
            if !self.take(",") && !line_ends && !self.looking_at("}") {
                if self.at >= self.end {
                    return Err(unterminated(self));
                }
                return Err(self.error(
                    "Missing attribute separator",
                    "Expected a newline or comma to mark the beginning of the next attribute.",
                ));
            }
        }
    }

    /// A key: a bare name stands for itself, anything else is an expression.
    fn object_key(&mut self) -> Parsed<Node> {
        let (start, free) = (self.at, self.free.len());
        if let Some(name) = self.identifier() {
            let name = Value::string(name);
            let span = self.span_from(start);
            self.skip()?;
            let ends = self.rest().is_empty() || self.rest().starts_with(['=', ':', '}', '\n', '\r']);
            if ends && !self.looking_at("==") && !self.looking_at("::") {
                return Ok(Node {
                    kind: Kind::Literal(name),
                    span,
                });
            }
            self.at = start;
        }
        let key = self.expression()?;
        if let Kind::Traversal { steps, .. } | Kind::Local { steps, .. } = &key.kind
            && !steps.is_empty()
        {
            self.free.truncate(free);
            let mut error = self.error_at(start, "Ambiguous attribute key", "If this expression is intended to be a reference, wrap it in parentheses. If it's instead intended as a literal name containing periods, wrap it in quotes to create a string literal.");
            error.code = "STK0204";
            return Ok(Node {
                kind: Kind::Invalid(error),
                span: key.span,
            });
        }
        Ok(key)
    }

    /// Behind the word `for`, up to the closing bracket.
    fn for_expression(&mut self, start: usize, close: &str) -> Parsed<Kind> {
        let summary = "Invalid 'for' expression";
        let (key_name, value_name) = self.for_names(summary)?;
        let collection = self.expression()?;
        self.skip()?;
        if !self.take(":") {
            return Err(self.error(
                summary,
                "For expression requires a colon after the collection expression.",
            ));
        }
        let names: Vec<Arc<str>> = key_name.iter().cloned().chain([value_name.clone()]).collect();
        let (key, value, group, condition) = self.binding(names, |p| {
            let first = p.expression()?;
            p.skip()?;
            let (key, value) = if p.take("=>") {
                if close == "]" {
                    return Err(p.error(summary, "Key expression is not valid when building a tuple."));
                }
                (Some(first), p.expression()?)
            } else if close == "}" {
                return Err(p.error(summary, "Key expression is required when building an object."));
            } else {
                (None, first)
            };
            p.skip()?;
            let group = p.take("...");
            if group && close == "]" {
                return Err(p.error(
                    summary,
                    "Grouping ellipsis (...) cannot be used when building a tuple.",
                ));
            }
            p.skip()?;
            let condition = if p.keyword("if") {
                Some(p.expression()?)
            } else {
                None
            };
            p.skip()?;
            Ok((key, value, group, condition))
        })?;
        if !self.take(close) {
            return Err(self.error_at(
                start,
                summary,
                "Extra characters after the end of the 'for' expression.",
            ));
        }
        Ok(Kind::For(Box::new(For {
            key_name,
            value_name,
            collection,
            key,
            value,
            condition,
            group,
        })))
    }

    /// `k, v in` or `v in`
    pub(super) fn for_names(&mut self, summary: &str) -> Parsed<(Option<Arc<str>>, Arc<str>)> {
        self.skip()?;
        let missing = |p: &Self| p.error(summary, "For expression requires variable name after 'for'.");
        let first: Arc<str> = Arc::from(self.identifier().ok_or_else(|| missing(self))?);
        self.skip()?;
        let names = if self.take(",") {
            self.skip()?;
            let second = self.identifier().ok_or_else(|| missing(self))?;
            (Some(first), Arc::from(second))
        } else {
            (None, first)
        };
        self.skip()?;
        if !self.keyword("in") {
            return Err(self.error(
                summary,
                "For expression requires the 'in' keyword after its name declarations.",
            ));
        }
        Ok(names)
    }
}
