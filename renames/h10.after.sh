#!/bin/sh
# usage: h10.after.sh ROOT. Run after ra.py has applied h10.tsv: what rust-analyzer does not see (cfg feature `fuzzing`,
# the workspace in fuzz/), and shorthand patterns that it expands. Idempotent.
cd "$1" || exit 1
f=edge/mqtt/src/fuzzing.rs
sed -i -E 's/\bframe\.header\b/frame.header_length/g; s/\bframe\.length\b/frame.packet_length/g; s/\bframe\.first\b/frame.first_byte/g; s/topic::is_name\(/topic::is_valid_name(/g' $f
rustfmt --edition 2024 $f
sed -i -E 's/\bburst_seconds: /waveform_seconds: /' fuzz/src/recordings.rs
# Tick { waveforms: bursts, .. } and their locals
for f in edge/simulate/src/publish/http.rs edge/simulate/src/publish/mqtt.rs edge/simulate/src/fleet/mod.rs edge/simulate/src/recording/npy.rs edge/simulate/tests/publish.rs; do
  sed -i -E 's/\bwaveforms: bursts\b/waveforms/g; s/\bsamples_per_waveform: burst\b/samples_per_waveform/g; s/\bnext_waveform: next_burst\b/next_waveform/g; s/\blet burst = \(\(/let samples_per_waveform = ((/; s/\bnext_burst\b/next_waveform/g; s/\bbursts\b/waveforms/g; ' $f
  perl -pi -e 's/(?<![-\w])burst\b/waveform/g' $f
  rustfmt --edition 2024 $f
done
sed -i 's/wheeltapper_evaluate::Line`\]/wheeltapper_evaluate::Pipeline`]/' edge/src/evaluation/*.rs
git grep -nwE 'bursts?|Burst' -- edge/simulate edge/evaluate | grep -v -- '--burst' || true
