//! Terms: what records are listed by, as `name=value` in the index of a store.
//!
//! The fields of a kind are constants beside its [`Record`](crate::store::row::Record): `Identity::OWNER` makes terms
//! of identities, and of the id of a person alone. So neither a name that no record bears nor an id of another kind can
//! be asked for. The text of a term is what stands in the index and what is compared when it is held against its row:
//! it never changes.
//!
//! An index is never silently partial. What a record bears of a field is all that it stands for ([`Terms::each`]);
//! where that has no bound, its field is a [`Bounded`] one, whose records also bear the term for [the
//! rest](Field::or_as). A term knows the one that stands for the rest, and every query for it reads that too: nobody
//! has to think of it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use crate::base::id::{Id, IdKind};

/// What a term says of a record.
pub trait TermValue {
    /// What a field has to be of to take it.
    type Of: ?Sized;
    /// The text of the value.
    fn text(&self) -> Cow<'_, str>;
}

impl TermValue for str {
    type Of = str;
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl TermValue for String {
    type Of = str;
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl<K: IdKind> TermValue for Id<K> {
    type Of = Self;
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }
}

impl<V: TermValue + ?Sized> TermValue for &V {
    type Of = V::Of;
    fn text(&self) -> Cow<'_, str> {
        (**self).text()
    }
}

/// Enumerations whose `as_str` is what terms say of them.
macro_rules! words {
    ($($word:ty),+ $(,)?) => {$(
        impl $crate::store::term::TermValue for $word {
            type Of = Self;
            fn text(&self) -> ::std::borrow::Cow<'_, str> {
                ::std::borrow::Cow::Borrowed(self.as_str())
            }
        }
    )+};
}
pub(crate) use words;

/// A name and a value, of a term that stands for what a record doesn't name one by one.
type Rest = (&'static str, &'static str);

/// What the records of a kind are listed by: a name, and values of one type.
pub struct Field<T, V: ?Sized = str> {
    name: &'static str,
    rest: Option<Rest>,
    is_facet: bool,
    of: PhantomData<fn(&V) -> T>,
}

impl<T, V: ?Sized> Clone for Field<T, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, V: ?Sized> Copy for Field<T, V> {}

impl<T, V: ?Sized> fmt::Debug for Field<T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<T, V: ?Sized> Field<T, V> {
    /// The field of this name.
    pub const fn new(name: &'static str) -> Self {
        let of = PhantomData;
        Self { name, rest: None, is_facet: false, of }
    }

    /// The field of this name that the index of records alone knows ([`Record::facets`]): nothing is decided by it.
    ///
    /// [`Record::facets`]: crate::store::row::Record::facets
    pub const fn facet(name: &'static str) -> Self {
        let of = PhantomData;
        Self { name, rest: None, is_facet: true, of }
    }

    /// The same, where records may bear this term instead of one for each value: a wildcard, or what stands for the
    /// rest of them.
    #[must_use]
    pub const fn or_as(self, name: &'static str, value: &'static str) -> Self {
        let rest = Some((name, value));
        Self { rest, ..self }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The same for the text of values, checked or given as what they are elsewhere.
    pub const fn as_text(self) -> Field<T> {
        let Self { name, rest, is_facet, .. } = self;
        Field { name, rest, is_facet, of: PhantomData }
    }

    /// The term of a value.
    pub fn of(self, value: impl TermValue<Of = V>) -> Term<T> {
        let field = self.as_text();
        Term { field, value: value.text().into_owned() }
    }
}

/// A field of which a record bears the first few values only, and the term for the rest if it stands for more.
pub struct Bounded<T, V: ?Sized = str> {
    field: Field<T, V>,
    most: usize,
}

impl<T, V: ?Sized> Clone for Bounded<T, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, V: ?Sized> Copy for Bounded<T, V> {}

impl<T, V: ?Sized> Bounded<T, V> {
    /// The field of this name, at most so many of its values, and the name and value of the term for the rest.
    pub const fn new(name: &'static str, most: usize, rest: (&'static str, &'static str)) -> Self {
        let field = Field::new(name).or_as(rest.0, rest.1);
        Self { field, most }
    }

    /// The field, as a query asks for it.
    pub const fn field(self) -> Field<T, V> {
        self.field
    }

    /// The same for the text of values.
    pub const fn as_text(self) -> Field<T> {
        self.field.as_text()
    }

    /// The term of a value.
    pub fn of(self, value: impl TermValue<Of = V>) -> Term<T> {
        self.field.of(value)
    }
}

/// A term of records of a kind.
pub struct Term<T> {
    field: Field<T>,
    value: String,
}

impl<T> Term<T> {
    /// The name of its field.
    pub const fn name(&self) -> &'static str {
        self.field.name
    }

    /// The text of its value.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether it is one of this field's.
    pub fn is_of<V: ?Sized>(&self, field: Field<T, V>) -> bool {
        self.field.name == field.name
    }

    /// Whether the index of records alone knows it.
    pub const fn is_facet(&self) -> bool {
        self.field.is_facet
    }

    /// The term that records may bear instead of it: whoever asks for this one reads those, too.
    pub fn rest(&self) -> Option<Self> {
        let (name, value) = self.field.rest?;
        let rest = Field::new(name).of(value);
        (rest != *self).then_some(rest)
    }
}

impl<T> fmt::Display for Term<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.field.name, self.value)
    }
}

impl<T> fmt::Debug for Term<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<T> Clone for Term<T> {
    fn clone(&self) -> Self {
        let field = self.field;
        let value = self.value.clone();
        Self { field, value }
    }
}

impl<T> PartialEq for Term<T> {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.value == other.value
    }
}

impl<T> Eq for Term<T> {}

/// The terms of a record.
#[derive(Debug)]
pub struct Terms<T>(Vec<Term<T>>);

impl<T> Terms<T> {
    /// None.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// With the term of this value.
    #[must_use]
    pub fn with<V: ?Sized>(mut self, field: Field<T, V>, value: impl TermValue<Of = V>) -> Self {
        self.0.push(field.of(value));
        self
    }

    /// With the term of each of these values: of what a record may lack, or has many of.
    #[must_use]
    pub fn each<V: ?Sized, W: TermValue<Of = V>>(
        mut self,
        field: Field<T, V>,
        values: impl IntoIterator<Item = W>,
    ) -> Self {
        self.0.extend(values.into_iter().map(|value| field.of(value)));
        self
    }

    /// With the terms of the first of these values, and of the rest if there are more: more of them, or more than the
    /// record itself knows of.
    #[must_use]
    pub fn capped<V: ?Sized, W: TermValue<Of = V>>(
        mut self,
        field: Bounded<T, V>,
        values: impl IntoIterator<Item = W>,
        count: usize,
    ) -> Self {
        let mut values = values.into_iter();
        self.0.extend(values.by_ref().take(field.most).map(|value| field.of(value)));
        if values.next().is_some() || count > field.most {
            self.0.extend(field.field.rest.map(|(name, value)| Field::new(name).of(value)));
        }
        self
    }

    /// Each of them, in the order in which the record says them.
    pub fn iter(&self) -> std::slice::Iter<'_, Term<T>> {
        self.0.iter()
    }

    /// Whether this is one of them.
    pub fn contains(&self, term: &Term<T>) -> bool {
        self.0.contains(term)
    }

    /// Their texts as a store keeps them: sorted, and each once.
    pub fn into_text(self) -> Vec<String> {
        let mut text: Vec<String> = self.0.iter().map(Term::to_string).collect();
        text.sort_unstable();
        text.dedup();
        text
    }
}

impl<T> IntoIterator for Terms<T> {
    type Item = Term<T>;
    type IntoIter = std::vec::IntoIter<Term<T>>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Terms<T> {
    type Item = &'a Term<T>;
    type IntoIter = std::slice::Iter<'a, Term<T>>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::PersonId;

    /// A kind of record.
    #[derive(Debug)]
    enum Thing {}

    const NAME: Field<Thing> = Field::new("name");
    const OWNER: Field<Thing, PersonId> = Field::new("owner");
    const PART: Bounded<Thing> = Bounded::new("part", 2, ("parts", "more"));
    const ON: Field<Thing> = Field::new("on").or_as("on", "*");

    fn parts(parts: &[&str], count: usize) -> Vec<String> {
        Terms::none().capped(PART, parts, count).into_text()
    }

    #[test]
    fn a_term_is_its_name_and_its_value() {
        let owner = PersonId::from_u128(1);
        let terms = Terms::none().with(NAME, "a=b").each(OWNER, Some(owner)).each(NAME, [&"a=b".to_owned()]);
        assert_eq!(
            terms.iter().map(Term::to_string).collect::<Vec<_>>(),
            ["name=a=b", &format!("owner={owner}"), "name=a=b"]
        );
        assert!(terms.contains(&NAME.of("a=b")) && !terms.contains(&NAME.of("b")));
        assert_eq!(terms.into_text(), ["name=a=b", &format!("owner={owner}")], "each once, sorted");
        assert_eq!((NAME.of("a=b").name(), NAME.of("a=b").value()), ("name", "a=b"));
        assert!(OWNER.of(owner).is_of(OWNER) && !OWNER.of(owner).is_of(NAME));
        assert_eq!(OWNER.as_text().of(owner.to_string()), OWNER.of(owner));
    }

    #[test]
    fn whatever_a_record_does_not_name_it_says() {
        assert_eq!(parts(&["a", "b"], 2), ["part=a", "part=b"]);
        assert_eq!(parts(&["a", "b", "c"], 3), ["part=a", "part=b", "parts=more"]);
        assert_eq!(parts(&["a", "b"], 3), ["part=a", "part=b", "parts=more"], "the record knows of more than it holds");
        assert_eq!(parts(&["a", "b", "c"], 0), ["part=a", "part=b", "parts=more"], "whatever it counts, it holds more");
        assert_eq!(parts(&[], 0), Vec::<String>::new());
    }

    #[test]
    fn a_term_knows_what_stands_for_the_rest() {
        assert_eq!(PART.of("a").rest().unwrap().to_string(), "parts=more");
        assert_eq!(PART.as_text().of("a").rest().unwrap().to_string(), "parts=more");
        assert_eq!(ON.of("a").rest().unwrap().to_string(), "on=*");
        assert_eq!(ON.of("*").rest(), None, "it is the rest itself");
        assert_eq!(NAME.of("a").rest(), None);
    }
}
