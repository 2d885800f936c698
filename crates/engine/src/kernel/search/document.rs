//! Documents as the index holds them: the numbers of their terms, and a key for each order.

use std::sync::Arc;

use tenure_core::base::time::Timestamp;
use tenure_core::identity::Identity;
use tenure_core::inventory::application::Application;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;
use tenure_core::inventory::third_party::{CloudAccount, DataDomain, Need, Vendor};
use tenure_core::people::person::Person;
use tenure_core::people::team::Team;
use tenure_core::store::document::{Order, beginnings};
use tenure_core::store::row::{BadRow, Record, Row, RowKind};
use tenure_core::trust::issuer::Issuer;
use tenure_credentials::index_keys::IndexKeys;
use tenure_log::packed::{pack_key, unpack_key};

/// The version of what documents say: segments of another one are made again. It rises whenever a record gets another
/// term or key, or text is parted into other words.
pub(super) const DOCUMENTS: u8 = 2;
/// The longest part of a name that it is sorted by, in bytes.
const NAME: usize = 100;

/// What a term says.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Class {
    /// Of every document.
    All = 1,
    /// How a word begins.
    Word = 2,
    /// What lists are narrowed by.
    Filter = 3,
    /// A whole text, in small letters.
    Whole = 4,
}

/// The number of the term that every document has.
pub(super) fn every(keys: &IndexKeys) -> u64 {
    keys.term(Class::All as u8, "")
}

/// The number of how a word begins.
pub(super) fn word(keys: &IndexKeys, beginning: &str) -> u64 {
    keys.term(Class::Word as u8, beginning)
}

/// The number of a whole text.
pub(super) fn whole(keys: &IndexKeys, text: &str) -> u64 {
    keys.term(Class::Whole as u8, &text.to_lowercase())
}

/// The number of a term of lists.
pub(super) fn filter(keys: &IndexKeys, term: &str) -> u64 {
    keys.term(Class::Filter as u8, term)
}

/// The orders of a kind: that of ids, and its own.
pub(super) fn orders(kind: RowKind) -> Vec<Order> {
    let own = match kind {
        RowKind::Person => Person::ORDERS,
        RowKind::Application => Application::ORDERS,
        RowKind::Environment => Environment::ORDERS,
        RowKind::Resource => Resource::ORDERS,
        RowKind::Issuer => Issuer::ORDERS,
        RowKind::Identity => Identity::ORDERS,
        RowKind::Team => Team::ORDERS,
        RowKind::Vendor => Vendor::ORDERS,
        RowKind::CloudAccount => CloudAccount::ORDERS,
        RowKind::DataDomain => DataDomain::ORDERS,
        RowKind::Need => Need::ORDERS,
        _ => &[],
    };
    std::iter::once(Order::Id).chain(own.iter().copied()).collect()
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Indexed {
    /// The numbers of its terms, in their order.
    pub(super) terms: Vec<u64>,
    /// Its key in each of the [`orders`] of its kind: what it is sorted by, and its id.
    pub(super) keys: Vec<Vec<u8>>,
}

impl Indexed {
    pub(super) fn has(&self, term: u64) -> bool {
        self.terms.binary_search(&term).is_ok()
    }

    /// Its key by when its record, of this id, was last used.
    pub(super) fn use_key(id: &str, last_used: Option<Timestamp>) -> Vec<u8> {
        [last_used.map_or(vec![0; 8], time_key), pack_key(id)].concat()
    }

    /// The document of a record that was last used then.
    pub(super) fn of<T: Record>(keys: &IndexKeys, record: &T, last_used: Option<Timestamp>) -> Self {
        let document = record.document();
        let mut terms = vec![every(keys)];
        terms.extend(record.terms().into_text().iter().map(|term| filter(keys, term)));
        terms.extend(record.facets().into_text().iter().map(|term| filter(keys, term)));
        let texts = std::iter::once(&document.name).chain(&document.texts);
        terms.extend(texts.filter(|text| !text.is_empty()).map(|text| whole(keys, text)));
        for of_document in document.words() {
            terms.extend(beginnings(&of_document).map(|beginning| word(keys, beginning)));
        }
        terms.sort_unstable();
        terms.dedup();
        let id = record.row_id();
        let packed = pack_key(&id);
        let key = |order: Order| match order {
            Order::Id => packed.clone(),
            // What is personal stands in no index as it is: it has to go with the record.
            Order::Name if T::KIND == RowKind::Person => packed.clone(),
            Order::Name => named_key(&document.name, &id),
            Order::End => [document.end.map_or(vec![0xff; 8], time_key), packed.clone()].concat(),
            Order::Risk => [vec![document.risk], packed.clone()].concat(),
            Order::LastUse => Self::use_key(&id, last_used),
        };
        let keys = std::iter::once(Order::Id).chain(T::ORDERS.iter().copied()).map(key).collect();
        Self { terms, keys }
    }

    /// The document of a row of a searched kind; none of any other.
    ///
    /// # Errors
    /// The row can't be read.
    pub(super) fn of_row(
        keys: &IndexKeys,
        row: &Arc<Row>,
        last_used: Option<Timestamp>,
    ) -> Result<Option<Self>, BadRow> {
        macro_rules! of {
            ($record:ty) => {
                Self::of(keys, &*row.decode::<$record>()?.value, last_used)
            };
        }
        Ok(Some(match row.key.kind {
            RowKind::Person => of!(Person),
            RowKind::Application => of!(Application),
            RowKind::Environment => of!(Environment),
            RowKind::Resource => of!(Resource),
            RowKind::Issuer => of!(Issuer),
            RowKind::Identity => of!(Identity),
            RowKind::Team => of!(Team),
            RowKind::Vendor => of!(Vendor),
            RowKind::CloudAccount => of!(CloudAccount),
            RowKind::DataDomain => of!(DataDomain),
            RowKind::Need => of!(Need),
            _ => return Ok(None),
        }))
    }
}

/// The key of a record of this id by a name.
fn named_key(name: &str, id: &str) -> Vec<u8> {
    [name_key(name), pack_key(id)].concat()
}

/// Whether the index doesn't hold by what records of a kind are sorted so, since that is personal: they are read.
pub(super) fn is_read(kind: RowKind, order: Order) -> bool {
    kind == RowKind::Person && order == Order::Name
}

/// The key of a person's row by their name.
///
/// # Errors
/// The row can't be read.
pub(super) fn person_key(row: &Arc<Row>) -> Result<Vec<u8>, BadRow> {
    let person = row.decode::<Person>()?;
    Ok(named_key(&person.document().name, &row.key.id))
}

/// A name in small letters, ended by a byte that no other has.
fn name_key(name: &str) -> Vec<u8> {
    let small = name.to_lowercase();
    let most = small.floor_char_boundary(NAME);
    let kept = small.get(..most).unwrap_or_default();
    kept.bytes().filter(|byte| *byte != 0).chain([0]).collect()
}

/// The id in which a key of an order ends.
pub(super) fn id_of(order: Order, key: &[u8]) -> Option<String> {
    let value = match order {
        Order::Id => 0,
        Order::Name => key.iter().position(|byte| *byte == 0)? + 1,
        Order::End | Order::LastUse => 8,
        Order::Risk => 1,
    };
    key.get(value..).map(unpack_key)
}

/// How a cursor says where a list goes on: the id where it goes by ids, and the key in hexadecimal digits elsewhere.
pub(super) fn place_of(order: Order, key: &[u8]) -> String {
    match order {
        Order::Id => unpack_key(key),
        _ => key.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// The key that a cursor says; what is none is behind nothing.
pub(super) fn key_at(order: Order, place: &str) -> Vec<u8> {
    match order {
        Order::Id => pack_key(place),
        _ => {
            let (pairs, _) = place.as_bytes().as_chunks::<2>();
            let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).unwrap_or_default(), 16);
            pairs.iter().filter_map(|pair| byte(pair).ok()).collect()
        }
    }
}

/// A time so that later ones are greater.
fn time_key(at: Timestamp) -> Vec<u8> {
    (at.as_micros().cast_unsigned() ^ (1 << 63)).to_be_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_is_searched_has_orders_and_no_other_has() {
        for kind in RowKind::ALL {
            assert_eq!(orders(*kind).len() > 1, kind.is_searched(), "{kind:?}");
            assert_eq!(RowKind::SEARCHED.contains(kind), kind.is_searched(), "{kind:?}");
        }
    }

    #[test]
    fn keys_stand_in_the_order_of_what_they_say() {
        let times = [i64::MIN, -5, 0, 7, i64::MAX].map(|at| time_key(Timestamp::from_micros(at)));
        assert!(times.is_sorted());
        let names = ["", "A", "a b", "ab", "b"].map(name_key);
        assert!(names.is_sorted());
        assert_eq!(name_key("Ab"), name_key("aB"));
        assert_eq!(name_key(&"é".repeat(80)).len(), 101);
    }
}
