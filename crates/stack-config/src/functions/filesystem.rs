//! Files and paths. Relative paths start in the folder the command runs in; everything passes through `Sources`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stack_core::{Type, Value};

use super::hash::FILE_DIGESTS;
use super::{CallContext, Function, FunctionError, string, text};
use crate::sources::Sources;

/// The functions of this group.
pub(super) fn functions() -> Vec<Function> {
    let mut out = vec![
        Function::new("file", vec![string("path")], Type::String, |cx, args| {
            let path = text(&args[0])?;
            let bytes = read(cx, path)?;
            let content = String::from_utf8(bytes).map_err(|_| {
                FunctionError::argument(
                    0,
                    format!("contents of \"{path}\" are not valid UTF-8; use the filebase64 function to obtain the Base64 encoded contents or the other file functions (e.g. filemd5, filesha256) to obtain file hashing results instead"),
                )
            })?;
            Ok(Value::from(content))
        }),
        Function::new("filebase64", vec![string("path")], Type::String, |cx, args| {
            Ok(Value::from(STANDARD.encode(read(cx, text(&args[0])?)?)))
        }),
        Function::new("fileexists", vec![string("path")], Type::Bool, |cx, args| {
            let path = text(&args[0])?;
            let sources = cx.scope.sources();
            let full = expand(sources, path);
            if sources.list(&full).is_ok() {
                return Err(FunctionError::new(format!(
                    "\"{path}\" is a directory, not a file"
                )));
            }
            Ok(Value::from(exists(sources, &full)))
        }),
        Function::new(
            "fileset",
            vec![string("path"), string("pattern")],
            Type::set(Type::String),
            |cx, args| {
                let found = fileset(cx.scope.sources(), text(&args[0])?, text(&args[1])?)?;
                Ok(Value::set(
                    Type::String,
                    found.into_iter().map(Value::from).collect(),
                ))
            },
        ),
        Function::new("abspath", vec![string("path")], Type::String, |cx, args| {
            Ok(Value::from(absolute(cx.scope.sources(), text(&args[0])?)))
        }),
        Function::new("basename", vec![string("path")], Type::String, |_, args| {
            Ok(Value::from(base(text(&args[0])?)))
        }),
        Function::new("dirname", vec![string("path")], Type::String, |_, args| {
            Ok(Value::from(dir(text(&args[0])?)))
        }),
        Function::new("pathexpand", vec![string("path")], Type::String, |cx, args| {
            let path = text(&args[0])?;
            if path.starts_with('~') && !matches!(path.get(1..2), None | Some("/")) {
                return Err(FunctionError::new("cannot expand user-specific home dir"));
            }
            let expanded = expand(cx.scope.sources(), path);
            Ok(Value::from(if expanded == path {
                expanded
            } else {
                clean(&expanded)
            }))
        }),
    ];
    out.extend(
        FILE_DIGESTS
            .iter()
            .map(|(name, body)| Function::new(name, vec![string("path")], Type::String, *body)),
    );
    out
}

/// The bytes of a file named by an argument.
pub(super) fn read(cx: &CallContext<'_>, path: &str) -> Result<Vec<u8>, FunctionError> {
    let sources = cx.scope.sources();
    let full = expand(sources, path);
    sources.read(&full).map_err(|cause| {
        let message = if sources.list(&full).is_ok() {
            format!("\"{path}\" is a directory, not a file")
        } else if cause == "no such file" {
            format!("no file exists at \"{path}\"; this function works only with files that are there before anything is applied")
        } else {
            format!("failed to read \"{path}\": {cause}")
        };
        FunctionError::argument(0, message)
    })
}

/// Whether a path names a file, found in the list of its folder.
fn exists(sources: &dyn Sources, path: &str) -> bool {
    let name = base(path);
    let entries = sources.list(&dir(path)).unwrap_or_default();
    entries.iter().any(|e| !e.folder && e.name == name)
}

/// `~` at the start stands for the home folder.
fn expand(sources: &dyn Sources, path: &str) -> String {
    match (path.strip_prefix('~'), sources.home_folder()) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
        _ => path.to_owned(),
    }
}

fn absolute(sources: &dyn Sources, path: &str) -> String {
    if path.starts_with('/') {
        return clean(path);
    }
    clean(&format!("{}/{path}", sources.current_folder()))
}

/// The shortest equal path: without `.`, doubled slashes and, as far as possible, `..`.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => match steps.last() {
                Some(&"..") | None if !rooted => steps.push(".."),
                Some(_) => {
                    steps.pop();
                }
                None => {}
            },
            step => steps.push(step),
        }
    }
    match (rooted, steps.is_empty()) {
        (true, _) => format!("/{}", steps.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => steps.join("/"),
    }
}

/// The last part of a path.
fn base(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.rsplit('/').next().unwrap_or(path).to_owned(),
    }
}

/// Everything before the last slash.
fn dir(path: &str) -> String {
    clean(path.rfind('/').map_or("", |i| &path[..=i]))
}

/// The files below a folder whose path from there matches a pattern.
fn fileset(sources: &dyn Sources, folder: &str, pattern: &str) -> Result<Vec<String>, FunctionError> {
    let folder = expand(sources, folder);
    let full = if pattern.starts_with('/') {
        clean(pattern)
    } else {
        clean(&format!("{folder}/{pattern}"))
    };
    // Steps without signs lead to the folder the search starts in.
    let steps: Vec<&str> = full.split('/').collect();
    let fixed = steps
        .iter()
        .take_while(|s| !s.contains(['*', '?', '[', '{', '\\']))
        .count()
        .min(steps.len() - 1);
    let start = match steps[..fixed].join("/") {
        start if start.is_empty() && full.starts_with('/') => "/".to_owned(),
        start if start.is_empty() => ".".to_owned(),
        start => start,
    };
    let glob = globset::GlobBuilder::new(&full)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| FunctionError::new(format!("failed to glob pattern {pattern:?}: {}", error.kind())))?
        .compile_matcher();
    let mut found = Vec::new();
    let mut todo = vec![(start, 0)];
    let root = clean(&folder);
    while let Some((at, depth)) = todo.pop() {
        for entry in sources.list(&at).unwrap_or_default() {
            let path = clean(&format!("{at}/{}", entry.name));
            if entry.folder {
                // A folder that links to itself must not be followed for ever.
                if depth < 64 {
                    todo.push((path, depth + 1));
                }
            } else if glob.is_match(&path) {
                found.push(relative(&root, &path));
            }
        }
    }
    Ok(found)
}

/// A path as seen from a folder.
fn relative(folder: &str, path: &str) -> String {
    if folder == "." {
        return path.to_owned();
    }
    let mut from: Vec<&str> = folder.split('/').filter(|s| !s.is_empty()).collect();
    let mut to: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    from.drain(..common);
    to.drain(..common);
    from.iter().map(|_| "..").chain(to).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::MemorySources;

    #[test]
    fn paths_split_as_on_the_shell() {
        for (path, name, folder) in [
            ("foo/bar/baz.txt", "baz.txt", "foo/bar"),
            ("/", "/", "/"),
            ("a//b//", "b", "a/b"),
            ("/foo", "foo", "/"),
            ("foo/", "foo", "foo"),
            ("foo", "foo", "."),
            ("", ".", "."),
            ("../../x", "x", "../.."),
        ] {
            assert_eq!(
                (base(path).as_str(), dir(path).as_str()),
                (name, folder),
                "{path}"
            );
        }
    }

    #[test]
    fn filesets_match_below_the_folder() {
        let sources = MemorySources::new()
            .with("d/one.txt", "")
            .with("d/two.txt", "")
            .with("d/three.md", "")
            .with("d/e/four.txt", "")
            .with("f.txt", "");
        let find = |folder: &str, pattern: &str| {
            let mut found = fileset(&sources, folder, pattern).unwrap();
            found.sort();
            found
        };
        assert_eq!(find(".", "d/*.txt"), ["d/one.txt", "d/two.txt"]);
        assert_eq!(find("d", "**/*.txt"), ["e/four.txt", "one.txt", "two.txt"]);
        assert_eq!(find("d", "{one,three}.*"), ["one.txt", "three.md"]);
        assert_eq!(find("d", "../f.txt"), ["../f.txt"]);
        assert_eq!(find("nope", "*"), Vec::<String>::new());
    }
}
