//! The order in which answers share a connection (RFC 9218), with windows as a client of the real world has
//! them: the connection's is what is scarce.

use crate::support::configured::{Configured, serve};
use crate::support::h2_frames::*;
use crate::support::tree::PAGE;
use crate::support::{H2, Tree, pattern};

fn body() -> Vec<u8> {
    pattern(3, 1 << 20)
}

#[track_caller]
fn server() -> Configured {
    let tree = Tree::site();
    tree.file("big.bin", body());
    // No answer waits for a job, so that all have their turns from the first.
    let server = serve(tree, "http2_plain = true\n", &["--disk-threads", "0"]);
    server.settled_tag("/big.bin");
    server
}

/// Asks for large files with these priorities.
#[track_caller]
fn ask(client: &mut H2, count: usize, priority: &str) -> Vec<u32> {
    (0..count).map(|_| client.ask("GET", "/big.bin", &[("priority", priority)])).collect()
}

/// How much of the bodies of these streams has come.
fn came(client: &H2, streams: &[u32]) -> usize {
    streams.iter().map(|stream| client.streams[stream].body.len()).sum()
}

/// A client of whose connection window nothing is left: these streams of the lowest urgency have it.
#[track_caller]
fn exhausted(server: &Configured) -> (H2, Vec<u32>) {
    let mut client = H2::connect(server.address()).keeping_windows();
    let streams = ask(&mut client, 6, "u=7, i");
    client.until("all of the window", |client| came(client, &streams) == FIRST_WINDOW as usize);
    (client, streams)
}

/// Opens the window of the connection, and waits until so much has come.
#[track_caller]
fn open(client: &mut H2, streams: &[u32], more: u32) {
    let wanted = came(client, streams) + more as usize;
    client.open_window(0, more);
    client.until("what was allowed", |client| came(client, streams) == wanted);
}

#[test]
fn what_is_urgent_gets_all_of_the_window_before_others_get_more() {
    let server = server();
    let (mut client, others) = exhausted(&server);
    let urgent = ask(&mut client, 1, "u=0")[0];
    client.until("a head", |client| client.streams[&urgent].head.is_some());
    let all: Vec<u32> = others.iter().copied().chain([urgent]).collect();
    let before = came(&client, &others);
    for _ in 0..6 {
        // The others have windows of their own left, of which nothing is used.
        open(&mut client, &all, 10_000);
        assert_eq!((came(&client, &others), came(&client, &[urgent]) % 10_000), (before, 0));
    }
    // What the urgent one may not have for want of a window of its own, others get.
    open(&mut client, &all, 30_000);
    assert_eq!(came(&client, &[urgent]), FIRST_WINDOW as usize);
    assert!(came(&client, &others) > before);
    // And it comes first again once it may.
    let before = came(&client, &others);
    client.open_window(urgent, body().len() as u32);
    let rest = body().len() - FIRST_WINDOW as usize;
    open(&mut client, &all, rest as u32);
    assert_eq!(came(&client, &others), before);
    client.response(urgent).is(200, body());
    client.open_window(0, 1 << 30);
    for stream in others {
        client.open_window(stream, body().len() as u32);
        client.response(stream).is(200, body());
    }
}

#[test]
fn each_urgency_goes_before_the_next() {
    let server = server();
    let mut client = H2::connect_with(server.address(), &[(INITIAL_WINDOW_SIZE, 1 << 20)]).keeping_windows();
    let holder = ask(&mut client, 1, "u=0")[0];
    client.until("all of the window", |client| came(client, &[holder]) == FIRST_WINDOW as usize);
    client.put(rst_stream(holder, CANCEL));
    let mut streams: Vec<(u32, u32)> = [5, 1, 7, 3, 6, 2, 4]
        .into_iter()
        .map(|urgency| (urgency, ask(&mut client, 1, &format!("u={urgency}, i"))[0]))
        .collect();
    client.ping();
    streams.sort_unstable();
    let all: Vec<u32> = streams.iter().map(|(_, stream)| *stream).collect();
    for (index, stream) in all.iter().enumerate() {
        open(&mut client, &all, body().len() as u32 / 2);
        assert_eq!(came(&client, &all[index + 1..]), 0, "urgency {}", streams[index].0);
        open(&mut client, &all, body().len() as u32 / 2);
        assert_eq!(came(&client, &all[index + 1..]), 0, "urgency {}", streams[index].0);
        assert!(client.streams[stream].is_whole);
    }
}

#[test]
fn without_incremental_streams_come_one_after_the_other() {
    let server = server();
    let mut client = H2::connect_with(server.address(), &[(INITIAL_WINDOW_SIZE, 1 << 20)]).keeping_windows();
    let streams = ask(&mut client, 4, "u=3");
    client.until("all of the window", |client| came(client, &streams) == FIRST_WINDOW as usize);
    // The first may have begun before the others were there; after it, each is whole before the next begins.
    let total = streams.len() * body().len();
    while came(&client, &streams) < total {
        let left = total - came(&client, &streams);
        open(&mut client, &streams, left.min(50_000) as u32);
        let begun = streams.iter().filter(|stream| {
            let stream = &client.streams[stream];
            !stream.is_whole && !stream.body.is_empty()
        });
        assert!(begun.count() <= 1, "two are under way");
    }
    streams.into_iter().for_each(|stream| client.response(stream).is(200, body()));
}

#[test]
fn incremental_streams_go_round() {
    // Those that say nothing go round as well.
    for fields in [&[("priority", "u=3, i")][..], &[]] {
        let server = server();
        let mut client =
            H2::connect_with(server.address(), &[(INITIAL_WINDOW_SIZE, 1 << 20)]).keeping_windows();
        let streams: Vec<u32> = (0..4).map(|_| client.ask("GET", "/big.bin", fields)).collect();
        client.until("all of the window", |client| came(client, &streams) == FIRST_WINDOW as usize);
        let lengths = |client: &H2| streams.iter().map(|stream| came(client, &[*stream])).collect::<Vec<_>>();
        // The first of them may have had the window before the others were there.
        let ahead = lengths(&client).into_iter().max().unwrap();
        for _ in 0..8 {
            open(&mut client, &streams, 200_000);
            let lengths = lengths(&client);
            let (least, most) = (lengths.iter().min().unwrap(), lengths.iter().max().unwrap());
            assert!(most - least <= ahead + (64 << 10), "{lengths:?}");
        }
    }
}

#[test]
fn a_small_answer_waits_for_no_large_one() {
    let server = server();
    for priority in ["u=0", "u=3, i", "u=7"] {
        let (mut client, others) = exhausted(&server);
        let before = came(&client, &others);
        let small = client.ask("GET", "/page.html", &[("priority", priority)]);
        client.until("a head", |client| client.streams[&small].head.is_some());
        client.open_window(0, PAGE.len() as u32);
        client.response(small).is(200, PAGE);
        assert_eq!(came(&client, &others), before, "{priority}");
    }
}
