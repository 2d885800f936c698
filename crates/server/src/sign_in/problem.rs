//! A sign-in that did not work, as a page.

use axum::response::Response;
use tenure_console::problem::Way;
use tenure_console::text;

use crate::contract::error::Failure;
use crate::contract::page::problem_page;

pub(super) fn sign_in_problem(failure: Failure) -> Response {
    problem_page(failure, vec![Way { to: "/sign-in".to_owned(), word: text::TO_SIGN_IN }])
}
