//! What stands in front of the server, and whose request it forwards.
//!
//! A client is told apart by its address. Behind a proxy every connection has the proxy's, and what names the client is
//! a text that anybody can send: it counts only from a proxy that the configuration trusts, in the one form that the
//! proxy is known to write, and from right to left, since each proxy adds to what it was given.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use ppp::v2::{Addresses, Command, Header};
use serde::Deserialize;
use tenure_outbound::Cidr;
use tokio::io::{AsyncRead, AsyncReadExt};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Hops that are looked at, from the right.
const MAX_HOPS: usize = 32;
/// The fixed part of a PROXY protocol header: signature, command, family, and the length of the rest (§2.2).
const PREFIX: usize = 16;
/// The longest rest that is read: addresses of any family and 296 bytes of what else proxies say.
const MAX_REST: usize = 512;
/// How long a proxy may take for it.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// The proxies that are trusted, and how they say whom they forward.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// Their addresses.
    pub trusted: Vec<Cidr>,
    /// How they say it.
    pub source: SourceFrom,
}

/// How a proxy says whom it forwards. One form is read and no other: a proxy passes on what it doesn't write itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceFrom {
    /// In `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// In `Forwarded` (RFC 7239).
    Forwarded,
    /// In a header of the PROXY protocol, version 2, with which each connection begins.
    ProxyProtocol,
}

/// A text that names none of these forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it has to be x-forwarded-for, forwarded or proxy-protocol")]
pub struct SourceFromError;

impl FromStr for SourceFrom {
    type Err = SourceFromError;

    fn from_str(text: &str) -> Result<Self, SourceFromError> {
        match text {
            "x-forwarded-for" => Ok(Self::XForwardedFor),
            "forwarded" => Ok(Self::Forwarded),
            "proxy-protocol" => Ok(Self::ProxyProtocol),
            _ => Err(SourceFromError),
        }
    }
}

impl Proxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|block| block.contains(address))
    }

    /// Whether connections of this peer carry the requests of others.
    pub(super) fn forwards(&self, peer: IpAddr) -> bool {
        self.source != SourceFrom::ProxyProtocol && self.trusts(peer)
    }

    /// Whether connections of this peer begin with a header of the PROXY protocol. It is never guessed: whoever isn't
    /// trusted and sends one has sent a malformed request.
    pub(super) fn introduces(&self, peer: IpAddr) -> bool {
        self.source == SourceFrom::ProxyProtocol && self.trusts(peer)
    }

    /// Where a request comes from that came over a connection of `peer`: the nearest address that isn't a trusted
    /// proxy's.
    pub fn source(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.forwards(peer) {
            return peer;
        }
        let hops = match self.source {
            SourceFrom::XForwardedFor => addresses(headers, &X_FORWARDED_FOR, Some),
            SourceFrom::Forwarded => addresses(headers, &header::FORWARDED, forwarded_for),
            SourceFrom::ProxyProtocol => Vec::new(),
        };
        let mut nearest = peer;
        for hop in hops {
            match hop {
                Some(address) if self.trusts(address) => nearest = address,
                Some(address) => return address,
                // A proxy that doesn't say (`unknown`, a name of its own) speaks for all behind it.
                None => break,
            }
        }
        nearest
    }
}

/// The addresses that a list header names, from right to left; `None` for what is no address. Each hop is read by
/// itself: what the client wrote to the left of what its proxy added spoils nothing, whatever bytes it is made of.
fn addresses<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    read: impl Fn(&'h str) -> Option<&'h str>,
) -> Vec<Option<IpAddr>> {
    let lines: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
    let hops = lines.into_iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    hops.take(MAX_HOPS)
        .map(|hop| std::str::from_utf8(hop).ok().and_then(|hop| read(hop.trim())).and_then(address))
        .collect()
}

/// What an element of `Forwarded` says in `for`. A quoted text with a comma would be cut by now, and then is no
/// address.
fn forwarded_for(element: &str) -> Option<&str> {
    let mut given = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = given.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"'),
        None => Some(value),
    }
}

/// An address with or without a port, of IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    text.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()))
        .or_else(bracketed)
        .map(|address| address.to_canonical())
}

/// Reads the header of the PROXY protocol with which a connection begins: whose connection it is. A proxy's own
/// (`LOCAL`, as for its health checks), and one of a family without addresses, are the proxy's.
///
/// # Errors
/// The header is malformed, or doesn't come within five seconds.
pub async fn introduced(stream: &mut (impl AsyncRead + Unpin), peer: IpAddr) -> io::Result<IpAddr> {
    let malformed = |why: &str| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("no PROXY protocol v2 from a proxy that should speak it: {why}"),
        )
    };
    let mut bytes = vec![0; PREFIX];
    let read = async {
        stream.read_exact(&mut bytes).await?;
        let rest =
            bytes.get(PREFIX - 2..PREFIX).and_then(|length| length.try_into().ok()).map_or(0, u16::from_be_bytes);
        if usize::from(rest) > MAX_REST || !bytes.starts_with(ppp::v2::PROTOCOL_PREFIX) {
            return Err(malformed("the header's beginning is another"));
        }
        bytes.resize(PREFIX + usize::from(rest), 0);
        stream.read_exact(bytes.get_mut(PREFIX..).unwrap_or_default()).await
    };
    tokio::time::timeout(HEADER_TIMEOUT, read).await??;
    let header = Header::try_from(bytes.as_slice()).map_err(|error| malformed(&error.to_string()))?;
    Ok(match (header.command, header.addresses) {
        (Command::Proxy, Addresses::IPv4(pair)) => pair.source_address.into(),
        (Command::Proxy, Addresses::IPv6(pair)) => IpAddr::from(pair.source_address).to_canonical(),
        (Command::Local, _) | (Command::Proxy, Addresses::Unspecified | Addresses::Unix(_)) => peer,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(source: SourceFrom, peer: &str, lines: &[&str]) -> String {
        let proxies = Proxies { trusted: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()], source };
        let mut headers = HeaderMap::new();
        for line in lines {
            let name = if source == SourceFrom::Forwarded { header::FORWARDED } else { X_FORWARDED_FOR };
            headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        proxies.source(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a06_the_nearest_address_that_is_no_proxys_counts() {
        for (peer, lines, expected) in [
            ("10.0.0.1", &["203.0.113.7"][..], "203.0.113.7"),
            // What the client wrote itself stands to the left of what the proxy added.
            ("10.0.0.1", &["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["198.51.100.1", "203.0.113.7, 10.2.3.4"], "203.0.113.7"),
            ("10.0.0.1", &["203.0.113.7:4711"], "203.0.113.7"),
            ("10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]:443,fd00::1"], "2001:db8::1"),
            ("10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7"),
            ("::ffff:10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            // Nobody's word counts but a trusted proxy's.
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
            ("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.3"], "10.0.0.3"),
            ("10.0.0.1", &["198.51.100.1, "], "10.0.0.1"),
            // What is no text is no address, and hides none beside it.
            ("10.0.0.1", &["é, 203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["198.51.100.1, é"], "10.0.0.1"),
        ] {
            assert_eq!(seen(SourceFrom::XForwardedFor, peer, lines), expected, "{peer} {lines:?}");
        }
        let long = format!("203.0.113.7{}", ", 10.0.0.9".repeat(MAX_HOPS));
        assert_eq!(seen(SourceFrom::XForwardedFor, "10.0.0.1", &[&long]), "10.0.0.9", "no further than the bound");
    }

    #[test]
    fn a06_forwarded_is_read_as_its_rfc_writes_it() {
        for (lines, expected) in [
            (&["for=203.0.113.7"][..], "203.0.113.7"),
            (&["for=198.51.100.1, For=\"203.0.113.7:4711\";proto=https;by=10.0.0.1"], "203.0.113.7"),
            (&["by=10.0.0.1; for=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
            (&["for=198.51.100.1", "for=203.0.113.7, for=10.2.3.4"], "203.0.113.7"),
            (&["for=198.51.100.1, for=_hidden"], "10.0.0.1"),
            (&["for=198.51.100.1, for=unknown"], "10.0.0.1"),
            (&["for=198.51.100.1, proto=https"], "10.0.0.1"),
            (&["for=\"198.51.100.1"], "10.0.0.1"),
            (&["for=é;for=\"é, for=203.0.113.7"], "203.0.113.7"),
        ] {
            assert_eq!(seen(SourceFrom::Forwarded, "10.0.0.1", lines), expected, "{lines:?}");
        }
        assert_eq!(seen(SourceFrom::ProxyProtocol, "10.0.0.1", &["203.0.113.7"]), "10.0.0.1");
    }
}
