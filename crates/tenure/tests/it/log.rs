//! The log as an auditor meets it: feed, checkpoints, proofs, export, and what erasing leaves.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tenure_log::{
    Checkpoint, Expectations, Hash, Inclusion, SignedPromise, Standing, VerifierKey, verify_consistency, verify_export,
};

use crate::world::{Answer, Key, Store, World, client};
use crate::{on_both, on_one};

/// An open event feed.
struct Feed {
    response: reqwest::Response,
    unread: String,
}

/// An event as the feed sent it: its id, its type, and its data.
type Sent = (u64, String, Value);

impl Feed {
    async fn open(world: &World, last: Option<u64>) -> Self {
        let mut request = world.http.get(format!("{}/v1/events", world.server.url)).bearer_auth(&world.auditor);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last.to_string());
        }
        let response = request.send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        Self { response, unread: String::new() }
    }

    async fn next(&mut self) -> Sent {
        loop {
            if let Some((message, rest)) = self.unread.split_once("\n\n") {
                let field = |name: &str| {
                    message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
                };
                let sent = field("id").map(|id| {
                    (
                        id.parse().unwrap(),
                        field("event").unwrap(),
                        serde_json::from_str(&field("data").unwrap()).unwrap(),
                    )
                });
                self.unread = rest.to_owned();
                // What has no id is a comment that keeps the connection alive.
                if let Some(sent) = sent {
                    return sent;
                }
                continue;
            }
            let chunk = tokio::time::timeout(std::time::Duration::from_secs(20), self.response.chunk())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn take(&mut self, n: usize) -> Vec<Sent> {
        let mut sent = Vec::new();
        while sent.len() < n {
            sent.push(self.next().await);
        }
        sent
    }
}

async fn text(world: &World, token: &str, path: &str) -> String {
    let mut request = world.http.get(format!("{}{path}", world.server.url));
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
}

/// The log's key, as a verifier would have pinned it.
async fn log_key(world: &World) -> VerifierKey {
    VerifierKey::parse(text(world, "", "/v1/log/key").await.trim()).unwrap()
}

/// A checkpoint that covers at least this many entries, with its text.
async fn checkpoint(world: &World, key: &VerifierKey, at_least: u64) -> (Checkpoint, String) {
    let read = async || {
        let note = text(world, "", "/v1/log/checkpoint").await;
        (Checkpoint::open(&note, std::slice::from_ref(key)).unwrap().checkpoint, note)
    };
    // There is none until the first entries are sealed.
    world
        .until(async || world.get("", "/v1/log/checkpoint").await.status == 200 && read().await.0.size >= at_least)
        .await;
    read().await
}

fn hash(text: &Value) -> Hash {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn hashes(answer: &Answer) -> Vec<Hash> {
    answer.body["proof"].as_array().unwrap().iter().map(hash).collect()
}

async fn proof(world: &World, path: &str) -> Answer {
    world.get("", path).await.expect(200)
}

on_both! { because "tiles, checkpoints and feeds are read from the engine";
    async fn the_feed_gives_each_event_once_and_in_order_across_an_interruption(world: World) {
        let before = world.events().await.len();
        let mut feed = Feed::open(&world, None).await;
        let mut sent = feed.take(before / 2).await;
        drop(feed);
        // While nobody listens, more happens.
        let (id, key) = world.exporter("exporter").await;
        let mut feed = Feed::open(&world, sent.last().map(|(id, _, _)| *id)).await;
        let then = world.events().await.len();
        sent.extend(feed.take(then - sent.len()).await);
        // And while somebody does, it arrives.
        let credential = world.ask_token(&key, &id, "production").await.expect(200).text("/credential");
        // What Tenure does by itself meanwhile may come before it.
        loop {
            let live = feed.next().await;
            let issued = live.1 == "credential.issued" && live.2["subjects"][0] == json!(credential);
            sent.push(live);
            if issued {
                break;
            }
        }
        let ids: Vec<u64> = sent.iter().map(|(id, _, _)| *id).collect();
        assert_eq!(ids, (0..u64::try_from(sent.len()).unwrap()).collect::<Vec<_>>());
        let events = world.events().await;
        for ((index, kind, data), event) in sent.iter().zip(&events) {
            assert_eq!((json!(kind), &data["kind"], &data["id"]), (event["kind"].clone(), &event["kind"], &event["id"]), "{index}");
            assert_eq!((&data["position"]["index"], &data["data"]), (&json!(index), &event["data"]));
        }
        // The query does what the header does; neither takes nonsense.
        let after = sent[2].0;
        let response = world.http.get(format!("{}/v1/events?after={after}", world.server.url)).bearer_auth(&world.auditor).send().await.unwrap();
        assert_eq!(Feed { response, unread: String::new() }.next().await.0, after + 1);
        let nonsense = world.http.get(format!("{}/v1/events", world.server.url)).bearer_auth(&world.auditor).header("Last-Event-ID", "-1");
        World::answer(nonsense).await.expect(400);
        assert_eq!(world.get(&world.owner, "/v1/events").await.status, 403);
        assert_eq!(world.get("", "/v1/events").await.status, 401);
    }

    async fn d11_a_position_beyond_the_log_is_told_and_no_feed_begins(world: World) {
        let size = u64::try_from(world.events().await.len()).unwrap();
        for after in [u64::MAX, u64::MAX - 1, 1 << 63, size + 1_000_000] {
            let query = world.get(&world.auditor, &format!("/v1/events?after={after}")).await.expect(422);
            assert_eq!(query.field_codes(), ["position_unknown"]);
            assert!(query.body.to_string().contains("the log has"), "{}", query.body);
            let header = world.http.get(format!("{}/v1/events", world.server.url)).bearer_auth(&world.auditor).header("Last-Event-ID", after.to_string());
            World::answer(header).await.expect(422);
        }
        // The same numbers where proofs and tiles take them, and a number that is none.
        for path in ["/v1/log/inclusion?index=18446744073709551615&size=18446744073709551615", "/v1/log/inclusion?index=0&size=18446744073709551615", "/v1/log/consistency?from=0&to=18446744073709551615", "/v1/events?after=18446744073709551616"] {
            world.get(&world.auditor, path).await.expect(422);
        }
        for path in ["/v1/log/tile/0/x018/x446/x744/x073/x709/x551/615", "/v1/log/tile/entries/x072/x057/x594/x037/x927/936"] {
            world.get(&world.auditor, path).await.expect(404);
        }
        world.get(&world.auditor, &format!("/v1/refusals?subject={}&before=18446744073709551615", world.owner_id)).await.expect(200);
    }

    async fn a_revoked_operator_token_ends_its_feed(world: World) {
        let auditor = world.get(&world.admin, "/v1/people?role=auditor").await.expect(200).text("/items/0/id");
        let answer = world.post(&world.admin, &format!("/v1/people/{auditor}/operator-tokens"), json!({})).await.expect(201);
        let response = world.http.get(format!("{}/v1/events", world.server.url)).bearer_auth(answer.text("/operator_token")).send().await.unwrap();
        let mut feed = Feed { response, unread: String::new() };
        feed.take(3).await;
        world.post(&world.admin, &format!("/v1/operator-tokens/{}/revoke", answer.text("/id")), json!({})).await.expect(200);
        // Nothing that happens from now on reaches it.
        let (late, _) = world.exporter("late").await;
        let mut rest = String::new();
        while let Some(chunk) = tokio::time::timeout(std::time::Duration::from_secs(20), feed.response.chunk()).await.unwrap().unwrap() {
            rest.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        assert!(!rest.contains(&late), "{rest}");
    }

    async fn the_promise_of_an_issuance_is_kept(world: World) {
        let key = log_key(&world).await;
        let (id, workload) = world.exporter("exporter").await;
        let answer = world.ask_token(&workload, &id, "production").await.expect(200);
        let promise = SignedPromise::parse(&answer.text("/log/promise")).unwrap();
        let index = answer.body["log"]["position"]["index"].as_u64().unwrap();
        assert_eq!((promise.promise.index, promise.promise.leaf), (index, hash(&answer.body["log"]["leaf_hash"])));
        let keys = [key.clone()];
        promise.verify(&keys).unwrap();
        let (checkpoint, _) = checkpoint(&world, &key, index + 1).await;
        let proven = proof(&world, &format!("/v1/log/inclusion?index={index}&size={}", checkpoint.size)).await;
        let (leaf, path) = (hash(&proven.body["leaf_hash"]), hashes(&proven));
        let inclusion = Inclusion { checkpoint: &checkpoint, leaf: &leaf, proof: &path };
        assert_eq!(promise.check_kept(&keys, &inclusion), Ok(Standing::Kept));
        // The leaf is the issuance, and says nothing of the token itself.
        let event = &world.events().await[usize::try_from(index).unwrap()];
        assert_eq!((&event["kind"], &event["subjects"][0]), (&json!("credential.issued"), &answer.body["credential"]));
        assert!(!event.to_string().contains(&answer.text("/access_token")));
        // A promise for another leaf isn't.
        let mut forged = promise.clone();
        forged.promise.leaf[0] ^= 1;
        assert!(forged.check_kept(&keys, &inclusion).is_err());
        for path in [format!("/v1/log/inclusion?index={0}&size={0}", checkpoint.size), format!("/v1/log/inclusion?index=0&size={}", checkpoint.size + 100_000)] {
            world.get("", &path).await.expect(422);
        }
    }

    async fn a_later_checkpoint_begins_with_an_earlier_one_and_the_export_with_both(world: World) {
        let key = log_key(&world).await;
        let (first, first_note) = checkpoint(&world, &key, 1).await;
        let (id, workload) = world.exporter("exporter").await;
        let mut promises = Vec::new();
        for _ in 0..5 {
            promises.push(SignedPromise::parse(&world.ask_token(&workload, &id, "production").await.expect(200).text("/log/promise")).unwrap());
        }
        let (second, second_note) = checkpoint(&world, &key, promises[4].promise.index + 1).await;
        assert!(second.size > first.size);
        let consistency = hashes(&proof(&world, &format!("/v1/log/consistency?from={}&to={}", first.size, second.size)).await);
        assert!(verify_consistency(first.size, &first.root, second.size, &second.root, &consistency));
        let mut other = first.root;
        other[0] ^= 1;
        assert!(!verify_consistency(first.size, &other, second.size, &second.root, &consistency));
        world.get("", &format!("/v1/log/consistency?from={}&to={}", second.size, first.size)).await.expect(422);
        let export = text(&world, &world.auditor, "/v1/log/export").await;
        let (keys, kept) = ([key], [first_note.as_str(), second_note.as_str()]);
        let expected = Expectations { keys: &keys, kept: &kept, promises: &promises, ..Expectations::default() };
        let verified = verify_export(export.as_bytes(), &expected).unwrap();
        assert_eq!((verified.promises_kept, verified.from_kept, verified.key_pinned), (5, Some(second.size), true));
        // One entry less, two swapped, or one changed: each is found.
        let lines: Vec<&str> = export.lines().collect();
        let mut removed = lines.clone();
        removed.remove(4);
        let mut swapped = lines.clone();
        swapped.swap(4, 5);
        let changed = export.replacen("\"leaf\":\"Ao", "\"leaf\":\"Ap", 1);
        for tampered in [removed.join("\n") + "\n", swapped.join("\n") + "\n", changed, lines[..lines.len() - 1].join("\n") + "\n"] {
            assert_ne!(tampered, export);
            assert!(verify_export(tampered.as_bytes(), &expected).is_err());
        }
    }

    async fn erasing_a_name_keeps_every_proof(world: World) {
        let key = log_key(&world).await;
        let name = "Petronella Unverkennbar";
        let address = "petronella@example.com";
        let id = world.post(&world.admin, "/v1/people", json!({"name": name, "email": address, "roles": ["owner", "requester"]})).await.expect(201).text("/id");
        let mut charter = world.charter(Key::new().jwk());
        charter["owner"] = json!(id);
        charter["parties"]["requester"] = json!(world.owner_id);
        let identity = world.register("hers", charter, "pending").await.expect(201).text("/id");
        let request = world.get(&world.security, &format!("/v1/identities/{identity}")).await.expect(200).text("/request");
        let owner = world.post(&world.admin, &format!("/v1/people/{id}/operator-tokens"), json!({})).await.expect(201).text("/operator_token");
        world.approve(&owner, &request).await.expect(200);
        let before = text(&world, &world.auditor, "/v1/log/export").await;
        let keys = [key.clone()];
        let (kept, note) = checkpoint(&world, &key, 1).await;
        let personal = verify_export(before.as_bytes(), &Expectations { keys: &keys, ..Expectations::default() }).unwrap();
        let shows = |export: &str| export.contains(name) || export.contains(&URL_SAFE_NO_PAD.encode(name));
        assert!(shows(&before));
        world.post(&world.owner, &format!("/v1/people/{id}/erase"), json!({})).await.expect(403);
        world.post(&world.admin, &format!("/v1/people/{id}/erase"), json!({})).await.expect(200);
        let after = text(&world, &world.auditor, "/v1/log/export").await;
        let kept_notes = [note.as_str()];
        let verified = verify_export(after.as_bytes(), &Expectations { keys: &keys, kept: &kept_notes, ..Expectations::default() }).unwrap();
        assert_eq!((verified.from_kept, verified.erased, verified.personal_present), (Some(kept.size), personal.erased + 2, personal.personal_present - 2));
        assert!(!shows(&after) && !after.contains(address) && !after.contains(&URL_SAFE_NO_PAD.encode(address)));
        // Every entry of before is in the log of after, byte for byte.
        let leaves = |export: &str| export.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap()["leaf"].clone()).collect::<Vec<_>>();
        assert_eq!(leaves(&after)[..leaves(&before).len()], leaves(&before));
        for path in [format!("/v1/people/{id}"), "/v1/people".to_owned(), format!("/v1/identities/{identity}")] {
            let shown = text(&world, &world.auditor, &path).await;
            assert!(!shown.contains(name) && !shown.contains(address), "{path}");
        }
        assert_eq!(world.events_of("person.erased", &id).await.len(), 1);
    }
}

/// A minute, so that everything is old.
const LONG_AGO: &[(&str, &str)] = &[("TENURE_ARCHIVE_AFTER", "1m")];

/// The first bundle of entries.
async fn entry_bundle(world: &World) -> Vec<u8> {
    let address = format!("{}/v1/log/tile/entries/000", world.server.url);
    let reply = world.http.get(address).bearer_auth(&world.auditor).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    reply.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn entries_that_are_archived_are_read_as_before() {
    let mut world = World::start_with(Store::Sqlite, LONG_AGO).await;
    let (id, key) = world.exporter("exporter").await;
    for _ in 0..300 {
        world.token(&key, &id, "production").await;
    }
    world.post(&world.security, &format!("/v1/identities/{id}/suspend"), json!({"reason": "test"})).await.expect(200);
    let before = text(&world, &world.auditor, "/v1/log/export").await;
    let bundle = entry_bundle(&world).await;
    world.pass(120).await;
    world.server.stop();
    let database = world.server.data().join("tenure.db");
    let archived = || {
        let database = rusqlite::Connection::open(&database).unwrap();
        let count =
            |table: &str| database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        let (bundles, entries): (u32, u32) = (count("archive"), count("entry"));
        (bundles, entries)
    };
    world.server.restart(LONG_AGO);
    world.http = client();
    world.until(async || archived().0 > 0).await;
    let (bundles, entries) = archived();
    assert!(bundles == 1 && entries < 256, "{bundles} bundles, and {entries} entries beside them");
    // The export begins as before, the bundle has the same bytes, and the state is what all of the log says.
    let after = text(&world, &world.auditor, "/v1/log/export").await;
    let lines = |export: &str| export.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&after)[..lines(&before).len()], lines(&before));
    assert_eq!(entry_bundle(&world).await, bundle);
    let report = world.post(&world.auditor, "/v1/log/verify-state?full=true", json!({})).await.expect(200);
    assert_eq!(report.body["faults"], json!([]));
    let refused = world.get(&world.auditor, &format!("/v1/log/timeline?subject={id}")).await.expect(200);
    assert!(!refused.body["items"].as_array().unwrap().is_empty());
    // Whoever alters what is archived takes it out of the log, and that is told.
    world.server.stop();
    let by_hand = rusqlite::Connection::open(&database).unwrap();
    assert_eq!(by_hand.execute("UPDATE archive SET bytes = substr(bytes, 9)", []).unwrap(), 1);
    drop(by_hand);
    world.server.restart(LONG_AGO);
    world.http = client();
    let report = world.post(&world.auditor, "/v1/log/verify-state?full=true", json!({})).await.expect(200);
    let missing = json!({"kind": "log_entry", "id": "0", "fault": "missing"});
    assert!(report.body["faults"].as_array().unwrap().contains(&missing), "{}", report.body);
}

#[tokio::test]
async fn who_left_longer_ago_than_names_are_kept_is_erased() {
    let kept: &[(&str, &str)] = &[("TENURE_ERASE_DEPARTED_AFTER", "1h"), ("TENURE_TRANSFER_WINDOW", "30d")];
    let mut world = World::start_with(Store::Sqlite, kept).await;
    let (tim, _) =
        world.person_as(json!({"name": "Tim Unverkennbar", "email": "tim@example.com", "roles": ["owner"]})).await;
    let (ada, by_ada) =
        world.person_as(json!({"name": "Ada Unverkennbar", "email": "ada@example.com", "roles": ["owner"]})).await;
    let mut charter = world.charter(Key::new().jwk());
    charter["owner"] = json!(ada);
    charter["parties"]["requester"] = json!(world.owner_id);
    let hers = world.register("hers", charter, "pending").await.expect(201).text("/id");
    let request = world.get(&world.security, &format!("/v1/identities/{hers}")).await.expect(200).text("/request");
    world.approve(&by_ada, &request).await.expect(200);
    for id in [&tim, &ada] {
        world.post(&world.admin, &format!("/v1/people/{id}/depart"), json!({"reason": "has left"})).await.expect(200);
    }
    let shown =
        async |world: &World, id: &str| world.get(&world.auditor, &format!("/v1/people/{id}")).await.expect(200).body;
    assert!(shown(&world, &tim).await["departed_at"].is_string());
    // Not yet: nobody is erased by a look at once.
    for (passed, erased) in [(1_800, false), (2_400, true)] {
        world.pass(passed).await;
        world.server.stop();
        world.server.restart(kept);
        world.http = client();
        if erased {
            world.until(async || shown(&world, &tim).await["name"].is_null()).await;
        } else {
            world.until_quiet().await;
        }
        assert_eq!(shown(&world, &tim).await["email"].is_null(), erased);
        // Somebody is still to take what she answers for, and is asked about her by name.
        assert_eq!(shown(&world, &ada).await["name"], "Ada Unverkennbar", "{hers}");
    }
    let event = &world.events_of("person.erased", &tim).await[0];
    assert_eq!(
        (&event["actor"]["type"], &event["data"]["because"]),
        (&json!("system"), &json!("erase_departed_after"))
    );
    let export = text(&world, &world.auditor, "/v1/log/export").await;
    assert!(!export.contains("Tim Unverkennbar") && export.contains("Ada Unverkennbar"));
    world.server.stop();
    // What SQLite leaves in unused parts of its pages goes with the next start (docs/operations/retention.md).
    world.server.restart(kept);
    world.http = client();
    world.until_quiet().await;
    world.server.stop();
    for file in std::fs::read_dir(world.server.data()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(16).any(|window| window == b"Tim Unverkennbar"));
    }
}

on_one! {
    // The program of `docs/reference/log-export.md`, which knows nothing of ours but the list of words.
    async fn an_auditors_own_program_verifies_the_whole_export_and_a_segment(world: World) {
        let documentation = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/log-export.md"));
        let documentation = documentation.unwrap();
        let program = documentation.split_once("```python\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("verify.py"), program).unwrap();
        let key = world.text(&world.auditor, "/v1/log/key").await;
        let verdict = |export: &str| {
            std::fs::write(path("copy.ndjson"), export).unwrap();
            let words = concat!(env!("CARGO_MANIFEST_DIR"), "/../log/src/packed/words.txt");
            let mut python = std::process::Command::new(crate::peers::folder().join("venv-tests/bin/python3"));
            python.arg(path("verify.py")).arg(path("copy.ndjson")).arg(key.trim()).arg(words);
            let output = python.output().unwrap();
            let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
            (output.status.success(), said)
        };
        let size = world.text(&world.auditor, "/v1/log/export").await.lines().count() - 1;
        for (range, end) in [
            (String::new(), None),
            ("?from=5".to_owned(), None),
            (format!("?from=7&before={}", size - 3), Some(size - 3)),
            ("?before=8".to_owned(), Some(8)),
            (format!("?from=1&before={}", size - 1), Some(size - 1)),
        ] {
            let export = world.text(&world.auditor, &format!("/v1/log/export{range}")).await;
            let (sound, said) = verdict(&export);
            let ends = end.is_none_or(|end| said.starts_with(&format!("entries up to {end},")));
            assert!(sound && ends, "{range}: {said}");
            // Another edge or proof, and one entry less.
            let lines: Vec<&str> = export.lines().collect();
            let changed = export.replacen("\"before\":\"AAAAAAAAAA", "\"before\":\"AAAAAAAAAB", 1);
            let shortened = lines[..lines.len() - 1].join("\n") + "\n";
            let swapped = [&lines[..1], &lines[2..3], &lines[2..]].concat().join("\n") + "\n";
            for other in [changed, shortened, swapped].iter().filter(|other| **other != export) {
                assert!(!verdict(other).0, "{range}: {other}");
            }
        }
    }
}
