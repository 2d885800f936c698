//! Records by id or by name, as an address names them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use tenure_api::views::{Names, Revised};
use tenure_core::identity::Identity;
use tenure_core::identity::naming::NamingStandard;
use tenure_core::identity::template::Template;
use tenure_core::inventory::application::Application;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;
use tenure_core::inventory::third_party::{CloudAccount, DataDomain, Need, Vendor};
use tenure_core::people::difference::Difference;
use tenure_core::people::person::Person;
use tenure_core::people::person_grant::Package;
use tenure_core::people::team::Team;
use tenure_core::signal::{Signal, Source};
use tenure_core::store::row::{RowKey, RowKind};
use tenure_core::target::system::TargetSystem;
use tenure_core::trust::issuer::Issuer;
use tenure_engine::kernel::caller::Caller;
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::names::{self, Mention, Named};
use tenure_engine::kernel::query::Listed;

use crate::app::App;
use crate::contract::error::Failure;

/// The record that a part of an address means, by id or by name; a malformed id is a name that nothing bears.
pub(crate) async fn meant<T: Named>(app: &App, caller: &Caller, text: &str) -> Result<T::Id, Failure> {
    Ok(names::meant::<T>(&app.kernel, caller, text).await?)
}

/// The row of the record of a sort that a part of an address means, by id or by name.
pub(crate) async fn row_of(app: &App, caller: &Caller, kind: RowKind, text: &str) -> Result<RowKey, Failure> {
    let id = match kind {
        RowKind::Application => meant::<Application>(app, caller, text).await?.to_string(),
        RowKind::Identity => meant::<Identity>(app, caller, text).await?.to_string(),
        RowKind::Issuer => meant::<Issuer>(app, caller, text).await?.to_string(),
        RowKind::Need => meant::<Need>(app, caller, text).await?.to_string(),
        RowKind::Person => meant::<Person>(app, caller, text).await?.to_string(),
        RowKind::Resource => meant::<Resource>(app, caller, text).await?.to_string(),
        RowKind::Source => meant::<Source>(app, caller, text).await?.to_string(),
        RowKind::Target => meant::<TargetSystem>(app, caller, text).await?.to_string(),
        RowKind::Vendor => meant::<Vendor>(app, caller, text).await?.to_string(),
        // Of the others an address takes the id, which is how their rows are named.
        _ => text.to_owned(),
    };
    Ok(RowKey::new(kind, id))
}

/// A plain record, and how an address names it.
pub(crate) trait Addressed: Listed {
    /// The id that a part of an address means.
    fn meant_by(app: &App, caller: &Caller, text: &str) -> impl Future<Output = Result<String, Failure>> + Send;
}

macro_rules! addressed {
    ($($record:ty),* $(,)?) => {$(
        impl Addressed for $record {
            async fn meant_by(app: &App, caller: &Caller, text: &str) -> Result<String, Failure> {
                Ok(meant::<Self>(app, caller, text).await?.to_string())
            }
        }
    )*};
}

macro_rules! addressed_by_itself {
    ($($record:ty),* $(,)?) => {$(
        impl Addressed for $record {
            async fn meant_by(_: &App, _: &Caller, text: &str) -> Result<String, Failure> {
                Ok(text.to_owned())
            }
        }
    )*};
}

addressed!(Application, CloudAccount, Issuer, Need, Person, Resource, Team, Vendor);
// Their names are their ids, or they have none.
addressed_by_itself!(DataDomain, Difference, Environment, NamingStandard, Package, Signal, Template);

/// One plain record, by id or by name.
pub(crate) async fn get<T: Addressed>(app: &App, caller: &Caller, text: &str) -> Result<Revised<T>, Failure> {
    let key = T::meant_by(app, caller, text).await?;
    Ok(app.kernel.get::<T>(caller, &key).await?)
}

/// The members of answers in which anything may stand that somebody typed, be it of the form of an id: what is mentioned
/// there refers to nothing. A test holds them against what bodies take.
pub(crate) const TYPED: &[&str] = &[
    "account",
    "actions",
    "after",
    "algorithms",
    "assertion_audience",
    "audience",
    "before",
    "beneficiary",
    "ca",
    "client_id",
    "code",
    "comment",
    "consumer",
    "consumers",
    "contact",
    "content",
    "control",
    "data_domains",
    "default_task",
    "description",
    "digest",
    "email",
    "environment",
    "environments",
    "evidence",
    "example",
    "expect",
    "grants",
    "how",
    "instead",
    "issuer",
    "jwks_uri",
    "keep",
    "key",
    "kind",
    "marks",
    "migration_plan",
    "name",
    "name_prefix",
    "need",
    "note",
    "notification_endpoint",
    "operator",
    "options",
    "outcome",
    "owner_name",
    "package",
    "pattern",
    "phishing_resistant",
    "posture",
    "provider",
    "purpose",
    "query",
    "reason",
    "repositories",
    "required_claims",
    "secret",
    "seen_at",
    "source",
    "subjects",
    "summary",
    "system",
    "task",
    "template",
    "text",
    "type",
    "uri",
    "url",
    "user",
    "value",
    "why",
    "workload",
];

/// What a JSON document mentions: the texts in it that are of the form of an id, a prefix of three letters, `_` and 26
/// characters, and whether they stand where somebody may have typed them. What is nested deeper than a parser of ours
/// follows, or comes after it, is mentioned by nobody: it stays an id.
pub(crate) fn mentions(json: &[u8]) -> Vec<Mention<'_>> {
    let mut found = Vec::new();
    let mut document = serde_json::Deserializer::from_slice(json);
    let walked = Walk { typed: false, of_charter: false, found: &mut found }.deserialize(&mut document);
    if let Err(error) = walked {
        tracing::debug!(%error, "what an answer refers to is not read to its end");
    }
    found
}

/// A part of a document that is walked through.
struct Walk<'found, 'de> {
    typed: bool,
    /// Whether it is a charter, whose need is a record, where that of a grant is what somebody wrote.
    of_charter: bool,
    found: &'found mut Vec<Mention<'de>>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        const LENGTH: usize = 30;
        if text.len() == LENGTH && text.as_bytes().get(3) == Some(&b'_') {
            self.found.push(Mention { id: text, typed: self.typed });
        }
        Ok(())
    }

    // What has an escape in it is no id.
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Walk { typed: self.typed, of_charter: false, found: self.found })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            // What stands below what somebody typed, they typed too.
            let refers = self.of_charter && name == "need";
            let typed = self.typed || (TYPED.contains(&&*name) && !refers);
            let of_charter = !typed && name == "charter";
            members.next_value_seed(Walk { typed, of_charter, found: self.found })?;
        }
        Ok(())
    }
}

/// The names of the records that a list refers to, and of those that its filters name, as far as the caller may read
/// these: an id alone tells nobody whose it is.
pub(crate) async fn listed_names(
    app: &App,
    caller: &Caller,
    found: &impl serde::Serialize,
    filters: &[(String, String)],
) -> Result<Names, Failure> {
    let json = serde_json::to_vec(found).map_err(|error| OpError::Internal(error.to_string()))?;
    let filters = filters.iter().map(|(_, value)| Mention { id: value, typed: true });
    Ok(names::of(&app.kernel, caller, mentions(&json).into_iter().chain(filters)).await?)
}

/// The names of the records that a view refers to, as the API puts them beside it.
pub(crate) async fn names_in(app: &App, caller: &Caller, view: &impl serde::Serialize) -> Result<Names, Failure> {
    listed_names(app, caller, view, &[]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_typed_refers_to_nothing() {
        let id = |prefix: &str| format!("{prefix}_{}", "0".repeat(26));
        let json = serde_json::json!({
            "owner": id("per"), "approved_by": [id("tea")], "purpose": id("idn"), "comment": {"any": [id("app")]},
            "need": id("cla"), "charter": {"need": id("ned")}, "reason": format!("\u{e9}{}", id("res")), "\"owner": id("ven"), "count": [1, -1, 0.5, true, null],
        });
        let text = json.to_string();
        let mut found = mentions(text.as_bytes());
        found.sort();
        let found: Vec<_> = found.iter().map(|mention| (mention.id.get(..3).unwrap(), mention.typed)).collect();
        assert_eq!(
            found,
            [
                ("app", true),
                ("cla", true),
                ("idn", true),
                ("ned", false),
                ("per", false),
                ("tea", false),
                ("ven", false)
            ]
        );
        // However deep it goes, what stands before is told.
        let deep = format!("[\"{}\",{}{}]", id("per"), "[".repeat(1_000), "]".repeat(1_000));
        assert_eq!(mentions(deep.as_bytes()).len(), 1);
    }

    /// A body's member that takes any text is either one of these, or looked up before it is kept.
    #[test]
    fn every_text_that_a_body_takes_is_known_as_typed() {
        const LOOKED_UP: &[&str] = &["id", "resource", "policy"];
        const NEVER_SHOWN: &[&str] = &[
            "certificate",
            "client_secret",
            "content_hash",
            "join_token",
            "proof",
            "scope",
            "setup_token",
            "token",
            "verifier",
        ];
        let document: serde_json::Value = serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap();
        let mut unknown = std::collections::BTreeSet::new();
        let bodies =
            document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
        for body in bodies.filter_map(|operation| operation["requestBody"]["content"].as_object()) {
            for content in body.values() {
                texts(&document, &content["schema"], "", 0, &mut unknown);
            }
        }
        let known = |name: &String| [TYPED, LOOKED_UP, NEVER_SHOWN].iter().any(|known| known.contains(&name.as_str()));
        unknown.retain(|name| !name.is_empty() && !known(name));
        assert!(unknown.is_empty(), "say in TYPED that these take what anybody types: {unknown:?}");
    }

    /// The members of a schema that take any text.
    fn texts(
        document: &serde_json::Value,
        schema: &serde_json::Value,
        name: &str,
        depth: usize,
        found: &mut std::collections::BTreeSet<String>,
    ) {
        if depth > 16 {
            return;
        }
        let mut below = |schema: &serde_json::Value, name: &str| texts(document, schema, name, depth + 1, found);
        if let Some(reference) = schema["$ref"].as_str() {
            below(&document["components"]["schemas"][reference.rsplit('/').next().unwrap()], name);
        }
        for several in ["anyOf", "oneOf", "allOf"] {
            schema[several].as_array().into_iter().flatten().for_each(|one| below(one, name));
        }
        for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
            below(schema, member);
        }
        below(&schema["items"], name);
        below(&schema["additionalProperties"], name);
        let is_text = schema["type"] == "string"
            || schema["type"].as_array().is_some_and(|types| types.contains(&"string".into()));
        let is_any = ["enum", "const", "pattern", "format"].iter().all(|bound| schema.get(bound).is_none());
        if is_text && is_any {
            found.insert(name.to_owned());
        }
    }
}
