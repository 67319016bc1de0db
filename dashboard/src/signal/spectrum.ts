// Spectra of a waveform: of its samples, and of their envelope in a band, in which the impacts of a bearing stand out.

import { type Complex, fftReal, inverseFft } from './fft'

/** Equally spaced lines from 0 Hz on. */
export interface Spectrum {
  /** Distance of two lines, Hz. */
  step: number
  /** Peak amplitude of each line, in the unit of the samples. */
  amplitudes: Float64Array
}

/** A frequency band, Hz. */
export interface Band {
  low: number
  high: number
}

function mean(samples: ArrayLike<number>): number {
  let sum = 0
  for (let n = 0; n < samples.length; n++) sum += samples[n]!
  return samples.length ? sum / samples.length : 0
}

/**
 * Amplitude spectrum of the samples without their mean, with a Hann window, which keeps a strong line from masking its
 * neighbours. Divided by the window's mean (½), so that a sine of amplitude A on a line reads A.
 */
export function spectrum(samples: ArrayLike<number>, rate: number): Spectrum {
  const count = samples.length
  const level = mean(samples)
  const windowed = new Float64Array(count)
  for (let n = 0; n < count; n++) {
    windowed[n] = (samples[n]! - level) * 0.5 * (1 - Math.cos((2 * Math.PI * n) / count))
  }
  return { step: count ? rate / count : 0, amplitudes: oneSided(fftReal(windowed), 0.5) }
}

/** Amplitudes of the lines up to half the sampling rate, divided by the window's gain. */
function oneSided(transform: Complex, gain: number): Float64Array {
  const count = transform.re.length
  const lines = Math.floor(count / 2) + 1
  const amplitudes = new Float64Array(count ? lines : 0)
  for (let k = 0; k < amplitudes.length; k++) {
    // The lines at 0 Hz and at half the rate are single; every other line also occurs at −k.
    const twice = k === 0 || 2 * k === count ? 1 : 2
    amplitudes[k] = (twice * Math.hypot(transform.re[k]!, transform.im[k]!)) / (count * gain)
  }
  return amplitudes
}

/**
 * The analytic signal of the samples in a band: its real part is the band-limited signal, its modulus the envelope
 * (Hilbert transform).
 */
export function analytic(samples: ArrayLike<number>, rate: number, band: Band): Complex {
  const transform = fftReal(samples)
  const count = transform.re.length
  for (let k = 0; k < count; k++) {
    const frequency = (k * rate) / count
    const positive = 2 * k < count
    const inside = positive && k > 0 && frequency >= band.low && frequency <= band.high
    const factor = inside ? 2 : 0
    transform.re[k]! *= factor
    transform.im[k]! *= factor
  }
  return inverseFft(transform)
}

/** The envelope of the samples in a band, in their unit. */
export function envelope(samples: ArrayLike<number>, rate: number, band: Band): Float64Array {
  const { re, im } = analytic(samples, rate, band)
  return re.map((value, n) => Math.hypot(value, im[n]!))
}

/**
 * Spectrum of the squared envelope (Randall and Antoni 2011). Returns the square root of each line, so that its unit
 * is that of the samples, as in featurize's `…_amplitude`.
 */
export function envelopeSpectrum(samples: ArrayLike<number>, rate: number, band: Band): Spectrum {
  const squared = envelope(samples, rate, band).map(value => value * value)
  const { step, amplitudes } = spectrum(squared, rate)
  return { step, amplitudes: amplitudes.map(Math.sqrt) }
}

/**
 * The lines up to a frequency, reduced to at most `maxLines` lines. Of neighbouring lines the highest is kept, so that
 * no peak is lost.
 */
export function downsample(
  spectrum: Spectrum,
  maxFrequency: number,
  maxLines: number,
): { frequencies: number[]; amplitudes: number[] } {
  const lines = Math.min(
    spectrum.amplitudes.length,
    spectrum.step > 0 ? Math.floor(maxFrequency / spectrum.step + 1e-9) + 1 : 0,
  )
  const groupSize = Math.max(1, Math.ceil(lines / Math.max(1, maxLines)))
  const frequencies: number[] = []
  const amplitudes: number[] = []
  for (let start = 0; start < lines; start += groupSize) {
    let best = start
    for (let k = start; k < Math.min(lines, start + groupSize); k++) {
      if (spectrum.amplitudes[k]! > spectrum.amplitudes[best]!) best = k
    }
    frequencies.push(best * spectrum.step)
    amplitudes.push(spectrum.amplitudes[best]!)
  }
  return { frequencies, amplitudes }
}

/** Level in dB relative to a reference, but at least `floor`. */
export function decibel(amplitude: number, reference: number, floor: number): number {
  if (!(amplitude > 0) || !(reference > 0)) return floor
  return Math.max(floor, 20 * Math.log10(amplitude / reference))
}
