//! Threads that read blocks, each in a lane of its own: blocks go round the lanes, and what they say comes back in the same
//! round, in the order of the export.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope};

use super::block::Block;
use super::line::{Line, LineReader};
use crate::encoding::sha256_of;
use crate::export::ExportError;
use crate::merkle::Hash;

/// Blocks that wait in a lane, besides the one that is being read.
const WAITING: usize = 2;

/// What to find out about a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    /// What its lines say.
    pub(super) lines: bool,
    /// The digest of its bytes.
    pub(super) digest: bool,
}

/// What was found out about a block.
pub(super) struct Answer {
    pub(super) lines: Vec<Line>,
    pub(super) digest: Option<Hash>,
    /// The block's length.
    pub(super) bytes: u64,
    /// Why nothing behind these lines can be read, if so.
    pub(super) failed: Option<ExportError>,
    /// The block's room, to be used again.
    pub(super) room: Vec<u8>,
}

fn answer(reader: &mut LineReader, block: Block, question: Question) -> Answer {
    let digest = question.digest.then(|| sha256_of(&block.bytes));
    let (lines, too_long) = if question.lines { reader.block(&block.bytes) } else { (Vec::new(), None) };
    Answer { lines, digest, bytes: block.bytes.len() as u64, failed: too_long.or(block.failed), room: block.bytes }
}

struct Lane {
    questions: SyncSender<(Block, Question)>,
    answers: Receiver<Answer>,
}

/// The lanes. Without any, whoever asks reads.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    asked: usize,
    answered: usize,
    own: LineReader,
    own_answer: Option<Answer>,
}

impl Lanes {
    /// As many lanes as there can be, up to `count`. They end when this is dropped.
    pub(super) fn start<'scope>(scope: &'scope Scope<'scope, '_>, count: usize) -> Self {
        let lane = |_| {
            let (questions, asked) = sync_channel::<(Block, Question)>(WAITING);
            let (answered, answers) = sync_channel(WAITING);
            let work = move || {
                let mut reader = LineReader::default();
                while let Ok((block, question)) = asked.recv() {
                    if answered.send(answer(&mut reader, block, question)).is_err() {
                        return;
                    }
                }
            };
            Builder::new().name("verify".into()).spawn_scoped(scope, work).ok().map(|_| Lane { questions, answers })
        };
        Self { lanes: (0..count).map_while(lane).collect(), ..Self::default() }
    }

    /// Whether another block can be handed in before the next answer is taken.
    pub(super) const fn has_room(&self) -> bool {
        let under_way = self.asked.wrapping_sub(self.answered);
        if self.lanes.is_empty() { under_way == 0 } else { under_way < self.lanes.len() * WAITING }
    }

    /// Hands in the next block.
    pub(super) fn ask(&mut self, block: Block, question: Question) {
        match self.lanes.get(self.asked.checked_rem(self.lanes.len()).unwrap_or_default()) {
            // It fails if the thread is gone; then no answer comes either.
            Some(lane) => drop(lane.questions.send((block, question))),
            None => self.own_answer = Some(answer(&mut self.own, block, question)),
        }
        self.asked = self.asked.wrapping_add(1);
    }

    /// Waits for the answer to the oldest block that was handed in; `None` if there is none.
    pub(super) fn next(&mut self) -> Option<Answer> {
        if self.answered == self.asked {
            return None;
        }
        let answer = match self.lanes.get(self.answered.checked_rem(self.lanes.len()).unwrap_or_default()) {
            Some(lane) => lane.answers.recv().ok(),
            None => self.own_answer.take(),
        };
        self.answered = self.answered.wrapping_add(1);
        answer
    }
}
