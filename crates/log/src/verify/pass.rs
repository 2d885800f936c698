//! A pass over the entries of an export: blocks go out to be read on all processors, what they say is walked along in
//! order, so that the verdict is that of reading line by line.

use std::io::BufRead;

use super::block::{Block, Blocks};
use super::bookmark::{Bookmark, BookmarkError, Bound, Place, chained};
use super::lanes::{Answer, Lanes, Question};
use super::walk::Walk;
use super::{Progress, Run, Unfinished};
use crate::fault::{Collector, FaultCode};
use crate::merkle::Hash;

/// The most threads that read. With more of them, the one that walks has no time left to hand them lines, and the blocks
/// under way would take more memory than promised.
const MAX_THREADS: usize = 8;

pub(super) struct Pass<'a> {
    pub(super) walk: Walk<'a>,
    pub(super) faults: Collector,
    first: u64,
    size: u64,
    bound: Bound,
    /// The bookmark that isn't reached yet.
    ahead: Option<Bookmark>,
    /// Bytes behind the header that were walked along, or hashed on the way to the bookmark.
    bytes: u64,
    /// Their digest, if it is kept.
    seen: Hash,
}

impl<'a> Pass<'a> {
    pub(super) fn new(walk: Walk<'a>, faults: Collector, size: u64, bound: Bound, from: Option<Bookmark>) -> Self {
        let first = walk.stand.expected;
        Self { walk, faults, first, size, seen: bound.header, bound, ahead: from, bytes: 0 }
    }

    /// Goes along all of them; false if they can't be read to their end.
    pub(super) fn entries<R: BufRead>(&mut self, input: R, run: &mut Run<'_>) -> Result<bool, Unfinished> {
        self.reach_bookmark()?;
        let mut blocks = Blocks::new(input);
        let first = blocks.next(Vec::new());
        // Threads for a single block would take longer than the block.
        let threads = if first.last { 0 } else { run.threads.min(MAX_THREADS) };
        let readable = std::thread::scope(|scope| {
            let lanes = if threads > 1 { Lanes::start(scope, threads) } else { Lanes::default() };
            self.rounds(blocks, first, lanes, run)
        })?;
        if self.ahead.is_some() { Err(BookmarkError::OtherExport.into()) } else { Ok(readable) }
    }

    fn rounds<R: BufRead>(
        &mut self,
        mut blocks: Blocks<R>,
        first: Block,
        mut lanes: Lanes,
        run: &mut Run<'_>,
    ) -> Result<bool, Unfinished> {
        let verified = self.ahead.as_ref().map_or(0, |bookmark| bookmark.bytes);
        let (mut next, mut start) = (Some(first), 0_u64);
        let mut rooms = Vec::new();
        loop {
            while lanes.has_room()
                && let Some(block) = next.take()
            {
                let seen = start < verified;
                start += block.bytes.len() as u64;
                let last = block.last;
                lanes.ask(block, Question { lines: !seen, digest: seen || run.bookmarks });
                if !last {
                    next = Some(blocks.next(rooms.pop().unwrap_or_default()));
                }
            }
            let Some(mut answer) = lanes.next() else {
                return Ok(true);
            };
            rooms.push(std::mem::take(&mut answer.room));
            if !self.block(answer)? {
                return Ok(false);
            }
            if (run.watch)(&self.progress(run.bookmarks)).is_break() {
                return Err(Unfinished::Stopped);
            }
        }
    }

    /// Takes in what was found out about the next block; false if nothing behind it can be read.
    fn block(&mut self, answer: Answer) -> Result<bool, Unfinished> {
        for line in &answer.lines {
            self.walk.line(line, &mut self.faults);
        }
        self.bytes += answer.bytes;
        // A last block without bytes is none.
        if let Some(digest) = answer.digest.as_ref().filter(|_| answer.bytes > 0) {
            self.seen = chained(&self.seen, answer.bytes, digest);
        }
        if let Some(error) = answer.failed {
            // On the way to the bookmark nothing is known of the entries, not even their numbers.
            match self.ahead.take() {
                Some(_) => self.faults.whole(FaultCode::Unreadable, error.to_string()),
                None => self.walk.unreadable(&error.to_string(), &mut self.faults),
            }
            return Ok(false);
        }
        self.reach_bookmark()?;
        Ok(true)
    }

    /// Goes on from the bookmark, if this is where it is.
    fn reach_bookmark(&mut self) -> Result<(), BookmarkError> {
        match self.ahead.take_if(|bookmark| bookmark.bytes <= self.bytes) {
            Some(bookmark) if bookmark.bytes == self.bytes && bookmark.seen == self.seen => {
                self.walk.stand = bookmark.stand;
                self.faults = bookmark.faults;
                Ok(())
            }
            // Past it, blocks end elsewhere.
            Some(_) => Err(BookmarkError::OtherExport),
            None => Ok(()),
        }
    }

    fn progress(&self, bookmarks: bool) -> Progress<'_> {
        let standing = self.ahead.is_none().then_some((&self.walk.stand, &self.faults));
        Progress {
            first: self.first,
            entries: self.walk.stand.expected,
            size: self.size,
            bytes: self.bound.header_bytes + self.bytes,
            place: standing.filter(|_| bookmarks).map(|(stand, faults)| Place {
                stand,
                faults,
                bound: &self.bound,
                bytes: self.bytes,
                seen: &self.seen,
            }),
        }
    }
}
