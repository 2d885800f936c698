//! What proxies say of whom they forward.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tenure_server::{Proxies, SourceFrom, introduced};
use tokio::runtime::{Builder, Runtime};

const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

/// `X-Forwarded-For` and `Forwarded`, a line of the header in each line: nobody but a trusted proxy is believed, and
/// what a client wrote itself says nothing once its proxy has added where it comes from.
pub(crate) fn forwarded(bytes: &[u8]) {
    for (source, name, added) in [
        (SourceFrom::XForwardedFor, "x-forwarded-for", "203.0.113.7"),
        (SourceFrom::Forwarded, "forwarded", "for=203.0.113.7"),
    ] {
        let proxies = Proxies { trusted: vec!["10.0.0.0/8".parse().unwrap()], source };
        let name = HeaderName::from_static(name);
        let mut headers = HeaderMap::new();
        for line in bytes.split(|byte| *byte == b'\n').take(8) {
            if let Ok(value) = HeaderValue::from_bytes(line) {
                headers.append(name.clone(), value);
            }
        }
        let stranger: IpAddr = [198, 51, 100, 9].into();
        assert_eq!(proxies.source(stranger, &headers), stranger);
        let seen = proxies.source(PROXY, &headers);
        assert_eq!(seen, seen.to_canonical(), "one address has two spellings");
        headers.append(name, HeaderValue::from_static(added));
        assert_eq!(proxies.source(PROXY, &headers), IpAddr::from([203, 0, 113, 7]));
    }
}

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().unwrap();
}

/// The header of the PROXY protocol: what is read of it is an address, and never more than the header.
pub(crate) fn proxy_header(bytes: &[u8]) {
    let mut rest = bytes;
    let read = RUNTIME.with(|runtime| runtime.block_on(introduced(&mut rest, PROXY)));
    if let Ok(address) = read {
        assert_eq!(address, address.to_canonical());
        let header = &bytes[..bytes.len() - rest.len()];
        assert!(header.len() >= 16 && header.len() == 16 + usize::from(u16::from_be_bytes([header[14], header[15]])));
    }
}
