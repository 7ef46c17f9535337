//! What an earlier run began and did not end, and what an apply does about it.

use std::fmt::Write as _;

use stack_engine::{Finding, Verdict};

use super::Paint;
use super::human::name;

/// The section in front of a plan; empty where nothing is pending.
pub(crate) fn render(findings: &[Finding], paint: Paint) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let head = paint.bold(&paint.cyan("Note: An earlier run did not finish"));
    let mut out = format!("{head}\n\nAn apply first settles what was begun and not ended:\n\n");
    for finding in findings {
        let _ = writeln!(out, "  {}", line(finding, paint));
    }
    out.push('\n');
    out
}

/// What was begun on one object, and what becomes of it.
pub(crate) fn line(finding: &Finding, paint: Paint) -> String {
    let word = match finding.verdict {
        Verdict::Adopt => paint.green("adopt"),
        Verdict::Retry => paint.yellow("retry"),
        Verdict::Clean => paint.yellow("clean"),
        Verdict::Unknown => paint.red("unknown"),
    };
    let object = paint.bold(&format!("# {}", name(&finding.address, finding.deposed.as_ref())));
    format!(
        "{object}: {} was begun, recover: {word} ({})",
        finding.begun_word(),
        finding.detail
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(address: &str, begun: stack_state::Verb, verdict: Verdict, detail: &str) -> Finding {
        Finding {
            address: address.parse().unwrap(),
            deposed: None,
            begun,
            verdict,
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn every_operation_has_a_line_that_says_what_becomes_of_it() {
        use stack_state::Verb;
        let findings = [
            finding("a_b.made", Verb::Create, Verdict::Adopt, "it was made"),
            finding("a_b.not", Verb::Create, Verdict::Retry, "nothing was made"),
            finding("a_b.gone", Verb::Delete, Verdict::Clean, "it is gone"),
        ];
        insta::assert_snapshot!(render(&findings, Paint(false)), @r"
        Note: An earlier run did not finish

        An apply first settles what was begun and not ended:

          # a_b.made: create was begun, recover: adopt (it was made)
          # a_b.not: create was begun, recover: retry (nothing was made)
          # a_b.gone: delete was begun, recover: clean (it is gone)
        ");
        assert_eq!(render(&[], Paint(false)), "");
    }
}
