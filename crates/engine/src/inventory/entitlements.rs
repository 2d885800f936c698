//! What entitlements name: resources that are there, with the actions that they know.

use crate::kernel::Kernel;
