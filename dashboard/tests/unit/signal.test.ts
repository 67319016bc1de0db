import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultFrequencies, harmonics, impulsiveBand, namedPart, partOfFault } from '../../src/signal/bearing'
import { fft, fftReal, inverseFft } from '../../src/signal/fft'
import { decibel, envelope, envelopeSpectrum, spectrum, downsample } from '../../src/signal/spectrum'

/** Reproducible pseudo-random numbers. */
function* noise(seed = 1): Generator<number, never> {
  for (let state = seed >>> 0; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    yield state / 2 ** 31 - 1
  }
}

const near = (one: number, other: number, within: number, what = ''): void =>
  assert.ok(Math.abs(one - other) <= within, `${what} ${one} is not within ${within} of ${other}`)

test('the transform equals its defining sum at every length', () => {
  const random = noise()
  for (const length of [1, 2, 3, 5, 8, 12, 17, 64, 100, 257]) {
    const re = Float64Array.from({ length }, () => random.next().value)
    const im = Float64Array.from({ length }, () => random.next().value)
    const made = fft({ re, im })
    for (let k = 0; k < length; k++) {
      let [sumRe, sumIm] = [0, 0]
      for (let n = 0; n < length; n++) {
        const angle = (-2 * Math.PI * k * n) / length
        sumRe += re[n]! * Math.cos(angle) - im[n]! * Math.sin(angle)
        sumIm += re[n]! * Math.sin(angle) + im[n]! * Math.cos(angle)
      }
      near(made.re[k]!, sumRe, 1e-10 * length, `length ${length}, line ${k}`)
      near(made.im[k]!, sumIm, 1e-10 * length, `length ${length}, line ${k}`)
    }
  }
})

test('the inverse restores the signal', () => {
  const random = noise(7)
  for (const length of [64, 2048, 3000]) {
    const re = Float64Array.from({ length }, () => random.next().value)
    const back = inverseFft(fftReal(re))
    for (let n = 0; n < length; n++) {
      near(back.re[n]!, re[n]!, 1e-11)
      near(back.im[n]!, 0, 1e-11)
    }
  }
})

test('the transform preserves the energy (Parseval)', () => {
  const random = noise(3)
  const re = Float64Array.from({ length: 1500 }, () => random.next().value)
  const made = fftReal(re)
  const inTime = re.reduce((sum, value) => sum + value * value, 0)
  const inFrequency = made.re.reduce((sum, value, k) => sum + value * value + made.im[k]! ** 2, 0) / 1500
  near(inTime, inFrequency, 1e-9)
})

test('a sine on a line reads its amplitude at any offset', () => {
  const [rate, length] = [12_800, 2_048]
  const samples = Float64Array.from({ length }, (_, n) => 7 + 2.5 * Math.sin((2 * Math.PI * 150 * n) / rate))
  const { step, amplitudes } = spectrum(samples, rate)
  assert.equal(step, 6.25)
  near(amplitudes[150 / 6.25]!, 2.5, 1e-9)
  near(amplitudes[0]!, 0, 1e-9)
  near(amplitudes[100]!, 0, 1e-9)
  assert.equal(amplitudes.length, 1025)
})

test('the envelope of a modulated carrier is its modulation', () => {
  const [rate, length] = [25_600, 2_560]
  const modulation = (n: number) => 1 + 0.5 * Math.cos((2 * Math.PI * 100 * n) / rate)
  const samples = Float64Array.from({ length }, (_, n) => modulation(n) * Math.cos((2 * Math.PI * 4_000 * n) / rate))
  const made = envelope(samples, rate, { low: 3_000, high: 5_000 })
  for (let n = 0; n < length; n++) near(made[n]!, modulation(n), 1e-9)
})

test('the envelope ignores signals outside its band', () => {
  const [rate, length] = [25_600, 2_560]
  const samples = Float64Array.from(
    { length },
    (_, n) => Math.cos((2 * Math.PI * 4_000 * n) / rate) + 9 * Math.sin((2 * Math.PI * 50 * n) / rate),
  )
  for (const value of envelope(samples, rate, { low: 3_000, high: 5_000 })) near(value, 1, 1e-9)
})

test('bearing impacts appear as lines at their rate, unlike in the plain spectrum', () => {
  const [rate, length, impactRate] = [12_800, 4_096, 87.5]
  const random = noise(11)
  const samples = Float64Array.from({ length }, (_, n) => {
    const since = (((n / rate) * impactRate) % 1) / impactRate
    return 0.1 * random.next().value + Math.exp(-900 * since) * Math.sin(2 * Math.PI * 3_700 * since)
  })
  const made = envelopeSpectrum(samples, rate, { low: 3_200, high: 4_300 })
  const highest = made.amplitudes.indexOf(Math.max(...made.amplitudes.slice(1)))
  near(highest * made.step, impactRate, made.step)
  const plain = spectrum(samples, rate)
  const line = Math.round(impactRate / plain.step)
  assert.ok(plain.amplitudes[line]! < 0.2 * Math.max(...plain.amplitudes))
})

test('thinning keeps the peaks', () => {
  const amplitudes = new Float64Array(1_001)
  amplitudes[333] = 5
  const { frequencies, amplitudes: downsampled } = downsample({ step: 2, amplitudes }, 2_000, 100)
  assert.ok(downsampled.length <= 100)
  assert.equal(Math.max(...downsampled), 5)
  assert.equal(frequencies[downsampled.indexOf(5)], 666)
  assert.equal(downsample({ step: 2, amplitudes }, 100, 1_000).frequencies.at(-1), 100)
  assert.deepEqual(downsample({ step: 0, amplitudes: new Float64Array(0) }, 100, 10), {
    frequencies: [],
    amplitudes: [],
  })
})

test('decibels have a floor', () => {
  near(decibel(0.1, 1, -60), -20, 1e-9)
  assert.equal(decibel(0, 1, -60), -60)
  assert.equal(decibel(1, 0, -60), -60)
})

test('fault frequencies are computed from the available features', () => {
  const features = {
    shaft_hz: 24.7,
    outer_frequency: 75.3,
    inner_frequency: 122,
    ball_frequency: null,
    cage_frequency: null,
    bearing_named: 2,
    impulsive_low: 3200,
    impulsive_high: 4266.7,
  }
  assert.deepEqual(
    faultFrequencies(features).map(({ part, frequency, sideband }) => [part, frequency, sideband]),
    [
      ['outer', 75.3, 0],
      ['inner', 122, 24.7],
    ],
  )
  assert.deepEqual(faultFrequencies(undefined), [])
  assert.equal(namedPart(features), 'inner')
  assert.equal(namedPart({ bearing_named: 0 }), undefined)
  assert.equal(partOfFault('bearing-outer-race'), 'outer')
  assert.equal(partOfFault('imbalance'), undefined)
  assert.deepEqual(impulsiveBand(features, 12_800), { low: 3200, high: 4266.7 })
  assert.deepEqual(impulsiveBand({}, 12_800), { low: 0, high: 6_400 })
  assert.deepEqual(harmonics(100, 350), [100, 200, 300])
})
