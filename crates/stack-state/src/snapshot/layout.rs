//! Laying out JSON for readers and for `diff`.

/// Breaks compact JSON into lines, indented by two spaces. Types (the value of a `"type"` key) stay on one line, as do
/// empty objects and arrays.
pub(super) fn indent(json: &str) -> String {
    let bytes = json.as_bytes();
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 2);
    let (mut level, mut at) = (0usize, 0usize);
    let line = |out: &mut Vec<u8>, level: usize| {
        out.push(b'\n');
        out.resize(out.len() + 2 * level, b' ');
    };
    while at < bytes.len() {
        let byte = bytes[at];
        match byte {
            b'"' => {
                let end = end_of_string(bytes, at);
                out.extend_from_slice(&bytes[at..end]);
                at = end;
                if bytes.get(at) == Some(&b':') {
                    out.extend_from_slice(b": ");
                    at += 1;
                    if out.ends_with(b"\"type\": ") {
                        let end = end_of_value(bytes, at);
                        out.extend_from_slice(&bytes[at..end]);
                        at = end;
                    }
                }
                continue;
            }
            b'{' | b'[' if matches!(bytes.get(at + 1), Some(b'}' | b']')) => {
                out.extend_from_slice(&bytes[at..at + 2]);
                at += 2;
                continue;
            }
            b'{' | b'[' => {
                level += 1;
                out.push(byte);
                line(&mut out, level);
            }
            b'}' | b']' => {
                level = level.saturating_sub(1);
                line(&mut out, level);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, level);
            }
            other => out.push(other),
        }
        at += 1;
    }
    // Only ASCII was added, between characters.
    String::from_utf8(out).unwrap_or_else(|_| json.to_owned())
}

/// Position after the string that starts at `at`.
fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    (end + 1).min(bytes.len())
}

/// Position after the value that starts at `at`.
fn end_of_value(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut end) = (0usize, at);
    while end < bytes.len() {
        match bytes[end] {
            b'"' => {
                end = end_of_string(bytes, end);
                if depth == 0 {
                    return end;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return end + depth,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return end,
            _ => {}
        }
        end += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_empty_values_stay_on_one_line() {
        let json = r#"{"a":{"type":["list","string"],"value":["x,\"y",{}]},"b":[],"type":1,"c":"é\\"}"#;
        let laid = indent(json);
        assert_eq!(
            laid,
            "{\n  \"a\": {\n    \"type\": [\"list\",\"string\"],\n    \"value\": [\n      \"x,\\\"y\",\n      {}\n    ]\n  },\
             \n  \"b\": [],\n  \"type\": 1,\n  \"c\": \"é\\\\\"\n}"
        );
        let same: serde_json::Value = serde_json::from_str(&laid).unwrap();
        assert_eq!(same, serde_json::from_str::<serde_json::Value>(json).unwrap());
    }
}
