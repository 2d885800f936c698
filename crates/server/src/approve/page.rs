//! What the approval page says. Everything that somebody wrote is put in as text.

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use tenure_api::request::BriefFact;
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::request::{Matter, Place, RequestState, Route, Vote};
use tenure_engine::matters::link::{Approval, Named};

use crate::contract::error::Failure;
use crate::sign_in::html::{self, Html, page};

/// The page of a request, with its buttons as long as it waits for this reader.
pub(super) fn approval(link: &str, approval: &Approval) -> Response {
    let request = &approval.request.request;
    let mut body = Html::default()
        .raw("<p class=\"lead\">")
        .part(named(&approval.asker))
        .raw(" asks ")
        .part(headline(approval))
        .raw("</p>\n<dl>\n");
    body = facts(body, approval);
    body = body.raw("</dl>\n");
    if !request.votes.is_empty() {
        body = votes(body, &request.votes, &approval.voters);
    }
    let voted = request.votes.iter().any(|vote| vote.by == approval.reader);
    body = match request.state {
        RequestState::Open if !voted => form(body, link, &request.content_hash),
        RequestState::Open => {
            body.raw("<p class=\"outcome\" role=\"status\">You have answered. It waits for others.</p>\n")
        }
        state => outcome(body, state, request.ended_because.as_deref()),
    };
    framed(page(StatusCode::OK, "A request for your answer", body, false))
}

/// The page of a link that leads nowhere; it doesn't say why, which nobody but its person may know.
pub(super) fn not_good() -> Response {
    let body = Html::default().raw(
        "<p class=\"problem\">This link is not good.</p>\n<p>It is over or incomplete, or the request was changed after it was sent: a newer notice has a newer link. \
         On the command line, <code>tenure request list --state open</code> shows what waits.</p>\n",
    );
    framed(page(StatusCode::NOT_FOUND, "No such link", body, false))
}

/// The page of an answer that was not taken.
pub(super) fn problem(failure: Failure) -> Response {
    framed(html::problem(failure, ""))
}

/// Older browsers read this in place of `frame-ancestors`.
fn framed(mut response: Response) -> Response {
    response.headers_mut().insert(HeaderName::from_static("x-frame-options"), HeaderValue::from_static("DENY"));
    response
}

fn named(who: &Named) -> Html {
    let html = match &who.name {
        Some(name) => Html::default().raw("<strong>").text(name).raw("</strong>"),
        None => Html::default().raw("<strong>somebody whose name was erased</strong>"),
    };
    html.raw(" (").text(&who.what.replace('_', " ")).raw(", <code>").text(&who.id).raw("</code>)")
}

/// What is asked for, in one sentence.
fn headline(approval: &Approval) -> Html {
    let request = &approval.request.request;
    match &request.matter {
        Matter::Access { entitlement, duration, .. } => Html::default()
            .raw("to do <strong>")
            .text(&entitlement.actions.join(", "))
            .raw("</strong> on <strong>")
            .text(approval.resource.as_deref().unwrap_or(&entitlement.resource))
            .raw("</strong> for <strong>")
            .text(&duration.to_string())
            .raw("</strong>."),
        Matter::Activation { .. } => Html::default().raw("that an identity becomes active with its charter."),
        Matter::Charter { .. } => Html::default().raw("for a wider charter."),
        Matter::Renewal { until, .. } => {
            Html::default().raw("that an identity goes on until <strong>").text(&until.to_string()).raw("</strong>.")
        }
        Matter::PersonAccess { duration, .. } => {
            Html::default().raw("for access of a person for <strong>").text(&duration.to_string()).raw("</strong>.")
        }
        Matter::Exception { .. } => Html::default().raw("that a control is waived."),
        Matter::Roles { roles, .. } => Html::default()
            .raw("that a person's roles become <strong>")
            .text(&roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", "))
            .raw("</strong>."),
        Matter::Policy { .. } => Html::default().raw("that another policy set comes into force."),
        Matter::Inventory { change, .. } => Html::default()
            .raw("that the ")
            .text(change.noun())
            .raw(" <strong>")
            .text(&change.id())
            .raw("</strong> is changed so that somebody may do more, or do it more lightly."),
        Matter::Template { template } => {
            Html::default().raw("for the template <strong>").text(&template.name).raw("</strong>.")
        }
    }
}

fn fact(html: Html, name: &'static str, value: Html) -> Html {
    html.raw("<dt>").raw(name).raw("</dt><dd>").part(value).raw("</dd>\n")
}

fn text(value: &str) -> Html {
    Html::default().text(value)
}

fn facts(mut html: Html, approval: &Approval) -> Html {
    let view = &approval.request;
    let request = &view.request;
    html = fact(html, "Purpose", text(&request.purpose));
    if let Matter::Access { entitlement, task, starts_at, .. } = &request.matter {
        html = fact(html, "What", access(entitlement, approval.resource.as_deref()));
        if let Some(task) = task {
            html = fact(html, "For its task", text(task));
        }
        if let Some(start) = starts_at {
            html = fact(html, "From", text(&start.to_string()));
        }
    } else {
        for BriefFact { field, value, before } in view.brief.iter().flat_map(|brief| &brief.facts) {
            html = html.raw("<dt>").text(&field.replace('_', " ")).raw("</dt><dd>").text(value);
            if let Some(before) = before {
                html = html.raw(" (today: ").text(before).raw(")");
            }
            html = html.raw("</dd>\n");
        }
    }
    if let Some(person) = &approval.person {
        html = fact(html, "Whom it is about", named(person));
    }
    if let Some(identity) = &approval.identity {
        let about = Html::default()
            .raw("<strong>")
            .text(&identity.name)
            .raw("</strong> (")
            .text(&identity.kind.as_str().replace('_', " "))
            .raw(", <code>")
            .text(&identity.id.to_string())
            .raw("</code>)");
        html = fact(html, "Identity", about);
        html = fact(html, "Its charter's purpose", text(identity.charter.purpose.as_deref().unwrap_or("none yet")));
        html = fact(html, "Environment", text(identity.charter.environment.as_deref().unwrap_or("none yet")));
    }
    if let Some(owner) = &approval.owner {
        html = fact(html, "Accountable owner", named(owner));
    }
    if let Some(tier) = request.tier {
        html = fact(html, "Risk tier", text(tier.as_str()));
    }
    for clipped in &request.clipped {
        let cut = Html::default()
            .text(&clipped.field)
            .raw(": ")
            .text(&clipped.given)
            .raw(" in place of ")
            .text(&clipped.wanted);
        html = fact(html, "Cut down", cut);
    }
    html = fact(html, "Route", text(&route(request.route)));
    if request.state == RequestState::Open {
        html = fact(html, "Still waits for", text(&waits(&view.waits_for)));
        html = fact(html, "Lapses", text(&request.lapses_at.to_string()));
    }
    fact(html, "Request", Html::default().raw("<code>").text(&request.id.to_string()).raw("</code>"))
}

fn access(entitlement: &Entitlement, uri: Option<&str>) -> Html {
    Html::default()
        .text(&entitlement.actions.join(", "))
        .raw(" on ")
        .text(uri.unwrap_or("a resource"))
        .raw(" (<code>")
        .text(&entitlement.resource)
        .raw("</code>)")
}

fn route(route: Route) -> String {
    match route.steps() {
        [] => "a rule, without a vote".to_owned(),
        steps => waits(&steps.iter().map(|step| step.to_vec()).collect::<Vec<_>>()),
    }
}

/// The steps in words: one of each step's places.
fn waits(steps: &[Vec<Place>]) -> String {
    let step = |places: &Vec<Place>| places.iter().map(|place| place.as_str()).collect::<Vec<_>>().join(" or ");
    steps.iter().map(step).collect::<Vec<_>>().join(", and ")
}

fn votes(mut html: Html, votes: &[Vote], voters: &[Named]) -> Html {
    html = html.raw("<h2>Answers so far</h2>\n<ul>\n");
    for (vote, voter) in votes.iter().zip(voters) {
        html = html.raw("<li>").part(named(voter)).raw(" as ").text(vote.place.as_str()).raw(if vote.approves {
            ": approved"
        } else {
            ": denied"
        });
        if !vote.comment.is_empty() {
            html = html.raw(", “").text(&vote.comment).raw("”");
        }
        html = html.raw("</li>\n");
    }
    html.raw("</ul>\n")
}

fn form(html: Html, link: &str, content_hash: &str) -> Html {
    html.raw("<form method=\"post\" action=\"/approve/")
        .text(link)
        .raw("\">\n<input type=\"hidden\" name=\"content_hash\" value=\"")
        .text(content_hash)
        .raw("\">\n<label for=\"comment\">Comment (it goes into the record)</label>\n<input id=\"comment\" name=\"comment\" maxlength=\"1000\" autocomplete=\"off\">\n")
        .raw("<button type=\"submit\" name=\"decision\" value=\"approve\">Approve</button>\n<button type=\"submit\" name=\"decision\" value=\"deny\">Deny</button>\n</form>\n")
}

fn outcome(html: Html, state: RequestState, because: Option<&str>) -> Html {
    let html = html.raw("<p class=\"outcome\" role=\"status\">It is ").text(match state {
        RequestState::Open => "open",
        RequestState::Approved => "approved, and waits for its start",
        RequestState::Denied => "denied",
        RequestState::Withdrawn => "taken back",
        RequestState::Lapsed => "lapsed",
        RequestState::Fulfilled => "approved, and in force",
    });
    match because {
        Some(because) => html.raw(": ").text(because).raw(".</p>\n"),
        None => html.raw(".</p>\n"),
    }
}
