//! Passkeys over HTTP, with an authenticator of the tests' own: what registers, what signs in, and what doesn't (S-7).

pub(crate) mod authenticator;
mod chromium;
pub(crate) mod devtools;
pub(crate) mod visitor;

use reqwest::Method;
use serde_json::{Value, json};

use self::authenticator::Authenticator;
use self::visitor::Visitor;
use crate::on_one;
use crate::world::{Store, World};

/// An invitation's secret.
async fn invite(world: &World, person: &str) -> String {
    let body = json!({"person": person});
    world.post(&world.admin, "/v1/invitations", body).await.expect(201).text("/invitation")
}

/// Registers a passkey and gives what the server says.
pub(crate) async fn register(visitor: &Visitor, authenticator: &mut Authenticator, invitation: &str) -> Value {
    let entitled = json!({"invitation": invitation});
    let options = visitor.post("/sign-in/passkey/register-start", &entitled).await.expect(200).body;
    let body = json!({"invitation": invitation, "name": "laptop", "credential": authenticator.create(&options)});
    visitor.post("/sign-in/passkey/register-finish", &body).await.expect(201).body
}

async fn begin(visitor: &Visitor) -> Value {
    visitor.post("/sign-in/passkey/start", &json!({})).await.expect(200).body
}

async fn finish(visitor: &Visitor, answer: &Value) -> crate::world::Answer {
    visitor.post("/sign-in/passkey/finish", answer).await
}

/// Signs in and gives what the server says.
async fn sign_in(visitor: &Visitor, authenticator: &mut Authenticator) -> Value {
    let options = begin(visitor).await;
    finish(visitor, &authenticator.get(&options)).await.expect(200).body
}

/// Every refusal of a sign-in reads like this one.
async fn refused(visitor: &Visitor, answer: &Value) {
    assert_eq!(finish(visitor, answer).await.expect(401).code(), "proof_invalid");
    assert!(visitor.cookie("tenure-session").is_none());
}

/// Reasons for which sign-ins with a passkey were refused one by one.
async fn refusals(world: &World, passkey: &str) -> Vec<String> {
    let sign_in = |event: &Value| event["data"]["asked"] == "passkey.sign_in";
    let reason = |event: Value| event["data"]["reason"].as_str().unwrap().to_owned();
    let refused = world.events_of("access.refused", passkey).await.into_iter();
    refused.filter(sign_in).map(reason).collect()
}

on_one! { by |store| World::on_localhost(store, &[]);
    async fn s7_an_invited_person_registers_a_passkey_and_signs_in_with_it(world: World) {
        let invitation = invite(&world, &world.owner_id).await;
        let (browser, mut authenticator) = (Visitor::new(&world), Authenticator::es256(&world));
        let registered = register(&browser, &mut authenticator, &invitation).await;
        let passkey = registered["passkey"]["id"].as_str().unwrap().to_owned();
        assert_eq!((&registered["person"], &registered["passkey"]["name"]), (&json!(world.owner_id), &json!("laptop")));

        // Registering signed in; the session is a person's, fresh, and can't be phished.
        let me = browser.get("/v1/me").await.expect(200).body;
        assert_eq!((&me["person"]["id"], &me["assurance"]["method"]), (&json!(world.owner_id), &json!("passkey")));
        assert_eq!((&me["assurance"]["phishing_resistant"], &me["fresh"]), (&json!(true), &json!(true)));
        assert_eq!(world.events_of("sign_in.bound", &passkey).await[0]["data"]["method"], "passkey");
        assert_eq!(world.events_of("deployment.sign_in_set_up", &world.owner_id).await.len(), 1);

        let first = browser.cookie("tenure-session").unwrap();
        browser.post("/sign-out", &json!({})).await;
        assert!(browser.cookie("tenure-session").is_none());
        browser.keep("tenure-session", &first);
        browser.get("/v1/me").await.expect(401);
        browser.forget("tenure-session");

        // Nobody says who they are: the passkey does.
        let options = begin(&browser).await;
        assert_eq!((&options["allowCredentials"], &options["userVerification"], &options["rpId"]), (&json!([]), &json!("required"), &json!("localhost")));
        let signed_in = finish(&browser, &authenticator.get(&options)).await.expect(200).body;
        assert_eq!((&signed_in["person"], &signed_in["passkey"]["id"]), (&json!(world.owner_id), &json!(passkey)));
        assert_eq!(browser.get("/v1/me").await.expect(200).body["fresh"], true);
        assert_eq!(world.events_of("sign_in.succeeded", &passkey).await.len(), 1);

        // A second one, of the other algorithm, is added inside the session, which goes on.
        let mut second = Authenticator::ed25519(&world);
        let options = browser.post("/sign-in/passkey/register-start", &json!({})).await.expect(200).body;
        assert_eq!(options["excludeCredentials"].as_array().unwrap().len(), 1);
        assert_eq!((&options["attestation"], &options["authenticatorSelection"]["residentKey"]), (&json!("none"), &json!("required")));
        let body = json!({"credential": second.create(&options)});
        let added = browser.post("/sign-in/passkey/register-finish", &body).await.expect(201).body;
        assert!(added["session_expires_at"].is_null());
        let held = browser.get("/v1/passkeys").await.expect(200).body;
        assert_eq!(held["items"].as_array().unwrap().len(), 2);
        assert!(!held.to_string().contains("public_key") && held["items"][0]["person"] == json!(world.owner_id));
        let other = Visitor::new(&world);
        sign_in(&other, &mut second).await;
        // Counters that only go up are no trouble.
        for _ in 0..3 {
            sign_in(&other, &mut second).await;
        }
    }

    async fn s7_an_invitation_is_good_for_one_passkey(world: World) {
        let invitation = invite(&world, &world.owner_id).await;
        let (first, second) = (Visitor::new(&world), Visitor::new(&world));
        // Both begin while it is good.
        let options = second.post("/sign-in/passkey/register-start", &json!({"invitation": invitation})).await.expect(200).body;
        register(&first, &mut Authenticator::es256(&world), &invitation).await;
        let body = json!({"invitation": invitation, "credential": Authenticator::es256(&world).create(&options)});
        assert_eq!(second.post("/sign-in/passkey/register-finish", &body).await.expect(401).code(), "invitation_invalid");
        let again = second.post("/sign-in/passkey/register-start", &json!({"invitation": invitation})).await.expect(401);
        assert_eq!(again.code(), "invitation_invalid");
        for nothing in ["", "tnr_inv_x", &world.admin, &world.owner] {
            second.post("/sign-in/passkey/register-start", &json!({"invitation": nothing})).await.expect(401);
        }
        // An operator token stands for a person, and is no sign-in with which another could be bound.
        second.post("/sign-in/passkey/register-start", &json!({})).await.expect(401);
        world.post(&world.owner, "/sign-in/passkey/register-start", json!({})).await.expect(403);
        assert!(second.cookie("tenure-session").is_none());
    }

    async fn s10_an_invitation_that_nobody_confirmed_registers_nothing(world: World) {
        let (_, second) = world.person("Bea", &["administrator"]).await;
        let made = world.post(&world.admin, "/v1/invitations", json!({"person": world.owner_id})).await.expect(201);
        let (id, secret) = (made.text("/id"), made.text("/invitation"));
        let browser = Visitor::new(&world);
        let start = json!({"invitation": secret});
        assert_eq!(browser.post("/sign-in/passkey/register-start", &start).await.expect(401).code(), "invitation_invalid");
        world.post(&second, &format!("/v1/invitations/{id}/confirm"), json!({})).await.expect(200);
        register(&browser, &mut Authenticator::es256(&world), &secret).await;
    }

    async fn s7_registrations_that_do_not_hold_are_refused(world: World) {
        let (ours, theirs) = (invite(&world, &world.owner_id).await, invite(&world, &world.security_id).await);
        let browser = Visitor::new(&world);
        let mut taken = Authenticator::es256(&world);
        register(&Visitor::new(&world), &mut taken, &theirs).await;

        let start = json!({"invitation": ours});
        let refused = async |credential: Value| {
            let body = json!({"invitation": ours, "credential": credential});
            browser.post("/sign-in/passkey/register-finish", &body).await
        };
        let options = browser.post("/sign-in/passkey/register-start", &start).await.expect(200).body;
        let unverified = Authenticator::es256(&world).without_verification().create(&options);
        assert_eq!(refused(unverified).await.expect(422).field_codes(), ["webauthn_user_not_verified"]);
        let elsewhere = Authenticator::es256(&world).at("http://localhost:1").create(&options);
        assert_eq!(refused(elsewhere).await.expect(422).field_codes(), ["webauthn_origin_wrong"]);
        let foreign = Authenticator::es256(&world).for_relying_party("example.com").create(&options);
        assert_eq!(refused(foreign).await.expect(422).field_codes(), ["webauthn_relying_party_wrong"]);
        let mut other = options.clone();
        other["challenge"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(refused(Authenticator::es256(&world).create(&other)).await.expect(422).field_codes(), ["webauthn_challenge_wrong"]);
        // The answer to a sign-in is none to a registration, nor the start of one the end of the other.
        let signs_in = taken.get(&options);
        let mixed = json!({"id": signs_in["id"], "response": {"clientDataJSON": signs_in["response"]["clientDataJSON"], "attestationObject": "oA"}});
        assert_eq!(refused(mixed).await.expect(422).field_codes(), ["webauthn_type_wrong"]);
        // Somebody else's passkey can't be taken over.
        assert_eq!(refused(taken.create(&options)).await.expect(409).code(), "key_already_bound");
        // Another person's ceremony, or none, ends nothing; nor does one that another site's page sends.
        let good = Authenticator::es256(&world).create(&options);
        let kept = browser.cookie("tenure-passkey").unwrap();
        browser.forget("tenure-passkey");
        refused(good.clone()).await.expect(401);
        begin(&browser).await;
        refused(good.clone()).await.expect(401);
        browser.keep("tenure-passkey", &kept);
        let body = json!({"invitation": ours, "credential": good});
        assert_eq!(browser.post_from("https://evil.example", "/sign-in/passkey/register-finish", &body).await.expect(403).code(), "cross_site");
        refused(good).await.expect(201);
    }

    async fn s7_assertions_that_do_not_hold_sign_nobody_in(world: World) {
        let invitation = invite(&world, &world.owner_id).await;
        let mut authenticator = Authenticator::es256(&world);
        let passkey = register(&Visitor::new(&world), &mut authenticator, &invitation).await["passkey"]["id"].as_str().unwrap().to_owned();
        let browser = Visitor::new(&world);
        let options = begin(&browser).await;

        // A passkey that nobody registered, though it names a person who exists.
        let user = authenticator.user().to_owned();
        refused(&browser, &Authenticator::es256(&world).of_user(&user).get(&options)).await;
        refused(&browser, &authenticator.clone().at("https://localhost.evil.example").get(&options)).await;
        refused(&browser, &authenticator.clone().at("http://localhost:1").get(&options)).await;
        refused(&browser, &authenticator.clone().for_relying_party("example.com").get(&options)).await;
        let mut bent = authenticator.clone().get(&options);
        bent["response"]["signature"] = json!("MEUCIQD1Ck4uRAkknEqFO6NhKC8JhB303UVHoTqHeAIY3v_NOAIhAISArA8Lk1OBdPV1vxGh3V14xuSGAT-TcpXqE2U-Mx6H");
        refused(&browser, &bent).await;
        let mut nobody = authenticator.clone().get(&options);
        nobody["response"]["userHandle"] = json!(null);
        refused(&browser, &nobody).await;
        nobody["response"]["userHandle"] = json!("cGVyXzA");
        refused(&browser, &nobody).await;
        assert!(refusals(&world, &passkey).await.is_empty(), "what proves nothing is counted, not recorded under a name");

        // The signature holds, but nobody was verified: whoever has the device is known.
        refused(&browser, &authenticator.clone().without_verification().get(&options)).await;
        assert_eq!(refusals(&world, &passkey).await, ["webauthn_user_not_verified"]);

        // An answer counts in the browser that asked, from a page of this server, once.
        let good = authenticator.get(&options);
        let other = Visitor::new(&world);
        finish(&other, &good).await.expect(401);
        begin(&other).await;
        refused(&other, &good).await;
        assert_eq!(browser.post_from("https://evil.example", "/sign-in/passkey/finish", &good).await.expect(403).code(), "cross_site");
        let kept = browser.cookie("tenure-passkey").unwrap();
        finish(&browser, &good).await.expect(200);
        browser.forget("tenure-session");
        browser.keep("tenure-passkey", &kept);
        refused(&browser, &good).await;
        assert_eq!(refusals(&world, &passkey).await, ["webauthn_user_not_verified", "proof_replayed"]);
        assert!(world.events_of("passkey.copy_suspected", &passkey).await.is_empty(), "the same answer twice is no copy");
        assert_eq!(world.events_of("sign_in.succeeded", &passkey).await.len(), 1);
    }

    async fn s7_a_counter_that_goes_back_is_refused_and_recorded_as_a_copy(world: World) {
        let invitation = invite(&world, &world.owner_id).await;
        let mut authenticator = Authenticator::es256(&world);
        let browser = Visitor::new(&world);
        let passkey = register(&browser, &mut authenticator, &invitation).await["passkey"]["id"].as_str().unwrap().to_owned();
        let mut copy = authenticator.clone();
        for _ in 0..3 {
            sign_in(&browser, &mut authenticator).await;
        }
        browser.forget("tenure-session");
        let options = begin(&browser).await;
        refused(&browser, &copy.get(&options)).await;
        assert_eq!(world.events_of("passkey.copy_suspected", &passkey).await.len(), 1);
        assert_eq!(refusals(&world, &passkey).await, ["webauthn_counter_went_back"]);
        sign_in(&browser, &mut authenticator).await;
    }

    async fn s7_a_removed_passkey_is_refused_and_the_last_way_in_stays(world: World) {
        let invitation = invite(&world, &world.owner_id).await;
        let (mut lost, mut kept) = (Authenticator::es256(&world), Authenticator::ed25519(&world));
        let thief = Visitor::new(&world);
        let first = register(&thief, &mut lost, &invitation).await["passkey"]["id"].as_str().unwrap().to_owned();
        let owner = Visitor::new(&world);
        sign_in(&owner, &mut lost).await;
        let remove = format!("/v1/passkeys/{first}/remove");
        assert_eq!(owner.post(&remove, &json!({})).await.expect(403).code(), "not_allowed");

        let options = owner.post("/sign-in/passkey/register-start", &json!({})).await.expect(200).body;
        let body = json!({"name": "security key", "credential": kept.create(&options)});
        let second = owner.post("/sign-in/passkey/register-finish", &body).await.expect(201).text("/passkey/id");
        // Others can't, be they administrators; and not by a cookie that another site's page sends along.
        world.post(&world.admin, &remove, json!({})).await.expect(403);
        owner.post_from("https://evil.example", &remove, &json!({})).await.expect(403);
        assert_eq!(owner.post("/v1/passkeys/pky_00000000000000000000000000/remove", &json!({})).await.expect(404).code(), "not_found");
        thief.get("/v1/me").await.expect(200);
        assert!(owner.post(&remove, &json!({})).await.expect(200).body["removed_at"].is_string());
        // Sessions that passkeys began elsewhere are over; one's own goes on.
        thief.get("/v1/me").await.expect(401);
        owner.get("/v1/me").await.expect(200);
        assert_eq!(owner.post(&remove, &json!({})).await.expect(409).code(), "illegal_transition");
        assert_eq!(owner.get("/v1/passkeys").await.expect(200).text("/items/0/id"), second);

        thief.forget("tenure-session");
        let options = begin(&thief).await;
        refused(&thief, &lost.get(&options)).await;
        assert_eq!(refusals(&world, &first).await, ["credential_revoked"]);
        // It is bound for ever, also to the person who removed it.
        let options = owner.post("/sign-in/passkey/register-start", &json!({})).await.expect(200).body;
        let body = json!({"credential": lost.create(&options)});
        assert_eq!(owner.post("/sign-in/passkey/register-finish", &body).await.expect(409).code(), "key_already_bound");
        sign_in(&thief, &mut kept).await;
    }

    async fn s7_a_passkey_of_somebody_suspended_or_departed_opens_nothing(world: World) {
        let invitation = invite(&world, &world.owner_id).await;
        let mut authenticator = Authenticator::es256(&world);
        let browser = Visitor::new(&world);
        let passkey = register(&browser, &mut authenticator, &invitation).await["passkey"]["id"].as_str().unwrap().to_owned();
        for step in ["suspend", "depart"] {
            let path = format!("/v1/people/{}/{step}", world.owner_id);
            world.post(&world.security, &path, json!({"reason": "leaves"})).await.expect(200);
            browser.get("/v1/me").await.expect(401);
            browser.forget("tenure-session");
            let options = begin(&browser).await;
            refused(&browser, &authenticator.get(&options)).await;
        }
        assert_eq!(refusals(&world, &passkey).await, ["person_not_active", "person_not_active"]);
    }

    async fn s10_an_invitation_that_replaces_ends_what_was_lost(world: World) {
        let first = invite(&world, &world.owner_id).await;
        let ask = json!({"person": world.owner_id, "replaces": true});
        let second = world.post(&world.admin, "/v1/invitations", ask).await.expect(201).text("/invitation");
        let (mut lost, mut found) = (Authenticator::es256(&world), Authenticator::es256(&world));
        let (thief, owner) = (Visitor::new(&world), Visitor::new(&world));
        register(&thief, &mut lost, &first).await;
        register(&owner, &mut found, &second).await;
        thief.get("/v1/me").await.expect(401);
        thief.forget("tenure-session");
        let options = begin(&thief).await;
        refused(&thief, &lost.get(&options)).await;
        assert_eq!(owner.get("/v1/passkeys").await.expect(200).body["items"].as_array().unwrap().len(), 1);
        sign_in(&owner, &mut found).await;
    }
}

/// Browsers offer no passkeys on an IP address: there it is said, and not left to a puzzling error of the browser's.
#[tokio::test]
async fn without_a_host_name_there_are_no_passkeys() {
    let world = World::start(Store::Sqlite).await;
    let browser = Visitor::new(&world);
    let answer = browser.post("/sign-in/passkey/start", &json!({})).await.expect(422);
    assert_eq!(answer.field_codes(), ["passkeys_unavailable"]);
    world.call(Method::GET, &world.owner, "/v1/passkeys", None).await.expect(200);
}
