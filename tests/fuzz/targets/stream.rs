//! A vendor's stream, in two cuts: the same bytes come out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::provider::Pass;

fuzz_target!(|input: &[u8]| {
    tollgate_fuzz::with_target(input, |target, endpoint, bytes| {
        let Some((asked, ask)) = tollgate_fuzz::asked(target, endpoint) else { return };
        let [size, bytes @ ..] = bytes else { return };
        let feed = |size: usize| {
            let (mut stream, mut out) = (ask.stream(&asked, target, 1), Vec::new());
            for chunk in bytes.chunks(size) {
                if stream.push(chunk, &mut out) == Pass::Unchanged {
                    out.extend_from_slice(chunk);
                }
            }
            stream.finish(tollgate::provider::ended_early(), &mut out);
            out
        };
        assert_eq!(feed(usize::from(*size).max(1)), feed(bytes.len().max(1)));
    });
});
