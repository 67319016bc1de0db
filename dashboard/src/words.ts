// What the line's short names mean, in words.

const FAULTS: Record<string, string> = {
  imbalance: 'Imbalance',
  misalignment: 'Misalignment',
  'bearing-outer-race': 'Bearing: outer race',
  'bearing-inner-race': 'Bearing: inner race',
  'bearing-ball': 'Bearing: rolling element',
  'bearing-cage': 'Bearing: cage',
  'bearing-impacts': 'Bearing: impacts',
  'gear-wear': 'Gear wear',
  lubrication: 'Lubrication',
  cavitation: 'Cavitation',
  overheating: 'Overheating',
  'electrical-overload': 'Electrical overload',
  'sensor-dropout': 'Sensor drops readings',
  'sensor-stuck': 'Sensor is stuck',
}

const FEATURES: Record<string, string> = {
  mean: 'mean',
  std: 'spread (standard deviation)',
  min: 'lowest value',
  max: 'highest value',
  rms: 'RMS',
  peak: 'peak',
  peak_to_peak: 'peak to peak',
  crest_factor: 'crest factor',
  skewness: 'skewness',
  kurtosis: 'kurtosis',
  dominant_frequency: 'strongest frequency',
  dominant_magnitude: 'strongest line’s amplitude',
  spectral_entropy: 'spectral entropy',
  spectral_kurtosis: 'spectral kurtosis',
  q25: 'lower quartile',
  q50: 'median',
  q75: 'upper quartile',
  iqr: 'spread (quartiles)',
  rolling_mean_std: 'slow fluctuation',
  trend_slope: 'slope',
  rate_of_change: 'rate of change',
  cusum: 'step within the window',
  missing_ratio: 'share of missing readings',
  stuck: 'share of equal readings',
  velocity_rms: 'velocity RMS (10–1,000 Hz)',
  iso_zone: 'ISO 20816 zone',
  cepstrum_peak: 'cepstrum peak',
  cepstrum_quefrency: 'cepstrum quefrency',
  shaft_hz: 'shaft speed',
  mesh_ratio: 'gear mesh line over background',
  mesh_sidebands: 'gear mesh sidebands',
}

const PARTS: Record<string, string> = { outer: 'outer race', inner: 'inner race', ball: 'rolling element', cage: 'cage' }

const LINES: Record<string, string> = {
  ratio: 'line over background',
  evidence: 'evidence',
  strength: 'strength',
  frequency: 'frequency',
  harmonics: 'harmonics',
  sidebands: 'sidebands',
  amplitude: 'line’s amplitude',
}

const REASONS: Record<string, { title: string; todo: string }> = {
  malformed: { title: 'Not readable', todo: 'Compare the payload with the format named; the content type may be wrong.' },
  oversize: { title: 'Too large', todo: 'Send smaller events, or raise the limit in the configuration.' },
  'non-finite': { title: 'NaN or infinite', todo: 'Leave such readings out at the device: they say nothing.' },
  'too-old': { title: 'Time too old', todo: 'Check the device’s clock, and the unit of its time stamps (s, ms, ns).' },
  'in-future': { title: 'Time in the future', todo: 'Check the device’s clock and its time zone.' },
  'unknown-sensor': { title: 'Unknown sensor', todo: 'Add the sensor to the configuration, or let unknown ones in.' },
  'out-of-range': { title: 'Out of range', todo: 'Check the sensor, its wiring, and the limits in the configuration.' },
  duplicate: { title: 'Came twice', todo: 'Harmless after a reconnect. If it goes on, the device sends everything twice.' },
  'stage-failure': { title: 'A stage failed on it', todo: 'Look at the host’s log, then send it again.' },
}

const spaced = (name: string): string => name.replaceAll(/[-_]/g, ' ')

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** A fault mode; none where nothing is named. */
export const fault = (mode: string | null | undefined): string =>
  mode ? (FAULTS[mode] ?? capital(spaced(mode))) : 'Cause not named'

/** A feature of a window. */
export function featureName(name: string): string {
  const known = FEATURES[name]
  if (known) return known
  const octave = /^octave_(\d+)$/.exec(name)
  if (octave) return `level around ${octave[1] === '31' ? '31.5' : Number(octave[1]).toLocaleString()} Hz`
  const [part, line] = [name.slice(0, name.indexOf('_')), name.slice(name.indexOf('_') + 1)]
  if (PARTS[part] && LINES[line]) return `${PARTS[part]} ${LINES[line]}`
  return spaced(name)
}

/** Why something was refused. */
export const refusal = (reason: string): { title: string; todo: string } =>
  REASONS[reason] ?? { title: capital(spaced(reason)), todo: 'Look at the message and the payload.' }

/** A kind of work. */
export const work = (kind: string): string => capital(spaced(kind))

/** A detector. */
export function modelName(model: string): string {
  const known: Record<string, string> = {
    envelope: 'envelope (bearing lines by physics)',
    octaves: 'octaves (levels of a burst)',
    readings: 'readings (lost or stuck)',
    ensemble: 'ensemble (all sensors of the machine together)',
  }
  return known[model] ?? model
}

/** What a drift's kind means. */
export const driftName = (kind: string): string =>
  ({ drifted: 'Normal has moved', kept: 'Kept as it was', switched: 'Learnt anew' })[kind] ?? capital(spaced(kind))

const DEEDS: Record<string, string> = {
  acknowledge: 'Acknowledged',
  handle: 'Dealt with',
  'false-alarm': 'Called a false alarm',
  comment: 'Remarked',
  'order-repair': 'Ordered a repair',
  amend: 'Changed a work order',
  plan: 'Asked for a plan',
}

/** What somebody did. */
export const deedName = (deed: string): string => DEEDS[deed] ?? capital(spaced(deed))

/** The state of a work order. */
export const orderStatus = (status: string): string => capital(spaced(status))
