//! After the storm: the faults stop, what is due is worked off, and everything has to come to rest.

use std::sync::Arc;

use tenure_api::log::ExportRange;
use tenure_core::base::time::Span;
use tenure_core::credential::receipt::{Receipt, ReceiptState};
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::store::due::DueKind;
use tenure_core::store::row::RowKind;
use tenure_engine::kernel::caller;
use tenure_engine::kernel::error::OpError;
use tenure_engine::log::{reading, seal};
use tenure_engine::run::{deadlines, purging, upkeep};
use tenure_engine::state::verification;

use crate::exec;
use crate::model::{Broken, record};
use crate::world::World;

impl World {
    /// The faults stop. Whatever is due is worked off, and everything has to come to rest.
    pub(crate) fn calm(&mut self) -> Result<(), Broken> {
        self.shared.set_faults(false);
        self.say("the faults stop");
        self.step += 1;
        self.time.pass(Span::from_micros(self.dump().head.last_at.since(self.time.now()).as_micros()));
        self.time.pass(Span::from_mins(1));
        for node in &self.nodes {
            node.clock.set_error(0);
        }
        // In turn: one may wait for what another holds.
        for turn in 0..100_000 {
            if self.tasks.is_empty() {
                break;
            }
            self.step += 1;
            self.advance(turn % self.tasks.len())?;
            self.look()?;
        }
        if !self.tasks.is_empty() {
            return Err(("converge", "an operation doesn't end".into()));
        }
        // Beyond every lease, every pause between attempts, and the life of every token that is accepted offline.
        for minutes in [1, 15, 15, 60, 60] {
            self.time.pass(Span::from_mins(minutes));
            self.work_off()?;
        }
        self.settled()?;
        self.verify_state()?;
        self.still_serves()?;
        // Beyond what a request stays open for.
        self.time.pass(Span::from_days(8));
        self.work_off()?;
        self.settled()?;
        self.verify_log()?;
        self.verify_state()?;
        let dump = self.dump();
        self.checker.all_rows(&dump)?;
        self.say(&format!("{} entries", dump.head.size));
        Ok(())
    }

    fn work_off(&mut self) -> Result<(), Broken> {
        for round in 0..200 {
            let mut done = 0;
            for node in &self.nodes {
                let engine = Arc::clone(&node.engine);
                let work = async move {
                    let done = deadlines::work_due(&engine).await?;
                    upkeep::flush_used(&engine).await?;
                    engine.flush_refusals(false).await?;
                    purging::purge(&engine).await?;
                    seal::seal_now(&engine).await?;
                    Ok::<usize, OpError>(done)
                };
                match exec::finish(work, 10_000) {
                    Some(Ok(n)) => done += n,
                    other => return Err(("converge", format!("the work can't be done: {other:?}"))),
                }
            }
            self.step += 1;
            self.look()?;
            if done == 0 {
                return Ok(());
            }
            // Receipts that can't be proven come again after a while, but not for ever in one minute.
            if round > 50 {
                return Err(("converge", "the work doesn't end".into()));
            }
        }
        Ok(())
    }

    fn settled(&mut self) -> Result<(), Broken> {
        let now = self.time.now();
        let dump = self.dump();
        if let Some(((kind, subject), due)) = dump.due.iter().find(|(_, due)| due.due_at <= now) {
            return Err(("converge", format!("{} {subject} is due since {}", kind.as_str(), due.due_at)));
        }
        crate::authority::at_rest(&dump)?;
        for key in dump.rows.keys() {
            if let (RowKind::Identity, Some(identity)) = (key.kind, record::<Identity>(&dump, key)) {
                let over = identity.complete_charter().is_ok_and(|charter| charter.end() <= now);
                // What is accepted offline outlives the beginning of the end by a quarter of an hour.
                let waits =
                    identity.retirement.as_ref().is_some_and(|end| end.started_at.plus(Span::from_mins(16)) > now);
                let stuck = (identity.state == IdentityState::Retiring && !waits)
                    || (over && matches!(identity.state, IdentityState::Active | IdentityState::Suspended));
                let idle = identity.complete_charter().is_ok_and(|charter| charter.idle_limit().is_some());
                let watched = dump.due.contains_key(&(DueKind::IdentityIdle, key.id.clone()));
                if idle && !watched && identity.state == IdentityState::Active {
                    return Err(("converge", format!("{key} ends when it is idle, and nobody looks")));
                }
                if stuck {
                    return Err(("converge", format!("{key} is {} after its end", identity.state.as_str())));
                }
            }
            if let (RowKind::Receipt, Some(receipt)) = (key.kind, record::<Receipt>(&dump, key)) {
                let open = matches!(
                    receipt.state(),
                    ReceiptState::Requested | ReceiptState::Unproven | ReceiptState::Unreachable
                ) || receipt.signed.is_none() && receipt.state() != ReceiptState::Lifted;
                if open {
                    return Err(("converge", format!("{key} stays {:?}: {:?}", receipt.state(), receipt.points)));
                }
            }
        }
        Ok(())
    }

    /// The server's own check finds nothing wrong where nobody altered anything.
    fn verify_state(&mut self) -> Result<(), Broken> {
        let Some(node) = self.nodes.first() else { return Ok(()) };
        let engine = Arc::clone(&node.engine);
        match exec::finish(async move { verification::verify_by_itself(&engine).await }, 100_000) {
            Some(Ok(report)) if report.faults.is_empty() => Ok(()),
            other => Err(("s2", format!("nothing was altered, and the state's check says {other:?}"))),
        }
    }

    /// What was kept of the log on the way must be a beginning of what is exported now.
    fn verify_log(&mut self) -> Result<(), Broken> {
        let (Some(node), Some(admin)) = (self.nodes.first(), self.people.first()) else {
            return Ok(());
        };
        let (engine, token) = (Arc::clone(&node.engine), admin.token.clone());
        let export = async move {
            let caller = caller::authenticate_person(&engine, &token).await?;
            let mut export = reading::export(&engine, &caller, ExportRange::default()).await?;
            let mut bytes = Vec::new();
            while let Some(chunk) = export.next_chunk().await? {
                bytes.extend(chunk);
            }
            Ok::<_, OpError>((bytes, reading::verifier_key(&engine).await?))
        };
        let Some(Ok((bytes, key))) = exec::finish(export, 10_000) else {
            return Err(("merkle", "the log can't be exported".into()));
        };
        let keys = [tenure_log::VerifierKey::parse(&key).map_err(|error| ("merkle", error.to_string()))?];
        let kept: Vec<&str> = self.kept.iter().map(String::as_str).collect();
        let expected = tenure_log::Expectations { keys: &keys, kept: &kept, ..Default::default() };
        match tenure_log::verify_export(bytes.as_slice(), &expected) {
            Ok(verified) => {
                self.say(&format!("the export of {} entries verifies", verified.entries));
                Ok(())
            }
            Err(faults) => Err(("merkle", format!("{faults:?}"))),
        }
    }
}
