//! Reading the files of a root module and of the modules it calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_core::{Diagnostic, Diagnostics, SourceMap, Span};

use crate::configuration::{Configuration, Module};
use crate::parse::{Folder, syntax};
use crate::sources::Sources;

/// How deep modules may call each other; deeper is taken for a module that calls itself.
const MAX_DEPTH: usize = 32;

/// What [`load`] gives: the texts are there in any case, so that diagnostics can be shown with them.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration; `None` when a diagnostic is an error.
    pub configuration: Option<Configuration>,
    /// The texts that spans point into.
    pub sources: SourceMap,
    /// All mistakes of all files.
    pub diagnostics: Diagnostics,
}

/// Reads the root module in a folder and the local modules it calls.
///
/// A module is all files of a folder whose names end in `.hcl`, except those ending in `.vars.hcl`. Mistakes of all
/// files are reported together; behind a syntax error reading goes on with the next block.
pub fn load(sources: &dyn Sources, dir: &str) -> Loaded {
    let mut loader = Loader {
        sources,
        map: SourceMap::default(),
        diagnostics: Diagnostics::new(),
        root: clean(dir),
        folders: BTreeMap::new(),
    };
    let root = loader.module(Vec::new(), String::new(), &mut Vec::new(), None);
    let Loader {
        map, mut diagnostics, ..
    } = loader;
    diagnostics
        .0
        .sort_by_key(|d| d.labels.first().map(|(span, _)| *span));
    let configuration = root
        .filter(|_| !diagnostics.has_errors())
        .map(|root| Configuration {
            root,
            sources: map.clone(),
        });
    Loaded {
        configuration,
        sources: map,
        diagnostics,
    }
}

struct Loader<'s> {
    sources: &'s dyn Sources,
    map: SourceMap,
    diagnostics: Diagnostics,
    /// Folder of the root module.
    root: String,
    /// Folders that were read already; one may be called several times.
    folders: BTreeMap<String, Folder>,
}

impl Loader<'_> {
    /// The module in a folder relative to the root's; `open` are the folders of the modules that lead here.
    fn module(
        &mut self,
        names: Vec<Arc<str>>,
        dir: String,
        open: &mut Vec<String>,
        called: Option<(Span, &str)>,
    ) -> Option<Module> {
        let path = join(&self.root, &dir);
        if open.contains(&path) || open.len() >= MAX_DEPTH {
            let (span, _) = called?;
            self.diagnostics.push(
                Diagnostic::error(
                    "STK0116",
                    "Module calls itself",
                    format!("The folder \"{path}\" holds a module that leads to this call, so modules would nest without end."),
                )
                .at(span),
            );
            return None;
        }
        let folder = match self.folders.get(&path) {
            Some(folder) => folder.clone(),
            None => {
                let folder = self.folder(&path, called)?;
                self.folders.insert(path.clone(), folder.clone());
                folder
            }
        };
        let Folder {
            mut module, calls, ..
        } = folder;
        module.names.clone_from(&names);
        module.dir.clone_from(&dir);
        open.push(path);
        let mut loaded = BTreeMap::new();
        for call in calls {
            let names: Vec<Arc<str>> = names.iter().cloned().chain([call.name.clone()]).collect();
            let dir = join(&dir, &call.source);
            if let Some(child) = self.module(names, dir, open, Some((call.source_span, &call.source))) {
                loaded.insert(call.name.clone(), call.with(child));
            }
        }
        open.pop();
        module.calls = loaded;
        Some(module)
    }

    /// The blocks of a folder's files.
    fn folder(&mut self, path: &str, called: Option<(Span, &str)>) -> Option<Folder> {
        let mut folder = Folder {
            root: called.is_none(),
            ..Folder::default()
        };
        for (name, text) in self.files(path, called)? {
            let id = self.map.add(name, text.clone());
            let tree = syntax::parse(id, &text, &mut self.diagnostics);
            folder.add(&text, &tree, &mut self.diagnostics);
        }
        Some(folder)
    }

    /// Names and texts of the files of a module.
    fn files(&mut self, path: &str, called: Option<(Span, &str)>) -> Option<Vec<(String, Arc<str>)>> {
        let shown = if path.is_empty() { "." } else { path };
        let entries = match self.sources.list(shown) {
            Ok(entries) => entries,
            Err(cause) => {
                let mut error = match called {
                    Some((span, source)) => Diagnostic::error(
                        "STK0116",
                        "Unreadable module directory",
                        format!("The folder \"{shown}\" of the module source \"{source}\" could not be read: {cause}."),
                    )
                    .at(span),
                    None => Diagnostic::error(
                        "STK0100",
                        "Unreadable configuration folder",
                        format!("The folder \"{shown}\" could not be read: {cause}."),
                    ),
                };
                error = error.hint("the path is relative to the folder of the calling module");
                if called.is_none() {
                    error.hints = vec!["name the folder that holds the configuration".to_owned()];
                }
                self.diagnostics.push(error);
                return None;
            }
        };
        let mut files = Vec::new();
        let mut found = false;
        for entry in entries {
            if entry.folder || !is_configuration(&entry.name) {
                continue;
            }
            found = true;
            let name = join(path, &entry.name);
            let problem = match self.sources.read(&name) {
                Ok(bytes) => match String::from_utf8(bytes) {
                    Ok(text) => {
                        files.push((name, Arc::from(text)));
                        continue;
                    }
                    Err(error) => {
                        format!("is not valid UTF-8 at byte {}", error.utf8_error().valid_up_to())
                    }
                },
                Err(cause) => format!("could not be read: {cause}"),
            };
            self.diagnostics.push(Diagnostic::error(
                "STK0100",
                "Unreadable configuration file",
                format!("The file \"{name}\" {problem}."),
            ));
        }
        if !found {
            self.no_files(shown, called);
            return None;
        }
        Some(files)
    }

    fn no_files(&mut self, path: &str, called: Option<(Span, &str)>) {
        let mut error = Diagnostic::error(
            "STK0100",
            "No configuration files",
            format!("The folder \"{path}\" has no configuration files, whose names end in .hcl."),
        )
        .hint("an empty file main.hcl is an empty configuration");
        if let Some((span, _)) = called {
            error = error.at(span);
        }
        self.diagnostics.push(error);
    }
}

/// Whether a file belongs to a module.
fn is_configuration(name: &str) -> bool {
    let stem = name.strip_suffix(".hcl");
    stem.is_some_and(|stem| {
        !stem.is_empty() && !stem.ends_with(".vars") && !name.starts_with('.') && stem != "vars"
    })
}

/// A path below another, without `.` and, as far as possible, `..` steps.
pub(crate) fn join(base: &str, path: &str) -> String {
    let both = if path.starts_with('/') || base.is_empty() {
        path.to_owned()
    } else {
        format!("{base}/{path}")
    };
    clean(&both)
}

fn clean(path: &str) -> String {
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." if steps.last().is_some_and(|s| *s != "..") => {
                steps.pop();
            }
            ".." if path.starts_with('/') && steps.is_empty() => {}
            step => steps.push(step),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", steps.join("/"))
}
