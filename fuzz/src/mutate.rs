//! Changes inputs a little.

/// Inputs longer than this are cut.
const MOST: usize = 2048;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// A part of `0..len`, more often a short one.
    fn part(&mut self, len: usize) -> std::ops::Range<usize> {
        let most = if self.below(4) == 0 { len } else { len.min(8) };
        let len_of_part = 1 + self.below(most);
        let start = self.below(len - len_of_part + 1);
        start..start + len_of_part
    }
}

/// One of `corpus`, changed in a few ways.
pub fn changed(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    if corpus.is_empty() || random.below(50) == 0 {
        let len = 1 + random.below(400);
        return random.bytes(len);
    }
    let one = |random: &mut Random| {
        // The newest are less explored.
        let (a, b) = (random.below(corpus.len()), random.below(corpus.len()));
        &corpus[if random.below(2) == 0 { a } else { a.max(b) }]
    };
    let mut input = one(random).clone();
    for _ in 0..1 << random.below(5) {
        if input.is_empty() {
            input = random.bytes(8);
        }
        let len = input.len();
        match random.below(9) {
            0 => input[random.below(len)] ^= 1 << random.below(8),
            1 => input[random.below(len)] = random.next() as u8,
            2 => {
                let (at, step) = (random.below(len), 1 + random.below(4) as u8);
                input[at] =
                    if random.below(2) == 0 { input[at].wrapping_add(step) } else { input[at].wrapping_sub(step) };
            }
            3 => {
                input.drain(random.part(len));
            }
            4 => {
                let at = random.below(len + 1);
                let count = 1 + random.below(16);
                let new = random.bytes(count);
                input.splice(at..at, new);
            }
            5 => {
                let (part, at) = (random.part(len), random.below(len + 1));
                let copy = input[part].to_vec();
                input.splice(at..at, copy);
            }
            6 => {
                let count = 1 + random.below(64);
                let tail = random.bytes(count);
                input.extend(tail);
            }
            7 => {
                let other = one(random);
                if !other.is_empty() {
                    let (part, at) = (random.part(other.len()), random.below(len));
                    input.splice(at..at, other[part].iter().copied());
                }
            }
            _ => {
                let other = one(random);
                let (cut, from) = (random.below(len), random.below(other.len() + 1));
                input.truncate(cut);
                input.extend(&other[from..]);
            }
        }
        input.truncate(MOST);
    }
    input
}
