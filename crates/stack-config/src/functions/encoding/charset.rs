//! Character sets by their IANA names.

use super::super::FunctionError;

/// How a text becomes bytes.
enum Charset {
    Utf8,
    Utf16 {
        big: bool,
        mark: bool,
    },
    /// The first code points of Unicode, one byte each: ISO-8859-1 and US-ASCII.
    First(u32),
    Table(&'static encoding_rs::Encoding),
}

/// Registered names; browsers know more labels for the same tables.
const TABLES: &[&str] = &[
    "big5",
    "euc-jp",
    "euc-kr",
    "gb18030",
    "gbk",
    "ibm866",
    "iso-2022-jp",
    "koi8-r",
    "koi8-u",
    "macintosh",
    "shift_jis",
    "windows-874",
];

/// The tables for browsers give these control characters to bytes that a Windows character set leaves undefined.
fn undefined(encoding: &'static encoding_rs::Encoding, text: &str) -> bool {
    encoding.name().starts_with("windows-") && text.contains(|c| matches!(c, '\u{80}'..='\u{9f}'))
}

fn find(name: &str) -> Result<Charset, FunctionError> {
    match name.to_ascii_lowercase().as_str() {
        "utf-8" => return Ok(Charset::Utf8),
        "utf-16" => {
            return Ok(Charset::Utf16 {
                big: true,
                mark: true,
            });
        }
        "utf-16be" => {
            return Ok(Charset::Utf16 {
                big: true,
                mark: false,
            });
        }
        "utf-16le" => {
            return Ok(Charset::Utf16 {
                big: false,
                mark: false,
            });
        }
        "us-ascii" => return Ok(Charset::First(0x80)),
        "iso-8859-1" | "iso_8859-1" | "latin1" | "l1" | "cp819" | "ibm819" => {
            return Ok(Charset::First(0x100));
        }
        label => {
            let known =
                TABLES.contains(&label) || label.starts_with("iso-8859-") || label.starts_with("windows-125");
            if let Some(encoding) = encoding_rs::Encoding::for_label(label.as_bytes()).filter(|_| known) {
                return Ok(Charset::Table(encoding));
            }
        }
    }
    Err(FunctionError::argument(
        1,
        format!("{name:?} is not a supported IANA encoding name or alias in this function"),
    ))
}

pub(super) fn encode(text: &str, name: &str) -> Result<Vec<u8>, FunctionError> {
    let unfit = || {
        FunctionError::argument(
            0,
            format!("the given string contains characters that cannot be represented in {name}"),
        )
    };
    match find(name)? {
        Charset::Utf8 => Ok(text.as_bytes().to_vec()),
        Charset::Utf16 { big, mark } => {
            let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
            Ok(units
                .flat_map(|u: u16| if big { u.to_be_bytes() } else { u.to_le_bytes() })
                .collect())
        }
        Charset::First(limit) => {
            let bytes = text
                .chars()
                .map(|c| u8::try_from(u32::from(c)).ok().filter(|b| u32::from(*b) < limit));
            bytes.collect::<Option<Vec<u8>>>().ok_or_else(unfit)
        }
        Charset::Table(encoding) if undefined(encoding, text) => Err(unfit()),
        Charset::Table(encoding) => match encoding.encode(text) {
            (bytes, _, false) => Ok(bytes.into_owned()),
            (_, _, true) => Err(unfit()),
        },
    }
}

pub(super) fn decode(bytes: &[u8], name: &str) -> Result<String, FunctionError> {
    let unfit = || {
        FunctionError::argument(
            0,
            format!("the given string contains symbols that are not defined for {name}"),
        )
    };
    match find(name)? {
        Charset::Utf8 => String::from_utf8(bytes.to_vec()).map_err(|_| unfit()),
        Charset::Utf16 { big, mark } => {
            let (big, bytes) = match bytes {
                [0xff, 0xfe, rest @ ..] if mark => (false, rest),
                [0xfe, 0xff, rest @ ..] if mark => (true, rest),
                bytes => (big, bytes),
            };
            let (pairs, rest) = bytes.as_chunks::<2>();
            if !rest.is_empty() {
                return Err(unfit());
            }
            let units: Vec<u16> = pairs
                .iter()
                .map(|p| {
                    if big {
                        u16::from_be_bytes(*p)
                    } else {
                        u16::from_le_bytes(*p)
                    }
                })
                .collect();
            String::from_utf16(&units).map_err(|_| unfit())
        }
        Charset::First(limit) => {
            let chars = bytes
                .iter()
                .map(|b| (u32::from(*b) < limit).then_some(char::from(*b)));
            chars.collect::<Option<String>>().ok_or_else(unfit)
        }
        Charset::Table(encoding) => {
            let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
            text.map(String::from)
                .filter(|text| !undefined(encoding, text))
                .ok_or_else(unfit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_go_through_character_sets() {
        assert_eq!(encode("日本", "Shift_JIS").unwrap(), [0x93, 0xfa, 0x96, 0x7b]);
        assert_eq!(encode("hi", "UTF-16LE").unwrap(), [0x68, 0, 0x69, 0]);
        assert_eq!(encode("hi", "UTF-16").unwrap(), [0xfe, 0xff, 0, 0x68, 0, 0x69]);
        assert_eq!(decode(&[0xe9], "ISO-8859-1").unwrap(), "é");
        assert_eq!(decode(&[0x80], "windows-1252").unwrap(), "€");
        assert_eq!(decode(&[0xff, 0xfe, 0x68, 0], "utf-16").unwrap(), "h");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(encode("日", "ISO-8859-1").is_err());
        assert!(encode("é", "US-ASCII").is_err());
        assert!(encode("x", "nope").is_err());
        assert!(encode("x", "utf8").is_err());
        assert!(decode(&[0x80], "UTF-8").is_err());
        assert!(decode(&[0], "UTF-16BE").is_err());
    }
}
