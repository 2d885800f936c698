//! What no caller may do at any endpoint.
