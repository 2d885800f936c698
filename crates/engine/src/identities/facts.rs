//! What is known about an identity when something is asked for it (S-8, R40).

use crate::kernel::Kernel;
