//! Tales: what becomes of an identity, played once by the engine itself. Each is told again of many others.

use std::collections::BTreeMap;

use serde_json::json;
use tenure_api::api_keys::NewApiKey;
use tenure_api::exceptions::{NewControl, NewException};
use tenure_api::people::{NewDeparture, NewOffer, NewPerson};
use tenure_api::request::NewRequest;
use tenure_api::requests::{Enrol, NewIdentity, Resume, Revocation, RevocationTarget, Stage as Stand, TaskCompleted};
use tenure_core::base::id::{CredentialId, IdentityId, PersonId, RequestId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::binding::AssertionAudience;
use tenure_core::identity::delegation::Task;
use tenure_core::identity::transfer::Transfer;
use tenure_core::identity::{
    AutoRenewal, CharterDraft, Coverage, CredentialType, Identity, IdentityState, Kind, Parties, RetirementCondition,
    RevocationTrigger, TrustBoundary, WorkloadBinding,
};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::people::person::Role;
use tenure_core::request::{Matter, Request, RequestState};
use tenure_core::store::row::RowKind;
use tenure_engine::access::{departures, transfers};
use tenure_engine::credentials::token::ask::{Grant, TokenAsk};
use tenure_engine::credentials::token::{self, Presented, Proof};
use tenure_engine::credentials::{api_keys, revocation};
use tenure_engine::identities::{enrolment, lifecycle, registration};
use tenure_engine::kernel::if_match::IfMatch;
use tenure_engine::matters::{exceptions, request, roles};

use crate::error::SeedError;
use crate::frame::{Department, Runners, department};
use crate::holder::{Holder, ISSUER};
use crate::random::Sequence;
use crate::recorder::Part;
use crate::stage::Stage;

/// What stands for what each identity has another of.
pub(crate) mod life {
    /// Its name.
    pub(crate) const NAME: &str = "qlnameq";
    /// What it is for.
    pub(crate) const PURPOSE: &str = "qlpurposeq";
    /// Its repository.
    pub(crate) const REPOSITORY: &str = "harbour/qlrepositoryq";
    /// Why something is ended or stopped.
    pub(crate) const REASON: &str = "qlreasonq";
    /// Somebody who leaves.
    pub(crate) const LEAVER: &str = "Qlleaverq";
    /// Their address.
    pub(crate) const MAIL: &str = "qlmailq@q.example";
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is used, and renewed by itself.
    Steady,
    /// It is renewed once, by a request, and then ends.
    Renewed,
    Suspended,
    Resumed,
    Retired,
    Expired,
    Dormant,
    Completed,
    Revoked,
    Cut,
    Widened,
    Narrowed,
    Transferred,
    /// Its owner leaves, and the manager takes it.
    Inherited,
    /// Its owner leaves, and nobody takes it.
    Orphaned,
    /// API keys, by an exception.
    Keyed,
    JustInTime,
    Denied,
    Withdrawn,
    Lapsed,
    /// Its request is open at the history's end.
    Waiting,
    Draft,
    Given,
    /// Its join token is presented a second time.
    Replayed,
}

/// For how long a request waits that is open at the history's end: less than it takes to lapse.
pub(crate) const WAITS: Span = Span::from_days(6);

/// A tale, with how often it is told beside the others.
#[derive(Debug, Clone)]
pub(crate) struct Tale {
    pub(crate) name: &'static str,
    pub(crate) weight: u32,
    kind: Kind,
    environment: &'static str,
    coverage: Coverage,
    records: bool,
    fate: Fate,
}

const fn tale(
    name: &'static str,
    weight: u32,
    kind: Kind,
    environment: &'static str,
    coverage: Coverage,
    fate: Fate,
) -> Tale {
    Tale { name, weight, kind, environment, coverage, records: false, fate }
}

/// A tale of what touches customers' records.
const fn records(tale: Tale) -> Tale {
    Tale { records: true, ..tale }
}

const PROD: &str = "production";
const STAGE: &str = "staging";
const DEV: &str = "development";
const ROLE: Coverage = Coverage::RoleBased;
const PRIV: Coverage = Coverage::Privileged;

impl Tale {
    /// Whether it is told of what waits at the end, and of nothing else.
    pub(crate) fn waits(&self) -> bool {
        self.fate == Fate::Waiting
    }
}

/// Every tale.
pub(crate) const TALES: &[Tale] = &[
    tale("workload-production", 120, Kind::Workload, PROD, ROLE, Fate::Steady),
    tale("workload-staging", 70, Kind::Workload, STAGE, ROLE, Fate::Steady),
    tale("workload-development", 60, Kind::Workload, DEV, ROLE, Fate::Steady),
    tale("workload-privileged", 20, Kind::Workload, STAGE, PRIV, Fate::Steady),
    records(tale("workload-records", 25, Kind::Workload, PROD, ROLE, Fate::Steady)),
    tale("service-production", 80, Kind::ServiceAccount, PROD, ROLE, Fate::Steady),
    tale("service-staging", 45, Kind::ServiceAccount, STAGE, ROLE, Fate::Steady),
    tale("pipeline-production", 45, Kind::Pipeline, PROD, ROLE, Fate::Steady),
    tale("pipeline-development", 55, Kind::Pipeline, DEV, ROLE, Fate::Steady),
    tale("bot-staging", 25, Kind::Bot, STAGE, ROLE, Fate::Steady),
    tale("bot-production", 25, Kind::Bot, PROD, ROLE, Fate::Steady),
    tale("agent-development", 30, Kind::Agent, DEV, ROLE, Fate::Steady),
    tale("agent-production", 20, Kind::Agent, PROD, ROLE, Fate::Steady),
    tale("integration-production", 25, Kind::Integration, PROD, ROLE, Fate::Steady),
    tale("device-production", 25, Kind::Device, PROD, ROLE, Fate::Steady),
    tale("workload-just-in-time", 20, Kind::Workload, PROD, Coverage::JustInTime, Fate::JustInTime),
    tale("workload-api-key", 25, Kind::ServiceAccount, STAGE, ROLE, Fate::Keyed),
    tale("workload-renewed", 25, Kind::Workload, STAGE, ROLE, Fate::Renewed),
    tale("workload-suspended", 15, Kind::Workload, PROD, ROLE, Fate::Suspended),
    tale("bot-suspended", 10, Kind::Bot, DEV, ROLE, Fate::Suspended),
    tale("workload-resumed", 15, Kind::Workload, PROD, ROLE, Fate::Resumed),
    tale("service-retired", 25, Kind::ServiceAccount, PROD, ROLE, Fate::Retired),
    tale("agent-retired", 10, Kind::Agent, DEV, ROLE, Fate::Retired),
    tale("workload-expired", 30, Kind::Workload, DEV, ROLE, Fate::Expired),
    records(tale("workload-records-expired", 15, Kind::Workload, PROD, PRIV, Fate::Expired)),
    tale("workload-dormant", 25, Kind::Workload, STAGE, ROLE, Fate::Dormant),
    tale("service-dormant", 15, Kind::ServiceAccount, PROD, ROLE, Fate::Dormant),
    tale("pipeline-completed", 15, Kind::Pipeline, DEV, ROLE, Fate::Completed),
    tale("workload-revoked", 15, Kind::Workload, PROD, ROLE, Fate::Revoked),
    tale("bot-cut", 10, Kind::Bot, PROD, ROLE, Fate::Cut),
    tale("workload-widened", 15, Kind::Workload, STAGE, ROLE, Fate::Widened),
    tale("workload-narrowed", 10, Kind::Workload, PROD, ROLE, Fate::Narrowed),
    tale("workload-transferred", 15, Kind::Workload, PROD, ROLE, Fate::Transferred),
    tale("service-inherited", 10, Kind::ServiceAccount, PROD, ROLE, Fate::Inherited),
    tale("service-orphaned", 8, Kind::ServiceAccount, STAGE, ROLE, Fate::Orphaned),
    tale("workload-denied", 8, Kind::Workload, PROD, PRIV, Fate::Denied),
    tale("workload-withdrawn", 6, Kind::Workload, STAGE, ROLE, Fate::Withdrawn),
    tale("workload-lapsed", 8, Kind::Workload, PROD, ROLE, Fate::Lapsed),
    tale("workload-waiting", 0, Kind::Workload, PROD, ROLE, Fate::Waiting),
    tale("privileged-waiting", 0, Kind::Workload, PROD, PRIV, Fate::Waiting),
    tale("workload-draft", 8, Kind::Workload, DEV, ROLE, Fate::Draft),
    tale("device-replayed", 4, Kind::Device, PROD, ROLE, Fate::Replayed),
    tale("workload-given-up", 5, Kind::Workload, DEV, ROLE, Fate::Given),
];

/// An identity whose tale is played.
pub(crate) struct Player<'a> {
    stage: &'a Stage,
    runners: &'a Runners,
    department: &'a Department,
    tale: &'a Tale,
    key: Holder,
    /// By what its details are chosen.
    details: Sequence,
    begun: Timestamp,
    /// How long the history is.
    length: Span,
    proofs: u64,
    owner: PersonId,
}

impl<'a> Player<'a> {
    pub(crate) fn new(
        stage: &'a Stage,
        runners: &'a Runners,
        department: &'a Department,
        tale: &'a Tale,
        key: Holder,
        details: Sequence,
        length: Span,
    ) -> Result<Self, SeedError> {
        let mut details = details;
        let owners: Vec<&PersonId> = department.owners.iter().collect();
        let owner = *details.pick(&owners).ok_or_else(|| SeedError::missing("have owners"))?;
        let begun = stage.now();
        Ok(Self { stage, runners, department, tale, key, details, begun, length, proofs: 0, owner })
    }

    /// A whole number of minutes between two.
    fn minutes(&mut self, from: u64, to: u64) -> Span {
        Span::from_mins(i64::try_from(from + self.details.below(to.saturating_sub(from).max(1))).unwrap_or(60))
    }

    fn another_owner(&self) -> Result<PersonId, SeedError> {
        let mut others = self.department.owners.iter().copied().filter(|owner| *owner != self.owner);
        others.next().ok_or_else(|| SeedError::missing("have another owner"))
    }

    /// Whether it ends after a month unless it is renewed.
    fn is_short(&self) -> bool {
        self.tale.kind == Kind::Agent || self.tale.records || self.tier_is_high()
    }

    fn tier_is_high(&self) -> bool {
        let production = self.tale.environment == PROD;
        let points = 2 * u8::from(production)
            + 2 * u8::from(self.tale.coverage == PRIV)
            + u8::from(matches!(self.tale.kind, Kind::Agent | Kind::Integration))
            + 2 * u8::from(self.tale.records);
        points > 3
    }

    fn resource(&self) -> Result<&'a (tenure_core::base::id::ResourceId, String), SeedError> {
        let name = match self.tale.environment {
            PROD if self.tale.records => "records",
            PROD => "api",
            other => other,
        };
        self.department.resources.get(name).ok_or_else(|| SeedError::missing("have the resource"))
    }

    fn charter(&mut self) -> Result<CharterDraft, SeedError> {
        let (resource, _) = self.resource()?;
        let now = self.stage.now();
        let short = self.is_short();
        let steady =
            matches!(self.tale.fate, Fate::Steady | Fate::Revoked | Fate::Cut | Fate::Resumed | Fate::Transferred);
        let days = if short { 22 + self.details.below(7) } else { 60 + self.details.below(28) };
        let actions = match self.details.below(3) {
            0 => vec!["read".to_owned()],
            1 => vec!["read".to_owned(), "write".to_owned()],
            _ => vec!["publish".to_owned(), "read".to_owned()],
        };
        let scope = vec![Entitlement { actions, resource: resource.to_string() }];
        let operator = format!("{}-operations", department::SLUG);
        let mut charter = CharterDraft {
            owner: Some(self.owner),
            backup_owner: Some(self.department.manager),
            purpose: Some(life::PURPOSE.into()),
            scope: scope.clone(),
            trust_boundary: Some(TrustBoundary::Organisation("harbour".into())),
            environment: Some(self.tale.environment.into()),
            application: Some(self.department.application),
            workload_binding: Some(self.binding()),
            expires_at: Some(now.plus(Span::from_days(i64::try_from(days).unwrap_or(30)))),
            retirement: vec![match self.details.below(2) {
                0 => RetirementCondition::TaskCompleted,
                _ => RetirementCondition::Idle { after: Span::from_days(85) },
            }],
            rotation_cadence: Some(Span::from_days(30)),
            credential_ttl: Some(Span::from_mins(if self.tale.kind == Kind::Agent { 15 } else { 60 })),
            coverage: Some(self.tale.coverage),
            parties: Some(Parties {
                requester: self.owner,
                operator: operator.clone(),
                beneficiary: format!("{}-customers", department::SLUG),
            }),
            need: (self.details.below(3) == 0).then_some(self.department.need),
            ..CharterDraft::default()
        };
        if steady {
            let (window, extend_by, used_within) = if short { (6, 20, 12) } else { (12, 60, 35) };
            charter.renewal = Some(AutoRenewal {
                window: Span::from_days(window),
                extend_by: Span::from_days(extend_by),
                used_within: Span::from_days(used_within),
            });
        }
        if self.tale.records {
            charter.data_domains = vec!["customer-records".into()];
        }
        match self.tale.kind {
            Kind::Agent => {
                charter.backup_owner = None;
                charter.tasks =
                    vec![Task { name: "triage".into(), purpose: life::PURPOSE.into(), scope: scope.clone() }];
            }
            Kind::Pipeline => {
                charter.repositories = vec![life::REPOSITORY.into()];
                charter.auto_revocation = vec![RevocationTrigger::Suspension];
            }
            Kind::Integration => {
                charter.vendor = Some(self.department.vendor);
                charter.data_domains = vec!["telemetry".into()];
            }
            Kind::ServiceAccount if self.tale.environment == PROD && self.details.below(2) == 0 => {
                charter.cloud_account = Some(self.department.account);
            }
            _ => {}
        }
        if self.tale.fate == Fate::Keyed {
            charter.credential_types = vec![CredentialType::AccessToken, CredentialType::ApiKey];
        }
        if self.tale.fate == Fate::Completed {
            charter.retirement = vec![RetirementCondition::TaskCompleted];
        }
        Ok(charter)
    }

    fn binding(&self) -> WorkloadBinding {
        let workload = format!("deployment/{}", life::NAME);
        match self.tale.kind {
            Kind::Pipeline => WorkloadBinding::Oidc {
                workload,
                issuer: ISSUER.into(),
                claims: BTreeMap::from([
                    ("sub".to_owned(), json!(life::NAME)),
                    ("repository".to_owned(), json!(life::REPOSITORY)),
                ]),
            },
            Kind::Device => WorkloadBinding::JoinToken { workload },
            _ => WorkloadBinding::PublicKey {
                workload,
                jwk: self.key.jwk(),
                assertion_audience: AssertionAudience::Issuer,
            },
        }
    }

    async fn pass(&self, span: Span) -> Result<(), SeedError> {
        self.stage.pass(span).await
    }

    fn identity(&self, id: IdentityId) -> Result<Identity, SeedError> {
        self.stage.one(RowKind::Identity, id)
    }

    async fn register(&mut self, stand: Stand) -> Result<(IdentityId, Option<RequestId>), SeedError> {
        let charter = self.charter()?;
        let by = self.stage.by(self.owner).await?;
        let ask = NewIdentity {
            kind: self.tale.kind,
            name: life::NAME.into(),
            template: None,
            charter,
            stage: stand,
            token: None,
        };
        let made = self
            .stage
            .done("register an identity", Box::pin(registration::register(&self.stage.kernel, &by, ask)))
            .await?;
        Ok((made.record.id, made.record.request))
    }

    async fn approve(&self, request: RequestId) -> Result<(), SeedError> {
        self.stage.approve(request, &self.runners.voters).await
    }

    /// Registers it, and has it approved.
    async fn begin(&mut self) -> Result<IdentityId, SeedError> {
        let (id, request) = self.register(Stand::Pending).await?;
        let wait = self.minutes(20, 900);
        self.pass(wait).await?;
        self.approve(request.ok_or_else(|| SeedError::missing("open a request"))?).await?;
        if self.identity(id)?.state != IdentityState::Active {
            return Err(SeedError::missing("activate what was approved"));
        }
        let wait = self.minutes(5, 240);
        self.pass(wait).await?;
        if self.tale.kind == Kind::Device {
            self.enrol(id).await?;
        }
        Ok(id)
    }

    async fn enrol(&self, id: IdentityId) -> Result<(), SeedError> {
        let by = self.stage.by(self.owner).await?;
        let made = enrolment::create_join_token(&self.stage.kernel, &by, id);
        let made = self.stage.done("hand out a join token", made).await?;
        self.pass(Span::from_mins(2)).await?;
        let proof = self.key.enrolment(&made.id.to_string(), &made.audience, self.stage.now());
        let ask = Enrol { join_token: made.join_token, jwk: self.key.jwk(), proof };
        let first = enrolment::enrol(&self.stage.kernel, ask.clone(), "10.20.0.7");
        self.stage.done("enrol a device", first).await?;
        self.pass(Span::from_mins(3)).await?;
        if self.tale.fate == Fate::Replayed {
            if Box::pin(enrolment::enrol(&self.stage.kernel, ask, "10.20.0.9")).await.is_ok() {
                return Err(SeedError::missing("refuse a join token that was used"));
            }
            if self.identity(id)?.state != IdentityState::Suspended {
                return Err(SeedError::missing("suspend whose join token was used twice"));
            }
        }
        Ok(())
    }

    /// Gets a token.
    async fn token(&mut self, id: IdentityId) -> Result<CredentialId, SeedError> {
        self.proofs += 1;
        let (jti, now) = (format!("p{}", self.proofs), self.stage.now());
        let audience = format!("{}/env/{}", self.stage.common.public_url, self.tale.environment);
        let proof = match self.tale.kind {
            Kind::Pipeline => Proof::ExternalToken(Holder::platform(self.stage.common.seed)?.vouch(
                life::NAME,
                life::REPOSITORY,
                &jti,
                now,
            )),
            _ => Proof::ClientAssertion(self.key.assertion(&id.to_string(), &audience, &jti, now)),
        };
        let ask = TokenAsk {
            environment: self.tale.environment.into(),
            client_id: Some(id.to_string()),
            proof,
            resource: Some(self.resource()?.1.clone()),
            scope: None,
            authorization_details: None,
            grant: Grant::Own,
            sender: Presented::default(),
            source: "10.20.0.7".into(),
        };
        let before = self.stage.store.is(Part::Issuance);
        let issued = self.stage.done("issue a token", token::issue_token(&self.stage.kernel, ask)).await;
        self.stage.store.is(before);
        Ok(issued?.credential)
    }

    /// It is used until then, every few days.
    async fn use_for(&mut self, id: IdentityId, days: i64) -> Result<(), SeedError> {
        let until = self.stage.now().plus(Span::from_days(days));
        let every = if self.is_short() { 8 } else { 23 };
        while self.stage.now() < until {
            if self.identity(id)?.state != IdentityState::Active {
                return Err(SeedError::missing("keep what is used active"));
            }
            self.token(id).await?;
            let wait = self.minutes((every - 3) * 1_440, every * 1_440);
            self.pass(wait.min(until.since(self.stage.now()).max_one())).await?;
        }
        Ok(())
    }

    fn days_left(&self) -> i64 {
        let end = self.begun.plus(self.length);
        end.since(self.stage.now()).as_secs() / 86_400
    }

    /// Plays the tale.
    pub(crate) async fn play(&mut self) -> Result<(), SeedError> {
        match self.tale.fate {
            Fate::Draft => return self.register(Stand::Draft).await.map(|_| ()),
            Fate::Given => return self.given_up().await,
            Fate::Denied | Fate::Withdrawn | Fate::Lapsed | Fate::Waiting => return self.not_approved().await,
            Fate::Inherited | Fate::Orphaned => return self.left().await,
            Fate::Keyed => return self.keyed().await,
            _ => {}
        }
        let id = self.begin().await?;
        match self.tale.fate {
            Fate::JustInTime => self.just_in_time(id).await,
            Fate::Steady => self.use_for(id, self.days_left()).await,
            Fate::Expired => {
                self.use_for(id, 14).await?;
                self.pass(Span::from_days(100)).await
            }
            Fate::Dormant => {
                self.token(id).await?;
                self.pass(Span::from_days(100)).await
            }
            Fate::Renewed => self.renewed(id).await,
            Fate::Suspended | Fate::Resumed => self.suspended(id).await,
            Fate::Retired => self.retired(id).await,
            Fate::Completed => {
                self.use_for(id, 20).await?;
                let by = self.stage.by(self.owner).await?;
                let done = lifecycle::complete_task(&self.stage.kernel, &by, id, TaskCompleted::default());
                self.stage.done("take it that a task is done", done).await?;
                self.pass(Span::from_days(3)).await
            }
            Fate::Revoked => self.revoked(id).await,
            Fate::Cut => self.cut(id).await,
            Fate::Widened => self.widened(id).await,
            Fate::Narrowed => self.narrowed(id).await,
            Fate::Replayed => self.pass(Span::from_days(20)).await,
            Fate::Transferred => self.transferred(id).await,
            _ => Ok(()),
        }
    }

    async fn given_up(&mut self) -> Result<(), SeedError> {
        let (id, _) = self.register(Stand::Draft).await?;
        self.pass(Span::from_days(4)).await?;
        let by = self.stage.by(self.owner).await?;
        let close = lifecycle::close(&self.stage.kernel, &by, id, life::REASON.into());
        self.stage.done("give up a draft", close).await?;
        Ok(())
    }

    async fn not_approved(&mut self) -> Result<(), SeedError> {
        let (_, id) = self.register(Stand::Pending).await?;
        let id = id.ok_or_else(|| SeedError::missing("open a request"))?;
        match self.tale.fate {
            Fate::Denied => {
                self.pass(Span::from_mins(600)).await?;
                let request: Request = self.stage.one(RowKind::Request, id)?;
                let voter = self.runners.voters.voter(&request).ok_or_else(|| SeedError::missing("have a voter"))?;
                self.stage.vote(&request, voter, false).await?;
            }
            Fate::Withdrawn => {
                self.pass(Span::from_mins(1_700)).await?;
                let by = self.stage.by(self.owner).await?;
                let withdraw = request::withdraw_request(&self.stage.kernel, &by, id);
                self.stage.done("withdraw a request", withdraw).await?;
            }
            Fate::Waiting => {
                self.pass(WAITS).await?;
                let request: Request = self.stage.one(RowKind::Request, id)?;
                if request.state != RequestState::Open {
                    return Err(SeedError::missing("leave a request open"));
                }
                return Ok(());
            }
            _ => {
                self.pass(Span::from_days(40)).await?;
                let request: Request = self.stage.one(RowKind::Request, id)?;
                if request.state != RequestState::Lapsed {
                    return Err(SeedError::missing("let a request lapse"));
                }
            }
        }
        self.pass(Span::from_days(1)).await
    }

    async fn renewed(&mut self, id: IdentityId) -> Result<(), SeedError> {
        self.use_for(id, 45).await?;
        self.token(id).await?;
        self.pass(Span::from_mins(50)).await?;
        let by = self.stage.by(self.owner).await?;
        let end = self.identity(id)?.charter.expires_at.unwrap_or_default();
        let until = end.plus(Span::from_days(40)).min(self.stage.now().plus(Span::from_days(89)));
        let ask = NewRequest {
            matter: Matter::Renewal { identity: id, until },
            purpose: format!("{}, for another while", life::PURPOSE),
        };
        let open = request::open_request(&self.stage.kernel, &by, ask);
        let request = self.stage.done("ask for a renewal", open).await?.request.id;
        self.approve(request).await?;
        self.use_for(id, 30).await?;
        self.pass(Span::from_days(70)).await
    }

    async fn suspended(&mut self, id: IdentityId) -> Result<(), SeedError> {
        self.use_for(id, 16).await?;
        let security = *self.runners.voters.security.first().ok_or_else(|| SeedError::missing("have security"))?;
        let by = self.stage.by(security).await?;
        let suspend = lifecycle::suspend(&self.stage.kernel, &by, id, life::REASON.into());
        self.stage.done("suspend an identity", suspend).await?;
        if self.tale.fate == Fate::Suspended {
            return self.pass(Span::from_days(35)).await;
        }
        self.pass(Span::from_mins(1_500)).await?;
        let other = *self.runners.voters.security.get(1).ok_or_else(|| SeedError::missing("have security"))?;
        let by = self.stage.by(other).await?;
        let ask = Resume { cause: 0, revision: None, reason: "looked into: nothing was wrong".into() };
        self.stage.done("resume an identity", lifecycle::resume(&self.stage.kernel, &by, id, ask)).await?;
        self.pass(Span::from_mins(30)).await?;
        self.use_for(id, self.days_left()).await
    }

    async fn retired(&mut self, id: IdentityId) -> Result<(), SeedError> {
        let days = if self.is_short() { 12 } else { 40 };
        self.use_for(id, days).await?;
        let by = self.stage.by(self.owner).await?;
        let retire = lifecycle::retire(&self.stage.kernel, &by, id, life::REASON.into());
        self.stage.done("retire an identity", retire).await?;
        self.pass(Span::from_days(3)).await?;
        if self.identity(id)?.state != IdentityState::Retired {
            return Err(SeedError::missing("finish retiring"));
        }
        Ok(())
    }

    async fn revoked(&mut self, id: IdentityId) -> Result<(), SeedError> {
        self.use_for(id, 9).await?;
        let credential = self.token(id).await?;
        self.pass(Span::from_mins(11)).await?;
        let by = self.stage.by(self.owner).await?;
        let ask = Revocation {
            target: RevocationTarget::Credential(credential),
            reason: life::REASON.into(),
            suspend: false,
        };
        self.stage.done("revoke a credential", revocation::revoke(&self.stage.kernel, &by, ask)).await?;
        self.pass(Span::from_mins(90)).await?;
        self.use_for(id, self.days_left()).await
    }

    async fn cut(&mut self, id: IdentityId) -> Result<(), SeedError> {
        self.use_for(id, 9).await?;
        self.token(id).await?;
        self.pass(Span::from_mins(7)).await?;
        let security = *self.runners.voters.security.last().ok_or_else(|| SeedError::missing("have security"))?;
        let by = self.stage.by(security).await?;
        let ask = Revocation { target: RevocationTarget::Identity(id), reason: life::REASON.into(), suspend: false };
        self.stage.done("cut an identity", revocation::revoke(&self.stage.kernel, &by, ask)).await?;
        self.pass(Span::from_mins(120)).await?;
        self.use_for(id, self.days_left()).await
    }

    async fn widened(&mut self, id: IdentityId) -> Result<(), SeedError> {
        self.use_for(id, 12).await?;
        let mut charter = self.identity(id)?.charter;
        for entitlement in &mut charter.scope {
            entitlement.actions = ["publish", "read", "write"].map(str::to_owned).to_vec();
        }
        let by = self.stage.by(self.owner).await?;
        let ask = NewRequest {
            matter: Matter::Charter { identity: id, charter: Box::new(charter) },
            purpose: format!("{}, and writes now", life::PURPOSE),
        };
        let open = request::open_request(&self.stage.kernel, &by, ask);
        let request = self.stage.done("ask for a wider charter", open).await?.request.id;
        self.approve(request).await?;
        self.pass(Span::from_mins(45)).await?;
        self.use_for(id, 30).await?;
        self.pass(Span::from_days(90)).await
    }

    async fn narrowed(&mut self, id: IdentityId) -> Result<(), SeedError> {
        self.use_for(id, 12).await?;
        let mut charter = self.identity(id)?.charter;
        charter.credential_ttl = Some(Span::from_mins(20));
        let by = self.stage.by(self.owner).await?;
        let write = Box::pin(registration::write_charter(&self.stage.kernel, &by, id, charter, IfMatch::Any));
        self.stage.done("narrow a charter", write).await?;
        self.pass(Span::from_mins(45)).await?;
        self.use_for(id, 30).await?;
        self.pass(Span::from_days(90)).await
    }

    async fn transferred(&mut self, id: IdentityId) -> Result<(), SeedError> {
        self.use_for(id, 18).await?;
        let (by, to) = (self.stage.by(self.owner).await?, self.another_owner()?);
        let start = transfers::start_transfer(&self.stage.kernel, &by, id, NewOffer { to });
        let transfer = self.stage.done("offer an identity", start).await?.record.id;
        self.pass(Span::from_mins(700)).await?;
        let by = self.stage.by(to).await?;
        let accept = transfers::accept_transfer(&self.stage.kernel, &by, transfer);
        self.stage.done("take an identity over", accept).await?;
        self.owner = to;
        self.pass(Span::from_mins(100)).await?;
        self.use_for(id, self.days_left()).await
    }

    /// Somebody joins, owns it, and leaves.
    async fn left(&mut self) -> Result<(), SeedError> {
        let by = self.stage.by(self.runners.ada).await?;
        let ask = NewPerson {
            name: life::LEAVER.into(),
            email: Some(life::MAIL.into()),
            roles: vec![Role::Requester, Role::Owner],
            manager: Some(self.department.manager),
            ..NewPerson::default()
        };
        let made = self.stage.done("register a person", roles::create_person(&self.stage.kernel, &by, ask)).await?;
        if let Some(request) = made.request {
            self.approve(request).await?;
        }
        let leaver = made.record.id;
        self.stage.renew(leaver, Part::Step).await?;
        self.owner = leaver;
        let id = self.begin().await?;
        self.use_for(id, 19).await?;
        let by = self.stage.by(self.runners.ada).await?;
        let ask = NewDeparture { reason: "left the company".into(), dry_run: false };
        let depart = departures::depart_person(&self.stage.kernel, &by, leaver, ask);
        self.stage.done("let somebody leave", depart).await?;
        self.pass(Span::from_mins(200)).await?;
        let transfer: Option<Transfer> = self.stage.all(RowKind::Transfer)?.into_iter().next();
        let transfer = transfer.ok_or_else(|| SeedError::missing("offer what a leaver owned"))?;
        if self.tale.fate == Fate::Orphaned {
            return self.pass(Span::from_days(100)).await;
        }
        let to = transfer.offered_to.ok_or_else(|| SeedError::missing("offer it to somebody"))?;
        let by = self.stage.by(to).await?;
        let accept = transfers::accept_transfer(&self.stage.kernel, &by, transfer.id);
        self.stage.done("take an identity over", accept).await?;
        self.owner = to;
        self.pass(Span::from_mins(300)).await?;
        self.use_for(id, 20).await?;
        self.pass(Span::from_days(100)).await
    }

    /// What can't prove itself has API keys, by an exception.
    async fn keyed(&mut self) -> Result<(), SeedError> {
        let (id, _) = self.register(Stand::Draft).await?;
        self.pass(Span::from_mins(30)).await?;
        let by = self.stage.by(self.owner).await?;
        let control = |name: &str| NewControl { control: name.into(), description: format!("{name} by the team") };
        let ask = NewException {
            kind: "weaker_credential".into(),
            subject: json!({"type": "identity", "id": id}),
            reason: format!("{}, from a machine that can't sign", life::PURPOSE),
            compensating: ["vaulting", "rotation", "ownership", "revalidation"].map(control).into(),
            places: Vec::new(),
            duration: Span::from_days(55),
            renews: None,
            finding: None,
        };
        let propose = exceptions::propose_exception(&self.stage.kernel, &by, ask);
        let request = self.stage.done("propose an exception", propose).await?.record.request;
        self.approve(request).await?;
        self.pass(Span::from_mins(100)).await?;
        let by = self.stage.by(self.owner).await?;
        let submit = lifecycle::submit(&self.stage.kernel, &by, id);
        let request = self.stage.done("hand in a draft", submit).await?.record.request;
        self.approve(request.ok_or_else(|| SeedError::missing("open a request"))?).await?;
        self.pass(Span::from_mins(100)).await?;
        for _ in 0..2 {
            let by = self.stage.by(self.owner).await?;
            let scope = self.identity(id)?.charter.scope;
            let actions = scope.into_iter().next().map(|entitlement| entitlement.actions).unwrap_or_default();
            let ask = NewApiKey { resource: Some(self.resource()?.1.clone()), actions, ttl: None };
            let before = self.stage.store.is(Part::Issuance);
            let made = api_keys::create_api_key(&self.stage.kernel, &by, id, ask);
            let made = self.stage.done("hand out an API key", made).await;
            self.stage.store.is(before);
            made?;
            self.pass(Span::from_days(21)).await?;
        }
        self.pass(Span::from_days(90)).await
    }

    async fn just_in_time(&mut self, id: IdentityId) -> Result<(), SeedError> {
        for _ in 0..3 {
            let by = self.stage.by(self.owner).await?;
            let scope = self.identity(id)?.charter.scope;
            let entitlement = scope.into_iter().next().ok_or_else(|| SeedError::missing("keep the scope"))?;
            let ask = NewRequest {
                matter: Matter::Access {
                    identity: id,
                    entitlement,
                    starts_at: None,
                    duration: Span::from_mins(360),
                    task: None,
                },
                purpose: format!("{}, this once", life::PURPOSE),
            };
            let open = request::open_request(&self.stage.kernel, &by, ask);
            let request = self.stage.done("ask for access", open).await?.request.id;
            self.approve(request).await?;
            self.pass(Span::from_mins(12)).await?;
            self.token(id).await?;
            self.pass(Span::from_days(17)).await?;
        }
        self.pass(Span::from_days(60)).await
    }
}

/// A span that is at least a second.
trait AtLeast {
    fn max_one(self) -> Self;
}

impl AtLeast for Span {
    fn max_one(self) -> Self {
        self.max(Self::from_secs(1))
    }
}
