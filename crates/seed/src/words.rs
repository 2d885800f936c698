//! Names that look lived in: many words, and prefixes that many share.

use crate::random::Sequence;

const GIVEN: &[&str] = &[
    "Amara", "Bjorn", "Chidi", "Dagny", "Elif", "Farid", "Greta", "Hiroshi", "Ines", "Jonas", "Kavya", "Lena", "Mateo",
    "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Samir", "Tove", "Uma", "Viktor", "Wanjiru", "Xenia", "Yusuf",
    "Zofia", "Anders", "Beatriz", "Cornelia", "Dmitri", "Esra", "Felix", "Gabriela", "Hana", "Ivo", "Joao", "Katarina",
    "Luca", "Mei", "Noor", "Olga", "Pavel", "Rahel", "Sven", "Thandi", "Umut", "Vera", "Wei", "Yael", "Zainab",
];
const FAMILY: &[&str] = &[
    "Okafor",
    "Lindqvist",
    "Nakamura",
    "Haddad",
    "Moreau",
    "Kowalska",
    "Petrov",
    "Silva",
    "Nguyen",
    "Weber",
    "Iyer",
    "Andersen",
    "Castillo",
    "Dimitrova",
    "Eriksson",
    "Fontaine",
    "Gallo",
    "Hoffmann",
    "Ibrahim",
    "Jansen",
    "Kaplan",
    "Larsen",
    "Marques",
    "Novak",
    "Osei",
    "Park",
    "Quiroga",
    "Rossi",
    "Schmidt",
    "Tanaka",
    "Ueda",
    "Vasquez",
    "Wagner",
    "Xu",
    "Yilmaz",
    "Zimmer",
    "Abebe",
    "Baptiste",
    "Chaudhry",
    "Demir",
];
const DOMAINS: &[&str] = &[
    "payments",
    "billing",
    "ledger",
    "claims",
    "pricing",
    "orders",
    "fulfilment",
    "shipping",
    "returns",
    "inventory",
    "catalog",
    "search",
    "identity",
    "onboarding",
    "risk",
    "fraud",
    "treasury",
    "settlement",
    "reporting",
    "insights",
    "marketing",
    "loyalty",
    "support",
    "telephony",
    "logistics",
    "fleet",
    "warehouse",
    "procurement",
    "payroll",
    "benefits",
    "facilities",
    "compliance",
    "legal",
    "archive",
    "streaming",
    "messaging",
    "notifications",
    "maps",
    "booking",
    "ticketing",
];
const COMPONENTS: &[&str] = &[
    "gateway",
    "api",
    "worker",
    "scheduler",
    "exporter",
    "importer",
    "indexer",
    "sync",
    "reconciler",
    "loader",
    "crawler",
    "relay",
    "notifier",
    "archiver",
    "backup",
    "migrator",
    "cache-warmer",
    "report-builder",
    "webhook",
    "projector",
    "consumer",
    "producer",
    "validator",
    "enricher",
    "scorer",
    "router",
    "mirror",
    "deployer",
    "builder",
    "scanner",
    "janitor",
    "rotator",
    "watcher",
    "collector",
    "renderer",
    "simulator",
];
const OBJECTS: &[&str] = &[
    "invoice",
    "refund",
    "statement",
    "quote",
    "order",
    "parcel",
    "claim",
    "customer",
    "price",
    "stock",
    "event",
    "payment",
    "mandate",
    "tariff",
    "contract",
    "document",
    "image",
    "session",
    "metric",
    "alert",
    "shipment",
    "voucher",
    "ticket",
    "route",
    "meter",
    "sensor",
    "device",
    "batch",
    "report",
    "journal",
];
const DEEDS: &[&str] = &[
    "Exports",
    "Imports",
    "Reconciles",
    "Archives",
    "Indexes",
    "Validates",
    "Forwards",
    "Aggregates",
    "Publishes",
    "Refreshes",
    "Checks",
    "Copies",
    "Prices",
    "Settles",
    "Enriches",
    "Renders",
];
const WHEN: &[&str] = &[
    "every night",
    "on each change",
    "at the end of the month",
    "for the daily report",
    "while orders come in",
    "for the finance team",
    "for the regulator's feed",
    "after each deployment",
    "so that nobody types it twice",
    "for the partners' portal",
];
const REASONS: &[&str] = &[
    "it is no longer needed",
    "replaced by the new platform",
    "the project has ended",
    "seen where it doesn't belong",
    "as the quarterly clean-up found",
    "while the incident is looked into",
    "asked for by its owner",
    "the workload was moved",
];

fn of<'a>(sequence: &mut Sequence, words: &[&'a str]) -> &'a str {
    sequence.pick(words).unwrap_or("one")
}

/// Numbers in letters and digits: short, and unlike a count.
fn short(mut number: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut text = Vec::new();
    loop {
        text.push(DIGITS.get(usize::try_from(number % 32).unwrap_or(0)).copied().unwrap_or(b'0'));
        number /= 32;
        if number == 0 {
            break;
        }
    }
    text.reverse();
    String::from_utf8(text).unwrap_or_default()
}

/// What a department's names begin with; no other department has the same.
pub(crate) fn slug(number: u32) -> String {
    let place = usize::try_from(number).unwrap_or(0);
    let domain = DOMAINS.get(place % DOMAINS.len()).copied().unwrap_or("team");
    match place / DOMAINS.len() {
        0 => domain.to_owned(),
        round => {
            let more = OBJECTS.get((round - 1) % OBJECTS.len()).copied().unwrap_or("more");
            match (round - 1) / OBJECTS.len() {
                0 => format!("{domain}-{more}"),
                again => format!("{domain}-{more}-{}", short(again as u64)),
            }
        }
    }
}

/// Somebody's name.
pub(crate) fn person(sequence: &mut Sequence) -> String {
    format!("{} {}", of(sequence, GIVEN), of(sequence, FAMILY))
}

/// The address that goes with a name.
pub(crate) fn mail(name: &str, number: u64) -> String {
    format!("{}.{}@harbour.example", name.to_lowercase().replace(' ', "."), short(number))
}

/// The name of an identity: unique by its number.
pub(crate) fn identity(sequence: &mut Sequence, slug: &str, number: u32) -> String {
    let object = of(sequence, OBJECTS);
    format!("{slug}-{object}-{}-{}", of(sequence, COMPONENTS), short(u64::from(number)))
}

/// What an identity is for.
pub(crate) fn purpose(sequence: &mut Sequence, slug: &str) -> String {
    let (deed, object, when) = (of(sequence, DEEDS), of(sequence, OBJECTS), of(sequence, WHEN));
    format!("{deed} {object} records of {slug} {when}")
}

/// Why something is ended or stopped.
pub(crate) fn reason(sequence: &mut Sequence) -> String {
    of(sequence, REASONS).to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_well_formed() {
        let slugs: BTreeSet<String> = (0..2_000).map(slug).collect();
        assert_eq!(slugs.len(), 2_000);
        let mut sequence = Sequence::new(1, 1);
        let names: BTreeSet<String> = (0..5_000).map(|n| identity(&mut sequence, "payments", n)).collect();
        assert_eq!(names.len(), 5_000);
        for name in &names {
            assert!(tenure_core::inventory::environment::parse_name("name", name).is_ok(), "{name}");
        }
    }
}
