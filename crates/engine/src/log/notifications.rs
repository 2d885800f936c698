//! How the delivery of notices stands.

use tenure_api::notices::{ChannelView, DeliveryView};
use tenure_api::views::{Names, Page};
use tenure_core::store::port::ListQuery;
use tenure_core::store::row::{RowKind, Stored};

use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::notice::{Outbox, Pending};
use crate::kernel::{Kernel, authority};

/// Deliveries of one channel that are shown.
const SHOWN: usize = 100;
/// Channels that were ever configured; there are two.
const CHANNELS: u16 = 10;

/// Each channel, and what is still to be delivered on it.
///
/// # Errors
/// The caller may not read it, or the store can't be read.
pub async fn notifications(kernel: &Kernel, caller: &Caller) -> Result<Page<ChannelView>, OpError> {
    authority::may_read(kernel, caller, "notification", "", false).await?;
    // Rows and no query: a cursor's kind has other records, too, and one that was altered is named here.
    let query = ListQuery { after: Some(Outbox::id_of("")), ..ListQuery::every(RowKind::Cursor, CHANNELS) };
    let mut channels = kernel.store.page(&query).await?;
    channels.rows.retain(|row| row.key.id.starts_with(&Outbox::id_of("")));
    channels.altered.retain(|key| key.id.starts_with(&Outbox::id_of("")));
    let (channels, unreadable) = channels.records::<Outbox>();
    let mut items = Vec::with_capacity(channels.len());
    for channel in &channels {
        items.push(channel_view(kernel, channel).await?);
    }
    Ok(Page {
        items,
        next: None,
        count: None,
        unreadable: unreadable.into_iter().map(|bad| bad.key.id).collect(),
        names: Names::new(),
    })
}

/// The channels that this server delivers on, for its metrics; costs nothing where there is none.
///
/// # Errors
/// The store can't be read.
pub async fn configured_channels(kernel: &Kernel) -> Result<Vec<ChannelView>, OpError> {
    let configured = kernel.channels.lock().clone();
    let mut views = Vec::with_capacity(configured.len());
    for channel in configured {
        if let Some(outbox) = kernel.one::<Outbox>(Outbox::id_of(channel)).await? {
            views.push(channel_view(kernel, &outbox).await?);
        }
    }
    Ok(views)
}

async fn channel_view(kernel: &Kernel, outbox: &Stored<Outbox>) -> Result<ChannelView, OpError> {
    let size = kernel.store.head().await?.size;
    Ok(ChannelView {
        channel: outbox.channel.clone(),
        configured: kernel.channels.lock().iter().any(|channel| *channel == outbox.channel),
        unread: size.saturating_sub(outbox.next),
        pending: outbox.pending.len(),
        oldest: outbox.pending.iter().map(|pending| pending.at).min(),
        failures: outbox.failures,
        resting_until: outbox.resting_until,
        deliveries: outbox.pending.iter().take(SHOWN).map(view).collect(),
    })
}

fn view(pending: &Pending) -> DeliveryView {
    DeliveryView {
        index: pending.index,
        event: pending.event.clone(),
        kind: pending.kind.clone(),
        at: pending.at,
        person: pending.person,
        attempts: pending.attempts,
        again_at: pending.again_at,
        why: pending.why.clone(),
    }
}
