//! Pages that are told of changes: parts of them, written anew by the server, as `text/event-stream` (WHATWG HTML §9.2).
//!
//! A stream has no rights of its own. Whoever opened it is asked for again before anything is told, and every few
//! seconds where nothing is: a session that ended, a person who left, a right that is gone ends it. What is told is
//! always what stands there now: a page that was away, or whose server was, misses nothing. A page that reads slowly
//! is told less often, and nothing waits for it in memory.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tenure_core::store::row::RowKey;
use tenure_engine::kernel::caller::{self, Caller};
use tokio::sync::watch;

use crate::app::App;
use crate::console::reader::{Reader, Refusal};
use crate::contract::error::Failure;
use crate::limits::admission::BoundedElsewhere;
use crate::serve::Stop;
use crate::serve::shares::Share;

/// How long nothing is told: then it is looked whether whoever reads still may, and a comment shows that the stream
/// lives.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long a stream lives. A browser opens the next by itself, and whoever it is proves themselves again.
const LIFE: Duration = Duration::from_mins(30);
/// How long a browser waits before it opens the next, in milliseconds.
const RETRY: u32 = 2_000;

/// A part of a page, as it is now.
pub(super) struct Told {
    /// Its HTML.
    pub html: String,
    /// Whether nothing of it changes any more.
    pub is_over: bool,
}

/// What reads a part of a page anew, as whoever reads it may.
pub(super) trait Tells: Send + Sync + 'static {
    /// The part as it is now.
    ///
    /// # Errors
    /// They may not read it, or it can't be read.
    fn tell(&self, app: &App, caller: &Caller) -> impl Future<Output = Result<Told, Failure>> + Send;
}

/// The stop of the server that a request came to.
pub(super) struct Stopping(Option<Stop>);

impl<S: Send + Sync> FromRequestParts<S> for Stopping {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<Stop>().cloned()))
    }
}

impl Stopping {
    async fn begun(&mut self) {
        match &mut self.0 {
            Some(stop) => stop.begun().await,
            None => std::future::pending().await,
        }
    }
}

/// A page that is told of changes.
struct Page<T> {
    app: App,
    caller: Caller,
    changes: watch::Receiver<Option<u64>>,
    stopping: Stopping,
    tell: T,
    /// What stands there.
    shown: String,
    is_over: bool,
    began: Instant,
    _open: Share,
}

/// Tells a part of a page on which a row is shown, now and whenever that row changes, until it is over. `tell` reads it
/// as whoever reads the page may, each time anew.
///
/// # Errors
/// They may not read it, or as many pages are told of changes as may be.
#[expect(clippy::disallowed_methods, reason = "how long something takes is measured at the edge")]
pub(super) async fn live<T>(
    app: App,
    reader: Reader,
    row: RowKey,
    stopping: Stopping,
    tell: T,
) -> Result<Response, Refusal>
where
    T: Tells,
{
    let open = app.streams.open_page(&reader.caller)?;
    // Looked at before it is read, so that no change falls between.
    let changes = app.watched.look_at(&app.kernel, row);
    let first = tell.tell(&app, &reader.caller).await?;
    let mut page = Page {
        app,
        caller: reader.caller,
        changes,
        stopping,
        tell,
        shown: String::new(),
        is_over: false,
        began: Instant::now(),
        _open: open,
    };
    let first = format!("retry: {RETRY}\n{}", page.written(first));
    let lines = stream::unfold((page, Some(first)), async |(mut page, first)| {
        let lines = match first {
            Some(first) => first,
            None => page.next().await?,
        };
        Some((Ok::<_, Infallible>(lines), (page, None)))
    });
    Ok((Extension(BoundedElsewhere), [(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(lines))
        .into_response())
}

impl<T: Tells> Page<T> {
    /// The next that is told; nothing once it is over, or whoever reads may not any more.
    async fn next(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        loop {
            let left = LIFE.checked_sub(self.began.elapsed())?;
            let has_changed = tokio::select! {
                () = self.stopping.begun() => return None,
                changed = tokio::time::timeout(HEARTBEAT.min(left), self.changes.changed()) => changed.is_ok(),
            };
            let caller = caller::still(&self.app.kernel, &self.caller).await.ok()?;
            let told = self.tell.tell(&self.app, &caller).await.ok()?;
            if told.html != self.shown {
                return Some(self.written(told));
            }
            if !has_changed {
                return Some(":\n\n".to_owned());
            }
        }
    }

    /// A part as an event. A line ends wherever a browser would end it.
    fn written(&mut self, told: Told) -> String {
        let lines: String = told.html.split(['\r', '\n']).map(|line| format!("data: {line}\n")).collect();
        (self.shown, self.is_over) = (told.html, told.is_over);
        lines + "\n"
    }
}
