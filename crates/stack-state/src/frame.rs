//! The journal's bytes: one frame for each sync, each frame a batch of records.
//!
//! A frame is a header of [`HEADER_LENGTH`] bytes and a payload of JSON lines, one record each. All numbers are little
//! endian.
//!
//! | bytes | |
//! |---|---|
//! | 0..8 | `STKFRAME` |
//! | 8..10 | format version, now 1 |
//! | 10..12 | zero |
//! | 12..16 | number of records |
//! | 16..24 | epoch of the lock it was written under |
//! | 24..32 | sequence number; goes on across journal files |
//! | 32..40 | length of the payload |
//! | 40..72 | digest of the previous frame (zeros for the first of a lineage) |
//! | 72..104 | SHA-256 of the payload |
//! | 104..108 | CRC-32C of bytes 0..104 |
//!
//! Later versions keep this header. The digest of a frame is the SHA-256 of its header, which covers the payload by its digest. A process that dies, or
//! a machine that loses power, while a frame is being written leaves an incomplete frame at the end, or one whose end
//! was never written and reads as zeros: it is *torn*, and nothing in it was acknowledged to anyone. Everything else
//! that does not check is damage.

use aws_lc_rs::digest::{SHA256, digest};

use crate::state::Position;

/// Version of the frame format that this version writes, the newest it reads.
pub const VERSION: u16 = 1;

/// Length of a frame's header in bytes.
pub const HEADER_LENGTH: usize = 108;

const MAGIC: &[u8; 8] = b"STKFRAME";
const CHECKED: usize = 104;

/// One frame of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'b> {
    /// Where it starts in the file.
    pub offset: usize,
    /// Epoch of the lock it was written under.
    pub epoch: u64,
    /// Digest of the frame before it.
    pub previous: [u8; 32],
    /// Its sequence number and digest.
    pub position: Position,
    /// Number of records.
    pub records: u32,
    /// Its records, one line each.
    pub payload: &'b [u8],
}

/// What a journal file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frames<'b> {
    /// Its complete frames, in order.
    pub frames: Vec<Frame<'b>>,
    /// Bytes of an incomplete last frame.
    pub torn: Option<Torn<'b>>,
}

/// An incomplete last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn<'b> {
    /// Where it starts in the file.
    pub offset: usize,
    /// What there is of it.
    pub bytes: &'b [u8],
}

/// A journal file that cannot be relied on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The bytes are not what was written.
    #[error("damaged at byte {offset}: {what}")]
    Damaged {
        /// Where the damaged frame starts.
        offset: usize,
        /// What does not check.
        what: &'static str,
    },
    /// A newer version of `stack` wrote it.
    #[error(
        "written in journal format {version}, and this version of stack reads up to {VERSION}; use a newer one"
    )]
    Newer {
        /// The format version.
        version: u16,
    },
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// Makes the frame that follows `after`, and says the position it stands at. The payload is whole lines, one for each
/// of the `records`.
pub fn encode(after: Position, epoch: u64, records: u32, payload: &[u8]) -> (Vec<u8>, Position) {
    let sequence = after.sequence + 1;
    let mut bytes = Vec::with_capacity(HEADER_LENGTH + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(&records.to_le_bytes());
    bytes.extend_from_slice(&epoch.to_le_bytes());
    bytes.extend_from_slice(&sequence.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&after.digest);
    bytes.extend_from_slice(&sha256(payload));
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    let digest = sha256(&bytes);
    bytes.extend_from_slice(payload);
    (bytes, Position { sequence, digest })
}

/// Splits a journal file into its frames and checks each of them and their order.
///
/// # Errors
/// Something other than the end of the last frame is missing or changed, or the format is newer.
pub fn decode(bytes: &[u8]) -> Result<Frames<'_>, FrameError> {
    match decode_prefix(bytes) {
        (frames, None) => Ok(frames),
        (_, Some(error)) => Err(error),
    }
}

/// Splits a journal file into its frames up to the first that does not check, and says what is wrong with that one.
pub fn decode_prefix(bytes: &[u8]) -> (Frames<'_>, Option<FrameError>) {
    let mut frames = Vec::new();
    let (torn, error) = match decode_into(&mut frames, bytes) {
        Ok(torn) => (torn, None),
        Err(error) => (None, Some(error)),
    };
    (Frames { frames, torn }, error)
}

/// Every frame that checks by itself, wherever it stands, with its offset: what can be told of a damaged file.
pub fn salvage(bytes: &[u8]) -> Vec<Frame<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = bytes[at..]
        .windows(MAGIC.len())
        .position(|window| window == MAGIC)
    {
        let offset = at + next;
        let rest = &bytes[offset..];
        match decode_first(rest, rest.len(), offset) {
            Ok(Some(frame)) => {
                at = offset + HEADER_LENGTH + frame.payload.len();
                found.push(frame);
            }
            Ok(None) | Err(_) => at = offset + MAGIC.len(),
        }
    }
    found
}

fn decode_into<'b>(frames: &mut Vec<Frame<'b>>, bytes: &'b [u8]) -> Result<Option<Torn<'b>>, FrameError> {
    // A payload ends with a line feed, so zeros at the end of the file were never written.
    let written = bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    let mut offset = 0;
    while offset < bytes.len() {
        let rest = &bytes[offset..];
        let Some(frame) = decode_first(rest, written.saturating_sub(offset), offset)? else {
            return Ok(Some(Torn { offset, bytes: rest }));
        };
        if let Some(before) = frames.last() {
            if frame.position.sequence != before.position.sequence + 1 {
                return Err(FrameError::Damaged {
                    offset,
                    what: "a frame before it is missing or stands twice",
                });
            }
            if frame.previous != before.position.digest {
                return Err(FrameError::Damaged {
                    offset,
                    what: "it does not follow the frame before it",
                });
            }
        }
        offset += HEADER_LENGTH + frame.payload.len();
        frames.push(frame);
    }
    Ok(None)
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// The frame at the start of `bytes`, of which `written` bytes count; `None` if it is incomplete.
fn decode_first(bytes: &[u8], written: usize, offset: usize) -> Result<Option<Frame<'_>>, FrameError> {
    let damaged = |what| FrameError::Damaged { offset, what };
    let magic = written.min(MAGIC.len());
    if bytes[..magic] != MAGIC[..magic] {
        return Err(damaged("no frame starts here"));
    }
    if written < HEADER_LENGTH {
        return Ok(None);
    }
    let header = &bytes[..HEADER_LENGTH];
    if crc32c::crc32c(&header[..CHECKED]).to_le_bytes() != header[CHECKED..] {
        return Err(damaged("the checksum of the frame's head does not match"));
    }
    let version = u16::from_le_bytes(field(header, 8));
    if version > VERSION {
        return Err(FrameError::Newer { version });
    }
    let length = usize::try_from(u64::from_le_bytes(field(header, 32))).unwrap_or(usize::MAX);
    let Some(end) = HEADER_LENGTH.checked_add(length).filter(|end| written >= *end) else {
        return Ok(None);
    };
    let payload = &bytes[HEADER_LENGTH..end];
    if sha256(payload) != header[72..CHECKED] {
        return Err(damaged("its records are not what was written"));
    }
    Ok(Some(Frame {
        offset,
        epoch: u64::from_le_bytes(field(header, 16)),
        previous: field(header, 40),
        position: Position {
            sequence: u64::from_le_bytes(field(header, 24)),
            digest: sha256(header),
        },
        records: u32::from_le_bytes(field(header, 12)),
        payload,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends, mut at) = (Vec::new(), vec![0], Position::default());
        for payload in ["{\"a\":1}\n", "{\"b\":2}\n{\"c\":3}\n", "{\"d\":4}\n"] {
            let (frame, next) = encode(at, 7, payload.lines().count() as u32, payload.as_bytes());
            bytes.extend(frame);
            ends.push(bytes.len());
            at = next;
        }
        (bytes, ends)
    }

    #[test]
    fn frames_read_back() {
        let (bytes, ends) = journal();
        let read = decode(&bytes).unwrap();
        assert_eq!(read.torn, None);
        let seen: Vec<_> = read
            .frames
            .iter()
            .map(|f| (f.position.sequence, f.epoch, f.records, f.offset))
            .collect();
        assert_eq!(seen, [(1, 7, 1, 0), (2, 7, 2, ends[1]), (3, 7, 1, ends[2])]);
        assert_eq!(read.frames[1].payload, b"{\"b\":2}\n{\"c\":3}\n");
        assert_eq!(read.frames[1].previous, read.frames[0].position.digest);
    }

    #[test]
    fn cut_at_any_byte_the_last_frame_is_torn_and_the_others_hold() {
        let (bytes, ends) = journal();
        for cut in 0..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            let read = decode(&bytes[..cut]).unwrap();
            assert_eq!(read.frames.len(), whole, "cut at {cut}");
            let torn = (cut > ends[whole]).then(|| Torn {
                offset: ends[whole],
                bytes: &bytes[ends[whole]..cut],
            });
            assert_eq!(read.torn, torn, "cut at {cut}");
        }
    }

    #[test]
    fn an_end_that_was_never_written_and_reads_as_zeros_is_torn() {
        let (bytes, ends) = journal();
        for cut in ends[2]..bytes.len() {
            let mut zeroed = bytes.clone();
            zeroed[cut..].fill(0);
            zeroed.extend([0; 40]);
            let read = decode(&zeroed).unwrap_or_else(|e| panic!("zeros from {cut}: {e}"));
            assert_eq!(
                (read.frames.len(), read.torn.unwrap().offset),
                (2, ends[2]),
                "zeros from {cut}"
            );
        }
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let (bytes, ends) = journal();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let offset = *ends.iter().rev().find(|end| **end <= at).unwrap();
                match decode(&flipped) {
                    Err(FrameError::Damaged { offset: found, .. }) => {
                        assert_eq!(found, offset, "byte {at} bit {bit}")
                    }
                    other => panic!("byte {at} bit {bit}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_missing_repeated_or_foreign_frame_is_damage() {
        let (bytes, ends) = journal();
        let part = |i: usize| &bytes[ends[i]..ends[i + 1]];
        for order in [vec![0, 2], vec![0, 0], vec![1, 0]] {
            let joined: Vec<u8> = order.iter().flat_map(|i| part(*i).to_vec()).collect();
            assert!(
                matches!(decode(&joined), Err(FrameError::Damaged { .. })),
                "{order:?}"
            );
        }
        let foreign = encode(
            Position {
                sequence: 1,
                digest: [9; 32],
            },
            7,
            1,
            b"{}\n",
        )
        .0;
        let joined = [part(0), &foreign].concat();
        assert!(
            matches!(decode(&joined), Err(FrameError::Damaged { what, .. }) if what.contains("does not follow"))
        );
    }

    #[test]
    fn what_checks_by_itself_is_found_behind_damage() {
        let (mut bytes, ends) = journal();
        bytes[ends[1] + HEADER_LENGTH] ^= 1;
        let (prefix, error) = decode_prefix(&bytes);
        assert_eq!(prefix.frames.len(), 1);
        assert!(matches!(error, Some(FrameError::Damaged { offset, .. }) if offset == ends[1]));
        let found: Vec<_> = salvage(&bytes[ends[1]..])
            .iter()
            .map(|f| f.position.sequence)
            .collect();
        assert_eq!(found, [3]);
        assert_eq!(salvage(b"STKFRAMESTKFRAME"), []);
    }

    #[test]
    fn a_newer_format_is_named() {
        let (mut bytes, _) = journal();
        bytes[8] = 2;
        let checksum = crc32c::crc32c(&bytes[..CHECKED]).to_le_bytes();
        bytes[CHECKED..HEADER_LENGTH].copy_from_slice(&checksum);
        assert_eq!(decode(&bytes), Err(FrameError::Newer { version: 2 }));
    }
}
