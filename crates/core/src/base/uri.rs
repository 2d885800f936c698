//! Addresses in the form in which equal ones are equal (RFC 3986 §6.2.2, §6.2.3), so that none of its spellings is
//! another thing.

/// The normal form of a URI with an authority: scheme and host in lower case, no default or empty port,
/// percent-encoding in capitals and only where it is needed, no dot segments, and `/` for an empty path. Query and
/// fragment stay, but for their percent-encoding. Text without `://` is given back as it is. At most one byte longer
/// than what it is made of.
pub fn normal(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return uri.to_owned();
    };
    let scheme = scheme.to_ascii_lowercase();
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (path, suffix) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let (user, host) = authority.rfind('@').map_or(("", authority), |at| authority.split_at(at + 1));
    let host = percent_normal(host).to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => "443",
        "http" => "80",
        _ => "",
    };
    // What has a port before its port is no host: it stays what it is, and is no other spelling of one.
    let host = match host.rsplit_once(':') {
        Some((name, port))
            if (port.is_empty() || port == default_port) && (name.ends_with(']') || !name.contains(':')) =>
        {
            name
        }
        _ => &host,
    };
    let path = without_dot_segments(&percent_normal(path));
    format!("{scheme}://{}{host}{path}{}", percent_normal(user), percent_normal(suffix))
}

/// Whether two URIs name one resource.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || normal(one) == normal(other)
}

/// Whether a URI's host is what it reads as: nothing stands before it (`https://orders.internal@evil.example` is
/// evil.example's), and nothing in it is encoded. True of what has no authority.
pub fn has_plain_host(uri: &str) -> bool {
    let Some((_, rest)) = uri.split_once("://") else {
        return true;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    !authority.contains(['@', '%', '\\'])
}

/// Decodes what needs no encoding (RFC 3986 §2.3), and writes the rest in capitals. What is no percent-encoding stays.
fn percent_normal(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        normal.push_str(before);
        let byte = after
            .get(..2)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match byte {
            Some(byte) => {
                let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
                // Behind a percent sign that encodes nothing, a digit would make an encoding that wasn't there.
                if is_plain && !(byte.is_ascii_hexdigit() && ends_in_lone_percent(&normal)) {
                    normal.push(char::from(byte));
                } else {
                    normal.push_str(&format!("%{byte:02X}"));
                }
                after.get(2..).unwrap_or_default()
            }
            None => {
                normal.push('%');
                after
            }
        };
    }
    normal.push_str(rest);
    normal
}

/// Whether a percent sign that encodes nothing so far stands at the end, or before one last digit.
fn ends_in_lone_percent(normal: &str) -> bool {
    let mut last = normal.bytes().rev();
    match last.next() {
        Some(b'%') => true,
        Some(digit) => digit.is_ascii_hexdigit() && last.next() == Some(b'%'),
        None => false,
    }
}

/// A path without `.` and `..` (RFC 3986 §5.2.4); an empty one is `/`.
fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::{has_plain_host, is_same, normal};

    #[test]
    fn d20_a_host_is_what_it_reads_as() {
        for (uri, plain) in [
            ("https://orders.internal/a@b%40", true),
            ("https://orders.internal:8443", true),
            ("https://[::1]:443/x", true),
            ("urn:a@b", true),
            ("https://orders.internal@evil.example", false),
            ("https://orders.internal%E2%80%AE", false),
            ("https://orders.internal\\@evil.example/", false),
        ] {
            assert_eq!(has_plain_host(uri), plain, "{uri}");
        }
    }

    #[test]
    fn e01_spellings_of_one_address_are_one() {
        for (spelled, expected) in [
            ("http://h", "http://h/"),
            ("http://h/", "http://h/"),
            ("HTTP://H:80", "http://h/"),
            ("http://h:", "http://h/"),
            ("https://h:443?a=b", "https://h/?a=b"),
            ("https://H:8443/A/b", "https://h:8443/A/b"),
            ("https://User@H/", "https://User@h/"),
            ("https://[::1]:443/x", "https://[::1]/x"),
            ("https://h/%7euser/%2f%2F/%41", "https://h/~user/%2F%2F/A"),
            ("https://h/a/./b/../c/%2e%2E/d", "https://h/a/d"),
            ("https://h/a/..", "https://h/"),
            ("https://h/../..", "https://h/"),
            ("https://h/a//b/", "https://h/a//b/"),
            ("https://h/%zz%4", "https://h/%zz%4"),
            ("https://h/é%C3%a9", "https://h/é%C3%A9"),
            // What encodes nothing doesn't come to encode something, and what has two ports is no spelling of what has
            // one.
            ("https://h/%%341", "https://h/%%341"),
            ("https://h/%4%31%%2d", "https://h/%4%31%-"),
            ("http://h:80:80/", "http://h:80:80/"),
            ("mcp://H", "mcp://h/"),
            ("urn:a:B", "urn:a:B"),
            ("", ""),
        ] {
            assert_eq!(normal(spelled), expected, "{spelled}");
            assert_eq!(normal(expected), expected, "{spelled}");
            assert!(is_same(spelled, expected));
        }
        for (one, other) in [
            ("https://h/a", "https://h/a/"),
            ("https://h/a", "https://h/A"),
            ("https://h", "http://h"),
            ("https://h/%2F", "https://h//"),
            ("https://h:8443", "https://h"),
        ] {
            assert!(!is_same(one, other), "{one} {other}");
        }
    }
}
