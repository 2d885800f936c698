//! What the adapters have in common: the words that they translate into, and how they refuse.

