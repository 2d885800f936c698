//! What suspends an identity, as its cause and its event.

use crate::kernel::Kernel;
