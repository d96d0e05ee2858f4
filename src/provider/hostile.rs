//! Bytes that a careless or wicked peer might send, the same ones in every run: for the tests of the parsers.

/// xorshift64: the same hostile bytes on every run.
pub(crate) struct Hostile(pub(crate) u64);

impl Hostile {
    pub(crate) fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 as usize
    }

    pub(crate) fn mutate(&mut self, input: &[u8]) -> Vec<u8> {
        const TOKENS: [&[u8]; 12] =
            [b"null", b"[]", b"{}", b"\"\"", b"-1e999", b"\"\\ud800\"", b"\n\n", b"\xff", b"true", b"\\", b"\"", b":"];
        let mut out = input.to_vec();
        for _ in 0..=self.next() % 3 {
            let (at, len) = (self.next() % out.len().max(1), self.next() % 12);
            let end = out.len().min(at + len);
            let token = TOKENS[self.next() % TOKENS.len()];
            out.splice(at.min(end)..end, token.iter().copied());
        }
        out
    }

    /// Changed both ways.
    pub(crate) fn both(&mut self, input: &[u8]) -> [Vec<u8>; 2] {
        [self.mutate(input), self.replace_value(input)]
    }

    /// Puts another value in place of one of the values of a JSON text.
    pub(crate) fn replace_value(&mut self, input: &[u8]) -> Vec<u8> {
        const VALUES: [&[u8]; 8] =
            [b"null", b"[1]", b"{\"type\":1}", b"\"\"", b"0", b"[{}]", b"\"x\\ny\"", b"\"data:;base64,\""];
        let starts: Vec<usize> = (1..input.len()).filter(|i| input[..*i].ends_with(b"\": ")).collect();
        let start = starts[self.next() % starts.len()];
        let mut values = serde_json::Deserializer::from_slice(&input[start..]).into_iter::<serde::de::IgnoredAny>();
        let _first = values.next();
        let end = start + values.byte_offset();
        [&input[..start], VALUES[self.next() % VALUES.len()], &input[end..]].concat()
    }
}
