//! The brief of a request: what a vote on it means, in words, with names beside ids (S-8).
//!
//! It is made of the same facts that the content hash is taken of, so that nothing is voted on which the voter could
//! not read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tenure_api::pages::is_id;
use tenure_api::request::{Brief, BriefFact, is_free_text};
use tenure_core::identity::Identity;
use tenure_core::identity::template::Template;
use tenure_core::inventory::application::Application;
use tenure_core::inventory::resource::Resource;
use tenure_core::inventory::third_party::{CloudAccount, Need, Vendor};
use tenure_core::people::person::Person;
use tenure_core::people::team::Team;
use tenure_core::policy::set::PolicySet;
use tenure_core::request::exception::Exception;
use tenure_core::request::{Asker, Matter, Request, RequestState};
use tenure_core::signal::Source;
use tenure_core::store::row::{Record, RowKey};
use tenure_core::trust::issuer::Issuer;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::matters::matter_facts;
use crate::requests::content::is_hash_of;
use crate::requests::facts::MatterFacts;

/// How many names one brief looks up; ids beyond them stand alone. A charter names fewer.
const MAX_NAMES: usize = 512;
/// What isn't there.
const NOTHING: &str = "-";
/// The fields that a reader looks for first, in this order.
const FIRST: [&str; 16] = [
    "identity",
    "person",
    "package",
    "policy",
    "type",
    "roles",
    "until",
    "access",
    "task",
    "starts_at",
    "duration",
    "name",
    "kind",
    "purpose",
    "environment",
    "scope",
];

/// A brief's content before names are put beside its ids: fields as the request wants them, and as they are where it
/// changes them.
struct Content {
    asked: Map<String, Value>,
    today: Option<Map<String, Value>>,
}

/// Two revisions of a request, as fields.
struct Edits {
    now: BTreeMap<String, String>,
    before: BTreeMap<String, String>,
}

/// What a vote on a request means as things stand.
///
/// # Errors
/// The store can't be read.
pub(crate) async fn brief(kernel: &Kernel, request: &Request) -> Result<Brief, OpError> {
    let facts = match request.state {
        RequestState::Open => {
            match matter_facts::facts(kernel, request.requested_by, &request.matter, kernel.now()).await {
                Ok(facts) => Some(facts),
                // What it is about has gone on meanwhile: a vote would say the same.
                Err(OpError::Refused { .. } | OpError::Invalid(_) | OpError::NotFound(_)) => None,
                Err(other) => return Err(other),
            }
        }
        _ => None,
    };
    let current = match &facts {
        Some(facts) => is_hash_of(&request.content_hash, facts, &request.purpose)?,
        None => false,
    };
    let content = content_of(kernel, request, facts.as_ref()).await?;
    let tier_because = facts.iter().flat_map(|facts| &facts.tier_because).map(|said| (*said).to_owned()).collect();
    let asked = rows(&content.asked);
    let today = content.today.as_ref().map(rows);
    let edited = request.before.as_ref().map(|before| Edits {
        now: rows(&revision(&request.matter, &request.purpose)),
        before: rows(&revision(&before.matter, &before.purpose)),
    });
    let asker = match request.requested_by {
        Asker::Person(id) => id.to_string(),
        Asker::Identity(id) => id.to_string(),
    };
    let sentence = sentence(&request.matter, &asker);
    let texts: Vec<String> = asked
        .iter()
        .chain(today.iter().flatten())
        .chain(edited.iter().flat_map(|edits| edits.now.iter().chain(&edits.before)))
        .filter(|(field, _)| !is_free_text(field))
        .map(|(_, text)| text.clone())
        .chain([sentence.clone()])
        .collect();
    let people: Vec<String> = (request.owner.iter().chain(&request.manager).chain(&request.interested))
        .chain(request.votes.iter().flat_map(|vote| std::iter::once(&vote.by).chain(&vote.instead_of)))
        .map(ToString::to_string)
        .collect();
    let names = names(kernel, people.iter().chain(&texts).map(String::as_str)).await?;
    let mut facts = told(&asked, today.as_ref(), &names);
    facts.sort_by_key(|fact| (fact.before.is_none(), weight(&fact.field)));
    let mut edited = edited.map(|edits| told(&edits.now, Some(&edits.before), &names)).unwrap_or_default();
    edited.retain(|fact| fact.before.is_some());
    Ok(Brief { summary: named(&sentence, &names), current, facts, edited, tier_because, names })
}

/// Fields as facts: each as it is to be, and as it was where that differs.
fn told(
    asked: &BTreeMap<String, String>,
    before: Option<&BTreeMap<String, String>>,
    names: &BTreeMap<String, String>,
) -> Vec<BriefFact> {
    let fact = |field: &String, value: &str, was: Option<&str>| BriefFact {
        field: field.clone(),
        value: shown(field, value, names),
        before: was.map(|was| shown(field, was, names)),
    };
    let mut facts: Vec<BriefFact> = asked
        .iter()
        .map(|(field, value)| {
            let was = before.map(|before| before.get(field).map_or(NOTHING, String::as_str));
            fact(field, value, was.filter(|was| was != value))
        })
        .collect();
    let gone = before.into_iter().flatten().filter(|(field, _)| !asked.contains_key(*field));
    facts.extend(gone.map(|(field, was)| fact(field, NOTHING, Some(was))));
    facts
}

/// What one revision of a request asked, as fields.
fn revision(matter: &Matter, purpose: &str) -> Map<String, Value> {
    let mut asked = object(json!(matter));
    asked.remove("type");
    asked.insert("purpose".into(), json!(purpose));
    asked
}

/// What a request asks for and is about, and what of it stands today.
async fn content_of(kernel: &Kernel, request: &Request, facts: Option<&MatterFacts>) -> Result<Content, OpError> {
    let subject = facts.map(|facts| facts.subject.whole()).unwrap_or_default();
    let part = |name: &str| object(subject.get(name).cloned().unwrap_or_default());
    let matter = facts.map_or(&request.matter, |facts| &facts.matter);
    let mut asked = object(json!(matter));
    asked.remove("type");
    let mut today = None;
    match matter {
        Matter::Activation { .. } => {
            asked.extend(part("charter"));
            asked.extend(object(subject).into_iter().filter(|(field, _)| field != "charter"));
        }
        Matter::Access { .. } => {
            if let Some(entitlement) = asked.remove("entitlement") {
                asked.insert("access".into(), json!([entitlement]));
            }
            asked.insert("charter".into(), Value::Object(part("charter")));
        }
        Matter::Charter { charter, .. } => {
            asked.remove("charter");
            asked.extend(object(json!(charter)));
            if !subject.is_null() {
                let mut from = part("from");
                from.insert("identity".into(), asked.get("identity").cloned().unwrap_or_default());
                today = Some(from);
            }
        }
        Matter::Renewal { .. } => {
            let charter = part("charter");
            if let Some(end) = charter.get("expires_at") {
                let mut from = asked.clone();
                from.insert("until".into(), end.clone());
                from.insert("charter".into(), Value::Object(charter.clone()));
                today = Some(from);
            }
            asked.insert("charter".into(), Value::Object(charter));
        }
        Matter::PersonAccess { package, .. } => {
            if let Some(entitlements) = asked.remove("entitlements") {
                asked.insert("access".into(), entitlements);
            }
            if let Some(name) = package
                && subject.get("package").is_some_and(Value::is_object)
            {
                asked.insert("package".into(), json!(name));
                asked.insert("package_content".into(), subject.get("package").cloned().unwrap_or_default());
            }
        }
        Matter::Exception { exception } => {
            let reason = kernel.one::<Exception>(exception).await?.map(|exception| exception.reason.clone());
            asked.insert("reason".into(), json!(reason));
            asked.extend(object(subject));
        }
        Matter::Roles { .. } => {
            if let Some(roles) = subject.get("from") {
                let mut from = asked.clone();
                from.insert("roles".into(), roles.clone());
                today = Some(from);
            }
        }
        Matter::Policy { policy } => {
            if let Some(set) = kernel.one::<PolicySet>(policy).await? {
                asked.insert("version".into(), json!(set.version));
                asked.insert("based_on".into(), json!(set.based_on));
                asked.insert("author".into(), json!(set.author));
                asked.insert(
                    "text".into(),
                    json!(format!("{} lines: tenure policy review {}", set.text.lines().count(), set.id)),
                );
            }
        }
        Matter::Template { template } => {
            asked = object(json!(template));
            today = kernel.one::<Template>(&template.name).await?.map(|stored| object(json!(*stored.value)));
        }
        Matter::Inventory { change, .. } => {
            asked = object(json!(change));
            if !subject.is_null() {
                let mut from = part("from");
                from.insert("kind".into(), asked.get("kind").cloned().unwrap_or_default());
                from.retain(|name, _| asked.contains_key(name));
                today = Some(from);
            }
        }
    }
    Ok(Content { asked, today })
}

/// The names of all ids in some texts.
async fn names<'a>(kernel: &Kernel, texts: impl Iterator<Item = &'a str>) -> Result<BTreeMap<String, String>, OpError> {
    let mut names = BTreeMap::new();
    let mut looked_up = BTreeSet::new();
    for id in texts.flat_map(words).filter(|word| is_id(word)) {
        if looked_up.len() < MAX_NAMES
            && looked_up.insert(id)
            && let Some(name) = name_of(kernel, id).await?
        {
            names.insert(id.to_owned(), name);
        }
    }
    Ok(names)
}

/// The name that people know something by, if it has one.
async fn name_of(kernel: &Kernel, id: &str) -> Result<Option<String>, OpError> {
    Ok(match id.split_once('_').map(|(prefix, _)| prefix) {
        Some("per") => {
            name_in::<Person>(kernel, id, |person| person.name.clone().unwrap_or_else(|| "name erased".into())).await?
        }
        Some("idn") => {
            name_in::<Identity>(kernel, id, |identity| {
                format!("{} {}", identity.kind.as_str().replace('_', " "), identity.name)
            })
            .await?
        }
        Some("app") => name_in::<Application>(kernel, id, |application| application.name.clone()).await?,
        Some("res") => name_in::<Resource>(kernel, id, |resource| resource.uri.clone()).await?,
        Some("tea") => name_in::<Team>(kernel, id, |team| team.name.clone()).await?,
        Some("ven") => name_in::<Vendor>(kernel, id, |vendor| vendor.name.clone()).await?,
        Some("cla") => name_in::<CloudAccount>(kernel, id, |account| account.account.clone()).await?,
        Some("nee") => name_in::<Need>(kernel, id, |need| need.name.clone()).await?,
        Some("iss") => name_in::<Issuer>(kernel, id, |issuer| issuer.url.clone()).await?,
        Some("src") => name_in::<Source>(kernel, id, |source| source.name.clone()).await?,
        _ => None,
    })
}

async fn name_in<T: Record>(
    kernel: &Kernel,
    id: &str,
    name: impl FnOnce(&T) -> String,
) -> Result<Option<String>, OpError> {
    Ok(kernel.store.load(&[RowKey::new(T::KIND, id)]).await?.get::<T>(0)?.map(|stored| name(&stored.value)))
}

/// Who asks for what, with ids where names will stand.
fn sentence(matter: &Matter, asker: &str) -> String {
    match matter {
        Matter::Activation { identity } => format!("{asker} asks that {identity} becomes active with its charter"),
        Matter::Access { identity, entitlement, duration, .. } => {
            format!(
                "{asker} asks that {identity} may {} on {} for {duration}",
                entitlement.actions.join(", "),
                entitlement.resource
            )
        }
        Matter::Charter { identity, .. } => format!("{asker} asks for another charter of {identity}"),
        Matter::Renewal { identity, until } => format!("{asker} asks that {identity} goes on until {until}"),
        Matter::PersonAccess { person, package, duration, .. } => match package {
            Some(package) => format!("{asker} asks that {person} gets the package {package} for {duration}"),
            None => format!("{asker} asks for access of {person} for {duration}"),
        },
        Matter::Exception { exception } => format!("{asker} asks that a control is waived: {exception}"),
        Matter::Roles { person, roles } => {
            let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            format!(
                "{asker} asks that the roles of {person} become {}",
                if roles.is_empty() { "none".to_owned() } else { roles.join(", ") }
            )
        }
        Matter::Policy { policy } => format!("{asker} asks that the policy set {policy} comes into force"),
        Matter::Inventory { change, .. } => {
            format!("{asker} asks for a wider or lighter {}: {}", change.noun(), change.id())
        }
        Matter::Template { template } => format!(
            "{asker} asks for the template {} for identities of the kind {}",
            template.name,
            template.kind.as_str()
        ),
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// Fields by dotted name; what is absent or empty has no row.
fn rows(content: &Map<String, Value>) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for (name, value) in content {
        flatten(name.clone(), value, &mut rows);
    }
    rows
}

fn flatten(name: String, value: &Value, rows: &mut BTreeMap<String, String>) {
    match value {
        Value::Null | Value::Bool(false) => {}
        Value::Array(items) if items.is_empty() => {}
        Value::Array(items) => match items.iter().map(in_a_line).collect::<Option<Vec<_>>>() {
            Some(lines) => {
                rows.insert(name, lines.join("; "));
            }
            None => items.iter().enumerate().for_each(|(n, item)| flatten(format!("{name}[{n}]"), item, rows)),
        },
        Value::Object(object) => object.iter().for_each(|(key, inner)| flatten(format!("{name}.{key}"), inner, rows)),
        scalar => {
            rows.insert(name, plain(scalar));
        }
    }
}

/// An item of a list as a part of a line: a scalar, or actions on a resource.
fn in_a_line(item: &Value) -> Option<String> {
    match item {
        Value::Object(object) if object.len() == 2 => {
            let actions = object.get("actions")?.as_array()?;
            let resource = object.get("resource")?.as_str()?;
            let actions: Vec<&str> = actions.iter().filter_map(Value::as_str).collect();
            Some(format!("{} on {resource}", actions.join(", ")))
        }
        Value::Object(_) | Value::Array(_) => None,
        scalar => Some(plain(scalar)),
    }
}

fn plain(scalar: &Value) -> String {
    match scalar {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The words of a text that could be ids.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_of_word(c)).filter(|word| !word.is_empty())
}

const fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn shown(field: &str, text: &str, names: &BTreeMap<String, String>) -> String {
    if is_free_text(field) { text.to_owned() } else { named(text, names) }
}

/// A text with the names of its ids before them.
fn named(text: &str, names: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    for part in text.split_inclusive(|c: char| !is_of_word(c)) {
        let (word, end) = match part.char_indices().next_back() {
            Some((at, last)) if !is_of_word(last) => part.split_at(at),
            _ => (part, ""),
        };
        match names.get(word) {
            Some(name) => out.push_str(&format!("{name} ({word})")),
            None => out.push_str(word),
        }
        out.push_str(end);
    }
    out
}

/// Where a field stands among the others: those that readers look for first, the request's own before its charter's.
fn weight(field: &str) -> (usize, String) {
    let top = field.split(['.', '[']).next().unwrap_or(field);
    (FIRST.iter().position(|first| *first == top).unwrap_or(FIRST.len()), field.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_before_ids_and_nowhere_else() {
        let id = format!("per_{}", "0".repeat(26));
        let names = BTreeMap::from([(id.clone(), "Ada (Lovelace)".to_owned())]);
        assert_eq!(named(&format!("x {id}, {id}x"), &names), format!("x Ada (Lovelace) ({id}), {id}x"));
        assert_eq!(named("none", &names), "none");
    }

    #[test]
    fn what_is_asked_reads_as_lines() {
        let content = json!({"scope": [{"actions": ["read", "list"], "resource": "res_1"}], "tasks": [{"name": "a", "scope": []}], "shared": null, "sender_constrained": false});
        let rows: Vec<String> =
            rows(&object(content)).into_iter().map(|(field, value)| format!("{field}={value}")).collect();
        assert_eq!(rows, ["scope=read, list on res_1", "tasks[0].name=a"]);
    }
}
