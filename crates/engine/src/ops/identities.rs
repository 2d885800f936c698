//! Registering identities: the charter is checked whole, and a refusal names everything that is missing or wrong.

use tenure_api::requests::{NewIdentity, Stage};
use tenure_api::views::IdentityView;
use tenure_core::application::Application;
use tenure_core::binding::{Binding, BindingMatch, BindingState};
use tenure_core::changeset::{Changeset, Once};
use tenure_core::environment::{Environment, parse_name};
use tenure_core::event::ControlPoint;
use tenure_core::id::{BindingId, IdentityId, ResourceId};
use tenure_core::identity::{CharterDraft, Identity, IdentityState, WorkloadBinding};
use tenure_core::issuer::{Issuer, IssuerState};
use tenure_core::person::{Person, PersonState, Role};
use tenure_core::policy::{Action, Attributes, Value};
use tenure_core::port::{Committed, ListQuery};
use tenure_core::problem::{FieldProblem, Reason};
use tenure_core::resource::Resource;
use tenure_core::row::{Record, RowKey, RowKind};
use tenure_core::time::{Span, Timestamp};
use tenure_credentials::assertion::parse_workload_key;

use super::Asked;
use crate::Engine;
use crate::caller::Caller;
use crate::error::OpError;
use crate::questions::inventory;

/// What the charter's references turned out to be.
pub(crate) struct References {
    pub owner_active: bool,
    pub production: bool,
    pub issuer: Option<Issuer>,
}

impl Engine {
    /// Registers an identity: as a draft, as complete and pending, or active at once where the caller may activate.
    ///
    /// # Errors
    /// Every field that is missing or wrong, or the caller may not.
    pub async fn register(&self, caller: &Caller, ask: NewIdentity) -> Result<IdentityView, OpError> {
        let stage = ask.stage;
        let registered = self
            .recorded(caller, Asked::new(ControlPoint::Request, "identity.register", ""), async {
                let person = caller.must_be_person()?;
                let (charter, references) = self.check_registration(caller, &ask).await?;
                let (identity, committed) = self
                    .decide(|| async {
                        let now = self.now();
                        let mut identity = Identity {
                            id: IdentityId::generate(now, self.entropy.as_ref()),
                            kind: ask.kind,
                            name: ask.name.clone(),
                            state: IdentityState::Draft,
                            charter: charter.clone(),
                            suspensions: Vec::new(),
                            valid_after: None,
                            bindings: Vec::new(),
                            grants: Vec::new(),
                            memberships: Vec::new(),
                            activation: None,
                            retirement: None,
                            registered_by: person,
                            created_at: now,
                        };
                        let binding = self.binding_of(&identity, references.issuer.as_ref(), now)?;
                        identity.bindings.extend(binding.as_ref().map(|(binding, _)| binding.id));
                        let mut event = self
                            .event(now, "identity.registered", ControlPoint::Request)
                            .subject(identity.id)
                            .fact("name", &identity.name)
                            .fact("identity_kind", identity.kind)
                            .fact("charter", &identity.charter);
                        if let Some(owner) = identity.charter.owner {
                            event = event.subject(owner);
                        }
                        let mut changeset = Changeset::new(caller.actor(), now, event);
                        if stage != Stage::Draft {
                            identity = identity.submit().map_err(|_| OpError::refused(Reason::IllegalTransition))?;
                            changeset.event(self.event(now, "identity.submitted", ControlPoint::Request).subject(identity.id));
                        }
                        changeset.once.push(Once {
                            space: "identity_name",
                            key: ask.name.clone(),
                            until: None,
                        });
                        if let Some((binding, once)) = binding {
                            changeset.insert(&binding);
                            changeset.once.push(once);
                        }
                        changeset.insert(&identity);
                        Ok((changeset, identity))
                    })
                    .await?;
                self.identity_view(identity, 1, Some(&committed)).await
            })
            .await?;
        if stage == Stage::Active {
            self.activate(caller, registered.record.id, Some(registered.revision)).await
        } else {
            Ok(registered)
        }
    }

    async fn check_registration(&self, caller: &Caller, ask: &NewIdentity) -> Result<(CharterDraft, References), OpError> {
        let now = self.now();
        let mut problems: Vec<FieldProblem> = parse_name("name", &ask.name).err().into_iter().collect();
        if ask.stage != Stage::Draft {
            problems.extend(ask.charter.complete(now).err().unwrap_or_default());
        }
        let references = self.check_references(&ask.charter, &mut problems).await?;
        if ask.stage != Stage::Draft && !problems.is_empty() {
            return Err(OpError::Invalid(problems));
        }
        self.allow(
            caller,
            Action::Request,
            inventory("identity", "", ask.charter.environment.as_deref().unwrap_or("")),
            request_context(caller, &ask.charter, &references, now),
        )?;
        if ask.stage == Stage::Active {
            // Who may not activate it registers nothing by trying.
            let environment = ask.charter.environment.as_deref().unwrap_or("");
            self.allow(
                caller,
                Action::Activate,
                inventory("identity", "", environment),
                request_context(caller, &ask.charter, &references, now),
            )?;
        }
        if problems.is_empty() {
            Ok((ask.charter.clone(), references))
        } else {
            Err(OpError::Invalid(problems))
        }
    }

    /// Checks that what a charter names exists and fits together.
    pub(crate) async fn check_references(&self, charter: &CharterDraft, problems: &mut Vec<FieldProblem>) -> Result<References, OpError> {
        let mut wrong = |field: &str, code: &str, hint: &str| {
            // A field that is already named as malformed or missing is not named twice.
            let field = format!("charter.{field}");
            if !problems.iter().any(|problem| problem.field == field) {
                problems.push(FieldProblem::new(field, code, hint));
            }
        };
        let mut references = References {
            owner_active: false,
            production: false,
            issuer: None,
        };
        for (field, person) in [
            ("owner", charter.owner),
            ("backup_owner", charter.backup_owner),
            ("parties.requester", charter.parties.as_ref().map(|p| p.requester)),
        ] {
            let Some(id) = person else { continue };
            let person = self.one::<Person>(id).await?;
            let active = person.as_ref().is_some_and(|person| person.state == PersonState::Active);
            if !active {
                wrong(field, "person_unknown", "name an active person of this deployment");
            }
            if active && field == "owner" && !person.is_some_and(|person| person.roles.contains(&Role::Owner)) {
                wrong(
                    field,
                    "owner_without_role",
                    "an accountable owner holds the role owner, which an administrator gives",
                );
            }
            references.owner_active |= active && field == "owner";
        }
        if let Some(id) = charter.application
            && self.one::<Application>(id).await?.is_none()
        {
            wrong("application", "application_unknown", "name a registered application");
        }
        if let Some(name) = &charter.environment {
            match self.one::<Environment>(name).await? {
                Some(environment) => references.production = environment.production,
                None => wrong("environment", "environment_unknown", "name a registered environment"),
            }
        }
        for (n, entitlement) in charter.scope.iter().enumerate() {
            let Ok(id) = entitlement.resource.parse::<ResourceId>() else { continue };
            match self.one::<Resource>(id).await? {
                None => wrong(&format!("scope[{n}].resource"), "resource_unknown", "name a registered resource"),
                Some(resource) if charter.environment.as_ref().is_some_and(|name| *name != resource.environment) => {
                    wrong(
                        &format!("scope[{n}].resource"),
                        "wrong_environment",
                        "name a resource of the charter's own environment",
                    );
                }
                Some(resource) => {
                    if let Some(action) = entitlement
                        .actions
                        .iter()
                        .find(|action| *action != tenure_core::identity::WILDCARD && !resource.actions.contains(action))
                    {
                        wrong(
                            &format!("scope[{n}].actions"),
                            "action_unknown",
                            &format!("the resource doesn't know the action {action}"),
                        );
                    }
                }
            }
        }
        match &charter.workload_binding {
            Some(WorkloadBinding::PublicKey { jwk, .. }) => {
                if let Err(error) = parse_workload_key(jwk) {
                    wrong("workload_binding.jwk", error.code(), &error.to_string());
                }
            }
            Some(WorkloadBinding::Oidc { issuer, claims, .. }) => {
                references.issuer = self.find_issuer(issuer).await?;
                match &references.issuer {
                    Some(found) if charter.environment.as_ref().is_some_and(|name| !found.environments.contains(name)) => {
                        wrong(
                            "workload_binding.issuer",
                            "issuer_not_for_environment",
                            "the issuer doesn't count in the charter's environment",
                        );
                    }
                    Some(found) => {
                        if let Some(claim) = found.required_claims.iter().find(|claim| !claims.contains_key(*claim)) {
                            wrong(
                                "workload_binding.claims",
                                "required_claim_missing",
                                &format!("fix the claim {claim}, as this issuer is shared"),
                            );
                        }
                    }
                    None => wrong("workload_binding.issuer", "issuer_unknown", "name a registered, confirmed issuer by its URL"),
                }
            }
            Some(WorkloadBinding::JoinToken { .. }) | None => {}
        }
        Ok(references)
    }

    /// The active issuer with this URL.
    pub(crate) async fn find_issuer(&self, url: &str) -> Result<Option<Issuer>, OpError> {
        let page = self
            .store
            .list(&ListQuery {
                kind: RowKind::Issuer,
                terms: vec![format!("url={url}")],
                after: None,
                limit: 10,
            })
            .await?;
        for row in page.rows {
            let issuer = row.decode::<Issuer>().map_err(tenure_core::port::StoreError::from)?;
            if issuer.url == url && issuer.state == IssuerState::Active {
                return Ok(Some((*issuer.value).clone()));
            }
        }
        Ok(None)
    }

    /// The binding that a charter asks for, and the key that makes it unique for ever (S-13, R75).
    pub(crate) fn binding_of(&self, identity: &Identity, issuer: Option<&Issuer>, now: Timestamp) -> Result<Option<(Binding, Once)>, OpError> {
        let (matches, once) = match &identity.charter.workload_binding {
            None | Some(WorkloadBinding::JoinToken { .. }) => return Ok(None),
            Some(WorkloadBinding::PublicKey { jwk, .. }) => {
                let key = parse_workload_key(jwk).map_err(|e| OpError::field("charter.workload_binding.jwk", e.code(), &e.to_string()))?;
                let thumbprint = key.thumbprint().to_owned();
                let once = Once {
                    space: "key",
                    key: thumbprint.clone(),
                    until: None,
                };
                (
                    BindingMatch::PublicKey {
                        jwk: key.to_json(),
                        thumbprint,
                    },
                    once,
                )
            }
            Some(WorkloadBinding::Oidc { claims, .. }) => {
                let Some(issuer) = issuer else {
                    return Err(OpError::field(
                        "charter.workload_binding.issuer",
                        "issuer_unknown",
                        "name a registered, confirmed issuer by its URL",
                    ));
                };
                let subject = claims.get("sub").and_then(serde_json::Value::as_str).unwrap_or_default();
                let once = Once {
                    space: "oidc_subject",
                    key: format!("{} {subject}", issuer.url),
                    until: None,
                };
                (
                    BindingMatch::Oidc {
                        issuer: issuer.id,
                        claims: claims.clone(),
                    },
                    once,
                )
            }
        };
        let workload = identity
            .charter
            .workload_binding
            .as_ref()
            .map(|binding| binding.workload().to_owned())
            .unwrap_or_default();
        let binding = Binding {
            id: BindingId::generate(now, self.entropy.as_ref()),
            identity: identity.id,
            workload,
            matches,
            state: BindingState::Live,
            enrolled_with: None,
            created_at: now,
        };
        Ok(Some((binding, once)))
    }

    /// Replaces a draft's charter.
    ///
    /// # Errors
    /// It is no draft any more, a field is wrong, `if_match` names another revision, or the caller may not.
    pub async fn write_charter(&self, caller: &Caller, id: IdentityId, charter: CharterDraft, if_match: Option<u64>) -> Result<IdentityView, OpError> {
        self.recorded(caller, Asked::new(ControlPoint::Change, "identity.write_charter", id), async {
            let mut problems = Vec::new();
            let references = self.check_references(&charter, &mut problems).await?;
            if !problems.is_empty() {
                return Err(OpError::Invalid(problems));
            }
            let ((identity, revision), committed) = self
                .decide(|| async {
                    let now = self.now();
                    let stored = self.must::<Identity>("identity", id).await?;
                    if if_match.is_some_and(|wanted| wanted != stored.revision) {
                        return Err(OpError::Stale(stored.revision));
                    }
                    // Judged is the new charter, by somebody whom the old one makes its owner: nobody becomes that by naming themselves.
                    let mut context = request_context(caller, &charter, &references, now);
                    context.insert("owns", Value::Bool(owns_identity(caller, &stored)));
                    self.allow(
                        caller,
                        Action::Request,
                        inventory("identity", id, charter.environment.as_deref().unwrap_or("")),
                        context,
                    )?;
                    let writer = caller.person_id() == Some(stored.registered_by) || owns_identity(caller, &stored);
                    if !writer {
                        return Err(OpError::because(Reason::NotAllowed, "a draft is changed by who registered it, or by its owner"));
                    }
                    if stored.state != IdentityState::Draft {
                        return Err(OpError::because(
                            Reason::IllegalTransition,
                            format!("the charter of an identity that is {} is fixed", stored.state.as_str()),
                        ));
                    }
                    let mut identity = Identity {
                        charter: charter.clone(),
                        ..(*stored.value).clone()
                    };
                    let mut changeset = Changeset::new(
                        caller.actor(),
                        now,
                        self.event(now, "identity.charter_written", ControlPoint::Change)
                            .subject(id)
                            .fact("charter", &charter),
                    );
                    if stored.charter.workload_binding != charter.workload_binding {
                        for old in &stored.bindings {
                            let read = self.must::<Binding>("binding", old).await?;
                            changeset.replace(
                                &read,
                                &Binding {
                                    state: BindingState::Removed,
                                    ..(*read.value).clone()
                                },
                            );
                        }
                        identity.bindings.clear();
                        if let Some((binding, once)) = self.binding_of(&identity, references.issuer.as_ref(), now)? {
                            identity.bindings.push(binding.id);
                            changeset.insert(&binding);
                            changeset.once.push(once);
                        }
                    }
                    changeset.replace(&stored, &identity);
                    Ok((changeset, (identity, stored.revision + 1)))
                })
                .await?;
            self.identity_view(identity, revision, Some(&committed)).await
        })
        .await
    }

    /// An identity with what is computed about it.
    pub(crate) async fn identity_view(&self, record: Identity, revision: u64, committed: Option<&Committed>) -> Result<IdentityView, OpError> {
        let noted = self.used.lock().get(&record.id.to_string()).copied();
        let stored = self.store.last_used(&record.id.to_string()).await?;
        let log = match committed {
            Some(committed) => Some(self.logged(committed).await?),
            None => None,
        };
        Ok(IdentityView {
            record,
            revision,
            last_used: noted.max(stored),
            log,
        })
    }

    /// One identity.
    ///
    /// # Errors
    /// No such identity, or the caller may not read it.
    pub async fn identity(&self, caller: &Caller, id: IdentityId) -> Result<IdentityView, OpError> {
        let stored = self.must::<Identity>("identity", id).await?;
        self.may_read(caller, "identity", &id.to_string(), owns_identity(caller, &stored)).await?;
        self.identity_view((*stored.value).clone(), stored.revision, None).await
    }

    /// The environment of an identity: where its proofs are addressed.
    ///
    /// # Errors
    /// No such identity, or its charter names no environment yet.
    pub async fn environment_of(&self, id: IdentityId) -> Result<String, OpError> {
        self.must::<Identity>("identity", id)
            .await?
            .charter
            .environment
            .clone()
            .ok_or(OpError::refused(Reason::CharterIncomplete))
    }

    /// The key of an environment's row.
    pub(crate) fn environment_key(name: &str) -> RowKey {
        RowKey::new(Environment::KIND, name)
    }
}

/// Whether the caller is the identity's accountable owner, or the identity itself.
pub(crate) fn owns_identity(caller: &Caller, identity: &Identity) -> bool {
    match caller {
        Caller::Person { person, .. } => identity.charter.owner == Some(person.id),
        Caller::Identity { identity: who } => who.id == identity.id,
    }
}

/// What policy is told about a request, an activation or a grant.
pub(crate) fn request_context(caller: &Caller, charter: &CharterDraft, references: &References, now: Timestamp) -> Attributes {
    let duration = charter.expires_at.map_or(Span::from_micros(0), |end| end.since(now));
    let owns = caller.person_id().is_some() && caller.person_id() == charter.owner;
    Attributes::from([
        ("owns", Value::Bool(owns)),
        ("charter_complete", Value::Bool(charter.complete(now).is_ok())),
        ("wildcard_scope", Value::Bool(charter.has_wildcard())),
        ("weaker_credential", Value::Bool(false)),
        ("production", Value::Bool(references.production)),
        ("duration_secs", Value::Long(duration.as_secs())),
        ("owner_active", Value::Bool(references.owner_active)),
    ])
}
