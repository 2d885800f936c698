//! A vendor ends, and with it what it operates (R86).

use crate::kernel::Kernel;
