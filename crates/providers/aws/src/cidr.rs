//! Networks as arguments write them: `10.0.0.0/16`, `2001:db8::/32`.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What is wrong with an IPv4 network, if anything. Bits beyond the prefix are refused: the service would silently drop
/// them, and every later plan would show a difference.
pub(crate) fn check_v4(text: &str) -> Option<String> {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let parsed = address.parse::<Ipv4Addr>().ok().zip(prefix(length, 32));
    let Some((address, length)) = parsed else {
        return Some(wrong(text, "10.0.0.0/16"));
    };
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    let network = Ipv4Addr::from(u32::from(address) & mask);
    (network != address).then(|| host_bits(text, &format!("{network}/{length}")))
}

/// The same for IPv6.
pub(crate) fn check_v6(text: &str) -> Option<String> {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let parsed = address.parse::<Ipv6Addr>().ok().zip(prefix(length, 128));
    let Some((address, length)) = parsed else {
        return Some(wrong(text, "2001:db8::/32"));
    };
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    let network = Ipv6Addr::from(u128::from(address) & mask);
    (network != address).then(|| host_bits(text, &format!("{network}/{length}")))
}

fn prefix(text: &str, most: u32) -> Option<u32> {
    text.parse().ok().filter(|n| *n <= most)
}

fn wrong(text: &str, example: &str) -> String {
    format!("`{text}` is no network; write it like `{example}`")
}

fn host_bits(text: &str, network: &str) -> String {
    format!("`{text}` has bits beyond its prefix; the network is `{network}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_told_from_addresses() {
        for good in ["0.0.0.0/0", "10.0.0.0/16", "10.1.2.3/32"] {
            assert_eq!(check_v4(good), None, "{good}");
        }
        for good in ["::/0", "2001:db8::/32", "2001:db8::1/128"] {
            assert_eq!(check_v6(good), None, "{good}");
        }
        assert!(
            check_v4("10.0.0.1/16")
                .unwrap()
                .ends_with("the network is `10.0.0.0/16`")
        );
        assert!(
            check_v6("2001:db8::1/32")
                .unwrap()
                .ends_with("the network is `2001:db8::/32`")
        );
        for bad in ["10.0.0.0", "10.0.0.0/33", "x/8", "::/0"] {
            assert!(check_v4(bad).unwrap().contains("is no network"), "{bad}");
        }
    }
}
