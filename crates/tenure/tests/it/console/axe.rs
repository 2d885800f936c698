//! Every page in a real browser, looked through by axe: light and dark, narrow and wide. `cargo xtask pages` does that
//! for every role and leaves pictures.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::hostile::{everything, pages};
use crate::matrix::ROLES;
use crate::matrix::stage::{Cell, Stage};
use crate::passkeys::devtools::Chromium;
use crate::peers;
use crate::world::Store;

/// Everything that axe knows of WCAG 2.2 up to AA and of good practice, and the size of targets, which it leaves out unless
/// it is told.
const ALL: &str = "{type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}";
/// What another theme can change of that.
const OF_COLOURS: &str = "{type: 'rule', values: ['color-contrast', 'link-in-text-block']}";
/// What axe is asked, of the rules that stand before it. Where each node is found is said by its markup.
const ASKED: &str = "axe.run(document, {runOnly, rules: {'target-size': {enabled: runOnly.type === 'tag'}}, \
    resultTypes: ['violations'], preload: false, selectors: false}).then((found) => found.violations.flatMap((rule) => \
    rule.nodes.slice(0, 3).map((node) => `${rule.id}: ${node.html.slice(0, 160)}: ${node.failureSummary.slice(0, 240)}`)))";
/// That a page is as wide as its window and no wider: nobody reads it by pushing it to and fro.
const FITS: &str = "document.documentElement.scrollWidth <= innerWidth";

/// How a page is looked at.
#[derive(Clone, Copy)]
struct Look {
    width: u32,
    is_dark: bool,
}

impl Look {
    fn every(widths: &'static [u32]) -> impl Iterator<Item = Self> {
        widths.iter().flat_map(|width| [false, true].map(|is_dark| Self { width: *width, is_dark }))
    }

    fn name(self) -> String {
        format!("{}-{}", self.width, if self.is_dark { "dark" } else { "light" })
    }

    async fn put_on(self, browser: &mut Chromium) {
        let size = json!({"width": self.width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        browser.call("Emulation.setDeviceMetricsOverride", size).await;
        let theme = if self.is_dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": theme}, {"name": "prefers-reduced-motion", "value": "reduce"}]});
        browser.call("Emulation.setEmulatedMedia", features).await;
    }
}

/// A browser that calls as whoever holds a token, with axe in every page.
async fn browser() -> Chromium {
    let axe = std::fs::read_to_string(peers::folder().join("node_modules/axe-core/axe.min.js")).unwrap();
    let mut browser = Chromium::start().await;
    browser.call("Page.enable", json!({})).await;
    browser.call("Network.enable", json!({})).await;
    browser.call("Page.addScriptToEvaluateOnNewDocument", json!({"source": axe})).await;
    browser
}

async fn become_of(browser: &mut Chromium, token: &str) {
    let headers = if token.is_empty() { json!({}) } else { json!({"Authorization": format!("Bearer {token}")}) };
    browser.call("Network.setExtraHTTPHeaders", json!({"headers": headers})).await;
}

/// Opens a page, and not what stands in its place. It follows the page before it directly: over an empty one, each page
/// would be a process of its own, with axe read and compiled anew.
async fn open(browser: &mut Chromium, stage: &Stage, path: &str) {
    let url = format!("{}{path}", stage.world.server.url);
    let went = browser.call("Page.navigate", json!({"url": url})).await;
    assert!(went["errorText"].is_null(), "{url}: {went}");
    browser.until(&format!("document.readyState === 'complete' && location.href === {url:?}")).await;
}

/// What axe has against the page that stands, and whether it fits.
async fn complaints(browser: &mut Chromium, name: &str, rules: &str) -> Vec<String> {
    let said: Value = browser.run(&format!("((runOnly) => {ASKED})({rules})")).await;
    let mut all: Vec<String> =
        said.as_array().unwrap().iter().map(|what| format!("{name}: {}", what.as_str().unwrap())).collect();
    if browser.run(FITS).await != json!(true) {
        let widest = "[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll')).map((e) => e.outerHTML.slice(0, 120)).slice(0, 3).join(' | ')";
        all.push(format!("{name}: wider than its window: {}", browser.run(widest).await));
    }
    all
}

/// The whole page as a picture.
async fn picture(browser: &mut Chromium, file: &Path) {
    let shot = browser.call("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": true})).await;
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()).unwrap();
}

/// The pages before the console, which anybody gets.
const DOORS: [&str; 2] = ["/sign-in", "/nowhere"];

/// A page to look at: its address in the table, who looks, and where.
struct ToLookAt {
    address: String,
    role: usize,
    path: String,
}

/// Every page, as the role that sees most of it.
async fn to_look_at(stage: &Stage) -> Vec<ToLookAt> {
    let (mut made, mut all) = (everything(stage).await, Vec::new());
    let doors = DOORS.map(|door| (door.to_owned(), vec!['+'; ROLES.len()]));
    for (address, verdicts) in doors.into_iter().chain(pages()) {
        // What is one's own alone, none of the callers sees of another.
        let Some(any) = verdicts.iter().position(|verdict| *verdict == '+') else { continue };
        // An administrator, who does most; else whoever may.
        let role = if verdicts[7] == '+' { 7 } else { any };
        let mut cell = Cell::new(stage, role, std::mem::take(&mut made));
        let path = cell.fill(&address).await;
        made = cell.made;
        all.push(ToLookAt { address, role, path });
    }
    all
}

/// What axe has against some of the pages, in a browser of their own, which stays at the last of them.
async fn looked_through(stage: &Stage, some: Vec<ToLookAt>) -> (Chromium, Vec<String>) {
    let (mut browser, mut found) = (browser().await, Vec::new());
    for ToLookAt { address, role, path } in some {
        become_of(&mut browser, stage.token(role)).await;
        open(&mut browser, stage, &path).await;
        for look in Look::every(&[1280, 360]) {
            look.put_on(&mut browser).await;
            // What is dark has been looked at in light, but for its colours.
            let rules = if look.is_dark { OF_COLOURS } else { ALL };
            found.extend(complaints(&mut browser, &format!("{address} {}", look.name()), rules).await);
        }
    }
    (browser, found)
}

#[tokio::test]
async fn axe_has_nothing_against_any_page() {
    let stage = Stage::new(Store::Sqlite).await;
    let mut all = to_look_at(&stage).await;
    assert!(all.len() > 90, "{}", all.len());
    // Two browsers at once, over what was made once.
    let half = all.split_off(all.len() / 2);
    let ((mut browser, mut found), (_, others)) =
        tokio::join!(looked_through(&stage, all), looked_through(&stage, half));
    found.extend(others);
    assert!(found.is_empty(), "{}", found.join("\n"));
    // It does find what is there to be found.
    let spoil = "document.querySelector('main').insertAdjacentHTML('beforeend', '<button></button><button>b</button><input>'); for (const one of document.querySelectorAll('main > button')) Object.assign(one.style, {width: '9px', height: '9px', minHeight: 0, padding: 0})";
    browser.run(spoil).await;
    let found = complaints(&mut browser, "spoilt", ALL).await.join(" ");
    assert!(found.contains("button-name") && found.contains("label") && found.contains("target-size"), "{found}");
}

/// Every page as every role, in every width and theme, with a picture of each in the folder that `TENURE_PAGES` names.
#[tokio::test]
#[ignore = "long: pages"]
async fn every_page_as_everybody_with_pictures() {
    let folder = std::env::var_os("TENURE_PAGES").map(PathBuf::from);
    let stage = Stage::new(Store::Sqlite).await;
    let mut browser = browser().await;
    let (mut made, mut found) = (everything(&stage).await, Vec::new());
    for (address, verdicts) in pages() {
        for role in (1..ROLES.len()).filter(|role| verdicts[*role] == '+') {
            let mut cell = Cell::new(&stage, role, std::mem::take(&mut made));
            let path = cell.fill(&address).await;
            made = cell.made;
            become_of(&mut browser, stage.token(role)).await;
            open(&mut browser, &stage, &path).await;
            for look in Look::every(&[360, 768, 1280, 2560]) {
                look.put_on(&mut browser).await;
                let name = format!("{address} as {} {}", ROLES[role], look.name());
                found.extend(complaints(&mut browser, &name, ALL).await);
                if let Some(folder) = &folder {
                    let file = address.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
                    let role = ROLES[role].replace(' ', "-");
                    picture(&mut browser, &folder.join(role).join(format!("{file}-{}.png", look.name()))).await;
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
