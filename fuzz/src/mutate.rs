//! Changes inputs.

/// Longest input that is made: nesting as deep as anybody might try, and still fast.
const LONGEST: usize = 128 << 10;

/// Random numbers that are the same everywhere for the same seed (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not zero.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    /// A range inside `length`, mostly a short one.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.below(4) == 0 { length } else { 12 };
        let end = start + self.below(most.min(length - start) + 1);
        start..end
    }
}

/// Bytes that often matter to something that reads text.
const ODD: [&[u8]; 16] = [
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\r",
    b"\n",
    b"\t",
    b"\\u0000",
    b"\\ud800",
    b"9999999999999999999999",
    b"1e999999999",
    b"-0",
    "\u{301}".as_bytes(),
    "\u{202e}".as_bytes(),
];

/// An input made of one of the corpus by one to eight changes.
pub(crate) fn changed(corpus: &[Vec<u8>], words: &[&str], random: &mut Random) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len())].clone();
    input.truncate(LONGEST);
    for _ in 0..=random.below(8) {
        change(&mut input, corpus, words, random);
        input.truncate(LONGEST);
    }
    input
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str], random: &mut Random) {
    let at = random.below(input.len() + 1);
    match random.below(9) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            let range = random.range(input.len());
            input.drain(range);
        }
        2 => {
            let range = random.range(input.len());
            let part = input[range].to_vec();
            input.splice(at..at, part);
        }
        3 => {
            let word = random.of(words);
            input.splice(at..at, word.bytes());
        }
        4 => {
            let range = random.range(input.len());
            let word = random.of(words);
            input.splice(range, word.bytes());
        }
        5 => {
            let odd = random.of(&ODD);
            input.splice(at..at, odd.iter().copied());
        }
        6 => {
            let other = &corpus[random.below(corpus.len())];
            let range = random.range(other.len());
            input.splice(at..at, other[range].iter().copied());
        }
        // The same again and again: nesting.
        7 => {
            let part = if random.below(2) == 0 {
                random.of(words).as_bytes().to_vec()
            } else {
                let range = random.range(input.len());
                input[range].to_vec()
            };
            if !part.is_empty() {
                let times = random.below(LONGEST / part.len().max(8)) + 1;
                let times = if random.below(3) == 0 { times } else { times % 200 };
                input.splice(at..at, part.repeat(times));
            }
        }
        _ => input.truncate(at),
    }
}
