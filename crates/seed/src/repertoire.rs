//! The repertoire: every tale, played by the engine once for each of its variants.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use regex::Regex;
use serde_json::Value;
use tenure_core::base::id::PersonId;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::row::RowKey;

use crate::error::SeedError;
use crate::frame::{self, Department, Runners};
use crate::history::History;
use crate::holder::Holder;
use crate::random::{Sequence, number};
use crate::recorder::Part;
use crate::stage::{Common, Stage, unfenced};
use crate::stencil::{Before, Stencil};
use crate::tale::{Player, TALES, Tale};

/// How somebody gets another operator token.
pub(crate) struct Handing {
    /// Whose: an id of the deployment's own, or one that the department's stencil made.
    pub(crate) person: PersonId,
    pub(crate) of_department: bool,
    pub(crate) stencil: Stencil,
    /// The slot of the token's id.
    pub(crate) token: usize,
}

/// A tale as it is told, and how often beside the others.
pub(crate) struct Told {
    pub(crate) name: &'static str,
    pub(crate) weight: u32,
    /// Whether it is told of what waits at the end, and of nothing else.
    pub(crate) waits: bool,
    pub(crate) variants: Vec<Stencil>,
}

/// Ids of the department as it was played.
pub(crate) struct Played {
    pub(crate) application: String,
    pub(crate) vendor: String,
    pub(crate) leaver: String,
}

/// Everything that is told.
pub(crate) struct Repertoire {
    /// The deployment itself.
    pub(crate) frame: Vec<Changeset>,
    pub(crate) runners: Runners,
    pub(crate) department: Stencil,
    pub(crate) played: Played,
    /// The first operator token of each who runs the deployment.
    pub(crate) first_tokens: HashMap<String, String>,
    pub(crate) handings: Vec<Handing>,
    pub(crate) tales: Vec<Told>,
    /// Where what is signed gets signed.
    pub(crate) signs: Stage,
    /// When the deployment stands, and departments can be told of.
    pub(crate) opened: Timestamp,
}

impl Repertoire {
    /// Plays everything.
    ///
    /// # Errors
    /// The engine doesn't do what a tale asks for, or what it commits can't be told of others.
    pub(crate) async fn play(
        history: &History,
        seed: u64,
        note: &mut dyn FnMut(usize, usize),
    ) -> Result<Self, SeedError> {
        let common = Common::new(seed, &history.public_url)?;
        let (framed, runners) = Box::pin(frame::set_up(&common, history.start()?)).await?;
        let frame: Vec<Changeset> =
            framed.store.commits().into_iter().map(|recorded| unfenced(recorded.changeset)).collect();
        let ids = ids_of(&frame)?;
        let opened = framed.now();
        let stage = framed.again(0xde9)?;
        let department = Box::pin(frame::department(&stage, &runners)).await?;
        let recorded = stage.store.commits();
        let none = HashMap::new();
        let before =
            Before { frame: &ids, department: None, tokens: &none, rows: rows_of(&framed)?, x: None, begun: opened };
        let told = Stencil::of(&recorded, &before)?;
        let tokens = tokens_of(&stage, &runners, &department);
        let mut handings = Vec::new();
        for (person, of_department) in runners
            .all()
            .into_iter()
            .map(|person| (person, false))
            .chain(department.actors().into_iter().map(|person| (person, true)))
        {
            handings.push(handing(&stage, &told, &ids, &tokens, person, of_department).await?);
        }
        let rows = rows_of(&stage)?;
        let tales: Vec<&Tale> =
            TALES.iter().filter(|tale| weight(history, tale) > 0 || (tale.waits() && history.waiting > 0)).collect();
        if let Some(unknown) = history.tales.keys().find(|name| !TALES.iter().any(|tale| tale.name == **name)) {
            return Err(SeedError::History(format!("there is no tale `{unknown}`")));
        }
        let all = tales.len() * usize::from(history.variety);
        let mut played = Vec::with_capacity(tales.len());
        // All that doesn't go as it is told, at once.
        let mut wrong: Vec<String> = Vec::new();
        for (n, tale) in tales.into_iter().enumerate() {
            let mut variants = Vec::new();
            for variant in 0..u64::from(history.variety) {
                note(n * usize::from(history.variety) + usize::try_from(variant).unwrap_or(0), all);
                let of = 0x7a1e_0000 | (n as u64) << 8 | variant;
                let one = variant_of(&stage, &runners, &department, tale, of, history, &told, &ids, &tokens, &rows);
                match Box::pin(one).await {
                    Ok(stencil) => variants.push(stencil),
                    Err(error) => wrong.push(error.to_string()),
                }
            }
            let waits = tale.waits();
            played.push(Told { name: tale.name, weight: weight(history, tale), waits, variants });
        }
        if !wrong.is_empty() {
            return Err(SeedError::Other(wrong.join("\n")));
        }
        let signs = stage.again(0x5169)?;
        let played_of = Played {
            application: department.application.to_string(),
            vendor: department.vendor.to_string(),
            leaver: department.owners.last().map(ToString::to_string).unwrap_or_default(),
        };
        let first_tokens = tokens.values().cloned().collect();
        Ok(Self {
            frame,
            runners,
            department: told,
            played: played_of,
            first_tokens,
            handings,
            tales: played,
            signs,
            opened,
        })
    }
}

fn weight(history: &History, tale: &Tale) -> u32 {
    if tale.waits() {
        return 0;
    }
    history.tales.get(tale.name).copied().unwrap_or(tale.weight)
}

#[expect(clippy::too_many_arguments, reason = "what a tale is played in, and what was there before it")]
async fn variant_of(
    stage: &Stage,
    runners: &Runners,
    department: &Department,
    tale: &Tale,
    of: u64,
    history: &History,
    told: &Stencil,
    ids: &HashSet<String>,
    tokens: &HashMap<String, (String, String)>,
    rows: &HashMap<RowKey, Value>,
) -> Result<Stencil, SeedError> {
    let seed = stage.common.seed;
    let stage = stage.again(of)?;
    // So that nothing of the department is as old as the tale.
    stage.clock.set(stage.now().plus(Span::from_mins(60)));
    let key = Holder::new(&crate::random::bytes(seed, of))?;
    let (begun, x) = (stage.now(), key.x());
    let details = Sequence::new(seed, of);
    let length = Span::from_days(i64::from(history.days));
    let name = tale.name;
    let named = |error: SeedError| SeedError::Other(format!("the tale {name}: {error}"));
    let mut player = Player::new(&stage, runners, department, tale, key, details, length)?;
    Box::pin(player.play()).await.map_err(named)?;
    let mut tokens = tokens.clone();
    for (token, person) in stage.handed() {
        let known = tokens.values().find(|(whose, _)| *whose == person.to_string()).cloned();
        if let Some(known) = known {
            tokens.insert(token.to_string(), known);
        }
    }
    let before = Before { frame: ids, department: Some(told), tokens: &tokens, rows: rows.clone(), x: Some(x), begun };
    Stencil::of(&stage.store.commits(), &before).map_err(named)
}

async fn handing(
    stage: &Stage,
    told: &Stencil,
    ids: &HashSet<String>,
    tokens: &HashMap<String, (String, String)>,
    person: PersonId,
    of_department: bool,
) -> Result<Handing, SeedError> {
    let stage = stage.again(number(0x70c, person.to_string().len() as u64))?;
    stage.clock.set(stage.now().plus(Span::from_mins(60)));
    let begun = stage.now();
    let rows = rows_of(&stage)?;
    let before = stage.handed();
    stage.renew(person, Part::Step).await?;
    let token = stage.handed().into_iter().find(|(token, whose)| *whose == person && !before.contains_key(token));
    let token = token.ok_or_else(|| SeedError::missing("hand out a token"))?.0.to_string();
    let known = Before { frame: ids, department: Some(told), tokens, rows, x: None, begun };
    let stencil = Stencil::of(&stage.store.commits(), &known)?;
    let token = stencil.slot_of(&token).ok_or_else(|| SeedError::missing("make a token anew"))?;
    Ok(Handing { person, of_department, stencil, token })
}

/// The operator tokens of those who act, with whose each is and which is their first.
fn tokens_of(stage: &Stage, runners: &Runners, department: &Department) -> HashMap<String, (String, String)> {
    let acting: HashSet<PersonId> = runners.all().into_iter().chain(department.actors()).collect();
    let handed = stage.handed();
    let acting = handed.into_iter().filter(|(_, person)| acting.contains(person));
    acting.map(|(token, person)| (token.to_string(), (person.to_string(), token.to_string()))).collect()
}

fn rows_of(stage: &Stage) -> Result<HashMap<RowKey, Value>, SeedError> {
    let dump = stage.store.memory.dump();
    let read = |body: &[u8]| serde_json::from_slice(body).map_err(|error| SeedError::Other(error.to_string()));
    dump.rows.iter().map(|(key, row)| Ok((key.clone(), read(&Arc::clone(row).body)?))).collect()
}

/// Every id in what was committed.
fn ids_of(changesets: &[Changeset]) -> Result<HashSet<String>, SeedError> {
    let pattern =
        Regex::new("[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}").map_err(|error| SeedError::Other(error.to_string()))?;
    let mut ids = HashSet::new();
    let mut note = |text: &str| ids.extend(pattern.find_iter(text).map(|found| found.as_str().to_owned()));
    for changeset in changesets {
        for put in &changeset.puts {
            note(&put.key.id);
            note(&String::from_utf8_lossy(&put.body));
        }
        for event in &changeset.events {
            note(&event.id.to_string());
            event.subjects.iter().for_each(|subject| note(subject));
            note(&Value::Object(event.data.clone()).to_string());
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use tenure_core::credential::receipt::Receipt;

    use super::*;
    use crate::stencil::{Occasion, Subject, Teller, Told, Word, tell};

    /// Who says of everybody what was played.
    struct Player(HashMap<Word, &'static str>);

    impl Teller for Player {
        fn word(&mut self, word: Word) -> String {
            self.0[&word].to_owned()
        }
        fn x(&mut self) -> Result<String, SeedError> {
            Ok("x".repeat(43))
        }
        fn token(&mut self, _person: &str, _at: i64, first: &dyn Fn() -> String) -> String {
            first()
        }
        fn sign(&mut self, _receipt: &Receipt) -> Result<String, SeedError> {
            Ok("eyJ.x.y".into())
        }
    }

    /// A changeset without what is another's in each: ids, times, places and what is derived from a key or a secret.
    fn shape(changeset: &Changeset, patterns: &[(Regex, &str)]) -> String {
        let mut lines = vec![format!("{:?} {}", changeset.actor, changeset.stands_for_stopping)];
        for event in &changeset.events {
            let data = Value::Object(event.data.clone());
            lines.push(format!("{:?} {:?} {:?} {data}", event.kind(), event.control(), event.subjects));
            lines.extend(event.personal.iter().map(|one| format!("{} {} {}", one.subject, one.field, one.value)));
        }
        for put in &changeset.puts {
            let mut terms = put.terms.clone();
            terms.sort_unstable();
            let body = String::from_utf8_lossy(&put.body);
            let dropped = put.droppable_after.map(|after| after.since(changeset.at));
            lines.push(format!("{} {} {body} {terms:?} {dropped:?}", put.key, put.replaces));
        }
        lines.extend(changeset.expects.iter().map(|expect| format!("{expect:?}")));
        lines.extend(changeset.once.iter().map(|once| {
            let until = once.until.map(|until| until.since(changeset.at));
            let bare = once.until.map_or(once.key.as_str(), |_| once.key.split('-').next().unwrap_or_default());
            format!("{} {bare} {until:?}", once.space)
        }));
        lines.extend(changeset.spends.iter().map(|spend| format!("{} {} {}", spend.budget, spend.by, spend.limit)));
        lines.extend(changeset.due.iter().map(|due| format!("{due:?}")));
        let mut text = lines.join("\n");
        for (pattern, with) in patterns {
            text = pattern.replace_all(&text, *with).into_owned();
        }
        text
    }

    #[test]
    fn what_is_told_has_the_shape_of_what_the_engine_committed() {
        let told = crate::in_a_deep_place(|| {
            let history = History::parse(include_str!("../histories/small.toml")).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let repertoire = runtime.block_on(Repertoire::play(&history, 3, &mut |_, _| {})).unwrap();
            let patterns = [
                (r#""signed":"[^"]+""#, r#""signed":S"#),
                ("[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}", "I"),
                (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?Z", "T"),
                (r"Timestamp\([0-9]+\)", "T"),
                (r#""index":[0-9]+"#, "P"),
                ("v2:sha256:[0-9a-f]{64}", "C"),
                ("[A-Za-z0-9_-]{43}", "K"),
            ]
            .map(|(pattern, with)| (Regex::new(pattern).unwrap(), with));
            let words: HashMap<Word, &'static str> = Word::all().into_iter().map(|(text, word)| (word, text)).collect();
            let department = Told {
                seed: 5,
                shift: 77_000_000,
                slug: String::new(),
                words: words.iter().map(|(word, text)| (*word, (*text).to_owned())).collect(),
            };
            let mut commits = 0;
            let tales = repertoire.tales.iter().flat_map(|tale| tale.variants.iter().map(|one| (tale.name, one)));
            let handings = repertoire.handings.iter().map(|handing| ("handing", &handing.stencil));
            for (name, stencil) in tales.chain(handings).chain([("department", &repertoire.department)]) {
                let places: Vec<(usize, u64)> = (0..stencil.steps.len()).map(|n| (n, 1_000 + n as u64)).collect();
                for (n, (step, played)) in stencil.steps.iter().zip(&stencil.played).enumerate() {
                    let of = (name != "department").then_some((&repertoire.department, &department));
                    let subject = Subject {
                        seed: 9,
                        shift: 88_000_000,
                        department: of.map(|(_, told)| told),
                        places: &places,
                        fixed: None,
                    };
                    let at = stencil.begun + step.offset + 88_000_000;
                    let occasion = Occasion { at, again: 0, index: 1_000 + n as u64, end: i64::MIN };
                    let mut player = Player(words.clone());
                    let (told, _) = tell(stencil, of.map(|(one, _)| one), n, &subject, occasion, &mut player).unwrap();
                    let (told, played) = (shape(&told, &patterns), shape(played, &patterns));
                    assert_eq!(told, played, "{name}, commit {n}");
                    commits += 1;
                }
            }
            commits
        });
        assert!(told.unwrap() > 500);
    }
}
