// Discrete Fourier transform of any length: radix 2 for powers of two, otherwise Bluestein's algorithm (a convolution
// whose length is a power of two). A waveform is therefore neither cut nor padded, and its lines keep their amplitude.

/** A complex signal as two arrays of equal length. */
export interface Complex {
  re: Float64Array
  im: Float64Array
}

const zeros = (length: number): Complex => ({ re: new Float64Array(length), im: new Float64Array(length) })

const isPowerOfTwo = (length: number): boolean => length > 0 && (length & (length - 1)) === 0

/** X[k] = Σ x[n] e^(−2πi k n / N). Does not modify its argument. */
export function fft(signal: Complex): Complex {
  const length = signal.re.length
  if (length <= 1) return { re: signal.re.slice(), im: signal.im.slice() }
  return isPowerOfTwo(length) ? radix2(signal) : bluestein(signal)
}

/** x[n] = 1/N Σ X[k] e^(2πi k n / N). */
export function inverseFft(spectrum: Complex): Complex {
  const length = spectrum.re.length
  // The inverse is the transform with real and imaginary parts exchanged before and after.
  const exchanged = fft({ re: spectrum.im, im: spectrum.re })
  return { re: exchanged.im.map(value => value / length), im: exchanged.re.map(value => value / length) }
}

/** The transform of real samples. */
export function fftReal(samples: ArrayLike<number>): Complex {
  return fft({ re: Float64Array.from(samples), im: new Float64Array(samples.length) })
}

function radix2(signal: Complex): Complex {
  const length = signal.re.length
  const re = signal.re.slice()
  const im = signal.im.slice()
  for (let at = 1, reversed = 0; at < length; at++) {
    let bit = length >> 1
    for (; reversed & bit; bit >>= 1) reversed ^= bit
    reversed ^= bit
    if (at < reversed) {
      ;[re[at], re[reversed]] = [re[reversed]!, re[at]!]
      ;[im[at], im[reversed]] = [im[reversed]!, im[at]!]
    }
  }
  // One table of twiddle factors for all sizes: rounding errors do not accumulate as in repeated multiplication.
  const cos = new Float64Array(length / 2)
  const sin = new Float64Array(length / 2)
  for (let k = 0; k < length / 2; k++) {
    cos[k] = Math.cos((-2 * Math.PI * k) / length)
    sin[k] = Math.sin((-2 * Math.PI * k) / length)
  }
  for (let size = 2; size <= length; size <<= 1) {
    const half = size >> 1
    const stride = length / size
    for (let start = 0; start < length; start += size) {
      for (let k = 0; k < half; k++) {
        const [turnRe, turnIm] = [cos[k * stride]!, sin[k * stride]!]
        const [low, high] = [start + k, start + k + half]
        const partRe = re[high]! * turnRe - im[high]! * turnIm
        const partIm = re[high]! * turnIm + im[high]! * turnRe
        re[high] = re[low]! - partRe
        im[high] = im[low]! - partIm
        re[low]! += partRe
        im[low]! += partIm
      }
    }
  }
  return { re, im }
}

function bluestein(signal: Complex): Complex {
  const length = signal.re.length
  let size = 1
  while (size < 2 * length - 1) size <<= 1
  const cos = new Float64Array(length)
  const sin = new Float64Array(length)
  for (let n = 0; n < length; n++) {
    // n² modulo 2N, because the angle of a large n² would lose precision.
    const angle = (Math.PI * ((n * n) % (2 * length))) / length
    cos[n] = Math.cos(angle)
    sin[n] = Math.sin(angle)
  }
  const a = zeros(size)
  const b = zeros(size)
  for (let n = 0; n < length; n++) {
    a.re[n] = signal.re[n]! * cos[n]! + signal.im[n]! * sin[n]!
    a.im[n] = signal.im[n]! * cos[n]! - signal.re[n]! * sin[n]!
    b.re[n] = cos[n]!
    b.im[n] = sin[n]!
    if (n > 0) {
      b.re[size - n] = cos[n]!
      b.im[size - n] = sin[n]!
    }
  }
  const A = radix2(a)
  const B = radix2(b)
  const product = zeros(size)
  for (let k = 0; k < size; k++) {
    product.re[k] = A.re[k]! * B.re[k]! - A.im[k]! * B.im[k]!
    product.im[k] = A.re[k]! * B.im[k]! + A.im[k]! * B.re[k]!
  }
  const folded = inverseFft(product)
  const out = zeros(length)
  for (let k = 0; k < length; k++) {
    out.re[k] = folded.re[k]! * cos[k]! + folded.im[k]! * sin[k]!
    out.im[k] = folded.im[k]! * cos[k]! - folded.re[k]! * sin[k]!
  }
  return out
}
