//! Addresses: every page has one that can be sent to somebody, and what a list is narrowed by is its query.

use std::fmt;

/// An address on this server: a path, and the parameters behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    path: String,
    parameters: Vec<(String, String)>,
}

impl Address {
    /// An address without parameters. The path is ours, or made of [`Address::below`].
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), parameters: Vec::new() }
    }

    /// The address below this one that a name or an id stands for.
    #[must_use]
    pub fn below(mut self, segment: &str) -> Self {
        self.path.push('/');
        encode(segment, &mut self.path);
        self
    }

    /// The address of a deed, or of a part, below this one.
    #[must_use]
    pub fn verb(mut self, word: &str) -> Self {
        self.path.push('/');
        self.path.push_str(word);
        self
    }

    /// With these parameters.
    #[must_use]
    pub fn of(self, parameters: Vec<(String, String)>) -> Self {
        Self { parameters, ..self }
    }

    /// With a parameter, in the place of what it was.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        match self.parameters.iter_mut().find(|(given, _)| given == name) {
            Some((_, given)) => *given = value,
            None => self.parameters.push((name.to_owned(), value)),
        }
        self
    }

    /// Without a parameter.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.parameters.retain(|(given, _)| given != name);
        self
    }

    /// What a parameter is.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The parameters.
    pub fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// What stands behind the `?`.
    pub fn query(&self) -> String {
        self.to_string().split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default()
    }

    /// The path alone.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        for (n, (name, value)) in self.parameters.iter().enumerate() {
            let mut pair = String::new();
            encode(name, &mut pair);
            pair.push('=');
            encode(value, &mut pair);
            write!(f, "{}{pair}", if n == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

/// The parameters of a query that an [`Address`] wrote. What is no such thing is left out.
pub fn parameters(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter_map(|(name, value)| Some((decoded(name)?, decoded(value)?))).collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(part.bytes().skip(2));
    }
    String::from_utf8(bytes).ok()
}

/// A text as one value of a query.
pub fn encoded(text: &str) -> String {
    let mut out = String::new();
    encode(text, &mut out);
    out
}

/// Writes a text so that it is one segment of a path, or one value of a query (RFC 3986 §2.3).
fn encode(text: &str, out: &mut String) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    // A segment of dots alone would lead elsewhere.
    let is_dots = matches!(text, "." | "..");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || (b"-_~".contains(&byte)) || (byte == b'.' && !is_dots) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for half in [byte >> 4, byte & 15] {
                out.push(DIGITS.get(usize::from(half)).copied().unwrap_or('0'));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_replaced_and_encoded() {
        let address = Address::new("/identities").with("q", "a b&c").with("state", "active").with("q", "ä/?");
        assert_eq!(address.to_string(), "/identities?q=%C3%A4%2F%3F&state=active");
        assert_eq!(address.without("q").without("state").to_string(), "/identities");
    }

    #[test]
    fn a_query_is_read_as_it_was_written() {
        let pairs = [("q".to_owned(), "a b&c=%41 ä".to_owned()), ("sort".to_owned(), "-risk".to_owned())];
        assert_eq!(parameters(&Address::new("/x").of(pairs.to_vec()).query()), pairs);
        assert_eq!(parameters("a=%4&b=%zz&c=%C3&d&e=1"), [("e".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn a_name_is_one_segment() {
        assert_eq!(
            Address::new("/resources").below("https://a/../b").to_string(),
            "/resources/https%3A%2F%2Fa%2F..%2Fb"
        );
        assert_eq!(Address::new("/resources").below("..").to_string(), "/resources/%2E%2E");
    }
}
