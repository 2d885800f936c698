//! Logins at targets, made just in time for whoever holds a live grant (R58): asked for, fetched once, and held against
//! what they rest on.
//!
//! An identity asks as it asks for tokens, and the gate decides the same. What is committed then is the credential, the
//! login with its secret sealed, and the deadline by which a worker makes it: nobody but a worker opens what the connector
//! signs in with (S-17). The secret is handed out in a commit of its own once the login stands, to the identity alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tenure_api::logins::{LoginAwaited, LoginIssued, LoginView};
use tenure_api::views::{Names as ShownNames, Page, Revised};
use tenure_core::base::id::{CredentialId, IdentityId, ResourceId};
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::Credential;
use tenure_core::credential::gate::{self, Ask, Permit};
use tenure_core::identity::binding::BindingState;
use tenure_core::identity::{CredentialType, Identity};
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;
use tenure_core::policy::{Attributes, Value};
use tenure_core::store::changeset::{Changeset, DueChange, Once};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{Actor, ControlPoint};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::store::secret::{Pending, Secret};
use tenure_core::target::connector::{Connector, Mode, NewSession};
use tenure_core::target::login::{FETCH_WITHIN, Login, LoginPurpose, LoginState, MAX_REQUEST_ID};
use tenure_core::target::system::TargetSystem;
use tenure_core::trust::state::TrustState;
use tokio::sync::Notify;

use crate::credentials::misuse;
use crate::credentials::token::ask::{self, TokenAsk, Wanted};
use crate::credentials::token::instances::{self, Mark};
use crate::credentials::token::{prove, wanted_own};
use crate::credentials::{deprecated_use, liveness, login_troubles};
use crate::kernel::caller::Caller;
use crate::kernel::counters::count;
use crate::kernel::error::OpError;
use crate::kernel::load::KnownIdentity;
use crate::kernel::query::{ListAsk, Listed, Query};
use crate::kernel::{Kernel, authority, exceptional, keys};

/// What the secrets of logins are sealed as.
pub(crate) const SEALED_AS: &str = "login-secret";
const KIND: &str = "login";
/// Logins of one identity that may be there at once.
const MAX_LEFT: u16 = 32;
/// The shortest life that is asked for, in seconds.
const MIN_TTL: i64 = 10;

impl Listed for Login {
    const NAME: &'static str = KIND;
}

/// What an identity asks for.
#[derive(Clone)]
pub struct LoginAsk {
    /// Who asks, how it proves that, for which resource and actions there; as for a token of its own.
    pub token: TokenAsk,
    /// A shorter life than the charter gives, in seconds.
    pub ttl: Option<i64>,
    /// What the asker calls this question: asked again by that name, it is the same login.
    pub request_id: Option<String>,
    /// The login that was asked for before.
    pub login: Option<CredentialId>,
}

/// What becomes of a question for a login.
#[derive(Debug)]
pub enum LoginAnswer {
    /// It is there: its secret is in here, and nowhere else.
    Issued(Box<LoginIssued>),
    /// It is being made; what keeps it says [`awaited`].
    Awaited,
}

/// Asks for a login, or once more for one that was asked for before; gives whose and which it is.
///
/// # Errors
/// The proof fails, the identity may not, no login is made for that resource, or too many of its logins are there.
pub async fn ask_for_login(kernel: &Kernel, ask: LoginAsk) -> Result<(IdentityId, CredentialId), OpError> {
    let token = &ask.token;
    kernel.must::<Environment>("environment", &token.environment).await?;
    let id = prove::claimed_identity(kernel, token.client_id.as_deref(), &token.proof, &token.source)?;
    if let Some(login) = asked_before(kernel, &ask, id).await? {
        let (client, proof) = (token.client_id.as_deref(), &token.proof);
        prove::authenticate_client(kernel, &token.environment, client, proof, KIND, &token.source).await?;
        let login = login.filter(|login| login.identity == id).ok_or(OpError::NotFound(KIND))?;
        same_question(kernel, &ask, &login).await?;
        return Ok((id, login.id));
    }
    let error = match kernel.decide(|| decide_login(kernel, &ask, id)).await {
        Ok(((login, resource), _)) => {
            count(&kernel.counters.issued);
            deprecated_use::note_of(kernel, id, resource, kernel.now()).await;
            return Ok((id, login));
        }
        Err(error) => error,
    };
    let (code, fields, answer) = match &error {
        OpError::Unauthenticated(reason) => {
            kernel.count_stranger(*reason, &token.source);
            return Err(error);
        }
        OpError::Refused { reason, answer, .. } => (reason.code(), &[][..], answer.as_deref()),
        OpError::Invalid(fields) => ("invalid", fields.as_slice(), None),
        _ => return Err(error),
    };
    ask::refuse_identity(kernel, id, ControlPoint::Issue, KIND, code, fields, answer).await;
    if matches!(error, OpError::Refused { reason: Reason::IdentityRetired | Reason::IdentitySuspended, .. }) {
        misuse::note_use_after_end(kernel, id, KIND, None).await;
    }
    Err(error)
}

/// The login that a question is about which was asked before; `Some(None)` if it names one that isn't there.
async fn asked_before(
    kernel: &Kernel,
    ask: &LoginAsk,
    id: IdentityId,
) -> Result<Option<Option<Stored<Login>>>, OpError> {
    if let Some(login) = ask.login {
        return Ok(Some(kernel.one::<Login>(login).await?));
    }
    let Some(request_id) = &ask.request_id else { return Ok(None) };
    let found = kernel.first(Query::of([Login::QUESTION.of(Login::question(id, request_id))])).await?;
    Ok(found.map(Some))
}

/// Demands that who asks again asks for the same.
async fn same_question(kernel: &Kernel, ask: &LoginAsk, login: &Login) -> Result<(), OpError> {
    let resource = match (&ask.token.resource, login.resource) {
        (Some(uri), Some(id)) => kernel.one::<Resource>(id).await?.is_some_and(|resource| resource.is_at(uri)),
        (wanted, _) => wanted.is_none(),
    };
    let actions = ask.token.actions();
    if resource && actions.iter().all(|action| login.actions.contains(action)) {
        return Ok(());
    }
    let hint = "something else was asked for by this name: use another one, or leave resource and scope as they were";
    Err(OpError::field("request_id", "request_id_taken", hint))
}

async fn decide_login(
    kernel: &Kernel,
    ask: &LoginAsk,
    id: IdentityId,
) -> Result<(Changeset, (CredentialId, ResourceId)), OpError> {
    let reading = kernel.reading();
    let now = reading.now;
    let token = &ask.token;
    let known = kernel.know(id).await?.ok_or(OpError::Unauthenticated(Reason::IdentityUnknown))?;
    let environment = kernel.must::<Environment>("environment", &token.environment).await?;
    let issuer = kernel.issuer_of(&environment.name);
    let proven = prove::prove(kernel, &known, &token.proof, &issuer, &environment.name, now).await?;
    // From here on the caller is known: refusals are recorded one by one.
    if !reading.reliable {
        return Err(OpError::refused(Reason::ClockUnreliable));
    }
    if proven.binding.state == BindingState::Suspended {
        return Err(OpError::refused(Reason::BindingSuspended));
    }
    check_ask(ask)?;
    let standing = gate::standing(known.facts(now))?;
    if standing.charter().environment != environment.name {
        return Err(OpError::refused(Reason::WrongEnvironment));
    }
    let (wanted, grants, target) = wanted_login(kernel, token, &known, &standing, now).await?;
    few_left(kernel, id).await?;
    let left = proven.until.map(|until| until.since(now));
    let ttl = ask.ttl.map(Span::from_secs).into_iter().chain(left).min();
    let life = ttl.unwrap_or(standing.charter().credential_ttl).min(standing.charter().credential_ttl);
    let mark = Mark::of(None, &token.source);
    let second_instance = instances::is_second(kernel, &known.identity, &proven.binding, &mark, now).await?;
    let mut context = Attributes::from([
        ("method", Value::Text(token.proof.method().to_owned())),
        ("ttl_secs", Value::Long(life.as_secs())),
        ("waived", Value::Set(exceptional::waived(kernel, &known.identity, now).await?)),
        ("in_intent", Value::Bool(wanted.outside.is_none())),
        ("second_instance", Value::Bool(second_instance)),
    ]);
    context.extend(kernel.handed_on(&known.identity, None).await?);
    let credential = CredentialId::generate(now, kernel.entropy.as_ref());
    let issuance = Ask {
        credential,
        kind: CredentialType::Login,
        environment: &environment,
        resource: &wanted.resource,
        binding: Some(proven.binding.id),
        ttl,
        confirmation: None,
        task: wanted.task.as_ref().map(|(name, _)| name.as_str()),
        delegation: None,
        may_act: None,
    };
    let considered = standing.consider(&*kernel.policy.engine(), issuance, &wanted.held, context);
    let answer = considered.answer().clone();
    if second_instance {
        instances::note_second(kernel, &known.identity, &proven.binding, &mark, answer.allowed()).await;
    }
    instances::note_places(kernel, &known.identity, &proven.binding, proven.place.as_deref(), now).await;
    if let Some(reason) = wanted.outside {
        return Err(OpError::by_policy(reason, answer));
    }
    let permit = considered.permit().map_err(|reason| OpError::by_policy(reason, answer.clone()))?;
    let (sealed, record, key) = sealed(kernel, permit, (&environment, &wanted.resource), &target, &grants, now).await?;
    let login = Login {
        id: credential,
        purpose: LoginPurpose::Work,
        target: target.id,
        identity: id,
        rehearsal: None,
        resource: Some(record.resource),
        actions: record.actions.clone(),
        grants,
        request_id: ask.request_id.clone(),
        key,
        sealed: Some(sealed),
        asked_at: now,
        ends_at: record.expires_at,
        made_at: None,
        fetched_at: None,
        state: LoginState::Asked,
        end: None,
        tries: 0,
        trouble: None,
        outcome: None,
    };
    let mut event = kernel
        .event(now, EventKind::CredentialIssued)
        .subject(credential)
        .subject(id)
        .subject(target.id)
        .fact("type", record.kind)
        .fact("method", token.proof.method())
        .fact("environment", &record.environment)
        .fact("resource", record.resource)
        .fact("actions", &record.actions)
        .fact("grants", &record.grants)
        .fact("binding", record.binding)
        .fact("expires_at", record.expires_at)
        .fact("name", login.name())
        .fact("target_grants", &login.grants)
        .fact("policies", answer.policies())
        .fact("policy_version", answer.version());
    if let Some((task, by)) = &wanted.task {
        event = event.fact("task", task).fact("task_by", by.as_str());
    }
    if let Some(consumer) = known.identity.consumer_of(&proven.binding) {
        event = event.fact("consumer", consumer);
    }
    let mut changeset = Changeset::new(Actor::Identity { id }, now, event);
    known.expect(&mut changeset);
    changeset.expect(&environment).expect(&wanted.resource).expect(&target);
    changeset.expects.extend(wanted.expects);
    if let Some(issuer) = &proven.issuer {
        changeset.expect(issuer);
    }
    for grant in known.grants.iter().flatten().filter(|grant| wanted.held.grants().contains(&grant.id)) {
        changeset.expect(grant);
    }
    let (binding, until, marks) = (&proven.binding, record.expires_at, (&mark, proven.place.as_deref()));
    instances::note_instance(kernel, &mut changeset, &known.identity, binding, marks, until, second_instance, now);
    has_accounts(&mut changeset, &known.identity);
    changeset.insert(&record).insert(&login);
    changeset.once.extend(proven.once);
    changeset.once.extend(ask.request_id.as_deref().map(|request_id| Once {
        space: "login_request",
        key: Login::question(id, request_id),
        until: Some(record.expires_at),
    }));
    changeset.spends.push(ask::issuance_spend(kernel, id, now));
    Ok((changeset, (credential, record.resource)))
}

/// What a worker makes a login with, sealed, and the login's credential: its password; or, where the target makes its
/// secrets itself, the token that vouches for the identity there, with what names the session for good.
async fn sealed(
    kernel: &Kernel,
    permit: Permit,
    (environment, resource): (&Environment, &Resource),
    target: &TargetSystem,
    grants: &[String],
    now: Timestamp,
) -> Result<(String, Credential, Option<String>), OpError> {
    let internal = |error: &dyn std::fmt::Display| OpError::Internal(error.to_string());
    let id = permit.credential();
    let Some(federation) = kernel.connectors.of(target.kind).and_then(Connector::federation) else {
        let sealed = kernel.opaque.login((&kernel.root, SEALED_AS), permit, kernel.entropy.as_ref());
        let (sealed, record) = sealed.map_err(|error| internal(&error))?;
        return Ok((sealed, record, None));
    };
    let algorithm = environment.algorithm_at(resource.signing_algorithm, now);
    if !federation.takes(algorithm) {
        let why = format!(
            "its target doesn't check {}: let tokens for the resource be signed with RS256 (tenure resource sign-with)",
            algorithm.as_str()
        );
        return Err(OpError::because(Reason::ResourceUnknown, why));
    }
    let session = NewSession { name: &Login::name_of(id), grants, ends_at: permit.expires_at() };
    let key =
        federation.plan(&session).map_err(|error| OpError::because(Reason::ResourceUnknown, error.to_string()))?;
    let signer = keys::token_signer(kernel, environment, algorithm, now).await?;
    let issuer = kernel.issuer_of(&environment.name);
    let until = now.plus(FETCH_WITHIN).min(permit.expires_at());
    let vouched = signer.vouch(permit, &issuer, federation.audience(), until);
    let (token, record) = vouched.map_err(|error| internal(&error))?;
    let sealed = kernel.root.seal(SEALED_AS, &id.to_string(), token.expose().as_bytes(), kernel.entropy.as_ref());
    Ok((sealed.map_err(|error| internal(&error))?, record, Some(key)))
}

/// From its first login on, whatever becomes of an identity is brought to its targets.
fn has_accounts(changeset: &mut Changeset, identity: &Stored<Identity>) {
    if !identity.has_accounts {
        changeset.replace(identity, &Identity { has_accounts: true, ..(*identity.value).clone() });
    }
}

fn check_ask(ask: &LoginAsk) -> Result<(), OpError> {
    let mut problems = Vec::new();
    if ask.ttl.is_some_and(|ttl| ttl < MIN_TTL) {
        problems.push(FieldProblem::new("ttl", "ttl_out_of_range", "ask for ten seconds at least"));
    }
    let is_name =
        |name: &String| (1..=MAX_REQUEST_ID).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    if !ask.request_id.iter().all(is_name) {
        let hint = "give at most 64 printable ASCII characters without blanks";
        problems.push(FieldProblem::new("request_id", "request_id_malformed", hint));
    }
    if problems.is_empty() { Ok(()) } else { Err(OpError::Invalid(problems)) }
}

/// What is asked for as far as logins are made for it: what it comes to at which target.
async fn wanted_login(
    kernel: &Kernel,
    ask: &TokenAsk,
    known: &KnownIdentity,
    standing: &gate::Standing<'_>,
    now: Timestamp,
) -> Result<(Wanted, Vec<String>, Stored<TargetSystem>), OpError> {
    let none = |why: &str| OpError::because(Reason::ResourceUnknown, why);
    let mut wanted = wanted_own(kernel, ask, known, standing, now)?;
    if wanted.may_act.is_some() {
        return Err(OpError::because(Reason::DelegationNotAllowed, "a login is handed on to nobody"));
    }
    let Some(logins) = wanted.resource.logins.clone() else {
        return Err(none("no logins are made for this resource: it names no target"));
    };
    if ask.actions().is_empty() {
        let made = |action: &&String| logins.actions.contains_key(*action);
        let actions: Vec<_> = wanted.held.actions().iter().filter(made).cloned().collect();
        if actions.is_empty() {
            return Err(none("no logins are made for what is held on this resource"));
        }
        let narrower = TokenAsk { scope: Some(actions.join(" ")), ..ask.clone() };
        wanted = wanted_own(kernel, &narrower, known, standing, now)?;
    }
    let grants = logins.of(wanted.held.actions()).ok_or_else(|| {
        OpError::because(Reason::OutsideScope, "no logins are made for one of these actions at this resource")
    })?;
    let target = kernel.one::<TargetSystem>(logins.target).await?;
    let target = target.filter(|target| target.is_asked() && target.state == TrustState::Active);
    let target =
        target.ok_or_else(|| none("the target of this resource isn't confirmed, was removed, or has no login"))?;
    if target.mode < Mode::Issue {
        return Err(none("the connector of this resource's target makes no logins: its mode is less than issue"));
    }
    if target.environment != wanted.resource.environment {
        return Err(OpError::refused(Reason::WrongEnvironment));
    }
    Ok((wanted, grants, target))
}

async fn few_left(kernel: &Kernel, id: IdentityId) -> Result<(), OpError> {
    let left = kernel.find(Query::of([Login::LEFT.of(id)]).limit(MAX_LEFT)).await?;
    if left.count() < usize::from(MAX_LEFT) {
        return Ok(());
    }
    Err(OpError::because(
        Reason::BudgetSpent,
        "32 logins of this identity are there already, or aren't known to be gone",
    ))
}

/// Those who wait in this process for logins to stand.
#[derive(Default)]
pub(crate) struct Awaiting(Mutex<BTreeMap<CredentialId, Weak<Notify>>>);

impl Awaiting {
    /// Tells whoever waits for it that a login stands.
    pub(crate) fn stands(&self, id: CredentialId) {
        let waiting = self.0.lock().get(&id).and_then(Weak::upgrade);
        if let Some(waiting) = waiting {
            waiting.notify_one();
        }
    }
}

/// Somebody who waits for a login to stand.
pub struct LoginWait {
    id: CredentialId,
    told: Arc<Notify>,
    all: Arc<Awaiting>,
}

impl LoginWait {
    /// Waits until it may stand: until that is known in this process, or for so long, since another one may have made it.
    pub async fn for_at_most(&self, wait: std::time::Duration) {
        let _ = tokio::time::timeout(wait, self.told.notified()).await;
    }
}

impl Drop for LoginWait {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        // Another one who waits for the same login has put itself in its place.
        if all.get(&self.id).is_some_and(|told| std::ptr::eq(told.as_ptr(), Arc::as_ptr(&self.told))) {
            all.remove(&self.id);
        }
    }
}

/// Begins to wait for a login, before it is looked for.
pub fn await_login(kernel: &Kernel, id: CredentialId) -> LoginWait {
    let (all, told) = (kernel.memory.of::<Awaiting>(), Arc::new(Notify::new()));
    all.0.lock().insert(id, Arc::downgrade(&told));
    LoginWait { id, told, all }
}

/// The login that an identity asked for, with its secret if it stands and nobody has it yet.
///
/// # Errors
/// No such login of this identity, its secret was handed out already, or it is over.
pub async fn fetch_login(kernel: &Kernel, identity: IdentityId, id: CredentialId) -> Result<LoginAnswer, OpError> {
    let login = kernel.must::<Login>(KIND, id).await?;
    if login.identity != identity || login.purpose != LoginPurpose::Work {
        return Err(OpError::NotFound(KIND));
    }
    if login.state == LoginState::Asked && why_over(kernel, &login, kernel.now()).await?.is_none() {
        return Ok(LoginAnswer::Awaited);
    }
    let decided = kernel.decide(|| decide_fetch(kernel, identity, id)).await;
    if let (Err(OpError::Refused { .. }), Some(_)) = (&decided, login.fetched_at) {
        misuse::note_asked_again(kernel, &login).await;
    }
    let ((pending, issued), committed) = decided?;
    let secret = Kernel::released(pending, &committed)?;
    let log = kernel.logged(&committed).await?;
    kernel.touch(identity.to_string(), committed.at());
    let issued = issued(secret.expose().clone(), log);
    Ok(LoginAnswer::Issued(Box::new(issued)))
}

/// What is told of a login that doesn't stand yet to the identity that asked for it.
///
/// # Errors
/// No such login, or the store can't be read.
pub async fn awaited(kernel: &Kernel, id: CredentialId) -> Result<LoginAwaited, OpError> {
    let login = kernel.must::<Login>(KIND, id).await?;
    Ok(LoginAwaited { login: id, trouble: login_troubles::of(kernel, &login).await? })
}

type Finish = Box<dyn FnOnce(String, tenure_api::views::Logged) -> LoginIssued + Send>;

async fn decide_fetch(
    kernel: &Kernel,
    identity: IdentityId,
    id: CredentialId,
) -> Result<(Changeset, (Pending<String>, Finish)), OpError> {
    let now = kernel.now();
    let login = kernel.must::<Login>(KIND, id).await?;
    let held = liveness::held(kernel, id, now).await?.ok_or(OpError::refused(Reason::CredentialUnknown))?;
    held.status?;
    if login.fetched_at.is_some() {
        let detail = "its secret was handed out already, and is shown once: ask for another login";
        return Err(OpError::because(Reason::IllegalTransition, detail));
    }
    if login.state != LoginState::Standing || why_over(kernel, &login, now).await?.is_some() {
        return Err(OpError::because(Reason::CredentialRevoked, "it is over: ask for another login"));
    }
    let target = kernel.must::<TargetSystem>("target", login.target).await?;
    let resource = kernel.must::<Resource>("resource", held.credential.resource).await?;
    let event = kernel
        .event(now, EventKind::LoginFetched)
        .subject(id)
        .subject(identity)
        .subject(target.id)
        .fact("name", login.name())
        .fact("expires_at", login.ends_at);
    let mut changeset = Changeset::new(Actor::Identity { id: identity }, now, event);
    held.known.expect(&mut changeset);
    changeset.expect(&held.credential).expect(&target).expect(&resource);
    changeset.replace(&login, &Login { fetched_at: Some(now), ..(*login.value).clone() });
    changeset.due.push(DueChange::Set(DueKind::Login, id.to_string(), login.ends_at));
    let pending = Pending::new(opened(kernel, &login)?, changeset.id);
    let (kind, url, ca) = (target.kind, target.endpoint.url.clone(), target.endpoint.ca.clone());
    let (name, uri, scope) = (login.name(), resource.uri.clone(), login.actions.join(" "));
    let (target, expires_at) = (target.id, login.ends_at);
    let finish: Finish = Box::new(move |secret, log| LoginIssued {
        login: id,
        target,
        kind,
        url,
        ca,
        name,
        secret,
        resource: uri,
        scope,
        expires_at,
        log,
    });
    Ok((changeset, (pending, finish)))
}

/// The secret of a login, for the one place that needs it.
pub(crate) fn opened(kernel: &Kernel, login: &Login) -> Result<Secret<String>, OpError> {
    let broken = || OpError::Internal(format!("the secret of the login {} can't be opened", login.id));
    let sealed = login.sealed.as_deref().ok_or_else(broken)?;
    kernel.root.open_text(SEALED_AS, &login.id.to_string(), sealed).map_err(|_| broken())
}

/// What the holder of a login that was made logs in with, sealed in the place of its secret: where its target needs more
/// than that.
pub(crate) fn sealed_anew(kernel: &Kernel, id: CredentialId, given: &Secret<String>) -> Result<String, OpError> {
    let sealed = kernel.root.seal(SEALED_AS, &id.to_string(), given.expose().as_bytes(), kernel.entropy.as_ref());
    sealed.map_err(|error| OpError::Internal(error.to_string()))
}

/// Why a login that isn't ending has to end now, as a code; none if it may go on.
pub(crate) async fn why_over(kernel: &Kernel, login: &Login, now: Timestamp) -> Result<Option<String>, OpError> {
    if now >= login.ends_at {
        return Ok(Some(Reason::CredentialExpired.code().to_owned()));
    }
    match login.purpose {
        LoginPurpose::Work => {}
        LoginPurpose::Canary => return Ok(None),
        // It was tried when it was made: nothing is left but its end.
        LoginPurpose::Drill if login.state == LoginState::Standing => return Ok(Some("drilled".to_owned())),
        LoginPurpose::Drill => return Ok((now >= login.fetch_by()).then(|| "not_made".to_owned())),
    }
    if login.fetched_at.is_none() && now >= login.fetch_by() {
        return Ok(Some("not_fetched".to_owned()));
    }
    let Some(held) = liveness::held(kernel, login.id, now).await? else {
        return Ok(Some(Reason::CredentialUnknown.code().to_owned()));
    };
    if let Err(reason) = held.status {
        return Ok(Some(reason.code().to_owned()));
    }
    // Nobody takes one action from a login and leaves it another: it ends whole, and is asked for again.
    if login.actions.iter().any(|action| !held.actions.contains(action)) {
        return Ok(Some(Reason::NoLiveGrant.code().to_owned()));
    }
    let resource = held.known.resource(held.credential.resource);
    let logins = resource.and_then(|resource| resource.logins.as_ref()).filter(|logins| logins.target == login.target);
    let grants = logins.and_then(|logins| logins.of(&login.actions)).unwrap_or_default();
    let is_mapped = logins.is_some() && login.grants.iter().all(|grant| grants.contains(grant));
    Ok((!is_mapped).then(|| "mapping_changed".to_owned()))
}

/// A page of logins, without their secrets. Who may not read all of them names an identity of theirs.
///
/// # Errors
/// The caller may not read them.
pub async fn logins(
    kernel: &Kernel,
    caller: &Caller,
    ask: ListAsk<Login>,
) -> Result<Page<Revised<LoginView>>, OpError> {
    let own = match ask.value_of(Login::IDENTITY) {
        Some(subject) => authority::owns_subject(kernel, caller, subject).await?,
        None => false,
    };
    authority::may_read(kernel, caller, "credential", "", own).await?;
    let (rows, end) = kernel.page(ask).await?;
    Ok(end.page(rows.iter().map(shown).collect()))
}

/// One login, without its secret.
///
/// # Errors
/// No such login, or the caller may not read it.
pub async fn login(kernel: &Kernel, caller: &Caller, id: CredentialId) -> Result<Revised<LoginView>, OpError> {
    let row = kernel.one::<Login>(id).await?;
    let identity = match &row {
        Some(row) => kernel.one::<Identity>(row.identity).await?,
        None => None,
    };
    let own = identity.is_some_and(|identity| authority::owns_identity(caller, &identity));
    authority::may_read(kernel, caller, "credential", &id.to_string(), own).await?;
    Ok(shown(&row.ok_or(OpError::NotFound(KIND))?))
}

fn shown(row: &Stored<Login>) -> Revised<LoginView> {
    let login = (*row.value).clone();
    let (name, secret_kept) = (login.name(), login.sealed.is_some());
    // Not even what seals a secret leaves the store.
    let record = LoginView { record: Login { sealed: None, ..login }, name, secret_kept };
    Revised { record, revision: row.revision, hold: None, log: None, names: ShownNames::new() }
}
