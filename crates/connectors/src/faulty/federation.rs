//! The target in memory as one that lets somebody in on our word, and makes its secrets itself.

use tenure_core::store::port::BoxFuture;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{Begun, ConnectorError, Federation, NewSession, Reach, SeenAccount, TargetKind};
use tenure_core::trust::signing_key::SigningAlgorithm;

use super::{Faulty, Login, State, ready, seen};
use crate::place::may_issue;

impl Faulty {
    /// A target of a kind that takes tokens of ours.
    pub fn federating(kind: TargetKind, seed: u64) -> Self {
        Self { federates: true, ..Self::new(kind, seed) }
    }
}

/// A session stands under its name; one of the same name takes its place.
fn begun(state: &mut State, session: &NewSession<'_>) -> (SeenAccount, Secret<String>) {
    state.writes += 1;
    let secret = format!("made-by-the-target-{}", state.draw());
    let login = Login {
        name: session.name.to_owned(),
        secret: Secret::new(secret.clone()),
        enabled: true,
        held: false,
        grants: session.grants.to_vec(),
        sessions: 0,
        ends_at: Some(session.ends_at),
        mark: None,
    };
    let account = seen(session.name, &login);
    state.accounts.insert(session.name.to_owned(), login);
    (account, Secret::new(secret))
}

impl Federation for Faulty {
    fn audience(&self) -> &'static str {
        "target.example"
    }

    fn takes(&self, _algorithm: SigningAlgorithm) -> bool {
        true
    }

    fn plan(&self, session: &NewSession<'_>) -> Result<String, ConnectorError> {
        match session.grants.is_empty() {
            true => Err(ConnectorError::Misconfigured("a session may do something".to_owned())),
            false => Ok(session.name.to_owned()),
        }
    }

    fn begin<'a>(
        &'a self,
        reach: &'a Reach<'a>,
        session: &'a NewSession<'a>,
        token: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Begun, ConnectorError>> {
        if let Err(error) = may_issue(reach) {
            return ready(Err(error));
        }
        if token.expose().split('.').count() != 3 {
            return ready(Err(ConnectorError::Rejected("it is no token".to_owned())));
        }
        let lie = begun(&mut State::default(), session);
        let begun = self.act(|state| Ok(begun(state, session)), lie);
        ready(begun.map(|(account, secret)| Begun { account, secret }))
    }
}
