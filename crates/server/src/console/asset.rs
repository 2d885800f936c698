//! The files that pages load.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tenure_console::assets;
use tenure_engine::kernel::error::OpError;

use crate::app::App;
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::query::Path;

/// Its address changes with its bytes.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Nobody else's page loads it.
const OWN: HeaderValue = HeaderValue::from_static("same-origin");

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/assets/{digest}/{file}", get(asset))
}

async fn asset(Path((digest, file)): Path<(String, String)>) -> Result<Response, Failure> {
    let asset = assets::ALL.iter().find(|asset| asset.name == file && asset.digest() == digest);
    let asset = asset.ok_or(OpError::NotFound("file of this edition: load the page anew"))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
        (header::CACHE_CONTROL, FOR_EVER),
        (HeaderName::from_static("cross-origin-resource-policy"), OWN),
    ];
    Ok((headers, asset.bytes).into_response())
}
