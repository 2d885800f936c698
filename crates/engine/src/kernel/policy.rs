//! The policy set in force, swapped atomically.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tenure_core::policy::set::InForce;
use tenure_core::policy::{Answer, PolicyEngine, PolicyLoader, Question};
use tenure_core::store::changeset::Expect;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::kernel::error::OpError;

/// How long a proposed text may take to be read, its turn included, and how long to answer what is asked of each
/// proposal. What a text may hold bounds the work as well; this is for what that fails to foresee.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The engine of the set in force, swapped atomically.
pub(crate) struct Policies {
    pub(crate) current: RwLock<Current>,
    pub(crate) builtin: Arc<dyn PolicyEngine>,
    pub(crate) loader: Arc<dyn PolicyLoader>,
    /// Held while a text is read: one at a time, so that reading them takes one processor at most.
    pub(crate) reading: Arc<Semaphore>,
    /// The text that was read last: a proposal is read again at each look and each vote. What is in force is read anew,
    /// so that the questions of its review are not among those that it was asked lately.
    pub(crate) last_read: RwLock<Option<(String, Arc<dyn PolicyEngine>)>>,
}

/// A set in force that this release doesn't take, since an earlier one had other bounds: it permits nothing. The kernel
/// stays, with its way back to the built-in set.
pub(crate) struct NotTaken {
    pub(crate) version: String,
}

impl PolicyEngine for NotTaken {
    #[expect(clippy::disallowed_methods, reason = "it is a policy engine, if one that permits nothing")]
    fn decide(&self, _: &Question) -> Answer {
        Answer::by_engine(false, true, self.version(), Vec::new())
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn recent(&self) -> Vec<(Question, Answer)> {
        Vec::new()
    }
}

#[derive(Clone)]
pub(crate) struct Current {
    pub(crate) engine: Arc<dyn PolicyEngine>,
    /// The revision of the row that says which set is in force; none while it is the built-in one.
    pub(crate) basis: Option<u64>,
}

impl Policies {
    pub(crate) fn new(builtin: Arc<dyn PolicyEngine>, loader: Arc<dyn PolicyLoader>) -> Self {
        Self {
            current: RwLock::new(Current { engine: Arc::clone(&builtin), basis: None }),
            builtin,
            loader,
            reading: Arc::new(Semaphore::new(1)),
            last_read: RwLock::default(),
        }
    }

    pub(crate) fn engine(&self) -> Arc<dyn PolicyEngine> {
        Arc::clone(&self.current.read().engine)
    }

    pub(crate) fn decide(&self, question: &Question) -> Answer {
        self.engine().decide(question)
    }

    pub(crate) fn version(&self) -> String {
        self.engine().version()
    }

    /// The set that a proposed text says.
    pub(crate) async fn read(&self, text: &str) -> Result<Arc<dyn PolicyEngine>, OpError> {
        if let Some(builtin) = self.way_back(text) {
            return Ok(builtin);
        }
        if let Some((_, set)) = self.last_read.read().as_ref().filter(|(read, _)| read == text) {
            return Ok(Arc::clone(set));
        }
        let set = in_time(self.load(text)).await?;
        *self.last_read.write() = Some((text.to_owned(), Arc::clone(&set)));
        Ok(set)
    }

    /// Reads a text off the threads that answer, which a long one would keep from answering others.
    pub(crate) async fn load(&self, text: &str) -> Result<Arc<dyn PolicyEngine>, OpError> {
        let turn = Arc::clone(&self.reading).acquire_owned().await;
        let (loader, text) = (Arc::clone(&self.loader), text.to_owned());
        let read = off_thread(move || {
            let _turn = turn;
            loader.load(&text)
        });
        read.await?.map_err(OpError::Invalid)
    }

    /// The built-in set, if it is what the text says: nobody else judges who goes back to it.
    pub(crate) fn way_back(&self, text: &str) -> Option<Arc<dyn PolicyEngine>> {
        (text == self.loader.default_text()).then(|| Arc::clone(&self.builtin))
    }

    /// What a commit rests on that enables something: that the set which was asked is still in force.
    pub(crate) fn basis(&self) -> Expect {
        match self.current.read().basis {
            Some(revision) => Expect::Revision(InForce::row_key(), revision),
            None => Expect::Absent(InForce::row_key()),
        }
    }
}

/// What comes of reading a proposed set or asking it, if it comes in time. The simulation, which has no runtime, waits
/// for nothing.
pub(crate) async fn in_time<T>(work: impl Future<Output = Result<T, OpError>>) -> Result<T, OpError> {
    if Handle::try_current().is_err() {
        return work.await;
    }
    let too_slow = |_| {
        OpError::Unavailable(
            "the policy set could not be judged in time: try again, or write fewer or simpler policies".into(),
        )
    };
    tokio::time::timeout(PATIENCE, work).await.map_err(too_slow)?
}

/// Runs what only reckons on a thread of its own.
pub(crate) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, OpError> {
    let Ok(runtime) = Handle::try_current() else {
        return Ok(work());
    };
    let done = runtime.spawn_blocking(work).await;
    done.map_err(|error| OpError::Internal(format!("reading a policy set failed: {error}")))
}
