//! Teams whose members change.

use crate::kernel::Kernel;
