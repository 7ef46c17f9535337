//! Heredocs: `<<EOT` and, with the common indentation removed, `<<-EOT`.

use unicode_segmentation::UnicodeSegmentation as _;

use super::template::{Pieces, Style};
use super::{Parsed, Parser};
use crate::expression::Kind;

impl Parser<'_> {
    /// A heredoc, up to its marker.
    pub(super) fn heredoc(&mut self) -> Parsed<Kind> {
        let start = self.at;
        self.at += 2;
        let dedent = self.take("-");
        let Some(marker) = self.identifier() else {
            return Err(self.error_at(
                start,
                "Invalid expression",
                "A heredoc starts with \"<<\" or \"<<-\" and a marker word.",
            ));
        };
        if !self.take("\n") && !self.take("\r\n") {
            return Err(self.error(
                "Invalid expression",
                "The marker of a heredoc must be followed by a newline.",
            ));
        }
        let pieces = Pieces {
            style: Style::Heredoc,
            marker: marker.to_owned(),
            ..Pieces::default()
        };
        let outer = std::mem::replace(&mut self.template, pieces);
        let kind = self.dedented_template(dedent)?;
        let found = self.at_marker();
        self.template = outer;
        if !found {
            return Err(self.error_at(
                start,
                "Unterminated template string",
                format!("No closing marker was found: a line with nothing but {marker}."),
            ));
        }
        let line = self.rest();
        self.at += line.len() - line.trim_start_matches([' ', '\t']).len() + marker.len();
        Ok(kind)
    }

    /// Whether a line with nothing but the marker starts here.
    pub(super) fn at_marker(&self) -> bool {
        if !self.text[..self.at].ends_with('\n') {
            return false;
        }
        let line = self.rest().lines().next().unwrap_or("");
        line.trim() == self.template.marker
    }
}

impl Pieces {
    /// Removes the indentation that all lines share. Lines that start with an interpolation or directive have none;
    /// blank lines do not count.
    pub(super) fn dedent(&mut self) {
        let mut least = usize::MAX;
        let mut adjust = Vec::new();
        let mut line_starts = true;
        for piece in &self.sequence {
            let literal = piece.map(|index| (index, self.literals[index].as_str()));
            if std::mem::take(&mut line_starts) {
                let spaces = match literal {
                    None => 0,
                    Some((_, text)) if text.trim_start().is_empty() && text.ends_with('\n') => usize::MAX,
                    Some((index, text)) => {
                        adjust.push(index);
                        text[..text.len() - text.trim_start().len()]
                            .graphemes(true)
                            .count()
                    }
                };
                least = least.min(spaces);
            }
            if literal.is_some_and(|(_, text)| text.ends_with('\n')) {
                line_starts = true;
            }
        }
        for index in adjust {
            let literal = &mut self.literals[index];
            let cut: usize = literal.graphemes(true).take(least).map(str::len).sum();
            literal.drain(..cut);
        }
    }
}
