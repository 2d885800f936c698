//! Claims of a token whose signature holds, and the checks that every token shares (RFC 7519 §4.1).

use serde_json::{Map, Value};
use tenure_core::base::time::{Span, Timestamp};

use super::error::JoseError;

/// How far another machine's clock may be off.
pub const SKEW: Span = Span::from_secs(30);
/// The longest `jti`.
pub(crate) const MAX_JTI: usize = 256;
/// The latest time a claim may name: 9999-12-31T23:59:59Z.
const MAX_SECONDS: i64 = 253_402_300_799;

/// Claims of a token whose signature holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub(super) const fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// The claims as JSON.
    pub const fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }
    /// The claims as JSON.
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// A claim that must be text if it is there.
    ///
    /// # Errors
    /// [`JoseError::Malformed`] if it is something else.
    pub fn text(&self, name: &str) -> Result<Option<&str>, JoseError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(JoseError::Malformed),
        }
    }

    /// A time in seconds since the epoch, if it is there; parts of a second are dropped.
    ///
    /// # Errors
    /// [`JoseError::Malformed`] if it is no number from 1970 to 9999.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, JoseError> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        // The cast saturates; the range is checked below.
        let seconds =
            value.as_i64().or_else(|| value.as_f64().map(|f| f.floor() as i64)).ok_or(JoseError::Malformed)?;
        if !(0..=MAX_SECONDS).contains(&seconds) {
            return Err(JoseError::Malformed);
        }
        Ok(Some(Timestamp::from_secs(seconds)))
    }

    /// Demands that the token names this issuer.
    pub(crate) fn names_issuer(&self, issuer: &str) -> Result<(), JoseError> {
        if self.text("iss")? == Some(issuer) { Ok(()) } else { Err(JoseError::IssuerWrong) }
    }

    /// Demands that the token is addressed to `audience` and to nobody else: a string, or an array of exactly that one.
    pub(crate) fn is_only_for(&self, audience: &str) -> Result<(), JoseError> {
        let alone = match self.0.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(all)) => matches!(all.as_slice(), [Value::String(one)] if one == audience),
            _ => false,
        };
        if alone { Ok(()) } else { Err(JoseError::AudienceWrong) }
    }

    /// Demands a `jti` and gives it.
    pub(crate) fn jti(&self) -> Result<&str, JoseError> {
        self.text("jti")?.filter(|jti| !jti.is_empty() && jti.len() <= MAX_JTI).ok_or(JoseError::JtiMissing)
    }

    /// Demands that the token is valid at `now` and ends at most `life` later, `skew` either way; gives its end.
    pub(crate) fn valid_at(&self, now: Timestamp, life: Span, skew: Span) -> Result<Timestamp, JoseError> {
        let period = self.period()?;
        period.holds(now, life, skew)?;
        Ok(period.expires_at)
    }

    /// When the token says that it is valid.
    pub(crate) fn period(&self) -> Result<Period, JoseError> {
        Ok(Period {
            expires_at: self.time("exp")?.ok_or(JoseError::ExpMissing)?,
            starts_at: self.time("nbf")?.max(self.time("iat")?),
        })
    }
}

/// When a token says that it is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    /// `exp`.
    pub(crate) expires_at: Timestamp,
    /// The later of `nbf` and `iat`.
    pub(crate) starts_at: Option<Timestamp>,
}

impl Period {
    /// Demands that `now` is in it and that it ends at most `life` later, `skew` either way.
    pub(crate) fn holds(&self, now: Timestamp, life: Span, skew: Span) -> Result<(), JoseError> {
        let latest_start = now.plus(skew);
        if self.starts_at.is_some_and(|start| start > latest_start) {
            return Err(JoseError::NotYetValid);
        }
        if now >= self.expires_at.plus(skew) {
            return Err(JoseError::Expired);
        }
        if self.expires_at > latest_start.plus(life) {
            return Err(JoseError::LifetimeTooLong);
        }
        Ok(())
    }
}
