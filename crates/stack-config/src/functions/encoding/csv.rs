//! CSV by RFC 4180. Own code, because the rules for stray quotes and for short records are those of the language, which
//! reject what the usual readers repair.

/// Reads a table: names of the columns, and the rows. Empty lines are skipped.
///
/// # Errors
/// What is wrong and in which line, as a lower case fragment.
pub(super) fn parse(text: &str) -> Result<(Vec<String>, Vec<Vec<String>>), String> {
    let mut reader = Reader { rest: text, line: 1 };
    let mut rows = Vec::new();
    while let Some(row) = reader.record()? {
        rows.push(row);
    }
    let mut rows = rows.into_iter();
    let (_, header) = rows.next().ok_or("missing header line")?;
    let mut seen = std::collections::BTreeSet::new();
    if let Some(repeated) = header.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(format!("duplicate column name {repeated:?}"));
    }
    let mut out = Vec::new();
    for (line, row) in rows {
        if row.len() != header.len() {
            return Err(format!("CSV parse error on line {line}: wrong number of fields"));
        }
        out.push(row);
    }
    Ok((header, out))
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

impl Reader<'_> {
    /// The next record with the line it starts in.
    fn record(&mut self) -> Result<Option<(usize, Vec<String>)>, String> {
        while self.line_end() {}
        if self.rest.is_empty() {
            return Ok(None);
        }
        let start = self.line;
        let mut fields = Vec::new();
        loop {
            fields.push(if self.take('"') {
                self.quoted()?
            } else {
                self.bare()?
            });
            if self.take(',') {
                continue;
            }
            self.line_end();
            return Ok(Some((start, fields)));
        }
    }

    fn take(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn line_end(&mut self) -> bool {
        let rest = self
            .rest
            .strip_prefix("\r\n")
            .or_else(|| self.rest.strip_prefix('\n'));
        self.rest = rest.unwrap_or(self.rest);
        self.line += usize::from(rest.is_some());
        rest.is_some()
    }

    fn bare(&mut self) -> Result<String, String> {
        let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let mut field = &self.rest[..end];
        if self.rest[end..].starts_with('\n') {
            field = field.strip_suffix('\r').unwrap_or(field);
        }
        if field.contains('"') {
            return Err(format!(
                "CSV parse error on line {}: bare \" in non-quoted-field",
                self.line
            ));
        }
        let field = field.to_owned();
        self.rest = &self.rest[field.len()..];
        Ok(field)
    }

    fn quoted(&mut self) -> Result<String, String> {
        let error =
            |line: usize| format!("CSV parse error on line {line}: extraneous or missing \" in quoted-field");
        let mut field = String::new();
        loop {
            let Some(end) = self.rest.find('"') else {
                return Err(error(self.line));
            };
            let part = &self.rest[..end];
            self.line += part.matches('\n').count();
            field.push_str(&part.replace("\r\n", "\n"));
            self.rest = &self.rest[end + 1..];
            if self.take('"') {
                field.push('"');
            } else if self.rest.is_empty()
                || self.rest.starts_with([',', '\n'])
                || self.rest.starts_with("\r\n")
            {
                return Ok(field);
            } else {
                return Err(error(self.line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read() {
        let (header, rows) = parse("a,b\r\n\n\"x,\ny\",\"q\"\"z\"\n,2").unwrap();
        assert_eq!(header, ["a", "b"]);
        assert_eq!(rows, [vec!["x,\ny", "q\"z"], vec!["", "2"]]);
        assert_eq!(parse("a,b").unwrap().1, Vec::<Vec<String>>::new());
        assert_eq!(parse("a,\n1,2").unwrap().0, ["a", ""]);
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(parse("").unwrap_err(), "missing header line");
        assert_eq!(parse("a,a\n1,2").unwrap_err(), "duplicate column name \"a\"");
        assert_eq!(
            parse("a,b\n1").unwrap_err(),
            "CSV parse error on line 2: wrong number of fields"
        );
        for bad in ["a,b\n\"x,2", "a,b\nx\"y,2", "a\n\"x\"y"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
