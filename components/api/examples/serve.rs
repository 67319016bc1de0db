//! Serves the API over an in-memory plant, to test clients against it: `serve [PORT]`. One request per connection.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a development tool")]

#[allow(dead_code, unreachable_pub, reason = "shared with the tests; not all of it is used here")]
#[path = "../tests/api/memory.rs"]
mod memory;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use http::Request;
use wheeltapper_api::{Settings, respond};

fn main() {
    let port = std::env::args().nth(1).unwrap_or_else(|| "8089".to_owned());
    let plant = memory::plant();
    let settings = Settings::from_variables(|name| std::env::var(name).ok());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    for stream in listener.incoming().flatten() {
        // A client that disconnects does not stop the server.
        let _ = serve(&plant, &settings, &stream);
    }
}

fn serve(plant: &memory::Memory, settings: &Settings, stream: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request_line = String::new();
    reader.read_line(&mut request_line)?;
    let mut parts = request_line.split_whitespace();
    let (method, path) = (parts.next().unwrap_or("GET"), parts.next().unwrap_or("/"));
    let mut request = Request::builder().method(method).uri(path);
    let mut length = 0;
    loop {
        let mut header = Vec::new();
        reader.read_until(b'\n', &mut header)?;
        let header = header.trim_ascii();
        if header.is_empty() {
            break;
        }
        let Some(colon) = header.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (header[..colon].to_ascii_lowercase(), header[colon + 1..].trim_ascii());
        if name == b"content-length" {
            length = String::from_utf8_lossy(value).parse().unwrap_or(0);
        }
        request = request.header(name.as_slice(), value);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let response = match request.body(body) {
        Ok(request) => respond(plant, settings, memory::NOW, request),
        Err(error) => wheeltapper_api::incomplete_request(&error.to_string(), memory::NOW),
    };
    let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    head.extend(b"\r\n");
    let mut stream = stream;
    stream.write_all(&head)?;
    stream.write_all(response.body())
}
