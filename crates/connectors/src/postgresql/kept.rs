//! Sessions of connectors' own logins that are kept a moment for whatever is next to be done with the same login: a new one
//! costs the server a process, a handshake and a plan of every statement.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use parking_lot::Mutex;
use tenure_core::target::connector::Reach;
use tokio::time::{sleep, timeout};

use super::session::Session;

/// How long a session is kept that nobody uses: nobody waits longer for its database to be empty.
const FOR: Duration = Duration::from_secs(2);
/// How old a session becomes that is used all the time: whoever stops the connector's login at the server waits no longer.
const OLDEST: Duration = Duration::from_secs(20);
/// How long a server takes to say that it knows of a session still.
const ANSWERS: Duration = Duration::from_secs(1);
/// Sessions that are kept of one login.
const EACH: usize = 4;
/// Sessions that are kept in all.
const ALL: usize = 32;

/// Sessions that nobody uses now.
#[derive(Default)]
pub(super) struct Kept(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    idle: Vec<Idle>,
    next: u64,
}

struct Idle {
    number: u64,
    whose: Whose,
    session: Session,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("idle", &self.0.lock().idle.len()).finish()
    }
}

/// Whose a session is: all that was needed to open it, as a digest. With another secret, or another certificate authority,
/// it is another one's.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Whose([u8; digest::SHA256_OUTPUT_LEN]);

impl Whose {
    pub fn of(reach: &Reach<'_>) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        let (endpoint, login) = (reach.endpoint, reach.login);
        let ca = endpoint.ca.as_deref();
        let flags = format!("{} {}", endpoint.plaintext, ca.is_some());
        let options = endpoint.options.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let parts = [&flags, endpoint.url.as_str(), ca.unwrap_or_default(), &login.name, login.secret.expose()];
        for part in parts.into_iter().chain(options) {
            context.update(&part.len().to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut whose = [0; digest::SHA256_OUTPUT_LEN];
        whose.copy_from_slice(context.finish().as_ref());
        Self(whose)
    }
}

impl Kept {
    /// A session that is as a new one, if one is kept and the server still knows of it.
    pub async fn take(&self, whose: &Whose, reach: &Reach<'_>) -> Option<Session> {
        loop {
            let session = {
                let idle = &mut self.0.lock().idle;
                let last = idle.iter().rposition(|idle| idle.whose == *whose)?;
                idle.remove(last).session
            };
            if let Ok(Ok(())) = timeout(ANSWERS, session.set_up(reach)).await {
                return Some(session);
            }
        }
    }

    /// Keeps a session in which nothing is left of whoever had it.
    pub fn put(kept: &Arc<Self>, whose: Whose, session: Session) {
        if !session.is_clean() || session.since.elapsed() > OLDEST {
            return;
        }
        let number = {
            let Inner { idle, next } = &mut *kept.0.lock();
            if idle.len() >= ALL || idle.iter().filter(|idle| idle.whose == whose).count() >= EACH {
                return;
            }
            *next += 1;
            idle.push(Idle { number: *next, whose, session });
            *next
        };
        let kept = Arc::downgrade(kept);
        tokio::spawn(async move {
            sleep(FOR).await;
            if let Some(kept) = kept.upgrade() {
                kept.0.lock().idle.retain(|idle| idle.number != number);
            }
        });
    }
}
