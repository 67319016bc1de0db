//! The keyring: the secrets for signing tokens, encrypting columns and the audit log's hash chain. It is in the file
//! `access.key` or in an environment variable.
//!
//! The file has one key on each line, the newest last: `id:created:64 hexadecimal digits`. `:retired` is appended to a
//! key that may not verify tokens any more. Each purpose uses its own key, derived from the secret of the line.

use std::{
    fmt, fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use crate::{AccessError, random};

// BLAKE3 key derivation contexts, one for each purpose.
const TOKEN_CONTEXT: &str = "wheeltapper 2026 access tokens";
const COLUMN_CONTEXT: &str = "wheeltapper 2026 sealed columns";
const AUDIT_CONTEXT: &str = "wheeltapper 2026 audit chain";

/// One key of the keyring.
#[derive(Clone)]
pub(crate) struct KeyringKey {
    pub(crate) id: String,
    pub(crate) created: i64,
    secret: [u8; 32],
    pub(crate) retired: bool,
}

impl fmt::Debug for KeyringKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Secrets must not reach a log.
        out.debug_struct("Key").field("id", &self.id).field("retired", &self.retired).finish_non_exhaustive()
    }
}

impl KeyringKey {
    fn generate(now: i64) -> Result<Self, AccessError> {
        let id = hex::encode(random::bytes::<4>()?);
        Ok(Self { id, created: now, secret: random::bytes()?, retired: false })
    }

    pub(crate) fn token_key(&self) -> [u8; 32] {
        blake3::derive_key(TOKEN_CONTEXT, &self.secret)
    }

    pub(crate) fn column_key(&self) -> [u8; 32] {
        blake3::derive_key(COLUMN_CONTEXT, &self.secret)
    }

    pub(crate) fn audit_key(&self) -> [u8; 32] {
        blake3::derive_key(AUDIT_CONTEXT, &self.secret)
    }

    fn to_line(&self) -> String {
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

/// Description of a key without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Id of the key, which is the `kid` of its tokens and part of each encrypted value.
    pub id: String,
    /// When it was created, in nanoseconds since 1970.
    pub created: i64,
    /// Whether new tokens and encrypted values use it.
    pub newest: bool,
    /// Whether tokens signed with it are rejected.
    pub retired: bool,
}

/// All keys of the keyring at one moment; never empty.
#[derive(Clone, Debug)]
pub(crate) struct KeySet(Vec<KeyringKey>);

impl KeySet {
    fn parse(text: &str) -> Result<Self, AccessError> {
        let mut keys: Vec<KeyringKey> = Vec::new();
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim_start().starts_with('#'));
        // Commas separate keys too, because an environment variable with line breaks is awkward.
        let parts = lines.flat_map(|(number, line)| line.split(',').map(move |part| (number, part.trim())));
        for (number, line) in parts.filter(|(_, part)| !part.is_empty()) {
            let key = KeyringKey::parse(line).ok_or_else(|| {
                AccessError::Keyring(format!(
                    "line {number} is not a key; write it as id:created:64 hexadecimal digits"
                ))
            })?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(AccessError::Keyring(format!("it contains key {} twice; remove one of them", key.id)));
            }
            keys.push(key);
        }
        if keys.last().is_none_or(|newest| newest.retired) {
            return Err(AccessError::Keyring(
                "the last key is retired or missing; add a key that is not retired as the last line".into(),
            ));
        }
        Ok(Self(keys))
    }

    /// The key that signs new tokens and encrypts new values.
    pub(crate) fn newest(&self) -> Result<&KeyringKey, AccessError> {
        self.0.last().ok_or_else(|| AccessError::Keyring("it is empty".into()))
    }

    pub(crate) fn find(&self, id: &str) -> Option<&KeyringKey> {
        self.0.iter().find(|key| key.id == id)
    }
}

/// Modification time and length of the keyring file, to detect a rotation by another process.
type FileStamp = Option<(SystemTime, u64)>;

/// The keyring and its source.
#[derive(Debug)]
pub(crate) struct Keyring {
    /// `None` when the keyring comes from the environment.
    file: Option<PathBuf>,
    keys: RwLock<(Arc<KeySet>, FileStamp)>,
}

impl Keyring {
    /// Reads the keys from `text` (the environment variable), or else from `file`. A missing file is created if
    /// `create` is set.
    pub(crate) fn open(file: &Path, text: Option<&str>, create: bool, now: i64) -> Result<Self, AccessError> {
        if let Some(text) = text {
            let ring =
                KeySet::parse(text).map_err(|error| AccessError::Keyring(format!("WHEELTAPPER_KEY: {error}")))?;
            return Ok(Self { file: None, keys: RwLock::new((Arc::new(ring), None)) });
        }
        if !file.exists() {
            if !create {
                return Err(AccessError::Keyring(format!(
                    "{} is missing, but access.db was created with a keyring; \
                     put it back, or set WHEELTAPPER_KEY to the keyring used before",
                    file.display()
                )));
            }
            write_file(file, &KeySet(vec![KeyringKey::generate(now)?]), true)?;
        }
        let (ring, stamp) = load_file(file)?;
        Ok(Self { file: Some(file.to_owned()), keys: RwLock::new((Arc::new(ring), stamp)) })
    }

    /// Returns the current keys. Reads the file again when it has changed.
    pub(crate) fn current_keys(&self) -> Result<Arc<KeySet>, AccessError> {
        let (ring, stamp) = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(file) = &self.file else { return Ok(ring) };
        if file_stamp(file) == stamp {
            return Ok(ring);
        }
        let (ring, stamp) = load_file(file)?;
        let ring = Arc::new(ring);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = (Arc::clone(&ring), stamp);
        Ok(ring)
    }

    /// Adds a new key and returns its id. With `retire`, tokens signed with the older keys become invalid.
    pub(crate) fn rotate(&self, retire: bool, now: i64) -> Result<String, AccessError> {
        let Some(file) = &self.file else {
            let line = KeyringKey::generate(now)?.to_line();
            return Err(AccessError::Keyring(format!(
                "it comes from WHEELTAPPER_KEY, which this program cannot change; \
                 add a comma and this key to the end of the variable: {line}"
            )));
        };
        let mut ring = KeySet::clone(&*self.current_keys()?);
        for key in &mut ring.0 {
            key.retired |= retire;
        }
        let key = KeyringKey::generate(now)?;
        let id = key.id.clone();
        ring.0.push(key);
        write_file(file, &ring, false)?;
        self.current_keys()?;
        Ok(id)
    }

    pub(crate) fn list(&self) -> Result<Vec<KeyInfo>, AccessError> {
        let ring = self.current_keys()?;
        let newest = ring.newest()?.id.clone();
        let info = |key: &KeyringKey| KeyInfo {
            newest: key.id == newest,
            id: key.id.clone(),
            created: key.created,
            retired: key.retired,
        };
        Ok(ring.0.iter().map(info).collect())
    }
}

fn file_stamp(file: &Path) -> FileStamp {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn load_file(file: &Path) -> Result<(KeySet, FileStamp), AccessError> {
    use std::os::unix::fs::PermissionsExt as _;
    let wrong = |error: &dyn fmt::Display| AccessError::Keyring(format!("{}: {error}", file.display()));
    let stamp = file_stamp(file);
    let mode = fs::metadata(file).map_err(|error| wrong(&error))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(wrong(&format!("other users may read it (mode {:o}); run chmod 600 on it", mode & 0o777)));
    }
    let text = fs::read_to_string(file).map_err(|error| wrong(&error))?;
    Ok((KeySet::parse(&text).map_err(|error| wrong(&error))?, stamp))
}

/// Writes a temporary file in the same folder and renames it, so that the keyring is always complete. With `first`, a
/// file that another process created in the meantime is kept instead.
fn write_file(file: &Path, ring: &KeySet, first: bool) -> Result<(), AccessError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let wrong = |error: std::io::Error| AccessError::Keyring(format!("{} cannot be written: {error}", file.display()));
    let mut text = String::from(
        "# Keyring of Wheeltapper, newest key last. Anyone who has it can sign in as any user: \
         back it up, and keep it secret.\n",
    );
    for key in &ring.0 {
        text.push_str(&key.to_line());
        text.push('\n');
    }
    let temporary = file.with_extension(format!("key-{}", random::id()?));
    let mut options = fs::OpenOptions::new();
    let mut output = options.write(true).create_new(true).mode(0o600).open(&temporary).map_err(wrong)?;
    output.write_all(text.as_bytes()).and_then(|()| output.sync_all()).map_err(wrong)?;
    if first {
        let linked = fs::hard_link(&temporary, file);
        fs::remove_file(&temporary).map_err(wrong)?;
        linked.or_else(|error| if file.exists() { Ok(()) } else { Err(wrong(error)) })?;
    } else {
        fs::rename(&temporary, file).map_err(wrong)?;
    }
    if let Some(folder) = file.parent() {
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrong)?;
    }
    Ok(())
}
