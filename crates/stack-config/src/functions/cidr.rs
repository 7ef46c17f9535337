//! `cidrhost`, `cidrnetmask`, `cidrsubnet`, `cidrsubnets`.

use std::net::{Ipv4Addr, Ipv6Addr};

use stack_core::{Type, Value};

use super::{Function, FunctionError, number, string, text};

/// The functions of this group.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new(
            "cidrhost",
            vec![string("prefix"), number("hostnum")],
            Type::String,
            |_, args| {
                Ok(Value::string(host(
                    &network(text(&args[0])?)?,
                    integer(&args[1])?,
                )?))
            },
        ),
        Function::new("cidrnetmask", vec![string("prefix")], Type::String, |_, args| {
            Ok(Value::string(netmask(&network(text(&args[0])?)?)?))
        }),
        Function::new(
            "cidrsubnet",
            vec![string("prefix"), number("newbits"), number("netnum")],
            Type::String,
            |_, args| {
                let (bits, number) = (integer(&args[1])?, integer(&args[2])?);
                Ok(Value::string(subnet(&network(text(&args[0])?)?, bits, number)?))
            },
        ),
        Function::new(
            "cidrsubnets",
            vec![string("prefix")],
            Type::list(Type::String),
            |_, args| {
                let lengths = args[1..].iter().map(integer).collect::<Result<Vec<_>, _>>()?;
                let all = subnets(&network(text(&args[0])?)?, &lengths)?;
                Ok(Value::list(
                    Type::String,
                    all.into_iter().map(Value::from).collect(),
                ))
            },
        )
        .variadic(number("newbits")),
    ]
}

/// A whole number.
fn integer(value: &Value) -> Result<i128, FunctionError> {
    let whole = value
        .as_number()
        .filter(|n| n.is_integer())
        .and_then(|n| n.to_string().parse().ok());
    let fits = |n: &i128| n.unsigned_abs() <= u128::from(u64::MAX);
    whole
        .filter(fits)
        .ok_or_else(|| FunctionError::new("value must be a whole number, and one of 64 bits"))
}

/// A block of addresses.
struct Network {
    /// First address.
    base: u128,
    /// Bits of the prefix.
    length: u32,
    /// Bits of an address: 32 or 128.
    bits: u32,
}

impl Network {
    fn show(&self) -> String {
        let length = if self.mapped() {
            self.length.saturating_sub(96)
        } else {
            self.length
        };
        format!("{}/{length}", show(self.base, self.bits))
    }

    fn mapped(&self) -> bool {
        self.bits == 128 && self.base >> 32 == 0xffff
    }
}

/// An address; IPv4 addresses inside IPv6 read as IPv4.
fn show(address: u128, bits: u32) -> String {
    let low = u32::try_from(address & u128::from(u32::MAX)).unwrap_or(u32::MAX);
    if bits == 32 || address >> 32 == 0xffff {
        Ipv4Addr::from(low).to_string()
    } else {
        Ipv6Addr::from(address).to_string()
    }
}

fn mask(length: u32, bits: u32) -> u128 {
    let all = all(bits);
    all & !all.checked_shr(length).unwrap_or(0)
}

fn network(text: &str) -> Result<Network, FunctionError> {
    let invalid = || FunctionError::new(format!("invalid CIDR expression: invalid CIDR address: {text}"));
    let (address, length) = text.split_once('/').ok_or_else(invalid)?;
    let (base, bits) = if address.contains(':') {
        (
            u128::from(address.parse::<Ipv6Addr>().map_err(|_| invalid())?),
            128,
        )
    } else {
        (u128::from(ipv4(address).ok_or_else(invalid)?), 32)
    };
    let digits = !length.is_empty() && length.len() <= 3 && length.bytes().all(|b| b.is_ascii_digit());
    let length: u32 = length
        .parse()
        .ok()
        .filter(|l| digits && *l <= bits)
        .ok_or_else(invalid)?;
    Ok(Network {
        base: base & mask(length, bits),
        length,
        bits,
    })
}

/// Dotted decimal; leading zeros are allowed and mean nothing.
fn ipv4(text: &str) -> Option<u32> {
    let mut out: u32 = 0;
    let mut parts = 0;
    for part in text.split('.') {
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        out = out << 8 | u32::from(part.parse::<u8>().ok()?);
        parts += 1;
    }
    (parts == 4).then_some(out)
}

fn host(network: &Network, number: i128) -> Result<String, FunctionError> {
    let hosts = if network.length == 0 && network.bits == 128 {
        u128::MAX
    } else {
        (1_u128 << (network.bits - network.length)) - 1
    };
    let distance = if number < 0 {
        number.unsigned_abs() - 1
    } else {
        number.unsigned_abs()
    };
    if distance > hosts {
        return Err(FunctionError::new(format!(
            "prefix of {} does not accommodate a host numbered {number}",
            network.length
        )));
    }
    let number = if number < 0 { hosts - distance } else { distance };
    // An IPv4 block inside IPv6 has 32 bits for the shift and 128 for the address.
    let shift = if network.mapped() { 96 } else { 0 };
    Ok(show(
        network.base | number.checked_shl(shift).unwrap_or(0),
        network.bits,
    ))
}

fn netmask(network: &Network) -> Result<String, FunctionError> {
    if network.bits == 128 {
        return Err(FunctionError::new("IPv6 addresses cannot have a netmask"));
    }
    Ok(show(mask(network.length, 32), 32))
}

fn subnet(network: &Network, new_bits: i128, number: i128) -> Result<String, FunctionError> {
    let length = u32::try_from(i128::from(network.length) + new_bits)
        .ok()
        .filter(|length| *length <= network.bits)
        .ok_or_else(|| {
            FunctionError::new(format!(
                "insufficient address space to extend prefix of {} by {new_bits}",
                network.length
            ))
        })?;
    let limit = match u32::try_from(new_bits) {
        Ok(bits) if bits < 64 => (1_u128 << bits) - 1,
        _ => u128::from(u64::MAX),
    };
    if number.unsigned_abs() > limit {
        return Err(FunctionError::new(format!(
            "prefix extension of {new_bits} does not accommodate a subnet numbered {number}"
        )));
    }
    let shift = network.bits - length;
    let base = if network.bits == 32 {
        let base = i128::try_from(network.base).unwrap_or(i128::MAX);
        (base | number << shift).unsigned_abs()
    } else if number < 0 {
        return Err(FunctionError::new(format!(
            "a subnet cannot have the number {number}"
        )));
    } else {
        network.base | number.unsigned_abs().checked_shl(shift).unwrap_or(0)
    };
    Ok(Network {
        base,
        length,
        bits: network.bits,
    }
    .show())
}

fn subnets(network: &Network, lengths: &[i128]) -> Result<Vec<String>, FunctionError> {
    let last = network.base | all(network.bits) & !mask(network.length, network.bits);
    let mut next = Some(network.base);
    let mut before = String::new();
    let mut out = Vec::new();
    for (i, new_bits) in lengths.iter().enumerate() {
        let position = i + 1;
        if *new_bits < 1 {
            return Err(FunctionError::argument(
                position,
                "must extend prefix by at least one bit",
            ));
        }
        if *new_bits > 32 {
            return Err(FunctionError::argument(
                position,
                "may not extend prefix by more than 32 bits",
            ));
        }
        let length = network.length + u32::try_from(*new_bits).unwrap_or(0);
        if length > network.bits {
            let protocol = if network.bits == 32 { "IPv4" } else { "IPv6" };
            return Err(FunctionError::argument(
                position,
                format!("would extend prefix to {length} bits, which is too long for an {protocol} address"),
            ));
        }
        let host = all(network.bits) & !mask(length, network.bits);
        let base = next
            .and_then(|n| n.checked_add(host))
            .map(|n| n & !host)
            .filter(|n| *n <= last);
        let Some(base) = base else {
            return Err(FunctionError::argument(
                position,
                format!(
                    "not enough remaining address space for a subnet with a prefix of {length} bits after {before}"
                ),
            ));
        };
        before = Network {
            base,
            length,
            bits: network.bits,
        }
        .show();
        out.push(before.clone());
        next = (base | host).checked_add(1);
    }
    Ok(out)
}

/// The highest address.
fn all(bits: u32) -> u128 {
    if bits == 128 { u128::MAX } else { (1 << bits) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_count_from_both_ends() {
        let host = |prefix: &str, n| host(&network(prefix).unwrap(), n);
        assert_eq!(host("10.12.112.0/20", 268).unwrap(), "10.12.113.12");
        assert_eq!(host("10.0.0.0/8", -16_777_216).unwrap(), "10.0.0.0");
        assert!(host("10.0.0.0/8", -16_777_217).is_err());
        assert_eq!(host("fd00::/64", -1).unwrap(), "fd00::ffff:ffff:ffff:ffff");
        assert_eq!(host("::/0", 5).unwrap(), "::5");
        assert_eq!(host("::ffff:10.0.0.0/104", 1).unwrap(), "0:1::ffff:a00:0");
        assert_eq!(host("010.001.0.0/16", 1).unwrap(), "10.1.0.1");
    }

    #[test]
    fn a_subnet_may_even_widen_or_count_down() {
        let subnet = |prefix: &str, bits, n| subnet(&network(prefix).unwrap(), bits, n);
        assert_eq!(subnet("10.1.2.0/24", 4, 15).unwrap(), "10.1.2.240/28");
        assert_eq!(subnet("10.1.2.0/24", -1, 0).unwrap(), "10.1.2.0/23");
        assert_eq!(subnet("10.0.0.0/8", 8, -1).unwrap(), "0.1.0.0/16");
        assert_eq!(subnet("fd00::/16", 40, 3).unwrap(), "fd00:0:0:300::/56");
        assert!(subnet("10.0.0.0/8", 8, 256).is_err());
        assert!(subnet("10.0.0.0/30", 4, 0).is_err());
    }

    #[test]
    fn consecutive_subnets_do_not_overlap_and_stay_inside() {
        let subnets = |prefix: &str, bits: &[i128]| subnets(&network(prefix).unwrap(), bits);
        assert_eq!(
            subnets("10.1.0.0/16", &[4, 4, 8, 4]).unwrap(),
            ["10.1.0.0/20", "10.1.16.0/20", "10.1.32.0/24", "10.1.48.0/20"]
        );
        assert!(subnets("10.0.0.0/30", &[1, 1, 1]).is_err());
        assert!(subnets("255.255.255.254/31", &[1, 1, 1]).is_err());
        assert!(subnets("ffff::/16", &[1, 1, 1]).is_err());
        assert!(subnets("10.0.0.0/24", &[0]).is_err());
    }
}
