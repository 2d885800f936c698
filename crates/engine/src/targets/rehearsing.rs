//! Canaries of drills (R97): an account of minutes is taken, ended and refused at a target in the place of an identity's own,
//! by the same calls as any login there; what it showed stands in the drill.

use tenure_core::base::time::Timestamp;
use tenure_core::credential::drill::{Drill, DrillCanary};
use tenure_core::store::changeset::Changeset;
use tenure_core::target::connector::words;
use tenure_core::target::login::Login;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::targets::proving;
use crate::targets::reach::Reached;

/// When the target took a canary that was just made, or why it didn't. `sealed`: what it is tried with, where that isn't the
/// secret that it was made with.
pub(super) async fn taken(
    kernel: &Kernel,
    reached: &Reached<'_>,
    login: &Login,
    sealed: Option<&String>,
) -> Result<Result<Timestamp, String>, OpError> {
    let canary = Login { sealed: sealed.or(login.sealed.as_ref()).cloned(), ..login.clone() };
    Ok(match proving::tried(kernel, reached, &canary).await? {
        Ok(Ok(at)) => Ok(at),
        Ok(Err(said)) => Err(format!("the target refused it as soon as it was made: {said}")),
        Err(error) => Err(words(&error.to_string())),
    })
}

/// What a canary that is over showed stands in its drill, as long as that is the identity's last one.
pub(super) async fn note_drilled(kernel: &Kernel, changeset: &mut Changeset, login: &Login) -> Result<(), OpError> {
    let Some(rehearsal) = login.rehearsal.as_ref().filter(|_| login.is_over()) else { return Ok(()) };
    let Some(stored) = kernel.one::<Drill>(rehearsal.identity).await? else { return Ok(()) };
    let mut drill = (*stored.value).clone();
    let Some(canary) = drill.canaries.iter_mut().find(|canary| canary.login == Some(login.id)) else {
        return Ok(());
    };
    *canary = DrillCanary {
        // It stood when it was taken, which is written down together.
        made_at: login.made_at.map(|made| rehearsal.accepted_at.map_or(made, |taken| made.min(taken))),
        accepted_at: rehearsal.accepted_at,
        ended_at: login.end.as_ref().map(|end| end.since),
        outcome: login.outcome.clone(),
        trouble: rehearsal.trouble.clone(),
        ..canary.clone()
    };
    changeset.replace(&stored, &drill);
    Ok(())
}
