//! A state goes along its table, by the transitions of its record: nothing else makes one.

use tenure_core::base::state::InState;
use tenure_core::identity::transfer::{Transfer, TransferState};
use tenure_core::request::exception::ExceptionState;

fn accepted(transfer: Transfer) -> Transfer {
    Transfer {
        state: TransferState::Accepted,
        ..transfer
    }
}

fn in_force() -> InState<ExceptionState> {
    InState(ExceptionState::Active)
}

fn stepped(state: InState<ExceptionState>) -> InState<ExceptionState> {
    state.step(ExceptionState::Active).unwrap()
}

fn main() {}
