//! Providers that people sign in with: registered by one administrator, confirmed by another (S-13), and for people
//! only (R18).

use tenure_api::sign_in::{NewSignInProvider, SignInProviderView};
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::{PersonId, SignInProviderId};
use tenure_core::base::problem::FieldProblem;
use tenure_core::base::state::{BadStep, InState};
use tenure_core::people::sign_in::SignInProvider;
use tenure_core::policy::Action;
use tenure_core::store::changeset::Once;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::secret::Secret;
use tenure_core::trust::state::TrustState;
use tenure_credentials::jose::Algorithm;

use crate::kernel::Kernel;
use crate::kernel::authority::{self, administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::query::Query;
use crate::trust::issuers::{self, Discovery, IssuerUse, allowed_url};
use crate::trust::records::{self, Names, Trusted};

const KIND: &str = "sign_in_provider";
const SEAL_LABEL: &str = "sign-in-client-secret";
const MAX_TEXT: usize = 200;
const MAX_SECRET: usize = 1_000;
const MAX_METHODS: usize = 32;
/// Providers on the sign-in page.
const MAX_PROVIDERS: u16 = 20;

impl Trusted for SignInProvider {
    const NAMES: Names = Names {
        what: "sign-in provider",
        kind: KIND,
        confirm: "sign_in_provider.confirm",
        remove: "sign_in_provider.remove",
        activated: EventKind::SignInProviderActivated,
        removed: EventKind::SignInProviderRemoved,
    };
    fn state(&self) -> TrustState {
        self.state.get()
    }
    fn proposed_by(&self) -> PersonId {
        self.proposed_by
    }
    fn confirmed(self, by: PersonId) -> Result<Self, BadStep> {
        self.confirm(by)
    }
    fn removed(self) -> Result<Self, BadStep> {
        self.remove()
    }
}

/// Registers a provider. People can sign in with it once another administrator has confirmed it, or at once, and marked
/// so, while there is no other.
///
/// # Errors
/// The fields are wrong, its discovery document doesn't fit, workloads are proven by it, or the caller may not.
pub async fn create_sign_in_provider(
    kernel: &Kernel,
    caller: &Caller,
    ask: NewSignInProvider,
) -> Result<Revised<SignInProviderView>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "sign_in_provider.create", ""), async {
            kernel.allow(caller, Action::Trust, inventory(KIND, "", ""), administration(false, false))?;
            let proposed_by = caller.must_be_person()?;
            let problems = check(&ask);
            if !problems.is_empty() {
                return Err(OpError::Invalid(problems));
            }
            let found = issuers::discover(kernel, "issuer", &ask.issuer).await?;
            let (authorization_endpoint, token_endpoint) = endpoints(&found, ask.issuer.starts_with("https://"))?;
            let (provider, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let proposing = records::proposing(kernel, caller, now).await?;
                    let earlier = issuers::earlier_registrations(kernel, &ask.issuer, IssuerUse::People).await?;
                    let id = SignInProviderId::generate(now, kernel.entropy.as_ref());
                    let provider = SignInProvider {
                        id,
                        name: ask.name.trim().to_owned(),
                        issuer: ask.issuer.clone(),
                        client_id: ask.client_id.clone(),
                        client_secret: ask
                            .client_secret
                            .as_deref()
                            .map(|secret| seal_client_secret(kernel, id, secret))
                            .transpose()?,
                        secret_in_form: in_form(found.token_endpoint_auth_methods_supported.as_deref()),
                        phishing_resistant: ask.phishing_resistant.clone(),
                        acr_values: both(&ask.phishing_resistant, &found.acr_values_supported),
                        authorization_endpoint: authorization_endpoint.clone(),
                        token_endpoint: token_endpoint.clone(),
                        jwks_uri: found.jwks_uri.clone(),
                        algorithms: algorithms(&found.id_token_signing_alg_values_supported),
                        names_itself: found.authorization_response_iss_parameter_supported,
                        state: InState::proposed(proposing.alone),
                        proposed_by,
                        confirmed_by: None,
                        single_person: proposing.alone,
                        created_at: now,
                    };
                    let event = kernel
                        .event(now, EventKind::SignInProviderProposed)
                        .subject(id)
                        .fact("issuer", &provider.issuer)
                        .fact("client_id", &provider.client_id)
                        .fact("phishing_resistant", &provider.phishing_resistant)
                        .fact("authorization_endpoint", &provider.authorization_endpoint)
                        .fact("token_endpoint", &provider.token_endpoint)
                        .fact("jwks_uri", &provider.jwks_uri);
                    let mut changeset = records::proposal(kernel, caller, now, proposing, &provider, event);
                    changeset.once.push(Once {
                        space: "issuer_url",
                        // As in the registration of issuers: two of the same moment use the same number, whatever
                        // they are for.
                        key: format!("{} {earlier}", provider.issuer),
                        until: None,
                    });
                    Ok((changeset, provider))
                })
                .await?;
            kernel.changed(provider_view(kernel, &provider), 1, &committed).await
        })
        .await
}

/// Confirms a provider that somebody else proposed.
///
/// # Errors
/// No such provider, it isn't proposed, or the caller proposed it, may not, or hasn't just signed in.
pub async fn confirm_sign_in_provider(
    kernel: &Kernel,
    caller: &Caller,
    id: SignInProviderId,
) -> Result<Revised<SignInProviderView>, OpError> {
    let confirmed = records::confirm_trusted(kernel, caller, &id.to_string()).await?;
    Ok(changed_provider(kernel, &confirmed))
}

/// Ends the sign-in by a provider, for ever. One administrator is enough to take trust away.
///
/// # Errors
/// No such provider, it was removed before, or the caller may not.
pub async fn remove_sign_in_provider(
    kernel: &Kernel,
    caller: &Caller,
    id: SignInProviderId,
) -> Result<Revised<SignInProviderView>, OpError> {
    let removed = records::remove_trusted(kernel, caller, &id.to_string(), None).await?;
    Ok(changed_provider(kernel, &removed))
}

/// All providers, without their secrets.
///
/// # Errors
/// The caller may not read them.
pub async fn sign_in_providers(kernel: &Kernel, caller: &Caller) -> Result<Page<Revised<SignInProviderView>>, OpError> {
    authority::may_read(kernel, caller, KIND, "", false).await?;
    let (rows, unreadable) = kernel.find::<SignInProvider>(Query::every()).await?.apart();
    let items = rows.into_iter().map(|stored| Revised {
        record: provider_view(kernel, &stored),
        revision: stored.revision,
        hold: None,
        log: None,
        names: tenure_api::views::Names::new(),
    });
    Ok(Page {
        items: items.collect(),
        next: None,
        count: None,
        unreadable: unreadable.into_iter().map(|unreadable| unreadable.bad.key.id).collect(),
        names: tenure_api::views::Names::new(),
    })
}

/// The providers of the sign-in page: which there are is for everyone to see.
///
/// # Errors
/// The store can't be read.
pub async fn offered_providers(kernel: &Kernel) -> Result<Vec<(SignInProviderId, String)>, OpError> {
    let stored = kernel.find::<SignInProvider>(Query::every()).await?.readable().into_iter();
    Ok(stored
        .filter(|provider| provider.state == TrustState::Active)
        .take(MAX_PROVIDERS.into())
        .map(|provider| (provider.id, provider.name.clone()))
        .collect())
}

fn seal_client_secret(kernel: &Kernel, id: SignInProviderId, secret: &str) -> Result<String, OpError> {
    kernel
        .root
        .seal(SEAL_LABEL, &id.to_string(), secret.as_bytes(), kernel.entropy.as_ref())
        .map_err(|error| OpError::Internal(error.to_string()))
}

/// Our client secret at a provider, for the one request that needs it.
pub(crate) fn client_secret(kernel: &Kernel, provider: &SignInProvider) -> Result<Option<Secret<String>>, OpError> {
    let Some(sealed) = &provider.client_secret else {
        return Ok(None);
    };
    let broken =
        || OpError::Internal(format!("the client secret of {} can't be opened with this root key", provider.id));
    kernel.root.open_text(SEAL_LABEL, &provider.id.to_string(), sealed).map(Some).map_err(|_| broken())
}

/// The redirect URI that a provider has to know.
pub(crate) fn redirect_uri(kernel: &Kernel) -> String {
    format!("{}/sign-in/oidc/callback", kernel.settings.public_url)
}

fn changed_provider(kernel: &Kernel, changed: &Revised<SignInProvider>) -> Revised<SignInProviderView> {
    Revised {
        record: provider_view(kernel, &changed.record),
        revision: changed.revision,
        hold: None,
        log: changed.log.clone(),
        names: tenure_api::views::Names::new(),
    }
}

fn provider_view(kernel: &Kernel, provider: &SignInProvider) -> SignInProviderView {
    SignInProviderView {
        id: provider.id,
        name: provider.name.clone(),
        issuer: provider.issuer.clone(),
        client_id: provider.client_id.clone(),
        confidential: provider.client_secret.is_some(),
        redirect_uri: redirect_uri(kernel),
        phishing_resistant: provider.phishing_resistant.clone(),
        authorization_endpoint: provider.authorization_endpoint.clone(),
        token_endpoint: provider.token_endpoint.clone(),
        jwks_uri: provider.jwks_uri.clone(),
        state: provider.state.get(),
        proposed_by: provider.proposed_by,
        confirmed_by: provider.confirmed_by,
        single_person: provider.single_person,
        created_at: provider.created_at,
    }
}

fn check(ask: &NewSignInProvider) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let text = |text: &str, limit: usize| {
        !text.trim().is_empty() && text.len() <= limit && tenure_core::base::text::check_line(text).is_ok()
    };
    let mut demand = |good: bool, field: &str, code: &str, hint: &str| {
        if !good {
            problems.push(FieldProblem::new(field, code, hint));
        }
    };
    demand(
        text(&ask.name, MAX_TEXT),
        "name",
        "name_malformed",
        "give the name for the sign-in page, of 1 to 200 bytes",
    );
    demand(
        allowed_url(&ask.issuer, false),
        "issuer",
        "url_malformed",
        "give the issuer exactly as its discovery document names it: an https URL without user, query and fragment",
    );
    demand(
        text(&ask.client_id, MAX_TEXT),
        "client_id",
        "client_id_malformed",
        "give the client id that the provider knows Tenure by",
    );
    demand(
        ask.client_secret.as_deref().is_none_or(|secret| text(secret, MAX_SECRET)),
        "client_secret",
        "client_secret_malformed",
        "give the client secret, of at most 1000 bytes, or leave it out",
    );
    demand(
        ask.phishing_resistant.len() <= MAX_METHODS
            && ask.phishing_resistant.iter().all(|method| text(method, MAX_TEXT)),
        "phishing_resistant",
        "methods_malformed",
        "list at most 32 values of acr or amr, e.g. phr or hwk",
    );
    problems
}

/// Where a browser is sent and where codes are exchanged, if both can be trusted.
fn endpoints(found: &Discovery, https: bool) -> Result<(String, String), OpError> {
    let good = |url: &Option<String>, with_query: bool| {
        url.clone().filter(|url| allowed_url(url, with_query) && (!https || url.starts_with("https://"))).ok_or_else(
            || {
                OpError::field(
                    "issuer",
                    "endpoints_malformed",
                    "its discovery document must name an authorization_endpoint and a token_endpoint, both https URLs",
                )
            },
        )
    };
    Ok((good(&found.authorization_endpoint, true)?, good(&found.token_endpoint, true)?))
}

/// Whether the secret goes into the form: only where the provider says that it takes no other way (Discovery 1.0,
/// section 3).
fn in_form(methods: Option<&[String]>) -> bool {
    methods.is_some_and(|methods| {
        let takes = |name: &str| methods.iter().any(|method| method == name);
        takes("client_secret_post") && !takes("client_secret_basic")
    })
}

fn both(ours: &[String], theirs: &[String]) -> Vec<String> {
    ours.iter().filter(|value| theirs.contains(value)).cloned().collect()
}

/// The provider's algorithms that Tenure knows; RS256, which every provider has, if it names none of them.
fn algorithms(supported: &[String]) -> Vec<String> {
    let mut known: Vec<Algorithm> = supported.iter().filter_map(|name| name.parse().ok()).collect();
    if known.is_empty() {
        known.push(Algorithm::Rs256);
    }
    known.sort_unstable();
    known.dedup();
    known.iter().map(|algorithm| algorithm.as_str().to_owned()).collect()
}
