//! Plain records: operator tokens, applications, environments, resources.

use tenure_api::requests::{NewApplication, NewEnvironment, NewResource, SignWith};
use tenure_api::views::Revised;
use tenure_core::base::id::{ApplicationId, ResourceId};
use tenure_core::base::problem::FieldProblem;
use tenure_core::base::time::Timestamp;
use tenure_core::base::uri;
use tenure_core::identity::MAX_CREDENTIAL_TTL;
use tenure_core::inventory::application::Application;
use tenure_core::inventory::environment::{Environment, EnvironmentKey, parse_name};
use tenure_core::inventory::resource::Resource;
use tenure_core::inventory::third_party::Standing;
use tenure_core::policy::Action;
use tenure_core::store::changeset::{Changeset, Once};
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::trust::signing_key::{KeyUse, SigningAlgorithm, SigningKey};

use crate::inventory::{ownership, removal_groups, third_party};
use crate::kernel::authority::{administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::{Kernel, keys};

const MAX_TEXT: usize = 200;
const MAX_DOMAINS: usize = 32;

/// Registers an application.
///
/// # Errors
/// The fields are wrong, the name is taken, or the caller is no administrator.
pub async fn create_application(
    kernel: &Kernel,
    caller: &Caller,
    ask: NewApplication,
) -> Result<Revised<Application>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "application.create", ""), async {
            kernel.allow(caller, Action::Administer, inventory("application", "", ""), administration(false, false))?;
            let (application, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let mut problems: Vec<FieldProblem> = parse_name("name", &ask.name).err().into_iter().collect();
                    if let Some(team) = ask.removal_group {
                        problems.extend(removal_groups::removal_group_problem(kernel, "removal_group", team).await?);
                    }
                    let owner = ownership::who_answers(kernel, ask.owner, &mut problems).await?;
                    let (Some(owner), true) = (owner, problems.is_empty()) else {
                        return Err(OpError::Invalid(problems));
                    };
                    let application = Application {
                        id: ApplicationId::generate(now, kernel.entropy.as_ref()),
                        name: ask.name.clone(),
                        owner: ask.owner,
                        removal_group: ask.removal_group,
                        standing: Standing::Open,
                        created_at: now,
                    };
                    let event = kernel
                        .event(now, EventKind::ApplicationCreated)
                        .subject(application.id)
                        .subject(ask.owner)
                        .fact("name", &ask.name)
                        .fact("removal_group", ask.removal_group);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.expect(&owner).insert(&application);
                    changeset.once.push(Once { space: "application_name", key: ask.name.clone(), until: None });
                    Ok((changeset, application))
                })
                .await?;
            kernel.changed(application, 1, &committed).await
        })
        .await
}

/// Registers an environment and makes its first signing key.
///
/// # Errors
/// The name is malformed or taken, or the caller is no administrator.
pub async fn create_environment(
    kernel: &Kernel,
    caller: &Caller,
    ask: NewEnvironment,
) -> Result<Revised<Environment>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "environment.create", ""), async {
            kernel.allow(
                caller,
                Action::Administer,
                inventory("environment", "", &ask.name),
                administration(false, false),
            )?;
            parse_name("name", &ask.name).map_err(|problem| OpError::Invalid(vec![problem]))?;
            let (environment, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    // The row's own key is the name: without this look, a taken name would only ever conflict.
                    if kernel.one::<Environment>(&ask.name).await?.is_some() {
                        return Err(OpError::Taken { what: "name" });
                    }
                    let key =
                        keys::new_key_of(kernel, KeyUse::AccessToken(ask.name.clone()), ask.signing_algorithm, now)?;
                    let environment = Environment {
                        name: ask.name.clone(),
                        production: ask.production,
                        signing_algorithm: ask.signing_algorithm,
                        keys: vec![EnvironmentKey::new(&key, now)],
                        created_at: now,
                    };
                    let event = kernel
                        .event(now, EventKind::EnvironmentCreated)
                        .subject(&ask.name)
                        .fact("production", ask.production)
                        .fact("signing_algorithm", ask.signing_algorithm)
                        .fact("key", key.id)
                        .fact("public_key", &key.public);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.insert(&environment).insert(&key);
                    changeset.once.push(Once { space: "environment_name", key: ask.name.clone(), until: None });
                    Ok((changeset, environment))
                })
                .await?;
            kernel.changed(environment, 1, &committed).await
        })
        .await
}

/// Gives an environment its next signing key, of each algorithm that it signs with. They are published at once and sign
/// once verifiers had time to fetch them; the old ones stay published until the last token that they signed has ended.
///
/// # Errors
/// No such environment, or the caller is no administrator.
pub async fn rotate_key(kernel: &Kernel, caller: &Caller, name: &str) -> Result<Revised<Environment>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "environment.rotate_key", name), async {
            kernel.allow(
                caller,
                Action::Administer,
                inventory("environment", name, name),
                administration(false, false),
            )?;
            let ((environment, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Environment>("environment", name).await?;
                    let signs_from = now.plus(kernel.settings.key_overlap);
                    let retire_at = signs_from.plus(MAX_CREDENTIAL_TTL).plus(tenure_core::credential::CLOCK_SKEW);
                    let (fresh, keys, event) = keys::next_keys(kernel, &stored, signs_from, now)?;
                    let mut environment = (*stored.value).clone();
                    environment.keys.retain(|old| old.published_until.is_none_or(|until| now < until));
                    for old in &mut environment.keys {
                        old.published_until = old.published_until.or(Some(retire_at));
                    }
                    environment.keys.extend(fresh);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.replace(&stored, &environment);
                    for key in &keys {
                        changeset.insert(key);
                    }
                    Ok((changeset, (environment, stored.revision + 1)))
                })
                .await?;
            kernel.changed(environment, revision, &committed).await
        })
        .await
}

/// Registers a resource.
///
/// # Errors
/// The fields are wrong, the URI is taken, or the caller is no administrator.
pub async fn create_resource(kernel: &Kernel, caller: &Caller, ask: NewResource) -> Result<Revised<Resource>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "resource.create", ""), async {
            kernel.allow(
                caller,
                Action::Administer,
                inventory("resource", "", &ask.environment),
                administration(false, false),
            )?;
            let mut problems = check_resource(&ask);
            problems.extend(third_party::unknown_domains(kernel, "data_domains", &ask.data_domains).await?);
            let application = kernel.one::<Application>(ask.application).await?;
            let environment = kernel.one::<Environment>(&ask.environment).await?;
            if application.is_none() {
                problems.push(FieldProblem::new("application", "application_unknown", "name a registered application"));
            }
            if environment.is_none() {
                problems.push(FieldProblem::new("environment", "environment_unknown", "name a registered environment"));
            }
            if !problems.is_empty() {
                return Err(OpError::Invalid(problems));
            }
            let (resource, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    // The first resource that wants an algorithm brings its key: nobody can have fetched the key
                    // set for its tokens before.
                    let environment = kernel.must::<Environment>("environment", &ask.environment).await?;
                    let new_key = missing_key(kernel, &environment, ask.signing_algorithm, now)?;
                    let resource = Resource {
                        id: ResourceId::generate(now, kernel.entropy.as_ref()),
                        uri: ask.uri.clone(),
                        kind: ask.kind.clone(),
                        actions: ask.actions.clone(),
                        application: ask.application,
                        environment: ask.environment.clone(),
                        data_domains: ask.data_domains.clone(),
                        verification: ask.verification,
                        when_unreachable: ask.when_unreachable,
                        signing_algorithm: ask.signing_algorithm,
                        logins: None,
                        created_at: now,
                    };
                    let mut event = kernel
                        .event(now, EventKind::ResourceCreated)
                        .subject(resource.id)
                        .subject(ask.application)
                        .fact("uri", &ask.uri)
                        .fact("environment", &ask.environment)
                        .fact("verification", ask.verification);
                    if let Some(algorithm) = ask.signing_algorithm {
                        event = event.fact("signing_algorithm", algorithm);
                    }
                    if let Some(key) = &new_key {
                        event = event.fact("key", key.id).fact("public_key", &key.public);
                    }
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.insert(&resource);
                    if let Some(key) = &new_key {
                        add_key(&mut changeset, &environment, key, now);
                    }
                    // Of each spelling there is one resource, for ever.
                    changeset.once.extend(Resource::spellings(&ask.uri).into_iter().map(|key| Once {
                        space: "resource_uri",
                        key,
                        until: None,
                    }));
                    Ok((changeset, resource))
                })
                .await?;
            kernel.changed(resource, 1, &committed).await
        })
        .await
}

/// Has a resource's tokens signed with another algorithm from now on, or with what its environment says. Where the
/// environment has no key of it yet, the first one is published at once and signs once verifiers had time to fetch it;
/// until then nothing changes.
///
/// # Errors
/// No such resource, or the caller is no administrator.
pub async fn sign_with(
    kernel: &Kernel,
    caller: &Caller,
    id: ResourceId,
    ask: &SignWith,
) -> Result<Revised<Resource>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "resource.sign_with", id), async {
            may_administer_resource(kernel, caller, id).await?;
            let ((resource, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Resource>("resource", id).await?;
                    let environment = kernel.must::<Environment>("environment", &stored.environment).await?;
                    let new_key = missing_key(kernel, &environment, ask.signing_algorithm, now)?;
                    let resource = Resource { signing_algorithm: ask.signing_algorithm, ..(*stored.value).clone() };
                    let event = kernel
                        .event(now, EventKind::ResourceSigningChanged)
                        .subject(id)
                        .fact("signing_algorithm", ask.signing_algorithm.unwrap_or(environment.signing_algorithm));
                    let mut changeset = Changeset::new(caller.author(), now, keys::with_key(event, new_key.as_ref()));
                    changeset.replace(&stored, &resource);
                    if let Some(key) = &new_key {
                        add_key(&mut changeset, &environment, key, now.plus(kernel.settings.key_overlap));
                    }
                    Ok((changeset, (resource, stored.revision + 1)))
                })
                .await?;
            kernel.changed(resource, revision, &committed).await
        })
        .await
}

/// Whether the caller may change a resource of its environment.
pub(crate) async fn may_administer_resource(kernel: &Kernel, caller: &Caller, id: ResourceId) -> Result<(), OpError> {
    let environment =
        kernel.one::<Resource>(id).await?.map(|resource| resource.environment.clone()).unwrap_or_default();
    kernel
        .allow(caller, Action::Administer, inventory("resource", id, &environment), administration(false, false))
        .map(|_| ())
}

/// The first key of an algorithm that an environment has none of yet.
pub(crate) fn missing_key(
    kernel: &Kernel,
    environment: &Environment,
    algorithm: Option<SigningAlgorithm>,
    now: Timestamp,
) -> Result<Option<SigningKey>, OpError> {
    let missing = algorithm.filter(|algorithm| !environment.algorithms().contains(algorithm));
    missing
        .map(|algorithm| keys::new_key_of(kernel, KeyUse::AccessToken(environment.name.clone()), algorithm, now))
        .transpose()
}

fn add_key(changeset: &mut Changeset, environment: &Stored<Environment>, key: &SigningKey, signs_from: Timestamp) {
    let mut with_key = (*environment.value).clone();
    with_key.keys.push(EnvironmentKey::new(key, signs_from));
    changeset.replace(environment, &with_key).insert(key);
}

fn check_resource(ask: &NewResource) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let has_scheme = ask.uri.split_once("://").is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'+')
            && !rest.is_empty()
    });
    if !has_scheme
        || ask.uri.contains('#')
        || ask.uri.len() > 500
        || ask.uri.bytes().any(|b| b <= b' ' || b == b'"' || b == b'\\' || b > b'~')
        || !uri::has_plain_host(&ask.uri)
    {
        problems.push(FieldProblem::new(
            "uri",
            "uri_malformed",
            "give an absolute URI without fragment, user information or an encoded host, e.g. https://orders.internal (RFC 8707)",
        ));
    }
    if let Err(problem) = parse_name("type", &ask.kind) {
        problems.push(problem);
    }
    problems.extend(resource_problems(&ask.actions, &ask.data_domains));
    problems
}

/// What is wrong with what a resource knows and holds.
pub(crate) fn resource_problems(actions: &[String], data_domains: &[String]) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let good = |action: &String| {
        !action.is_empty()
            && action.len() <= 64
            && action.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.:-".contains(&b))
    };
    if actions.is_empty() || actions.len() > 64 || !actions.iter().all(good) {
        problems.push(FieldProblem::new(
            "actions",
            "actions_malformed",
            "list 1 to 64 actions of a-z, 0-9 and _ . : -",
        ));
    }
    if data_domains.len() > MAX_DOMAINS
        || data_domains.iter().any(|domain| domain.is_empty() || domain.len() > MAX_TEXT)
    {
        problems.push(FieldProblem::new("data_domains", "data_domains_malformed", "list at most 32 names"));
    }
    problems
}
