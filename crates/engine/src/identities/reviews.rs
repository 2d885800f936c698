//! The review of an identity, opened by an event (R93).

use crate::kernel::Kernel;
