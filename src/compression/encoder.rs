//! The encoders of the codings, at high levels and with bounded memory.
//!
//! The same bytes, coding and effort give the same result on every machine: no times, no names, no threads.

use std::io::{self, Read, Write};

use brotli::enc::BrotliEncoderParams;

use crate::http::content_coding::ContentCoding;

/// Bytes that are read from the source at once.
const PIECE: usize = 64 << 10;

/// The longest source whose compression while serving is worth the highest levels: it takes a second or two.
const DEAR: u64 = 512 << 10;

/// The longest source that gets the highest levels offline: Brotli takes two minutes or so for it, and hours
/// for a few GiB.
const LONG: u64 = 64 << 20;

/// The windows of Brotli, as powers of two: from 64 KiB, as there is no gain in less, to 4 MiB, which bounds
/// an encoder to some 100 MiB.
const BROTLI_WINDOW: std::ops::RangeInclusive<u32> = 16..=22;

/// How much time a compression may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// The highest levels up to 64 MiB: 0.2 to 1 MB a second, and up to 128 MiB of memory. Above, those of
    /// some 10 MB a second.
    Offline,
    /// Other jobs wait for the thread meanwhile: for 8 MiB one second, or several where little repeats, and
    /// up to 100 MiB of memory.
    Serving,
    /// A client waits for the result: some 50 MB a second.
    Awaited,
}

/// Compresses `source`, which has `size` bytes, in `coding` into `sink`. Returns the number of bytes written;
/// `None` as soon as these are more than `most`, when `sink` has a beginning of no use.
///
/// # Errors
/// Those of source and sink, and another one if the source has not `size` bytes and the coding needs to know
/// that.
pub fn compress(
    source: &mut impl Read,
    (size, most): (u64, u64),
    (coding, effort): (ContentCoding, Effort),
    sink: impl Write,
) -> io::Result<Option<u64>> {
    let mut sink = Bounded { sink, written: 0, most };
    let level = level(coding, effort, size);
    let result = match coding {
        ContentCoding::Brotli => brotli(source, size, level, &mut sink),
        ContentCoding::Zstd => zstd(source, size, level, &mut sink),
        ContentCoding::Gzip => gzip(source, level, &mut sink),
    };
    match result {
        Err(_) if sink.written > most => Ok(None),
        Ok(()) => Ok(Some(sink.written)),
        Err(error) => Err(error),
    }
}

/// The level of an encoder.
fn level(coding: ContentCoding, effort: Effort, size: u64) -> u8 {
    let is_best = size <= if effort == Effort::Offline { LONG } else { DEAR };
    match (coding, effort) {
        (ContentCoding::Brotli, Effort::Awaited) => 5,
        (ContentCoding::Zstd | ContentCoding::Gzip, Effort::Awaited) => 6,
        (ContentCoding::Brotli, _) => {
            if is_best {
                11
            } else {
                9
            }
        }
        // At 19 the window has at most 8 MiB, which is as much as a client must accept (RFC 9659 §3).
        (ContentCoding::Zstd, _) => {
            if is_best {
                19
            } else {
                12
            }
        }
        (ContentCoding::Gzip, _) => 9,
    }
}

fn brotli(source: &mut impl Read, size: u64, quality: u8, sink: &mut impl Write) -> io::Result<()> {
    // The window keeps 16 bytes for itself (RFC 7932 §9.1).
    let needed = u64::BITS - (size + 16).leading_zeros();
    let window = needed.clamp(*BROTLI_WINDOW.start(), *BROTLI_WINDOW.end());
    let parameters = BrotliEncoderParams {
        quality: i32::from(quality),
        lgwin: window.cast_signed(),
        size_hint: usize::try_from(size).unwrap_or(usize::MAX),
        ..BrotliEncoderParams::default()
    };
    brotli::BrotliCompress(source, sink, &parameters).map(drop)
}

fn zstd(source: &mut impl Read, size: u64, level: u8, sink: &mut impl Write) -> io::Result<()> {
    let mut encoder = zstd::Encoder::new(sink, i32::from(level))?;
    encoder.set_pledged_src_size(Some(size))?;
    encoder.include_contentsize(true)?;
    pump(source, &mut encoder)?;
    encoder.finish().map(drop)
}

fn gzip(source: &mut impl Read, level: u8, sink: &mut impl Write) -> io::Result<()> {
    // Without a name and a time in its head.
    let mut encoder = flate2::write::GzEncoder::new(sink, flate2::Compression::new(u32::from(level)));
    pump(source, &mut encoder)?;
    encoder.finish().map(drop)
}

fn pump(source: &mut impl Read, encoder: &mut impl Write) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => encoder.write_all(&piece[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A sink that fails when it gets more than `most` bytes.
struct Bounded<W> {
    sink: W,
    /// Bytes that it was given.
    written: u64,
    most: u64,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let after = self.written + bytes.len() as u64;
        if after > self.most {
            self.written = after;
            return Err(io::ErrorKind::WriteZero.into());
        }
        let written = self.sink.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u64 = u64::MAX;

    fn compressed(bytes: &[u8], coding: ContentCoding, effort: Effort) -> Vec<u8> {
        let mut result = Vec::new();
        let sizes = (bytes.len() as u64, ALL);
        let length = compress(&mut &*bytes, sizes, (coding, effort), &mut result).unwrap();
        assert_eq!(length, Some(result.len() as u64));
        result
    }

    fn decoded(bytes: &[u8], coding: ContentCoding) -> Vec<u8> {
        let mut result = Vec::new();
        match coding {
            ContentCoding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut result),
            ContentCoding::Zstd => zstd::Decoder::new(bytes).unwrap().read_to_end(&mut result),
            ContentCoding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut result),
        }
        .unwrap();
        result
    }

    /// Bytes that do not repeat.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    /// Lines of words and numbers.
    fn text(length: usize) -> Vec<u8> {
        let line =
            |number: u32| format!("export const part{number} = {};\n", number.wrapping_mul(2_654_435_761));
        (0..).flat_map(|number| line(number).into_bytes()).take(length).collect()
    }

    #[test]
    fn every_coding_gives_the_bytes_back() {
        let contents = [Vec::new(), b"a".to_vec(), text(100), noise(70_000), text(DEAR as usize + 1)];
        for (coding, effort) in ContentCoding::ALL
            .into_iter()
            .flat_map(|coding| [(coding, Effort::Offline), (coding, Effort::Serving)])
        {
            for bytes in &contents {
                let result = compressed(bytes, coding, effort);
                assert!(decoded(&result, coding) == *bytes, "{coding:?} {effort:?} {}", bytes.len());
                assert!(result == compressed(bytes, coding, effort), "the same again");
            }
        }
    }

    #[test]
    fn long_sources_get_lower_levels() {
        use ContentCoding::{Brotli, Gzip, Zstd};
        for (effort, size, levels) in [
            (Effort::Offline, 0, [11, 19, 9]),
            (Effort::Offline, LONG, [11, 19, 9]),
            (Effort::Offline, LONG + 1, [9, 12, 9]),
            (Effort::Offline, u64::MAX, [9, 12, 9]),
            (Effort::Serving, DEAR, [11, 19, 9]),
            (Effort::Serving, DEAR + 1, [9, 12, 9]),
            (Effort::Awaited, 0, [5, 6, 6]),
        ] {
            assert_eq!([Brotli, Zstd, Gzip].map(|coding| level(coding, effort, size)), levels, "{size}");
        }
    }

    #[test]
    fn texts_get_far_shorter_in_the_small_stack_of_a_background_thread() {
        let bytes = text(300_000);
        let stack = std::thread::Builder::new().stack_size(256 << 10);
        let lengths = stack.spawn(move || {
            ContentCoding::ALL.map(|coding| compressed(&bytes, coding, Effort::Serving).len())
        });
        let lengths = lengths.unwrap().join().unwrap();
        assert!(lengths.iter().all(|length| *length < 120_000), "{lengths:?}");
    }

    #[test]
    fn what_gets_too_long_is_given_up() {
        let bytes = noise(100_000);
        for coding in ContentCoding::ALL {
            let mut result = Vec::new();
            let most = 95_000;
            let given = compress(&mut &*bytes, (100_000, most), (coding, Effort::Offline), &mut result);
            assert!(matches!(given, Ok(None)), "{coding:?}");
            assert!(result.len() as u64 <= most);
            let whole = compressed(&bytes, coding, Effort::Offline).len() as u64;
            for (most, expected) in [(whole, Some(whole)), (whole - 1, None), (0, None)] {
                let given =
                    compress(&mut &*bytes, (100_000, most), (coding, Effort::Offline), io::sink()).unwrap();
                assert_eq!(given, expected, "{coding:?}");
            }
        }
    }

    #[test]
    fn errors_of_source_and_sink_are_told() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let bytes = noise(100_000);
        for coding in ContentCoding::ALL {
            let how = (coding, Effort::Offline);
            let read = compress(&mut Broken, (100, ALL), how, io::sink()).unwrap_err();
            assert_eq!(read.kind(), io::ErrorKind::ConnectionReset, "{coding:?}");
            let written = compress(&mut &*bytes, (100_000, ALL), how, Broken).unwrap_err();
            assert_eq!(written.kind(), io::ErrorKind::StorageFull, "{coding:?}");
        }
    }

    #[test]
    fn the_head_of_gzip_has_no_time_and_no_name() {
        let result = compressed(b"some text", ContentCoding::Gzip, Effort::Offline);
        assert_eq!(result[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
    }
}
