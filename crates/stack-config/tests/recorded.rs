//! Every expression of `tests/language/expressions.jsonl`, evaluated as `stack console` does: all must answer as recorded.

mod common;

use std::path::PathBuf;

use common::Locals;
use serde::Deserialize;
use stack_config::console_line;

#[derive(Deserialize)]
struct Case {
    id: u32,
    expr: String,
    ok: bool,
    out: String,
}

#[test]
fn further_expressions_answer_as_recorded() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/language/expressions.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let scope = Locals::default();
    let mut wrong = Vec::new();
    let mut cases = 0;
    for line in text.lines() {
        let Case { id, expr, ok, out } = serde_json::from_str(line).unwrap();
        cases += 1;
        match console_line(&expr, &scope) {
            Ok(got) if ok && format!("{got}\n") == out => {}
            Err(_) if !ok => {}
            Ok(got) => wrong.push(format!("{id} {expr}: {got:?}, expected {out:?}")),
            Err(error) => wrong.push(format!("{id} {expr}: {error}, expected {out:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases > 1000, "only {cases} cases were found");
}
