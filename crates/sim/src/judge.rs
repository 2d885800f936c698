//! What an answer means: for the model, and against it.

use tenure_api::views::TokenIssued;
use tenure_core::base::id::IdentityId;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::{CLOCK_SKEW, Credential};
use tenure_core::identity::IdentityState;
use tenure_core::store::row::{RowKey, RowKind};
use tenure_engine::kernel::error::OpError;
use tenure_log::Leaf;

use crate::intent::{Asked, Derived, Fact, Intent};
use crate::model::{Broken, Issued, record};
use crate::world::World;

impl World {
    /// Takes an answer into the model, or says which rule it breaks.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn judge(&mut self, intent: &Intent, asked: Asked, result: Result<Fact, OpError>) -> Result<(), Broken> {
        let step = self.step;
        if let Err(OpError::Internal(why)) = &result {
            return Err(("internal", format!("{intent:?}: {why}")));
        }
        if let Some(key) = intent.loosens() {
            // A refusal gave nothing back; whatever else happened may have.
            if matches!(result, Ok(_) | Err(OpError::Unavailable(_))) {
                self.model.loosen(key, step);
            }
            return Ok(());
        }
        let Ok(fact) = result else { return Ok(()) };
        match (intent, fact) {
            (Intent::Register(_, true), Fact::Identity(id, _)) => {
                return Err(("inv1", format!("{id} was registered although its charter lacks a fact")));
            }
            (Intent::Register(subject, _), Fact::Identity(id, _)) => {
                let mut subject = (**subject).clone();
                subject.id = id;
                self.subjects.push(subject);
            }
            (Intent::Suspend(id), Fact::Identity(..)) => self.model.suspend(*id, asked.step, step),
            (Intent::End(..), Fact::Identity(id, state)) => {
                if matches!(state, IdentityState::Retiring | IdentityState::Retired | IdentityState::Closed) {
                    self.model.end(id, step);
                }
            }
            (Intent::RevokeGrant(id), _) => self.model.revoke_grant(*id, step),
            (Intent::Revoke(id), _) => self.model.revoke(*id, step),
            (Intent::Cut(scope), Fact::Revoked(index)) => self.model.cut(scope.clone(), index, step),
            (Intent::Hold(scope), _) => self.model.hold(scope.clone(), asked.step, step),
            (Intent::JoinToken(id), Fact::JoinToken(token)) => {
                self.model.secrets.push(token.clone());
                if let Some(subject) = self.subjects.iter_mut().find(|subject| subject.id == *id) {
                    subject.join_tokens.push(token);
                }
            }
            (Intent::Enrol(id, seed), _) => {
                if let Some(subject) = self.subjects.iter_mut().find(|subject| subject.id == *id) {
                    subject.seed = seed.0;
                }
            }
            (Intent::Issue(id, kind, proof, place, resource), Fact::Token(token)) => {
                let places = self.places.get(*place);
                let uri = places.and_then(|place| place.resources.get(*resource)).map(|(_, uri)| uri.clone());
                let derived =
                    Derived { id: *id, kind, proof: proof.clone(), place: *place, parents: Vec::new(), to: None };
                self.handed_out(&derived, uri.unwrap_or_default(), asked, *token)?;
            }
            (Intent::Derive(derived), Fact::Token(token)) => {
                let uri = self.places.get(derived.place).and_then(|place| place.resources.first());
                let uri = uri.filter(|_| derived.to.is_none()).map(|(_, uri)| uri.clone());
                self.handed_out(derived, uri.unwrap_or_else(|| "tenure".into()), asked, *token)?;
            }
            (Intent::Removal(what), Fact::Removal(shown, is)) if shown != is => {
                return Err(("s12", format!("somebody looked at {shown} to {what} a removal, and it was {is}")));
            }
            (Intent::Introspect(n), Fact::Verdict(true, actions)) => self.accepted(*n, &actions, asked)?,
            (Intent::Evaluate(id, with, action), Fact::Verdict(true, _)) => {
                if let Some(n) = with {
                    self.accepted(*n, std::slice::from_ref(action), asked)?;
                }
                self.may_act(*id, asked)?;
            }
            (Intent::Depart(id), _) => self.model.depart(*id, step),
            (_, Fact::Checkpoint(Some(checkpoint))) => self.kept.push(checkpoint),
            _ => {}
        }
        Ok(())
    }

    /// A node said that a credential is alive, for these actions.
    fn accepted(&self, n: usize, actions: &[String], asked: Asked) -> Result<(), Broken> {
        let Some(credential) = self.model.issued.get(n) else {
            return Ok(());
        };
        let at = asked.at;
        if let Some(broken) = self.model.refuses_credential(&self.dump(), credential, actions, asked, &self.loosening())
        {
            return Err((broken.0, format!("{} was accepted: {}", credential.id, broken.1)));
        }
        if at >= credential.expires_at {
            return Err(("inv4", format!("{} was accepted at {at}, after its end", credential.id)));
        }
        self.may_act(credential.identity, asked)
    }

    /// A node let an identity act.
    fn may_act(&self, id: IdentityId, asked: Asked) -> Result<(), Broken> {
        let dump = self.dump();
        let at = asked.at;
        if let Some(broken) = self.model.refuses(&dump, id, asked, &self.loosening()) {
            return Err((broken.0, format!("{id} was let through: {}", broken.1)));
        }
        let end = crate::model::identity(&dump, id)
            .and_then(|identity| identity.complete_charter().ok())
            .map(|charter| charter.expires_at);
        match end {
            Some(end) if at < end => Ok(()),
            Some(end) => Err(("inv5", format!("{id} was let through at {at}, after its end {end}"))),
            None => Err(("inv1", format!("{id} was let through without a complete charter"))),
        }
    }

    /// A token was handed out.
    fn handed_out(
        &mut self,
        derived: &Derived,
        resource: String,
        asked: Asked,
        token: TokenIssued,
    ) -> Result<(), Broken> {
        let (id, kind, proof) = (derived.id, derived.kind, &derived.proof.0);
        let what = token.credential;
        if !matches!(kind, "well" | "with a proof that was used") {
            return Err(("proof", format!("{what} was issued {kind}")));
        }
        if !self.model.spent.insert(proof.clone()) {
            return Err(("once", format!("{what} was issued on a proof that was used before")));
        }
        let dump = self.dump();
        let index = token.log.position.index;
        let leaf = usize::try_from(index)
            .ok()
            .and_then(|index| dump.entries.get(index))
            .and_then(|entry| Leaf::parse(&entry.leaf).ok());
        let recorded = leaf.as_ref().is_some_and(|leaf| {
            leaf.kind == "credential.issued" && leaf.subjects.starts_with(&[what.to_string(), id.to_string()])
        });
        if !recorded {
            return Err(("inv2", format!("{what} was handed out and its issuance is not in the log at {index}")));
        }
        let key = RowKey::new(RowKind::Credential, what);
        let Some(row) = record::<Credential>(&dump, &key) else {
            // Its record may have gone with its time.
            let ended = self.time.now().plus(Span::from_secs(2)) > self.ends_by(&dump, index).plus(CLOCK_SKEW);
            return if ended {
                Ok(())
            } else {
                Err(("inv2", format!("{what} was handed out and the inventory doesn't have it")))
            };
        };
        if let Some(broken) = self.model.refuses(&dump, id, asked, &self.loosening()) {
            return Err((broken.0, format!("{what} was issued: {}", broken.1)));
        }
        self.model.secrets.push(token.access_token.clone());
        let place = self.places.get(derived.place);
        let issued = Issued {
            id: what,
            identity: id,
            index,
            token: token.access_token,
            environment: place.map(|place| place.environment.clone()).unwrap_or_default(),
            resource,
            resource_id: row.resource.to_string(),
            expires_at: row.expires_at,
            parents: derived.parents.clone(),
            to: derived.to,
        };
        if let Some(broken) = self.model.refuses_parents(&dump, &issued, asked, &self.loosening()) {
            return Err((broken.0, format!("{what} was issued: {}", broken.1)));
        }
        self.model.issued.push(issued);
        Ok(())
    }

    /// The end that the log gives to what was issued there.
    fn ends_by(&self, dump: &tenure_store::Dump, index: u64) -> Timestamp {
        let leaf = usize::try_from(index)
            .ok()
            .and_then(|index| dump.entries.get(index))
            .and_then(|entry| Leaf::parse(&entry.leaf).ok());
        let end =
            leaf.and_then(|leaf| leaf.data.get("expires_at").cloned()).and_then(|end| serde_json::from_value(end).ok());
        end.unwrap_or(Timestamp::from_micros(i64::MAX / 2))
    }
}
