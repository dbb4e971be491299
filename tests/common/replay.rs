//! A server that plays a transcript of `doctor --selftest` again: each call is answered as it was then, in the order of
//! the calls of that method on that object.

#![allow(clippy::unwrap_used)] // a test may

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// What is played, by method and object; the last of each stays.
type Played = HashMap<(String, String), (Vec<Value>, usize)>;

pub struct Replay {
    pub url: String,
    pub template: String,
    pub exit_code: i32,
    played: Arc<Mutex<Played>>,
}

/// What follows changes is one after another: by whichever collector, and its filters come and go when there is time.
const FOLLOWING: &[&str] = &["CreateFilter", "WaitForUpdatesEx", "DestroyPropertyFilter", "DestroyPropertyCollector"];

fn object(call: &str, request: &str) -> String {
    if FOLLOWING.contains(&call) {
        return String::new();
    }
    let at = request.find("<_this").map_or("", |at| &request[at..]);
    at.split('>').nth(1).and_then(|t| t.split('<').next()).unwrap_or_default().to_owned()
}

impl Replay {
    pub fn start(transcript: &str) -> Replay {
        let mut lines = transcript.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
        let head = lines.next().expect("a head");
        assert_eq!(head["transcript"], 1);
        let mut played = Played::new();
        for line in lines {
            let call = line["call"].as_str().unwrap().to_owned();
            let this = object(&call, line["request"].as_str().unwrap_or_default());
            let key = (call, this);
            played.entry(key).or_default().0.push(line);
        }
        let played = Arc::new(Mutex::new(played));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/sdk", listener.local_addr().expect("an address"));
        let shared = Arc::clone(&played);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let played = Arc::clone(&shared);
                std::thread::spawn(move || serve(&stream, &played));
            }
        });
        let text = |name: &str| head[name].as_str().expect("a text").to_owned();
        Replay { url, template: text("template"), exit_code: head["exit_code"].as_i64().unwrap() as i32, played }
    }

    /// What was never asked for, as method and how often.
    pub fn left(&self) -> Vec<(String, usize)> {
        let played = self.played.lock().unwrap();
        let mut left: Vec<_> = played
            .iter()
            .filter(|(_, (lines, at))| *at < lines.len())
            .map(|((call, _), (lines, at))| (call.clone(), lines.len() - at))
            .collect();
        left.sort();
        left
    }
}

/// Answers one connection's requests until it ends.
fn serve(stream: &TcpStream, played: &Mutex<Played>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).ok()? == 0 {
            return None;
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            if line.trim_end().is_empty() {
                break;
            }
            if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = n.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let verb = first.split(' ').next()?;
        let (status, answer) = match verb {
            "POST" => soap(&String::from_utf8_lossy(&body), played)?,
            "GET" if first.contains("vimServiceVersions") => (404, String::new()),
            other => (next(played, other, "")?["status"].as_u64()?, String::new()),
        };
        let mut out = stream;
        write!(
            out,
            "HTTP/1.1 {status} x\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        )
        .ok()?;
    }
}

/// The next line of that method and object. What waits for changes waits on when there are no more; what looks sees
/// the same again.
fn next(played: &Mutex<Played>, call: &str, this: &str) -> Option<Value> {
    let mut all = played.lock().unwrap();
    let (lines, at) = all.get_mut(&(call.to_owned(), this.to_owned()))?;
    let line = match (lines.get(*at), call) {
        (
            None,
            "ListFilesInGuest" | "CreatePropertyCollector" | "DestroyPropertyFilter" | "DestroyPropertyCollector",
        ) => lines.last().cloned(),
        (line, _) => line.cloned(),
    };
    *at += 1;
    line
}

fn soap(request: &str, played: &Mutex<Played>) -> Option<(u64, String)> {
    let body = request.split("Body>").nth(1)?;
    let call = body.trim_start_matches('<').split([' ', '>']).next()?;
    let Some(line) = next(played, call, &object(call, body)) else {
        if call == "WaitForUpdatesEx" {
            std::thread::sleep(std::time::Duration::from_secs(30));
        }
        let fault = format!("the transcript has no further {call} of {}", object(call, body));
        let fault =
            format!("<s:Fault><faultcode>ServerFaultCode</faultcode><faultstring>{fault}</faultstring></s:Fault>");
        return Some((500, envelope(&fault)));
    };
    // A call that was never answered then isn't now.
    let status = line["status"].as_u64()?;
    let answer = line["answer"].as_str().unwrap_or_default();
    Some((
        status,
        envelope(
            &answer
                .replacen("<Fault ", "<s:Fault xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" ", 1)
                .replace("</Fault>", "</s:Fault>"),
        ),
    ))
}

fn envelope(body: &str) -> String {
    format!("<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{body}</s:Body></s:Envelope>")
}
