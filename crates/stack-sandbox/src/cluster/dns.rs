//! The cluster's DNS: names of services, EC2's private names, and the Stripe stand-in; nothing else.

use serde_json::json;

use super::layout::{DOMAIN, EC2_ZONE, STRIPE_ADDRESS, STRIPE_NAME};

/// The port of the DNS server in its pod.
const PORT: u16 = 1053;

/// CoreDNS' configuration. Every zone has a block of its own, since `template` would answer all names of its block;
/// nothing is forwarded.
pub(crate) fn render_corefile() -> String {
    let zone = EC2_ZONE.replace('.', "[.]");
    let number = |name: &str| format!("(?P<{name}>[0-9]{{1,3}})");
    let host = format!(
        "^ip-{}-{}-{}-{}[.]{zone}[.]$",
        number("a"),
        number("b"),
        number("c"),
        number("d")
    );
    let stripe = format!("^{}[.]$", STRIPE_NAME.replace('.', "[.]"));
    format!(
        "{DOMAIN}:{PORT} in-addr.arpa:{PORT} ip6.arpa:{PORT} {{
    errors
    ready
    kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
        pods insecure
        ttl 5
    }}
    cache 5
    loadbalance
    reload 5s
}}
{EC2_ZONE}:{PORT} {{
    errors
{ec2}}}
{STRIPE_NAME}:{PORT} {{
    errors
{stripe}}}
.:{PORT} {{
    errors
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
",
        ec2 = render_host(
            EC2_ZONE,
            &host,
            "{{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
        ),
        stripe = render_host(STRIPE_NAME, &stripe, STRIPE_ADDRESS),
    )
}

/// Answers names of `zone` that match with an IPv4 address, says of them that they have no other record, and of
/// all other names that they do not exist.
fn render_host(zone: &str, pattern: &str, address: &str) -> String {
    format!(
        "    template IN A {zone} {{
        match \"{pattern}\"
        answer \"{{{{ .Name }}}} 5 IN A {address}\"
        fallthrough
    }}
    template ANY ANY {zone} {{
        match \"{pattern}\"
        rcode NOERROR
        fallthrough
    }}
    template ANY ANY {zone} {{
        rcode NXDOMAIN
    }}
"
    )
}

/// The ConfigMap that CoreDNS reads.
pub(crate) fn render_config_map() -> String {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "coredns", "namespace": "kube-system"},
        "data": {"Corefile": render_corefile()},
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_names_answer_with_the_address_they_spell() {
        let text = render_corefile();
        assert!(text.contains(
            "match \"^ip-(?P<a>[0-9]{1,3})-(?P<b>[0-9]{1,3})-(?P<c>[0-9]{1,3})-(?P<d>[0-9]{1,3})[.]us-east-2[.]compute[.]internal[.]$\""
        ));
        assert!(text.contains(
            "answer \"{{ .Name }} 5 IN A {{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}\""
        ));
        assert!(text.contains("answer \"{{ .Name }} 5 IN A 172.31.250.10\""));
    }

    #[test]
    fn nothing_is_forwarded_and_braces_are_balanced() {
        let text = render_corefile();
        assert!(!text.contains("forward"));
        let count = |brace: char| text.chars().filter(|c| *c == brace).count();
        assert_eq!(count('{'), count('}'));
    }
}
