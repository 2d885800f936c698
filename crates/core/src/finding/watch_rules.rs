//! The rules of what is watched after the first day: what is silent, has ended, is nobody's, was breached, or meets across
//! identities.

use crate::finding::{Fix, Rule, Severity};

/// A vendor was breached while its integrations hold credentials that work.
pub static VENDOR_BREACHED: Rule = Rule {
    id: "vendor-breached",
    title: "The vendor that operates an identity was breached, and the identity works",
    severity: Severity::High,
    frameworks: &["NHI3:2025", "CSF2.0:GV.SC-08", "CSF2.0:PR.AA-05"],
    aliases: &[],
    evidence: "the vendor, when its breach was declared, by whom and why, and how many credentials of the identity are alive",
    blind_spots: "breaches that nobody declared here; what the vendor holds of identities whose charters don't name it",
    false_positives: "a breach that didn't reach what this integration holds: who declared it, or security, says that it is over",
    action: "cut and hold everything that the vendor operates: tenure cut vendor VENDOR --suspend --reason TEXT; or this one: tenure identity suspend",
    fix: Fix::BySetting,
    suppressed_by: None,
};

/// One identity is attested from two places at the same time (R89).
pub static TWO_PLACES: Rule = Rule {
    id: "two-places",
    title: "One identity is attested from two clusters or regions at the same time",
    severity: Severity::Medium,
    frameworks: &["NHI9:2025", "CSF2.0:PR.AA-03", "CSF2.0:DE.CM-03"],
    aliases: &[],
    evidence: "the binding, and both places as the platform's tokens tell them",
    blind_spots: "proofs by a key or a certificate, and tokens that tell neither their cluster nor their region; places that the charter names, or a shared_use exception",
    false_positives: "a workload that moved to another cluster while its last credential was alive",
    action: "give what runs in each place an identity of its own; or name the places in the charter, and have a shared_use exception list them until then",
    fix: Fix::Note,
    suppressed_by: None,
};

/// A cloud or an OIDC trust lets in more than one named workload.
pub static OPEN_TRUST: Rule = Rule {
    id: "open-trust",
    title: "A trust at a target names nobody, or fixes no subject and audience",
    severity: Severity::High,
    frameworks: &["NHI6:2025", "CSF2.0:PR.AA-03", "SP800-207:2.1-tenet-6"],
    aliases: &[],
    evidence: "the account, its target, and the trust in the target's own words",
    blind_spots: "trusts of targets whose connector doesn't tell who may become an account; what policies besides the trust forbid; what changed since the target was looked through last",
    false_positives: "a condition that is too long to be read whole",
    action: "have the trust name its subject and its audience there, each by its exact value; then the next look resolves it",
    fix: Fix::Note,
    suppressed_by: None,
};

/// Something that has ended is still calling (R99).
pub static USED_AFTER_END: Rule = Rule {
    id: "used-after-end",
    title: "A retired or deprecated identity is still calling",
    severity: Severity::High,
    frameworks: &["NHI1:2025", "CSF2.0:DE.CM-03", "CSF2.0:PR.AA-05"],
    aliases: &["NHI-01"],
    evidence: "what ended, when, and what was refused: the endpoint or the enforcement point that was asked",
    blind_spots: "resources whose gateways check tokens by themselves",
    false_positives: "a workload that was retired and is being shut down",
    action: "find the workload that still calls and stop it; if it is needed, register an identity for what it does now",
    fix: Fix::Note,
    suppressed_by: None,
};

/// What an identity is or belongs to is past its sunset (R99).
pub static PAST_SUNSET: Rule = Rule {
    id: "past-sunset",
    title: "An identity, or what it belongs to, is past its sunset",
    severity: Severity::High,
    frameworks: &["NHI1:2025", "CSF2.0:PR.AA-01"],
    aliases: &["NHI-01"],
    evidence: "what was deprecated, since when, its sunset, and when the identity was last used",
    blind_spots: "things of which nobody said that they go",
    false_positives: "a sunset that should have been put off in time",
    action: "move what it does to what is named instead, and retire it; or have security put the sunset off and resume it: tenure deprecation declare",
    fix: Fix::Hold,
    suppressed_by: None,
};

/// Nobody has looked at a break-glass access (R107).
pub static BREAK_GLASS_UNREVIEWED: Rule = Rule {
    id: "break-glass-unreviewed",
    title: "Nobody has looked at a break-glass access in time",
    severity: Severity::High,
    frameworks: &["NHI5:2025", "CSF2.0:PR.AA-05", "CSF2.0:RS.AN-03"],
    aliases: &["CSF:PR.AC-4"],
    evidence: "the access, who started it, when and why, and until when somebody had to look at it",
    blind_spots: "whether whoever answered has looked",
    false_positives: "none: there is no next time until somebody has",
    action: "look at what it did, and say what was found: tenure break-glass review",
    fix: Fix::Note,
    suppressed_by: None,
};

/// What an identity held works although it has ended.
pub static SECRET_OUTLIVES: Rule = Rule {
    id: "secret-outlives",
    title: "An account still stands at its target although its identity has ended",
    severity: Severity::High,
    frameworks: &["NHI1:2025", "NHI7:2025", "CSF2.0:PR.AA-01"],
    aliases: &["NHI-01", "NHI-03"],
    evidence: "the account, its target, since when the identity has ended, and what ending it came to so far",
    blind_spots: "secrets that were copied to systems that are no targets",
    false_positives: "a target that was away: it is tried again until it answers",
    action: "make the target reachable, or end the account there by hand; if the target is gone for good: tenure target gone",
    fix: Fix::Note,
    suppressed_by: None,
};

/// What was found is nobody's for too long (R98).
pub static UNOWNED_DISCOVERED: Rule = Rule {
    id: "unowned-discovered",
    title: "Nobody claimed an identity that was found, for a week",
    severity: Severity::Medium,
    frameworks: &["NHI1:2025", "CSF2.0:PR.AA-01", "CSF2.0:ID.AM-08"],
    aliases: &["NHI-01"],
    evidence: "when it was found, and where",
    blind_spots: "what stands at systems that are no targets and in no list",
    false_positives: "none: nobody answers for it",
    action: "claim it: tenure identity claim; propose it: tenure account propose; or retire it",
    fix: Fix::Note,
    suppressed_by: None,
};

/// A person uses what is a workload's.
pub static USED_BY_PERSON: Rule = Rule {
    id: "used-by-person",
    title: "A page for people was asked for with the credential of an identity",
    severity: Severity::High,
    frameworks: &["NHI10:2025", "CSF2.0:PR.AA-03"],
    aliases: &[],
    evidence: "the identity, its kind, and the page that was asked for",
    blind_spots: "people who use a workload's credential anywhere but at this server's pages",
    false_positives: "a workload that reads pages where it should read the API",
    action: "find out who has the credential; revoke it, and let the person sign in as themselves",
    fix: Fix::Note,
    suppressed_by: None,
};

/// A secret that is shown once was asked for again (NHI9).
pub static SECRET_ASKED_AGAIN: Rule = Rule {
    id: "secret-asked-again",
    title: "The secret of a login was asked for again after it had been handed out",
    severity: Severity::High,
    frameworks: &["NHI2:2025", "NHI9:2025", "CSF2.0:PR.AA-03"],
    aliases: &[],
    evidence: "the login, its target, and when its secret was handed out",
    blind_spots: "a secret that is handed on after it was fetched",
    false_positives: "a workload that lost the answer, and asks again instead of for another login",
    action: "find out who has the secret: if nobody can say who asked first, revoke the login (tenure credential revoke) and ask for another",
    fix: Fix::Note,
    suppressed_by: None,
};

/// A source says nothing for longer than it is its way.
pub static SOURCE_SILENT: Rule = Rule {
    id: "source-silent",
    title: "A source of signals says nothing for longer than its own rhythm",
    severity: Severity::High,
    frameworks: &["NHI1:2025", "CSF2.0:DE.CM-09"],
    aliases: &[],
    evidence: "the source, when it was heard last, the longest it was silent on each of the last days, and how long it may be",
    blind_spots: "a source that speaks and leaves out what matters; in its first two weeks, silence of less than two weeks",
    false_positives: "holidays, where nothing happens that it could tell of",
    action: "send something through it, and see that it arrives (tenure source show); until then what lives by it is not renewed, and is not said to be removable",
    fix: Fix::Note,
    suppressed_by: None,
};

/// Duties that should be apart meet across identities.
pub static TOXIC_PATH: Rule = Rule {
    id: "toxic-path",
    title: "Delegation leads from an identity to more than it may have by itself",
    severity: Severity::High,
    frameworks: &["NHI5:2025", "CSF2.0:PR.AA-05", "SP800-207:2.1-tenet-3"],
    aliases: &["CSF:PR.AC-4"],
    evidence: "the path, identity by identity: whose authority each may act with, the tiers at both ends, and, where somebody approved what they can use by it, who",
    blind_spots: "chains that targets allow among themselves; paths longer than four links, which Tenure issues nothing for",
    false_positives: "an agent of low risk that is meant to act for one of high risk: narrow what is handed on to the tasks that need it",
    action: "take the delegate out of the charter in the middle, or raise the tier of what begins the path: tenure identity show",
    fix: Fix::Note,
    suppressed_by: None,
};
