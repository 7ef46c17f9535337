//! Expressions from text. Own code, because the language is defined down to which literal of a template a trim marker
//! reaches and which mistake gets which message.

mod constructor;
mod expression;
mod heredoc;
pub(crate) mod template;
mod term;

use std::ops::Range;
use std::sync::Arc;

use stack_core::{Diagnostic, FileId, Span};

use crate::expression::{Free, Node};

/// How deep expressions may nest; deeper ones would need more stack than a thread has.
const MAX_DEPTH: usize = 100;

/// Result of parsing; the first mistake ends it.
pub(crate) type Parsed<T> = Result<T, Box<Diagnostic>>;

/// What the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One expression, which ends with its line.
    Expression,
    /// A template.
    Template,
}

/// A recursive descent parser over a text.
pub(crate) struct Parser<'t> {
    text: &'t str,
    at: usize,
    end: usize,
    file: FileId,
    /// Whether a line break is nothing but space here.
    across_lines: bool,
    depth: usize,
    locals: Vec<Arc<str>>,
    /// Traversals from outside, so far.
    pub(crate) free: Vec<Free>,
    template: template::Pieces,
}

impl<'t> Parser<'t> {
    /// A parser over a range of the text; spans count from the start of the text.
    pub(crate) fn new(text: &'t str, range: Range<usize>, file: FileId, mode: Mode) -> Self {
        let end = range.end.min(text.len());
        let start = range.start.min(end);
        Self {
            text: if text.is_char_boundary(start) && text.is_char_boundary(end) {
                text
            } else {
                ""
            },
            at: start,
            end,
            file,
            across_lines: false,
            depth: 0,
            locals: Vec::new(),
            free: Vec::new(),
            template: template::Pieces::of(mode),
        }
        .clamped()
    }

    fn clamped(mut self) -> Self {
        self.end = self.end.min(self.text.len());
        self.at = self.at.min(self.end);
        self
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..self.end]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn looking_at(&self, token: &str) -> bool {
        self.rest().starts_with(token)
    }

    /// Takes the token if it stands here.
    fn take(&mut self, token: &str) -> bool {
        let found = self.looking_at(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn span_from(&self, start: usize) -> Span {
        Span::new(self.file, start..self.at)
    }

    /// The place of the character here, or of the end.
    fn here(&self) -> Span {
        Span::new(
            self.file,
            self.at..self.at + self.peek().map_or(0, char::len_utf8),
        )
    }

    fn error(&self, summary: &str, detail: impl Into<String>) -> Box<Diagnostic> {
        Box::new(Diagnostic::error("STK0202", summary, detail).at(self.here()))
    }

    fn error_at(&self, start: usize, summary: &str, detail: impl Into<String>) -> Box<Diagnostic> {
        let end = self.at.max(start);
        Box::new(Diagnostic::error("STK0202", summary, detail).at(Span::new(self.file, start..end)))
    }

    /// Skips spaces and comments, and line breaks where they mean nothing.
    fn skip(&mut self) -> Parsed<()> {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            self.at += blank;
            let rest = &rest[blank..];
            if rest.starts_with('#') || rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let Some(length) = rest.find("*/") else {
                    return Err(self.error("Unterminated comment", "There is no */ that ends this comment."));
                };
                self.at += length + 2;
            } else if self.across_lines && rest.starts_with('\n') {
                self.at += 1;
            } else if self.across_lines && rest.starts_with("\r\n") {
                self.at += 2;
            } else {
                return Ok(());
            }
        }
    }

    /// Parses something inside which line breaks mean nothing.
    fn across_lines<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let before = std::mem::replace(&mut self.across_lines, true);
        let result = parse(self);
        self.across_lines = before;
        result
    }

    /// Parses something one level deeper.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return Err(Box::new(
                Diagnostic::error(
                    "STK0203",
                    "Expression too deep",
                    format!("Expressions may nest {MAX_DEPTH} levels deep."),
                )
                .at(self.here())
                .hint("move inner parts to local values"),
            ));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// The name here, if one starts here.
    fn identifier(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let mut characters = rest.char_indices();
        let (_, first) = characters.next()?;
        if !unicode_ident::is_xid_start(first) && first != '_' {
            return None;
        }
        let inside = |c: char| unicode_ident::is_xid_continue(c) || c == '-';
        let length = characters
            .find(|(_, c)| !inside(*c))
            .map_or(rest.len(), |(i, _)| i);
        self.at += length;
        Some(&rest[..length])
    }

    /// Takes the word if it stands here as a whole name.
    fn keyword(&mut self, word: &str) -> bool {
        let start = self.at;
        if self.identifier() == Some(word) {
            return true;
        }
        self.at = start;
        false
    }

    /// Parses with names of a `for` bound.
    fn binding<T>(
        &mut self,
        names: impl IntoIterator<Item = Arc<str>>,
        parse: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        let before = self.locals.len();
        self.locals.extend(names);
        let result = parse(self);
        self.locals.truncate(before);
        result
    }

    /// The expression that the text starts with, and the offset behind it.
    pub(crate) fn leading_expression(&mut self) -> Parsed<(Node, usize)> {
        let node = self.expression()?;
        Ok((node, self.at))
    }

    /// The whole text as one expression.
    pub(crate) fn whole_expression(&mut self) -> Parsed<Node> {
        let node = self.expression()?;
        self.across_lines(Self::skip)?;
        if self.at < self.end {
            return Err(self.error(
                "Extra characters after expression",
                "An expression was successfully parsed, but extra characters were found after it.",
            ));
        }
        Ok(node)
    }
}
