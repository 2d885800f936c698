//! Why a login isn't there yet, for the workload that waits for it: what it can wait for or have mended, and nothing of
//! what lies behind its target. What the target itself said in full stands in the login's record, for people.

use std::net::{IpAddr, SocketAddr};

use tenure_core::base::time::Timestamp;
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::target::login::Login;
use tenure_core::target::system::TargetSystem;

use crate::kernel::error::OpError;
use crate::kernel::{Kernel, epoch};

/// Why a login that was asked for doesn't stand yet; nothing where it is only being made.
pub(super) async fn of(kernel: &Kernel, login: &Login) -> Result<Option<String>, OpError> {
    let Some(target) = kernel.one::<TargetSystem>(login.target).await? else {
        return Ok(Some("its target is there no more".to_owned()));
    };
    let connector = kernel.one::<Identity>(target.identity).await?;
    let trust = epoch::trust(kernel).await?;
    let why = if !target.is_asked() {
        "its target was removed, or its connector has no login there: who administers targets sees to that".to_owned()
    } else if target.is_gone() {
        "its target is gone for good, as two people said: nothing is made there".to_owned()
    } else if connector.is_none_or(|connector| connector.state != IdentityState::Active) {
        "the connector of its target is an identity that isn't active: nothing is made there meanwhile".to_owned()
    } else if !target.is_reconciled(trust) {
        "its target has not been looked through since the database was put back: nothing is made there before"
            .to_owned()
    } else if let Some(trouble) = &target.trouble {
        away(trouble.since, trouble.again_at())
    } else {
        return Ok(login.trouble.as_deref().map(|said| without_addresses(said, &target.endpoint.url)));
    };
    Ok(Some(why))
}

fn away(since: Timestamp, again_at: Timestamp) -> String {
    format!(
        "its target can't be reached, or doesn't take its connector's login, since {since}; it is asked again at {again_at}"
    )
}

/// What was said, without addresses in the network: of the target itself, and whatever reads as one.
fn without_addresses(said: &str, url: &str) -> String {
    let at = url.split_once("://").map_or(url, |(_, rest)| rest);
    let at = at.split(['/', '?']).next().unwrap_or_default();
    let host = at.rsplit_once('@').map_or(at, |(_, host)| host);
    let host = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(host, _)| host),
    };
    let hidden = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '[' && c != ']');
        let with_port = bare.rsplit_once(':').is_some_and(|(name, port)| {
            name.contains('.') && !name.contains(':') && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
        });
        let is_address = bare.parse::<IpAddr>().is_ok() || bare.parse::<SocketAddr>().is_ok();
        is_address || with_port || word.contains("://") || (!host.is_empty() && word.contains(host))
    };
    let words: Vec<&str> = said.split(' ').map(|word| if hidden(word) { "…" } else { word }).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_is_told_and_everything_else_is() {
        let told = |said: &str| without_addresses(said, "postgres://db.acme.example:5432/orders");
        for said in [
            "refused by 10.0.0.5: full",
            "refused by (10.0.0.5:5432), full",
            "refused by \"fd00::7\", full",
            "refused by [fd00::7]:5432 full",
            "refused by db.acme.example full",
            "refused by db.acme.example:5432, full",
            "refused by replica.acme.internal:6432, full",
            "refused by https://10.0.0.5/x full",
        ] {
            assert_eq!(told(said).trim_end_matches(','), "refused by … full", "{said}");
        }
        let told_of = |url: &str| without_addresses("it: refused by [fd00::7]:5432 full", url);
        for url in ["postgres://[fd00::7]/orders", "postgres://a@[fd00::7]:5432", "ldaps://[fd00::7]"] {
            assert_eq!(told_of(url), "it: refused by … full", "{url}");
        }
        let said =
            "the target would not: relation \"public.orders\" does not exist, role arn:aws:iam::123:role/x, 42P01";
        assert_eq!(told(said), said);
    }
}
