//! Use cases, one module a subject.

use std::future::Future;

use tenure_api::views::{Names, Revised};
use tenure_core::base::id::PersonId;
use tenure_core::base::problem::Reason;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::port::Committed;

use crate::kernel::Kernel;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::refusals::Refusal;
use crate::kernel::{authority, rehearsal};

/// What a caller asks for, as a refusal would name it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub control: ControlPoint,
    pub operation: &'static str,
    pub subject: String,
}

/// The sorts of records that somebody may read all of, by the beginning of their ids.
const SORTS: [(&str, &str); 24] = [
    ("acc_", "account"),
    ("bgl_", "break_glass"),
    ("cmp_", "campaign"),
    ("crd_", "credential"),
    ("dif_", "difference"),
    ("drf_", "drift"),
    ("exc_", "exception"),
    ("fin_", "finding"),
    ("gra_", "grant"),
    ("idn_", "identity"),
    ("inv_", "invitation"),
    ("iss_", "issuer"),
    ("nee_", "need"),
    ("opt_", "operator_token"),
    ("per_", "person"),
    ("pgr_", "person_grant"),
    ("req_", "request"),
    ("rvw_", "review"),
    ("ses_", "session"),
    ("sip_", "sign_in_provider"),
    ("src_", "source"),
    ("tgt_", "target"),
    ("tra_", "transfer"),
    ("ven_", "vendor"),
];
/// What is for those alone whom a request, or an offer, is before.
const BY_ELIGIBILITY: [&str; 6] =
    ["identity.activate", "request.approve", "request.deny", "request.note", "transfer.accept", "transfer.decline"];

impl Asked {
    pub(crate) fn new(control: ControlPoint, operation: &'static str, subject: impl ToString) -> Self {
        Self { control, operation, subject: subject.to_string() }
    }
}

impl Kernel {
    /// Runs an operation and records its refusal, if it is refused.
    pub(crate) async fn recorded<T>(
        &self,
        caller: &Caller,
        asked: Asked,
        operation: impl Future<Output = Result<T, OpError>>,
    ) -> Result<T, OpError> {
        let result = operation.await.map_err(|error| self.untold(caller, &asked, error));
        let (code, fields, answer) = match &result {
            Err(OpError::Refused { reason, answer, .. }) => (reason.code(), &[][..], answer.as_deref()),
            Err(OpError::Invalid(fields)) => ("invalid", fields.as_slice(), None),
            _ => return result,
        };
        if rehearsal::is_on() {
            return result;
        }
        self.record_refusal(Refusal {
            actor: caller.actor(),
            control: asked.control,
            asked: asked.operation,
            subjects: if asked.subject.is_empty() { Vec::new() } else { vec![asked.subject] },
            code,
            fields,
            answer,
        })
        .await;
        result
    }

    /// What a caller is told of a deed on a record that isn't there: that, if they may read all of its kind, and else the
    /// refusal that they would get of one that is there and not theirs.
    fn untold(&self, caller: &Caller, asked: &Asked, error: OpError) -> OpError {
        let OpError::NotFound(what) = error else { return error };
        let kind = what.replace([' ', '-'], "_");
        let is_it = SORTS.iter().any(|(prefix, sort)| asked.subject.starts_with(prefix) && *sort == kind);
        if !is_it {
            return error;
        }
        match authority::can_read(self, caller, &kind, &asked.subject, false) {
            Ok(()) => error,
            Err(_) if BY_ELIGIBILITY.contains(&asked.operation) => OpError::refused(Reason::NotEligible),
            Err(refused) => refused,
        }
    }

    /// The person, where only a person may ask; the refusal of anybody else is recorded.
    pub(crate) async fn only_person(&self, caller: &Caller, operation: &'static str) -> Result<PersonId, OpError> {
        self.recorded(caller, Asked::new(ControlPoint::Use, operation, ""), async { caller.must_be_person() }).await
    }

    /// A changed record as its caller sees it.
    pub(crate) async fn changed<T>(
        &self,
        record: T,
        revision: u64,
        committed: &Committed,
    ) -> Result<Revised<T>, OpError> {
        Ok(Revised { record, revision, hold: None, log: Some(self.logged(committed).await?), names: Names::new() })
    }
}

/// A reason that a person gives: never empty, so that the record says why.
pub(crate) fn check_reason(reason: &str) -> Result<(), OpError> {
    if reason.trim().is_empty() || reason.len() > 500 {
        Err(OpError::field("reason", "reason_missing", "say why, in at most 500 bytes"))
    } else {
        Ok(())
    }
}
