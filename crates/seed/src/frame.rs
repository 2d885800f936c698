//! What every tale stands in: the deployment with those who run it, and one department of which all others are told.

use std::collections::BTreeMap;

use tenure_api::exceptions::NewNeed;
use tenure_api::people::{NewPerson, NewTeam, PersonChange};
use tenure_api::requests::{NewApplication, NewEnvironment, NewIssuer, NewOperatorToken, NewResource, Setup};
use tenure_api::third_party::{NewCloudAccount, NewDataDomain, NewVendor};
use tenure_core::base::id::{ApplicationId, CloudAccountId, NeedId, PersonId, ResourceId, TeamId, VendorId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::inventory::resource::{Verification, WhenUnreachable};
use tenure_core::inventory::third_party::{NeedKind, Sensitivity};
use tenure_core::people::person::Role;
use tenure_core::trust::issuer::Preset;
use tenure_core::trust::signing_key::SigningAlgorithm;
use tenure_engine::inventory::{directory, needs, third_party};
use tenure_engine::kernel::caller;
use tenure_engine::matters::roles;
use tenure_engine::people::{operator_tokens, person, setup};
use tenure_engine::trust::issuers;

use crate::error::SeedError;
use crate::holder::{AUDIENCE, ISSUER};
use crate::recorder::Part;
use crate::stage::{Common, Stage, TOKEN_LIFE, Voters};

/// The environments, and whether each counts as production.
pub(crate) const ENVIRONMENTS: [(&str, bool); 3] = [("production", true), ("staging", false), ("development", false)];
/// The data domains.
const DOMAINS: [(&str, Sensitivity); 3] = [
    ("telemetry", Sensitivity::Internal),
    ("customer-records", Sensitivity::Confidential),
    ("card-data", Sensitivity::Restricted),
];

/// What stands for what each department has another of.
pub(crate) mod department {
    /// What its names begin with.
    pub(crate) const SLUG: &str = "qdslugq";
    /// The names of its people.
    pub(crate) const PEOPLE: [&str; 6] =
        ["Qdperson0q", "Qdperson1q", "Qdperson2q", "Qdperson3q", "Qdperson4q", "Qdperson5q"];
    /// Their addresses.
    pub(crate) const MAILS: [&str; 6] = [
        "qdmail0q@q.example",
        "qdmail1q@q.example",
        "qdmail2q@q.example",
        "qdmail3q@q.example",
        "qdmail4q@q.example",
        "qdmail5q@q.example",
    ];
    /// The number of its cloud account.
    pub(crate) const ACCOUNT: &str = "990000000017";
}

/// Those who run the deployment.
#[derive(Debug, Clone)]
pub(crate) struct Runners {
    pub(crate) ada: PersonId,
    pub(crate) voters: Voters,
}

impl Runners {
    /// All who act.
    pub(crate) fn all(&self) -> Vec<PersonId> {
        self.voters.administrators.iter().chain(&self.voters.security).copied().collect()
    }
}

/// The department that tales are played in.
#[derive(Debug, Clone)]
pub(crate) struct Department {
    pub(crate) manager: PersonId,
    pub(crate) owners: Vec<PersonId>,
    pub(crate) application: ApplicationId,
    /// By name: `api`, `records`, `staging`, `development`; with their URIs.
    pub(crate) resources: BTreeMap<&'static str, (ResourceId, String)>,
    pub(crate) vendor: VendorId,
    pub(crate) account: CloudAccountId,
    pub(crate) need: NeedId,
}

impl Department {
    /// All of it who act.
    pub(crate) fn actors(&self) -> Vec<PersonId> {
        std::iter::once(self.manager).chain(self.owners.iter().copied()).collect()
    }
}

/// Sets a deployment up: administrators, security, environments, data domains, the platform that vouches for pipelines.
pub(crate) async fn set_up(common: &Common, start: Timestamp) -> Result<(Stage, Runners), SeedError> {
    let stage = Stage::new(common, start, 0x5e7)?;
    let offered = stage.done("offer set-up", setup::offer_setup(&stage.kernel)).await?;
    let token = offered.ok_or_else(|| SeedError::missing("offer set-up"))?.expose().clone();
    let ask = Setup { setup_token: token, name: "Ada Lindqvist".into(), email: Some("ada@harbour.example".into()) };
    let made = stage.done("set a deployment up", setup::set_up(&stage.kernel, ask)).await?;
    let ada = made.person.id;
    let caller = stage.done("let Ada in", caller::authenticate_person(&stage.kernel, &made.operator_token)).await?;
    stage.clock.set(stage.now().plus(Span::from_secs(40)));
    let ask = NewOperatorToken { ttl: Some(TOKEN_LIFE) };
    let pass = operator_tokens::create_operator_token(&stage.kernel, &caller, ada, ask);
    let pass = stage.done("hand out an operator token", pass).await?;
    stage.takes(ada, pass.id, pass.operator_token, stage.now().plus(TOKEN_LIFE));
    stage.hand_out_by(ada);
    let mut made = Vec::new();
    // The second administrator comes last: until then roles need nobody else.
    for (name, mail, role) in [
        ("Sam Osei", "sam", Role::Security),
        ("Sunniva Berg", "sunniva", Role::Security),
        ("Sibel Yilmaz", "sibel", Role::Security),
        ("Aurel Novak", "aurel", Role::Auditor),
        ("Bea Moreau", "bea", Role::Administrator),
    ] {
        stage.clock.set(stage.now().plus(Span::from_secs(75)));
        let by = stage.by(ada).await?;
        let ask = NewPerson {
            name: name.into(),
            email: Some(format!("{mail}@harbour.example")),
            roles: vec![role],
            ..NewPerson::default()
        };
        made.push(stage.done("register a person", roles::create_person(&stage.kernel, &by, ask)).await?.record.id);
    }
    let [sam, sunniva, sibel, _, bea] = made.as_slice() else {
        return Err(SeedError::missing("register people"));
    };
    let voters = Voters { security: vec![*sam, *sunniva, *sibel], administrators: vec![ada, *bea] };
    for person in [*sam, *sunniva, *sibel, *bea] {
        stage.renew(person, Part::Step).await?;
    }
    let by = stage.by(ada).await?;
    for (name, production) in ENVIRONMENTS {
        stage.clock.set(stage.now().plus(Span::from_secs(50)));
        let ask = NewEnvironment { name: name.into(), production, signing_algorithm: SigningAlgorithm::EdDsa };
        stage.done("make an environment", directory::create_environment(&stage.kernel, &by, ask)).await?;
    }
    for (name, sensitivity) in DOMAINS {
        let ask = NewDataDomain { name: name.into(), sensitivity };
        stage.done("make a data domain", third_party::create_data_domain(&stage.kernel, &by, ask)).await?;
    }
    let ask = NewIssuer {
        preset: Preset::Oidc,
        fixed_claims: BTreeMap::new(),
        url: ISSUER.into(),
        audience: AUDIENCE.into(),
        environments: ENVIRONMENTS.iter().map(|(name, _)| (*name).to_owned()).collect(),
        algorithms: Vec::new(),
        required_claims: Vec::new(),
        token_review: None,
    };
    let issuer = stage.done("trust an issuer", issuers::create_issuer(&stage.kernel, &by, ask)).await?.record.id;
    let second = stage.by(*bea).await?;
    stage.done("confirm an issuer", issuers::confirm_issuer(&stage.kernel, &second, issuer)).await?;
    stage.pass(Span::from_mins(20)).await?;
    Ok((stage, Runners { ada, voters }))
}

/// Makes a department.
pub(crate) async fn department(stage: &Stage, runners: &Runners) -> Result<Department, SeedError> {
    let slug = department::SLUG;
    let by = stage.by(runners.ada).await?;
    let ask = NewTeam { name: format!("{slug}-operations") };
    let team = stage.done("make a team", person::create_team(&stage.kernel, &by, ask)).await?.record.id;
    let mut people: Vec<PersonId> = Vec::new();
    for (n, (name, mail)) in department::PEOPLE.iter().zip(department::MAILS).enumerate() {
        stage.pass(Span::from_mins(7)).await?;
        let by = stage.by(runners.ada).await?;
        let roles = match n {
            0 => vec![Role::Owner, Role::Manager],
            1..=3 => vec![Role::Requester, Role::Owner],
            _ => Vec::new(),
        };
        let ask = NewPerson {
            name: (*name).into(),
            email: Some(mail.into()),
            roles,
            manager: people.first().copied(),
            ..NewPerson::default()
        };
        let made = stage.done("register a person", roles::create_person(&stage.kernel, &by, ask)).await?;
        if let Some(request) = made.request {
            stage.approve(request, &runners.voters).await?;
        }
        people.push(made.record.id);
    }
    let [manager, first, second, third, fourth, fifth] = people.as_slice() else {
        return Err(SeedError::missing("register people"));
    };
    let by = stage.by(runners.ada).await?;
    join(stage, &by, *fourth, team).await?;
    join(stage, &by, *fifth, team).await?;
    for person in [*manager, *first, *second, *third] {
        stage.renew(person, Part::Step).await?;
    }
    let ask = NewApplication { name: format!("{slug}-platform"), owner: *manager, removal_group: Some(team) };
    let application =
        stage.done("make an application", directory::create_application(&stage.kernel, &by, ask)).await?.record.id;
    let mut resources = BTreeMap::new();
    for (name, environment, domains, verification) in [
        ("api", "production", vec![], Verification::Online),
        ("records", "production", vec!["customer-records"], Verification::Offline),
        ("staging", "staging", vec![], Verification::Online),
        ("development", "development", vec!["telemetry"], Verification::Offline),
    ] {
        let ask = NewResource {
            uri: format!("https://{name}.{slug}.harbour.example"),
            kind: "service".into(),
            actions: ["read", "write", "publish", "enforce"].map(str::to_owned).to_vec(),
            application,
            environment: environment.into(),
            data_domains: domains.into_iter().map(str::to_owned).collect(),
            verification,
            when_unreachable: WhenUnreachable::Deny,
            signing_algorithm: None,
        };
        let made = stage.done("make a resource", directory::create_resource(&stage.kernel, &by, ask)).await?.record;
        resources.insert(name, (made.id, made.uri));
    }
    let ask = NewVendor {
        name: format!("{slug}-partner"),
        contact: format!("desk@{slug}-partner.example"),
        owner: *manager,
        data_domains: vec!["telemetry".into(), "customer-records".into()],
        ends_at: None,
    };
    let vendor = stage.done("make a vendor", third_party::create_vendor(&stage.kernel, &by, ask)).await?.record.id;
    let ask = NewCloudAccount {
        provider: "aws".into(),
        account: department::ACCOUNT.into(),
        owner: *manager,
        environment: "production".into(),
    };
    let account =
        stage.done("make a cloud account", third_party::create_cloud_account(&stage.kernel, &by, ask)).await?.record.id;
    let ask = NewNeed { kind: NeedKind::Project, name: format!("{slug}-roadmap"), owner: *first, ends_at: None };
    let need = stage.done("make a need", needs::create_need(&stage.kernel, &by, ask)).await?.record.id;
    stage.pass(Span::from_mins(15)).await?;
    let owners = vec![*first, *second, *third];
    Ok(Department { manager: *manager, owners, application, resources, vendor, account, need })
}

async fn join(
    stage: &Stage,
    by: &tenure_engine::kernel::caller::Caller,
    person: PersonId,
    team: TeamId,
) -> Result<(), SeedError> {
    let ask = PersonChange { teams: Some(vec![team]), ..PersonChange::default() };
    stage.done("change a person", person::change_person(&stage.kernel, by, person, ask)).await?;
    Ok(())
}
