//! Who asks for passkeys: the host and the origin of the public URL.

/// A relying party with one origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    id: String,
    origin: String,
}

impl RelyingParty {
    /// The relying party that a public URL makes: its host is the id. None where browsers offer no passkeys: the host
    /// is an IP address, or the scheme is `http` and the host not `localhost`.
    pub fn from_url(public_url: &str) -> Option<Self> {
        let (scheme, rest) = public_url.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let authority = rest.split(['/', '?', '#']).next()?.to_ascii_lowercase();
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port.parse::<u16>().ok()?)),
            None => (authority.as_str(), None),
        };
        let default = match scheme.as_str() {
            "https" => 443,
            "http" if host == "localhost" || host.ends_with(".localhost") => 80,
            _ => return None,
        };
        if !is_domain(host) {
            return None;
        }
        // Browsers leave the default port out (RFC 6454 §6.2).
        let origin = match port.filter(|port| *port != default) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        Some(Self { id: host.to_owned(), origin })
    }

    /// The relying party's id: a domain.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The only origin whose pages may use its passkeys.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// A domain name in ASCII; an address of IPv4 ends in a number, as no domain does.
fn is_domain(host: &str) -> bool {
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= 253 && host.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_host_and_the_origin_is_as_browsers_write_it() {
        let cases = [
            ("https://tenure.example.com", "tenure.example.com", "https://tenure.example.com"),
            ("https://Tenure.Example.com:443/base", "tenure.example.com", "https://tenure.example.com"),
            ("https://tenure.example.com:8443", "tenure.example.com", "https://tenure.example.com:8443"),
            ("http://localhost:8420", "localhost", "http://localhost:8420"),
        ];
        for (url, id, origin) in cases {
            let found = RelyingParty::from_url(url).unwrap();
            assert_eq!((found.id(), found.origin()), (id, origin), "{url}");
        }
    }

    #[test]
    fn where_browsers_offer_no_passkeys_there_is_none() {
        for url in [
            "http://127.0.0.1:8420",
            "https://10.0.0.1",
            "https://[::1]:8420",
            "http://tenure.example.com",
            "https://user@tenure.example.com",
            "https://tenure.example.com:port",
            "https://",
            "ftp://localhost",
            "localhost",
        ] {
            assert_eq!(RelyingParty::from_url(url), None, "{url}");
        }
    }
}
