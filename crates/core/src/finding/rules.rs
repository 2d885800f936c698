//! The rules, each with what it answers and what it can't see.
//!
//! Framework ids are those of OWASP NHI Top 10 2025, NIST CSF 2.0 and the tenets of NIST SP 800-207 §2.1; `aliases` are
//! ids under which older texts cite the same risk wrongly (REQUIREMENTS.md, "Framework ids: corrections").

use crate::finding::{Fix, Rule, Severity};
use crate::request::exception::ExceptionType;

pub use crate::finding::watch_rules::{
    BREAK_GLASS_UNREVIEWED, OPEN_TRUST, PAST_SUNSET, SECRET_ASKED_AGAIN, SECRET_OUTLIVES, SOURCE_SILENT, TOXIC_PATH,
    TWO_PLACES, UNOWNED_DISCOVERED, USED_AFTER_END, USED_BY_PERSON, VENDOR_BREACHED,
};

/// The accountable owner is not named.
pub static MISSING_OWNER: Rule = Rule {
    id: "missing-owner",
    title: "An identity works without a named accountable owner",
    severity: Severity::Critical,
    frameworks: &["NHI1:2025", "CSF2.0:PR.AA-01", "CSF2.0:GV.RR"],
    aliases: &["NHI-01", "CSF:PR.AC-1"],
    evidence: "the charter, whose `owner` is empty",
    blind_spots: "accounts at targets that Tenure does not know of",
    false_positives: "none: a charter without an owner is not complete",
    action: "suspend it, and transfer it to a person who accepts it: tenure transfer start",
    fix: Fix::BySetting,
    suppressed_by: None,
};

/// The end is not set.
pub static MISSING_EXPIRY: Rule = Rule {
    id: "missing-expiry",
    title: "An identity works without an end",
    severity: Severity::Critical,
    frameworks: &["NHI7:2025", "CSF2.0:PR.AA-01"],
    aliases: &["NHI-03"],
    evidence: "the charter, whose `expires_at` is empty",
    blind_spots: "the ends of accounts at targets that Tenure does not know of",
    false_positives: "none: a charter without an end is not complete",
    action: "set an end that the risk tier allows",
    fix: Fix::BySetting,
    suppressed_by: None,
};

/// The scope is empty.
pub static MISSING_SCOPE: Rule = Rule {
    id: "missing-scope",
    title: "An identity works without a written scope",
    severity: Severity::High,
    frameworks: &["NHI5:2025", "CSF2.0:PR.AA-05", "SP800-207:2.1-tenet-3"],
    aliases: &["CSF:PR.AC-4", "SP800-207:PR.AC-4"],
    evidence: "the charter, whose `scope` is empty",
    blind_spots: "what a target lets the identity do besides what Tenure granted",
    false_positives: "none: a charter without a scope is not complete",
    action: "list the actions that it needs on each resource, or retire it",
    fix: Fix::BySetting,
    suppressed_by: None,
};

/// Nothing ends the identity besides its expiry.
pub static MISSING_TRIGGER: Rule = Rule {
    id: "missing-trigger",
    title: "An identity works without a condition that retires it",
    severity: Severity::High,
    frameworks: &["NHI1:2025", "CSF2.0:PR.AA-01"],
    aliases: &["NHI-01", "CSF:PR.AC-1"],
    evidence: "the charter, whose `retirement` is empty",
    blind_spots: "conditions that are agreed outside Tenure",
    false_positives: "none: a charter without a retirement condition is not complete",
    action: "name what ends it: a date, idleness or its task's completion",
    fix: Fix::BySetting,
    suppressed_by: None,
};

/// Used, or asked for, outside its environment (R26).
pub static ENVIRONMENT_MISMATCH: Rule = Rule {
    id: "environment-mismatch",
    title: "An identity or its credential was presented in another environment than its own",
    severity: Severity::High,
    frameworks: &["NHI8:2025", "CSF2.0:PR.AA-05", "SP800-207:2.1-tenet-6"],
    aliases: &["CSF:PR.AC-4"],
    evidence: "the refused decision: the identity, the resource, both environments, and the enforcement point or issuer that was asked",
    blind_spots: "resources whose gateways do not ask Tenure, or check tokens offline",
    false_positives: "a deployment with the wrong address in its configuration; where `proven` is false, only the enforcement point says who it was",
    action: "find out which workload sent it; register an identity of its own for the other environment",
    fix: Fix::Note,
    suppressed_by: None,
};

/// Not used for as long as its tier allows (R76).
pub static DORMANT: Rule = Rule {
    id: "dormant",
    title: "An identity was not used for as long as its risk tier allows",
    severity: Severity::Medium,
    frameworks: &["NHI1:2025", "CSF2.0:PR.AA-01"],
    aliases: &["NHI-03", "CSF:PR.AC-1"],
    evidence: "its activation, last use and last resumption, and the tier's limit",
    blind_spots: "use of credentials that nobody checks with Tenure",
    false_positives: "work that runs once a quarter or less often: ask for an exception of the type dormancy",
    action: "retire it, or resume it and say what it is still needed for",
    fix: Fix::Hold,
    suppressed_by: Some(ExceptionType::Dormancy),
};

/// The business need is closed (R76).
pub static NEED_ENDED: Rule = Rule {
    id: "need-ended",
    title: "The business need that an identity served has ended",
    severity: Severity::High,
    frameworks: &["NHI1:2025", "CSF2.0:PR.AA-01"],
    aliases: &["NHI-01", "CSF:PR.AC-1"],
    evidence: "the need's record, who closed it and why, and when the identity was last used",
    blind_spots: "identities whose charter names no need",
    false_positives: "a need that goes on under another name",
    action: "retire it, or name the need that it serves now in its charter and have security resume it",
    fix: Fix::Hold,
    suppressed_by: None,
};

/// The owner is gone and no transfer is open.
pub static ORPHANED: Rule = Rule {
    id: "orphaned",
    title: "The accountable owner is not there any more, and no transfer is open",
    severity: Severity::Critical,
    frameworks: &["NHI1:2025", "CSF2.0:PR.AA-01", "CSF2.0:GV.RR"],
    aliases: &["NHI-01", "CSF:PR.AC-1"],
    evidence: "the owner's state and the identity's transfer window",
    blind_spots: "an owner who left without the source of people saying so",
    false_positives: "an owner who is suspended for a few days",
    action: "transfer it to a person who accepts it: tenure transfer start",
    fix: Fix::BySetting,
    suppressed_by: None,
};

/// What isn't an identity is answered for by somebody who is gone (R98).
pub static OWNER_LEFT: Rule = Rule {
    id: "owner-left",
    title: "An application, a vendor, a cloud account, a need or a source is answered for by somebody who is not there any more",
    severity: Severity::High,
    frameworks: &["NHI1:2025", "CSF2.0:PR.AA-01", "CSF2.0:GV.RR"],
    aliases: &["NHI-01", "CSF:PR.AC-1"],
    evidence: "the record, and its owner's state",
    blind_spots: "an owner who left without the source of people saying so",
    false_positives: "an owner who is suspended for a few days",
    action: "name another owner: tenure application, vendor, cloud-account, need or source update --owner",
    fix: Fix::Note,
    suppressed_by: None,
};

/// Nobody is left of the team that answers for the removal of identities (R115).
pub static REMOVAL_GROUP_EMPTY: Rule = Rule {
    id: "removal-group-empty",
    title: "Nobody in the team that answers for the removal of identities is there any more",
    severity: Severity::High,
    frameworks: &["NHI1:2025", "CSF2.0:PR.AA-01", "CSF2.0:GV.RR"],
    aliases: &["NHI-01", "CSF:PR.AC-1"],
    evidence: "the team, how many identities it answers for, the first hundred of them, and the applications that name it",
    blind_spots: "members who left without the source of people saying so",
    false_positives: "a team whose only member is suspended for a few days",
    action: "put somebody into the team (tenure person change --team), or name another one: tenure application update --removal-group, or a charter's removal_group",
    fix: Fix::Note,
    suppressed_by: None,
};

/// Several workloads use one identity (R105).
pub static SHARED_IDENTITY: Rule = Rule {
    id: "shared-identity",
    title: "Several consumers share one identity: technical debt with an end",
    severity: Severity::Medium,
    frameworks: &["NHI9:2025", "CSF2.0:PR.AA-01"],
    aliases: &[],
    evidence: "the charter's consumers and migration plan, and the exception that allows it",
    blind_spots: "workloads that share a key without saying so",
    false_positives: "none: it stays open until each consumer has an identity of its own",
    action: "give each consumer an identity of its own, as the migration plan says",
    fix: Fix::BySetting,
    suppressed_by: None,
};

/// A credential weaker than the platform offers (R32).
pub static WEAKER_CREDENTIAL: Rule = Rule {
    id: "weaker-credential",
    title: "An identity may get a credential that is weaker than the platform offers",
    severity: Severity::High,
    frameworks: &["NHI4:2025", "NHI7:2025", "CSF2.0:PR.AA-03"],
    aliases: &["NHI-03"],
    evidence: "the charter's credential types; no exception of the type weaker_credential is in force",
    blind_spots: "static secrets that were made outside Tenure",
    false_positives: "none",
    action: "take the type out of the charter, or ask for an exception of the type weaker_credential",
    fix: Fix::BySetting,
    suppressed_by: Some(ExceptionType::WeakerCredential),
};

/// A scope that says everything (R24).
pub static WILDCARD_SCOPE: Rule = Rule {
    id: "wildcard-scope",
    title: "The scope of an identity contains a wildcard",
    severity: Severity::High,
    frameworks: &["NHI5:2025", "CSF2.0:PR.AA-05", "SP800-207:2.1-tenet-3"],
    aliases: &["CSF:PR.AC-4", "SP800-207:PR.AC-4"],
    evidence: "the charter's scope; no exception of the type wildcard_scope is in force",
    blind_spots: "long lists that amount to everything",
    false_positives: "a resource that knows a single action",
    action: "name what it needs, or ask for an exception of the type wildcard_scope",
    fix: Fix::BySetting,
    suppressed_by: Some(ExceptionType::WildcardScope),
};

/// An exception is over and what it waived is still needed (R112).
pub static EXCEPTION_ENDED: Rule = Rule {
    id: "exception-ended",
    title: "An exception is over while its identity still rests on it",
    severity: Severity::High,
    frameworks: &["NHI5:2025", "NHI7:2025", "CSF2.0:PR.AA-05"],
    aliases: &["NHI-03", "CSF:PR.AC-4"],
    evidence: "the exception, how it ended, its renewals, and what in the charter still needs it",
    blind_spots: "controls that are waived outside Tenure",
    false_positives: "none: the identity is suspended by the same commit",
    action: "remove what needed the exception from the charter; then security resumes the identity",
    fix: Fix::Hold,
    suppressed_by: None,
};

/// A compensating control is not in place.
pub static EXCEPTION_BREACHED: Rule = Rule {
    id: "exception-breached",
    title: "A compensating control of an exception is not in place",
    severity: Severity::High,
    frameworks: &["NHI5:2025", "CSF2.0:PR.AA-05"],
    aliases: &["CSF:PR.AC-4"],
    evidence: "the exception, the control, and the note of who reported it",
    blind_spots: "controls that nobody checks",
    false_positives: "a control that is back but was not confirmed yet",
    action: "put the control back and confirm it (tenure exception restore) within two days, or the waiver is withdrawn",
    fix: Fix::Note,
    suppressed_by: None,
};

/// A join token was presented a second time (S-15).
pub static JOIN_TOKEN_REPLAYED: Rule = Rule {
    id: "join-token-replayed",
    title: "A join token was presented a second time",
    severity: Severity::Critical,
    frameworks: &["NHI2:2025", "NHI4:2025", "CSF2.0:PR.AA-03"],
    aliases: &[],
    evidence: "the suspension of the identity and of the key that the first presentation enrolled",
    blind_spots: "a token that was stolen and used before its workload could",
    false_positives: "a workload that repeats its enrolment after a lost answer",
    action: "find out who else held the token; enrol a new key with a new token; security resumes the identity",
    fix: Fix::Hold,
    suppressed_by: None,
};

/// Two hold one key (R59).
pub static KEY_SHARED: Rule = Rule {
    id: "key-shared",
    title: "Two holders present one key or one binding",
    severity: Severity::High,
    frameworks: &["NHI9:2025", "NHI2:2025", "CSF2.0:PR.AA-03"],
    aliases: &[],
    evidence: "the binding and the marks of its holders (the keys that their credentials are bound to, else their addresses), or who presented the key for another identity",
    blind_spots: "holders behind one address whose credentials are bound to no key; identities that are no agents, whose instances may share a key until each has its own",
    false_positives: "an agent that moved to another address or made a new DPoP key while its last credential was alive: let it revoke that one before it stops; a public key that somebody only copied",
    action: "give each agent an identity and a key of its own; if nobody can say who the second one is, revoke the identity",
    fix: Fix::Note,
    suppressed_by: None,
};

/// What is known of the workload contradicts the binding (R86).
pub static BINDING_BROKEN: Rule = Rule {
    id: "binding-broken",
    title: "What is told of a workload contradicts its binding",
    severity: Severity::Critical,
    frameworks: &["NHI2:2025", "NHI8:2025", "CSF2.0:PR.AA-03"],
    aliases: &[],
    evidence: "the signal, the claims that the binding fixes and that it contradicts, and what it told of them",
    blind_spots: "changes of which no registered source tells; bindings to keys, which fix no claim of the platform",
    false_positives: "a move that was planned: charter its binding anew by a request",
    action: "find out who moved or changed the workload; if it was meant, have its binding chartered anew, and security resumes it",
    fix: Fix::Hold,
    suppressed_by: None,
};

/// Reviews were answered without looking.
pub static RUBBER_STAMPED: Rule = Rule {
    id: "rubber-stamped",
    title: "Reviews of a campaign were answered without looking",
    severity: Severity::Medium,
    frameworks: &["NHI5:2025", "CSF2.0:PR.AA-05", "CSF2.0:GV.RR"],
    aliases: &["CSF:PR.AC-4"],
    evidence: "the campaign, and how many reviewers gave many answers, all of them to keep, seconds apart; who they are, their figures say to them, to their managers and to auditors",
    blind_spots: "whoever waits between two answers without looking either",
    false_positives: "somebody who looked at everything first, and then answered",
    action: "look at the campaign's statistics with whoever manages them, and open a campaign over the same scope again",
    fix: Fix::Note,
    suppressed_by: None,
};

/// A review waits beyond its deadline.
pub static OVERDUE_REVIEW: Rule = Rule {
    id: "overdue-review",
    title: "A review was not answered in time",
    severity: Severity::Medium,
    frameworks: &["NHI1:2025", "CSF2.0:PR.AA-05"],
    aliases: &["NHI-01", "CSF:PR.AC-4"],
    evidence: "the review, its trigger, its reviewer and its deadline",
    blind_spots: "answers that were given without looking",
    false_positives: "none",
    action: "answer it: tenure review complete",
    fix: Fix::BySetting,
    suppressed_by: Some(ExceptionType::LateReview),
};

/// A row is not what the log says of it (S-2).
pub static STATE_ALTERED: Rule = Rule {
    id: "state-altered",
    title: "A row of the database is not what the log says of it",
    severity: Severity::Critical,
    frameworks: &["NHI1:2025", "CSF2.0:PR.DS-01", "CSF2.0:DE.CM-09"],
    aliases: &[],
    evidence: "the row, and whether it was altered, put back, deleted or never written by an event, or what beside it doesn't follow from it",
    blind_spots: "records of credentials that were never touched after they were issued, whose deletion refuses them; deadlines that follow from more than their row; a last use that was deleted",
    false_positives: "none: the log's leaves carry a keyed digest of each row, and only what follows from a row is held against it",
    action: "find out who writes to the database, restore it from a backup, and begin a new epoch: tenure restore --from",
    fix: Fix::Note,
    suppressed_by: None,
};

/// A checkpoint outside contradicts the log (S-1).
pub static LOG_CONTRADICTED: Rule = Rule {
    id: "log-contradicted",
    title: "The log contradicts a checkpoint that is kept outside",
    severity: Severity::Critical,
    frameworks: &["NHI1:2025", "CSF2.0:PR.DS-11", "CSF2.0:DE.CM-09"],
    aliases: &[],
    evidence: "where the checkpoint is kept, how many entries of which epoch it covers, and how many the log has",
    blind_spots: "a database that was put back together with every place that keeps its checkpoints",
    false_positives: "a drill on another machine that was given this deployment's `checkpoint_push`: the kept checkpoint bears a signature of this deployment's keys",
    action: "find out who put the database back, then begin a new epoch: tenure restore --new-epoch",
    fix: Fix::Note,
    suppressed_by: None,
};

/// A place that should keep checkpoints doesn't (S-1).
pub static CHECKPOINTS_NOT_KEPT: Rule = Rule {
    id: "checkpoints-not-kept",
    title: "A place doesn't keep the log's checkpoints: a rollback would not be noticed there",
    severity: Severity::Critical,
    frameworks: &["NHI1:2025", "CSF2.0:PR.DS-11", "CSF2.0:DE.CM-09"],
    aliases: &[],
    evidence: "the place, and why: it was not reached for a minute, refuses what it is given, or keeps under this log's name what no key of this deployment has signed",
    blind_spots: "a receiver at a URL that says it took a checkpoint and keeps none",
    false_positives: "a disk or a receiver that is away for maintenance: the finding is resolved when it is back",
    action: "make the place reachable; where it keeps a checkpoint that nobody signed, or another log's, find out who put it there, and give this log a place of its own; resolve it by hand where the place is no longer used",
    fix: Fix::Note,
    suppressed_by: None,
};

/// Nobody of a target's accounts that should be looked through can be.
pub static TARGET_UNREACHABLE: Rule = Rule {
    id: "target-unreachable",
    title: "A target can't be asked: what stands there isn't known, and what should end there goes on",
    severity: Severity::High,
    frameworks: &["NHI1:2025", "CSF2.0:DE.CM-09", "CSF2.0:PR.AA-01"],
    aliases: &[],
    evidence: "the target, and what happened when it was asked last",
    blind_spots: "a target that answers, and answers wrongly",
    false_positives: "a target that is away for maintenance: the finding is resolved when it answers again",
    action: "make the target reachable, or hand in a login that it takes: tenure target login",
    fix: Fix::Note,
    suppressed_by: None,
};

/// An account may do more at its target than was approved (R102).
pub static ACCESS_DRIFT: Rule = Rule {
    id: "access-drift",
    title: "An account may do something at its target that nobody approved, or bears a name that isn't its own",
    severity: Severity::High,
    frameworks: &["NHI5:2025", "CSF2.0:PR.AA-05", "CSF2.0:DE.CM-09", "SP800-207:2.1-tenet-5"],
    aliases: &["CSF:PR.AC-4"],
    evidence: "the account, its target, and the grants that the target's catalogue has and the charter doesn't name",
    blind_spots: "what was given and taken away again between two looks; what the connector's login doesn't see",
    false_positives: "a change at the target that was meant, and not asked for here",
    action: "take it away: tenure drift fix; or ask for it: tenure drift accept",
    fix: Fix::Note,
    suppressed_by: None,
};

/// An account may do everything at its target, or is there again after its end (R102).
pub static PRIVILEGE_DRIFT: Rule = Rule {
    id: "privilege-drift",
    title: "An account gained a privilege at its target that nobody approved, or an ended login is there again",
    severity: Severity::Critical,
    frameworks: &["NHI5:2025", "NHI1:2025", "CSF2.0:PR.AA-05", "CSF2.0:DE.CM-09", "SP800-207:2.1-tenet-5"],
    aliases: &["CSF:PR.AC-4"],
    evidence: "the account, its target, and what the target's catalogue says of it now",
    blind_spots: "what was given and taken away again between two looks; what the connector's login doesn't see",
    false_positives: "another login of the same name that was made on purpose, and that nobody claimed yet",
    action: "take it away: tenure drift fix",
    fix: Fix::Note,
    suppressed_by: None,
};

/// An account of an active identity is gone from its target (R92).
pub static ACCOUNT_MISSING: Rule = Rule {
    id: "account-missing",
    title: "An active identity's account isn't there any more at its target",
    severity: Severity::Medium,
    frameworks: &["NHI1:2025", "CSF2.0:DE.CM-09"],
    aliases: &[],
    evidence: "the account, its target, and since when the whole catalogue has it no more",
    blind_spots: "an account that was made anew under the same name: it is another one",
    false_positives: "a target that was restored, or moved",
    action: "retire the identity if that was meant (tenure identity retire), or have the account made again and claim it",
    fix: Fix::Note,
    suppressed_by: None,
};

/// An account that was stopped or ended works again (S-18).
pub static ACCOUNT_REVIVED: Rule = Rule {
    id: "account-revived",
    title: "An account that was stopped or ended works again, and nobody here let it go",
    severity: Severity::Critical,
    frameworks: &["NHI1:2025", "CSF2.0:PR.AA-05", "CSF2.0:DE.CM-03"],
    aliases: &[],
    evidence: "the account, its target, and what had been done to it",
    blind_spots: "an account that was let go and stopped again between two looks at the target",
    false_positives: "none: the target's own catalogue has it enabled",
    action: "it is stopped again; find out who may change accounts at the target besides Tenure",
    fix: Fix::Hold,
    suppressed_by: None,
};

/// A login bears Tenure's mark, and no record knows it (S-1).
pub static ACCOUNT_STRAY: Rule = Rule {
    id: "account-stray",
    title: "A login at a target bears Tenure's mark, and no record knows it",
    severity: Severity::Critical,
    frameworks: &["NHI1:2025", "CSF2.0:PR.AA-05", "CSF2.0:DE.CM-03"],
    aliases: &[],
    evidence: "the account, its target, and the mark",
    blind_spots: "logins that the connector's own login can't see; logins whose mark somebody took away",
    false_positives: "a login that somebody gave Tenure's mark by hand",
    action: "it is held: find out what it is for, and claim or retire its identity; after a restore it was issued in what was lost",
    fix: Fix::Hold,
    suppressed_by: None,
};

/// A target answers that people said is gone.
pub static TARGET_NOT_GONE: Rule = Rule {
    id: "target-not-gone",
    title: "A target answers that was said to be gone for good",
    severity: Severity::Critical,
    frameworks: &["NHI1:2025", "CSF2.0:PR.AA-05", "CSF2.0:GV.OV-03"],
    aliases: &[],
    evidence: "the target, and who said that it is gone",
    blind_spots: "a target that moved: nobody looks for it elsewhere",
    false_positives: "another system that was given its address and takes its connector's login",
    action: "its accounts are ended there after all: look at them, and at why it was said to be gone",
    fix: Fix::Note,
    suppressed_by: None,
};

/// An account at a target has had its secret for longer than its identity's charter says (R34).
pub static ROTATION_DUE: Rule = Rule {
    id: "rotation-due",
    title: "An account has had its secret for longer than its charter's rotation cadence",
    severity: Severity::High,
    frameworks: &["NHI7:2025", "CSF2.0:PR.AA-01"],
    aliases: &[],
    evidence: "the account and its target",
    blind_spots: "secrets that people at the target changed themselves, and targets whose connector gives no secrets",
    false_positives: "an account whose secret was changed at the target by hand since",
    action: "give it another one: tenure account rotate",
    fix: Fix::Note,
    suppressed_by: None,
};

/// More of a target's accounts are unclaimed than may be held without a word of security.
pub static UNCLAIMED_OVER_CAP: Rule = Rule {
    id: "unclaimed-over-cap",
    title: "More accounts of a target than its cap are due to be held, because nobody claimed them",
    severity: Severity::High,
    frameworks: &["NHI1:2025", "CSF2.0:PR.AA-01"],
    aliases: &[],
    evidence: "the target and its cap",
    blind_spots: "accounts that the connector's login can't see",
    false_positives: "a target that was brought in with a short time to claim: more time is given by its registration",
    action: "have them claimed, or let more of them be held today: tenure target confirm-holds",
    fix: Fix::Note,
    suppressed_by: None,
};

/// An account that a target has from the start is nobody's (R98).
pub static UNCLAIMED_BUILT_IN: Rule = Rule {
    id: "unclaimed-built-in",
    title: "Nobody claimed an account that its target has from the start",
    severity: Severity::High,
    frameworks: &["NHI1:2025", "NHI5:2025", "CSF2.0:PR.AA-01"],
    aliases: &[],
    evidence: "the account and its target",
    blind_spots: "accounts that the connector's login can't see; first administrators that people named themselves",
    false_positives: "an account that the target's people have disabled in a way that the connector doesn't see",
    action: "claim it, or retire its identity if nothing depends on it: it isn't held by itself, since the target may",
    fix: Fix::Note,
    suppressed_by: None,
};

/// What a list told of is nobody's, and no connector sees it (R98).
pub static UNCLAIMED_LISTED: Rule = Rule {
    id: "unclaimed-listed",
    title: "Nobody claimed in time what a list told of",
    severity: Severity::High,
    frameworks: &["NHI1:2025", "CSF2.0:PR.AA-01"],
    aliases: &[],
    evidence: "the list, its line, the system and the name there",
    blind_spots: "whatever stands in no list; whether it is there still, since no connector asks that system",
    false_positives: "a line about an account that its system has no more",
    action: "claim it, or end it at its system and retire its identity: nothing is held there by itself",
    fix: Fix::Note,
    suppressed_by: None,
};

/// Used in a context that it isn't known in (R57, R111).
pub static NEW_CONTEXT: Rule = Rule {
    id: "new-context",
    title: "An identity was used in a context that it isn't known in",
    severity: Severity::Medium,
    frameworks: &["NHI9:2025", "CSF2.0:DE.CM-09", "SP800-207:2.1-tenet-7"],
    aliases: &[],
    evidence: "in what it differs (network, client, workload, task, hour, rate), what is known and what was met, and since when its key is in use",
    blind_spots: "an attack that was there while its contexts were learnt; use at resources whose gateways do not ask Tenure; one that keeps to its networks, hours and rates",
    false_positives: "a move to another network, a new release of an agent, a job by hand at night: resolve the finding, and the context belongs to it from then on",
    action: "find out who it was; if it wasn't the workload, cut the identity: tenure revoke. If it was, resolve the finding",
    fix: Fix::Note,
    suppressed_by: None,
};

/// The same by a key that should have been replaced (R104).
pub static NEW_CONTEXT_STALE_KEY: Rule = Rule {
    id: "new-context-stale-key",
    title: "A key that should have been replaced was used in a context that its identity isn't known in",
    severity: Severity::High,
    frameworks: &["NHI7:2025", "NHI2:2025", "CSF2.0:DE.CM-09"],
    aliases: &[],
    evidence: "in what it differs, what is known and what was met, and since when the key is in use, longer than the charter's cadence",
    blind_spots: "as of new-context; keys that an external issuer holds, whose age Tenure doesn't know",
    false_positives: "as of new-context",
    action: "replace the key now: tenure identity join-token; find out who used it, and cut the identity if it wasn't the workload",
    fix: Fix::Note,
    suppressed_by: None,
};

/// Every rule.
pub static ALL: &[&Rule] = &[
    &MISSING_OWNER,
    &MISSING_EXPIRY,
    &MISSING_SCOPE,
    &MISSING_TRIGGER,
    &ENVIRONMENT_MISMATCH,
    &DORMANT,
    &NEED_ENDED,
    &ORPHANED,
    &OWNER_LEFT,
    &REMOVAL_GROUP_EMPTY,
    &SHARED_IDENTITY,
    &WEAKER_CREDENTIAL,
    &WILDCARD_SCOPE,
    &EXCEPTION_ENDED,
    &EXCEPTION_BREACHED,
    &JOIN_TOKEN_REPLAYED,
    &KEY_SHARED,
    &BINDING_BROKEN,
    &RUBBER_STAMPED,
    &OVERDUE_REVIEW,
    &LOG_CONTRADICTED,
    &CHECKPOINTS_NOT_KEPT,
    &TARGET_UNREACHABLE,
    &ACCESS_DRIFT,
    &PRIVILEGE_DRIFT,
    &ACCOUNT_MISSING,
    &ACCOUNT_REVIVED,
    &ACCOUNT_STRAY,
    &TARGET_NOT_GONE,
    &ROTATION_DUE,
    &UNCLAIMED_OVER_CAP,
    &UNCLAIMED_BUILT_IN,
    &UNCLAIMED_LISTED,
    &STATE_ALTERED,
    &VENDOR_BREACHED,
    &OPEN_TRUST,
    &USED_AFTER_END,
    &PAST_SUNSET,
    &BREAK_GLASS_UNREVIEWED,
    &SECRET_OUTLIVES,
    &UNOWNED_DISCOVERED,
    &USED_BY_PERSON,
    &SECRET_ASKED_AGAIN,
    &SOURCE_SILENT,
    &TOXIC_PATH,
    &TWO_PLACES,
    &NEW_CONTEXT,
    &NEW_CONTEXT_STALE_KEY,
];

/// Rules whose findings nobody accepts: each may be an attack, or says that what was waived isn't made up for.
pub static NEVER_ACCEPTED: &[&Rule] = &[
    &ENVIRONMENT_MISMATCH,
    &JOIN_TOKEN_REPLAYED,
    &KEY_SHARED,
    &BINDING_BROKEN,
    &STATE_ALTERED,
    &LOG_CONTRADICTED,
    &ACCOUNT_REVIVED,
    &ACCOUNT_STRAY,
    &VENDOR_BREACHED,
    &USED_AFTER_END,
    &USED_BY_PERSON,
    &SECRET_ASKED_AGAIN,
    &NEW_CONTEXT,
    &NEW_CONTEXT_STALE_KEY,
    &EXCEPTION_ENDED,
    &EXCEPTION_BREACHED,
    &BREAK_GLASS_UNREVIEWED,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The page is made from the rules, so that neither says what the other doesn't.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test that writes the reference where it is asked to")]
    fn the_reference_lists_every_rule() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/findings.md");
        let mut text = String::from(
            "# Rules of findings\n\nA finding says which rule something breaks, with what shows it and what fixes it. `GET /v1/finding-rules` says the same as this page, which is made from the code.\nIds are those of OWASP NHI Top 10 2025, NIST CSF 2.0 and the tenets of NIST SP 800-207 §2.1; an alias is an id under which older texts cite the same risk wrongly.\nThe fix is what Tenure does by itself: `note` (it tells), `hold` (what it is about is stopped at once), or `by_setting`: the identity is suspended where the setting `hold_findings` names the rule. What suppresses a rule is an exception, and has an end.\n",
        );
        for rule in ALL {
            let codes = |ids: &[&str]| ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
            text.push_str(&format!("\n## `{}`\n\n{}. Severity: {}.\n\n", rule.id, rule.title, rule.severity.as_str()));
            text.push_str("| | |\n|---|---|\n");
            text.push_str(&format!("| Frameworks | {} |\n", codes(rule.frameworks)));
            if !rule.aliases.is_empty() {
                text.push_str(&format!("| Aliases | {} |\n", codes(rule.aliases)));
            }
            for (name, value) in [
                ("Evidence", rule.evidence),
                ("Blind spots", rule.blind_spots),
                ("False positives", rule.false_positives),
                ("Action", rule.action),
                ("Fix", rule.fix.as_str()),
            ] {
                text.push_str(&format!("| {name} | {value} |\n"));
            }
            if let Some(kind) = rule.suppressed_by {
                text.push_str(&format!("| Suppressed by | an exception of the type `{}` |\n", kind.as_str()));
            }
        }
        if std::env::var_os("TENURE_UPDATE").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), text, "run this test with TENURE_UPDATE=1");
    }

    /// The test that opens a finding of each rule, by its file.
    const OPENED_BY: &[(&str, &str, &str)] = &[
        ("missing-owner", ENGINE_POSTURE, EACH_OF_POSTURE),
        ("missing-expiry", ENGINE_POSTURE, EACH_OF_POSTURE),
        ("missing-scope", ENGINE_POSTURE, EACH_OF_POSTURE),
        ("missing-trigger", ENGINE_POSTURE, EACH_OF_POSTURE),
        ("orphaned", ENGINE_POSTURE, EACH_OF_POSTURE),
        ("weaker-credential", ENGINE_POSTURE, EACH_OF_POSTURE),
        ("wildcard-scope", ENGINE_POSTURE, EACH_OF_POSTURE),
        ("overdue-review", ENGINE_POSTURE, EACH_OF_POSTURE),
        ("environment-mismatch", "tenure/tests/it/findings.rs", "r26_a_finding_is_raised"),
        ("dormant", "tenure/tests/it/findings.rs", "r76_what_is_not_used_is_suspended_or_reviewed"),
        ("need-ended", "tenure/tests/it/findings.rs", "r76_a_closed_need_suspends_what_serves_it_though_it_is_in_use"),
        ("owner-left", "tenure/tests/it/ownership.rs", "rule=owner-left"),
        ("removal-group-empty", "tenure/tests/it/lifecycle.rs", "d27_a_group_that_nobody_is_left_of"),
        ("shared-identity", "tenure/tests/it/exceptions.rs", "r105_a_shared_identity_is_debt_that_is_counted"),
        ("exception-ended", "tenure/tests/it/exceptions.rs", "r112_the_end_of_an_exception_removes_the_access"),
        ("exception-breached", "tenure/tests/it/exceptions.rs", "a_breached_control_is_put_back_or_the_waiver_goes"),
        ("join-token-replayed", "tenure/tests/it/findings.rs", "a_replayed_join_token_is_a_critical_finding"),
        ("key-shared", "tenure/tests/it/presets.rs", "r59_a_second_instance_of_an_agents_key"),
        ("binding-broken", "tenure/tests/it/triggers/platforms.rs", "r86_a_transfer_that_breaks_the_binding"),
        ("state-altered", "tenure/tests/it/durability.rs", "a05_a_row_that_was_put_back_or_deleted"),
        ("log-contradicted", "tenure/tests/it/epochs.rs", "rule=log-contradicted"),
        ("checkpoints-not-kept", "tenure/tests/it/epochs.rs", "a04_a_place_that_fails_for_a_minute_is_told"),
        ("target-unreachable", "engine/src/targets/tests.rs", "rules::TARGET_UNREACHABLE"),
        ("access-drift", "engine/src/targets/tests/drift.rs", "rules::ACCESS_DRIFT"),
        ("privilege-drift", "engine/src/targets/tests/drift.rs", "rules::PRIVILEGE_DRIFT"),
        ("account-missing", "engine/src/targets/tests/drift.rs", "rules::ACCOUNT_MISSING"),
        ("account-revived", "engine/src/targets/tests/stopped.rs", "rules::ACCOUNT_REVIVED"),
        ("account-stray", "engine/src/targets/tests/gone.rs", "rules::ACCOUNT_STRAY"),
        ("target-not-gone", "engine/src/targets/tests/gone.rs", "rules::TARGET_NOT_GONE"),
        ("rotation-due", "engine/src/targets/tests/rotation.rs", "rules::ROTATION_DUE"),
        ("unclaimed-over-cap", "engine/src/targets/tests.rs", "rules::UNCLAIMED_OVER_CAP"),
        ("unclaimed-built-in", "engine/src/targets/tests.rs", "rules::UNCLAIMED_BUILT_IN"),
        ("unclaimed-listed", "tenure/tests/it/targets/listed.rs", "rule=unclaimed-listed"),
        ("vendor-breached", POSTURE, "nhi3_a_breached_vendor_is_told_identity_by_identity"),
        ("open-trust", NIGHTLY, "nhi6_a_trust_that_fixes_nobody_is_found_until_it_does"),
        ("used-after-end", POSTURE, "r99_what_has_ended_and_is_still_calling"),
        ("past-sunset", POSTURE, "r99_what_is_deprecated_is_counted_per_caller"),
        ("break-glass-unreviewed", POSTURE, "r107_break_glass_is_approved_before"),
        ("secret-outlives", NIGHTLY, "r98_what_is_nobodys_for_a_week_and_what_outlives_its_identity"),
        ("unowned-discovered", NIGHTLY, "r98_what_is_nobodys_for_a_week_and_what_outlives_its_identity"),
        ("used-by-person", POSTURE, "nhi10_a_page_asked_for_with_a_workloads_credential"),
        ("secret-asked-again", "engine/src/targets/tests/logins.rs", "rules::SECRET_ASKED_AGAIN"),
        ("source-silent", POSTURE, "r97_what_hangs_on_a_silent_source"),
        ("toxic-path", NIGHTLY, "a_path_of_delegation_that_no_link_shows"),
        ("two-places", "tenure/tests/it/places.rs", "\"two-places\""),
        ("rubber-stamped", "tenure/tests/it/campaigns.rs", "r95_who_keeps_everything_within_seconds_is_a_finding"),
        ("new-context", CONTEXTS, "\"new-context\""),
        ("new-context-stale-key", CONTEXTS, "\"new-context-stale-key\""),
    ];
    const CONTEXTS: &str = "engine/src/identities/contexts/tests.rs";
    const ENGINE_POSTURE: &str = "engine/src/identities/posture.rs";
    const EACH_OF_POSTURE: &str = "r41_each_rule_of_posture_is_broken_by_what_breaks_it";
    const NIGHTLY: &str = "engine/src/identities/nightly/tests.rs";
    const POSTURE: &str = "tenure/tests/it/posture.rs";

    #[test]
    fn r41_each_rule_has_a_test_that_opens_its_finding_and_each_risk_a_rule() {
        for rule in ALL {
            let opened = OPENED_BY.iter().find(|(id, ..)| *id == rule.id);
            let (_, file, test) = opened.unwrap_or_else(|| panic!("no test opens a finding of {}", rule.id));
            let path = format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(text.contains(test), "{file} has no {test}");
        }
        assert_eq!(OPENED_BY.len(), ALL.len());
        for risk in 1..=10 {
            let id = format!("NHI{risk}:2025");
            assert!(ALL.iter().any(|rule| rule.frameworks.contains(&id.as_str())), "no rule answers {id}");
        }
    }

    #[test]
    fn ids_are_distinct_and_known() {
        let mut ids: Vec<_> = ALL.iter().map(|rule| rule.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
        assert!(ALL.iter().all(|rule| Rule::find(rule.id).is_some_and(|found| std::ptr::eq(found, *rule))));
        // The names of OWASP NHI Top 10 2025 go to ten, and aliases are never given as the corrected id.
        for rule in ALL {
            assert!(rule.frameworks.iter().any(|id| id.starts_with("NHI") && id.ends_with(":2025")), "{}", rule.id);
            assert!(rule.aliases.iter().all(|alias| !rule.frameworks.contains(alias)), "{}", rule.id);
        }
    }
}
