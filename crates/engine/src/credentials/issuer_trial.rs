//! Whether an issuer's token would be taken, and which check fails.

use crate::kernel::Kernel;
