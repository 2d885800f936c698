//! People's sign-in by OpenID Connect, against a provider by other people and against one that lies; sessions,
//! invitations, freshness (S-7, S-10); the command line's sign-in; and identities as callers of the API.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::on_one;
use crate::peers::node;
use crate::world::{Answer, Key, Store, World, random};

/// A running provider of people; it ends with the test.
pub(crate) struct People {
    child: Child,
    _stdin: ChildStdin,
    url: String,
}

impl People {
    fn start(script: &str, arguments: &[&str]) -> Self {
        let mut child = node(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said: Value = serde_json::from_str(&lines.next().expect("the provider started").unwrap()).unwrap();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { _stdin: child.stdin.take().unwrap(), child, url: said["issuer"].as_str().unwrap().to_owned() }
    }

    /// node-oidc-provider.
    fn real(world: &World) -> Self {
        Self::start("people.mjs", &[&format!("{}/sign-in/oidc/callback", world.server.url)])
    }

    /// One that says what it is told to.
    pub(crate) fn forger() -> Self {
        Self::start("forger.mjs", &[])
    }

    pub(crate) async fn lie(&self, lie: Value) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        World::answer(http.put(format!("{}/lie", self.url)).json(&lie)).await.expect(200);
    }

    /// Registers it; alone, one administrator is enough.
    async fn register(&self, world: &World, token: &str) -> Answer {
        let body = json!({"name": "Example", "issuer": self.url, "client_id": "tenure", "client_secret": "the secret of tenure", "phishing_resistant": ["hwk"]});
        world.post(token, "/v1/sign-in-providers", body).await
    }
}

impl Drop for People {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A world with a provider.
pub(crate) struct Place {
    pub(crate) provider: People,
    id: String,
}

impl Place {
    pub(crate) async fn new(world: &World, provider: People) -> Self {
        let made = provider.register(world, &world.admin).await.expect(201);
        assert_eq!((made.text("/state"), &made.body["single_person"]), ("active".into(), &json!(true)));
        let id = made.text("/id");
        Self { provider, id }
    }

    fn start(&self, world: &World, query: &str) -> String {
        format!("{}/sign-in/oidc/{}{query}", world.server.url, self.id)
    }

    /// Leaves for the provider and comes back as far as the address of the callback, which is not opened yet.
    async fn as_far_as_the_callback(
        &self,
        world: &World,
        browser: &Browser,
        login: &str,
        amr: &str,
        query: &str,
    ) -> Page {
        let callback = format!("{}/sign-in/oidc/callback", world.server.url);
        let back = |to: &str| to.starts_with(&callback);
        let mut page = browser.get(&self.start(world, query)).await.expect(303);
        for _ in 0..4 {
            page = browser.follow(page, back).await;
            if page.location.is_some() {
                return page;
            }
            page = browser.post(&page.url.clone(), &[("login", login), ("amr", amr)]).await;
        }
        panic!("the provider doesn't let go: {} {}", page.url, page.text)
    }

    /// Signs in; the page on which it ends.
    pub(crate) async fn sign_in(&self, world: &World, browser: &Browser, login: &str, amr: &str) -> Page {
        let page = self.as_far_as_the_callback(world, browser, login, amr, "").await;
        browser.get(&page.leads()).await
    }

    /// Signs in anew, with what can't be phished.
    async fn fresh(&self, world: &World, browser: &Browser, login: &str) {
        let page = self.as_far_as_the_callback(world, browser, login, "hwk", "?fresh=true").await;
        browser.get(&page.leads()).await.expect(303);
    }

    /// A person's browser after their first sign-in, by an invitation of an administrator's.
    pub(crate) async fn bound(&self, world: &World, admin: &str, person: &str, login: &str) -> Browser {
        let browser = invited(world, &invite(world, admin, person).await).await;
        self.sign_in(world, &browser, login, "hwk").await.expect(303);
        browser
    }
}

/// An invitation that is good at once.
async fn invite(world: &World, admin: &str, person: &str) -> String {
    let made = world.post(admin, "/v1/invitations", json!({"person": person})).await.expect(201);
    assert_eq!(made.body["good"], true);
    made.text("/invitation")
}

/// A browser that has entered an invitation.
async fn invited(world: &World, invitation: &str) -> Browser {
    let browser = Browser::new();
    let url = format!("{}/sign-in/invitation", world.server.url);
    browser.post(&url, &[("invitation", invitation)]).await.expect(303);
    browser
}

async fn me(world: &World, browser: &Browser) -> Answer {
    browser.api(world, Method::GET, "/v1/me", None).await
}

fn session(world: &World, browser: &Browser) -> Option<String> {
    browser.cookie(&world.server.url, "tenure-session")
}

/// Demands that a sign-in came to nothing: a page with this code, no session, nobody bound.
async fn came_to_nothing(world: &World, browser: &Browser, page: Page, status: u16, code: &str) {
    assert!(page.text.contains(code), "{}", page.text);
    page.expect(status);
    assert_eq!(session(world, browser), None);
}

async fn admin_id(world: &World) -> String {
    world.get(&world.admin, "/v1/me").await.expect(200).text("/person/id")
}

on_one! {
    async fn people_sign_in_with_a_provider_and_are_bound_by_its_subject(world: World) {
        let place = Place::new(&world, People::real(&world)).await;
        // A stranger with an account there is nobody here, and nothing is made of them.
        let before = world.changes().await.len();
        let stranger = Browser::new();
        let page = place.sign_in(&world, &stranger, "olu-at-example", "hwk").await;
        came_to_nothing(&world, &stranger, page, 401, "sign_in_unknown").await;
        assert_eq!(world.changes().await.len(), before);

        let olu = place.bound(&world, &world.admin, &world.owner_id, "olu-at-example").await;
        let who = me(&world, &olu).await.expect(200);
        assert_eq!((who.text("/person/id"), who.text("/assurance/method"), &who.body["fresh"]), (world.owner_id.clone(), "oidc".into(), &json!(true)));
        let bound = world.events_of("sign_in.bound", &world.owner_id).await;
        assert_eq!((bound.len(), &bound[0]["data"]["single_person"]), (1, &json!(true)));
        assert_eq!(world.events_of("deployment.sign_in_set_up", &world.owner_id).await.len(), 1);

        // Another browser of the same person, by the subject alone; without a method that can't be phished it isn't
        // fresh.
        let home = Browser::new();
        place.sign_in(&world, &home, "olu-at-example", "pwd").await.expect(303);
        let who = me(&world, &home).await.expect(200);
        assert_eq!((who.text("/person/id"), &who.body["fresh"]), (world.owner_id.clone(), &json!(false)));
        let sessions = home.api(&world, Method::GET, "/v1/sessions", None).await.expect(200);
        assert_eq!(sessions.body["items"].as_array().unwrap().len(), 2);
        // Sign-in anew asks the provider to ask again, although it still knows the browser.
        place.fresh(&world, &home, "olu-at-example").await;
        assert_eq!(me(&world, &home).await.expect(200).body["fresh"], true);
        // The cookie that it replaces is worth nothing any more.
        let sessions = home.api(&world, Method::GET, "/v1/sessions", None).await.expect(200);
        assert_eq!(sessions.body["items"].as_array().unwrap().iter().filter(|session| session["current"] == true).count(), 1);
        assert_eq!(sessions.body["items"].as_array().unwrap().len(), 2);

        // Neither the account's name nor the other subject's address makes anyone somebody else.
        let other = Browser::new();
        let page = place.sign_in(&world, &other, "OLU-at-example", "hwk").await;
        came_to_nothing(&world, &other, page, 401, "sign_in_unknown").await;

        // The end of a session is the end of its cookie; the other one goes on.
        let cookie = session(&world, &olu).unwrap();
        olu.post(&format!("{}/sign-out", world.server.url), &[]).await.expect(303);
        assert_eq!(session(&world, &olu), None);
        olu.set_cookie(&world.server.url, "tenure-session", &cookie);
        assert_eq!(me(&world, &olu).await.expect(401).code(), "credential_revoked");
        me(&world, &home).await.expect(200);
        // Sessions are their person's to end, and security's and administrators'.
        let of_home = me(&world, &home).await.text("/via/session");
        let revoke = format!("/v1/sessions/{of_home}/revoke");
        world.post(&world.auditor, &revoke, json!({})).await.expect(403);
        world.post(&world.admin, &revoke, json!({})).await.expect(200);
        me(&world, &home).await.expect(401);
        // With the person's standing goes every way in.
        place.sign_in(&world, &home, "olu-at-example", "hwk").await.expect(303);
        let suspend = format!("/v1/people/{}/suspend", world.owner_id);
        world.post(&world.security, &suspend, json!({"reason": "on leave"})).await.expect(200);
        me(&world, &home).await.expect(401);
        let back = Browser::new();
        let page = place.sign_in(&world, &back, "olu-at-example", "hwk").await;
        came_to_nothing(&world, &back, page, 401, "sign_in_unknown").await;

        let no_secret = world.text(&world.auditor, "/v1/log/export").await;
        for secret in [cookie, "the secret of tenure".to_owned(), "somebody@example.com".to_owned()] {
            assert!(!no_secret.contains(&secret));
        }
        let listed = world.get(&world.admin, "/v1/sign-in-providers").await.expect(200);
        assert_eq!(listed.body["items"][0]["confidential"], true);
        assert!(!listed.body.to_string().contains("the secret of tenure") && !listed.body.to_string().contains("client_secret"));
    }

    async fn a_sign_in_belongs_to_the_browser_that_began_it_and_counts_once(world: World) {
        let place = Place::new(&world, People::real(&world)).await;
        let olu = place.bound(&world, &world.admin, &world.owner_id, "olu").await;
        drop(olu);
        // Login CSRF: Mallory's answer, opened in Sam's browser.
        let (mallory, sam) = (Browser::new(), Browser::new());
        let answer = place.as_far_as_the_callback(&world, &mallory, "olu", "hwk", "").await.leads();
        let page = sam.get(&answer).await;
        came_to_nothing(&world, &sam, page, 401, "sign_in_failed").await;
        // Also where that browser has begun a sign-in of its own.
        sam.get(&place.start(&world, "")).await.expect(303);
        let page = sam.get(&answer).await;
        came_to_nothing(&world, &sam, page, 401, "sign_in_failed").await;
        // A bent state is another sign-in's.
        let bent = answer.replace("state=", "state=x");
        let page = mallory.get(&bent).await;
        came_to_nothing(&world, &mallory, page, 401, "sign_in_failed").await;

        // A refusal at the provider is one here.
        let reluctant = Browser::new();
        let page = reluctant.get(&place.start(&world, "")).await;
        let page = reluctant.follow(page, |_| false).await;
        let page = reluctant.post(&page.url.clone(), &[("abort", "yes")]).await;
        let page = reluctant.follow(page, |_| false).await;
        came_to_nothing(&world, &reluctant, page, 401, "sign_in_failed").await;

        // Once means once, even with the cookie that it began with.
        let browser = Browser::new();
        let answer = place.as_far_as_the_callback(&world, &browser, "olu", "hwk", "").await.leads();
        let pending = browser.cookie(&world.server.url, "tenure-pending").unwrap();
        browser.get(&answer).await.expect(303);
        let again = Browser::new();
        again.set_cookie(&world.server.url, "tenure-pending", &pending);
        let page = again.get(&answer).await;
        came_to_nothing(&world, &again, page, 401, "sign_in_failed").await;
    }

    async fn what_a_provider_says_has_to_hold(world: World) {
        let place = Place::new(&world, People::forger()).await;
        let invitation = invite(&world, &world.admin, &world.owner_id).await;
        let for_sam = invite(&world, &world.admin, &world.security_id).await;
        let now = crate::world::now();
        let lies = [
            json!({"claims": {"nonce": "another"}}),
            json!({"without": ["nonce"]}),
            json!({"claims": {"aud": "another"}}),
            json!({"claims": {"aud": ["tenure", "another"]}}),
            json!({"claims": {"azp": "another"}}),
            json!({"claims": {"iss": "http://127.0.0.1:1"}}),
            json!({"claims": {"iss": format!("{}/", place.provider.url)}}),
            json!({"without": ["sub"]}),
            json!({"claims": {"sub": ""}}),
            json!({"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}}),
            json!({"without": ["exp"]}),
            json!({"without": ["iat"]}),
            json!({"claims": {"exp": now - 60}}),
            json!({"claims": {"iat": now + 300}}),
            json!({"claims": {"iat": now - 3600}}),
            json!({"header": {"alg": "none"}, "unsigned": true}),
            json!({"header": {"alg": "HS256"}}),
            json!({"header": {"typ": "at+jwt"}}),
            json!({"key": "other"}),
            json!({"answer": {"iss": "http://127.0.0.1:1"}}),
            json!({"answer": {"iss": null}}),
            json!({"answer": {"code": "code-of-somebody-else"}}),
            json!({"answer": {"code": null}}),
        ];
        for lie in lies {
            place.provider.lie(lie.clone()).await;
            let browser = invited(&world, &invitation).await;
            let page = place.sign_in(&world, &browser, "", "").await;
            assert!(page.text.contains("sign_in_failed"), "{lie}: {} {}", page.status, page.text);
            assert_eq!((page.status, session(&world, &browser)), (401, None), "{lie}");
        }
        // A key that may be new is looked for once the provider may be asked again: until then nobody is told a final
        // no.
        place.provider.lie(json!({"header": {"kid": "unknown"}})).await;
        let browser = invited(&world, &invitation).await;
        let page = place.sign_in(&world, &browser, "", "").await;
        assert_eq!((page.status, session(&world, &browser)), (503, None), "{}", page.text);
        assert!(world.events_of("sign_in.bound", &world.owner_id).await.is_empty());
        // Freshness that the provider doesn't vouch for is none.
        for lie in [json!({"without": ["auth_time"]}), json!({"claims": {"auth_time": now - 3600}})] {
            place.provider.lie(lie.clone()).await;
            let browser = invited(&world, &invitation).await;
            let page = place.as_far_as_the_callback(&world, &browser, "", "", "?fresh=true").await;
            let page = browser.get(&page.leads()).await;
            came_to_nothing(&world, &browser, page, 401, "sign_in_failed").await;
        }
        // The truth binds, and after that the invitation is spent.
        place.provider.lie(json!({})).await;
        let browser = invited(&world, &invitation).await;
        place.sign_in(&world, &browser, "", "").await.expect(303);
        assert_eq!(me(&world, &browser).await.expect(200).text("/person/id"), world.owner_id);
        // A subject is one person's for ever: with somebody else's invitation it is still that person.
        let browser = invited(&world, &for_sam).await;
        place.sign_in(&world, &browser, "", "").await.expect(303);
        assert_eq!(me(&world, &browser).await.expect(200).text("/person/id"), world.owner_id);
        assert_eq!(world.events_of("sign_in.bound", &world.owner_id).await.len(), 1);
    }

    async fn a_cookie_speaks_only_for_the_servers_own_pages(world: World) {
        let place = Place::new(&world, People::real(&world)).await;
        let olu = place.bound(&world, &world.admin, &world.owner_id, "olu").await;
        let set = olu.get(&format!("{}/sign-in", world.server.url)).await.expect(200);
        let policy = set.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");

        let url = format!("{}/v1/identities", world.server.url);
        let body = json!({"kind": "workload", "name": "forged", "charter": {}, "stage": "draft"});
        let before = world.changes().await.len();
        let attempts = [
            vec![("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
            vec![("sec-fetch-site", "same-site")],
            vec![("sec-fetch-site", "none")],
            vec![("origin", "https://evil.example")],
            vec![("origin", "null")],
            vec![],
        ];
        for headers in attempts {
            let mut request = olu.request(Method::POST, &url).json(&body);
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            assert_eq!(World::answer(request).await.expect(403).code(), "cross_site", "{headers:?}");
        }
        // As a form, which needs no permission of the browser, it is not taken even from here.
        let form = olu.request(Method::POST, &url).header("sec-fetch-site", "same-origin").form(&[("kind", "workload")]);
        World::answer(form).await.expect(415);
        // Signing out and entering an invitation change the browser's state: other sites don't do it either.
        let forms: [(&str, &[(&str, &str)]); 3] = [("/sign-out", &[]), ("/sign-in/invitation", &[("invitation", "x")]), ("/sign-in/cli", &[("port", "1"), ("challenge", "x")])];
        for (path, form) in forms {
            let request = olu.request(Method::POST, &format!("{}{path}", world.server.url)).header("origin", "https://evil.example");
            assert_eq!(World::answer(request.form(form)).await.expect(403).code(), "cross_site", "{path}");
        }
        assert_eq!(world.changes().await.len(), before);
        olu.api(&world, Method::POST, "/v1/identities", Some(body)).await.expect(201);

        // A browser's session is no bearer, and two cookies of one name are none.
        let cookie = session(&world, &olu).unwrap();
        world.get(&cookie, "/v1/me").await.expect(401);
        let two = world.http.get(format!("{}/v1/me", world.server.url)).header("cookie", format!("tenure-session={cookie}; tenure-session={cookie}"));
        World::answer(two).await.expect(401);
    }

    async fn s7_only_a_fresh_sign_in_of_a_person_enables(world: World) {
        let place = Place::new(&world, People::forger()).await;
        let (id, key) = world.exporter("exporter").await;
        let suspend = format!("/v1/identities/{id}/suspend");
        let resume = format!("/v1/identities/{id}/resume");
        let because = json!({"reason": "test"});
        // Until somebody signs in, an operator token stands for its person.
        world.post(&world.owner, &suspend, because.clone()).await.expect(200);
        world.post(&world.security, &resume, because.clone()).await.expect(200);

        place.provider.lie(json!({"claims": {"sub": "sam"}})).await;
        let sam = place.bound(&world, &world.admin, &world.security_id, "").await;
        world.post(&world.owner, &suspend, because.clone()).await.expect(200);
        // From then on it doesn't, whoever holds one.
        let refused = world.post(&world.security, &resume, because.clone()).await.expect(403);
        assert_eq!(refused.code(), "fresh_sign_in_needed");
        assert_eq!(world.events_of("access.refused", &id).await.last().unwrap()["data"]["reason"], "fresh_sign_in_needed");
        let more = world.post(&world.admin, &format!("/v1/people/{}/operator-tokens", world.owner_id), json!({})).await.expect(403);
        assert_eq!(more.code(), "not_allowed");
        // Nor does a sign-in that is too old, or of which nobody says how old it is, or one that can be phished, or an
        // identity's token.
        let lies = [
            json!({"offsets": {"auth_time": -400}, "claims": {"sub": "sam"}}),
            json!({"without": ["auth_time"], "claims": {"sub": "sam"}}),
            json!({"claims": {"sub": "sam", "amr": ["pwd"]}}),
        ];
        for lie in lies {
            place.provider.lie(lie).await;
            let browser = Browser::new();
            place.sign_in(&world, &browser, "", "").await.expect(303);
            assert_eq!(me(&world, &browser).await.expect(200).body["fresh"], false);
            assert_eq!(browser.api(&world, Method::POST, &resume, Some(because.clone())).await.expect(403).code(), "fresh_sign_in_needed");
            let scope = json!({"scope": {"type": "identity", "id": id}, "reason": "test"});
            assert_eq!(browser.api(&world, Method::POST, "/v1/holds/release", Some(scope)).await.expect(403).code(), "fresh_sign_in_needed");
        }
        world.post(&world.gateway, &resume, because.clone()).await.expect(401);
        // A provider's clock that is ahead lends nothing: this is fresh now, and the freshness counts from now.
        let resumed = sam.api(&world, Method::POST, &resume, Some(because)).await.expect(200);
        assert_eq!(resumed.text("/state"), "active");
        let event = world.events_of("identity.resumed", &id).await;
        assert_eq!(event.last().unwrap()["data"]["assurance"]["phishing_resistant"], true);
        world.token(&key, &id, "production").await;
    }

    async fn s10_the_setup_token_is_good_once_and_an_invitation_needs_two_administrators(world: World) {
        let setup = json!({"setup_token": format!("tnr_setup_{}", random()), "name": "Eve"});
        assert_eq!(world.post("", "/v1/setup", setup).await.expect(409).code(), "setup");
        let place = Place::new(&world, People::real(&world)).await;
        let (bea_id, bea) = world.person("Bea", &["administrator"]).await;
        let ada_id = admin_id(&world).await;
        for nobody in [&world.owner, &world.security, &world.auditor] {
            world.post(nobody, "/v1/invitations", json!({"person": world.owner_id})).await.expect(403);
        }
        let made = world.post(&world.admin, "/v1/invitations", json!({"person": ada_id})).await.expect(201);
        assert_eq!((&made.body["good"], &made.body["single_person"]), (&json!(false), &json!(false)));
        let browser = Browser::new();
        let enter = format!("{}/sign-in/invitation", world.server.url);
        let early = browser.post(&enter, &[("invitation", &made.text("/invitation"))]).await;
        assert!(early.text.contains("invitation_invalid"));
        early.expect(401);
        let confirm = format!("/v1/invitations/{}/confirm", made.text("/id"));
        assert_eq!(world.post(&world.admin, &confirm, json!({})).await.expect(403).code(), "same_person");
        world.post(&world.security, &confirm, json!({})).await.expect(403);
        assert_eq!(world.post(&bea, &confirm, json!({})).await.expect(200).body["good"], true);
        assert_eq!(world.post(&bea, &confirm, json!({})).await.expect(409).code(), "illegal_transition");
        // Who is invited doesn't vouch for themselves.
        let own = world.post(&world.admin, "/v1/invitations", json!({"person": bea_id})).await.expect(201);
        let own_confirm = format!("/v1/invitations/{}/confirm", own.text("/id"));
        assert_eq!(world.post(&bea, &own_confirm, json!({})).await.expect(403).code(), "same_person");

        let ada = invited(&world, &made.text("/invitation")).await;
        place.sign_in(&world, &ada, "ada", "hwk").await.expect(303);
        assert_eq!(me(&world, &ada).await.expect(200).text("/person/id"), ada_id);
        // Once.
        let again = browser.post(&enter, &[("invitation", &made.text("/invitation"))]).await;
        assert!(again.text.contains("invitation_invalid"));
        // A mistyped one, another kind of secret, and one that was taken back.
        for wrong in [made.text("/invitation") + "x", world.owner.clone(), String::new()] {
            browser.post(&enter, &[("invitation", &wrong)]).await.expect(401);
        }
        let taken = ada.api(&world, Method::POST, "/v1/invitations", Some(json!({"person": world.owner_id}))).await.expect(201);
        ada.api(&world, Method::POST, &format!("/v1/invitations/{}/revoke", taken.text("/id")), None).await.expect(200);
        browser.post(&enter, &[("invitation", &taken.text("/invitation"))]).await.expect(401);
        // From here on operator tokens confirm nothing, however administrative.
        let late = ada.api(&world, Method::POST, "/v1/invitations", Some(json!({"person": world.owner_id}))).await.expect(201);
        let late = format!("/v1/invitations/{}/confirm", late.text("/id"));
        assert_eq!(world.post(&bea, &late, json!({})).await.expect(403).code(), "fresh_sign_in_needed");
    }

    async fn what_was_lost_is_replaced_and_another_sign_in_is_added_in_a_fresh_session(world: World) {
        let place = Place::new(&world, People::real(&world)).await;
        let ada_id = admin_id(&world).await;
        let ada = place.bound(&world, &world.admin, &ada_id, "ada").await;
        // Another one by oneself: in a fresh session, and only for oneself.
        ada.forget(&place.provider.url);
        let page = place.as_far_as_the_callback(&world, &ada, "ada-at-home", "hwk", "?link=true&fresh=true").await;
        ada.get(&page.leads()).await.expect(303);
        let phone = Browser::new();
        place.sign_in(&world, &phone, "ada-at-home", "pwd").await.expect(303);
        assert_eq!(me(&world, &phone).await.expect(200).text("/person/id"), ada_id);
        let refused = phone.get(&place.start(&world, "?link=true")).await.expect(403);
        assert!(refused.text.contains("fresh_sign_in_needed"));
        let nobody = Browser::new();
        nobody.get(&place.start(&world, "?link=true")).await.expect(403);

        // What was lost ends with the use of an invitation that replaces it: both sign-ins, and every session.
        let made = ada.api(&world, Method::POST, "/v1/invitations", Some(json!({"person": ada_id, "replaces": true}))).await.expect(201);
        let anew = invited(&world, &made.text("/invitation")).await;
        place.sign_in(&world, &anew, "ada-again", "hwk").await.expect(303);
        assert_eq!(me(&world, &anew).await.expect(200).text("/person/id"), ada_id);
        me(&world, &ada).await.expect(401);
        me(&world, &phone).await.expect(401);
        for lost in ["ada", "ada-at-home"] {
            let browser = Browser::new();
            let page = place.sign_in(&world, &browser, lost, "hwk").await;
            came_to_nothing(&world, &browser, page, 401, "sign_in_unknown").await;
        }
        // And is nobody else's ever.
        let invitation = anew.api(&world, Method::POST, "/v1/invitations", Some(json!({"person": world.owner_id}))).await.expect(201).text("/invitation");
        let thief = invited(&world, &invitation).await;
        let page = place.sign_in(&world, &thief, "ada", "hwk").await;
        came_to_nothing(&world, &thief, page, 409, "key_already_bound").await;
    }

    async fn r18_a_directory_of_people_vouches_for_no_workload(world: World) {
        let place = Place::new(&world, People::forger()).await;
        let issuer = json!({"url": place.provider.url, "audience": "https://tenure.example", "environments": ["production"]});
        let refused = world.post(&world.admin, "/v1/issuers", issuer.clone()).await.expect(422);
        assert_eq!(refused.field_codes(), ["directory_issuer"]);
        // Nor is an identity bound to what people sign in with.
        for url in [place.provider.url.clone(), format!("{}/", place.provider.url)] {
            let mut charter = world.charter(Key::new().jwk());
            charter["workload_binding"] = json!({"type": "oidc", "workload": "w", "issuer": url, "claims": {"sub": "olu"}});
            assert_eq!(world.register("a-user", charter, "pending").await.expect(422).field_codes(), ["directory_issuer"]);
        }
        assert_eq!(place.provider.register(&world, &world.admin).await.expect(409).code(), "taken");
        world.post(&world.admin, &format!("/v1/sign-in-providers/{}/remove", place.id), json!({})).await.expect(200);
        let other = world.post(&world.admin, "/v1/issuers", issuer).await.expect(201);
        assert_eq!(place.provider.register(&world, &world.admin).await.expect(422).field_codes(), ["directory_issuer"]);
        let page = Browser::new().get(&place.start(&world, "")).await;
        page.expect(404);
        world.post(&world.admin, &format!("/v1/issuers/{}/remove", other.text("/id")), json!({})).await.expect(200);
        let (_, bea) = world.person("Bea", &["administrator"]).await;
        let proposed = place.provider.register(&world, &world.admin).await.expect(201);
        assert_eq!(proposed.text("/state"), "proposed");
        let confirm = format!("/v1/sign-in-providers/{}/confirm", proposed.text("/id"));
        assert_eq!(world.post(&world.admin, &confirm, json!({})).await.expect(403).code(), "same_person");
        assert_eq!(world.post(&bea, &confirm, json!({})).await.expect(200).text("/state"), "active");
    }

    async fn automation_calls_by_a_chartered_identity_and_only_as_its_token_says(world: World) {
        let body = json!({"uri": world.server.url, "type": "tenure", "actions": ["read", "request"], "application": world.application, "environment": "production", "verification": "online"});
        let tenure = world.post(&world.admin, "/v1/resources", body).await.expect(201).text("/id");
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["scope"] = json!([{"actions": ["read"], "resource": tenure}]);
        let id = world.active("inventory-reader", charter).await;
        let token = world.token(&key, &id, "production").await;
        let who = world.get(&token, "/v1/me").await.expect(200);
        assert_eq!((who.text("/identity"), &who.body["actions"]), (id.clone(), &json!(["read"])));
        world.get(&token, &format!("/v1/identities/{id}")).await.expect(200);
        // What runs Tenure, approves or enables takes a person, whatever the token says; and what the token doesn't say
        // is not in it.
        let suspend = json!({"reason": "test"});
        for (path, body) in [
            ("/v1/people".to_owned(), json!({"name": "Eve", "roles": ["administrator"]})),
            ("/v1/invitations".to_owned(), json!({"person": world.owner_id})),
            (format!("/v1/identities/{}/resume", world.gateway_id), suspend.clone()),
            (format!("/v1/identities/{}/suspend", world.gateway_id), suspend),
            ("/v1/sign-in-providers".to_owned(), json!({"name": "x", "issuer": "https://evil.example", "client_id": "x"})),
        ] {
            assert_eq!(world.post(&token, &path, body).await.expect(403).code(), "not_allowed", "{path}");
        }
        assert_eq!(world.get(&token, "/v1/log/export").await.expect(403).code(), "not_allowed");
        // A token for another resource is none here, and a dead one is dead.
        world.get(&world.gateway, "/v1/me").await.expect(401);
        world.revoke("identity", &id).await.expect(201);
        world.get(&token, "/v1/me").await.expect(401);
    }
}

/// The command line, without the environment's own settings.
fn tenure(world: &World, data: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = crate::world::tenure();
    command.args(["--server", &world.server.url, "--data"]).arg(data).args(["-o", "json"]).args(arguments);
    command.stdin(Stdio::null());
    command
}

#[tokio::test]
async fn the_command_line_signs_in_by_way_of_a_browser() {
    let world = World::start(Store::Sqlite).await;
    let place = Place::new(&world, People::real(&world)).await;
    let browser = place.bound(&world, &world.admin, &world.owner_id, "olu").await;
    let data = tempfile::tempdir().unwrap();
    let mut child = tenure(&world, data.path(), &["login", "--no-browser"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("http") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0);
    }
    let url = line.trim().to_owned();
    // Somebody who hasn't signed in is sent to the sign-in page first, and comes back from there.
    let other = Browser::new();
    let page = other.get(&url).await.expect(303);
    assert!(page.leads().contains("/sign-in?return_to=%2Fsign-in%2Fcli"), "{}", page.leads());
    let page = browser.get(&url).await.expect(200);
    assert!(page.text.contains("tenure login"));
    let parameter = |name: &str| {
        let url = reqwest::Url::parse(&url).unwrap();
        url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
    };
    let (port, challenge) = (parameter("port"), parameter("challenge"));
    let fields = [("port", &*port), ("challenge", &*challenge)];
    let agreed = browser.post(&format!("{}/sign-in/cli", world.server.url), &fields).await.expect(303);
    let code = agreed.parameter("code").unwrap();
    assert!(agreed.leads().starts_with(&format!("http://127.0.0.1:{port}/")));
    // Who sees the code can't use it without the verifier.
    let theft = json!({"code": code, "verifier": random() + &random()});
    assert_eq!(world.post("", "/sign-in/cli/token", theft).await.expect(401).code(), "sign_in_failed");
    // A browser asks for an icon first; that doesn't end the wait.
    browser.get(&format!("http://127.0.0.1:{port}/favicon.ico")).await.expect(404);
    browser.get(&agreed.leads()).await.expect(200);
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!out.contains("tnr_ses_"), "{out}");

    use std::os::unix::fs::PermissionsExt;
    let file = data.path().join("operator-token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(&file).unwrap();
    assert!(token.starts_with("tnr_ses_"));
    let who = tenure(&world, data.path(), &["whoami"]).output().unwrap();
    let who: Value = serde_json::from_slice(&who.stdout).unwrap();
    assert_eq!((&who["person"]["id"], &who["fresh"]), (&json!(world.owner_id), &json!(true)));
    // The command line's session is no cookie.
    let thief = Browser::new();
    thief.set_cookie(&world.server.url, "tenure-session", token.trim());
    me(&world, &thief).await.expect(401);

    // What the browser did is not undone by signing the command line out, and the file goes.
    assert!(tenure(&world, data.path(), &["logout"]).output().unwrap().status.success());
    assert!(!file.exists());
    world.get(token.trim(), "/v1/me").await.expect(401);
    me(&world, &browser).await.expect(200);
}

#[tokio::test]
async fn s10_recover_restores_one_administrator_by_an_invitation() {
    let mut world = World::binary(Store::Sqlite, &[]).await;
    let provider = People::real(&world);
    let place = Place::new(&world, provider).await;
    let ada_id = admin_id(&world).await;
    let lost = place.bound(&world, &world.admin, &ada_id, "ada").await;
    world.server.stop();
    let mut recover = crate::world::tenure();
    recover.args(["recover", "--data"]).arg(world.server.data());
    recover.env("TENURE_LISTEN", world.server.url.trim_start_matches("http://"));
    let before = std::fs::read_to_string(world.server.data().join("operator-token")).ok();
    let output = recover.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // People sign in here, so no operator token comes of it.
    assert_eq!(std::fs::read_to_string(world.server.data().join("operator-token")).ok(), before);
    world.restart();
    let invitation = std::fs::read_to_string(world.server.data().join("invitation")).unwrap();
    let event = world.events_of("deployment.recovered", &ada_id).await;
    assert_eq!(
        (event.len(), &event[0]["data"]["operator_token"], &event[0]["data"]["single_person"]),
        (1, &json!(false), &json!(true))
    );
    let ada = invited(&world, invitation.trim()).await;
    place.sign_in(&world, &ada, "ada-anew", "hwk").await.expect(303);
    assert_eq!(me(&world, &ada).await.expect(200).body["fresh"], true);
    me(&world, &lost).await.expect(401);
}
