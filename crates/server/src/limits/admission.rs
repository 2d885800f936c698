//! Requests under way: bounded in all and for each source, with places kept free for whoever is to be let in by their
//! head alone.
//!
//! A connection is no bound on requests: one of HTTP/2 carries many at once, and one of a proxy carries everybody's.
//! What the server works on keeps its place. What waits for its client gives it up when another needs it, the oldest
//! first: a body that doesn't come, an answer that isn't read. So nobody is kept out by requests that are only held
//! open, from however many addresses. The routes of the management API let nobody wait who hasn't proven who they are,
//! so the kept places are a stranger's for no longer than that takes.

use std::sync::Arc;

use crate::serve::shares::Shares;

/// Requests under way at once.
const MAX_REQUESTS: usize = 2_048;
/// Further ones, which only the management API gets, and there whoever shows a credential: to revoke, and to find out
/// what.
const KEPT: usize = 512;
/// Requests of one source under way at once, and of the further ones half as many.
const MAX_OF_A_SOURCE: usize = 512;

/// The places of the requests that are under way.
#[derive(Debug)]
pub(crate) struct Admission {
    open: Arc<Shares>,
    kept: Arc<Shares>,
}

impl Default for Admission {
    fn default() -> Self {
        Self { open: Shares::new(MAX_REQUESTS, MAX_OF_A_SOURCE), kept: Shares::new(KEPT, MAX_OF_A_SOURCE / 2) }
    }
}

impl Admission {
    /// The places of whoever shows a credential to the management API, or those of everybody else.
    pub(crate) fn places(&self, kept: bool) -> &Arc<Shares> {
        if kept { &self.kept } else { &self.open }
    }
}

/// An answer that lives on its own share of something else, and is no request any more once it has begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BoundedElsewhere;
