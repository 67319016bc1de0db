"""Run once after the renames of h9.tsv, from the repository root. It fixes what rust-analyzer does not see: links in doc
comments, and fuzz/ (a workspace of its own)."""
import glob, re

def sub(path, *rules):
    for p in glob.glob(path, recursive=True):
        t = old = open(p).read()
        for a, b in rules:
            t = re.sub(a, b, t)
        if t != old:
            open(p, 'w').write(t)
            print('changed', p)

def links(names):
    return [(r'(//.*\[`)%s(`\])' % re.escape(a), r'\g<1>%s\2' % b) for a, b in names.items() for _ in (0, 1, 2)]

sub('edge/access/src/**/*.rs', *links({
    'AuthError::Refused': 'AuthError::Rejected', 'SignatureError::Refused': 'SignatureError::Rejected',
    'AuthError::KeysNeeded': 'AuthError::IssuerKeysNeeded', 'LoginError::Wrong': 'LoginError::WrongCredentials',
    'LoginError::Locked': 'LoginError::LockedOut', 'AccessError::Seal': 'AccessError::Decryption',
    'Access::reseal': 'Access::reencrypt', 'Self::seal': 'Self::encrypt_column', 'Access::limits': 'Access::rate_limiter',
    'Access::lost_by_syslog': 'Access::syslog_dropped', 'Self::fetch_keys': 'Self::fetch_issuer_keys',
    'crate::Access::fetch_keys': 'crate::Access::fetch_issuer_keys',
    'crate::database::Database::changes': 'crate::database::Database::change_count',
    'NoncePermit::keep': 'NonceReservation::commit', 'Self::locked': 'Self::remaining_wait', 'timely': 'check_times',
    **{f'Event::{f}': f'AuditEvent::{f}' for f in ('actor', 'action', 'target', 'outcome', 'address', 'detail')},
    **{f'Class::{v}': f'RateClass::{v}' for v in ('Detect', 'Schedule', 'Login', 'Ingest', 'Other')},
}))
sub('edge/access/src/*.rs', (r'(/// .*\[`)seal(`\])', r'\1encrypt\2'))
sub('edge/config/src/**/*.rs', *links({'crate::FORMATS': 'crate::PAYLOAD_FORMATS'}))
sub('fuzz/src/access.rs',
    (r'\bMonotonic\b', 'MonotonicClock'), (r'\bJwks\b', 'JwksSource'), (r'\bSignatures\b', 'SignatureVerifier'),
    (r'wheeltapper_access::Fetch\b', 'wheeltapper_access::FetchUrl'), (r'\.fetch_keys\(', '.fetch_issuer_keys('),
    (r'\.access\.seal\(', '.access.encrypt_column('), (r'\.access\.unseal\(', '.access.decrypt_column('),
    (r'\bsignatures\.head\(', 'signatures.check_headers('))
