//! What is known about what is asked, whatever it is about.

use crate::kernel::Kernel;
