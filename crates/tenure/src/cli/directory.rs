//! Set-up, applications, environments, resources, issuers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::Value;
use tenure_api::issuers::{NewTokenReview, ReviewLoginAsk};
use tenure_api::ownership::{ApplicationEdit, EnvironmentEdit, ResourceEdit};
use tenure_api::requests::{
    IssuerToken, NewApplication, NewEnvironment, NewIssuer, NewResource, Setup as SetupRequest, SignWith,
};
use tenure_client::{ClientError, ListQuery};
use tenure_core::base::id::{ApplicationId, IdentityId, IssuerId, PersonId, ResourceId, TargetId, TeamId};
use tenure_core::inventory::resource::{TargetGrants, Verification, WhenUnreachable};
use tenure_core::trust::issuer::Preset;
use tenure_core::trust::signing_key::SigningAlgorithm;

use super::context::{Context, read_secret, revision_or, word};
use super::failure::Failure;
use super::output::{Column, Paging, Search, line};
use crate::server::write_secret;

const APPLICATIONS: &[Column] = &[("ID", "/id"), ("NAME", "/name"), ("OWNER", "/owner"), ("CREATED", "/created_at")];
const ENVIRONMENTS: &[Column] = &[("NAME", "/name"), ("PRODUCTION", "/production"), ("CREATED", "/created_at")];
const RESOURCES: &[Column] = &[
    ("ID", "/id"),
    ("URI", "/uri"),
    ("TYPE", "/type"),
    ("ENVIRONMENT", "/environment"),
    ("ACTIONS", "/actions"),
    ("VERIFICATION", "/verification"),
];
const ISSUERS: &[Column] = &[
    ("ID", "/id"),
    ("PRESET", "/preset"),
    ("URL", "/url"),
    ("AUDIENCE", "/audience"),
    ("ENVIRONMENTS", "/environments"),
    ("STATE", "/state"),
];

/// Makes the first administrator of an empty server.
///
/// The server wrote a set-up token into its data folder when it first started; it is good for 15 minutes and one use.
/// The administrator's operator token is written to DATA/operator-token, where the other commands find it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tenure setup --name \"Ada Lovelace\" --email ada@example.com
  tenure setup --name \"Ada Lovelace\" --data /var/lib/tenure --server https://tenure.example.com")]
pub struct Setup {
    /// The administrator's name.
    #[arg(long)]
    name: String,
    /// The administrator's e-mail address.
    #[arg(long)]
    email: Option<String>,
    /// The file with the set-up token; DATA/setup-token if not given, `-` is standard input.
    #[arg(long, value_name = "FILE")]
    setup_token_file: Option<PathBuf>,
}

impl Setup {
    /// Sets up.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.anonymous()?;
        let source = self.setup_token_file.unwrap_or_else(|| context.data().join("setup-token"));
        wait_for(&client, &source).await?;
        let setup_token = read_secret(&source)
            .context("the server writes its set-up token into its data folder: name it with --data")?;
        let done = client.set_up(&SetupRequest { setup_token, name: self.name, email: self.email }).await?;
        let target = context.token_path();
        // The set-up token is spent by now: if the new one can't be kept, it must not be lost either.
        if let Err(error) = make_parent(&target).and_then(|()| write_secret(&target, &done.operator_token)) {
            eprintln!("error: {error:#}\nhint: the operator token follows; keep it where only you can read it");
            line(&done.operator_token)?;
        } else {
            eprintln!("the operator token is in {} until {}", target.display(), done.expires_at);
        }
        context.out.record(&done.person)
    }
}

pub fn make_parent(path: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .with_context(|| format!("can't make {}", parent.display())),
        None => Ok(()),
    }
}

/// Applications, which identities work for.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure application create --name billing --owner per_… --removal-group team_…
  tenure application update app_… --owner per_… --removal-group team_…
  tenure application list --owner per_…")]
pub enum Application {
    /// Makes an application.
    Create {
        /// The name, unique for ever.
        #[arg(long)]
        name: String,
        /// The person who answers for it.
        #[arg(long)]
        owner: PersonId,
        /// The team that answers for the removal of its identities, unless their charters name another.
        #[arg(long, value_name = "TEAM")]
        removal_group: Option<TeamId>,
    },
    /// Changes an application, as it stands now or at the revision that was read.
    Update {
        /// Its id.
        id: ApplicationId,
        /// The person who answers for it from now on.
        #[arg(long)]
        owner: Option<PersonId>,
        /// The team that answers for the removal of its identities.
        #[arg(long, value_name = "TEAM")]
        removal_group: Option<TeamId>,
        /// The revision that the change is meant for; what it is now if not given.
        #[arg(long)]
        revision: Option<u64>,
    },
    /// Lists applications.
    List {
        /// Only with this name.
        #[arg(long)]
        name: Option<String>,
        /// Only of this owner.
        #[arg(long)]
        owner: Option<PersonId>,
        #[command(flatten)]
        search: Search,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows an application.
    Show {
        /// The application's id.
        id: ApplicationId,
    },
}

impl Application {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Create { name, owner, removal_group } => {
                let ask = NewApplication { name, owner, removal_group };
                context.out.record(&client.create_application(&ask).await?)
            }
            Self::Update { id, owner, removal_group, revision } => {
                if owner.is_none() && removal_group.is_none() {
                    return Err(Failure::usage("say what is to change")
                        .hint("--owner per_… or --removal-group team_…")
                        .into());
                }
                let revision = revision_or(revision, client.application(id)).await?;
                context
                    .out
                    .record(&client.update_application(id, revision, &ApplicationEdit { owner, removal_group }).await?)
            }
            Self::List { name, owner, search, paging } => {
                let query = filtered([("name", name), ("owner", owner.map(|id| id.to_string()))]);
                context
                    .out
                    .list(&paging, search.of(query), APPLICATIONS, async |query| client.applications(&query).await)
                    .await
            }
            Self::Show { id } => context.out.record(&client.application(id).await?),
        }
    }
}

/// Environments; each is an OAuth issuer with keys of its own.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure environment create --name prod --production
  tenure environment update staging --production true
  tenure environment update staging --production false --purpose 'a test stage again'     asks for it: another administrator approves
  tenure environment rotate-key prod        the new key is published first and signs after the overlap")]
pub enum Environment {
    /// Makes an environment.
    Create {
        /// The name, part of the issuer identifier.
        #[arg(long)]
        name: String,
        /// It counts as production.
        #[arg(long)]
        production: bool,
        /// What tokens are signed with, unless a resource says otherwise: EdDSA, ES256 or RS256.
        #[arg(long, value_parser = word::<SigningAlgorithm>, default_value = "EdDSA", value_name = "ALGORITHM")]
        signing_algorithm: SigningAlgorithm,
    },
    /// Lists environments.
    List {
        #[command(flatten)]
        search: Search,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows an environment and its signing keys.
    Show {
        /// The environment's name.
        name: String,
    },
    /// Changes an environment; that it no longer counts as production is a request that another administrator approves.
    Update {
        /// The environment's name.
        name: String,
        /// Whether it counts as production.
        #[arg(long)]
        production: Option<bool>,
        /// What tokens are signed with, unless a resource says otherwise: EdDSA, ES256 or RS256.
        #[arg(long, value_parser = word::<SigningAlgorithm>, value_name = "ALGORITHM")]
        signing_algorithm: Option<SigningAlgorithm>,
        /// For which need, where it takes a request.
        #[arg(long)]
        purpose: Option<String>,
        /// The revision that the change is meant for; what it is now if not given.
        #[arg(long)]
        revision: Option<u64>,
    },
    /// Publishes a new signing key of each algorithm, which signs once verifiers had time to fetch it.
    RotateKey {
        /// The environment's name.
        name: String,
    },
}

impl Environment {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Create { name, production, signing_algorithm } => {
                let ask = NewEnvironment { name, production, signing_algorithm };
                context.out.record(&client.create_environment(&ask).await?)
            }
            Self::List { search, paging } => {
                context
                    .out
                    .list(&paging, search.of(ListQuery::new()), ENVIRONMENTS, async |query| {
                        client.environments(&query).await
                    })
                    .await
            }
            Self::Show { name } => context.out.record(&client.environment(&name).await?),
            Self::Update { name, production, signing_algorithm, purpose, revision } => {
                if production.is_none() && signing_algorithm.is_none() {
                    return Err(Failure::usage("say what is to change")
                        .hint("--production or --signing-algorithm")
                        .into());
                }
                let ask = EnvironmentEdit { production, signing_algorithm, purpose };
                let revision = revision_or(revision, client.environment(&name)).await?;
                context.out.edited(&client.update_environment(&name, revision, &ask).await?)
            }
            Self::RotateKey { name } => context.out.record(&client.rotate_key(&name).await?),
        }
    }
}

/// Resources, which identities act on.
#[derive(Subcommand)]
#[command(after_help = "\
Example:
  tenure resource create --uri https://ledger.example.com --type api --action read --action write \\
    --application app_… --environment prod --verification online")]
pub enum Resource {
    /// Makes a resource.
    Create {
        /// Its identifier: an absolute URI without fragment; tokens for it name it as their audience.
        #[arg(long)]
        uri: String,
        /// Its type in decisions, e.g. api, database.
        #[arg(long = "type", value_name = "TYPE")]
        kind: String,
        /// An action that it knows; may be given several times.
        #[arg(long = "action", value_name = "ACTION", required = true)]
        actions: Vec<String>,
        /// The application that it belongs to.
        #[arg(long)]
        application: ApplicationId,
        /// The environment that it is in.
        #[arg(long)]
        environment: String,
        /// A data domain that it holds; may be given several times.
        #[arg(long = "data-domain", value_name = "DOMAIN")]
        data_domains: Vec<String>,
        /// online: it asks Tenure at each use, a revocation counts at once; offline: it checks signatures, a revoked
        /// token counts to its end.
        #[arg(long, value_parser = word::<Verification>, default_value = "online", value_name = "HOW")]
        verification: Verification,
        /// deny: it refuses while Tenure can't be reached; accept: an enforcement point with an exception
        /// `accept_unreachable` may go on for a while.
        #[arg(long, value_parser = word::<WhenUnreachable>, default_value = "deny", value_name = "WHAT")]
        when_unreachable: WhenUnreachable,
        /// What its tokens are signed with, where its verifiers don't know what the environment signs with: EdDSA,
        /// ES256 or RS256.
        #[arg(long, value_parser = word::<SigningAlgorithm>, value_name = "ALGORITHM")]
        signing_algorithm: Option<SigningAlgorithm>,
    },
    /// Changes a resource: narrower at once and for the credentials that are out, too; wider by a request that another
    /// administrator approves.
    Update {
        /// Its id.
        id: ResourceId,
        /// An action that it knows, of all that it is to know; may be given several times.
        #[arg(long = "action", value_name = "ACTION")]
        actions: Vec<String>,
        /// A data domain that it holds, of all that it is to hold; may be given several times.
        #[arg(long = "data-domain", value_name = "DOMAIN")]
        data_domains: Vec<String>,
        /// It holds no data domain any more.
        #[arg(long, conflicts_with = "data_domains")]
        no_data_domain: bool,
        /// online, or more weakly offline.
        #[arg(long, value_parser = word::<Verification>, value_name = "HOW")]
        verification: Option<Verification>,
        /// deny, or more weakly accept.
        #[arg(long, value_parser = word::<WhenUnreachable>, value_name = "WHAT")]
        when_unreachable: Option<WhenUnreachable>,
        /// The target at which logins are made for it just in time.
        #[arg(long, requires = "login_grants")]
        login_target: Option<TargetId>,
        /// What an action comes to there, in the target's words, of all that its actions are to come to, e.g.
        /// `read=SELECT ON TABLE public.orders`; may be given several times.
        #[arg(long = "login-grant", value_name = "ACTION=GRANT", requires = "login_target")]
        login_grants: Vec<String>,
        /// For which need, where it takes a request.
        #[arg(long)]
        purpose: Option<String>,
        /// The revision that the change is meant for; what it is now if not given.
        #[arg(long)]
        revision: Option<u64>,
    },
    /// Lists resources.
    List {
        /// Only with this identifier.
        #[arg(long)]
        uri: Option<String>,
        /// Only in this environment.
        #[arg(long)]
        environment: Option<String>,
        /// Only of this application.
        #[arg(long)]
        application: Option<ApplicationId>,
        #[command(flatten)]
        search: Search,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows a resource.
    Show {
        /// The resource's id.
        id: ResourceId,
    },
    /// Has its tokens signed with another algorithm from now on: EdDSA, ES256 or RS256; without one with what its
    /// environment says.
    SignWith {
        /// The resource's id.
        id: ResourceId,
        /// The algorithm.
        #[arg(value_parser = word::<SigningAlgorithm>)]
        signing_algorithm: Option<SigningAlgorithm>,
    },
}

/// What actions come to at a target.
fn mapped(target: TargetId, grants: &[String]) -> anyhow::Result<TargetGrants> {
    let mut actions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for grant in grants {
        let Some((action, grant)) = grant.split_once('=') else {
            let hint = "e.g. --login-grant 'read=SELECT ON TABLE public.orders'";
            return Err(Failure::usage("a grant is written as ACTION=GRANT").hint(hint).into());
        };
        actions.entry(action.to_owned()).or_default().push(grant.to_owned());
    }
    Ok(TargetGrants { target, actions })
}

impl Resource {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Create {
                uri,
                kind,
                actions,
                application,
                environment,
                data_domains,
                verification,
                when_unreachable,
                signing_algorithm,
            } => {
                let ask = NewResource {
                    uri,
                    kind,
                    actions,
                    application,
                    environment,
                    data_domains,
                    verification,
                    when_unreachable,
                    signing_algorithm,
                };
                context.out.record(&client.create_resource(&ask).await?)
            }
            Self::Update {
                id,
                actions,
                data_domains,
                no_data_domain,
                verification,
                when_unreachable,
                login_target,
                login_grants,
                purpose,
                revision,
            } => {
                let given = |names: Vec<String>| Some(names).filter(|names| !names.is_empty());
                let ask = ResourceEdit {
                    actions: given(actions),
                    data_domains: if no_data_domain { Some(Vec::new()) } else { given(data_domains) },
                    verification,
                    when_unreachable,
                    logins: login_target.map(|target| mapped(target, &login_grants)).transpose()?,
                    purpose,
                };
                if ask.is_empty() {
                    return Err(Failure::usage("say what is to change")
                        .hint("--action, --data-domain, --verification, --when-unreachable or --login-target")
                        .into());
                }
                let revision = revision_or(revision, client.resource(id)).await?;
                context.out.edited(&client.update_resource(id, revision, &ask).await?)
            }
            Self::List { uri, environment, application, search, paging } => {
                let query = filtered([
                    ("uri", uri),
                    ("environment", environment),
                    ("application", application.map(|id| id.to_string())),
                ]);
                context
                    .out
                    .list(&paging, search.of(query), RESOURCES, async |query| client.resources(&query).await)
                    .await
            }
            Self::Show { id } => context.out.record(&client.resource(id).await?),
            Self::SignWith { id, signing_algorithm } => {
                context.out.record(&client.sign_with(id, &SignWith { signing_algorithm }).await?)
            }
        }
    }
}

/// External issuers whose tokens prove workloads, such as a CI system's.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  tenure issuer propose --preset github_actions --audience https://tenure.example.com --environment prod \\
    --tenant-claim repository_owner_id=1234     the id of your organisation: gh api orgs/ORG --jq .id
  tenure issuer propose --preset gitlab --audience https://tenure.example.com --environment prod \\
    --tenant-claim namespace_id=72              one for each group: glab api groups/GROUP
  tenure issuer propose --preset kubernetes --url https://oidc.cluster-7.example.com --audience tenure --environment prod
  tenure issuer propose --url https://ci.example.com --audience https://tenure.example.com --environment prod
  tenure issuer confirm iss_…                   by a second administrator")]
pub enum Issuer {
    /// Proposes an issuer; a second administrator confirms it.
    #[command(alias = "create")]
    Propose {
        /// What sort of platform it is: which ids its tokens carry, and what a binding to it has to fix.
        #[arg(long, value_parser = word::<Preset>, default_value = "oidc", value_name = "PLATFORM", help = "oidc, github_actions, gitlab or kubernetes")]
        preset: Preset,
        /// The issuer identifier: an https URL; its discovery document must name the same. The preset's own if not
        /// given.
        #[arg(long, default_value = "", hide_default_value = true)]
        url: String,
        /// The audience that its tokens must name, exactly and alone.
        #[arg(long)]
        audience: String,
        /// An environment in which its proofs count; may be given several times.
        #[arg(long = "environment", value_name = "NAME", required = true)]
        environments: Vec<String>,
        /// A signature algorithm accepted of it; all that Tenure knows if none is given.
        #[arg(long = "algorithm", value_name = "ALG")]
        algorithms: Vec<String>,
        /// A claim that every token must have with this value, such as the immutable id of your tenant; several values
        /// of one claim are a choice. CLAIM=TEXT, or CLAIM:=VALUE for a number, true or false.
        #[arg(long = "tenant-claim", value_name = "CLAIM=VALUE", value_parser = typed)]
        tenant_claims: Vec<(String, Value)>,
        /// A claim that every binding to it must fix.
        #[arg(long = "required-claim", value_name = "CLAIM")]
        required_claims: Vec<String>,
        /// The API server of the cluster, which is then asked about each token before it counts: whether its pod is
        /// still there.
        #[arg(long = "token-review", value_name = "URL")]
        token_review: Option<String>,
        /// The file with the certificate authorities of that API server, in PEM; those of the system if not given.
        #[arg(long = "token-review-ca", value_name = "FILE", requires = "token_review")]
        token_review_ca: Option<PathBuf>,
    },
    /// Hands in the login by which an issuer's cluster is asked about tokens: a bearer token that may create
    /// tokenreviews, and nothing else.
    ReviewLogin {
        /// The issuer's id.
        id: IssuerId,
        /// The file with the token; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        secret_file: PathBuf,
    },
    /// Confirms a proposed issuer.
    Confirm {
        /// The issuer's id.
        id: IssuerId,
    },
    /// Says which check of a token of the issuer fails, if one does; the token is not used up.
    Try {
        /// The issuer's id.
        id: IssuerId,
        /// The file with the token; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
        /// Also hold it against the bindings of this identity.
        #[arg(long)]
        identity: Option<IdentityId>,
    },
    /// Trusts an issuer no longer, for ever.
    Remove {
        /// The issuer's id.
        id: IssuerId,
    },
    /// Lists issuers.
    List {
        /// Only with this identifier.
        #[arg(long)]
        url: Option<String>,
        #[command(flatten)]
        search: Search,
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows an issuer.
    Show {
        /// The issuer's id.
        id: IssuerId,
    },
}

impl Issuer {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        match self {
            Self::Propose {
                preset,
                url,
                audience,
                environments,
                algorithms,
                tenant_claims,
                required_claims,
                token_review,
                token_review_ca,
            } => {
                let ca = token_review_ca.as_deref().map(std::fs::read_to_string).transpose()?;
                context.out.record(
                    &client
                        .create_issuer(&NewIssuer {
                            preset,
                            url,
                            audience,
                            environments,
                            algorithms,
                            fixed_claims: choices(tenant_claims),
                            required_claims,
                            token_review: token_review.map(|url| NewTokenReview { url, ca }),
                        })
                        .await?,
                )
            }
            Self::ReviewLogin { id, secret_file } => {
                let secret = read_secret(&secret_file)?;
                context.out.record(&client.set_review_login(id, &ReviewLoginAsk { secret }).await?)
            }
            Self::Confirm { id } => context.out.record(&client.confirm_issuer(id).await?),
            Self::Try { id, token_file, identity } => {
                let token = read_secret(&token_file)?;
                context.out.record(&client.try_issuer(id, &IssuerToken { token, identity }).await?)
            }
            Self::Remove { id } => context.out.record(&client.remove_issuer(id).await?),
            Self::List { url, search, paging } => {
                context
                    .out
                    .list(&paging, search.of(filtered([("url", url)])), ISSUERS, async |query| {
                        client.issuers(&query).await
                    })
                    .await
            }
            Self::Show { id } => context.out.record(&client.issuer(id).await?),
        }
    }
}

/// `NAME=TEXT`, or `NAME:=VALUE` for a number, true or false: which of them it is, a comparison tells apart.
pub fn typed(text: &str) -> Result<(String, Value), String> {
    let usage = "write it as NAME=TEXT, e.g. repository_owner_id=1234, or as NAME:=VALUE for a number, true or false, e.g. email_verified:=true";
    let (name, value) = text.split_once('=').ok_or(usage)?;
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => match serde_json::from_str(value) {
            Ok(value @ (Value::Bool(_) | Value::Number(_))) => (name, value),
            _ => return Err(format!("{value} is no number, true or false; {usage}")),
        },
        None => (name, Value::String(value.to_owned())),
    };
    if name.is_empty() || value == Value::String(String::new()) {
        return Err(usage.to_owned());
    }
    Ok((name.to_owned(), value))
}

/// The claims, each with its value: CI platforms write their ids as text; several values of one are a list.
fn choices(given: Vec<(String, Value)>) -> BTreeMap<String, Value> {
    let mut values: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (name, value) in given {
        values.entry(name).or_default().push(value);
    }
    let one_or_list = |mut several: Vec<Value>| match several.pop() {
        Some(only) if several.is_empty() => only,
        last => Value::Array(several.into_iter().chain(last).collect()),
    };
    values.into_iter().map(|(name, several)| (name, one_or_list(several))).collect()
}

/// A query with the filters that were given.
pub fn filtered<const N: usize>(filters: [(&'static str, Option<String>); N]) -> ListQuery {
    filters.into_iter().fold(ListQuery::new(), |query, (name, value)| match value {
        Some(value) => query.filter(name, value),
        None => query,
    })
}

/// Gives a server that was started a moment ago the time to leave its set-up token; one that was set up before says so
/// at once.
async fn wait_for(client: &tenure_client::Client, file: &std::path::Path) -> anyhow::Result<()> {
    if file.as_os_str() == "-" {
        return Ok(());
    }
    let mut answered = false;
    for tenth in 0..100 {
        if file.exists() {
            return Ok(());
        }
        if !answered && tenth % 5 == 0 {
            let nothing = SetupRequest { setup_token: String::new(), name: String::new(), email: None };
            match client.set_up(&nothing).await {
                // Whether it was done before is said whatever the token.
                Err(error) if error.code() == Some("setup") => return Err(error.into()),
                Err(ClientError::Transport(_)) => {}
                _ => answered = true,
            }
        }
        if tenth == 5 {
            eprintln!("waiting for the server's set-up token in {}", file.display());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    if answered {
        return Err(Failure::new(format!("the server runs, and there is no set-up token in {}", file.display()))
            .hint("name the server's data folder with --data, or the file with --setup-token-file; a token is good for 15 minutes, and a restart makes another")
            .into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn d18_a_claim_is_text_unless_it_says_otherwise() {
        for (text, value) in
            [("id=1234", json!("1234")), ("id:=1234", json!(1234)), ("ok:=true", json!(true)), ("a=b=c", json!("b=c"))]
        {
            assert_eq!(typed(text).unwrap().1, value, "{text}");
        }
        for bad in ["id", "=1", "id=", "id:=abc", "id:=[1]", "id:=\"x\"", ":=1"] {
            assert!(typed(bad).unwrap_err().contains("NAME:=VALUE"), "{bad}");
        }
        let values = vec![("a".to_owned(), json!("1")), ("a".to_owned(), json!(2)), ("b".to_owned(), json!(true))];
        assert_eq!(choices(values), BTreeMap::from([("a".to_owned(), json!(["1", 2])), ("b".to_owned(), json!(true))]));
    }
}
