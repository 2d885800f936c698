//! A credential or a proof where it doesn't belong: a finding of the identity it names (R59).

use crate::kernel::Kernel;
