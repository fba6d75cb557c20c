//! Durations, quantities and networks, as specs have them.

use std::{net::IpAddr, str::FromStr, time::Duration};

/// `1h30m`, `500ms`; none for what is no duration.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_lowercase).count();
        let millis = match &rest[..letters] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        rest = &rest[letters..];
        sum = sum.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
    }
    (!text.is_empty()).then_some(sum)
}

/// `64Mi` as a number of bytes; none for what is no quantity.
pub fn quantity(text: &str) -> Option<u64> {
    let end = text
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
        .count();
    let number: f64 = text[..end].parse().ok()?;
    let factor = match &text[end..] {
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        _ => return None,
    };
    // A float cast to an integer saturates.
    Some((number * factor) as u64)
}

/// Addresses with the same beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u32,
}

impl FromStr for Cidr {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a network in CIDR notation, such as 10.0.0.0/8";
        let (address, bits) = text.split_once('/').ok_or(EXPECTED)?;
        let (address, bits): (IpAddr, u32) = (
            address.parse().map_err(|_| EXPECTED)?,
            bits.parse().map_err(|_| EXPECTED)?,
        );
        let most = if address.is_ipv4() { 32 } else { 128 };
        if bits > most {
            return Err(EXPECTED);
        }
        Ok(Self { address, bits })
    }
}

impl Cidr {
    /// Whether an address is one of them. One of IPv4 that is written as one of IPv6 is what it is.
    pub fn has(&self, address: IpAddr) -> bool {
        let first = |bits: u128, width: u32, keep: u32| match keep {
            0 => 0,
            keep => bits >> (width - keep),
        };
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                // A network of IPv6 that is one of IPv4 in disguise has 96 bits before it.
                let keep = if self.address.is_ipv4() {
                    self.bits
                } else {
                    self.bits.saturating_sub(96)
                };
                first(u128::from(network.to_bits()), 32, keep) == first(u128::from(address.to_bits()), 32, keep)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                first(network.to_bits(), 128, self.bits) == first(address.to_bits(), 128, self.bits)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1h30m", Some(5_400_000))]
    #[case("500ms", Some(500))]
    #[case("0s", Some(0))]
    #[case("1d", Some(86_400_000))]
    #[case("", None)]
    #[case("d", None)]
    #[case("1", None)]
    #[case("1y", None)]
    #[case("99999999999999999999d", None)]
    fn durations(#[case] text: &str, #[case] millis: Option<u64>) {
        assert_eq!(duration(text), millis.map(Duration::from_millis));
    }

    #[rstest]
    #[case("64Mi", Some(64 << 20))]
    #[case("1.5k", Some(1500))]
    #[case("7", Some(7))]
    #[case("", None)]
    #[case("7Q", None)]
    fn quantities(#[case] text: &str, #[case] bytes: Option<u64>) {
        assert_eq!(quantity(text), bytes);
    }

    #[rstest]
    #[case("10.0.0.0/8", "10.255.0.1", true)]
    #[case("10.0.0.0/8", "11.0.0.1", false)]
    #[case("10.0.0.0/8", "::ffff:10.1.2.3", true)]
    #[case("192.168.1.7/32", "192.168.1.7", true)]
    #[case("192.168.1.7/32", "192.168.1.6", false)]
    #[case("0.0.0.0/0", "8.8.8.8", true)]
    #[case("0.0.0.0/0", "2001:db8::1", false)]
    #[case("::/0", "2001:db8::1", true)]
    #[case("2001:db8::/32", "2001:db8:1::1", true)]
    #[case("2001:db8::/32", "2001:db9::1", false)]
    #[case("::ffff:10.0.0.0/104", "10.1.2.3", true)]
    #[case("::ffff:10.0.0.0/104", "11.1.2.3", false)]
    fn networks(#[case] network: &str, #[case] address: &str, #[case] is_in: bool) {
        let network: Cidr = network.parse().unwrap();
        assert_eq!(network.has(address.parse().unwrap()), is_in);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/-1", "::/129"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }
}
