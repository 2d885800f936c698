//! Lists that targets tell in pages: no page is longer than was asked for, and no list longer than there is room for. One
//! that isn't told to its end says so, since what isn't in it may be there all the same.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tenure_core::target::connector::{ConnectorError, SeenAccount};

use crate::place::MAX_ANSWER;

/// The room that one call of the port has for lists, in bytes of answers.
#[derive(Debug)]
pub(crate) struct Room(AtomicUsize);

impl Room {
    pub const fn new() -> Self {
        Self(AtomicUsize::new(MAX_ANSWER))
    }

    /// Takes an answer of so many bytes in; false where there is no room for it any more.
    pub fn takes(&self, bytes: usize) -> bool {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if taken.is_err() {
            self.0.store(0, Ordering::Relaxed);
        }
        taken.is_ok()
    }
}

/// Why a list isn't read to its end.
pub(crate) fn no_room() -> String {
    format!("its lists are longer than {} MB in all", MAX_ANSWER >> 20)
}

/// Whether a page has no more than was asked for: of one that has, it isn't known which ones the next one begins behind.
pub(crate) fn fits(told: usize, asked: usize) -> Result<(), ConnectorError> {
    if told <= asked {
        return Ok(());
    }
    Err(ConnectorError::Unreachable(format!("it answered with a page of {told}, and {asked} were asked for")))
}

/// A list, as far as it was told.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub items: Vec<Value>,
    /// Why these aren't all, if they aren't.
    pub lacks: Option<String>,
}

impl Listed {
    /// All of them.
    ///
    /// # Errors
    /// These aren't all.
    pub fn whole(self) -> Result<Vec<Value>, ConnectorError> {
        match self.lacks {
            None => Ok(self.items),
            Some(why) => Err(ConnectorError::Rejected(format!("a list wasn't read to its end: {why}"))),
        }
    }

    /// One of them; none where a whole list has none.
    ///
    /// # Errors
    /// It isn't among these, and these aren't all.
    pub fn find(self, is_it: impl Fn(&Value) -> bool) -> Result<Option<Value>, ConnectorError> {
        match self.items.iter().position(&is_it) {
            Some(place) => Ok(self.items.into_iter().nth(place)),
            None => self.whole().map(|_| None),
        }
    }

    /// These as accounts, and what of them isn't seen; `what` says what they are.
    pub fn accounts(&self, what: &str, of: impl Fn(&Value) -> Option<SeenAccount>) -> (Vec<SeenAccount>, Vec<String>) {
        let accounts: Vec<SeenAccount> = self.items.iter().filter_map(of).collect();
        let strange = self.items.len() - accounts.len();
        let strange = (strange > 0).then(|| format!("{what}: {strange} that it tells in another form than is known"));
        let lacks = self.lacks.iter().map(|why| format!("{what}: {why}"));
        (accounts, lacks.chain(strange).collect())
    }
}

/// A page, and how many bytes it came in.
pub(crate) struct Page {
    pub items: Vec<Value>,
    pub bytes: usize,
}

/// A list that is read by the numbers of its pages, until one is shorter than was asked for.
pub(crate) struct Reading<'r> {
    room: &'r Room,
    /// The most pages that are read, and what each has at most.
    pages: usize,
    size: usize,
    /// The page that is next.
    number: usize,
    items: Vec<Value>,
    end: Option<End>,
}

/// How a list came to its end.
enum End {
    Whole,
    /// There is none.
    None,
    Cut(String),
}

impl<'r> Reading<'r> {
    pub const fn of(room: &'r Room, (pages, size): (usize, usize)) -> Self {
        Self { room, pages, size, number: 1, items: Vec::new(), end: None }
    }

    /// The number of the page to be asked for next, if there is one.
    pub const fn next(&self) -> Option<usize> {
        if self.end.is_none() { Some(self.number) } else { None }
    }

    /// Adds the page that was asked for; none if it isn't there.
    ///
    /// # Errors
    /// It is longer than was asked for.
    pub fn add(&mut self, page: Option<Page>) -> Result<(), ConnectorError> {
        let Some(page) = page else {
            let cut = || End::Cut(format!("its page {} isn't told", self.number));
            self.end = Some(if self.number == 1 { End::None } else { cut() });
            return Ok(());
        };
        fits(page.items.len(), self.size)?;
        if !self.room.takes(page.bytes) {
            self.end = Some(End::Cut(no_room()));
            return Ok(());
        }
        let is_last = page.items.len() < self.size;
        self.items.extend(page.items);
        self.number += 1;
        if is_last {
            self.end = Some(End::Whole);
        } else if self.number > self.pages {
            self.end = Some(End::Cut(format!("there are more than {}", self.pages * self.size)));
        }
        Ok(())
    }

    /// What was read; none where there is no list.
    pub fn listed(self) -> Option<Listed> {
        match self.end {
            Some(End::Whole) => Some(Listed { items: self.items, lacks: None }),
            Some(End::None) => None,
            Some(End::Cut(why)) => Some(Listed { items: self.items, lacks: Some(why) }),
            None => Some(Listed { items: self.items, lacks: Some("it wasn't read to its end".to_owned()) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of pages of these lengths, each of so many bytes, where two are asked for at once, three times.
    fn read(lengths: &[usize], bytes: usize) -> Result<Option<Listed>, ConnectorError> {
        let room = Room::new();
        let mut reading = Reading::of(&room, (3, 2));
        while let Some(number) = reading.next() {
            let length = lengths.get(number - 1);
            reading.add(length.map(|length| Page { items: vec![Value::from(number); *length], bytes }))?;
        }
        Ok(reading.listed())
    }

    #[test]
    fn a_list_is_whole_or_says_why_not() {
        for (lengths, items) in [(&[0][..], 0), (&[1], 1), (&[2, 0], 2), (&[2, 2, 1], 5)] {
            assert_eq!(read(lengths, 9).unwrap().unwrap().whole().unwrap().len(), items);
        }
        assert!(read(&[], 9).unwrap().is_none());
        // Longer than was asked for: which ones the next page begins behind isn't known.
        for longer in [&[3][..], &[2, 3]] {
            assert!(matches!(read(longer, 9), Err(ConnectorError::Unreachable(_))), "{longer:?}");
        }
        // Longer than is read, longer than there is room for, gone in the midst.
        for (lengths, bytes, items) in [(&[2, 2, 2, 2][..], 9, 6), (&[2, 2, 1], MAX_ANSWER / 2 + 1, 2), (&[2], 9, 2)] {
            let cut = read(lengths, bytes).unwrap().unwrap();
            assert!(cut.items.len() == items && cut.lacks.is_some(), "{cut:?}");
            let unseen = cut.accounts("keys", |_| None).1;
            assert_eq!(unseen.len(), 2, "{unseen:?}");
            // What is in it is known, what isn't may be there all the same.
            let again = || Listed { items: cut.items.clone(), lacks: cut.lacks.clone() };
            assert!(again().find(|item| *item == 1).unwrap().is_some());
            assert!(matches!(again().find(|item| *item == 7), Err(ConnectorError::Rejected(_))));
            assert!(again().whole().is_err());
        }
    }

    #[test]
    fn what_had_no_room_makes_none_for_what_is_smaller() {
        let room = Room::new();
        assert!(room.takes(MAX_ANSWER - 1) && !room.takes(2) && !room.takes(1));
    }
}
