"""Run once after the renames of h1.tsv, from the repository root. It fixes what rust-analyzer does not see: the two
component.rs (cfg(target_family = "wasm")), doc links and names in comments, and fuzz/ (a workspace of its own)."""
import glob, re

def sub(path, *rules):
    for p in glob.glob(path, recursive=True):
        t = old = open(p).read()
        for a, b in rules:
            t = re.sub(a, b, t)
        if t != old:
            open(p, 'w').write(t)
            print('changed', p)

# WIT names stay: `refusals:`, `Refusal`, `features:`, `more:` of the generated types.
sub('components/ingest/src/component.rs',
    (r'\bdecoded\.refusals\b', 'decoded.rejected'), (r'\bcrate::Refusal\b', 'crate::RejectedPart'))
sub('components/featurize/src/component.rs',
    (r'\bcrate::Burst\b', 'crate::Waveform'), (r'\bbursts: &waveforms\b', 'waveforms: &waveforms'),
    (r'\bout\.bursts\b', 'out.waveforms'), (r'\bout\.more\b', 'out.has_more'), (r'\bcrate::Row\b', 'crate::FeatureRow'),
    (r'(?<![A-Z_])BURST_FEATURES\b', 'WAVEFORM_FEATURES'), (r'(?<![A-Z_])FEATURES\b', 'WINDOW_FEATURES'))
links = {'FEATURES': 'WINDOW_FEATURES', 'BURST_FEATURES': 'WAVEFORM_FEATURES', 'BASIC': 'BASIC_FEATURES',
         'TREND': 'TREND_FEATURES', 'MACHINE': 'MACHINE_FEATURES', 'REMEMBERED': 'READINGS_BEHIND_WATERMARK',
         'make_room': 'evict', 'add': 'push_window_row', 'owners': 'dictionary', 'Refusal': 'RejectedPart',
         'Intake::rollback': 'ReadingCollector::rollback'}
for folder in ('components/ingest', 'components/featurize'):
    sub(folder + '/**/*.rs', *((r'(//.*`)%s(`)' % re.escape(a), r'\g<1>%s\2' % b) for a, b in links.items() for _ in (0, 1)))
sub('fuzz/src/**/*.rs',
    (r'\bdecoded\.refusals\b', 'decoded.rejected'), (r'\btwice\.refusals\b', 'twice.rejected'),
    (r'accepted, refusals, \.\. \}', 'accepted, rejected: refusals, .. }'))
sub('fuzz/src/bin/seeds.rs',
    (r'\{Batch, Burst, Featurizer, features::FEATURES\}', '{Batch, Featurizer, Waveform, features::WINDOW_FEATURES}'),
    (r'\[Burst \{', '[Waveform {'), (r'\bbursts: &bursts\b', 'waveforms: &bursts'), (r'= FEATURES\.iter', '= WINDOW_FEATURES.iter'))
