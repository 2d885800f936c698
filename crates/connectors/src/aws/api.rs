//! Calls to AWS's query API, signed by Signature Version 4, and what its answers mean.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use roxmltree::{Document, Node};
use tenure_core::base::time::{Clock, Span, Timestamp};
use tenure_core::target::connector::{ConnectorError, Endpoint, TargetLogin, words};
use tenure_outbound::{Authorities, Call, Destination, Outbound};

use super::{FORM, STS};
use crate::place::{Place, duration, unreached};

/// The longest answer that is read, in bytes: a page of a thousand users.
const MAX_ANSWER: usize = 4 << 20;
const FORM_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// A service of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Iam,
    Sts,
}

impl Service {
    const fn name(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Sts => "sts",
        }
    }

    const fn version(self) -> &'static str {
        match self {
            Self::Iam => "2010-05-08",
            Self::Sts => "2011-06-15",
        }
    }
}

/// An account of AWS's, spoken to by one access key.
pub(super) struct Api<'a> {
    outbound: &'a Outbound,
    clock: &'a dyn Clock,
    iam: Host,
    sts: Host,
    authorities: Authorities,
    region: &'a str,
    login: &'a TargetLogin,
    patience: Duration,
    /// The second in which it answered last, by its own clock.
    told_at: AtomicI64,
}

/// As far as a clock may be off for AWS to take what is signed by it.
pub(super) const SKEW: Span = Span::from_mins(5);

/// Where a service is.
struct Host {
    url: String,
    destination: Destination,
}

impl Host {
    fn of(url: String) -> Result<Self, ConnectorError> {
        Ok(Self { destination: url.parse().map_err(unreached)?, url })
    }
}

/// Codes by which AWS says that it would not, whoever asks.
const NOS: [&str; 5] =
    ["ValidationError", "LimitExceeded", "UnmodifiableEntity", "MalformedPolicyDocument", "PackedPolicyTooLarge"];
/// Codes by which AWS says that a token vouches for nobody.
const NO_TOKENS: [&str; 3] = ["InvalidIdentityToken", "ExpiredTokenException", "IDPRejectedClaim"];

/// An error that AWS answered with.
#[derive(Debug)]
pub(super) struct Fault {
    code: String,
    message: String,
}

impl Fault {
    pub fn words(&self) -> String {
        words(&format!("{}: {}", self.code, self.message))
    }

    /// Whether what was named isn't there.
    pub fn is_absence(&self) -> bool {
        self.code == "NoSuchEntity"
    }

    /// Whether it is no access key, or not its secret. A clock that is off is neither.
    pub fn is_refusal(&self) -> bool {
        match self.code.as_str() {
            "InvalidClientTokenId" | "UnrecognizedClientException" => true,
            "SignatureDoesNotMatch" => !self.message.contains("expired") && !self.message.contains("not yet current"),
            _ => false,
        }
    }

    /// Whether there is no room for one more.
    pub fn is_full(&self) -> bool {
        self.code == "LimitExceeded"
    }

    fn is_want_of_right(&self) -> bool {
        matches!(self.code.as_str(), "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation")
    }

    /// What it means to whoever brought a token: that isn't taken says nothing of the connector's own key.
    pub fn of_token(self) -> ConnectorError {
        if NO_TOKENS.contains(&self.code.as_str()) { ConnectorError::Rejected(self.words()) } else { self.meaning() }
    }

    pub fn meaning(self) -> ConnectorError {
        if self.is_refusal() {
            ConnectorError::Unauthorized(self.words())
        } else if self.is_want_of_right() || self.is_absence() || NOS.contains(&self.code.as_str()) {
            ConnectorError::Rejected(self.words())
        } else {
            // Throttled, out of service, a clock that is off: nothing is known by it.
            ConnectorError::Unreachable(self.words())
        }
    }
}

/// An answer's document.
pub(super) struct Answer(String);

impl Answer {
    /// How many bytes it came in.
    pub const fn bytes(&self) -> usize {
        self.0.len()
    }

    /// What `read` finds in it.
    pub fn read<T>(&self, read: impl FnOnce(Node<'_, '_>) -> T) -> Result<T, ConnectorError> {
        let document = Document::parse(&self.0).map_err(|_| strange())?;
        Ok(read(document.root_element()))
    }
}

fn strange() -> ConnectorError {
    ConnectorError::Unreachable("its answer is none of AWS's".to_owned())
}

/// The second of a date as HTTP has it (RFC 9110 section 5.6.7).
fn second(date: &str) -> Option<i64> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok().map(jiff::Timestamp::as_second)
}

/// The text of the first element of this name below a node; empty where there is none.
pub(super) fn text(node: Node<'_, '_>, name: &str) -> String {
    let found = node.descendants().find(|node| node.tag_name().name() == name);
    found.and_then(|node| node.text()).unwrap_or_default().trim().to_owned()
}

/// The members of a list of this name.
pub(super) fn members<'a, 'b>(node: Node<'a, 'b>, name: &str) -> Vec<Node<'a, 'b>> {
    let list = node.descendants().find(|node| node.tag_name().name() == name);
    list.into_iter().flat_map(|list| list.children()).filter(|node| node.tag_name().name() == "member").collect()
}

impl<'a> Api<'a> {
    pub fn at(
        outbound: &'a Outbound,
        clock: &'a dyn Clock,
        endpoint: &'a Endpoint,
        login: &'a TargetLogin,
        patience: Span,
    ) -> Result<Self, ConnectorError> {
        let place = Place::of(endpoint, &FORM)?;
        let bad = |why: &str| ConnectorError::Misconfigured(why.to_owned());
        if login.name.is_empty() || !login.name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(bad("the login's name is the id of an access key"));
        }
        let scheme = if place.authorities.is_some() { "https" } else { "http" };
        let region = place.option("region").unwrap_or("us-east-1");
        if region.is_empty() || !region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(bad("the option region is one of AWS's, such as us-east-1"));
        }
        let iam = format!("{scheme}://{}:{}/", place.host_in_url(), place.port);
        // The two have hosts of their own at AWS, and one at what stands in for it.
        let host = place.option(STS).map_or_else(|| place.host_in_url().replacen("iam.", "sts.", 1), str::to_owned);
        let sts = format!("{scheme}://{host}:{}/", place.port);
        Ok(Self {
            outbound,
            clock,
            iam: Host::of(iam)?,
            sts: Host::of(sts)?,
            authorities: place.authorities.unwrap_or_default(),
            region,
            login,
            patience: duration(patience),
            told_at: AtomicI64::new(i64::MIN),
        })
    }

    /// The time by AWS's own clock, as it told it last; where it didn't, none that its clock has reached.
    pub fn time(&self) -> Timestamp {
        let (now, told_at) = (self.clock.now(), self.told_at.load(Ordering::Relaxed));
        let told_at = if told_at == i64::MIN { now.plus(SKEW) } else { Timestamp::from_secs(told_at) };
        told_at.clamp(now.minus(SKEW), now.plus(SKEW))
    }

    /// The answer to an action, or AWS's own error.
    pub async fn ask(
        &self,
        service: Service,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Result<Answer, Fault>, ConnectorError> {
        self.sent(service, action, parameters, true).await
    }

    /// The same of an action that needs no key, for what proves who asks is among its parameters.
    pub async fn unsigned(
        &self,
        service: Service,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Result<Answer, Fault>, ConnectorError> {
        self.sent(service, action, parameters, false).await
    }

    async fn sent(
        &self,
        service: Service,
        action: &str,
        parameters: &[(&str, &str)],
        is_signed: bool,
    ) -> Result<Result<Answer, Fault>, ConnectorError> {
        let to = if service == Service::Iam { &self.iam } else { &self.sts };
        let fields = [&[("Action", action), ("Version", service.version())], parameters].concat();
        let body = serde_urlencoded::to_string(fields)
            .map_err(|_| ConnectorError::Misconfigured("what is to be sent is no form".to_owned()))?;
        // A star means itself in a form, escaped or not; what stands in for AWS signs it escaped.
        let body = body.replace('*', "%2A");
        let headers = match is_signed {
            true => self.signed(service, &to.url, body.as_bytes())?,
            false => HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(FORM_TYPE))]),
        };
        let call = Call {
            method: Method::POST,
            authorities: &self.authorities,
            headers,
            body: Some(body.into_bytes()),
            patience: self.patience,
            limit: MAX_ANSWER,
        };
        let answer = self.outbound.call(&to.destination, call).await.map_err(unreached)?;
        if let Some(told_at) = answer.headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(second) {
            self.told_at.fetch_max(told_at, Ordering::Relaxed);
        }
        let told = String::from_utf8(answer.body.unwrap_or_default()).map_err(|_| strange())?;
        let document = Document::parse(&told).map_err(|_| strange())?;
        let root = document.root_element();
        if answer.status.is_success() && root.tag_name().name() == format!("{action}Response") {
            return Ok(Ok(Answer(told)));
        }
        let fault = Fault { code: text(root, "Code"), message: text(root, "Message") };
        if root.tag_name().name() != "ErrorResponse" || fault.code.is_empty() || answer.status.is_success() {
            return Err(strange());
        }
        Ok(Err(fault))
    }

    /// The answer to an action that the connector's own key may do.
    pub async fn must(&self, action: &str, parameters: &[(&str, &str)]) -> Result<Answer, ConnectorError> {
        self.ask(Service::Iam, action, parameters).await?.map_err(Fault::meaning)
    }

    /// The same; none where what is named isn't there.
    pub async fn find(&self, action: &str, parameters: &[(&str, &str)]) -> Result<Option<Answer>, ConnectorError> {
        match self.ask(Service::Iam, action, parameters).await? {
            Err(fault) if fault.is_absence() => Ok(None),
            answer => answer.map(Some).map_err(Fault::meaning),
        }
    }

    /// Whether the right to an action is there: what it names is not, so it does nothing.
    pub async fn lacks(&self, action: &str, parameters: &[(&str, &str)]) -> Result<Option<String>, ConnectorError> {
        match self.ask(Service::Iam, action, parameters).await? {
            Err(fault) if fault.is_want_of_right() => Ok(Some(fault.words())),
            Err(fault) if fault.is_absence() => Ok(None),
            answer => answer.map(|_| None).map_err(Fault::meaning),
        }
    }

    fn signed(&self, service: Service, url: &str, body: &[u8]) -> Result<HeaderMap, ConnectorError> {
        let unsigned = || ConnectorError::Misconfigured("the request can't be signed by this login".to_owned());
        let secret = self.login.secret.expose().clone();
        let identity = Credentials::new(self.login.name.clone(), secret, None, None, "login").into();
        let since = Duration::from_secs(self.clock.now().as_secs().unsigned_abs());
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(service.name())
            .time(SystemTime::UNIX_EPOCH + since)
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| unsigned())?;
        let headers = [(CONTENT_TYPE.as_str(), FORM_TYPE)];
        let request = SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(body))
            .map_err(|_| unsigned())?;
        let (instructions, _) = sign(request, &SigningParams::V4(parameters)).map_err(|_| unsigned())?.into_parts();
        let mut signed = HeaderMap::new();
        signed.insert(CONTENT_TYPE, HeaderValue::from_static(FORM_TYPE));
        for (name, value) in instructions.headers() {
            let name = HeaderName::try_from(name).map_err(|_| unsigned())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| unsigned())?;
            value.set_sensitive(true);
            signed.insert(name, value);
        }
        Ok(signed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: &str, message: &str) -> Fault {
        Fault { code: code.to_owned(), message: message.to_owned() }
    }

    #[test]
    fn a_date_of_http_is_a_second() {
        assert_eq!(second("Mon, 30 Nov 2026 21:09:45 GMT"), Some(1_796_072_985));
        assert_eq!(second("soon"), None);
    }

    #[test]
    fn only_what_is_said_of_the_key_is_a_refusal() {
        assert!(fault("InvalidClientTokenId", "The security token included in the request is invalid").is_refusal());
        assert!(fault("SignatureDoesNotMatch", "The request signature we calculated does not match").is_refusal());
        for (code, message) in [
            ("SignatureDoesNotMatch", "Signature expired: 20261130T000000Z is now earlier than 20261130T001500Z"),
            ("SignatureDoesNotMatch", "Signature not yet current: 20261130T001500Z is still later than"),
            ("Throttling", "Rate exceeded"),
            ("ServiceUnavailable", ""),
            ("RequestExpired", ""),
            ("InternalFailure", ""),
        ] {
            assert!(!fault(code, message).is_refusal(), "{code} {message}");
            assert!(matches!(fault(code, message).meaning(), ConnectorError::Unreachable(_)), "{code}");
        }
        assert!(matches!(fault("AccessDenied", "no").meaning(), ConnectorError::Rejected(_)));
    }
}
