// Display names of the identifiers in the API's data.

const FAULT_NAMES: Record<string, string> = {
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

const FEATURE_NAMES: Record<string, string> = {
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
  dominant_frequency: 'dominant frequency',
  dominant_magnitude: 'amplitude of the dominant frequency',
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

const BEARING_PARTS: Record<string, string> = {
  outer: 'outer race',
  inner: 'inner race',
  ball: 'rolling element',
  cage: 'cage',
}

const LINE_FEATURES: Record<string, string> = {
  ratio: 'line over background',
  evidence: 'evidence',
  strength: 'strength',
  frequency: 'frequency',
  harmonics: 'harmonics',
  sidebands: 'sidebands',
  amplitude: 'line amplitude',
}

const REJECTION_REASONS: Record<string, { title: string; advice: string }> = {
  malformed: { title: 'Malformed', advice: 'Compare the payload with its format; the content type may be wrong.' },
  oversize: { title: 'Too large', advice: 'Send smaller events, or raise the limit in the configuration.' },
  'non-finite': { title: 'NaN or infinite', advice: 'Do not send such readings from the device.' },
  'too-old': {
    title: 'Timestamp too old',
    advice: 'Check the device’s clock, and the unit of its timestamps (s, ms, ns).',
  },
  'in-future': { title: 'Timestamp in the future', advice: 'Check the device’s clock and its time zone.' },
  'unknown-sensor': {
    title: 'Unknown sensor',
    advice: 'Add the sensor to the configuration, or allow unknown sensors.',
  },
  'out-of-range': {
    title: 'Out of range',
    advice: 'Check the sensor, its wiring, and the limits in the configuration.',
  },
  duplicate: {
    title: 'Duplicate',
    advice: 'Harmless after a reconnect. If it continues, the device sends everything twice.',
  },
  'stage-failure': { title: 'Stage failure', advice: 'Check the host’s log, then replay the event.' },
}

const withSpaces = (name: string): string => name.replaceAll(/[-_]/g, ' ')

const capitalize = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** Display name of a fault mode. */
export const faultName = (mode: string | null | undefined): string =>
  mode ? (FAULT_NAMES[mode] ?? capitalize(withSpaces(mode))) : 'Unknown fault'

/** Display name of a feature. */
export function featureName(name: string): string {
  const known = FEATURE_NAMES[name]
  if (known) return known
  const octave = /^octave_(\d+)$/.exec(name)
  if (octave) return `level around ${octave[1] === '31' ? '31.5' : Number(octave[1]).toLocaleString()} Hz`
  const [part, line] = [name.slice(0, name.indexOf('_')), name.slice(name.indexOf('_') + 1)]
  if (BEARING_PARTS[part] && LINE_FEATURES[line]) return `${BEARING_PARTS[part]} ${LINE_FEATURES[line]}`
  return withSpaces(name)
}

/** Title and advice for a rejection reason. */
export const rejectionInfo = (reason: string): { title: string; advice: string } =>
  REJECTION_REASONS[reason] ?? { title: capitalize(withSpaces(reason)), advice: 'Check the message and the payload.' }

/** Display name of a kind of work. */
export const workName = (kind: string): string => capitalize(withSpaces(kind))

/** Display name of a detection model. */
export function modelName(model: string): string {
  const known: Record<string, string> = {
    envelope: 'envelope (bearing fault frequencies)',
    octaves: 'octaves (band levels of a waveform)',
    readings: 'readings (missing or stuck)',
    ensemble: 'ensemble (all sensors of the machine)',
  }
  return known[model] ?? model
}

/** Display name of a kind of baseline change. */
export const driftName = (kind: string): string =>
  ({ drifted: 'Baseline changed', kept: 'Baseline kept', switched: 'Relearned' })[kind] ?? capitalize(withSpaces(kind))

const ACTION_NAMES: Record<string, string> = {
  acknowledge: 'Acknowledged',
  handle: 'Handled',
  'false-alarm': 'Marked as false alarm',
  comment: 'Commented',
  'order-repair': 'Ordered a repair',
  amend: 'Changed a work order',
  plan: 'Requested a plan',
  'reset-baseline': 'Reset the baseline',
}

/** Display name of an action. */
export const actionName = (action: string): string => ACTION_NAMES[action] ?? capitalize(withSpaces(action))

const RESET_REASON_NAMES: Record<string, string> = {
  repaired: 'Repaired',
  replaced: 'Replaced',
  cleaned: 'Cleaned',
  'new-operating-mode': 'New operating mode',
  'new-normal': 'The present behaviour is normal',
}

/** Display name of the reason of a reset. */
export const resetReasonName = (reason: string): string =>
  RESET_REASON_NAMES[reason] ?? capitalize(withSpaces(reason))

/** Display name of the state of a work order. */
export const orderStatus = (status: string): string => capitalize(withSpaces(status))
