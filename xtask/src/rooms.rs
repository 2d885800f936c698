//! The check of rooms: inside a crate, imports run one way between folders, and no circle of files is larger than
//! three.
//!
//! Use cases are functions, so what a file needs stands in its paths: imports, calls by `room::function`, and both
//! inside of macros. Tests may use what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, UseTree};

use crate::workspace::Workspace;

/// Files that may know each other in a circle: more of them can't be understood apart.
const LARGEST_CIRCLE: usize = 3;

/// The rooms of a crate, the lowest first: each may know those before it.
struct Rooms {
    /// Its folder in `crates`.
    package: &'static str,
    order: &'static [&'static str],
    /// Rooms beside that order: whom each may know, and who may know it.
    beside: &'static [(&'static str, &'static [&'static str], &'static [&'static str])],
}

const RULES: &[Rooms] = &[
    Rooms {
        package: "core",
        order: &[
            "base",
            "store",
            "trust",
            "policy",
            "inventory",
            "people",
            "identity",
            "credential",
            "request",
            "signal",
            "finding",
            "target",
        ],
        beside: &[],
    },
    Rooms {
        package: "engine",
        order: &[
            "kernel",
            "trust",
            "people",
            "inventory",
            "credentials",
            "requests",
            "identities",
            "access",
            "matters",
            "reviews",
            "endings",
            "signals",
            "targets",
            "state",
            "run",
        ],
        beside: &[("log", &["kernel", "trust"], &["state", "run"])],
    },
    whole("api"),
    whole("client"),
    whole("console"),
    whole("credentials"),
    whole("log"),
    whole("outbound"),
    whole("policy"),
    Rooms {
        package: "server",
        order: &[
            "serve",
            "contract",
            "limits",
            "timings",
            "app",
            "caller",
            "layers",
            "sign_in",
            "approve",
            "console",
            "protocols",
            "v1",
            "health",
            "openapi",
        ],
        beside: &[("outbound", &[], &[])],
    },
    whole("signals"),
    whole("sim"),
    whole("store"),
    whole("tenure"),
];

/// A crate that is one room.
const fn whole(package: &'static str) -> Rooms {
    Rooms { package, order: &[], beside: &[] }
}

/// A module's path in its crate; the root's is empty.
type Module = Vec<String>;

/// Which file of a crate knows which others, and by which names.
#[derive(Debug, Default)]
struct Graph {
    edges: BTreeMap<Module, BTreeMap<Module, BTreeSet<String>>>,
}

/// What one file says.
#[derive(Default)]
struct Source {
    /// Paths from the crate's root.
    paths: BTreeSet<Module>,
    /// What it hands on: a name, and where that comes from.
    handed_on: BTreeMap<String, Module>,
}

/// Checks the crates that have rooms; each item says what is wrong and what to do.
///
/// # Errors
/// A source can't be read or parsed.
pub fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for rooms in RULES {
        let graph = Graph::read(&workspace.root.join("crates").join(rooms.package).join("src"))?;
        found.extend(rooms.violations(&graph));
        found.extend(graph.circles(rooms.package));
    }
    Ok(found)
}

impl Rooms {
    fn violations(&self, graph: &Graph) -> Vec<String> {
        let mut found = Vec::new();
        for (from, uses) in &graph.edges {
            for (to, names) in uses {
                // The root declares the rooms and hands on what others see.
                let (Some(room), Some(used)) = (from.first(), to.first()) else {
                    continue;
                };
                if !self.may_know(room, used) {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    found.push(format!(
                        "{} uses {} of {}, but the room {room} may not know {used} (the order is {}): move what both need down to a room that both may know, or hand it in from above",
                        self.file(from),
                        names.join(", "),
                        self.file(to),
                        self.order.join(" < "),
                    ));
                }
            }
        }
        found
    }

    fn may_know(&self, room: &str, used: &str) -> bool {
        if room == used {
            return true;
        }
        if let Some((_, knows, _)) = self.beside.iter().find(|(name, ..)| *name == room) {
            return knows.contains(&used);
        }
        if let Some((_, _, known_by)) = self.beside.iter().find(|(name, ..)| *name == used) {
            return known_by.contains(&room);
        }
        let place = |room: &str| self.order.iter().position(|name| *name == room);
        match (place(room), place(used)) {
            (Some(room), Some(used)) => used < room,
            _ if self.order.is_empty() => true,
            // A room without a place knows nobody, and nobody knows it.
            _ => false,
        }
    }

    fn file(&self, module: &Module) -> String {
        format!("{}::{}", self.package, module.join("::"))
    }
}

impl Graph {
    /// Reads the sources of a crate.
    fn read(folder: &Path) -> Result<Self> {
        let mut texts = BTreeMap::new();
        read_folder(folder, &mut Vec::new(), &mut texts)?;
        let modules: BTreeSet<Module> = texts.keys().cloned().collect();
        let mut sources = BTreeMap::new();
        for (module, text) in &texts {
            let file = syn::parse_file(text).with_context(|| format!("{} can't be parsed", module.join("::")))?;
            let mut source = Source::default();
            source.items(&file.items, module, &modules);
            sources.insert(module.clone(), source);
        }
        let mut graph = Self::default();
        for (module, source) in &sources {
            let uses = graph.edges.entry(module.clone()).or_default();
            for path in &source.paths {
                let (used, name) = resolve(path, &sources);
                if used != *module {
                    uses.entry(used).or_default().insert(name);
                }
            }
        }
        Ok(graph)
    }

    /// Circles that are too large.
    fn circles(&self, package: &str) -> Vec<String> {
        let modules: Vec<&Module> = self.edges.keys().collect();
        let reached: BTreeMap<&Module, BTreeSet<&Module>> =
            modules.iter().map(|module| (*module, self.reached_from(module))).collect();
        let mut told = BTreeSet::new();
        let mut found = Vec::new();
        for module in modules {
            let knows = |one: &Module, other: &Module| reached.get(one).is_some_and(|reached| reached.contains(other));
            let circle: BTreeSet<&Module> =
                reached.keys().copied().filter(|other| knows(module, other) && knows(other, module)).collect();
            if circle.len() > LARGEST_CIRCLE && told.is_disjoint(&circle) {
                let files: Vec<String> = circle.iter().map(|module| module.join("::")).collect();
                found.push(format!(
                    "{} files of {package} know each other in a circle: {}. Move what several of them need to a file that knows none of them; at most {LARGEST_CIRCLE} may",
                    circle.len(),
                    files.join(", "),
                ));
                told.extend(circle);
            }
        }
        found
    }

    fn reached_from<'a>(&'a self, module: &'a Module) -> BTreeSet<&'a Module> {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![module];
        while let Some(module) = waiting.pop() {
            for used in self.edges.get(module).into_iter().flat_map(BTreeMap::keys) {
                if reached.insert(used) {
                    waiting.push(used);
                }
            }
        }
        reached
    }
}

impl Source {
    fn items(&mut self, items: &[Item], own: &Module, modules: &BTreeSet<Module>) {
        for item in items {
            if attributes_of(item).iter().any(is_for_tests) {
                continue;
            }
            match item {
                Item::Use(item) => {
                    let mut leaves = Vec::new();
                    flatten(&item.tree, &mut Vec::new(), &mut leaves);
                    for (path, name) in leaves {
                        let Some(path) = absolute(&path, own, modules) else {
                            continue;
                        };
                        if !matches!(item.vis, syn::Visibility::Inherited) {
                            self.handed_on.insert(name, path.clone());
                        }
                        self.paths.insert(path);
                    }
                }
                Item::Mod(item) => {
                    if let Some((_, items)) = &item.content {
                        let inner: Module = own.iter().cloned().chain([item.ident.to_string()]).collect();
                        self.items(items, &inner, modules);
                    }
                }
                other => self.tokens(other.to_token_stream(), own, modules),
            }
        }
    }

    /// Paths in code, be it inside of a macro.
    fn tokens(&mut self, tokens: TokenStream, own: &Module, modules: &BTreeSet<Module>) {
        let mut path: Vec<String> = Vec::new();
        let (mut colons, mut ends) = (0, true);
        let mut paths = Vec::new();
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if ends || colons != 2 {
                        paths.push(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    (colons, ends) = (0, false);
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    ends = true;
                    self.tokens(group.stream(), own, modules);
                }
                _ => ends = true,
            }
        }
        paths.push(path);
        let long = paths.into_iter().filter(|path| path.len() > 1);
        self.paths.extend(long.filter_map(|path| absolute(&path, own, modules)));
    }
}

/// The module that a path leads to, through what modules hand on, and the name there; `self` if it is the module.
fn resolve(path: &Module, sources: &BTreeMap<Module, Source>) -> (Module, String) {
    let mut path = path.clone();
    for _ in 0..8 {
        let mut module = path.clone();
        while !module.is_empty() && !sources.contains_key(&module) {
            module.pop();
        }
        let mut rest = path.iter().skip(module.len());
        let Some(name) = rest.next() else {
            return (module, "self".to_owned());
        };
        let from = sources.get(&module).and_then(|source| source.handed_on.get(name));
        let onward: Option<Module> = from.map(|from| from.iter().chain(rest).cloned().collect());
        match onward.filter(|onward| *onward != path) {
            Some(onward) => path = onward,
            None => return (module, name.clone()),
        }
    }
    (Vec::new(), "self".to_owned())
}

/// A path from the crate's root, if it is one of this crate.
fn absolute(path: &[String], own: &Module, modules: &BTreeSet<Module>) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some(own.iter().chain(rest).cloned().collect()),
        "super" => {
            let ups = path.iter().take_while(|segment| *segment == "super").count();
            let above = own.len().checked_sub(ups)?;
            Some(own.iter().take(above).chain(path.iter().skip(ups)).cloned().collect())
        }
        _ => {
            let child: Module = own.iter().chain([first]).cloned().collect();
            modules.contains(&child).then(|| own.iter().chain(path).cloned().collect())
        }
    }
}

fn flatten(tree: &UseTree, path: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, String)>) {
    match tree {
        UseTree::Path(tree) => {
            path.push(tree.ident.to_string());
            flatten(&tree.tree, path, leaves);
            path.pop();
        }
        UseTree::Name(tree) if tree.ident == "self" => {
            leaves.push((path.clone(), path.last().cloned().unwrap_or_default()))
        }
        UseTree::Name(tree) => leaves.push((with(path, &tree.ident), tree.ident.to_string())),
        UseTree::Rename(tree) => leaves.push((with(path, &tree.ident), tree.rename.to_string())),
        UseTree::Glob(_) => leaves.push((path.iter().cloned().chain(["*".to_owned()]).collect(), "*".to_owned())),
        UseTree::Group(tree) => tree.items.iter().for_each(|tree| flatten(tree, path, leaves)),
    }
}

fn with(path: &[String], name: &syn::Ident) -> Vec<String> {
    path.iter().cloned().chain([name.to_string()]).collect()
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The sources below a folder by their modules, without those that only tests have.
fn read_folder(folder: &Path, module: &mut Module, texts: &mut BTreeMap<Module, String>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            module.push(name);
            read_folder(&path, module, texts)?;
            module.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && name != "tests"
            && !name.ends_with("_tests")
        {
            let text = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
            let mut own = module.clone();
            if !matches!(name.as_str(), "lib" | "main" | "mod") {
                own.push(name);
            }
            texts.insert(own, text);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Rooms =
        Rooms { package: "house", order: &["cellar", "hall", "attic"], beside: &[("garden", &["cellar"], &["attic"])] };

    /// What is wrong with a crate of these files.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let graph = Graph::read(folder.path()).unwrap();
        TWO.violations(&graph).into_iter().chain(graph.circles("house")).collect()
    }

    fn with_cellar(text: &str) -> Vec<String> {
        let mod_of = |name: &str| format!("pub mod {name};");
        found(&[
            ("lib.rs", "pub mod cellar; pub mod hall; pub use hall::door::open as ajar;"),
            ("cellar/mod.rs", &mod_of("wine")),
            ("cellar/wine.rs", text),
            ("hall/mod.rs", &mod_of("door")),
            ("hall/door.rs", "pub fn open() {} pub mod inner { pub const KEY: u8 = 1; }"),
        ])
    }

    #[test]
    fn each_way_up_is_found() {
        let ways = [
            "use crate::hall::door; fn f() { door::open() }",
            "use crate::hall::door::open; fn f() { open() }",
            "use crate::hall::{self}; fn f() { hall::door::open() } use crate::hall::door::open as g;",
            "fn f() { crate::hall::door::open() }",
            "fn f() { super::super::hall::door::open() }",
            "fn f() { assert_eq!(crate::hall::door::open(), ()) }",
            "mod inner { use super::super::super::hall::door::open; }",
            "fn f() -> u8 { crate::hall::door::inner::KEY }",
            "use crate::ajar;",
            "#[cfg(not(test))] use crate::hall::door::open;",
            "#[cfg(any(test, feature = \"latest\"))] fn f() { crate::hall::door::open() }",
        ];
        for way in ways {
            let found = with_cellar(way);
            assert!(!found.is_empty(), "{way}");
            assert!(found.iter().all(|found| found.contains("the room cellar may not know hall")), "{found:?}");
        }
    }

    #[test]
    fn what_runs_down_or_stands_in_tests_passes() {
        for text in [
            "pub fn f() { hall::door::open() } mod hall { pub mod door { pub fn open() {} } }",
            "#[cfg(test)] mod tests { use crate::hall::door::open; }",
            "#[cfg(test)] use crate::hall::door::open;",
            "/// See [`crate::hall::door::open`].\npub fn f() {}",
            "pub fn f() -> &'static str { \"crate::hall::door\" }",
        ] {
            assert_eq!(with_cellar(text), Vec::<String>::new(), "{text}");
        }
        let down = [
            ("lib.rs", "pub mod cellar; pub mod hall;"),
            ("cellar.rs", "pub fn f() {}"),
            ("hall.rs", "use crate::cellar::f;"),
            ("hall/tests.rs", "use crate::attic::g;"),
        ];
        assert_eq!(found(&down), Vec::<String>::new());
    }

    #[test]
    fn a_room_beside_the_order_is_known_to_some() {
        let house = |attic: &str, hall: &str, garden: &str| {
            found(&[
                ("lib.rs", ""),
                ("cellar.rs", "pub fn f() {}"),
                ("hall.rs", hall),
                ("attic.rs", attic),
                ("garden.rs", garden),
                ("shed.rs", "pub fn f() {}"),
            ])
        };
        assert_eq!(house("use crate::garden::g;", "", "use crate::cellar::f; pub fn g() {}"), Vec::<String>::new());
        assert_eq!(house("", "use crate::garden::g;", "").len(), 1);
        assert_eq!(house("", "pub fn h() {}", "use crate::hall::h;").len(), 1);
        assert_eq!(house("use crate::shed::f;", "", "").len(), 1, "a room without a place");
    }

    #[test]
    fn a_circle_of_four_is_found_and_one_of_three_is_not() {
        let ring = |n: usize| {
            let files: Vec<(String, String)> = (0..n)
                .map(|file| {
                    (format!("hall/f{file}.rs"), format!("use crate::hall::f{}::g; pub fn g() {{}}", (file + 1) % n))
                })
                .collect();
            let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            found(&files)
        };
        assert_eq!(ring(3), Vec::<String>::new());
        let four = ring(4);
        assert_eq!(four.len(), 1);
        assert!(four[0].contains("4 files of house"), "{four:?}");
    }
}
