//! Templates: quoted texts, heredocs and template files, with interpolations, directives and trim markers.

use std::sync::Arc;

use stack_core::{Span, Value};
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::{Mode, Parsed, Parser};
use crate::expression::{For, Kind, Node};

/// What ends a template, and how its text is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Style {
    /// Up to the quote, with escapes.
    #[default]
    Quoted,
    /// Up to the line with the marker.
    Heredoc,
    /// Up to the end of the text.
    File,
}

/// The template being parsed. Its literals are kept apart until it ends, because a trim marker may shorten a literal on
/// either side of it, and a heredoc is dedented as a whole.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub(super) style: Style,
    /// The marker of a heredoc.
    pub(super) marker: String,
    pub(super) literals: Vec<String>,
    /// Everything in the order of the text: literals by index, and interpolations and directives.
    pub(super) sequence: Vec<Option<usize>>,
    /// The next literal loses its leading space.
    pub(super) trim_next: bool,
}

/// A directive that ends or splits another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closer {
    Else,
    EndIf,
    EndFor,
}

impl Closer {
    fn word(self) -> &'static str {
        match self {
            Self::Else => "else",
            Self::EndIf => "endif",
            Self::EndFor => "endfor",
        }
    }
}

impl Pieces {
    pub(super) fn of(mode: Mode) -> Self {
        let style = if mode == Mode::Template {
            Style::File
        } else {
            Style::Quoted
        };
        Self {
            style,
            ..Self::default()
        }
    }
}

/// A string in the normal form that every string of the language has.
pub(crate) fn text(text: impl Into<String>) -> Value {
    let text = text.into();
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return Value::from(text);
    }
    Value::from(text.nfc().collect::<String>())
}

/// Parts of a template with neighbouring literals joined; a heredoc has one for each line.
#[derive(Default)]
struct Settled {
    parts: Vec<Node>,
    /// The literal being joined.
    run: Option<(String, Span)>,
}

impl Settled {
    fn literal(&mut self, literal: &str, span: Span) {
        match &mut self.run {
            Some((run, place)) => {
                run.push_str(literal);
                place.end = span.end;
            }
            None if literal.is_empty() => {}
            None => self.run = Some((literal.to_owned(), span)),
        }
    }

    fn end_run(&mut self) {
        if let Some((run, span)) = self.run.take() {
            self.parts.push(Node {
                kind: Kind::Literal(text(run)),
                span,
            });
        }
    }
}

impl Parser<'_> {
    /// The whole text as a template.
    pub(crate) fn whole_template(&mut self) -> Parsed<Node> {
        let start = self.at;
        let kind = self.template()?;
        Ok(Node {
            kind,
            span: self.span_from(start),
        })
    }

    /// A quoted text.
    pub(super) fn quoted(&mut self) -> Parsed<Kind> {
        let start = self.at;
        self.at += 1;
        let outer = std::mem::take(&mut self.template);
        let kind = self.template()?;
        self.template = outer;
        if !self.take("\"") {
            return Err(self.error_at(
                start,
                "Unterminated template string",
                "No closing marker was found for the string.",
            ));
        }
        Ok(kind)
    }

    /// A template up to its end, which is not taken.
    pub(super) fn template(&mut self) -> Parsed<Kind> {
        self.dedented_template(false)
    }

    /// [`Self::template`], with the indentation removed that its lines share.
    pub(super) fn dedented_template(&mut self, dedent: bool) -> Parsed<Kind> {
        let (mut parts, _) = self.deeper(|p| p.parts(&[]))?;
        if dedent {
            self.template.dedent();
        }
        if let [
            Node {
                kind: Kind::Wrap(_), ..
            },
        ] = parts.as_slice()
            && let Some(part) = parts.pop()
        {
            return Ok(part.kind);
        }
        self.settle(&mut parts);
        match parts.as_slice() {
            [] => Ok(Kind::Literal(Value::from(""))),
            [
                Node {
                    kind: Kind::Literal(value),
                    ..
                },
            ] => Ok(Kind::Literal(value.clone())),
            _ => Ok(Kind::Template(parts)),
        }
    }

    /// Puts the literals in their places and joins neighbours; interpolations lose their wrapping.
    fn settle(&self, parts: &mut Vec<Node>) {
        let mut out = Settled::default();
        for part in parts.drain(..) {
            let span = part.span;
            let kind = match part.kind {
                Kind::Pending(index) => {
                    let literal = self.template.literals.get(index).map_or("", String::as_str);
                    out.literal(literal, span);
                    continue;
                }
                Kind::Wrap(inner) => match inner.kind {
                    Kind::Literal(Value::String(literal)) => {
                        out.end_run();
                        out.run = Some((literal.to_string(), span));
                        continue;
                    }
                    other => other,
                },
                Kind::Conditional(condition, mut yes, mut no) => {
                    for branch in [&mut yes, &mut no] {
                        if let Kind::Template(parts) = &mut branch.kind {
                            self.settle(parts);
                        }
                    }
                    Kind::Conditional(condition, yes, no)
                }
                Kind::Join(mut node) => {
                    if let Kind::For(each) = &mut node.kind
                        && let Kind::Template(parts) = &mut each.value.kind
                    {
                        self.settle(parts);
                    }
                    Kind::Join(node)
                }
                other => other,
            };
            out.end_run();
            out.parts.push(Node { kind, span });
        }
        out.end_run();
        *parts = out.parts;
    }

    fn at_template_end(&self) -> bool {
        match self.template.style {
            _ if self.at >= self.end => true,
            Style::Quoted => self.looking_at("\""),
            Style::Heredoc => self.at_marker(),
            Style::File => false,
        }
    }

    /// Parts up to the end of the template or one of the closers, which is taken.
    fn parts(&mut self, closers: &[Closer]) -> Parsed<(Vec<Node>, Option<Closer>)> {
        let mut parts = Vec::new();
        loop {
            if self.at_template_end() {
                if let Some(closer) = closers.last() {
                    return Err(self.error(
                        "Unexpected end of template",
                        format!(
                            "A directive is not closed: \"%{{ {} }}\" is missing.",
                            closer.word()
                        ),
                    ));
                }
                return Ok((parts, None));
            }
            let start = self.at;
            if self.looking_at("${") {
                parts.push(self.interpolation()?);
            } else if self.looking_at("%{") {
                match self.directive(start, closers)? {
                    Ok(node) => parts.push(node),
                    Err(closer) => return Ok((parts, Some(closer))),
                }
            } else {
                let mut literal = self.literal()?;
                if std::mem::take(&mut self.template.trim_next) {
                    literal = literal.trim_start().to_owned();
                }
                let index = self.template.literals.len();
                self.template.literals.push(literal);
                self.template.sequence.push(Some(index));
                parts.push(Node {
                    kind: Kind::Pending(index),
                    span: self.span_from(start),
                });
            }
        }
    }

    /// Behind `${` or `%{`: a `~` here trims the literal before.
    fn open(&mut self) {
        self.at += 2;
        self.template.trim_next = false;
        if self.take("~")
            && let Some(Some(index)) = self.template.sequence.last()
        {
            let literal = &mut self.template.literals[*index];
            literal.truncate(literal.trim_end().len());
        }
        self.template.sequence.push(None);
    }

    /// `}` or `~}` here, which trims the literal behind.
    fn close(&mut self, start: usize, summary: &str, detail: &str) -> Parsed<()> {
        self.skip()?;
        if self.take("~}") {
            self.template.trim_next = true;
            return Ok(());
        }
        if self.take("}") {
            Ok(())
        } else {
            Err(self.error_at(start, summary, detail))
        }
    }

    fn interpolation(&mut self) -> Parsed<Node> {
        let start = self.at;
        self.open();
        self.across_lines(|p| {
            p.skip()?;
            if p.at >= p.end {
                return Err(p.error_at(start, "Unterminated template string", "No closing marker was found for the string."));
            }
            let inner = p.expression()?;
            p.close(
                start,
                "Unclosed template interpolation sequence",
                "There is no closing brace for this interpolation sequence before the end of the template. This might be caused by incorrect nesting inside the given expression.",
            )?;
            Ok(Node { kind: Kind::Wrap(Box::new(inner)), span: p.span_from(start) })
        })
    }

    /// A directive with its body, or the closer that stands here.
    fn directive(&mut self, start: usize, closers: &[Closer]) -> Parsed<Result<Node, Closer>> {
        self.open();
        self.across_lines(Self::skip)?;
        let word_start = self.at;
        let word = self.identifier().unwrap_or("");
        let closer = match word {
            "if" => return self.if_directive(start).map(Ok),
            "for" => return self.for_directive(start).map(Ok),
            "else" => Closer::Else,
            "endif" => Closer::EndIf,
            "endfor" => Closer::EndFor,
            "" => {
                return Err(self.error("Invalid template directive", "A template directive keyword (\"if\", \"for\", etc) is expected at the beginning of a %{ sequence."));
            }
            other => {
                return Err(self.error_at(
                    word_start,
                    "Invalid template control keyword",
                    format!("\"{other}\" is not a valid template control keyword."),
                ));
            }
        };
        if !closers.contains(&closer) {
            return Err(self.error_at(
                start,
                &format!("Unexpected {word} directive"),
                format!("The {word} directive does not belong to a directive that is open here."),
            ));
        }
        self.across_lines(|p| {
            p.close(
                start,
                "Extra characters in template directive",
                "Expected a closing brace to end the directive.",
            )
        })?;
        Ok(Err(closer))
    }

    fn if_directive(&mut self, start: usize) -> Parsed<Node> {
        let condition = self.across_lines(|p| {
            let condition = p.expression()?;
            p.close(
                start,
                "Extra characters in template if",
                "Expected a closing brace to end the directive.",
            )?;
            Ok(condition)
        })?;
        let from = self.at;
        let (yes, closer) = self.deeper(|p| p.parts(&[Closer::Else, Closer::EndIf]))?;
        let yes = Node {
            kind: Kind::Template(yes),
            span: self.span_from(from),
        };
        let from = self.at;
        let no = match closer {
            Some(Closer::Else) => self.deeper(|p| p.parts(&[Closer::EndIf]))?.0,
            _ => Vec::new(),
        };
        let no = Node {
            kind: Kind::Template(no),
            span: self.span_from(from),
        };
        let kind = Kind::Conditional(Box::new(condition), Box::new(yes), Box::new(no));
        Ok(Node {
            kind,
            span: self.span_from(start),
        })
    }

    fn for_directive(&mut self, start: usize) -> Parsed<Node> {
        let (names, collection) = self.across_lines(|p| {
            let names = p.for_names("Invalid 'for' directive")?;
            let collection = p.expression()?;
            p.close(
                start,
                "Extra characters in template for",
                "Expected a closing brace to end the directive.",
            )?;
            Ok((names, collection))
        })?;
        let (key_name, value_name) = names;
        let bound: Vec<Arc<str>> = key_name.iter().cloned().chain([value_name.clone()]).collect();
        let from = self.at;
        let (body, _) = self.deeper(|p| p.binding(bound, |p| p.parts(&[Closer::EndFor])))?;
        let span: Span = self.span_from(from);
        let value = Node {
            kind: Kind::Template(body),
            span,
        };
        let span = self.span_from(start);
        let each = For {
            key_name,
            value_name,
            collection,
            key: None,
            value,
            condition: None,
            group: false,
        };
        let each = Node {
            kind: Kind::For(Box::new(each)),
            span,
        };
        Ok(Node {
            kind: Kind::Join(Box::new(each)),
            span,
        })
    }

    /// Text up to an interpolation, a directive or the end; outside quotes at most to the end of its line.
    fn literal(&mut self) -> Parsed<String> {
        let mut out = String::new();
        let style = self.template.style;
        while let Some(c) = self.peek() {
            if self.looking_at("$${") || self.looking_at("%%{") {
                out.push(c);
                out.push('{');
                self.at += 3;
                continue;
            }
            if self.looking_at("${") || self.looking_at("%{") {
                break;
            }
            if style == Style::Quoted {
                match c {
                    '"' => break,
                    '\n' | '\r' => {
                        return Err(self.error("Invalid multi-line string", "Quoted strings may not be split over multiple lines. To produce a multi-line string, either use the \\n escape to represent a newline character or use the \"heredoc\" multi-line template syntax."));
                    }
                    '\\' => {
                        out.push(self.escape()?);
                        continue;
                    }
                    _ => {}
                }
            }
            out.push(c);
            self.at += c.len_utf8();
            if c == '\n' {
                break;
            }
        }
        Ok(out)
    }

    fn escape(&mut self) -> Parsed<char> {
        let start = self.at;
        self.at += 1;
        let Some(c) = self.peek() else {
            return Err(self.error_at(
                start,
                "Unterminated template string",
                "No closing marker was found for the string.",
            ));
        };
        self.at += c.len_utf8();
        let digits = match c {
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            '"' => return Ok('"'),
            '\\' => return Ok('\\'),
            'u' => 4,
            'U' => 8,
            other => {
                return Err(self.error_at(
                    start,
                    "Invalid escape sequence",
                    format!("The symbol \"{other}\" is not a valid escape sequence selector."),
                ));
            }
        };
        let code = self
            .rest()
            .get(..digits)
            .filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()));
        let character = code
            .and_then(|code| u32::from_str_radix(code, 16).ok())
            .and_then(char::from_u32);
        let Some(character) = character else {
            return Err(self.error_at(
                start,
                "Invalid escape sequence",
                format!("The \\{c} escape sequence must be followed by {digits} hexadecimal digits of a character."),
            ));
        };
        self.at += digits;
        Ok(character)
    }
}
