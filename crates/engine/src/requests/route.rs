//! The lightest route that policy permits, and the request that takes it.

use crate::kernel::Kernel;
