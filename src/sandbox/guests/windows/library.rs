//! What .NET gives to PowerShell, as far as it is spoken here.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::value::{Native, Thrown, Value};
use super::{paths, process};

type Result<T> = std::result::Result<T, Thrown>;

/// The environment's names in any case.
pub fn env(name: &str) -> Option<String> {
    std::env::vars().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Sets or, with an empty value, removes a variable.
#[allow(unsafe_code)]
pub fn set_env(name: &str, value: &str) {
    let known = std::env::vars().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(key, _)| key);
    let name = known.unwrap_or_else(|| name.to_owned());
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        return;
    }
    // SAFETY: a process of a guest has one thread.
    unsafe {
        if value.is_empty() {
            std::env::remove_var(&name);
        } else {
            std::env::set_var(&name, value);
        }
    }
}

pub fn write_file(path: &str, bytes: &[u8], append: bool) -> Result<()> {
    let real = paths::real(path);
    let file = OpenOptions::new().create(true).append(append).write(true).truncate(!append).open(&real);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|e| missing_part(&e, path))
}

/// An error of a file that was to be made: what is missing is its directory.
fn missing_part(error: &std::io::Error, path: &str) -> Thrown {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            Thrown::of("io.directorynotfoundexception", format!("Could not find a part of the path '{path}'."))
        }
        _ => Thrown::io(error, path),
    }
}

fn lacks(what: &str, name: &str) -> Thrown {
    Thrown::new(format!("The sandbox's stand-in for PowerShell doesn't know {name} of {what}."))
}

pub fn read_text(path: &str) -> Result<String> {
    let bytes = fs::read(paths::real(path)).map_err(|e| Thrown::io(&e, path))?;
    Ok(String::from_utf8_lossy(&bytes).trim_start_matches('\u{feff}').to_owned())
}

/// The old encoding of consoles, code page 850 as far as Western letters go.
const OEM: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»";

fn oem_text(bytes: &[u8]) -> String {
    let high = |b: u8| OEM.chars().nth(usize::from(b) - 128).unwrap_or('?');
    bytes.iter().map(|b| if *b < 128 { char::from(*b) } else { high(*b) }).collect()
}

fn arg(args: &[Value], at: usize) -> Value {
    args.get(at).cloned().unwrap_or(Value::Null)
}

/// The range of bytes that a call names.
fn cut(bytes: &[u8], from: usize, length: usize) -> Result<&[u8]> {
    bytes
        .get(from..from.saturating_add(length))
        .ok_or_else(|| Thrown::of("argumentoutofrangeexception", "Offset and length were out of bounds for the array."))
}

/// `[kind]::name(…)`
pub fn function(kind: &str, name: &str, args: &[Value]) -> Result<Value> {
    let text = |at| arg(args, at).text();
    match (kind, name) {
        ("convert", "frombase64string") => {
            let bytes = STANDARD.decode(text(0).trim());
            bytes
                .map(Value::bytes)
                .map_err(|_| Thrown::of("formatexception", "The input is not a valid Base-64 string."))
        }
        ("convert", "tobase64string") => {
            let bytes = arg(args, 0).to_bytes()?;
            let part = match args.len() {
                1 => bytes.as_slice(),
                _ => cut(&bytes, arg(args, 1).size()?, arg(args, 2).size()?)?,
            };
            Ok(STANDARD.encode(part).into())
        }
        ("convert", "toint64" | "toint32") => match args.len() {
            1 => arg(args, 0).int().map(Value::Int),
            _ => i64::from_str_radix(&text(0), u32::try_from(arg(args, 1).int()?).unwrap_or(10).clamp(2, 36))
                .map(Value::Int)
                .map_err(|_| Thrown::of("formatexception", "Could not find any recognizable digits.")),
        },
        ("convert", "tostring") => Ok(match arg(args, 1).int()? {
            8 => format!("{:o}", arg(args, 0).int()?).into(),
            16 => format!("{:x}", arg(args, 0).int()?).into(),
            _ => text(0).into(),
        }),
        ("bitconverter", "tostring") => {
            let bytes = arg(args, 0).to_bytes()?;
            let part = cut(&bytes, arg(args, 1).size()?, arg(args, 2).size()?)?;
            Ok(part.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join("-").into())
        }
        ("math", "min" | "max") => {
            let (a, b) = (arg(args, 0), arg(args, 1));
            let first = (a.double()? <= b.double()?) == (name == "min");
            Ok(if first { a } else { b })
        }
        ("math", "floor" | "ceiling" | "round") => {
            let n = arg(args, 0).double()?;
            Ok(Value::Double(match name {
                "floor" => n.floor(),
                "ceiling" => n.ceil(),
                _ => n.round_ties_even(),
            }))
        }
        ("array", "copy") => array_copy(args),
        ("string", "isnullorempty") => Ok(Value::Bool(text(0).is_empty())),
        ("string", "isnullorwhitespace") => Ok(Value::Bool(text(0).trim().is_empty())),
        ("string", "join") => {
            let list = arg(args, 1).parts();
            Ok(list.iter().map(Value::text).collect::<Vec<_>>().join(&text(0)).into())
        }
        ("environment", _) => environment(name, args),
        ("text.encoding", "getencoding") => Ok(Value::object("text.encoding", Native::Oem, vec![])),
        ("diagnostics.stopwatch", "startnew") => {
            Ok(Value::object("diagnostics.stopwatch", Native::Watch(Instant::now()), vec![]))
        }
        // Since the guest's boot, in hundredths of a microsecond.
        ("diagnostics.stopwatch", "gettimestamp") => Ok(Value::Int(process::uptime_ms() * 10_000)),
        ("diagnostics.process", "getcurrentprocess") => Ok(process::known(std::process::id() as i32, None)),
        ("diagnostics.process", "start") => process::start(args),
        ("console", "openstandardoutput") => Ok(Value::object("io.stream", Native::Output, vec![])),
        ("guid", "newguid") => fs::read_to_string("/proc/sys/kernel/random/uuid")
            .map(|id| id.trim().into())
            .map_err(|e| Thrown::io(&e, "random numbers")),
        ("io.file" | "io.directory" | "io.path", _) => files(kind, name, args),
        _ => Err(lacks(&format!("[{kind}]"), name)),
    }
}

fn array_copy(args: &[Value]) -> Result<Value> {
    let (from, to, at, into, length) = match args.len() {
        3 => (arg(args, 0), arg(args, 1), 0, 0, arg(args, 2).size()?),
        _ => (arg(args, 0), arg(args, 2), arg(args, 1).size()?, arg(args, 3).size()?, arg(args, 4).size()?),
    };
    let bytes = from.to_bytes()?;
    let part = cut(&bytes, at, length)?;
    if let Value::Bytes(to) = &to {
        let mut to = to.borrow_mut();
        let room = to.get_mut(into..into.saturating_add(length));
        let room = room.ok_or_else(|| Thrown::of("argumentexception", "Destination array was not long enough."))?;
        room.copy_from_slice(part);
    }
    Ok(Value::Null)
}

/// The user's folders.
fn folder(name: &str) -> String {
    let own = format!("C:\\Users\\{}", process::account());
    match name.to_lowercase().as_str() {
        "userprofile" => own,
        "applicationdata" => own + "\\AppData\\Roaming",
        "localapplicationdata" => own + "\\AppData\\Local",
        "commonapplicationdata" => "C:\\ProgramData".to_owned(),
        "programfiles" => "C:\\Program Files".to_owned(),
        "programfilesx86" => "C:\\Program Files (x86)".to_owned(),
        "commonprogramfiles" => "C:\\Program Files\\Common Files".to_owned(),
        "system" => "C:\\Windows\\System32".to_owned(),
        "windows" => "C:\\Windows".to_owned(),
        _ => String::new(),
    }
}

/// What new sessions get: the file of a scope has `NAME=value` lines, in the place of the registry's key.
fn scope_file(scope: &str) -> String {
    match scope.to_lowercase().as_str() {
        "machine" => "C:\\Windows\\System32\\config\\environment".to_owned(),
        _ => folder("userprofile") + "\\environment",
    }
}

fn scope(scope: &str) -> Vec<(String, String)> {
    let text = read_text(&scope_file(scope)).unwrap_or_default();
    let text = text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned()));
    let mut all: Vec<(String, String)> = text.collect();
    let has = |all: &[(String, String)], name: &str| all.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    if scope.eq_ignore_ascii_case("machine") {
        if !has(&all, "path") {
            let path = "C:\\Windows\\System32;C:\\Windows;C:\\Windows\\System32\\WindowsPowerShell\\v1.0";
            all.push(("Path".to_owned(), path.to_owned()));
        }
        all.push(("windir".to_owned(), "C:\\Windows".to_owned()));
    } else if !has(&all, "temp") {
        let temp = folder("localapplicationdata") + "\\Temp";
        all.push(("TEMP".to_owned(), temp.clone()));
        all.push(("TMP".to_owned(), temp));
    }
    all
}

fn environment(name: &str, args: &[Value]) -> Result<Value> {
    let text = |at| arg(args, at).text();
    match (name, args.len()) {
        ("getenvironmentvariable", 1) => Ok(env(&text(0)).map_or(Value::Null, Value::from)),
        ("getenvironmentvariable", _) => {
            let found = scope(&text(1)).into_iter().find(|(key, _)| key.eq_ignore_ascii_case(&text(0)));
            Ok(found.map_or(Value::Null, |(_, value)| value.into()))
        }
        ("getenvironmentvariables", _) => {
            let all = if args.is_empty() { std::env::vars().collect() } else { scope(&text(0)) };
            let all = all.into_iter().map(|(k, v)| (k, Value::from(v))).collect();
            Ok(Value::Hash(Rc::new(RefCell::new(all))))
        }
        ("setenvironmentvariable", 2) => {
            set_env(&text(0), &text(1));
            Ok(Value::Null)
        }
        ("setenvironmentvariable", _) => {
            let mut all = scope(&text(2));
            all.retain(|(key, _)| !key.eq_ignore_ascii_case(&text(0)) && key != "windir");
            all.push((text(0), text(1)));
            let lines: String = all.iter().map(|(k, v)| format!("{k}={v}\n")).collect();
            write_file(&scope_file(&text(2)), lines.as_bytes(), false).map(|()| Value::Null)
        }
        ("getfolderpath", _) => Ok(folder(&text(0)).into()),
        ("exit", _) => Err(lacks("[environment]", "exit")),
        _ => Err(lacks("[environment]", name)),
    }
}

fn files(kind: &str, name: &str, args: &[Value]) -> Result<Value> {
    let path = arg(args, 0).text();
    let real = paths::real(&path);
    let done = |made: std::io::Result<()>| made.map(|()| Value::Null).map_err(|e| missing_part(&e, &path));
    match (kind, name) {
        ("io.file", "exists") => Ok(Value::Bool(!path.is_empty() && real.is_file())),
        ("io.directory", "exists") => Ok(Value::Bool(!path.is_empty() && real.is_dir())),
        ("io.file", "delete") => match fs::remove_file(&real) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Thrown::io(&e, &path)),
            _ => Ok(Value::Null),
        },
        ("io.file", "writealltext") => write_file(&path, arg(args, 1).text().as_bytes(), false).map(|()| Value::Null),
        ("io.file", "appendalltext") => write_file(&path, arg(args, 1).text().as_bytes(), true).map(|()| Value::Null),
        ("io.file", "writeallbytes") => write_file(&path, &arg(args, 1).to_bytes()?, false).map(|()| Value::Null),
        ("io.file", "readalltext") => read_text(&path).map(Value::from),
        ("io.file", "readallbytes") => fs::read(&real).map(Value::bytes).map_err(|e| Thrown::io(&e, &path)),
        ("io.file", "move") => done(fs::rename(&real, paths::real(&arg(args, 1).text()))),
        ("io.file", "create") => {
            let file = OpenOptions::new().create(true).write(true).read(true).truncate(true).open(&real);
            stream(file, &path)
        }
        ("io.file", "openread" | "open") => stream(File::open(&real), &path),
        ("io.directory", "createdirectory") => {
            done(fs::create_dir_all(&real))?;
            Ok(Value::object("io.directoryinfo", Native::None, vec![("fullname", path.into())]))
        }
        ("io.directory", "delete") => {
            done(if arg(args, 1).truth() { fs::remove_dir_all(&real) } else { fs::remove_dir(&real) })
        }
        ("io.directory", "getparent") => {
            let parent = path.trim_end_matches('\\').rsplit_once('\\').map(|(parent, _)| parent.to_owned());
            let parent = parent.unwrap_or_default();
            Ok(Value::object("io.directoryinfo", Native::None, vec![("fullname", parent.into())]))
        }
        ("io.directory", "getdirectories" | "getfiles" | "getfilesystementries") => {
            let pattern = args.get(1).map_or("*".to_owned(), Value::text);
            let entries = fs::read_dir(&real).map_err(|e| missing_part(&e, &path))?;
            let mut found: Vec<String> = entries
                .flatten()
                .filter(|entry| match name {
                    "getfiles" => entry.path().is_file(),
                    "getdirectories" => entry.path().is_dir(),
                    _ => true,
                })
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .filter(|name| like(name, &pattern))
                .collect();
            found.sort();
            let whole = |name: &String| Value::from(format!("{}\\{name}", path.trim_end_matches('\\')));
            Ok(Value::list(found.iter().map(whole).collect()))
        }
        ("io.path", "getdirectoryname") => {
            Ok(path.rsplit_once('\\').map_or(Value::from(""), |(parent, _)| parent.to_owned().into()))
        }
        ("io.path", "getfilename") => Ok(path.rsplit('\\').next().unwrap_or_default().into()),
        ("io.path", "combine") => Ok(format!("{}\\{}", path.trim_end_matches('\\'), arg(args, 1).text()).into()),
        ("io.path", "gettemppath") => Ok((folder("localapplicationdata") + "\\Temp\\").into()),
        _ => Err(lacks(&format!("[{kind}]"), name)),
    }
}

fn stream(file: std::io::Result<File>, path: &str) -> Result<Value> {
    let file = file.map_err(|e| Thrown::io(&e, path))?;
    Ok(Value::object("io.filestream", Native::File(RefCell::new(Some(file))), vec![]))
}

/// `[kind]::name`
pub fn property(kind: &str, name: &str) -> Result<Value> {
    Ok(match (kind, name) {
        ("text.encoding", "utf8" | "ascii") => Value::object("text.encoding", Native::Utf8 { strict: false }, vec![]),
        ("environment", "machinename") => process::host_name().to_uppercase().into(),
        ("environment", "username") => process::account().into(),
        ("environment", "userdomainname") => process::host_name().to_uppercase().into(),
        ("environment", "newline") => "\r\n".into(),
        ("environment", "currentdirectory") => paths::shown(&std::env::current_dir().unwrap_or_default()).into(),
        ("environment", "osversion") => "Microsoft Windows NT 10.0.17763.0".into(),
        ("diagnostics.stopwatch", "frequency") => Value::Int(10_000_000),
        ("globalization.cultureinfo", "currentculture") => {
            let info = Value::object("textinfo", Native::None, vec![("oemcodepage", Value::Int(850))]);
            Value::object(kind, Native::None, vec![("textinfo", info)])
        }
        ("console", "outputencoding" | "inputencoding") => Value::object("text.encoding", Native::Oem, vec![]),
        ("console", "error" | "out") => Value::object(&format!("console.{name}"), Native::None, vec![]),
        ("int" | "int32", "maxvalue") => Value::Int(i64::from(i32::MAX)),
        _ => return Err(lacks(&format!("[{kind}]"), name)),
    })
}

pub fn set_static(kind: &str, name: &str, value: &Value) -> Result<()> {
    match (kind, name) {
        // What is printed here is UTF-8 anyway.
        ("console", _) => Ok(()),
        ("environment", "currentdirectory") => {
            let path = value.text();
            std::env::set_current_dir(paths::real(&path)).map_err(|e| missing_part(&e, &path))
        }
        _ => Err(lacks(&format!("[{kind}]"), name)),
    }
}

/// `object.name`
pub fn member(object: &Value, name: &str) -> Result<Value> {
    Ok(match (object, name) {
        (Value::Text(text), "length") => Value::Int(text.encode_utf16().count() as i64),
        (Value::Bytes(bytes), "length" | "count") => Value::Int(bytes.borrow().len() as i64),
        (Value::List(list), "length" | "count") => Value::Int(list.borrow().len() as i64),
        (Value::Hash(pairs), "count") => Value::Int(pairs.borrow().len() as i64),
        (Value::Hash(pairs), "keys") => {
            Value::list(pairs.borrow().iter().map(|(key, _)| Value::from(key.as_str())).collect())
        }
        (Value::Hash(pairs), "values") => Value::list(pairs.borrow().iter().map(|(_, v)| v.clone()).collect()),
        (Value::Hash(pairs), _) => {
            let pairs = pairs.borrow();
            pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or(Value::Null, |(_, v)| v.clone())
        }
        (Value::Object(object), _) => {
            let broken = |e: std::io::Error| Thrown::io(&e, "the stream");
            match (&object.native, name) {
                (Native::File(file), "length") => match file.borrow().as_ref() {
                    Some(file) => Value::Int(file.metadata().map_err(broken)?.len() as i64),
                    None => return Err(closed()),
                },
                (Native::File(file), "position") => match file.borrow_mut().as_mut() {
                    Some(file) => Value::Int(file.stream_position().map_err(broken)? as i64),
                    None => return Err(closed()),
                },
                (Native::Watch(began), "elapsedmilliseconds") => Value::Int(began.elapsed().as_millis() as i64),
                (Native::Process { pid, told, code }, _) => return process::member(*pid, told, code, name),
                _ => {
                    let fields = object.fields.borrow();
                    fields.iter().find(|(key, _)| key == name).map_or(Value::Null, |(_, v)| v.clone())
                }
            }
        }
        (Value::Null, _) => Value::Null,
        (Value::List(list), _) => {
            let parts = list.borrow().clone();
            Value::collected(parts.iter().map(|part| member(part, name)).collect::<Result<Vec<_>>>()?)
        }
        (_, "length" | "count") => Value::Int(1),
        _ => Value::Null,
    })
}

fn closed() -> Thrown {
    Thrown::of("objectdisposedexception", "Cannot access a closed file.")
}

pub fn set_member(object: &Value, name: &str, value: Value) -> Result<()> {
    match object {
        Value::Hash(pairs) => set_pair(&mut pairs.borrow_mut(), name, value),
        Value::Object(object) => {
            if let (Native::File(file), "position") = (&object.native, name) {
                let to = u64::try_from(value.int()?).unwrap_or_default();
                let mut file = file.borrow_mut();
                let file = file.as_mut().ok_or_else(closed)?;
                return file.seek(SeekFrom::Start(to)).map(drop).map_err(|e| Thrown::io(&e, "the stream"));
            }
            set_pair(&mut object.fields.borrow_mut(), name, value);
        }
        _ => return Err(Thrown::new(format!("The property '{name}' cannot be found on this object."))),
    }
    Ok(())
}

fn set_pair(pairs: &mut Vec<(String, Value)>, name: &str, value: Value) {
    match pairs.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case(name)) {
        Some((_, slot)) => *slot = value,
        None => pairs.push((name.to_owned(), value)),
    }
}

pub fn set_index(list: &Value, index: &Value, value: Value) -> Result<()> {
    let out = || Thrown::of("indexoutofrangeexception", "Index was outside the bounds of the array.");
    match list {
        Value::Hash(pairs) => set_pair(&mut pairs.borrow_mut(), &index.text(), value),
        Value::List(items) => *items.borrow_mut().get_mut(index.size()?).ok_or_else(out)? = value,
        Value::Bytes(bytes) => *bytes.borrow_mut().get_mut(index.size()?).ok_or_else(out)? = value.int()? as u8,
        _ => return Err(Thrown::new("Unable to index into this object.")),
    }
    Ok(())
}

/// `list[index]`
pub fn index(list: &Value, at: &Value) -> Result<Value> {
    if let Value::Hash(pairs) = list {
        let (pairs, name) = (pairs.borrow(), at.text());
        return Ok(pairs.iter().find(|(k, _)| k.eq_ignore_ascii_case(&name)).map_or(Value::Null, |(_, v)| v.clone()));
    }
    let place = |length: usize, n: i64| if n < 0 { n + length as i64 } else { n };
    let one = |n: i64| -> Value {
        match list {
            Value::List(items) => {
                let items = items.borrow();
                usize::try_from(place(items.len(), n)).ok().and_then(|n| items.get(n).cloned()).unwrap_or(Value::Null)
            }
            Value::Bytes(bytes) => {
                let bytes = bytes.borrow();
                let found = usize::try_from(place(bytes.len(), n)).ok().and_then(|n| bytes.get(n).copied());
                found.map_or(Value::Null, |b| Value::Int(i64::from(b)))
            }
            Value::Text(text) => {
                let n = place(text.chars().count(), n);
                usize::try_from(n).ok().and_then(|n| text.chars().nth(n)).map_or(Value::Null, Value::Char)
            }
            Value::Null => Value::Null,
            other => {
                if n == 0 || n == -1 {
                    other.clone()
                } else {
                    Value::Null
                }
            }
        }
    };
    match at {
        Value::List(several) => {
            let several = several.borrow();
            Ok(Value::list(several.iter().map(|n| n.int().map(one)).collect::<Result<_>>()?))
        }
        at => at.int().map(one),
    }
}

/// `object.name(…)`
pub fn method(object: &Value, name: &str, args: &[Value]) -> Result<Value> {
    match object {
        Value::Text(text) => text_method(text, name, args),
        Value::Char(c) => text_method(&c.to_string(), name, args),
        Value::Object(it) => {
            if let Native::Process { pid, told, code } = &it.native {
                return process::method(*pid, told, code, name, args);
            }
            match (&it.native, name) {
                (Native::File(file), "close" | "dispose") => {
                    file.borrow_mut().take();
                    Ok(Value::Null)
                }
                (Native::File(_), "flush") => Ok(Value::Null),
                (Native::File(file), "read" | "write") => {
                    let mut file = file.borrow_mut();
                    transfer(file.as_mut().ok_or_else(closed)?, name == "write", args)
                }
                (Native::Output, "write") => {
                    let bytes = arg(args, 0).to_bytes()?;
                    super::eval::write_out(cut(&bytes, arg(args, 1).size()?, arg(args, 2).size()?)?);
                    Ok(Value::Null)
                }
                (Native::Output, _) => Ok(Value::Null),
                (Native::Utf8 { .. } | Native::Oem, _) => coding(&it.native, name, args),
                (Native::None, "writeline" | "write") if it.kind.starts_with("console.") => {
                    let text = arg(args, 0).text() + if name == "writeline" { "\r\n" } else { "" };
                    match it.kind.as_str() {
                        "console.error" => super::eval::write_err(&text.replace("\r\n", "\n")),
                        _ => super::eval::write_out(text.as_bytes()),
                    }
                    Ok(Value::Null)
                }
                // Seconds of Unix; those of Windows begin in 1601.
                (Native::None, "tofiletimeutc") => {
                    let ms = member(object, "unixms")?.int()?;
                    Ok(Value::Int((ms + 11_644_473_600_000) * 10_000))
                }
                (_, "tostring") => Ok(object.text().into()),
                _ => Err(lacks(&it.kind, name)),
            }
        }
        Value::Hash(pairs) if name == "containskey" || name == "contains" => {
            let wanted = arg(args, 0).text();
            Ok(Value::Bool(pairs.borrow().iter().any(|(key, _)| key.eq_ignore_ascii_case(&wanted))))
        }
        Value::Hash(pairs) if name == "remove" => {
            let wanted = arg(args, 0).text();
            pairs.borrow_mut().retain(|(key, _)| !key.eq_ignore_ascii_case(&wanted));
            Ok(Value::Null)
        }
        Value::Null => Err(Thrown::new("You cannot call a method on a null-valued expression.")),
        other if name == "tostring" => Ok(other.text().into()),
        _ => Err(Thrown::new(format!("Method invocation failed because there is no method named '{name}'."))),
    }
}

fn transfer(file: &mut File, write: bool, args: &[Value]) -> Result<Value> {
    let Value::Bytes(bytes) = arg(args, 0) else { return Err(Thrown::new("The buffer is no array of bytes.")) };
    let (from, length) = (arg(args, 1).size()?, arg(args, 2).size()?);
    let broken = |e: std::io::Error| Thrown::io(&e, "the stream");
    if write {
        let bytes = bytes.borrow();
        file.write_all(cut(&bytes, from, length)?).map_err(broken)?;
        return Ok(Value::Null);
    }
    let mut bytes = bytes.borrow_mut();
    cut(&bytes, from, length)?;
    let room = bytes.get_mut(from..from + length).unwrap_or_default();
    // A file that another process writes is read where we are, whatever is buffered.
    let at = file.stream_position().map_err(broken)?;
    let got = file.read_at(room, at).map_err(broken)?;
    file.seek(SeekFrom::Start(at + got as u64)).map_err(broken)?;
    Ok(Value::Int(got as i64))
}

fn coding(native: &Native, name: &str, args: &[Value]) -> Result<Value> {
    let input = || -> Result<Vec<u8>> {
        let bytes = arg(args, 0).to_bytes()?;
        match args.len() {
            1 => Ok(bytes),
            _ => cut(&bytes, arg(args, 1).size()?, arg(args, 2).size()?).map(<[u8]>::to_vec),
        }
    };
    match (native, name) {
        (_, "getbytes") => Ok(Value::bytes(arg(args, 0).text().into_bytes())),
        (Native::Oem, "getstring") => Ok(oem_text(&input()?).into()),
        (_, "getstring" | "getcharcount") => {
            let bytes = input()?;
            let text = match std::str::from_utf8(&bytes) {
                Ok(text) => text.to_owned(),
                Err(_) if matches!(native, Native::Utf8 { strict: true }) => {
                    return Err(Thrown::of("text.decoderfallbackexception", "Unable to translate bytes."));
                }
                Err(_) => String::from_utf8_lossy(&bytes).into_owned(),
            };
            Ok(if name == "getstring" { text.into() } else { Value::Int(text.encode_utf16().count() as i64) })
        }
        _ => Err(lacks("an encoding", name)),
    }
}

fn text_method(text: &str, name: &str, args: &[Value]) -> Result<Value> {
    let given = |at| arg(args, at).text();
    let set = |at: usize| -> Vec<char> {
        match args.get(at) {
            Some(value) => value.parts().iter().flat_map(|v| v.text().chars().collect::<Vec<_>>()).collect(),
            None => vec![' ', '\t', '\r', '\n'],
        }
    };
    let out =
        || Thrown::of("argumentoutofrangeexception", "Index and length must refer to a location within the string.");
    Ok(match name {
        "replace" => text.replace(&given(0), &given(1)).into(),
        "tolower" | "tolowerinvariant" => text.to_lowercase().into(),
        "toupper" | "toupperinvariant" => text.to_uppercase().into(),
        "trim" => text.trim_matches(set(0).as_slice()).into(),
        "trimend" => text.trim_end_matches(set(0).as_slice()).into(),
        "trimstart" => text.trim_start_matches(set(0).as_slice()).into(),
        "contains" => Value::Bool(text.contains(&given(0))),
        "startswith" => Value::Bool(text.starts_with(&given(0))),
        "endswith" => Value::Bool(text.ends_with(&given(0))),
        "indexof" => {
            let at = text.find(&given(0)).map(|at| text.get(..at).unwrap_or_default().chars().count());
            Value::Int(at.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
        }
        "split" => Value::list(text.split(set(0).as_slice()).map(Value::from).collect()),
        "substring" => {
            let chars: Vec<char> = text.chars().collect();
            let from = arg(args, 0).size()?;
            let to = match args.get(1) {
                Some(length) => from.saturating_add(length.size()?),
                None => chars.len(),
            };
            chars.get(from..to).ok_or_else(out)?.iter().collect::<String>().into()
        }
        "padleft" | "padright" => {
            let width = arg(args, 0).size()?.min(1 << 16);
            let fill = args.get(1).and_then(|v| v.text().chars().next()).unwrap_or(' ');
            let missing = width.saturating_sub(text.chars().count());
            let pad: String = std::iter::repeat_n(fill, missing).collect();
            if name == "padleft" { (pad + text).into() } else { (text.to_owned() + &pad).into() }
        }
        "tostring" => text.into(),
        _ => return Err(Thrown::new(format!("[System.String] does not contain a method named '{name}'."))),
    })
}

pub fn cast(kind: &str, value: &Value) -> Result<Value> {
    Ok(match kind {
        "void" => Value::Null,
        "int" | "long" | "int32" | "int64" | "uint32" | "uint64" | "byte" => Value::Int(value.int()?),
        "double" | "decimal" | "float" => Value::Double(value.double()?),
        "string" => value.text().into(),
        "bool" | "switch" => Value::Bool(value.truth()),
        "char" => match value {
            Value::Text(text) if text.chars().count() == 1 => text.chars().next().map_or(Value::Null, Value::Char),
            other => {
                let code = u32::try_from(other.int()?).ok().and_then(char::from_u32);
                code.map_or(Value::Null, Value::Char)
            }
        },
        "byte[]" => Value::bytes(value.to_bytes()?),
        "array" | "object[]" | "string[]" | "int[]" => Value::list(value.parts()),
        "pscustomobject" | "psobject" => match value {
            Value::Hash(pairs) => {
                let pairs = pairs.borrow().clone();
                let fields = pairs.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
                Value::object("pscustomobject", Native::None, fields)
            }
            other => other.clone(),
        },
        _ => return Err(lacks("types", &format!("[{kind}]"))),
    })
}

pub fn like(text: &str, pattern: &str) -> bool {
    let escaped = regex::escape(&pattern.to_lowercase()).replace("\\*", ".*").replace("\\?", ".");
    regex::Regex::new(&format!("(?s)^{escaped}$")).is_ok_and(|pattern| pattern.is_match(&text.to_lowercase()))
}

fn pattern(text: &str) -> Result<regex::Regex> {
    regex::Regex::new(&format!("(?i){text}")).map_err(|e| Thrown::of("argumentexception", e.to_string()))
}

/// Whether two values are the same, as `-eq` has it: the left one says how they are compared.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Null, _) | (_, Value::Null) => false,
        (Value::Int(_) | Value::Double(_), _) => {
            left.double().ok().zip(right.double().ok()).is_some_and(|(a, b)| a == b)
        }
        (Value::Bool(is), other) => *is == other.truth(),
        (Value::Object(a), Value::Object(b)) => Rc::ptr_eq(a, b),
        _ => left.text().to_lowercase() == right.text().to_lowercase(),
    }
}

fn less(left: &Value, right: &Value) -> Result<bool> {
    match left {
        Value::Text(text) => Ok(text.to_lowercase() < right.text().to_lowercase()),
        _ => Ok(left.double()? < right.double()?),
    }
}

pub fn binary(op: &str, left: &Value, right: &Value) -> Result<Value> {
    // A list on the left is filtered.
    let filters =
        matches!(op, "-eq" | "-ne" | "-like" | "-notlike" | "-match" | "-notmatch" | "-lt" | "-le" | "-gt" | "-ge");
    if let (true, Value::List(list)) = (filters, left) {
        let mut kept = Vec::new();
        for value in list.borrow().iter() {
            if binary(op, value, right)?.truth() {
                kept.push(value.clone());
            }
        }
        return Ok(Value::list(kept));
    }
    Ok(match op {
        "+" => match (left, right) {
            (Value::List(_) | Value::Bytes(_), _) => {
                let mut all = left.parts();
                all.extend(right.parts());
                Value::list(all)
            }
            (Value::Hash(a), Value::Hash(b)) => {
                let all = a.borrow().iter().chain(b.borrow().iter()).cloned().collect();
                Value::Hash(Rc::new(RefCell::new(all)))
            }
            (Value::Null, other) => other.clone(),
            (Value::Text(_) | Value::Char(_), _) => (left.text() + &right.text()).into(),
            _ => number(left, right, i64::checked_add, |a, b| a + b)?,
        },
        "-" => number(left, right, i64::checked_sub, |a, b| a - b)?,
        "*" => match left {
            Value::Text(text) => text.repeat(right.size()?.min(1 << 20)).into(),
            _ => number(left, right, i64::checked_mul, |a, b| a * b)?,
        },
        "/" | "%" if right.double()? == 0.0 => {
            return Err(Thrown::of("management.automation.runtimeexception", "Attempted to divide by zero."));
        }
        "/" => match (left.double()?, right.double()?) {
            (a, b) if (a / b).fract() == 0.0 && !matches!(left, Value::Double(_)) => Value::Int((a / b) as i64),
            (a, b) => Value::Double(a / b),
        },
        "%" => number(left, right, i64::checked_rem, |a, b| a % b)?,
        "-band" => Value::Int(left.int()? & right.int()?),
        "-bor" => Value::Int(left.int()? | right.int()?),
        "-bxor" => Value::Int(left.int()? ^ right.int()?),
        "-xor" => Value::Bool(left.truth() != right.truth()),
        "-eq" => Value::Bool(same(left, right)),
        "-ne" => Value::Bool(!same(left, right)),
        "-ceq" => Value::Bool(left.text() == right.text()),
        "-cne" => Value::Bool(left.text() != right.text()),
        "-lt" => Value::Bool(less(left, right)?),
        "-gt" => Value::Bool(less(right, left)?),
        "-le" => Value::Bool(!less(right, left)?),
        "-ge" => Value::Bool(!less(left, right)?),
        "-contains" => Value::Bool(left.parts().iter().any(|v| same(v, right))),
        "-notcontains" => Value::Bool(!left.parts().iter().any(|v| same(v, right))),
        "-in" => Value::Bool(right.parts().iter().any(|v| same(v, left))),
        "-notin" => Value::Bool(!right.parts().iter().any(|v| same(v, left))),
        "-like" => Value::Bool(like(&left.text(), &right.text())),
        "-notlike" => Value::Bool(!like(&left.text(), &right.text())),
        "-match" => Value::Bool(pattern(&right.text())?.is_match(&left.text())),
        "-notmatch" => Value::Bool(!pattern(&right.text())?.is_match(&left.text())),
        "-replace" => {
            let parts = right.parts();
            let (from, to) = (arg(&parts, 0).text(), arg(&parts, 1).text());
            pattern(&from)?.replace_all(&left.text(), to.as_str()).into_owned().into()
        }
        "-split" => Value::list(pattern(&right.text())?.split(&left.text()).map(Value::from).collect()),
        "-join" => left.parts().iter().map(Value::text).collect::<Vec<_>>().join(&right.text()).into(),
        "-f" => format(&left.text(), &right.parts()).into(),
        ".." => {
            let (from, to) = (left.int()?, right.int()?);
            if from.abs_diff(to) > 100_000 {
                return Err(Thrown::new("The range is too large."));
            }
            let all: Vec<Value> = if from <= to {
                (from..=to).map(Value::Int).collect()
            } else {
                (to..=from).rev().map(Value::Int).collect()
            };
            Value::list(all)
        }
        _ => return Err(lacks("operators", op)),
    })
}

/// `{0}` and its like; how a value is to be shown is not minded.
fn format(text: &str, values: &[Value]) -> String {
    let mut out = text.to_owned();
    for (at, value) in values.iter().enumerate() {
        out = out.replace(&format!("{{{at}}}"), &value.text());
    }
    out
}

fn number(
    left: &Value,
    right: &Value,
    whole: fn(i64, i64) -> Option<i64>,
    broken: fn(f64, f64) -> f64,
) -> Result<Value> {
    if matches!(left, Value::Double(_)) || matches!(right, Value::Double(_)) {
        return Ok(Value::Double(broken(left.double()?, right.double()?)));
    }
    // A text on the right becomes a number; one with a fraction stays one.
    if let Value::Text(text) = right
        && text.contains('.')
    {
        return Ok(Value::Double(broken(left.double()?, text.trim().parse().unwrap_or(f64::NAN))));
    }
    let (a, b) = (left.int()?, right.int()?);
    Ok(whole(a, b).map_or_else(|| Value::Double(broken(a as f64, b as f64)), Value::Int))
}

/// How long something waits at most, from milliseconds.
pub fn duration(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}
