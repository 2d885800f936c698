//! What an identity may do beside what it does.

use tenure_api::usage::UsageView;
use tenure_core::identity::right_size::Replay;

use super::output::Column;

pub const GRANTED: &[Column] = &[
    ("RESOURCE", "/resource"),
    ("ACTION", "/action"),
    ("VERDICT", "/verdict"),
    ("ALLOWED", "/allowed"),
    ("REFUSED", "/refused"),
    ("LAST USED", "/last_used"),
    ("GRANTS", "/grants"),
];

/// Says what the counts come to.
pub fn say(usage: &UsageView) {
    let (share, sized) = (usage.unused, &usage.right_size);
    eprintln!(
        "{} of {} things that it may do weren't used in {} ({} %)",
        share.things,
        share.of,
        usage.window.as_str(),
        share.percent
    );
    match (&sized.proposal, sized.withheld) {
        (Some(_), _) => eprintln!("without what is unused: {}", replayed(sized.replayed)),
        (None, Some(withheld)) => eprintln!("nothing is proposed: {}", withheld.hint()),
        (None, None) => {}
    }
    if let Some(strict) = &sized.without_rare {
        eprintln!("without what is rare, too (--drop-rare): {}", replayed(strict.replayed));
    }
}

fn replayed(replay: Replay) -> String {
    let untold = match replay.untold {
        0 => String::new(),
        untold => format!("; of {untold} nothing can be told"),
    };
    format!("would have denied {} of {} decisions in 90 days{untold}", replay.would_deny, replay.of)
}
