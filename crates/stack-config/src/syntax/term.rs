//! Terms: literals, names, calls, constructors, and the steps behind them.

use std::sync::Arc;

use stack_core::{Diagnostic, Number, Value};

use super::{Parsed, Parser};
use crate::expression::{Call, Free, Kind, Node, UnaryOperator};
use crate::reference::{Access, Traversal};

impl Parser<'_> {
    /// A term with the steps behind it.
    pub(super) fn term(&mut self) -> Parsed<Node> {
        self.skip()?;
        let start = self.at;
        for (sign, operator) in [("-", UnaryOperator::Negate), ("!", UnaryOperator::Not)] {
            if self.take(sign) {
                let operand = self.deeper(Self::term)?;
                let span = self.span_from(start);
                return Ok(Node {
                    kind: Kind::Unary(operator, Box::new(operand)),
                    span,
                });
            }
        }
        let node = self.bare_term()?;
        self.steps(node, start)
    }

    fn bare_term(&mut self) -> Parsed<Node> {
        let start = self.at;
        let Some(first) = self.peek() else {
            return Err(self.error(
                "Missing expression",
                "Expected the start of an expression, but found the end.",
            ));
        };
        let kind = match first {
            '0'..='9' => self.number()?,
            '"' => self.quoted()?,
            '[' => self.deeper(Self::tuple)?,
            '{' => self.deeper(Self::object)?,
            '(' => self.deeper(Self::parenthesis)?,
            '<' if self.looking_at("<<") => self.heredoc()?,
            _ => return self.name(start),
        };
        Ok(Node {
            kind,
            span: self.span_from(start),
        })
    }

    fn name(&mut self, start: usize) -> Parsed<Node> {
        let Some(name) = self.identifier() else {
            let mut diagnostic = self.error(
                "Invalid expression",
                "Expected the start of an expression, but found an invalid expression token.",
            );
            if self.looking_at("'") {
                diagnostic.hints.push("strings stand in double quotes".to_owned());
            }
            return Err(diagnostic);
        };
        let end = self.at;
        self.skip()?;
        if self.looking_at("(") || self.looking_at("::") {
            let call = self.deeper(|p| p.call(name, start))?;
            return Ok(Node {
                kind: call,
                span: self.span_from(start),
            });
        }
        self.at = end;
        let literal = match name {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::NULL),
            _ => None,
        };
        let span = self.span_from(start);
        let kind = match literal {
            Some(value) => Kind::Literal(value),
            None => return self.traversal(Arc::from(name), start),
        };
        Ok(Node { kind, span })
    }

    /// A name with the literal steps behind it.
    fn traversal(&mut self, root: Arc<str>, start: usize) -> Parsed<Node> {
        let mut steps = Vec::new();
        let local = self.locals.contains(&root);
        let slot = (!local).then(|| {
            // The place in the list is taken before the steps, whose indices may have references of their own.
            let reference = Traversal {
                root: root.clone(),
                steps: Vec::new(),
                span: self.span_from(start),
            }
            .reference();
            self.free.push(Free {
                root: root.clone(),
                reference,
            });
            self.free.len() - 1
        });
        loop {
            let end = self.at;
            self.skip()?;
            let at = self.at;
            let step = if self.looking_at(".") {
                self.literal_attribute()?
            } else {
                self.literal_index()?
            };
            let Some(step) = step else {
                self.at = end;
                break;
            };
            steps.push((step, self.span_from(at)));
        }
        let span = self.span_from(start);
        let kind = match slot {
            None => Kind::Local { name: root, steps },
            Some(free) => {
                let plain = steps.iter().map(|(step, _)| step.clone()).collect();
                self.free[free].reference = Traversal {
                    root,
                    steps: plain,
                    span,
                }
                .reference();
                Kind::Traversal { free, steps }
            }
        };
        Ok(Node { kind, span })
    }

    /// `.name` here; nothing is taken where something else stands.
    fn literal_attribute(&mut self) -> Parsed<Option<Access>> {
        let start = self.at;
        if self.looking_at("...") || !self.take(".") {
            return Ok(None);
        }
        self.skip()?;
        match self.identifier() {
            Some(name) => Ok(Some(Access::Attribute(Arc::from(name)))),
            None => {
                self.at = start;
                Ok(None)
            }
        }
    }

    /// `[0]` or `["key"]` here; nothing is taken where something else stands.
    fn literal_index(&mut self) -> Parsed<Option<Access>> {
        let start = self.at;
        if !self.take("[") {
            return Ok(None);
        }
        let index = self.across_lines(|p| {
            p.skip()?;
            let index = match p.peek() {
                Some('0'..='9') => p.number()?,
                Some('"') if p.is_plain_text() => p.quoted()?,
                _ => return Ok(None),
            };
            p.skip()?;
            Ok(Some(index))
        })?;
        if self.take("]") {
            match index {
                Some(Kind::Literal(Value::String(key))) => return Ok(Some(Access::Key(key))),
                Some(Kind::Literal(Value::Number(n))) => {
                    if let Some(index) = n.as_i64().and_then(|n| u64::try_from(n).ok()) {
                        return Ok(Some(Access::Index(index)));
                    }
                }
                _ => {}
            }
        }
        self.at = start;
        Ok(None)
    }

    /// Whether the quoted text here has neither interpolations nor directives.
    fn is_plain_text(&self) -> bool {
        let bytes = self.rest().as_bytes();
        let mut at = 1;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => return true,
                b'\\' => at += 1,
                b'{' if matches!(bytes[at - 1], b'$' | b'%') && bytes[at - 1] != bytes[at - 2] => {
                    return false;
                }
                _ => {}
            }
            at += 1;
        }
        false
    }

    /// The steps behind a term.
    fn steps(&mut self, mut node: Node, start: usize) -> Parsed<Node> {
        for _ in 0..super::MAX_DEPTH {
            let end = self.at;
            self.skip()?;
            let kind = if self.looking_at("...") {
                self.at = end;
                return Ok(node);
            } else if self.take(".") {
                self.skip()?;
                if self.take("*") {
                    self.attribute_splat(node)?
                } else {
                    self.dot(node)?
                }
            } else if self.take("[") {
                match self.across_lines(Self::bracket)? {
                    Some(index) => Kind::Index(Box::new(node), Box::new(index)),
                    None => {
                        let item = Node {
                            kind: Kind::SplatItem,
                            span: self.span_from(start),
                        };
                        let each = self.deeper(|p| p.steps(item, start))?;
                        Kind::Splat(Box::new(node), Box::new(each))
                    }
                }
            } else {
                self.at = end;
                return Ok(node);
            };
            node = Node {
                kind,
                span: self.span_from(start),
            };
        }
        Err(self.too_many_steps())
    }

    /// Behind `.`: a name, or a number as index.
    fn dot(&mut self, node: Node) -> Parsed<Kind> {
        let start = self.at;
        if let Some(name) = self.identifier() {
            return Ok(Kind::Attribute(Box::new(node), Arc::from(name)));
        }
        let digits = self.rest().len() - self.rest().trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 {
            return Err(self.error(
                "Invalid attribute name",
                "An attribute name is required after a dot.",
            ));
        }
        self.at += digits;
        // Two of them read as one number with a fraction.
        if self.rest().starts_with('.') && self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.error_at(
                start,
                "Invalid legacy index syntax",
                "When using the legacy index syntax, chaining two indexes together is not permitted. Use the proper index syntax instead, like [0][1].",
            ));
        }
        let number = Number::parse(&self.text[start..self.at]).map_or(Value::NULL, Value::Number);
        let index = Node {
            kind: Kind::Literal(number),
            span: self.span_from(start),
        };
        Ok(Kind::Index(Box::new(node), Box::new(index)))
    }

    /// Behind `.*`: attributes only are taken of each member.
    fn attribute_splat(&mut self, source: Node) -> Parsed<Kind> {
        let mut each = Node {
            kind: Kind::SplatItem,
            span: source.span,
        };
        for _ in 0..super::MAX_DEPTH {
            let end = self.at;
            self.skip()?;
            let start = self.at;
            if self.looking_at("...") || !self.take(".") {
                self.at = end;
                return Ok(Kind::Splat(Box::new(source), Box::new(each)));
            }
            self.skip()?;
            if self.looking_at("*") {
                return Err(self.error(
                    "Nested splat expression not allowed",
                    "A splat expression (*) cannot be used inside another attribute-only splat expression.",
                ));
            }
            let kind = self.dot(each)?;
            each = Node {
                kind,
                span: self.span_from(start),
            };
        }
        Err(self.too_many_steps())
    }

    fn too_many_steps(&self) -> Box<Diagnostic> {
        let most = super::MAX_DEPTH;
        let mut error = self.error(
            "Expression too deep",
            format!("More than {most} steps follow one another."),
        );
        error.code = "STK0203";
        error
    }

    /// Behind `[`: an index, or none for a splat.
    fn bracket(&mut self) -> Parsed<Option<Node>> {
        self.skip()?;
        if self.take("*") {
            self.skip()?;
            self.closing(
                "]",
                "Missing close bracket on splat index",
                "The star for a full splat operator must be immediately followed by a closing bracket (\"]\").",
            )?;
            return Ok(None);
        }
        let index = self.expression()?;
        self.skip()?;
        self.closing(
            "]",
            "Missing close bracket on index",
            "The index operator must end with a closing bracket (\"]\").",
        )?;
        Ok(Some(index))
    }

    fn closing(&mut self, token: &str, summary: &str, detail: &str) -> Parsed<()> {
        if self.take(token) {
            Ok(())
        } else {
            Err(self.error(summary, detail))
        }
    }

    fn number(&mut self) -> Parsed<Kind> {
        let start = self.at;
        let bytes = self.rest().as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut length = digits(0);
        if bytes.get(length) == Some(&b'.') {
            let fraction = digits(length + 1);
            if fraction > 0 {
                length += 1 + fraction;
            }
        }
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits(length + 1 + sign);
            if exponent > 0 {
                length += 1 + sign + exponent;
            }
        }
        self.at += length;
        match Number::parse(&self.text[start..self.at]) {
            Some(number) => Ok(Kind::Literal(Value::Number(number))),
            None => Err(self.error_at(
                start,
                "Invalid number literal",
                "The number is too large or too small.",
            )),
        }
    }

    fn parenthesis(&mut self) -> Parsed<Kind> {
        let start = self.at;
        self.at += 1;
        self.across_lines(|p| {
            let inner = p.expression()?;
            p.skip()?;
            if !p.take(")") {
                let mut error = p.error(
                    "Unbalanced parentheses",
                    "Expected a closing parenthesis to terminate the expression.",
                );
                error.labels.push((p.span_from(start), "opened here".to_owned()));
                return Err(error);
            }
            Ok(Kind::Parenthesis(Box::new(inner)))
        })
    }

    /// A call; the name's first part has been taken.
    fn call(&mut self, first: &str, start: usize) -> Parsed<Kind> {
        let mut name = first.to_owned();
        while self.take("::") {
            let Some(part) = self.identifier() else {
                return Err(self.error(
                    "Missing function name",
                    "Function scope resolution symbol :: must be followed by a function name in this scope.",
                ));
            };
            name.push_str("::");
            name.push_str(part);
            self.skip()?;
        }
        let name_span = self.span_from(start);
        if !self.take("(") {
            return Err(self.error(
                "Missing open parenthesis",
                "Function selector must be followed by an open parenthesis to begin the function call.",
            ));
        }
        let (arguments, expand) = self.across_lines(Self::arguments)?;
        Ok(Kind::Call(Box::new(Call {
            name: Arc::from(name),
            name_span,
            arguments,
            expand,
        })))
    }

    fn arguments(&mut self) -> Parsed<(Vec<Node>, bool)> {
        let mut arguments = Vec::new();
        loop {
            self.skip()?;
            if self.take(")") {
                return Ok((arguments, false));
            }
            if self.at >= self.end {
                return Err(self.error("Unterminated function call", "There is no closing parenthesis for this function call before the end of the file. This may be caused by incorrect parenthesis nesting elsewhere in this file."));
            }
            arguments.push(self.expression()?);
            self.skip()?;
            if self.take("...") {
                self.skip()?;
                self.closing(")", "Missing closing parenthesis", "An expanded function argument (with ...) must be immediately followed by closing parentheses.")?;
                return Ok((arguments, true));
            }
            if !self.take(",") && !self.looking_at(")") {
                let (summary, detail) = if self.at >= self.end {
                    (
                        "Unterminated function call",
                        "There is no closing parenthesis for this function call before the end of the file.",
                    )
                } else {
                    (
                        "Missing argument separator",
                        "A comma is required to separate each function argument from the next.",
                    )
                };
                return Err(self.error(summary, detail));
            }
        }
    }
}
