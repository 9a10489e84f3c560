//! Clients on cold files beside one on a warm file, against a server that answers at once.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::load::cold::{Cold, parse};

/// A server that answers each path with itself; a file that ends in 3.bin with 404, one that ends in 7.bin
/// not whole. Its port, and the paths that it was asked for.
fn server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<String>>>::default());
    let paths = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, paths) = (stream.unwrap(), Arc::clone(&paths));
            std::thread::spawn(move || {
                let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                for line in lines.filter(|line| line.starts_with("GET ")) {
                    let path = line.split(' ').nth(1).unwrap().to_owned();
                    let status = if path.ends_with("3.bin") { "404 Not Found" } else { "200 OK" };
                    let length = path.len() + usize::from(path.ends_with("7.bin"));
                    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{path}");
                    paths.lock().unwrap().push(path.clone());
                    if stream.write_all(head.as_bytes()).is_err() || path.ends_with("7.bin") {
                        return;
                    }
                }
            });
        }
    });
    (port, asked)
}

#[test]
fn each_cold_file_is_asked_for_once_and_the_warm_one_all_the_time() {
    let (port, asked) = server();
    let (warm, folder) = ("/warm.html".to_owned(), "/cold/".to_owned());
    let cold = Cold { port, seconds: 1, warm, folder, files: 100, clients: 7 };
    let said = cold.ask().unwrap();
    assert_eq!((said.cold, said.non_2xx, said.failed), (80, 10, 10));
    assert!(said.seconds >= 1.0 && said.warm > 10, "{said:?}");
    assert!(
        said.alone_p99_us > 0.0 && said.p50_us <= said.p99_us && said.p99_us <= Some(said.max_us),
        "{said:?}"
    );
    let mut paths = asked.lock().unwrap().clone();
    paths.retain(|path| path.starts_with("/cold/"));
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 100);
}

#[test]
fn a_warm_client_that_waits_in_the_end_counts_with_the_time_so_far() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (warm, folder) = ("/warm.html".to_owned(), "/cold/".to_owned());
    let said = Cold { port, seconds: 1, warm, folder, files: 0, clients: 0 }.ask().unwrap();
    assert!(said.warm == 1 && said.max_us >= 900_000.0, "{said:?}");
}

#[test]
fn its_line_is_read_like_the_output_of_the_others() {
    let line =
        r#"{"seconds":2.0,"cold":520,"bytes":1200000,"failed":1,"non_2xx":2,"warm":1996,"p50_us":105.0,
        "p99_us":270.5,"p999_us":900.0,"max_us":2500.0,"alone_p99_us":300.0}"#
            .replace('\n', "");
    let load = parse(&format!("something before\n{line}\n")).unwrap();
    assert_eq!((load.requests, load.bytes, load.failed, load.non_2xx), (520, 1_200_000.0, 1, 2));
    assert_eq!((load.p50_us, load.p99_us, load.p999_us), (Some(105.0), Some(270.5), Some(900.0)));
    let beside = load.beside.unwrap();
    assert_eq!((beside.answers_per_second, beside.max_us, beside.alone_p99_us), (998.0, 2500.0, 300.0));
    assert_eq!(
        parse("load: /warm.html: Connection refused\n").unwrap_err(),
        "load: /warm.html: Connection refused"
    );
}
