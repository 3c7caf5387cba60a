//! Records do not depend on how a stream is cut, through the inputs
//! themselves: sockets that are written to, and files that grow, in pieces of
//! all sizes.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::pipelines::{connect, start, wait_until};

/// Splitters that wait for nothing but bytes: a pause in the stream, which a
/// busy machine may make by itself, changes nothing for them.
const SPLITTERS: [&str; 3] = [
    "type = 'TokenSplitter'",
    "type = 'TokenSplitter'\ndelimiter = ';'\ncount = 3",
    "type = 'RegexSplitter'\ndelimiter = '-;'",
];

/// Numbers that look random and come again.
struct Dice(u32);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % bound
    }
}

/// Text with many places to cut at, ended so that every record is whole.
fn text(dice: &mut Dice, length: usize) -> Vec<u8> {
    const LETTERS: &[u8] = b"abcdefgh-;;\n\n ";
    let mut text: Vec<u8> = (0..length)
        .map(|_| LETTERS[dice.below(LETTERS.len() as u32) as usize])
        .collect();
    text.extend_from_slice(b"end\n;-;;;-;\n");
    text
}

/// Writes `text` in pieces of up to `most` bytes.
fn write_in_pieces(to: &mut impl Write, text: &[u8], most: u32, dice: &mut Dice) {
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.len().min(1 + dice.below(most) as usize));
        to.write_all(piece).unwrap();
        to.flush().unwrap();
        rest = behind;
    }
}

fn output(base: &Path) -> String {
    format!(
        "[out]\ntype = 'FileOutput'\nmessage_matcher = \"Type != 'x'\"\npath = '{}/out.log'\n\
         encoder = 'PayloadEncoder'\nflush_interval = 2\n[PayloadEncoder]\n",
        base.display()
    )
}

/// The last record of every text is known, so it shows when all is there.
fn records(base: &Path) -> Vec<u8> {
    let path = base.join("out.log");
    wait_until("the last record", || {
        let seen = fs::read(&path).unwrap_or_default();
        seen.windows(3).any(|bytes| bytes == b"end")
    });
    fs::read(path).unwrap()
}

fn through_tcp(splitter: &str, text: &[u8], most: u32, dice: &mut Dice) -> Vec<u8> {
    let base = tempfile::tempdir().unwrap();
    let config = format!(
        "[in]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\ndecoder = 'plain'\nsplitter = 'cut'\n\
         [plain]\ntype = 'ScribbleDecoder'\n[cut]\n{splitter}\n{}",
        output(base.path())
    );
    let mut topology = start(base.path(), &config);
    let mut stream = connect(&topology, "in");
    stream.set_nodelay(true).unwrap();
    write_in_pieces(&mut stream, text, most, dice);
    let seen = records(base.path());
    topology.stop();
    seen
}

fn through_a_file(splitter: &str, text: &[u8], most: u32, dice: &mut Dice) -> Vec<u8> {
    let base = tempfile::tempdir().unwrap();
    let logs = base.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let mut file = File::create(logs.join("app.log")).unwrap();
    let config = format!(
        "[in]\ntype = 'LogstreamerInput'\nlog_directory = '{}'\nfile_match = 'app\\.log'\n\
         check_data_interval = '1ms'\nsplitter = 'cut'\n[cut]\n{splitter}\n{}",
        logs.display(),
        output(base.path())
    );
    let mut topology = start(base.path(), &config);
    write_in_pieces(&mut file, text, most, dice);
    let seen = records(base.path());
    topology.stop();
    seen
}

#[test]
fn of_sockets_and_files() {
    let mut dice = Dice(7);
    for splitter in SPLITTERS {
        let text = text(&mut dice, 3000);
        let whole = through_tcp(splitter, &text, u32::MAX >> 8, &mut dice);
        for most in [3, 40, 700] {
            let seen = through_tcp(splitter, &text, most, &mut dice);
            assert!(seen == whole, "TCP, {splitter}, pieces of {most}");
            let seen = through_a_file(splitter, &text, most, &mut dice);
            assert!(seen == whole, "file, {splitter}, pieces of {most}");
        }
    }
}
