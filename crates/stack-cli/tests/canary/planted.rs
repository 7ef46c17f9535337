//! A finder that finds nothing is worth nothing: a secret planted in each channel is found in it.

use std::io::Write as _;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::place::Place;

const SECRET: &str = "canary: a\"b/c&d<e%f g+h? 7Kq2";

fn place() -> Place {
    let mut place = Place::new();
    place.finder.add("secret", SECRET);
    place
}

/// The secret is found once, in this form and place.
fn found(mut place: Place, form: &str, wanted: &str) {
    let leaks = place.leaks();
    assert!(
        leaks
            .iter()
            .any(|leak| leak.form == form && leak.place.contains(wanted)),
        "{form} in {wanted}: only {leaks:?} was found"
    );
}

#[test]
fn without_a_leak_nothing_is_found() {
    let mut place = place();
    place.give("work/input", SECRET);
    place.write("work/other", "canary: a b c d e f g h");
    place.run(&["version"]);
    place.verify();
}

#[test]
fn leaks_on_both_streams_are_found() {
    for (redirect, stream) in [("", "standard output"), (">&2", "standard error")] {
        let mut place = place();
        // The secret reaches the shell on a file descriptor, so that the stream is the only leak.
        place.give("home/secret", SECRET);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("cat ../home/secret {redirect}")]);
        place.run_other(shell);
        found(place, "in clear", stream);
    }
}

#[test]
fn leaks_in_files_are_found_wherever_they_lie() {
    for name in [
        "work/a/b",
        "work/.stack/default/journal-1.log",
        "home/.cache/x",
        "tmp/x",
    ] {
        let place = place();
        place.write(name, &format!("before {SECRET} behind"));
        found(place, "in clear", name);
    }
    let place = place();
    place.write("work/a 7Kq2", "");
    let mut named = place;
    named.finder.add("name", "/work/a 7Kq2");
    found(named, "in clear", "the name");
}

#[test]
fn leaks_in_other_spellings_are_found() {
    let json = serde_json::to_string(SECRET).unwrap();
    let percent: String = SECRET
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    let hex: String = SECRET.bytes().map(|b| format!("{b:02x}")).collect();
    let texts = [
        ("escaped for JSON", json.clone()),
        (
            "escaped for JSON as in HTML",
            json.replace('<', "\\u003c").replace('&', "\\u0026"),
        ),
        ("encoded for an address", percent),
        ("in hexadecimal", hex),
        ("in base64", BASE64_STANDARD.encode(SECRET)),
        ("in base64", BASE64_STANDARD.encode(format!("user:{SECRET}"))),
        ("in base64", BASE64_STANDARD.encode(format!("a user:{SECRET}!"))),
    ];
    for (form, text) in texts {
        let place = place();
        place.write("work/file", &text);
        found(place, form, "work/file");
    }
}

#[test]
fn leaks_in_compressed_files_are_found() {
    let mut packed = b"something before".to_vec();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(format!("text around {SECRET} it").as_bytes())
        .unwrap();
    packed.extend(gzip.finish().unwrap());
    let place = place();
    std::fs::write(place.path("work/packed"), packed).unwrap();
    found(place, "in clear", "work/packed, unpacked at byte 16");
}

#[test]
fn leaks_in_arguments_and_environment_of_children_are_found() {
    // Grandchildren, as a program that is started would have them.
    for (script, channel) in [
        ("sh -c 'sleep 0.5; :' \"$(cat ../home/secret)\"; :", "arguments"),
        (
            "LEAKED=\"$(cat ../home/secret)\" sh -c 'sleep 0.5; :'; :",
            "environment",
        ),
    ] {
        let mut place = place();
        place.give("home/secret", SECRET);
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        place.run_other(shell);
        found(place, "in clear", channel);
    }
}

#[test]
fn a_leak_in_an_event_or_an_error_of_the_program_is_found() {
    // Not marked as sensitive, so the program shows it, in an error and in an event.
    let mut place = place();
    place.give(
        "work/main.hcl",
        "variable \"s\" {}\nresource \"stack_data\" \"a\" {\n  lifecycle {\n    precondition {\n      condition     = var.s == \"x\"\n      error_message = \"got ${var.s}\"\n    }\n  }\n}\n",
    );
    place.give("work/x.auto.vars.hcl", &format!("s = {}\n", quoted(SECRET)));
    assert_eq!(place.run(&["plan"]).code, 1);
    assert_eq!(place.run(&["plan", "--json"]).code, 1);
    let leaks = place.leaks();
    for (form, wanted) in [
        ("in clear", "standard error of `plan`"),
        ("escaped for JSON", "standard output of `plan --json`"),
    ] {
        let is = |leak: &crate::finder::Leak| leak.form == form && leak.place.contains(wanted);
        assert!(leaks.iter().any(is), "{form} in {wanted}: {leaks:?}");
    }
}

/// A text in quotes, for configuration.
pub(crate) fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace("${", "$${").replace("%{", "%%{"))
}
