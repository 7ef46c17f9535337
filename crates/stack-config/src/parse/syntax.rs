//! Text to syntax tree. The parser stops at the first mistake of a text, so the block with the mistake is blanked out
//! and the rest is parsed again: one run reports the mistakes of all blocks, and offsets stay as they are.

use std::ops::Range;

use hcl_edit::structure::Body;
use stack_core::{Diagnostic, Diagnostics, FileId, Span};

use super::statements;

/// After so many mistakes in one file the rest is not looked at.
const MAX_ERRORS: usize = 20;

/// Words that a block at the left margin starts with; where one stands, a new block is assumed.
pub(crate) const TOP_LEVEL: &[&str] = &[
    "check", "data", "import", "locals", "module", "moved", "output", "provider", "removed", "resource", "stack",
    "terraform", "variable",
];

/// Parses a file. With mistakes, the tree has the blocks without mistakes.
pub(crate) fn parse(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Body {
    let mut text = without_byte_order_mark(text);
    for _ in 0..MAX_ERRORS {
        let error = match hcl_edit::parser::parse_body(&text) {
            Ok(body) => return body,
            Err(error) => error,
        };
        let offset = error.location().offset().min(text.len());
        let (chunk, diagnostic) = locate(file, &text, offset, error.message());
        diagnostics.push(diagnostic);
        let blank: String = text[chunk.clone()].chars().map(blank).collect();
        if blank == text[chunk.clone()] {
            break;
        }
        text.replace_range(chunk, &blank);
    }
    Body::new()
}

/// The block with the mistake, and the mistake.
fn locate(file: FileId, text: &str, offset: usize, message: &str) -> (Range<usize>, Diagnostic) {
    let chunks = chunks(text);
    let around = chunks.iter().rfind(|c| c.start <= offset).cloned().unwrap_or(0..text.len());
    if message.contains("redefined attribute") {
        return (around, redefined(file, text, offset));
    }
    // What is still open at the end may have been opened anywhere.
    let at_end = text[offset..].trim().is_empty();
    let suspects = if at_end { chunks } else { vec![around.clone()] };
    for chunk in suspects {
        if let Some(mistake) = statements::first_mistake(file, text, chunk.clone()) {
            return (chunk, *mistake);
        }
        if balance(&text[chunk.clone()]) > 0 {
            let line = text[chunk.clone()].lines().next().unwrap_or("").trim_end().len();
            let span = Span::new(file, chunk.start..chunk.start + line);
            return (chunk, unclosed_block(span));
        }
    }
    (around, describe(file, text, offset, message))
}

/// As many bytes as the character has, without meaning.
fn blank(c: char) -> String {
    if c == '\n' || c == '\r' { c.to_string() } else { " ".repeat(c.len_utf8()) }
}

fn without_byte_order_mark(text: &str) -> String {
    match text.strip_prefix('\u{feff}') {
        Some(rest) => format!("   {rest}"),
        None => text.to_owned(),
    }
}

/// The text cut before every line that starts a top-level block.
fn chunks(text: &str) -> Vec<Range<usize>> {
    let mut starts = vec![0];
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if offset > 0 && starts_block(line) {
            starts.push(offset);
        }
        offset += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

fn starts_block(line: &str) -> bool {
    let word_end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
    TOP_LEVEL.contains(&&line[..word_end]) && line[word_end..].contains(['{', '"'])
}

/// Opening braces less closing braces, outside strings, heredocs and comments.
fn balance(text: &str) -> i64 {
    let mut depth = 0;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = match c {
            '{' => {
                depth += 1;
                1
            }
            '}' => {
                depth -= 1;
                1
            }
            '#' => line_length(rest),
            '/' if rest.starts_with("//") => line_length(rest),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string_length(rest),
            '<' if rest.starts_with("<<") => heredoc_length(rest),
            other => other.len_utf8(),
        };
        rest = &rest[skip..];
    }
    depth
}

fn line_length(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

/// Length of the quoted string `text` starts with; quotes inside `${ }` do not end it.
fn string_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut i = 1;
    let mut nested = 0_usize;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 1,
            b'$' | b'%' if bytes.get(i + 1) == Some(&b'{') => {
                nested += 1;
                i += 1;
            }
            b'}' if nested > 0 => nested -= 1,
            b'"' if nested > 0 => {
                i += string_length(&text[i..]);
                continue;
            }
            b'"' | b'\n' => return i + 1,
            _ => {}
        }
        i += 1;
    }
    text.len()
}

/// Length of the heredoc `text` starts with, its end marker included; 2 where it is none.
fn heredoc_length(text: &str) -> usize {
    let header = &text[..line_length(text)];
    let marker = header.trim_start_matches('<').trim_start_matches('-').trim();
    if marker.is_empty() || !marker.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
        return 2;
    }
    let mut length = 0;
    for line in text.split_inclusive('\n') {
        length += line.len();
        if length > header.len() + 1 && line.trim() == marker {
            return length;
        }
    }
    text.len()
}

fn unclosed_block(span: Span) -> Diagnostic {
    Diagnostic::error(
        "STK0102",
        "Unclosed configuration block",
        "There is no closing brace for this block before the next block or the end of the file.",
    )
    .at(span)
    .hint("the brace may also be missing in a block or an object inside this one")
}

/// The name at an offset, or the character there.
fn word(file: FileId, text: &str, offset: usize) -> Span {
    let length = text[offset..].chars().next().map_or(0, char::len_utf8);
    let word = text[offset..].find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(text.len() - offset);
    Span::new(file, offset..offset + word.max(length))
}

fn redefined(file: FileId, text: &str, offset: usize) -> Diagnostic {
    let span = word(file, text, offset);
    let name = &text[span.start as usize..span.end as usize];
    Diagnostic::error(
        "STK0103",
        "Attribute redefined",
        format!("The argument \"{name}\" was already set in this block. Each argument may be set only once."),
    )
    .at(span)
}

/// The parser's own message, where nothing better is known.
fn describe(file: FileId, text: &str, offset: usize, message: &str) -> Diagnostic {
    let mut chars = message.chars();
    let detail: String = chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
    Diagnostic::error("STK0101", "Invalid syntax", format!("{detail}.")).at(word(file, text, offset))
}
