//! The first mistake among the arguments and blocks of a text, in the words of the language. Only texts that the parser
//! has refused are walked through here.

use std::ops::Range;

use stack_core::{Diagnostic, FileId, Span};

use crate::syntax::{Mode, Parser};

type Mistake = Box<Diagnostic>;

/// The first mistake in a range of a text; `None` where no single statement is wrong.
pub(super) fn first_mistake(file: FileId, text: &str, range: Range<usize>) -> Option<Mistake> {
    let mut walker = Walker { file, text, at: range.start, end: range.end, depth: 0 };
    while walker.at < walker.end {
        if let Err(mistake) = walker.statement() {
            return Some(mistake);
        }
    }
    None
}

struct Walker<'t> {
    file: FileId,
    text: &'t str,
    at: usize,
    end: usize,
    /// How many blocks are open.
    depth: usize,
}

impl<'t> Walker<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..self.end]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn mistake<T>(&self, summary: &str, detail: &str) -> Result<T, Mistake> {
        let end = self.at + self.peek().map_or(0, char::len_utf8);
        Err(Box::new(Diagnostic::error("STK0101", summary, detail).at(Span::new(self.file, self.at..end))))
    }

    /// Skips spaces and comments, and line breaks too where `lines` is set.
    fn skip(&mut self, lines: bool) {
        loop {
            let rest = self.rest();
            let comment = rest.starts_with('#') || rest.starts_with("//");
            self.at += match rest.chars().next() {
                Some(' ' | '\t') => 1,
                Some('\r' | '\n') if lines => 1,
                Some(_) if comment => rest.find('\n').unwrap_or(rest.len()),
                Some('/') if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |i| i + 2),
                _ => return,
            };
        }
    }

    fn identifier(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        if !first.is_alphabetic() && first != '_' {
            return None;
        }
        let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
        self.at += length;
        Some(&rest[..length])
    }

    fn statement(&mut self) -> Result<(), Mistake> {
        self.skip(true);
        let Some(next) = self.peek() else { return Ok(()) };
        if next == '}' && self.depth > 0 {
            self.depth -= 1;
            self.at += 1;
            return self.line_end("Missing newline after block definition", "A block definition must end with a newline.");
        }
        if next == '"' {
            return self.mistake("Invalid argument name", "Argument names must not be quoted.");
        }
        if self.identifier().is_none() {
            return self.mistake("Argument or block definition required", "An argument or block definition is required here.");
        }
        self.skip(false);
        match self.peek() {
            Some('=') if !self.rest().starts_with("==") => {
                self.at += 1;
                self.argument()
            }
            Some('{' | '"') => self.header(),
            Some(c) if c.is_alphabetic() || c == '_' => self.header(),
            _ => self.mistake(
                "Argument or block definition required",
                "An argument or block definition is required here. To set an argument, use the equals sign \"=\" to introduce the argument value.",
            ),
        }
    }

    fn argument(&mut self) -> Result<(), Mistake> {
        self.skip(false);
        let mut parser = Parser::new(self.text, self.at..self.end, self.file, Mode::Expression);
        match parser.leading_expression() {
            Ok(end) => self.at = end,
            Err(mut mistake) => {
                mistake.code = "STK0101";
                return Err(mistake);
            }
        }
        // A heredoc has taken its line break with it.
        if self.text[..self.at].ends_with('\n') {
            return Ok(());
        }
        self.line_end("Missing newline after argument", "An argument definition must end with a newline.")
    }

    /// Labels and the opening brace of a block.
    fn header(&mut self) -> Result<(), Mistake> {
        loop {
            self.skip(false);
            match self.peek() {
                Some('{') => {
                    self.depth += 1;
                    self.at += 1;
                    return Ok(());
                }
                Some('"') => {
                    let line = self.rest().find('\n').unwrap_or(self.rest().len());
                    match self.rest()[1..line].find('"') {
                        Some(length) => self.at += length + 2,
                        None => {
                            return self.mistake("Unterminated block label", "There is no closing quote before the end of the line.");
                        }
                    }
                }
                _ if self.identifier().is_some() => {}
                _ => {
                    return self.mistake(
                        "Invalid block definition",
                        "Either a quoted string block label or an opening brace (\"{\") is expected here.",
                    );
                }
            }
        }
    }

    fn line_end(&mut self, summary: &str, detail: &str) -> Result<(), Mistake> {
        self.skip(false);
        match self.peek() {
            None | Some('\n' | '\r' | '}') => Ok(()),
            Some(_) => self.mistake(summary, detail),
        }
    }
}
