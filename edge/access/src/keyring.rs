//! The keyring: the secrets that tokens, seals and the audit are made with, in the file `access.key` or the environment.
//!
//! One line a key, the newest last: `id:created:64 hexadecimal digits`, with `:retired` behind it once it may not verify
//! tokens any more. Every use has a key of its own, derived from the line's.

use std::{
    fmt, fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use crate::{AccessError, random};

/// What a derived key is for; BLAKE3 keeps them apart.
const TOKENS: &str = "wheeltapper 2026 access tokens";
const SEALS: &str = "wheeltapper 2026 sealed columns";
const AUDIT: &str = "wheeltapper 2026 audit chain";

/// One key.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) created: i64,
    secret: [u8; 32],
    pub(crate) retired: bool,
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Secrets must not reach a log.
        out.debug_struct("Key").field("id", &self.id).field("retired", &self.retired).finish_non_exhaustive()
    }
}

impl Key {
    fn make(now: i64) -> Result<Self, AccessError> {
        let id = hex::encode(random::bytes::<4>()?);
        Ok(Self { id, created: now, secret: random::bytes()?, retired: false })
    }

    pub(crate) fn for_tokens(&self) -> [u8; 32] {
        blake3::derive_key(TOKENS, &self.secret)
    }

    pub(crate) fn for_seals(&self) -> [u8; 32] {
        blake3::derive_key(SEALS, &self.secret)
    }

    pub(crate) fn for_audit(&self) -> [u8; 32] {
        blake3::derive_key(AUDIT, &self.secret)
    }

    fn line(&self) -> String {
        let retired = if self.retired { ":retired" } else { "" };
        format!("{}:{}:{}{retired}", self.id, self.created, hex::encode(self.secret))
    }

    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(':');
        let (id, created, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let retired = match (parts.next(), parts.next()) {
            (None, None) => false,
            (Some("retired"), None) => true,
            _ => return None,
        };
        let plain = !id.is_empty() && id.len() <= 32 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let secret = hex::decode(secret).ok()?.try_into().ok()?;
        plain.then_some(Self { id: id.to_owned(), created: created.parse().ok()?, secret, retired })
    }
}

/// What the owner of the keyring is shown of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its id, as `kid` of tokens and in sealed values.
    pub id: String,
    /// When it was made, in nanoseconds since 1970.
    pub created: i64,
    /// Whether new tokens and seals are made with it.
    pub newest: bool,
    /// Whether tokens of it are refused.
    pub retired: bool,
}

/// The keys at one moment; never empty.
#[derive(Clone, Debug)]
pub(crate) struct Ring(Vec<Key>);

impl Ring {
    fn parse(text: &str) -> Result<Self, AccessError> {
        let mut keys: Vec<Key> = Vec::new();
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim_start().starts_with('#'));
        // Commas for the environment, where lines are awkward.
        let parts = lines.flat_map(|(number, line)| line.split(',').map(move |part| (number, part.trim())));
        for (number, line) in parts.filter(|(_, part)| !part.is_empty()) {
            let key = Key::parse(line).ok_or_else(|| {
                AccessError::Keyring(format!("line {number} is no key; it is written id:created:64 hexadecimal digits"))
            })?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(AccessError::Keyring(format!("the key {} is there twice", key.id)));
            }
            keys.push(key);
        }
        if keys.last().is_none_or(|newest| newest.retired) {
            return Err(AccessError::Keyring("there is no key in use; the last line has to be one".into()));
        }
        Ok(Self(keys))
    }

    /// The one that signs and seals.
    pub(crate) fn newest(&self) -> Result<&Key, AccessError> {
        self.0.last().ok_or_else(|| AccessError::Keyring("it is empty".into()))
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id)
    }
}

/// When a file was changed, and how long it is: another process may have rotated.
type Stamp = Option<(SystemTime, u64)>;

/// The keyring and where it comes from.
#[derive(Debug)]
pub(crate) struct Keyring {
    /// None: the environment.
    file: Option<PathBuf>,
    ring: RwLock<(Arc<Ring>, Stamp)>,
}

impl Keyring {
    /// Takes the keys from `text` (the environment), else from `file`, which is made when `make` allows it.
    pub(crate) fn open(file: &Path, text: Option<&str>, make: bool, now: i64) -> Result<Self, AccessError> {
        if let Some(text) = text {
            let ring = Ring::parse(text).map_err(|error| AccessError::Keyring(format!("WHEELTAPPER_KEY: {error}")))?;
            return Ok(Self { file: None, ring: RwLock::new((Arc::new(ring), None)) });
        }
        if !file.exists() {
            if !make {
                return Err(AccessError::Keyring(format!(
                    "{} is missing, but access.db was made with one; put it back, or set WHEELTAPPER_KEY as it was then",
                    file.display()
                )));
            }
            write(file, &Ring(vec![Key::make(now)?]), true)?;
        }
        let (ring, stamp) = load(file)?;
        Ok(Self { file: Some(file.to_owned()), ring: RwLock::new((Arc::new(ring), stamp)) })
    }

    /// The keys as they are now; read anew when the file has changed.
    pub(crate) fn current(&self) -> Result<Arc<Ring>, AccessError> {
        let (ring, stamp) = self.ring.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(file) = &self.file else { return Ok(ring) };
        if stamp_of(file) == stamp {
            return Ok(ring);
        }
        let (ring, stamp) = load(file)?;
        let ring = Arc::new(ring);
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = (Arc::clone(&ring), stamp);
        Ok(ring)
    }

    /// Adds a key, which is the newest from now on; with `retire`, tokens of the older ones are refused.
    pub(crate) fn rotate(&self, retire: bool, now: i64) -> Result<String, AccessError> {
        let Some(file) = &self.file else {
            let line = Key::make(now)?.line();
            return Err(AccessError::Keyring(format!(
                "it comes from WHEELTAPPER_KEY, so only you can change it; add a comma and this behind what is there: {line}"
            )));
        };
        let mut ring = Ring::clone(&*self.current()?);
        for key in &mut ring.0 {
            key.retired |= retire;
        }
        let key = Key::make(now)?;
        let id = key.id.clone();
        ring.0.push(key);
        write(file, &ring, false)?;
        self.current()?;
        Ok(id)
    }

    pub(crate) fn list(&self) -> Result<Vec<KeyInfo>, AccessError> {
        let ring = self.current()?;
        let newest = ring.newest()?.id.clone();
        let info = |key: &Key| KeyInfo {
            newest: key.id == newest,
            id: key.id.clone(),
            created: key.created,
            retired: key.retired,
        };
        Ok(ring.0.iter().map(info).collect())
    }
}

fn stamp_of(file: &Path) -> Stamp {
    let about = fs::metadata(file).ok()?;
    Some((about.modified().ok()?, about.len()))
}

fn load(file: &Path) -> Result<(Ring, Stamp), AccessError> {
    use std::os::unix::fs::PermissionsExt as _;
    let wrong = |error: &dyn fmt::Display| AccessError::Keyring(format!("{}: {error}", file.display()));
    let stamp = stamp_of(file);
    let mode = fs::metadata(file).map_err(|error| wrong(&error))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(wrong(&format!("others may read it (mode {:o}); chmod 600 it", mode & 0o777)));
    }
    let text = fs::read_to_string(file).map_err(|error| wrong(&error))?;
    Ok((Ring::parse(&text).map_err(|error| wrong(&error))?, stamp))
}

/// Writes beside the file and renames, so that there is always a whole one. A `first` one gives way to one that another
/// process made meanwhile.
fn write(file: &Path, ring: &Ring, first: bool) -> Result<(), AccessError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let wrong = |error: std::io::Error| AccessError::Keyring(format!("{} cannot be written: {error}", file.display()));
    let mut text = String::from(
        "# Wheeltapper's keyring, the newest last. Who has it can sign in as anybody: keep it, and keep it secret.\n",
    );
    for key in &ring.0 {
        text.push_str(&key.line());
        text.push('\n');
    }
    let beside = file.with_extension(format!("key-{}", random::id()?));
    let mut options = fs::OpenOptions::new();
    let mut new = options.write(true).create_new(true).mode(0o600).open(&beside).map_err(wrong)?;
    new.write_all(text.as_bytes()).and_then(|()| new.sync_all()).map_err(wrong)?;
    if first {
        let linked = fs::hard_link(&beside, file);
        fs::remove_file(&beside).map_err(wrong)?;
        linked.or_else(|error| if file.exists() { Ok(()) } else { Err(wrong(error)) })?;
    } else {
        fs::rename(&beside, file).map_err(wrong)?;
    }
    if let Some(folder) = file.parent() {
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrong)?;
    }
    Ok(())
}
