//! Text to blocks and arguments. Own code, as for expressions, because the language says which mistake gets which
//! message, and because reading must go on with the next block behind a mistake.

use std::collections::HashMap;
use std::sync::Arc;

use stack_core::{Diagnostic, Diagnostics, FileId, Span, Value};

use crate::expression::Expr;

/// After so many mistakes in one file the rest is not looked at.
const MAX_ERRORS: usize = 20;
/// How deep blocks may nest.
const MAX_DEPTH: usize = 64;

/// Words that a block at the left margin starts with; behind a mistake reading goes on where one stands.
const TOP_LEVEL: &[&str] = &[
    "check",
    "data",
    "import",
    "locals",
    "module",
    "moved",
    "output",
    "provider",
    "removed",
    "resource",
    "stack",
    "terraform",
    "variable",
];

/// The inside of a block, or of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    pub(crate) items: Vec<Item>,
    /// Where each attribute stands among them.
    attributes: HashMap<Arc<str>, usize>,
}

/// One statement.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Attribute(Attribute),
    Block(Block),
}

/// A name or label with its place.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) text: Arc<str>,
    pub(crate) span: Span,
}

/// `key = value`
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) key: Word,
    pub(crate) value: Expr,
}

/// `kind "label" { … }`
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) kind: Word,
    pub(crate) labels: Vec<Word>,
    pub(crate) body: Tree,
}

impl Attribute {
    pub(crate) fn name(&self) -> &str {
        &self.key.text
    }
}

impl Block {
    pub(crate) fn name(&self) -> &str {
        &self.kind.text
    }

    /// From the type of the block to its last label.
    pub(crate) fn header(&self) -> Span {
        Span {
            end: self.labels.last().map_or(self.kind.span.end, |l| l.span.end),
            ..self.kind.span
        }
    }
}

impl Tree {
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.items.iter().filter_map(|item| match item {
            Item::Attribute(attribute) => Some(attribute),
            Item::Block(_) => None,
        })
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        match self.items.get(*self.attributes.get(name)?)? {
            Item::Attribute(attribute) => Some(attribute),
            Item::Block(_) => None,
        }
    }

    fn push_attribute(&mut self, attribute: Attribute) {
        self.attributes
            .insert(attribute.key.text.clone(), self.items.len());
        self.items.push(Item::Attribute(attribute));
    }

    /// The blocks of a type.
    pub(crate) fn blocks<'t>(&'t self, kind: &'t str) -> impl Iterator<Item = &'t Block> {
        self.items.iter().filter_map(move |item| match item {
            Item::Block(block) if block.name() == kind => Some(block),
            Item::Block(_) | Item::Attribute(_) => None,
        })
    }
}

/// Parses a file. With mistakes, the tree has the blocks without mistakes.
pub(crate) fn parse(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Tree {
    let start = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let mut parser = Parser {
        file,
        text,
        at: start,
        diagnostics,
        depth: 0,
        outermost: None,
    };
    let mut tree = Tree::default();
    for _ in 0..MAX_ERRORS {
        loop {
            parser.skip(true);
            let start = parser.at;
            if parser.rest().is_empty() {
                return tree;
            }
            parser.outermost = None;
            if let Err(mistake) = parser.statement(&mut tree) {
                let next = next_block(text, start);
                let place = mistake
                    .labels
                    .first()
                    .map_or(start, |(span, _)| span.start as usize);
                // A block that reaches into the next one misses its closing brace, whatever is wrong further on.
                let mistake = match parser.outermost {
                    Some(header) if place >= next => unclosed(header),
                    _ => *mistake,
                };
                parser.diagnostics.push(mistake);
                parser.depth = 0;
                parser.at = next;
                break;
            }
        }
    }
    tree
}

fn unclosed(header: Span) -> Diagnostic {
    Diagnostic::error(
        "STK0102",
        "Unclosed configuration block",
        "There is no closing brace for this block before the end of the file. This may be caused by incorrect brace nesting elsewhere in this file.",
    )
    .at(header)
}

/// Where the next top-level block starts, behind the line of an offset.
fn next_block(text: &str, offset: usize) -> usize {
    let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |i| at + i + 1);
    let mut at = line_end(offset);
    while at < text.len() {
        let end = line_end(at);
        let line = &text[at..end];
        let word = line
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(line.len());
        if TOP_LEVEL.contains(&&line[..word]) && line[word..].contains(['{', '"']) {
            break;
        }
        at = end;
    }
    at
}

/// Length of the quoted text that a text starts with, if it ends in its line.
fn quoted_length(text: &str) -> Option<usize> {
    let mut escaped = true;
    for (i, c) in text.char_indices().take_while(|(_, c)| *c != '\n') {
        if c == '"' && !escaped {
            return Some(i + 1);
        }
        // The first character is the opening quote.
        escaped = i > 0 && c == '\\' && !escaped;
    }
    None
}

type Parsed<T> = Result<T, Box<Diagnostic>>;

struct Parser<'t> {
    file: FileId,
    text: &'t str,
    at: usize,
    diagnostics: &'t mut Diagnostics,
    /// How many blocks are open.
    depth: usize,
    /// The header of the first of them.
    outermost: Option<Span>,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn mistake<T>(&self, summary: &str, detail: impl Into<String>) -> Parsed<T> {
        let end = self.at + self.peek().map_or(0, char::len_utf8);
        Err(Box::new(
            Diagnostic::error("STK0101", summary, detail).at(Span::new(self.file, self.at..end)),
        ))
    }

    /// Skips spaces and comments, and line breaks too where `lines` is set.
    fn skip(&mut self, lines: bool) {
        loop {
            let rest = self.rest();
            self.at += match rest.as_bytes() {
                [b' ' | b'\t', ..] => 1,
                [b'\r' | b'\n', ..] if lines => 1,
                [b'#', ..] | [b'/', b'/', ..] => rest.find('\n').unwrap_or(rest.len()),
                [b'/', b'*', ..] => rest.find("*/").map_or(rest.len(), |i| i + 2),
                _ => return,
            };
        }
    }

    fn identifier(&mut self) -> Option<Word> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        if !unicode_ident::is_xid_start(first) && first != '_' {
            return None;
        }
        let inside = |c: char| unicode_ident::is_xid_continue(c) || c == '-';
        let length = rest.find(|c| !inside(c)).unwrap_or(rest.len());
        let start = self.at;
        self.at += length;
        Some(Word {
            text: Arc::from(&rest[..length]),
            span: Span::new(self.file, start..self.at),
        })
    }

    /// An argument or a block, with the end of its line.
    fn statement(&mut self, tree: &mut Tree) -> Parsed<()> {
        if self.peek() == Some('"') {
            return self.mistake("Invalid argument name", "Argument names must not be quoted.");
        }
        let Some(word) = self.identifier() else {
            return self.mistake(
                "Argument or block definition required",
                "An argument or block definition is required here.",
            );
        };
        self.skip(false);
        match self.peek() {
            Some('=') if !self.rest().starts_with("==") => {
                self.argument(word, tree)?;
                self.line_end("Missing newline after argument", "An argument definition must end with a newline.")
            }
            Some('{' | '"') => self.block(word, tree),
            Some(c) if unicode_ident::is_xid_start(c) || c == '_' => self.block(word, tree),
            _ => self.mistake(
                "Argument or block definition required",
                "An argument or block definition is required here. To set an argument, use the equals sign \"=\" to introduce the argument value.",
            ),
        }
    }

    /// From the equals sign to the end of the value.
    fn argument(&mut self, key: Word, tree: &mut Tree) -> Parsed<()> {
        self.at += 1;
        self.skip(false);
        let (value, end) = Expr::leading(self.file, self.text, self.at).map_err(|mut mistake| {
            if mistake.code == "STK0202" {
                mistake.code = "STK0101";
            }
            mistake
        })?;
        self.at = end;
        if let Some(earlier) = tree.attribute(&key.text) {
            self.diagnostics.push(
                Diagnostic::error(
                    "STK0103",
                    "Attribute redefined",
                    format!("The argument \"{}\" was already set in this block. Each argument may be set only once.", key.text),
                )
                .at(key.span)
                .label(earlier.key.span, "first set here"),
            );
        } else {
            tree.push_attribute(Attribute { key, value });
        }
        Ok(())
    }

    /// From the first label to the end of the line of the closing brace.
    fn block(&mut self, kind: Word, tree: &mut Tree) -> Parsed<()> {
        let labels = self.labels()?;
        if self.depth >= MAX_DEPTH {
            let detail = format!("Blocks may nest {MAX_DEPTH} levels deep.");
            let mut mistake = self.mistake("Blocks too deep", detail);
            if let Err(mistake) = &mut mistake {
                mistake.code = "STK0203";
            }
            return mistake;
        }
        self.depth += 1;
        let mut block = Block {
            kind,
            labels,
            body: Tree::default(),
        };
        self.outermost.get_or_insert(block.header());
        self.skip(false);
        match self.peek() {
            Some('\n' | '\r') | None => self.lines(&mut block)?,
            Some(_) => self.single_line(&mut block)?,
        }
        self.depth -= 1;
        tree.items.push(Item::Block(block));
        self.line_end(
            "Missing newline after block definition",
            "A block definition must end with a newline.",
        )
    }

    /// Labels and the opening brace.
    fn labels(&mut self) -> Parsed<Vec<Word>> {
        let mut labels = Vec::new();
        loop {
            self.skip(false);
            match self.peek() {
                Some('{') => {
                    self.at += 1;
                    return Ok(labels);
                }
                Some('"') => {
                    let Some(length) = quoted_length(self.rest()) else {
                        return self.mistake(
                            "Unterminated block label",
                            "There is no closing quote before the end of the line.",
                        );
                    };
                    let place = self.at..self.at + length;
                    let label = Expr::in_text(self.file, self.text, place.clone());
                    let Some(Value::String(text)) = label.as_literal() else {
                        return self.mistake(
                            "Invalid string literal",
                            "Template sequences and unknown escapes are not allowed in a block label.",
                        );
                    };
                    self.at = place.end;
                    labels.push(Word {
                        text: text.clone(),
                        span: Span::new(self.file, place),
                    });
                }
                _ => match self.identifier() {
                    Some(label) => labels.push(label),
                    None => {
                        return self.mistake(
                            "Invalid block definition",
                            "Either a quoted string block label or an opening brace (\"{\") is expected here.",
                        );
                    }
                },
            }
        }
    }

    /// Statements up to the closing brace.
    fn lines(&mut self, block: &mut Block) -> Parsed<()> {
        loop {
            self.skip(true);
            match self.peek() {
                Some('}') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => self.statement(&mut block.body)?,
                None => {
                    return Err(Box::new(unclosed(block.header())));
                }
            }
        }
    }

    /// One argument or none, and the closing brace, in the line of the opening one.
    fn single_line(&mut self, block: &mut Block) -> Parsed<()> {
        let summary = "Invalid single-argument block definition";
        if self.peek() != Some('}') {
            let Some(word) = self.identifier() else {
                return self.mistake(
                    "Argument or block definition required",
                    "An argument or block definition is required here.",
                );
            };
            self.skip(false);
            if self.peek() != Some('=') {
                return self.mistake(
                    "Argument definition required",
                    format!("A single-line block definition can contain only a single argument. If you meant to define argument \"{}\", use an equals sign to assign it a value. To define a nested block, place it on a line of its own within its parent block.", word.text),
                );
            }
            self.argument(word, &mut block.body)?;
            self.skip(false);
        }
        match self.peek() {
            Some('}') => {
                self.at += 1;
                Ok(())
            }
            Some(',') => self.mistake(
                summary,
                "Single-line block syntax can include only one argument definition. To define multiple arguments, use the multi-line block syntax with one argument definition per line.",
            ),
            _ => self.mistake(
                summary,
                "A single-line block definition must end with a closing brace immediately after its single argument definition.",
            ),
        }
    }

    fn line_end(&mut self, summary: &str, detail: &str) -> Parsed<()> {
        self.skip(false);
        match self.peek() {
            None | Some('\n') => Ok(()),
            Some('\r') if self.rest().starts_with("\r\n") => Ok(()),
            Some(_) => self.mistake(summary, detail),
        }
    }
}
